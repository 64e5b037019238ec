//! Everything a reviewer would run, cheapest first, the tests last.

use crate::shell::{self, Result, command, installed};
use crate::{fuzz, map, tidy};

/// Lint, then test. `ci` adds a look at what a feature leaves out and a short run of every fuzz
/// target before the tests, so that the last lines of the output are the test runner's summary.
pub(crate) fn check(ci: bool) -> Result {
    lint()?;
    if ci {
        let gpu = ["clippy", "--package", "ottoscope-learn", "--features", "gpu", "--all-targets"];
        shell::run(command("cargo", &gpu).args(["--quiet", "--", "-D", "warnings"]))?;
        fuzz::run(&["--seconds".to_owned(), "10".to_owned()])?;
    }
    test(&[])
}

/// All that can be told without running the program.
pub(crate) fn lint() -> Result {
    shell::run(&mut command("cargo", &["fmt", "--all", "--check"]))?;
    tidy::run()?;
    let clippy = ["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"];
    shell::run(&mut command("cargo", &clippy))?;
    let doc = ["doc", "--workspace", "--no-deps", "--quiet", "--document-private-items"];
    shell::run(command("cargo", &doc).env("RUSTDOCFLAGS", "-D warnings"))?;
    if installed("cargo", &["deny", "--version"]) {
        // The advisories need a database from the network: that check is a person's to run.
        shell::run(&mut command("cargo", &["deny", "check", "bans", "licenses", "sources"]))
    } else {
        eprintln!("cargo-deny is not installed: skipped (tidy has checked the licences)");
        Ok(())
    }
}

/// Every test. What is generated (reference pages, snapshots) is checked fresh by tests, too.
pub(crate) fn test(args: &[String]) -> Result {
    shell::run(tests(args).env("INSTA_UPDATE", "no"))
}

/// Rewrites what is generated, or only the parts that need no tests to run.
pub(crate) fn bless(only_map: bool) -> Result {
    map::bless()?;
    if only_map {
        return Ok(());
    }
    shell::run(tests(&[]).env("BLESS", "1").env("INSTA_UPDATE", "always"))
}

fn tests(args: &[String]) -> std::process::Command {
    let mut tests = if installed("cargo", &["nextest", "--version"]) {
        let profile = if std::env::var_os("CI").is_some() { "ci" } else { "default" };
        command("cargo", &["nextest", "run", "--workspace", "--profile", profile])
    } else {
        command("cargo", &["test", "--workspace", "--no-fail-fast"])
    };
    tests.args(args);
    tests
}
