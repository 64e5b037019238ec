//! Packets from a Linux interface as they pass.
//!
//! By a ring of blocks shared with the kernel (`AF_PACKET`, `TPACKET_V3`): needs no library and
//! one system call for hundreds of packets. Each block is copied once and given back at once,
//! so that a slow reader costs dropped packets, which are counted, and never wrong bytes.
//! Times are the kernel's; no clock is read here.

mod block;
mod ring;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use ottoscope_wire::LinkType;

use super::batch::{Batch, Pool};
use super::error::CaptureError;
use super::{CaptureInfo, Interface, Options, Packets};
use crate::time::Span;
use block::Cooked;
use ring::{Ring, Waited};

/// How often the stop flag is looked at while nothing comes, milliseconds.
const WAKE: i32 = 100;

/// How an interface is captured.
#[derive(Debug, Clone, Default)]
pub struct LiveOptions {
    /// Also take frames that are not for this host. Off by default: it may touch others.
    pub promiscuous: bool,
    /// End after this time.
    pub duration: Option<Span>,
    /// Stop flag and progress.
    pub options: Options,
}

/// Packets of one interface.
pub struct Live {
    ring: Ring,
    name: String,
    options: Options,
    cooked: Cooked,
    info: CaptureInfo,
    pool: Pool,
    ending: bool,
}

impl Live {
    /// Starts to capture on the interface `name`; `any` is all of them, unless one is called so.
    ///
    /// # Errors
    /// When there is no such interface, the system does not allow it, or it fails.
    pub fn open(name: &str, options: LiveOptions) -> Result<Live, CaptureError> {
        const ETHERNET: u16 = 1;
        const LOOPBACK: u16 = 772;
        let index = match (ring::index(name), name) {
            (Some(index), _) => index,
            (None, "any") => 0,
            (None, _) => {
                let (name, known) = (name.to_owned(), ring::names());
                return Err(CaptureError::NoInterface { name, known });
            }
        };
        let failed = |failure| failure_of(name, failure);
        let hardware = if index == 0 { 0 } else { ring::hardware_type(index).map_err(failed)? };
        let cooked = match hardware {
            ETHERNET => Cooked::No,
            LOOPBACK => Cooked::Loopback,
            _ => Cooked::Yes,
        };
        let (kind, link) = match cooked {
            Cooked::Yes => (libc::SOCK_DGRAM, LinkType::LINUX_SLL),
            _ => (libc::SOCK_RAW, LinkType::ETHERNET),
        };
        let mut ring =
            Ring::open(index, kind, options.promiscuous && index != 0).map_err(failed)?;
        if let Some(duration) = options.duration {
            ring.set_timer(duration.0).map_err(failed)?;
        }
        let mut info = CaptureInfo::new(PathBuf::from(name), "interface");
        info.link_type(link);
        info.interfaces =
            vec![Interface { name: Some(name.to_owned()), link, snap_len: 0, dropped: Some(0) }];
        let (name, options) = (name.to_owned(), options.options);
        Ok(Live { ring, name, options, cooked, info, pool: Pool::default(), ending: false })
    }
}

fn failure_of(name: &str, (doing, source): ring::Failure) -> CaptureError {
    let name = name.to_owned();
    if source.kind() == std::io::ErrorKind::PermissionDenied {
        return CaptureError::NotAllowed { name, source };
    }
    CaptureError::Interface { name, doing, source }
}

impl Packets for Live {
    fn next(&mut self) -> Result<Option<Arc<Batch>>, CaptureError> {
        let mut batch = self.pool.fresh();
        loop {
            let timeout = if self.ending { 2 * ring::RETIRE } else { WAKE };
            let waited = self.ring.wait(timeout, &mut batch.buffer);
            let dropped = self.ring.dropped();
            self.info.dropped += dropped;
            if let Some(interface) = self.info.interfaces.first_mut() {
                interface.dropped = Some(self.info.dropped);
            }
            let stop = self.options.stop.load(Ordering::Relaxed);
            match waited.map_err(|failure| failure_of(&self.name, failure))? {
                Waited::Block => {
                    self.options
                        .progress
                        .done
                        .fetch_add(batch.buffer.len() as u64, Ordering::Relaxed);
                    block::records(&mut batch, self.cooked);
                    self.info.count(&batch.records);
                    self.info.file_size = self.info.captured_bytes;
                    if !batch.records.is_empty() {
                        return Ok(Some(self.pool.hand_over(batch)));
                    }
                }
                Waited::Nothing if self.ending => return Ok(None),
                Waited::Timer => self.end()?,
                Waited::Nothing => {}
            }
            if stop {
                self.end()?;
            }
        }
    }

    fn infos(&self) -> Vec<CaptureInfo> {
        vec![self.info.clone()]
    }
}

impl Live {
    /// Lets nothing more in; what has come is still handed over.
    fn end(&mut self) -> Result<(), CaptureError> {
        if !self.ending {
            self.ending = true;
            self.ring.close_gate().map_err(|failure| failure_of(&self.name, failure))?;
        }
        Ok(())
    }
}
