//! See `ottoscope_fuzz`.
#![cfg_attr(fuzzing, no_main)]
ottoscope_fuzz::target!("media_files");
