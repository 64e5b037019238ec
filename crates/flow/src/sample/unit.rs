//! One session or flow as a classifier sees it.

use std::net::IpAddr;

use super::{Kind, Layers};
use crate::key::FlowKey;
use crate::model::FlowId;
use crate::time::Timestamp;

/// What units may share that must not be on both sides of a split. Equal numbers mean equal
/// things within one run and in another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Groups {
    /// The capture, an index into [`super::Summary::captures`].
    pub capture: u32,
    /// Day of the first packet, in days since 1970.
    pub day: i32,
    /// 5-tuple, whatever its direction.
    pub tuple: u64,
    /// Pair of hosts, whatever its direction.
    pub hosts: u64,
    /// Tunnel, 0 where there is none.
    pub tunnel: u64,
}

/// The first bytes of a session or a flow, and what is known of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Unit {
    /// Session or flow.
    pub kind: Kind,
    /// Who talks to whom; the sender of the first packet first. Ports are 0 where the protocol
    /// has none.
    pub ends: [(IpAddr, u16); 2],
    /// IP protocol number, 0 where the paper's tool puts several together.
    pub protocol: u8,
    /// When its first packet came.
    pub first: Timestamp,
    /// When its last packet came.
    pub last: Timestamp,
    /// Packets, later ones than the bytes are of included.
    pub packets: u64,
    /// Bytes they carried, by the IP lengths.
    pub carried: u64,
    /// The sample, filled with zeros behind [`Unit::filled`].
    pub bytes: Vec<u8>,
    /// Bytes of the sample that were sent (or, in the paper's protocol, written).
    pub filled: usize,
    /// The packets that the bytes are of.
    pub layers: Vec<Layers>,
    /// Payload bytes of the first packets that carry some, negative against the first packet's
    /// direction.
    pub sizes: Vec<i32>,
    /// Seconds between each of these packets and the one before, the first is 0.
    pub gaps: Vec<f32>,
    /// What it shares with others.
    pub groups: Groups,
}

impl Unit {
    /// The id that the engine gives a flow of this 5-tuple and first packet, under a study's key.
    pub fn flow_id(&self, key: [u64; 2]) -> FlowId {
        FlowKey::new(self.ends[0], self.ends[1], self.protocol).0.id(self.first, key)
    }

    /// The name of its file as SplitCap gives it: protocol, then the lower end of a session or
    /// the sender of a flow, then the other one.
    pub fn name(&self, capture: &str) -> String {
        file_name(self.kind, self.ends, self.protocol, capture)
    }

    /// Sizes and gaps as features of one width: sizes of `packets` packets, then their gaps,
    /// zeros where there were fewer.
    pub fn features(&self, packets: usize) -> Vec<f32> {
        let fill = |values: &mut dyn Iterator<Item = f32>| {
            let mut out: Vec<f32> = values.take(packets).collect();
            out.resize(packets, 0.0);
            out
        };
        let mut all = fill(&mut self.sizes.iter().map(|size| *size as f32));
        all.append(&mut fill(&mut self.gaps.iter().copied()));
        all
    }
}

fn file_name(kind: Kind, ends: [(IpAddr, u16); 2], protocol: u8, capture: &str) -> String {
    let protocol = match protocol {
        6 => "TCP",
        17 => "UDP",
        132 => "SCTP",
        _ => "",
    };
    let [mut a, mut b] = ends;
    if kind == Kind::Session && a > b {
        (a, b) = (b, a);
    }
    let host = |address: IpAddr| address.to_string().replace(['.', ':'], "-");
    let port = |port: u16| if protocol.is_empty() { String::new() } else { port.to_string() };
    format!("{capture}.{protocol}_{}_{}_{}_{}.pcap", host(a.0), port(a.1), host(b.0), port(b.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_named_as_splitcap_names_them() {
        let low = ("1.1.247.138".parse().unwrap(), 16403);
        let high = ("1.2.247.232".parse().unwrap(), 16403);
        let session = "Facetime.pcap.UDP_1-1-247-138_16403_1-2-247-232_16403.pcap";
        assert_eq!(file_name(Kind::Session, [low, high], 17, "Facetime.pcap"), session);
        assert_eq!(file_name(Kind::Session, [high, low], 17, "Facetime.pcap"), session);
        assert_eq!(
            file_name(Kind::Flow, [high, low], 6, "a"),
            "a.TCP_1-2-247-232_16403_1-1-247-138_16403.pcap"
        );
        let six = ("ff02::2".parse().unwrap(), 0);
        assert_eq!(file_name(Kind::Flow, [six, six], 0, "a"), "a._ff02--2__ff02--2_.pcap");
    }
}
