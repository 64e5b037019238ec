//! What the steps of inference share: whose traffic is looked at, and how it is read.

pub(crate) mod gather;
pub(crate) mod lines;
pub(crate) mod neighbours;
pub(crate) mod select;
pub(crate) mod survey;
