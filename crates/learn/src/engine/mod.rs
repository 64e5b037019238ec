//! What models compute with.

pub(crate) mod random;
