//! Hands over to `benchsuite/run.py`, which needs the tools that it compares with.

use crate::shell::{self, Result, command};

pub(crate) fn run(args: &[String]) -> Result {
    shell::run(command("python3", &["benchsuite/run.py"]).args(args))
}
