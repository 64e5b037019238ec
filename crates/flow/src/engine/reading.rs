//! Payload on its way to whoever reads the flow, and what they say on its way to the sink.

use std::cell::RefCell;

use ottoscope_wire::WireError;
use ottoscope_wire::packet::Packet;

use super::Engine;
use super::session::Session;
use crate::cold::{Cold, Live, Place, Slab};
use crate::dissector::signature::SignatureSet;
use crate::dissector::{Emit, Emitted};
use crate::entry::Entry;
use crate::model::{Anomaly, Direction, Facts, Message, Transport};
use crate::sink::Sink;
use crate::stream::Stream;
use crate::time::Timestamp;

/// What reading needs beside an [`Emit`].
struct Readers<'a> {
    lives: &'a mut Slab<Live>,
    streams: &'a mut Slab<[Stream; 2]>,
    signatures: &'a SignatureSet,
}

impl<S: Sink> Engine<S> {
    /// Lets the dissector say its last words.
    pub(super) fn close(&mut self, slot: u32) -> Result<(), S::Error> {
        let Some(place) = self.entries[slot as usize].live.take() else { return Ok(()) };
        let live = self.cold.let_go(place);
        self.buffered -= live.held as usize;
        self.last_words(slot, live, self.entries[slot as usize].last)
    }

    fn last_words(&mut self, slot: u32, mut live: Live, at: Timestamp) -> Result<(), S::Error> {
        if live.reads() { self.with_emit(slot, |emit, _| live.close(at, emit)).1 } else { Ok(()) }
    }

    /// Offers a packet's payload to whoever reads the flow.
    pub(super) fn read(
        &mut self,
        slot: u32,
        direction: Direction,
        packet: &Packet<'_>,
        at: Timestamp,
    ) -> Result<(), S::Error> {
        let entry = &mut self.entries[slot as usize];
        let place = match entry.live {
            Some(place) => place,
            None => self.begin_reading(slot),
        };
        let limit =
            if self.buffered > self.config.total_buffer { 0 } else { self.config.stream_buffer };
        let ports = self.entries[slot as usize].ports();
        let (keep, result) = self.with_emit(slot, |emit, readers| {
            let Live { streams, reader, refused, beside, looked, .. } = &mut readers.lives[place];
            let streams = streams.map(|streams| &mut readers.streams[streams]);
            let mut session = Session {
                reader,
                refused,
                beside,
                looked,
                signatures: readers.signatures,
                transport: Transport::from_ip(packet.ip_protocol),
                ports,
                at,
                emit,
            };
            match streams {
                Some(streams) => session.segment(streams, direction, packet, limit),
                None => session.datagram(direction, packet),
            }
        });
        let entry = &mut self.entries[slot as usize];
        if keep {
            let live = &mut self.cold.lives[place];
            if let Some(streams) = live.streams.map(|streams| &self.cold.streams[streams]) {
                let held = streams[0].held() + streams[1].held();
                let held = u32::try_from(held).unwrap_or(u32::MAX);
                self.buffered = self.buffered + held as usize - live.held as usize;
                live.held = held;
                entry.set_hole(streams.iter().any(Stream::has_hole));
            }
            return result;
        }
        entry.live = None;
        entry.decide();
        let live = self.cold.let_go(place);
        self.buffered -= live.held as usize;
        result.and(self.last_words(slot, live, at))
    }

    /// Makes place for whoever will read the flow, with its streams where its SYNs say.
    fn begin_reading(&mut self, slot: u32) -> Place {
        let place = self.cold.lives.add();
        let entry = &mut self.entries[slot as usize];
        entry.live = Some(place);
        if entry.transport() == Transport::Tcp {
            let syns = [entry.syn_of(0, &self.cold), entry.syn_of(1, &self.cold)];
            let streams = self.cold.streams.own(&mut self.cold.lives[place].streams);
            for (stream, syn) in streams.iter_mut().zip(syns) {
                if let Some(syn) = syn {
                    stream.start(syn.wrapping_add(1));
                }
            }
        }
        place
    }

    /// Runs `work` with an [`Emit`] that leads to the sink, and reports the sink's first error.
    fn with_emit<T>(
        &mut self,
        slot: u32,
        work: impl FnOnce(&mut Emit<'_>, Readers<'_>) -> T,
    ) -> (T, Result<(), S::Error>) {
        let Engine { config, sink, entries, scratch, summary, capture, cold, signatures, .. } =
            self;
        let Cold { wide, details, facts: known, handshakes, carried, said, lives, streams, .. } =
            cold;
        let entry = &mut entries[slot as usize];
        let told = entry.detail.and_then(|detail| details[detail].facts);
        let mut nothing = Facts::default();
        let facts = told.map_or(&mut nothing, |place| &mut known[place]);
        let ports = entry.ports();
        let entry_ref: &Entry = entry;
        let id = entry_ref.id;
        let state = RefCell::new((sink, summary, None::<S::Error>));
        let mut messages =
            |at: Timestamp, direction: Direction, facts: &mut Facts, m: &Emitted<'_>| {
                let (sink, summary, failed) = &mut *state.borrow_mut();
                if failed.is_some() {
                    return;
                }
                entry_ref.describe(scratch, wide, handshakes, details, carried);
                scratch.tunnel = None;
                std::mem::swap(&mut scratch.facts, facts);
                let message = Message {
                    flow: scratch,
                    at,
                    direction,
                    protocol: m.protocol,
                    kind: m.kind,
                    name: m.name,
                    opcode: m.opcode,
                    sequence: m.sequence,
                    len: m.len,
                    head: m.head,
                    body: m.body,
                };
                summary.messages += 1;
                *failed = sink.message(&message).err();
                std::mem::swap(&mut scratch.facts, facts);
            };
        let capture = *capture;
        let mut anomalies = |at: Timestamp, error: WireError, bytes: &[u8]| {
            let (sink, summary, failed) = &mut *state.borrow_mut();
            if failed.is_none() && summary.anomaly_fits() {
                let anomaly = Anomaly { at, capture, flow: Some(id), error, head: bytes };
                *failed = sink.anomaly(&anomaly).err();
            }
        };
        let mut emit = Emit {
            facts,
            transport: entry_ref.transport(),
            ports,
            every_packet: config.every_packet,
            video_packets: config.video_packets,
            said,
            messages: &mut messages,
            anomalies: &mut anomalies,
        };
        let done = work(&mut emit, Readers { lives, streams, signatures });
        let failed = state.into_inner().2;
        if !nothing.are_none() {
            let place = details.own(&mut entry.detail).facts.get_or_insert_with(|| known.add());
            known[*place] = nothing;
        }
        (done, failed.map_or(Ok(()), Err))
    }
}
