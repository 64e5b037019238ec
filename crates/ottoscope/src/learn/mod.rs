//! What the verbs of learning share.

pub(crate) mod account;
pub(crate) mod data;
pub(crate) mod model;
pub(crate) mod work;
