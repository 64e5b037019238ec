//! The flow table and what happens to a packet in it.

mod ahead;
mod reading;
mod session;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use ottoscope_wire::packet::{self, Decoded, Packet};
use ottoscope_wire::{LinkType, WireError};

use crate::cold::Cold;
use crate::config::Config;
use crate::defrag::{Datagram, Defrag, Outcome};
use crate::dissector::signature::SignatureSet;
use crate::entry::{Arrival, Entry, Fit};
use crate::index::Index;
use crate::key::FlowKey;
use crate::model::{
    Anomaly, Direction, Facts, Flow, FlowEnd, FlowId, Segment, Side, Tally, Transport,
};
use crate::sink::Sink;
use crate::time::Timestamp;
use crate::wheel::{Timer, Wheel};
use ahead::{Conversation, Soon};

pub use ahead::TOGETHER;

/// Rows of anomalies a worker hands over; what comes on top is counted.
const ANOMALY_ROWS: u64 = 100_000;

/// Entries whose memory is given back together when all flows end.
const GIVEN_BACK: usize = 1 << 14;

/// Bytes of a flow's entry, its place in the index, which has about two slots a flow, and its timer.
const PER_FLOW: usize = size_of::<Entry>() + 2 * size_of::<u64>() + size_of::<Timer>();

/// A frame as captured.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    /// Time of capture.
    pub at: Timestamp,
    /// What the bytes begin with.
    pub link: LinkType,
    /// Index of the capture among the run's inputs.
    pub capture: u32,
    /// Length on the wire in bytes.
    pub wire_len: u32,
    /// Captured bytes.
    pub bytes: &'a [u8],
    /// Whether it is known to be of another worker's flow: only its time counts.
    pub elsewhere: bool,
}

/// Which flows an engine keeps: those whose hash falls to `index` of `count` workers.
#[derive(Debug, Clone)]
pub struct Shard {
    /// This worker.
    pub index: usize,
    /// Number of workers.
    pub count: usize,
    /// Shared by all workers of a run.
    pub hash: foldhash::fast::RandomState,
}

impl Shard {
    /// The only worker.
    pub fn single() -> Self {
        Shard { index: 0, count: 1, hash: foldhash::fast::RandomState::default() }
    }

    fn owns(&self, hash: u64) -> bool {
        self.count == 1 || self.owner_of(hash) == self.index
    }

    /// By the half of the hash that the flow table does not look at.
    fn owner_of(&self, hash: u64) -> usize {
        ((u64::from(hash as u32) * self.count as u64) >> 32) as usize
    }

    /// The worker that keeps the flow of a frame; `None` where all are to look at it.
    pub(crate) fn owner(&self, link: LinkType, bytes: &[u8]) -> Option<usize> {
        let mut decoded = Decoded::NOTHING;
        decoded.read(link, bytes).ok()?;
        let Decoded::Packet(packet) = &decoded else { return None };
        let (key, _) = FlowKey::of(packet);
        Some(self.owner_of(key.hash(&self.hash)))
    }
}

/// Packets of one capture by what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CaptureTally {
    /// Packets that are not IP.
    pub not_ip: u64,
    /// Packets whose headers could not be read, and fragments of datagrams that never became
    /// whole.
    pub undecoded: u64,
}

/// What an engine did, beside what its sink received.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// By index of the capture. Every worker sees every packet, so these are not to be added up.
    pub captures: Vec<CaptureTally>,
    /// Flows handed over.
    pub flows: u64,
    /// Messages handed over.
    pub messages: u64,
    /// Anomalies handed over.
    pub anomalies: u64,
    /// Anomalies beyond the limit, only counted.
    pub anomalies_dropped: u64,
    /// Flows ended early to stay within [`Config::max_flows`] and [`Config::memory`].
    pub evicted: u64,
    /// Most flows held at once.
    pub peak_flows: u64,
    /// Most bytes that flows with their readers and buffers took at once, about.
    pub peak_bytes: u64,
    /// Bytes that a flow takes of which nothing but counters is kept: its entry, its place in
    /// the index and its timer.
    pub bytes_per_flow: u64,
}

