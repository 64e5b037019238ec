//! Feeds random bytes to every reader.
//!
//! For libFuzzer on nightly, and for `cargo test`, which replays the seeds on any toolchain. A
//! target takes any bytes and panics when a law does not hold; what comes out of the readers is
//! looked at whole, since many accessors are lazy.

mod capture;
mod catalog;
mod dissectors;
mod frames;
#[cfg(test)]
mod hex;
mod infer;
mod learn;
mod media;
mod messages;
mod qq;

/// A target's name and what it runs.
pub type Target = (&'static str, fn(&[u8]));

/// Every target; each has a file in `fuzz_targets/` and a folder in `seeds/`.
pub const TARGETS: &[Target] = &[
    ("capture", capture::capture),
    ("catalog", catalog::catalog),
    ("code", infer::code),
    ("dissectors", dissectors::dissectors),
    ("dns", messages::dns),
    ("http", messages::http),
    ("idx", learn::idx),
    ("inference", infer::inference),
    ("media_files", media::media_files),
    ("packet", frames::packet),
    ("qq", qq::qq),
    ("quic", messages::quic),
    ("scenario", catalog::scenario),
    ("signature", catalog::signature),
    ("stream", frames::stream),
    ("stun", messages::stun),
    ("tls", messages::tls),
    ("vp8", media::vp8),
];

/// Runs one target.
pub fn run(name: &str, data: &[u8]) {
    for (target, run) in TARGETS {
        if *target == name {
            return run(data);
        }
    }
    panic!("no target named {name}");
}

/// The body of a file in `fuzz_targets/`: libFuzzer's entry when fuzzing; else a program that
/// replays the files named as arguments, to look at a crash with a debugger.
#[macro_export]
macro_rules! target {
    ($name:literal) => {
        #[cfg(fuzzing)]
        libfuzzer_sys::fuzz_target!(|data: &[u8]| $crate::run($name, data));

        #[cfg(not(fuzzing))]
        fn main() -> std::io::Result<()> {
            for path in std::env::args().skip(1) {
                $crate::run($name, &std::fs::read(path)?);
            }
            Ok(())
        }
    };
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    fn names(folder: &str) -> Vec<String> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        let mut names: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|e| e.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn every_target_has_a_file_and_seeds() {
        let targets: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
        assert_eq!(names("fuzz_targets"), targets);
        assert_eq!(names("seeds"), targets);
    }

    #[test]
    fn seeds_replay() {
        for (name, run) in TARGETS {
            for seed in names(&format!("seeds/{name}")) {
                let path = format!("{}/seeds/{name}/{seed}.hex", env!("CARGO_MANIFEST_DIR"));
                let bytes = hex::unhex(&fs::read_to_string(&path).unwrap());
                let bytes = bytes.unwrap_or_else(|| panic!("{path} is not hexadecimal"));
                for end in 0..=bytes.len() {
                    run(&bytes[..end]); // and every cut of it
                }
            }
        }
    }
}
