//! The kernel's ring of received packets (`packet(7)`, `TPACKET_V3`), and the few calls around
//! it. The unsafe code of this crate but for one call ([`crate::memory`]): everything that goes
//! out of here is plain bytes.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_int, c_short, c_void};
use std::io;
use std::mem;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU32, Ordering};

/// Bytes of a block: the kernel hands over whole blocks.
pub(super) const BLOCK: usize = 256 * 1024;
/// Blocks of the ring: 32 MiB hold 25 ms of a full 10 Gbit/s link.
const BLOCKS: usize = 128;
/// After this many milliseconds a block is handed over even if it is not full.
pub(super) const RETIRE: c_int = 60;
/// Where a block's header has its status, and how many bytes of it are used
/// (`struct tpacket_block_desc`).
const STATUS_AT: usize = 8;
const LEN_AT: usize = 20;

/// A socket with its ring.
pub(super) struct Ring {
    socket: OwnedFd,
    timer: Option<OwnedFd>,
    map: NonNull<u8>,
    next: usize,
}

// SAFETY: the mapping belongs to this value alone and is bound to no thread; the descriptors
// are plain numbers.
unsafe impl Send for Ring {}

/// What a call failed in, and why.
pub(super) type Failure = (&'static str, io::Error);

/// What waiting for packets ended with.
pub(super) enum Waited {
    /// A block was copied.
    Block,
    /// Nothing came.
    Nothing,
    /// The time is over.
    Timer,
}

/// The index of an interface.
pub(super) fn index(name: &str) -> Option<c_int> {
    let name = CString::new(name).ok()?;
    // SAFETY: `name` is a C string that lives through the call.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    c_int::try_from(index).ok().filter(|index| *index > 0)
}

/// The names of all interfaces.
pub(super) fn names() -> Vec<String> {
    let mut names = Vec::new();
    // SAFETY: no arguments; null or a list that `if_freenameindex` frees.
    let list = unsafe { libc::if_nameindex() };
    if list.is_null() {
        return names;
    }
    let mut entry = list;
    // SAFETY: the list ends with an entry of index 0, before which every name is a C string;
    // it is freed once, after the last use.
    unsafe {
        while (*entry).if_index != 0 {
            names.push(CStr::from_ptr((*entry).if_name).to_string_lossy().into_owned());
            entry = entry.add(1);
        }
        libc::if_freenameindex(list);
    }
    names
}

/// `value` if a call did not fail.
fn check(doing: &'static str, value: c_int) -> Result<c_int, Failure> {
    if value < 0 { Err((doing, io::Error::last_os_error())) } else { Ok(value) }
}

fn set<T>(socket: &OwnedFd, level: c_int, name: c_int, value: &T) -> c_int {
    // SAFETY: `value` lives through the call and the length is its size; the callers pass the
    // type that the option takes.
    unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            ptr::from_ref(value).cast::<c_void>(),
            size_of::<T>() as libc::socklen_t,
        )
    }
}