/// A flow table with dissectors, fed frame by frame. One to a worker; `S` receives the results.
pub struct Engine<S: Sink> {
    config: Config,
    signatures: Arc<SignatureSet>,
    shard: Shard,
    sink: S,
    index: Index,
    entries: Vec<Entry>,
    free: Vec<u32>,
    cold: Cold,
    wheel: Wheel,
    fired: Vec<Timer>,
    defrag: Defrag,
    buffered: usize,
    scratch: Flow,
    summary: Summary,
    capture: u32,
}

impl<S: Sink> Engine<S> {
    /// An empty table.
    pub fn new(config: Config, signatures: Arc<SignatureSet>, shard: Shard, sink: S) -> Self {
        Engine {
            config,
            signatures,
            shard,
            sink,
            index: Index::new(),
            entries: Vec::new(),
            free: Vec::new(),
            cold: Cold::default(),
            wheel: Wheel::new(),
            fired: Vec::new(),
            defrag: Defrag::default(),
            buffered: 0,
            scratch: blank(),
            summary: Summary { bytes_per_flow: PER_FLOW as u64, ..Summary::default() },
            capture: 0,
        }
    }

    /// The sink.
    pub fn sink(&mut self) -> &mut S {
        &mut self.sink
    }

    /// Takes frames in their order. [`TOGETHER`] of them at a time are worth more than one by one.
    ///
    /// # Errors
    /// Only what the sink reports.
    pub fn frames<'a>(
        &mut self,
        frames: impl IntoIterator<Item = Frame<'a>>,
    ) -> Result<(), S::Error> {
        let mut soon = Soon::new();
        // Whether none of them moves the clock.
        let mut steady = true;
        for frame in frames {
            if self.shard.count > 1 {
                steady = steady && self.wheel.stands(frame.at);
                if steady && frame.elsewhere {
                    self.capture = frame.capture;
                    continue;
                }
            }
            self.meet(&mut soon, frame);
            if soon.frames.len() == TOGETHER {
                self.all_of(&mut soon)?;
                steady = true;
            }
        }
        self.all_of(&mut soon)
    }

    fn all_of(&mut self, soon: &mut Soon<'_>) -> Result<(), S::Error> {
        self.warm_entries(soon);
        for (i, frame) in soon.frames.iter().enumerate() {
            let decoded = soon.read[i].map(|()| &soon.decoded[i]);
            self.frame(frame, decoded, soon.conversations[i].as_ref())?;
        }
        soon.clear();
        Ok(())
    }

    fn frame(
        &mut self,
        frame: &Frame<'_>,
        decoded: Result<&Decoded<'_>, WireError>,
        conversation: Option<&Conversation>,
    ) -> Result<(), S::Error> {
        self.capture = frame.capture;
        self.tick(frame.at)?;
        match decoded {
            Ok(Decoded::Packet(packet)) => match conversation {
                Some(conversation) => {
                    let bytes = u64::from(frame.wire_len);
                    self.packet(packet, conversation, frame.at, 1, bytes)
                }
                None => Ok(()),
            },
            _ if frame.elsewhere => Ok(()),
            Ok(Decoded::Fragment(fragment)) => {
                let outcome = self.defrag.push(fragment, frame.at, frame.wire_len);
                self.troubles(frame.capture)?;
                match outcome {
                    Outcome::Complete(whole) => {
                        let result = self.datagram(&whole, frame);
                        self.defrag.recycle(whole);
                        result
                    }
                    Outcome::Pending => Ok(()),
                    Outcome::Dropped(error) => {
                        self.capture_tally(frame.capture).undecoded += 1;
                        self.broken(frame, error, &[])
                    }
                }
            }
            Ok(Decoded::NotIp(_)) => {
                self.capture_tally(frame.capture).not_ip += 1;
                Ok(())
            }
            Err(error) => {
                self.capture_tally(frame.capture).undecoded += 1;
                self.broken(frame, error, frame.bytes.get(error.offset..).unwrap_or(&[]))
            }
        }
    }

    /// Hands over an anomaly found outside the table (a cut record, say). Only the first worker
    /// passes it on.
    ///
    /// # Errors
    /// Only what the sink reports.
    pub fn outside(
        &mut self,
        at: Timestamp,
        capture: u32,
        error: WireError,
    ) -> Result<(), S::Error> {
        if self.shard.index != 0 || !self.summary.anomaly_fits() {
            return Ok(());
        }
        self.sink.anomaly(&Anomaly { at, capture, flow: None, error, head: &[] })
    }

    /// Ends every flow and returns the sink and what was done.
    ///
    /// # Errors
    /// Only what the sink reports.
    pub fn finish(mut self) -> Result<(S, Summary), S::Error> {
        self.defrag.finish();
        self.troubles(self.capture)?;
        let now = Timestamp::from_parts(self.wheel.now(), 0);
        // Nobody asks them any more, and what they take is free for the rows of these flows.
        (self.index, self.wheel) = (Index::new(), Wheel::new());
        for slot in (0..self.entries.len()).rev() {
            if (slot + 1).is_multiple_of(TOGETHER) {
                self.warm_parts((slot + 1 - TOGETHER) as u32..=slot as u32);
            }
            if self.entries[slot].used() {
                let end = self.entries[slot].silent_end(now, &self.config);
                self.hand_over(slot as u32, end)?;
            }
            if slot.is_multiple_of(GIVEN_BACK) {
                self.entries.truncate(slot);
                self.entries.shrink_to_fit();
            }
        }
        self.cold = Cold::default();
        self.sink.end()?;
        Ok((self.sink, self.summary))
    }

    /// Takes a datagram put together from fragments.
    fn datagram(&mut self, whole: &Datagram, frame: &Frame<'_>) -> Result<(), S::Error> {
        match packet::decode_reassembled(&whole.head, &whole.payload, whole.payload_len) {
            Ok(Decoded::Packet(packet)) => match self.conversation(&packet) {
                Some(conversation) => {
                    self.packet(&packet, &conversation, frame.at, whole.packets, whole.wire_bytes)
                }
                None => Ok(()),
            },
            Ok(_) => {
                self.capture_tally(frame.capture).undecoded += u64::from(whole.packets);
                Ok(())
            }
            Err(error) => {
                self.capture_tally(frame.capture).undecoded += u64::from(whole.packets);
                self.broken(frame, error, &[])
            }
        }
    }

    /// Hands over what the reassembly of fragments gave up or found odd.
    fn troubles(&mut self, capture: u32) -> Result<(), S::Error> {
        let mut lost = 0;
        for trouble in self.defrag.troubles() {
            if trouble.lost {
                lost += u64::from(trouble.packets);
            }
            if self.shard.index == 0 && self.summary.anomaly_fits() {
                let (at, error) = (trouble.first, trouble.error);
                self.sink.anomaly(&Anomaly { at, capture, flow: None, error, head: &[] })?;
            }
        }
        if lost > 0 {
            self.capture_tally(capture).undecoded += lost;
        }
        Ok(())
    }

    fn capture_tally(&mut self, capture: u32) -> &mut CaptureTally {
        let i = capture as usize;
        if self.summary.captures.len() <= i {
            self.summary.captures.resize(i + 1, CaptureTally::default());
        }
        &mut self.summary.captures[i]
    }

    fn broken(
        &mut self,
        frame: &Frame<'_>,
        error: WireError,
        bytes: &[u8],
    ) -> Result<(), S::Error> {
        if self.shard.index != 0 || !self.summary.anomaly_fits() {
            return Ok(());
        }
        let head = if error.layer.holds_addresses() { &[] } else { bytes };
        let anomaly = Anomaly { at: frame.at, capture: frame.capture, flow: None, error, head };
        self.sink.anomaly(&anomaly)
    }

    /// Lets time pass: ends the flows that have been silent too long.
    fn tick(&mut self, at: Timestamp) -> Result<(), S::Error> {
        if self.wheel.stands(at) {
            return Ok(());
        }
        let Some(second) = self.wheel.observe(at.seconds()) else { return Ok(()) };
        let mut fired = std::mem::take(&mut self.fired);
        self.wheel.advance(second, &mut fired);
        for (i, &timer) in fired.iter().enumerate() {
            if i.is_multiple_of(TOGETHER) {
                let soon = fired[i..].iter().take(TOGETHER).map(|timer| timer.0);
                self.warm_parts(soon.clone());
                self.warm_index(soon);
            }
            let entry = &self.entries[timer.0 as usize];
            if entry.generation != timer.1 {
                continue;
            }
            let due = entry.last + entry.timeout(&self.config);
            if due.seconds() < second {
                let end = entry.silent_end(Timestamp(i64::MAX), &self.config);
                self.end(timer.0, end)?;
            } else {
                self.wheel.insert(timer, due.seconds() + 1);
            }
        }
        fired.clear();
        self.fired = fired;
        Ok(())
    }

    fn packet(
        &mut self,
        packet: &Packet<'_>,
        conversation: &Conversation,
        at: Timestamp,
        packets: u32,
        frame_bytes: u64,
    ) -> Result<(), S::Error> {
        let Conversation { ref key, forward, hash } = *conversation;
        let slot = match self
            .index
            .find(hash, |i| self.entries[i as usize].key.is(key, &self.cold.wide))
        {
            Some(i) => {
                let entry = &self.entries[i as usize];
                match entry.fits(entry.direction(forward), packet, at, &self.config, &self.cold) {
                    Fit::Same => i,
                    Fit::Next(end) => {
                        self.end(i, end)?;
                        self.begin(key, hash, forward, packet, at)?
                    }
                }
            }
            None => self.begin(key, hash, forward, packet, at)?,
        };
        let entry = &mut self.entries[slot as usize];
        let direction = entry.direction(forward);
        let Engine { config, cold, .. } = self;
        let arrival = Arrival { packet, at, packets, frame_bytes };
        if let Some(bin) = entry.count(direction, &arrival, config, cold) {
            self.sink.bin(&bin)?;
        }
        if entry.just_closed() {
            // Its short wait for strays begins; the long timer is void.
            entry.generation = entry.generation.wrapping_add(1);
            let due = at + entry.timeout(&self.config);
            self.wheel.insert((slot, entry.generation), due.seconds() + 1);
        }
        if entry.undecided() && entry.concerns_reader(packet) {
            self.read(slot, direction, packet, at)?;
        }
        if self.config.segments && packet.payload_len > 0 {
            self.segment(slot, direction, packet, at)?;
        }
        Ok(())
    }

    /// Hands over a packet's payload as it came.
    fn segment(
        &mut self,
        slot: u32,
        direction: Direction,
        packet: &Packet<'_>,
        at: Timestamp,
    ) -> Result<(), S::Error> {
        let Engine { entries, scratch, sink, cold, .. } = self;
        let Cold { wide, handshakes, details, carried, .. } = &*cold;
        entries[slot as usize].describe(scratch, wide, handshakes, details, carried);
        let syn = u32::from(packet.tcp.flags & packet::Tcp::SYN != 0);
        sink.segment(&Segment {
            flow: scratch,
            at,
            direction,
            sequence: (packet.ip_protocol == 6).then(|| packet.tcp.seq.wrapping_add(syn)),
            len: packet.payload_len,
            payload: packet.payload,
        })
    }

    /// Puts a new flow into the table.
    fn begin(
        &mut self,
        key: &FlowKey,
        hash: u64,
        forward: bool,
        packet: &Packet<'_>,
        at: Timestamp,
    ) -> Result<u32, S::Error> {
        while self.index.len() >= self.config.max_flows || self.held() > self.config.memory {
            if !self.evict()? {
                break;
            }
        }
        let mut entry = Entry::new(key, forward, packet, at, &self.config, &mut self.cold);
        let due = at + entry.timeout(&self.config);
        let slot = if let Some(slot) = self.free.pop() {
            let place = &mut self.entries[slot as usize];
            entry.generation = place.generation;
            *place = entry;
            slot
        } else {
            self.entries.push(entry);
            (self.entries.len() - 1) as u32
        };
        self.wheel.insert((slot, self.entries[slot as usize].generation), due.seconds() + 1);
        self.index.insert(hash, slot);
        self.summary.peak_flows = self.summary.peak_flows.max(self.index.len() as u64);
        self.summary.peak_bytes = self.summary.peak_bytes.max(self.held() as u64);
        Ok(slot)
    }

    /// Bytes that the flows take, about.
    fn held(&self) -> usize {
        self.index.len() * PER_FLOW + self.cold.bytes() + self.buffered
    }

    /// Ends the flow that would expire next, to make room: closed ones wait a minute at most,
    /// and of the others it is the longest silent. False if there is none.
    fn evict(&mut self) -> Result<bool, S::Error> {
        while let Some((timer, second)) = self.wheel.next_due() {
            let (slot, generation) = timer;
            let entry = &self.entries[slot as usize];
            if entry.generation != generation {
                continue;
            }
            let due = (entry.last + entry.timeout(&self.config)).seconds() + 1;
            if due > second && self.wheel.reaches(second + 1) {
                // Packets came since it was put there.
                self.wheel.insert(timer, due.max(second + 1));
                continue;
            }
            self.summary.evicted += 1;
            self.end(slot, FlowEnd::Evicted)?;
            return Ok(true);
        }
        Ok(false)
    }

    /// Takes a flow out of the table and hands it over.
    fn end(&mut self, slot: u32, end: FlowEnd) -> Result<(), S::Error> {
        let entry = &mut self.entries[slot as usize];
        entry.leave();
        let key = entry.key.whole(&self.cold.wide);
        self.index.remove(key.hash(&self.shard.hash), slot);
        self.free.push(slot);
        self.hand_over(slot, end)
    }

    /// Hands a flow over that is out of the table.
    fn hand_over(&mut self, slot: u32, end: FlowEnd) -> Result<(), S::Error> {
        self.close(slot)?;
        let entry = &mut self.entries[slot as usize];
        if let Some(bin) = entry.take_bin(&mut self.cold) {
            self.sink.bin(&bin)?;
        }
        let Cold { wide, handshakes, details, carried, .. } = &self.cold;
        entry.describe(&mut self.scratch, wide, handshakes, details, carried);
        entry.hand_over(&mut self.scratch, &mut self.cold);
        self.scratch.end = end;
        self.summary.flows += 1;
        self.sink.flow(&self.scratch)
    }
}

impl Summary {
    fn anomaly_fits(&mut self) -> bool {
        if self.anomalies < ANOMALY_ROWS {
            self.anomalies += 1;
            true
        } else {
            self.anomalies_dropped += 1;
            false
        }
    }
}

fn blank() -> Flow {
    let none = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    Flow {
        id: FlowId(0),
        first: Timestamp(0),
        last: Timestamp(0),
        transport: Transport::Other(0),
        client: none,
        client_port: 0,
        server: none,
        server_port: 0,
        up: Tally::default(),
        down: Tally::default(),
        side: Side::First,
        end: FlowEnd::CaptureEnd,
        facts: Facts::default(),
        rtt_server: None,
        rtt_client: None,
        rtt_data: None,
        syn_fingerprint: None,
        tunnel: None,
        vlan: None,
        heads: [Vec::new(), Vec::new()],
        sample: None,
        sizes: None,
        gaps: None,
    }
}

#[cfg(test)]
mod tests;
