//! OICQ, QQ's protocol to its servers, and the media of QQ's other generations.
//!
//! Not documented by its maker; what is behind the header is encrypted. Sources: Wireshark's
//! notes on OICQ, OpenDPI's remarks on lengths over TCP and servers' headers, LumaQQ's command
//! names, and for the media of 2005 the notes at blog.csdn.net/josephvan/article/details/479264.

mod media;
mod message;

pub use media::{MARK, MEDIA, Media, TODAY, TODAY_PREFIX, generation};
pub use message::{HEADER, Message, START, STOP, command_name};
