//! What TCP tells of a flow: opening and end, retransmissions, round trips.

use ottoscope_wire::packet::{Packet, Tcp};

use super::{Entry, flag};
use crate::cold::{Cold, UNKNOWN};
use crate::model::Direction;
use crate::time::Timestamp;

impl Entry {
    /// Counts a segment of TCP: sequence numbers, round trips, SYN, FIN and RST.
    pub(super) fn tcp(
        &mut self,
        direction: Direction,
        packet: &Packet<'_>,
        at: Timestamp,
        cold: &mut Cold,
    ) {
        let d = direction.index();
        let tcp = &packet.tcp;
        let tcp_flags = tcp.flags;
        let mut length = packet.payload_len;
        if tcp_flags & (Tcp::SYN | Tcp::FIN | Tcp::RST) != 0 {
            length += u32::from(tcp_flags & Tcp::SYN != 0) + u32::from(tcp_flags & Tcp::FIN != 0);
            self.control(direction, packet, at, cold);
        }
        if length > 0 {
            let end = tcp.seq.wrapping_add(length);
            if !self.has(flag::SEQUENCE << d) {
                self.flags |= flag::SEQUENCE << d;
                self.next[d] = end;
            } else if (end.wrapping_sub(self.next[d]) as i32) > 0 {
                self.next[d] = end;
                if direction == Direction::Up && packet.payload_len > 0 && !self.has(flag::TIMED) {
                    self.flags |= flag::TIMED;
                    (self.timed_end, self.timed_at) = (end, at);
                }
            } else {
                self.retransmitted[d] = self.retransmitted[d].saturating_add(1);
                if direction == Direction::Up {
                    self.flags &= !flag::TIMED; // Karn: a repeated segment times nothing
                }
            }
        }
        if tcp_flags & Tcp::ACK != 0 {
            self.acknowledgement(direction, packet, at, cold);
        }
    }

    /// Counts SYN, FIN and RST.
    fn control(
        &mut self,
        direction: Direction,
        packet: &Packet<'_>,
        at: Timestamp,
        cold: &mut Cold,
    ) {
        let d = direction.index();
        let tcp_flags = packet.tcp.flags;
        if tcp_flags & Tcp::SYN != 0 {
            self.syn(direction, packet, at, cold);
            self.flags |= flag::SYN << d;
        }
        let handshake = cold.handshakes.own(&mut self.handshake);
        if tcp_flags & Tcp::FIN != 0 {
            handshake.fin[d] = handshake.fin[d].saturating_add(1);
            self.flags |= flag::FIN << d;
        }
        if tcp_flags & Tcp::RST != 0 {
            handshake.rst[d] = handshake.rst[d].saturating_add(1);
            self.flags |= flag::RESET;
        }
    }

    fn syn(&mut self, direction: Direction, packet: &Packet<'_>, at: Timestamp, cold: &mut Cold) {
        let d = direction.index();
        let repeated = self.has(flag::SYN << d);
        let answer = packet.tcp.flags & Tcp::ACK != 0;
        let fresh = !answer && direction == Direction::Up;
        let fingerprint = fresh.then(|| cold.fingerprints.of(packet));
        let handshake = cold.handshakes.own(&mut self.handshake);
        handshake.syn[d] = handshake.syn[d].saturating_add(1);
        handshake.syn_sequence[d] = packet.tcp.seq;
        let asked = self.flags & flag::ASKED != 0;
        if answer || fresh {
            self.flags &= !flag::ASKED;
        }
        if answer {
            if asked {
                let rtt = u64::try_from(at.0.wrapping_sub(handshake.server as i64));
                let heard = direction == Direction::Down;
                handshake.server = rtt.ok().filter(|_| heard).unwrap_or(UNKNOWN);
            }
            if self.flags & flag::ANSWERED != 0 {
                handshake.client = UNKNOWN;
            }
            self.flags &= !flag::ANSWERED;
            if !repeated {
                self.flags |= flag::ANSWERED;
                handshake.client = at.0 as u64;
            }
        } else if fresh {
            if asked {
                handshake.server = UNKNOWN;
            }
            if !repeated {
                self.flags |= flag::ASKED;
                handshake.server = at.0 as u64;
            }
            if handshake.syn_fingerprint.is_none() {
                handshake.syn_fingerprint = fingerprint;
            }
        }
    }

    fn acknowledgement(
        &mut self,
        direction: Direction,
        packet: &Packet<'_>,
        at: Timestamp,
        cold: &mut Cold,
    ) {
        match direction {
            Direction::Down => {
                if self.has(flag::TIMED)
                    && (packet.tcp.ack.wrapping_sub(self.timed_end) as i32) >= 0
                {
                    self.flags &= !flag::TIMED;
                    if let Ok(rtt) = u64::try_from((at - self.timed_at).0) {
                        self.rtt_data = self.rtt_data.min(rtt);
                    }
                }
            }
            // The SYN/ACK that may wait for it was the server's or, where sides were guessed
            // wrong, anybody's.
            Direction::Up => {
                if self.has(flag::ANSWERED)
                    && packet.tcp.flags & Tcp::SYN == 0
                    && let Some(handshake) = self.handshake
                {
                    self.flags &= !flag::ANSWERED;
                    let client = &mut cold.handshakes[handshake].client;
                    let rtt = u64::try_from(at.0.wrapping_sub(*client as i64));
                    *client = rtt.unwrap_or(UNKNOWN);
                }
            }
        }
    }
}
