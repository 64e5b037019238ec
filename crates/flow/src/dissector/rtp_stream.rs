//! The statistics of one RTP stream, kept without allocation however long it runs.

use ottoscope_wire::rtp::{Packet, static_type};
use ottoscope_wire::{Fields, Value};

use crate::model::Direction;
use crate::time::Timestamp;

/// Clock rates that media use, hertz.
pub const CLOCKS: [u32; 7] = [8_000, 16_000, 24_000, 32_000, 44_100, 48_000, 90_000];
/// How far the measured rate may lie from the clock it is taken for.
const CLOCK_TOLERANCE: f64 = 0.12;
/// Media time needed to measure a clock, seconds.
const CLOCK_BASE: f64 = 1.0;
/// Gap in numbers that is a restart and not loss (RFC 3550 A.1).
const MAX_DROPOUT: u16 = 3000;
/// Numbers behind the highest that are late and not a restart.
const WINDOW: u32 = 128;
/// Payload types counted apart.
const MAX_TYPES: usize = 4;
/// Step of a stream on trial: numbers may skip a little.
const TRIAL_STEP: u16 = 16;
/// The fastest clock believed of a stream on trial, hertz, with room for bursts, see
/// [`RtpStream::continues`].
const TRIAL_CLOCK: i64 = 200_000;

/// One source's packets in one direction of a flow.
#[derive(Debug, Clone, PartialEq)]
pub struct RtpStream {
    /// Which way it runs.
    pub direction: Direction,
    /// Synchronisation source.
    pub ssrc: u32,
    /// Packets of each payload type, the first four types; see [`RtpStream::payload_type`].
    pub types: [(u8, u64); MAX_TYPES],
    /// Packets, duplicates included.
    pub packets: u64,
    /// Payload bytes, headers and padding excluded.
    pub payload_bytes: u64,
    /// Packets with the marker bit.
    pub markers: u64,
    /// Time of the first packet.
    pub first: Timestamp,
    /// Time of the last packet.
    pub last: Timestamp,
    /// First sequence number.
    pub sequence_first: u16,
    /// Last sequence number.
    pub sequence_last: u16,
    /// First RTP timestamp.
    pub timestamp_first: u32,
    /// Last RTP timestamp.
    pub timestamp_last: u32,
    /// Packets whose number had been seen before.
    pub duplicates: u64,
    /// Packets behind a higher number.
    pub out_of_order: u64,
    /// Restarts of the numbers.
    pub resets: u64,
    /// Expected packets of the numberings that ended with a restart.
    expected_before: u64,
    /// Lowest and highest extended number of the current numbering.
    lowest: u64,
    highest: u64,
    /// Bit n: the number `highest - n` was seen.
    seen: u128,
    /// The number that would confirm a restart (RFC 3550 A.1).
    restart: Option<u16>,
    /// Timestamp units and nanoseconds between consecutive packets, summed, jumps left out.
    units: i64,
    nanos: i64,
    /// RFC 3550 A.8 jitter in timestamp units, for each clock it might be.
    jitters: [f64; CLOCKS.len()],
}

impl RtpStream {
    /// A stream that starts with this packet.
    pub(super) fn start(at: Timestamp, direction: Direction, packet: &Packet<'_>) -> Self {
        let base = 1 << 32 | u64::from(packet.sequence); // room for what came before
        let mut stream = RtpStream {
            direction,
            ssrc: packet.ssrc,
            types: [(0, 0); MAX_TYPES],
            packets: 0,
            payload_bytes: 0,
            markers: 0,
            first: at,
            last: at,
            sequence_first: packet.sequence,
            sequence_last: packet.sequence,
            timestamp_first: packet.timestamp,
            timestamp_last: packet.timestamp,
            duplicates: 0,
            out_of_order: 0,
            resets: 0,
            expected_before: 0,
            lowest: base,
            highest: base,
            seen: 1,
            restart: None,
            units: 0,
            nanos: 0,
            jitters: [0.0; CLOCKS.len()],
        };
        stream.count(packet);
        stream
    }

    /// Whether a packet carries a stream on trial on: number a little higher, same payload
    /// type, media time not going back and not faster than any clock.
    pub(super) fn continues(&self, at: Timestamp, packet: &Packet<'_>) -> bool {
        let step = packet.sequence.wrapping_sub(self.sequence_last);
        let units = i64::from(packet.timestamp.wrapping_sub(self.timestamp_last) as i32);
        // Within ten seconds of what the clock gave since: senders stamp when they capture.
        let micros = (at - self.last).0 / 1000;
        let most = micros.saturating_add(10_000_000).saturating_mul(TRIAL_CLOCK) / 1_000_000;
        (1..=TRIAL_STEP).contains(&step)
            && packet.payload_type == self.types[0].0
            && (0..=most).contains(&units)
    }

    /// Whether it is the last packet over again.
    pub(super) fn repeats(&self, packet: &Packet<'_>) -> bool {
        packet.sequence == self.sequence_last && packet.timestamp == self.timestamp_last
    }

    fn count(&mut self, packet: &Packet<'_>) {
        self.packets += 1;
        self.payload_bytes += packet.payload.len() as u64;
        self.markers += u64::from(packet.marker);
        let kind = packet.payload_type;
        if let Some(slot) = self.types.iter_mut().find(|t| t.1 == 0 || t.0 == kind) {
            *slot = (kind, slot.1 + 1);
        }
    }