/// A packet socket that receives nothing yet: `libc::SOCK_RAW` with link headers or
/// `libc::SOCK_DGRAM` without.
fn socket(kind: c_int) -> Result<OwnedFd, Failure> {
    // SAFETY: no pointers.
    let fd = unsafe { libc::socket(libc::AF_PACKET, kind | libc::SOCK_CLOEXEC, 0) };
    check("open a packet socket", fd)?;
    // SAFETY: just made, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn address(index: c_int) -> libc::sockaddr_ll {
    // SAFETY: all zeros is a value of this plain C struct.
    let mut address: libc::sockaddr_ll = unsafe { mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
    address.sll_ifindex = index;
    address
}

fn bind(socket: &OwnedFd, index: c_int) -> Result<(), Failure> {
    let address = address(index);
    let len = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
    // SAFETY: the address lives through the call and has the length told.
    let bound = unsafe { libc::bind(socket.as_raw_fd(), ptr::from_ref(&address).cast(), len) };
    check("bind to the interface", bound).map(drop)
}

/// The ARP hardware type of an interface (`if_arp.h`).
pub(super) fn hardware_type(index: c_int) -> Result<u16, Failure> {
    let socket = socket(libc::SOCK_RAW)?;
    bind(&socket, index)?;
    let mut address = address(index);
    let mut len = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
    // SAFETY: the address has room for the length told, and both live through the call.
    let got = unsafe {
        libc::getsockname(socket.as_raw_fd(), ptr::from_mut(&mut address).cast(), &raw mut len)
    };
    check("ask for the interface's type", got)?;
    Ok(address.sll_hatype)
}

impl Ring {
    /// Starts to receive; `kind` as for [`socket`].
    pub(super) fn open(index: c_int, kind: c_int, promiscuous: bool) -> Result<Ring, Failure> {
        let socket = socket(kind)?;
        let version = libc::tpacket_versions::TPACKET_V3 as c_int;
        check("ask for a ring", set(&socket, libc::SOL_PACKET, libc::PACKET_VERSION, &version))?;
        let request = libc::tpacket_req3 {
            tp_block_size: BLOCK as u32,
            tp_block_nr: BLOCKS as u32,
            tp_frame_size: 2048,
            tp_frame_nr: (BLOCK / 2048 * BLOCKS) as u32,
            tp_retire_blk_tov: RETIRE as u32,
            tp_sizeof_priv: 0,
            tp_feature_req_word: 0,
        };
        check("set up a ring", set(&socket, libc::SOL_PACKET, libc::PACKET_RX_RING, &request))?;
        // SAFETY: a new mapping of the socket's ring, which has this size by the request.
        let map = unsafe {
            libc::mmap(
                ptr::null_mut(),
                BLOCK * BLOCKS,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                socket.as_raw_fd(),
                0,
            )
        };
        let failed = || ("map the ring", io::Error::last_os_error());
        if map == libc::MAP_FAILED {
            return Err(failed());
        }
        let map = NonNull::new(map.cast::<u8>()).ok_or_else(failed)?;
        let ring = Ring { socket, timer: None, map, next: 0 };
        if promiscuous {
            let request = libc::packet_mreq {
                mr_ifindex: index,
                mr_type: libc::PACKET_MR_PROMISC as u16,
                mr_alen: 0,
                mr_address: [0; 8],
            };
            let name = libc::PACKET_ADD_MEMBERSHIP;
            check("go promiscuous", set(&ring.socket, libc::SOL_PACKET, name, &request))?;
        }
        bind(&ring.socket, index)?;
        Ok(ring)
    }

    /// Lets [`Waited::Timer`] happen after some nanoseconds.
    pub(super) fn set_timer(&mut self, nanos: i64) -> Result<(), Failure> {
        // SAFETY: no pointers.
        let fd = unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, libc::TFD_CLOEXEC) };
        check("make a timer", fd)?;
        // SAFETY: just made, and nobody else has it.
        let timer = unsafe { OwnedFd::from_raw_fd(fd) };
        let zero = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        let nanos = nanos.max(1);
        let value =
            libc::timespec { tv_sec: nanos / 1_000_000_000, tv_nsec: nanos % 1_000_000_000 };
        let time = libc::itimerspec { it_interval: zero, it_value: value };
        // SAFETY: `time` lives through the call; the old value is not asked for.
        let set = unsafe { libc::timerfd_settime(fd, 0, &raw const time, ptr::null_mut()) };
        check("set a timer", set)?;
        self.timer = Some(timer);
        Ok(())
    }

    /// Lets nothing more in, so that what has come can be read to its end.
    pub(super) fn close_gate(&mut self) -> Result<(), Failure> {
        self.timer = None;
        // One instruction of classic BPF: accept no bytes (`BPF_RET | BPF_K`, 0).
        let mut nothing = libc::sock_filter { code: 0x06, jt: 0, jf: 0, k: 0 };
        let program = libc::sock_fprog { len: 1, filter: &raw mut nothing };
        let name = libc::SO_ATTACH_FILTER;
        check("stop receiving", set(&self.socket, libc::SOL_SOCKET, name, &program)).map(drop)
    }

    /// Waits up to `timeout` milliseconds for a block and copies it to `out`.
    pub(super) fn wait(&mut self, timeout: c_int, out: &mut Vec<u8>) -> Result<Waited, Failure> {
        if self.take(out) {
            return Ok(Waited::Block);
        }
        let poll = |fd: Option<&OwnedFd>, events: c_short| libc::pollfd {
            fd: fd.map_or(-1, AsRawFd::as_raw_fd),
            events,
            revents: 0,
        };
        let mut polls =
            [poll(Some(&self.socket), libc::POLLIN), poll(self.timer.as_ref(), libc::POLLIN)];
        // SAFETY: the array lives through the call and has two entries.
        let ready = unsafe { libc::poll(polls.as_mut_ptr(), 2, timeout) };
        if ready < 0 {
            let error = io::Error::last_os_error();
            let interrupted = error.kind() == io::ErrorKind::Interrupted;
            return if interrupted { Ok(Waited::Nothing) } else { Err(("wait", error)) };
        }
        if self.take(out) {
            return Ok(Waited::Block);
        }
        if polls[0].revents & libc::POLLERR != 0 {
            return Err(("receive", self.error()));
        }
        Ok(if polls[1].revents != 0 { Waited::Timer } else { Waited::Nothing })
    }

    /// Copies the next block if the kernel has handed it over, and gives it back.
    fn take(&mut self, out: &mut Vec<u8>) -> bool {
        // SAFETY: `next` is below `BLOCKS`, so the block lies inside the mapping.
        let block = unsafe { self.map.add(self.next * BLOCK) };
        // SAFETY: inside the block; blocks start at page boundaries, so it is aligned. Kernel
        // and program hand the block to each other by this word, hence atomic.
        let status = unsafe { AtomicU32::from_ptr(block.add(STATUS_AT).cast::<u32>().as_ptr()) };
        if status.load(Ordering::Acquire) & libc::TP_STATUS_USER == 0 {
            return false;
        }
        // SAFETY: while the status says user, the kernel writes nothing to the block, and this
        // value is the mapping's only owner, so the block is plain readable memory.
        let bytes = unsafe { std::slice::from_raw_parts(block.as_ptr(), BLOCK) };
        let len = bytes[LEN_AT..].first_chunk().map_or(0, |len| u32::from_ne_bytes(*len));
        out.clear();
        out.extend_from_slice(&bytes[..(len as usize).min(BLOCK)]);
        status.store(libc::TP_STATUS_KERNEL, Ordering::Release);
        self.next = (self.next + 1) % BLOCKS;
        true
    }

    fn option<T>(&self, level: c_int, name: c_int, value: &mut T) -> c_int {
        let mut len = size_of::<T>() as libc::socklen_t;
        // SAFETY: `value` has room for the length told, and both live through the call; the
        // callers pass a plain C type that every bit pattern is a value of.
        unsafe {
            libc::getsockopt(
                self.socket.as_raw_fd(),
                level,
                name,
                ptr::from_mut(value).cast(),
                &raw mut len,
            )
        }
    }

    /// The error that the socket waits to tell.
    fn error(&self) -> io::Error {
        let mut code: c_int = 0;
        match self.option(libc::SOL_SOCKET, libc::SO_ERROR, &mut code) {
            0 => io::Error::from_raw_os_error(code),
            _ => io::Error::last_os_error(),
        }
    }

    /// Packets that found the ring full since the last call.
    pub(super) fn dropped(&self) -> u64 {
        // `struct tpacket_stats_v3`: packets, drops, times the ring was frozen.
        let mut counts = [0u32; 3];
        match self.option(libc::SOL_PACKET, libc::PACKET_STATISTICS, &mut counts) {
            0 => u64::from(counts[1]),
            _ => 0,
        }
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // SAFETY: mapped in `open` with this size, unmapped nowhere else, and nothing borrows
        // from it.
        unsafe { libc::munmap(self.map.as_ptr().cast(), BLOCK * BLOCKS) };
    }
}
