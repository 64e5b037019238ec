//! What the verbs of calls share: video out of captures.

pub(crate) mod recover;
