//! QQ video of 2012 and 2013: told by a score, over UDP and TCP.

mod score;

pub use score::{ENOUGH, MIN_PACKETS, Score};
