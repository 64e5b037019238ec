//! Puts IP fragments together, within bounds.
//!
//! Fragments of one datagram share addresses, protocol, identification, tunnel and VLAN. Where
//! they overlap, the bytes that came first stay, and the overlap is told. What waits too long
//! by packet time, or takes too much memory, is dropped, oldest first.

use std::collections::VecDeque;
use std::net::IpAddr;

use hashbrown::HashMap;
use ottoscope_wire::{Encapsulation, Fragment, FragmentHead, Layer, Reason, WireError};

use crate::time::{Span, Timestamp};

/// Longest payload of an IP datagram.
const MAX_PAYLOAD: u32 = 65_535;
/// Ranges that do not touch each other, kept of one datagram: no path disorders more.
const MAX_RANGES: usize = 64;

/// Bounds of a [`Defrag`].
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How long a datagram may take (RFC 791 asks for 15 s, Linux waits for 30 s).
    pub age: Span,
    /// Datagrams that wait at once.
    pub datagrams: usize,
    /// Bytes that wait at once.
    pub bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { age: Span::from_seconds(30), datagrams: 4096, bytes: 16 * 1024 * 1024 }
    }
}

/// What became of a fragment.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The datagram is whole.
    Complete(Datagram),
    /// It waits for others.
    Pending,
    /// It was left out.
    Dropped(WireError),
}

/// A datagram put together.
#[derive(Debug, PartialEq, Eq)]
pub struct Datagram {
    /// Of the first fragment of the datagram, wherever it came in time.
    pub head: FragmentHead,
    /// The payload as far as it was captured without a hole. Hand it to [`Defrag::recycle`].
    pub payload: Vec<u8>,
    /// Length of the whole payload in bytes: more than `payload.len()` where the snapshot
    /// length cut a fragment.
    pub payload_len: u32,
    /// When the first of its fragments came.
    pub first: Timestamp,
    /// Fragments, this one included.
    pub packets: u32,
    /// Frame bytes of all fragments on the wire, the last one included.
    pub wire_bytes: u64,
}

/// A datagram that never became whole, or whose fragments contradict each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trouble {
    /// When its first fragment came.
    pub first: Timestamp,
    /// What all its fragments share.
    pub head: FragmentHead,
    /// Fragments seen.
    pub packets: u32,
    /// Their frame bytes on the wire.
    pub wire_bytes: u64,
    /// Whether the datagram is lost.
    pub lost: bool,
    /// Why.
    pub error: WireError,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    source: IpAddr,
    destination: IpAddr,
    protocol: u8,
    id: u32,
    encapsulation: Option<Encapsulation>,
    vlan: Option<u16>,
}

impl Key {
    fn of(head: &FragmentHead) -> Key {
        Key {
            source: head.source,
            destination: head.destination,
            // IPv6 identifies by addresses and id alone (RFC 8200, 4.5).
            protocol: if head.source.is_ipv4() { head.ip_protocol } else { 0 },
            id: head.id,
            // The QoS class may differ between fragments.
            encapsulation: head.encapsulation.map(|e| Encapsulation { qfi: None, ..e }),
            vlan: head.vlan,
        }
    }
}

/// A datagram of which some fragments came.
#[derive(Debug)]
struct Partial {
    head: FragmentHead,
    first: Timestamp,
    bytes: Vec<u8>,
    /// Ranges that came, in order, apart from each other.
    ranges: Vec<(u32, u32)>,
    /// Known once the last fragment came.
    len: Option<u32>,
    /// Where the first bytes are that came but were not captured.
    captured: u32,
    packets: u32,
    wire_bytes: u64,
    troubled: bool,
}

impl Partial {
    fn trouble(&self, lost: bool, reason: Reason) -> Trouble {
        Trouble {
            first: self.first,
            head: self.head,
            packets: self.packets,
            wire_bytes: self.wire_bytes,
            lost,
            error: WireError::new(Layer::Fragment, 0, reason),
        }
    }

