//! What is kept beside an entry of packets' content: the tunnel, first bytes, sizes and gaps.

use ottoscope_wire::packet::{Encapsulation, Packet};

use super::{Entry, flag};
use crate::cold::{Cold, HEAD, Sampled};
use crate::config::Config;
use crate::model::{Direction, Tunnel};
use crate::time::Span;

impl Entry {
    /// Keeps the tunnel's ends and ids, each as it was first seen.
    pub(super) fn tunnel(&mut self, direction: Direction, outer: &Encapsulation, cold: &mut Cold) {
        let known = flag::TUNNEL << direction.index();
        if self.has(known) && (outer.qfi.is_none() || self.has(flag::QFI)) {
            return;
        }
        let detail = cold.details.own(&mut self.detail);
        let (client_side, server_side) = match direction {
            Direction::Up => (outer.source, outer.destination),
            Direction::Down => (outer.destination, outer.source),
        };
        let tunnel = cold.tunnels.own(&mut detail.tunnel).get_or_insert(Tunnel {
            kind: outer.kind,
            client_side,
            server_side,
            id_up: None,
            id_down: None,
            qfi: None,
        });
        let id = match direction {
            Direction::Up => &mut tunnel.id_up,
            Direction::Down => &mut tunnel.id_down,
        };
        *id = id.or(outer.id);
        tunnel.qfi = tunnel.qfi.or(outer.qfi);
        if id.is_some() {
            self.flags |= known;
        }
        if tunnel.qfi.is_some() {
            self.flags |= flag::QFI;
        }
    }

    /// Keeps the first payload bytes of a direction.
    pub(super) fn keep_head(
        &mut self,
        d: usize,
        packet: &Packet<'_>,
        config: &Config,
        cold: &mut Cold,
    ) {
        let syn = if packet.ip_protocol == 6 { self.syn_of(d, cold) } else { None };
        let detail = cold.details.own(&mut self.detail);
        let long = config.head_bytes > HEAD;
        let long = long.then(|| &mut cold.sampled.own(&mut detail.sampled).heads[d]);
        let len = long.as_ref().map_or(detail.head(d).len(), |head| head.len());
        // A head is the first datagram's, or the stream's first bytes: what follows the SYN.
        let expected = match syn {
            Some(syn) => syn.wrapping_add(1).wrapping_add(len as u32) == packet.tcp.seq,
            None => len == 0,
        };
        let more = config.head_bytes.saturating_sub(len).min(packet.payload.len());
        let more = if expected { &packet.payload[..more] } else { &[] };
        match long {
            Some(head) => head.extend_from_slice(more),
            None => detail.add_to_head(d, more),
        }
        if len + more.len() >= config.head_bytes || packet.ip_protocol != 6 {
            self.flags |= flag::HEAD << d;
        }
    }

    /// Keeps first bytes, sizes and gaps of packets with payload, where a study asks for them.
    pub(super) fn keep_sample(
        &mut self,
        direction: Direction,
        packet: &Packet<'_>,
        gap: Span,
        config: &Config,
        cold: &mut Cold,
    ) {
        if packet.payload_len == 0 {
            return;
        }
        let detail = cold.details.own(&mut self.detail);
        let Sampled { bytes, sizes, gaps, .. } = cold.sampled.own(&mut detail.sampled);
        let room = config.sample_bytes.saturating_sub(bytes.len());
        bytes.extend_from_slice(&packet.payload[..room.min(packet.payload.len())]);
        if sizes.len() < config.sizes {
            let size = packet.payload_len.min(i32::MAX as u32) as i32;
            let gap = if sizes.is_empty() { 0 } else { gap.0 / 1000 };
            gaps.push(gap.clamp(i32::MIN.into(), i32::MAX.into()) as i32);
            sizes.push(if direction == Direction::Up { size } else { -size });
        }
    }
}
