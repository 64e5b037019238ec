//! What can go wrong before or beside the packets.

use std::io;
use std::path::PathBuf;

/// A capture that can't be read at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CaptureError {
    /// The file could not be opened or listed.
    #[error("cannot open {}: {source}", path.display())]
    Open {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The disk or pipe failed.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file has no bytes.
    #[error("{} is empty", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The file ends inside its first header.
    #[error("{} ends inside the capture header, after {have} bytes", path.display())]
    CutHeader {
        /// The file.
        path: PathBuf,
        /// Its length, uncompressed.
        have: usize,
    },
    /// The file is something else.
    #[error("{} is not a capture: {found}", path.display())]
    NotCapture {
        /// The file.
        path: PathBuf,
        /// What its first bytes look like.
        found: String,
    },
    /// A folder or pattern that holds no captures.
    #[error("no captures in {}", path.display())]
    NoCaptures {
        /// The folder.
        path: PathBuf,
    },
    /// There is no such interface.
    #[error("no interface named {name}")]
    NoInterface {
        /// As asked.
        name: String,
        /// Those that exist.
        known: Vec<String>,
    },
    /// The system does not let us capture.
    #[error("not allowed to capture on {name}: {source}")]
    NotAllowed {
        /// The interface.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// The interface failed.
    #[error("cannot capture on {name}: {doing}: {source}")]
    Interface {
        /// The interface.
        name: String,
        /// What was tried.
        doing: &'static str,
        /// Why.
        source: io::Error,
    },
}

impl CaptureError {
    /// What the user may do about it, for a `hint:` line.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            CaptureError::Open { source, .. } => match source.kind() {
                io::ErrorKind::NotFound => "is the path right, from this folder?".into(),
                io::ErrorKind::PermissionDenied => "may this user read it?".into(),
                _ => return None,
            },
            CaptureError::Empty { .. } => {
                "a capture has at least a header: did the capturing program still run when it \
                 was copied, or fail to start?"
                    .into()
            }
            CaptureError::CutHeader { .. } => "was it copied in full?".into(),
            CaptureError::NotCapture { .. } => {
                "pcap and pcapng are read, also compressed with gzip, zstd or xz; other formats \
                 can be converted by `editcap -F pcapng IN OUT`"
                    .into()
            }
            CaptureError::NoCaptures { .. } => {
                "a folder is searched for files that start like pcap or pcapng, also compressed"
                    .into()
            }
            CaptureError::NoInterface { known, .. } => {
                format!("there are: {}", known.join(", "))
            }
            CaptureError::NotAllowed { .. } => {
                "capturing needs CAP_NET_RAW: run as root (sudo), or once \
                 `sudo setcap cap_net_raw+ep PROGRAM`"
                    .into()
            }
            CaptureError::Read { .. } | CaptureError::Interface { .. } => return None,
        })
    }
}