    /// Takes the next packet in order of arrival.
    pub(super) fn take(&mut self, at: Timestamp, packet: &Packet<'_>) {
        self.count(packet);
        let ahead = packet.sequence.wrapping_sub(self.highest as u16);
        let behind = u32::from(ahead.wrapping_neg());
        if (1..MAX_DROPOUT).contains(&ahead) {
            self.highest += u64::from(ahead);
            self.seen = self.seen.checked_shl(ahead.into()).unwrap_or(0) | 1;
            self.media_time(at, packet);
            (self.restart, self.sequence_last) = (None, packet.sequence);
            self.timestamp_last = packet.timestamp;
        } else if behind < WINDOW {
            let bit = 1u128 << behind;
            if self.seen & bit != 0 {
                self.duplicates += 1;
            } else {
                self.seen |= bit;
                self.out_of_order += 1;
                self.lowest = self.lowest.min(self.highest.saturating_sub(behind.into()));
            }
        } else if self.restart == Some(packet.sequence) {
            self.restart_at(packet);
        } else {
            // Lone strays are late packets; the second in a row starts the numbers anew.
            self.out_of_order += 1;
            self.restart = Some(packet.sequence.wrapping_add(1));
        }
        self.last = self.last.max(at);
    }

    fn restart_at(&mut self, packet: &Packet<'_>) {
        self.resets += 1;
        self.out_of_order = self.out_of_order.saturating_sub(1); // it was the restart's first
        self.expected_before += self.highest - self.lowest + 1;
        self.highest = 1 << 32 | u64::from(packet.sequence);
        self.lowest = self.highest - 1;
        self.seen = 0b11;
        self.restart = None;
        self.sequence_last = packet.sequence;
        self.timestamp_last = packet.timestamp;
    }

    /// Clock and jitter from this packet and the one before it.
    fn media_time(&mut self, at: Timestamp, packet: &Packet<'_>) {
        let units = i64::from(packet.timestamp.wrapping_sub(self.timestamp_last) as i32);
        let nanos = (at - self.last).0;
        // Pauses and restarts of the media clock are no jitter: 10 s at the fastest clock.
        if !(-900_000..=900_000).contains(&units) || !(0..=10_000_000_000).contains(&nanos) {
            return;
        }
        self.units += units;
        self.nanos += nanos;
        for (jitter, clock) in self.jitters.iter_mut().zip(CLOCKS) {
            let late = nanos as f64 * 1e-9 * f64::from(clock) - units as f64;
            *jitter += (late.abs() - *jitter) / 16.0;
        }
    }

    /// The payload type of most packets.
    pub fn payload_type(&self) -> u8 {
        self.types.iter().rev().max_by_key(|t| t.1).map_or(0, |t| t.0)
    }

    /// Packets that should have come, by the numbers (RFC 3550 A.3).
    pub fn expected(&self) -> u64 {
        self.expected_before + (self.highest - self.lowest + 1)
    }

    /// Packets that did not come; duplicates do not make up for them.
    pub fn lost(&self) -> u64 {
        self.expected().saturating_sub(self.packets - self.duplicates)
    }

    /// The clock rate, hertz: that of a static payload type, else the media's usual rate that
    /// the timestamps run at. `None` where neither tells.
    pub fn clock_rate(&self) -> Option<u32> {
        if let Some((rate, _)) = static_type(self.payload_type()) {
            return Some(rate);
        }
        let seconds = self.nanos as f64 * 1e-9;
        let measured = self.units as f64 / seconds;
        let off = |clock: &u32| (measured / f64::from(*clock) - 1.0).abs();
        let near = CLOCKS.into_iter().min_by(|a, b| off(a).total_cmp(&off(b)))?;
        (seconds >= CLOCK_BASE && off(&near) <= CLOCK_TOLERANCE).then_some(near)
    }

    /// RFC 3550 A.8 interarrival jitter at the stream's end, in timestamp units, where the
    /// clock is known.
    pub fn jitter(&self) -> Option<f64> {
        let clock = self.clock_rate()?;
        // Static types of other rates (11,025 and 22,050 Hz) have no jitter here.
        let place = CLOCKS.iter().position(|c| *c == clock)?;
        Some(self.jitters[place])
    }
}

impl Fields for RtpStream {
    fn fields(&self, each: &mut dyn FnMut(&'static str, Value<'_>)) {
        each("ssrc", Value::Hex(self.ssrc.into()));
        each("payload_type", Value::Number(self.payload_type().into()));
        let main = self.payload_type();
        for (kind, _) in self.types.iter().filter(|t| t.1 > 0 && t.0 != main) {
            each("other_payload_type", Value::Number((*kind).into()));
        }
        each("packets", Value::Number(self.packets));
        each("payload_bytes", Value::Number(self.payload_bytes));
        each("markers", Value::Number(self.markers));
        each("expected", Value::Number(self.expected()));
        each("lost", Value::Number(self.lost()));
        each("duplicates", Value::Number(self.duplicates));
        each("out_of_order", Value::Number(self.out_of_order));
        each("resets", Value::Number(self.resets));
        each("sequence_first", Value::Number(self.sequence_first.into()));
        each("sequence_last", Value::Number(self.sequence_last.into()));
        each("timestamp_first", Value::Number(self.timestamp_first.into()));
        each("timestamp_last", Value::Number(self.timestamp_last.into()));
        each("duration_us", Value::Number(((self.last - self.first).0 / 1000).max(0) as u64));
        if let Some(rate) = self.clock_rate() {
            each("clock_rate", Value::Number(rate.into()));
        }
        if let Some(jitter) = self.jitter() {
            each("jitter", Value::Number(jitter.round() as u64));
        }
    }
}