    /// Whether a fragment up to `end` agrees with what is known of the datagram's length.
    fn admits(&self, end: u32, last: bool) -> bool {
        let highest = self.ranges.last().map_or(0, |range| range.1);
        match self.len {
            Some(len) => end <= len && (!last || end == len),
            None => !last || highest <= end,
        }
    }

    /// Copies what is new of a fragment. False where it contradicts or only half repeats what
    /// is there: no sender does that.
    fn insert(&mut self, fragment: &Fragment<'_>) -> bool {
        let (start, end) = (fragment.offset, fragment.offset + fragment.payload_len);
        let captured = start + fragment.payload.len() as u32;
        if captured < end {
            self.captured = self.captured.min(captured);
        }
        if self.bytes.len() < end as usize {
            self.bytes.resize(end as usize, 0);
        }
        let mut agrees = true;
        let mut from = start;
        let part = |from: u32, to: u32| {
            let to = to.min(captured).max(from);
            fragment.payload.get((from - start) as usize..(to - start) as usize).unwrap_or_default()
        };
        for &(have, until) in &self.ranges {
            let (low, high) = (have.max(start), until.min(end));
            if low >= high {
                continue;
            }
            agrees &= have <= start && end <= until;
            let known = part(low, high);
            agrees &= self.bytes[low as usize..].starts_with(known);
            copy(&mut self.bytes, from, part(from, low.max(from)));
            from = high;
        }
        copy(&mut self.bytes, from, part(from, end.max(from)));
        // The new range swallows those it touches.
        let mut merged = (start, end);
        self.ranges.retain(|range| {
            let apart = range.1 < merged.0 || merged.1 < range.0;
            if !apart {
                merged = (merged.0.min(range.0), merged.1.max(range.1));
            }
            apart
        });
        let index = self.ranges.partition_point(|range| range.0 < merged.0);
        self.ranges.insert(index, merged);
        agrees
    }

    fn is_whole(&self) -> bool {
        self.len.is_some_and(|len| self.ranges == [(0, len)])
    }
}

fn copy(bytes: &mut [u8], at: u32, from: &[u8]) {
    if let Some(to) = bytes.get_mut(at as usize..at as usize + from.len()) {
        to.copy_from_slice(from);
    }
}

/// Puts fragments together.
#[derive(Debug, Default)]
pub struct Defrag {
    limits: Limits,
    partials: HashMap<Key, Partial, foldhash::fast::RandomState>,
    /// Keys in order of arrival; those that no longer wait are passed over.
    order: VecDeque<(Timestamp, Key)>,
    bytes: usize,
    spare: Vec<Vec<u8>>,
    troubles: Vec<Trouble>,
}

impl Defrag {
    /// With these bounds.
    pub fn new(limits: Limits) -> Self {
        Defrag { limits, ..Defrag::default() }
    }

    /// Takes a fragment whose frame had `wire_len` bytes on the wire. [`Defrag::troubles`] may
    /// have grown afterwards.
    pub fn push(&mut self, fragment: &Fragment<'_>, at: Timestamp, wire_len: u32) -> Outcome {
        self.expire(at);
        let dropped = |reason| Outcome::Dropped(WireError::new(Layer::Fragment, 0, reason));
        let end = fragment.offset.saturating_add(fragment.payload_len);
        if end > MAX_PAYLOAD {
            return dropped(Reason::TooLarge);
        }
        // All but the last are a multiple of eight bytes long (RFC 791, 3.1; RFC 8200, 4.5).
        if fragment.payload_len == 0 || (fragment.more && !fragment.payload_len.is_multiple_of(8)) {
            return dropped(Reason::BadLength);
        }
        let key = Key::of(&fragment.head);
        if !self.partials.contains_key(&key) {
            self.start(key, fragment, at);
        }
        let Some(partial) = self.partials.get_mut(&key) else { return Outcome::Pending };
        if !partial.admits(end, !fragment.more) {
            return dropped(Reason::Malformed("fragments disagree on the datagram's length"));
        }
        partial.packets += 1;
        partial.wire_bytes += u64::from(wire_len);
        if fragment.offset == 0 {
            partial.head = fragment.head;
        }
        if !fragment.more {
            partial.len = Some(end);
        }
        let before = partial.bytes.len();
        if !partial.insert(fragment) && !partial.troubled {
            partial.troubled = true;
            let reason = Reason::Malformed("fragments overlap; the first bytes are kept");
            self.troubles.push(partial.trouble(false, reason));
        }
        self.bytes += partial.bytes.len() - before;
        if partial.is_whole() {
            return self.finish_one(&key);
        }
        if partial.ranges.len() > MAX_RANGES {
            self.drop(&key, Reason::TooLarge);
            return Outcome::Pending;
        }
        while self.bytes > self.limits.bytes && self.drop_oldest() {}
        Outcome::Pending
    }

