//! WeChat: the header of its long connection, its real-time datagrams, and MMTLS around the
//! former since 2016.
//!
//! None of it is documented by its maker. Sources: the ChatDissect paper (V-A, Fig. 2 and 3),
//! Tencent's open-source Mars (`mars/stn/proto`), libprotoident's rules, and the notes and the
//! capture of github.com/citizenlab/wechat-security-report. `specs/wechat.md` says which reading
//! was chosen where they differ.

mod datagram;
mod long;
pub mod mmtls;

pub use datagram::Datagram;
pub use long::{HEADER, Header, RESPONSE, VERSION, sequence};
