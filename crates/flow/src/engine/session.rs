//! One packet's way through probing and dissection.

use ottoscope_wire::packet::{self, Packet};

use crate::cold::{Live, Reader};
use crate::dissector::{
    ALL, BY_FIRST_BYTE, Dissector, Emit, Match, Probe, Progress, signature::SignatureSet,
};
use crate::model::{Direction, Transport};
use crate::stream::{Piece, Stream, Taken};
use crate::time::Timestamp;

/// Payload packets after which an unrecognised flow costs only counters.
const LOOK_PACKETS: u32 = 16;

/// Bytes of one direction after which an unrecognised TCP flow costs only counters.
const LOOK_BYTES: usize = 8 * 1024;

/// One packet's way through probing and dissection.
pub(super) struct Session<'s, 'e> {
    pub(super) reader: &'s mut Reader,
    pub(super) refused: &'s mut u32,
    pub(super) beside: &'s mut Option<Box<dyn Dissector>>,
    pub(super) looked: &'s mut u32,
    pub(super) signatures: &'s SignatureSet,
    pub(super) transport: Transport,
    pub(super) ports: (u16, u16),
    pub(super) at: Timestamp,
    pub(super) emit: &'s mut Emit<'e>,
}

impl Session<'_, '_> {
    /// Reads a datagram. Returns whether the flow is still worth reading.
    pub(super) fn datagram(&mut self, direction: Direction, packet: &Packet<'_>) -> bool {
        if packet.payload.is_empty() {
            return true;
        }
        *self.looked += 1;
        if matches!(self.reader, Reader::Probing(_)) {
            // A later datagram may be what an earlier one was not.
            self.probe_anew();
        }
        let taken = self.offer(direction, packet.payload);
        if let Reader::Reading(_, index) = self.reader
            && ALL.get(usize::from(*index)).is_some_and(|protocol| protocol.shared)
        {
            self.look_beside(direction, packet.payload);
        }
        !matches!(taken, Taken::Stop)
            && (matches!(self.reader, Reader::Reading(..)) || *self.looked < LOOK_PACKETS)
    }

    /// Lets a catalogue signature look at datagrams that a shared protocol's dissector reads.
    /// Only what it learns of the flow counts; the messages are the dissector's.
    fn look_beside(&mut self, direction: Direction, bytes: &[u8]) {
        if self.beside.is_none() {
            if self.emit.facts.signature.is_some() || *self.looked > LOOK_PACKETS {
                return;
            }
            let probe = Probe {
                transport: self.transport,
                direction,
                server_port: self.ports.1,
                client_port: self.ports.0,
                bytes,
            };
            *self.beside = self.signatures.probe(&probe).1;
        }
        let Some(signature) = self.beside else { return };
        let at = self.at;
        let progress = silently(self.emit, |emit| signature.data(at, direction, bytes, emit));
        if matches!(progress, Progress::Done | Progress::NotMine) {
            *self.beside = None;
        }
    }

    /// Reads a TCP segment. Returns whether the flow is still worth reading.
    pub(super) fn segment(
        &mut self,
        streams: &mut [Stream; 2],
        direction: Direction,
        packet: &Packet<'_>,
        limit: usize,
    ) -> bool {
        let d = direction.index();
        let tcp = &packet.tcp;
        if tcp.flags & packet::Tcp::SYN != 0 {
            streams[d].start(tcp.seq.wrapping_add(1));
        }
        let probing = matches!(self.reader, Reader::Probing(_));
        let mut taken = Taken::Used(0);
        if tcp.flags & packet::Tcp::ACK != 0 && tcp.flags & packet::Tcp::SYN == 0 {
            let mut read = |piece: Piece<'_>| self.piece(direction.flipped(), &piece);
            taken = streams[1 - d].acknowledged(tcp.ack, limit, &mut read);
        }
        if packet.payload_len > 0 && matches!(taken, Taken::Used(_)) {
            *self.looked += 1;
            let sequence = tcp.seq.wrapping_add(u32::from(tcp.flags & packet::Tcp::SYN != 0));
            let mut read = |piece: Piece<'_>| self.piece(direction, &piece);
            taken = streams[d].segment(
                sequence,
                packet.payload,
                packet.payload_len as usize,
                limit,
                &mut read,
            );
        }
        if probing && matches!(self.reader, Reader::Reading(..)) {
            // What the other direction held back while nobody read it.
            if matches!(taken, Taken::Used(_)) {
                let mut read = |piece: Piece<'_>| self.piece(direction.flipped(), &piece);
                taken = streams[1 - d].again(&mut read);
            }
        }
        match *self.reader {
            Reader::Probing(no) => {
                let all = ((1 << ALL.len()) - 1) | (1 << SIGNATURE_BIT);
                let silent = |d: usize| streams[d].unused().is_empty() || no[d] == all;
                let hopeless = silent(0) && silent(1) && (no[0] == all || no[1] == all);
                let long = streams.iter().any(|s| s.unused().len() > LOOK_BYTES);
                matches!(taken, Taken::Used(_))
                    && !long
                    && *self.looked < LOOK_PACKETS
                    && !(hopeless && *self.looked > 2)
            }
            Reader::Reading(..) => matches!(taken, Taken::Used(_)),
        }
    }