    /// What went wrong since the last call.
    pub fn troubles(&mut self) -> std::vec::Drain<'_, Trouble> {
        self.troubles.drain(..)
    }

    /// Takes back the memory of a datagram.
    pub fn recycle(&mut self, datagram: Datagram) {
        const SPARE: usize = 8;
        if self.spare.len() < SPARE {
            self.spare.push(datagram.payload);
        }
    }

    /// Gives up what still waits: call it when the packets end, then read the troubles.
    pub fn finish(&mut self) {
        while self.drop_oldest() {}
    }

    /// Gives up what has waited too long at `now`.
    fn expire(&mut self, now: Timestamp) {
        while let Some((first, key)) = self.order.front().copied() {
            let waits = self.partials.get(&key).is_some_and(|partial| partial.first == first);
            if waits && now - first <= self.limits.age {
                break;
            }
            self.order.pop_front();
            if waits {
                self.drop(&key, INCOMPLETE);
            }
        }
    }

    fn start(&mut self, key: Key, fragment: &Fragment<'_>, at: Timestamp) {
        if self.partials.len() >= self.limits.datagrams {
            self.drop_oldest();
        }
        // What is done leaves its key behind: now and then they are swept out.
        if self.order.len() > 2 * self.partials.len() + 1024 {
            let partials = &self.partials;
            self.order.retain(|(first, key)| partials.get(key).is_some_and(|p| p.first == *first));
        }
        let mut bytes = self.spare.pop().unwrap_or_default();
        bytes.clear();
        self.partials.insert(
            key,
            Partial {
                head: fragment.head,
                first: at,
                bytes,
                ranges: Vec::new(),
                len: None,
                captured: u32::MAX,
                packets: 0,
                wire_bytes: 0,
                troubled: false,
            },
        );
        self.order.push_back((at, key));
    }

    fn finish_one(&mut self, key: &Key) -> Outcome {
        let Some(mut partial) = self.partials.remove(key) else { return Outcome::Pending };
        self.bytes -= partial.bytes.len();
        let payload_len = partial.bytes.len() as u32;
        partial.bytes.truncate(partial.captured as usize);
        Outcome::Complete(Datagram {
            head: partial.head,
            payload: partial.bytes,
            payload_len,
            first: partial.first,
            packets: partial.packets,
            wire_bytes: partial.wire_bytes,
        })
    }

    fn drop(&mut self, key: &Key, reason: Reason) {
        if let Some(partial) = self.partials.remove(key) {
            self.bytes -= partial.bytes.len();
            self.troubles.push(partial.trouble(true, reason));
        }
    }

    fn drop_oldest(&mut self) -> bool {
        while let Some((first, key)) = self.order.pop_front() {
            if self.partials.get(&key).is_some_and(|partial| partial.first == first) {
                self.drop(&key, INCOMPLETE);
                return true;
            }
        }
        false
    }
}

const INCOMPLETE: Reason = Reason::Malformed("fragments are missing");
