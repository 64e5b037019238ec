//! Fuzz targets: seeds from readable hex, a short run of each on the installed nightly.
//!
//! The layout of `fuzz/` is cargo-fuzz's, but cargo-fuzz is not needed: the flags it passes
//! are few. Seeds are `fuzz/seeds/TARGET/NAME.hex`, so that a crash found once is kept as text
//! that a reviewer can read; `cargo test` in `fuzz/` replays them without nightly.

use std::fs;
use std::path::Path;

#[path = "../../fuzz/src/hex.rs"]
mod hex; // one reader of seeds for both

use hex::unhex;

use crate::shell::{self, Result, command, installed, option, output, root};

/// As cargo-fuzz 0.13 sets them: coverage for libFuzzer, debug assertions and overflow checks
/// on, so that what would be a wrong number in release is a crash here.
const FLAGS: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares \
    -Zsanitizer=address -Ccodegen-units=1 -Cdebug-assertions -Coverflow-checks";

/// Longest input in bytes: enough for several packets, short enough for speed.
const LONGEST: u32 = 4096;

/// Replays the seeds on stable, then fuzzes each target.
pub(crate) fn run(args: &[String]) -> Result {
    let seconds: u32 = option(args, "--seconds")?.unwrap_or("10").parse()?;
    let only = args.first().filter(|a| !a.starts_with("--"));
    shell::run(&mut command("cargo", &["test", "--manifest-path", "fuzz/Cargo.toml", "--quiet"]))?;
    if !nightly() {
        return Ok(());
    }
    build()?;
    let folder = root().join("fuzz/target").join(host()?).join("release");
    for target in targets()? {
        if only.is_some_and(|only| *only != target) {
            continue;
        }
        let corpus = plant(&target)?;
        let artifacts = root().join("fuzz/artifacts").join(&target);
        fs::create_dir_all(&artifacts)?;
        let mut fuzzer = command(&folder.join(&target).to_string_lossy(), &[]);
        fuzzer.arg(corpus).arg(format!("-artifact_prefix={}/", artifacts.display())).args([
            format!("-max_total_time={seconds}"),
            format!("-max_len={LONGEST}"),
            "-timeout=10".to_owned(),
            "-rss_limit_mb=2048".to_owned(),
            "-verbosity=0".to_owned(),
            "-print_final_stats=1".to_owned(),
        ]);
        if std::env::var_os("CI").is_some() {
            // The same inputs in every run, so that a failure can be had again.
            fuzzer.arg("-seed=1");
        }
        shell::run(&mut fuzzer).map_err(|error| {
            format!("{error}\nkeep the crash: xxd -p fuzz/artifacts/{target}/crash-... > fuzz/seeds/{target}/NAME.hex")
        })?;
    }
    Ok(())
}

/// Builds every target with coverage and the address sanitizer.
pub(crate) fn build() -> Result {
    if !nightly() {
        return Ok(());
    }
    let host = host()?;
    let args = ["build", "--release", "--bins", "--manifest-path", "fuzz/Cargo.toml", "--target"];
    let mut build = command("cargo", &["+nightly"]);
    build.args(args).arg(host).env("RUSTFLAGS", FLAGS).env_remove("CARGO_TARGET_DIR");
    // `cargo xtask` has pinned the toolchain for its children; nightly is meant here.
    shell::run(build.env_remove("RUSTUP_TOOLCHAIN"))
}

fn nightly() -> bool {
    let there = installed("rustup", &["run", "nightly", "rustc", "--version"]);
    if !there {
        eprintln!("no nightly toolchain: fuzzing skipped (rustup toolchain install nightly)");
    }
    there
}

fn host() -> Result<String> {
    let about = output(&mut command("rustc", &["-vV"]))?;
    let host = about.lines().find_map(|l| l.strip_prefix("host: "));
    Ok(host.ok_or("rustc -vV names no host")?.to_owned())
}

fn targets() -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(root().join("fuzz/fuzz_targets"))? {
        if let Some(name) = entry?.path().file_stem() {
            names.push(name.to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// Writes the target's seeds as bytes into its corpus, and says where that is.
fn plant(target: &str) -> Result<std::path::PathBuf> {
    let corpus = root().join("fuzz/corpus").join(target);
    fs::create_dir_all(&corpus)?;
    let seeds = root().join("fuzz/seeds").join(target);
    for entry in fs::read_dir(&seeds).map_err(|e| format!("{}: {e}", seeds.display()))? {
        let path = entry?.path();
        let bytes = unhex(&fs::read_to_string(&path)?)
            .ok_or_else(|| format!("{}: not hexadecimal", path.display()))?;
        let name = path.file_stem().unwrap_or(Path::new("seed").as_os_str());
        fs::write(corpus.join(name), bytes)?;
    }
    Ok(corpus)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_hex_with_remarks() {
        let check = |text: &str, expected: Option<&[u8]>| {
            assert_eq!(unhex(text).as_deref(), expected, "{text}");
        };
        check("# a DNS header\n12 34 0100 # flags\nFF", Some(&[0x12, 0x34, 1, 0, 0xff]));
        check("\"a #\\r\\n\\\"\" 00 # remark", Some(b"a #\r\n\"\0"));
        check("\"open", None);
        check("\"\\x\"", None);
        check("", Some(&[]));
        check("1", None);
        check("zz", None);
    }

    #[test]
    fn every_target_has_seeds_and_every_seed_reads() {
        for target in targets().unwrap() {
            let seeds = root().join("fuzz/seeds").join(&target);
            let seeds: Vec<_> = fs::read_dir(&seeds).expect(&target).collect();
            assert!(!seeds.is_empty(), "{target} has no seeds");
            for seed in seeds {
                let path = seed.unwrap().path();
                assert!(unhex(&fs::read_to_string(&path).unwrap()).is_some(), "{path:?}");
            }
        }
    }
}
