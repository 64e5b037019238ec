//! Follows calls down to their pictures.
//!
//! For whoever has packets of a video call. Datagrams and stream bytes of flows come in, frames
//! with what the network did to them go out, and from frames pictures and files that players
//! open. It opens no captures, and a picture that the network damaged is never passed off as
//! one that arrived whole.

pub mod frame;
pub mod numbers;
pub mod stream;

pub mod assembly;
pub mod qq;
pub mod quality;
pub mod rtp_video;
pub mod rtp_vp8;

pub mod picture;
pub mod vp8;

pub mod extract;
pub mod ivf;
pub mod png;
pub mod strip;
pub mod webm;
pub mod y4m;

pub use extract::Extract;
pub use frame::{Frame, FrameHeader, FrameState, Reason};
pub use picture::Picture;
pub use quality::Quality;
pub use stream::Stream;
