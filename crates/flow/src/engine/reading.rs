//! Payload on its way to whoever reads the flow, and what they say on its way to the sink.

use std::cell::RefCell;
use std::sync::Arc;

use ottoscope_wire::WireError;
use ottoscope_wire::packet::Packet;

use super::Engine;
use super::session::Session;
use crate::cold::{Detail, Live};
use crate::dissector::{Emit, Emitted};
use crate::entry::Entry;
use crate::model::{Anomaly, Direction, Facts, Message, Transport};
use crate::sink::Sink;
use crate::time::Timestamp;

impl<S: Sink> Engine<S> {
    /// Lets the dissector say its last words.
    pub(super) fn close(&mut self, slot: u32) -> Result<(), S::Error> {
        let Some(live) = self.entries[slot as usize].live.take() else { return Ok(()) };
        self.buffered -= live.held;
        self.last_words(slot, live, self.entries[slot as usize].last)
    }

    fn last_words(
        &mut self,
        slot: u32,
        mut live: Box<Live>,
        at: Timestamp,
    ) -> Result<(), S::Error> {
        let result =
            if live.reads() { self.with_emit(slot, |emit| live.close(at, emit)).1 } else { Ok(()) };
        self.cold.lives.give(live);
        result
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
        let mut live = match entry.live.take() {
            Some(live) => live,
            None => {
                let mut live = self.cold.lives.take();
                if packet.ip_protocol == 6 {
                    let streams = live.streams.get_or_insert_default();
                    for (d, stream) in streams.iter_mut().enumerate() {
                        if let Some(syn) = entry.syn_of(d) {
                            stream.start(syn.wrapping_add(1));
                        }
                    }
                }
                live
            }
        };
        let before = live.held;
        let signatures = Arc::clone(&self.signatures);
        let limit =
            if self.buffered > self.config.total_buffer { 0 } else { self.config.stream_buffer };
        let ports = entry.ports();
        let (keep, result) = self.with_emit(slot, |emit| {
            let Live { streams, reader, refused, beside, looked, .. } = &mut *live;
            let mut session = Session {
                reader,
                refused,
                beside,
                looked,
                signatures: &signatures,
                transport: Transport::from_ip(packet.ip_protocol),
                ports,
                at,
                emit,
            };
            match streams {
                Some(streams) if packet.ip_protocol == 6 => {
                    session.segment(streams, direction, packet, limit)
                }
                _ => session.datagram(direction, packet),
            }
        });
        if keep {
            live.held = live.streams.as_deref().map_or(0, |s| s[0].held() + s[1].held());
            self.buffered = self.buffered + live.held - before;
            self.entries[slot as usize].live = Some(live);
            return result;
        }
        self.buffered -= before;
        self.entries[slot as usize].decide();
        result.and(self.last_words(slot, live, at))
    }

    /// Runs `work` with an [`Emit`] that leads to the sink, and reports the sink's first error.
    fn with_emit<T>(
        &mut self,
        slot: u32,
        work: impl FnOnce(&mut Emit<'_>) -> T,
    ) -> (T, Result<(), S::Error>) {
        let Engine { config, sink, entries, scratch, summary, capture, cold, .. } = self;
        let entry = &mut entries[slot as usize];
        cold.detail(&mut entry.detail);
        let mut detail: Box<Detail> = entry.detail.take().unwrap_or_default();
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
                entry_ref.describe(scratch);
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
            facts: &mut detail.facts,
            transport: entry_ref.transport(),
            ports,
            every_packet: config.every_packet,
            hellos: &mut cold.hellos,
            messages: &mut messages,
            anomalies: &mut anomalies,
        };
        let done = work(&mut emit);
        let failed = state.into_inner().2;
        entry.detail = Some(detail);
        (done, failed.map_or(Ok(()), Err))
    }
}
