//! VPNs: what is left of packets that a tunnel carries is when, which way and how long.

use std::collections::VecDeque;

use super::talk::Talk;
use crate::apps::MILLI;
use crate::content::Content;
use crate::flow::Datagram;
use crate::rng::Rng;
use crate::tcp::{DOWN, Step, UP};

/// A packet inside.
#[derive(Debug, Clone, Copy)]
pub(super) struct Inner {
    pub(super) at: i64,
    pub(super) side: usize,
    pub(super) len: u64,
}

/// What a phone's VPN speaks. It is the phone's and the day's choice, not the app's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tunnel {
    /// WireGuard (its paper, 5.4).
    WireGuard,
    /// OpenVPN over UDP, with AEAD data packets (openvpn-rfc, 4).
    OpenVpn,
    /// The same over TCP.
    OpenVpnTcp,
    /// ESP in UDP behind IKE (RFC 3948, RFC 7296).
    Esp,
}

impl Tunnel {
    pub(super) fn draw(rng: &mut Rng) -> Self {
        let kinds = [Tunnel::WireGuard, Tunnel::OpenVpn, Tunnel::Esp, Tunnel::OpenVpnTcp];
        kinds[rng.weighted([0.4, 0.3, 0.2, 0.1].into_iter())]
    }

    pub(super) fn port(self) -> u16 {
        match self {
            Tunnel::WireGuard => 51_820,
            Tunnel::OpenVpn => 1194,
            Tunnel::OpenVpnTcp => 443,
            Tunnel::Esp => 4500,
        }
    }

    /// How long the handshake takes, in round trips.
    pub(super) fn trips(self) -> i64 {
        match self {
            Tunnel::WireGuard => 1,
            Tunnel::Esp => 2,
            Tunnel::OpenVpn | Tunnel::OpenVpnTcp => 5,
        }
    }

    /// The handshake from `start` on, then a packet of the tunnel for each inside.
    pub(super) fn carry(self, start: i64, trip: i64, inner: &[Inner], rng: &mut Rng) -> Talk {
        let mut out = Vec::new();
        let ids = [rng.next(), rng.next()];
        self.shake(&mut out, start, trip, ids, rng);
        let mut numbers = [0u64; 2];
        for packet in inner {
            let number = &mut numbers[packet.side];
            let content = self.packet(packet, ids[1 - packet.side], *number, rng);
            *number += 1;
            out.push(Datagram { at: packet.at, side: packet.side, content, mark: None });
        }
        if self != Tunnel::OpenVpnTcp {
            return Talk::Udp(out);
        }
        let mut steps = VecDeque::new();
        let mut before = start;
        for Datagram { at, side, content, .. } in out {
            let len = content.len() as u16;
            let content = Content::Join(Box::new([Content::bytes(len.to_be_bytes()), content]));
            steps.push_back(Step::Send { side, delay: (at - before).max(0), content, mark: None });
            before = at;
        }
        Talk::Tcp(steps)
    }

    fn shake(self, out: &mut Vec<Datagram>, start: i64, trip: i64, ids: [u64; 2], rng: &mut Rng) {
        let mut at = start;
        let mut send = |at: i64, side: usize, head: Vec<u8>, len: u64, rng: &mut Rng| {
            let content = Content::opaque(head, len, rng.next());
            out.push(Datagram { at, side, content, mark: None });
        };
        match self {
            Tunnel::WireGuard => {
                let id = (ids[0] as u32).to_le_bytes();
                send(at, UP, [[1, 0, 0, 0], id].concat(), 140, rng);
                let ids = [(ids[1] as u32).to_le_bytes(), id].concat();
                send(at + trip, DOWN, [vec![2, 0, 0, 0], ids].concat(), 80, rng);
            }
            Tunnel::Esp => {
                // IKE_AUTH behind the non-ESP marker; IKE_SA_INIT went over port 500.
                for (round, sizes) in [[1100, 1180], [188, 204]].into_iter().enumerate() {
                    for (side, size) in [UP, DOWN].into_iter().zip(sizes) {
                        let len: u64 = size + 16 * rng.below(3);
                        let mut head = vec![0; 4];
                        head.extend(ids[0].to_be_bytes());
                        head.extend(ids[1].to_be_bytes());
                        head.extend([0x2e, 0x20, 0x23, if side == UP { 0x08 } else { 0x20 }]);
                        head.extend((round as u32 + 1).to_be_bytes());
                        head.extend((len as u32 + 28).to_be_bytes());
                        send(at, side, head, len, rng);
                        at += trip / 2 + rng.range(1, 4) as i64 * MILLI;
                    }
                }
            }
            Tunnel::OpenVpn | Tunnel::OpenVpnTcp => {
                // Reset, reset, then a TLS handshake in control packets under tls-auth.
                let lens =
                    [(0x38, 28), (0x40, 32), (0x20, 330), (0x20, 1210), (0x20, 1150), (0x20, 740)];
                for (index, (opcode, len)) in lens.into_iter().enumerate() {
                    let side = if index % 2 == 0 && index < 4 { UP } else { DOWN };
                    let mut head = vec![opcode];
                    head.extend(ids[side].to_be_bytes());
                    let len: u64 = len + if len > 100 { rng.below(24) } else { 0 };
                    send(at, side, head, len, rng);
                    at += if index < 3 { trip / 2 + MILLI } else { MILLI };
                }
                for (side, len) in [(UP, 1180), (UP, 420), (DOWN, 310), (UP, 90), (DOWN, 380)] {
                    let mut head = vec![0x20];
                    head.extend(ids[side].to_be_bytes());
                    at += trip / 2;
                    send(at, side, head, len + rng.below(16), rng);
                }
            }
        }
    }

    fn packet(self, packet: &Inner, to: u64, number: u64, rng: &mut Rng) -> Content {
        let len = packet.len.min(1420);
        match self {
            Tunnel::WireGuard => {
                let mut head = vec![4, 0, 0, 0];
                head.extend((to as u32).to_le_bytes());
                head.extend(number.to_le_bytes());
                Content::opaque(head, len.next_multiple_of(16) + 16, rng.next())
            }
            Tunnel::OpenVpn | Tunnel::OpenVpnTcp => {
                let mut head = vec![0x48, 0, 0, (to & 0x3f) as u8];
                head.extend((number as u32 + 1).to_be_bytes());
                Content::opaque(head, len + 16, rng.next())
            }
            Tunnel::Esp => {
                let mut head = (to as u32 | 0x100).to_be_bytes().to_vec();
                head.extend((number as u32 + 1).to_be_bytes());
                // IV, packet with padding and its length to whole words, integrity value.
                Content::opaque(head, 8 + (len + 2).next_multiple_of(4) + 16, rng.next())
            }
        }
    }
}

/// What other apps of the phone send through the same tunnel meanwhile.
pub(super) fn others(start: i64, until: i64, rng: &mut Rng) -> Vec<Inner> {
    let mut out = Vec::new();
    let mut at = start;
    loop {
        at += (rng.exponential(1400.0) * MILLI as f64) as i64;
        if at >= until {
            return out;
        }
        for _ in 0..rng.range(1, 5) {
            let side = if rng.chance(0.5) { UP } else { DOWN };
            let len = if rng.chance(0.4) { 52 } else { rng.range(80, 1400) };
            out.push(Inner { at, side, len });
            at += rng.range(1, 30) as i64 * MILLI;
        }
    }
}
