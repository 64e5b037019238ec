//! What the steps of inference share: whose traffic is looked at, how it is read, and how a
//! step's findings are told.

pub(crate) mod gather;
pub(crate) mod lines;
pub(crate) mod neighbours;
pub(crate) mod page;
pub(crate) mod print;
pub(crate) mod select;
pub(crate) mod story;
pub(crate) mod survey;
