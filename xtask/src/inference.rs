//! Hands over to `benchsuite/inference/table.py`, which compares the ways to find fields.

use crate::shell::{self, Result, command};

pub(crate) fn run(args: &[String]) -> Result {
    shell::run(command("python3", &["benchsuite/inference/table.py"]).args(args))
}
