//! One file a verb, each with `run(args, out)`.

pub(crate) mod analyse;
pub(crate) mod calls;
pub(crate) mod catalog;
pub(crate) mod dissect;
pub(crate) mod infer;
pub(crate) mod label;
pub(crate) mod learn;
pub(crate) mod query;
pub(crate) mod report;
pub(crate) mod run;
pub(crate) mod shell;
pub(crate) mod study;
pub(crate) mod synth;