    fn probe_anew(&mut self) {
        *self.reader = Reader::Probing([*self.refused; 2]);
    }

    fn piece(&mut self, direction: Direction, piece: &Piece<'_>) -> Taken {
        match piece {
            Piece::Bytes(bytes) => self.offer(direction, bytes),
            Piece::Gap(missing) => match &mut *self.reader {
                Reader::Probing(_) => Taken::Used(0),
                Reader::Reading(dissector, _) => {
                    match dissector.gap(direction, *missing, self.emit) {
                        Progress::Done => Taken::Stop,
                        Progress::Used(_) => Taken::Used(0),
                        Progress::Switch(_) | Progress::NotMine => {
                            self.probe_anew();
                            Taken::Used(0)
                        }
                    }
                }
            },
        }
    }

    /// Offers in-order bytes (or a datagram) to the dissector, finding one first where there is
    /// none. Loops where a dissector hands over to another.
    fn offer(&mut self, direction: Direction, bytes: &[u8]) -> Taken {
        let mut used = 0;
        // Each turn uses bytes or rejects a protocol, so this ends; the bound is a belt.
        for _ in 0..2 * ALL.len() + 4 {
            let rest = &bytes[used..];
            if rest.is_empty() {
                break;
            }
            match &mut *self.reader {
                Reader::Probing(no) => {
                    let probe = Probe {
                        transport: self.transport,
                        direction,
                        server_port: self.ports.1,
                        client_port: self.ports.0,
                        bytes: rest,
                    };
                    match find(&probe, &mut no[direction.index()], self.signatures) {
                        Some(reader) => *self.reader = reader,
                        None => break,
                    }
                }
                Reader::Reading(dissector, index) => {
                    let index = *index;
                    match dissector.data(self.at, direction, rest, self.emit) {
                        Progress::Used(n) => {
                            used += n.min(rest.len());
                            break;
                        }
                        Progress::Done => return Taken::Stop,
                        Progress::Switch(n) => {
                            used += n.min(rest.len());
                            *self.refused = 0;
                            self.probe_anew();
                        }
                        Progress::NotMine => {
                            *self.refused |= 1 << index.min(SIGNATURE_BIT);
                            self.probe_anew();
                        }
                    }
                }
            }
        }
        Taken::Used(used)
    }
}

impl Live {
    /// Whether somebody has last words to say.
    pub(super) fn reads(&self) -> bool {
        self.beside.is_some() || matches!(self.reader, Reader::Reading(..))
    }

    /// Lets the dissectors say their last words.
    pub(super) fn close(&mut self, at: Timestamp, emit: &mut Emit<'_>) {
        if let Some(signature) = &mut self.beside {
            silently(emit, |emit| signature.close(at, emit));
        }
        if let Reader::Reading(dissector, _) = &mut self.reader {
            dissector.close(at, emit);
        }
    }
}

/// Runs `work` so that only the facts it finds come through.
fn silently<T>(emit: &mut Emit<'_>, work: impl FnOnce(&mut Emit<'_>) -> T) -> T {
    work(&mut Emit {
        facts: emit.facts,
        transport: emit.transport,
        ports: emit.ports,
        every_packet: false,
        video_packets: false,
        said: emit.said,
        messages: &mut |_, _, _, _| {},
        anomalies: &mut |_, _, _| {},
    })
}

/// Bit of the catalogue's signatures among the protocols that said no.
const SIGNATURE_BIT: u8 = 31;

const _: () = assert!(ALL.len() <= SIGNATURE_BIT as usize, "more protocols than bits");

/// The first protocol that knows the bytes, then the catalogue's signatures.
fn find(probe: &Probe<'_>, no: &mut u32, signatures: &SignatureSet) -> Option<Reader> {
    let mut open = false;
    let table = &BY_FIRST_BYTE[usize::from(probe.transport != Transport::Tcp)];
    let may = probe.bytes.first().map_or(0, |byte| table[usize::from(*byte)]);
    *no |= !may & ((1 << ALL.len()) - 1);
    let mut asked = may & !*no;
    while asked != 0 {
        let i = asked.trailing_zeros() as u8;
        asked &= asked - 1;
        let protocol = ALL[usize::from(i)];
        match protocol.ask(probe) {
            Match::Yes => return Some(Reader::Reading((protocol.open)(), i)),
            Match::No => *no |= 1 << i,
            Match::Maybe => open = true,
        }
    }
    if *no >> SIGNATURE_BIT & 1 == 0 && !open {
        match signatures.probe(probe) {
            (Match::Yes, Some(dissector)) => {
                return Some(Reader::Reading(dissector, SIGNATURE_BIT));
            }
            (Match::No, _) => *no |= 1 << SIGNATURE_BIT,
            _ => {}
        }
    }
    None
}
