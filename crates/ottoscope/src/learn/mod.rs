//! What the verbs of learning share.

pub(crate) mod data;
