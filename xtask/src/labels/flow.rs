//! One flow as each side describes it, and the key by which they are joined.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use super::csv;
use crate::shell::Result;

/// Transport and both ends, the lower one first: neither side knows the other's client.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    transport: String,
    ends: [SocketAddr; 2],
}

impl Key {
    fn new(transport: &str, a: (&str, &str), b: (&str, &str)) -> Option<Key> {
        let transport = transport.to_ascii_lowercase();
        if transport != "tcp" && transport != "udp" {
            return None;
        }
        let end = |(address, port): (&str, &str)| {
            let address: IpAddr = address.parse().ok()?;
            Some(SocketAddr::new(address, port.parse().ok()?))
        };
        let mut ends = [end(a)?, end(b)?];
        ends.sort();
        Some(Key { transport, ends })
    }
}

impl fmt::Display for Key {
    /// As in the judgements file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.transport, self.ends[0], self.ends[1])
    }
}

/// What we say of a flow.
#[derive(Debug, Clone, Default)]
pub(super) struct Ours {
    /// The app, where there is a label.
    pub(super) app: Option<String>,
    /// Evidence, confidence and name, for a person to judge by.
    pub(super) why: String,
}

/// The columns that are asked for, in this order.
pub(super) const QUERY: &str = "SELECT transport, client, client_port, server, server_port, app, \
    evidence, confidence, protocol, server_name FROM labelled_flows";

/// Flows by key from the answer to [`QUERY`]; several lives of one 5-tuple are kept apart.
pub(super) fn ours(answer: &str) -> BTreeMap<Key, Vec<Ours>> {
    let mut flows: BTreeMap<Key, Vec<Ours>> = BTreeMap::new();
    for row in csv::rows(answer).into_iter().skip(1) {
        let [transport, client, client_port, server, server_port, app, why @ ..] = row.as_slice()
        else {
            continue;
        };
        let Some(key) = Key::new(transport, (client, client_port), (server, server_port)) else {
            continue;
        };
        let app = (!app.is_empty()).then(|| app.clone());
        let why: Vec<&str> = why.iter().filter(|w| !w.is_empty()).map(String::as_str).collect();
        flows.entry(key).or_default().push(Ours { app, why: why.join(" ") });
    }
    flows
}

/// What nDPI says of a flow.
#[derive(Debug, Clone)]
pub(super) struct Theirs {
    /// The flow.
    pub(super) key: Key,
    /// As in `TLS.WhatsApp`.
    pub(super) protocol: String,
    /// How it knows: `DPI`, `Match by port` ...
    pub(super) confidence: String,
    /// The host name it read.
    pub(super) host: String,
}

/// nDPI's flows by capture.
pub(super) fn theirs(table: &str) -> Result<BTreeMap<String, Vec<Theirs>>> {
    let mut captures: BTreeMap<String, Vec<Theirs>> = BTreeMap::new();
    for (number, line) in (2..).zip(table.lines().skip(1)) {
        let row: Vec<&str> = line.split('\t').collect();
        let [capture, transport, a, a_port, b, b_port, protocol, confidence, host, ..] =
            row.as_slice()
        else {
            return Err(format!("line {number} has too few columns").into());
        };
        let flows = captures.entry((*capture).to_owned()).or_default();
        if let Some(key) = Key::new(transport, (a, a_port), (b, b_port)) {
            flows.push(Theirs {
                key,
                protocol: (*protocol).to_owned(),
                confidence: (*confidence).to_owned(),
                host: (*host).to_owned(),
            });
        }
    }
    Ok(captures)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_give_the_same_key() {
        let answer = "transport,client,...\ntcp,10.0.0.1,40000,31.13.86.48,443,whatsapp,sni,0.99,tls,g.whatsapp.net\n\
                      icmp,10.0.0.1,0,10.0.0.2,0,,,,,\n";
        let table = "header\nx.pcap\tTCP\t31.13.86.48\t443\t10.0.0.1\t40000\tTLS.WhatsApp\tDPI\tg.whatsapp.net\t9\t1\n";
        let (ours, theirs) = (ours(answer), theirs(table).unwrap());
        let theirs = &theirs["x.pcap"][0];
        assert_eq!(ours.len(), 1);
        let found = &ours[&theirs.key][0];
        assert_eq!(found.app.as_deref(), Some("whatsapp"));
        assert_eq!(found.why, "sni 0.99 tls g.whatsapp.net");
        assert_eq!(theirs.key.to_string(), "tcp 10.0.0.1:40000 31.13.86.48:443");
        assert!(super::theirs("header\nshort\n").is_err());
    }
}
