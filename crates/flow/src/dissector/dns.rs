//! DNS over UDP and TCP, multicast DNS and LLMNR.
//!
//! Told by structure on any port; ports 53, 5353 and 5355 only make it lenient, so that a cut
//! or odd message to a resolver is still read while random datagrams never become DNS.

use ottoscope_wire::dns::{self, Message};
use ottoscope_wire::{Layer, Reason, WireError};

use super::{Dissector, Emit, Emitted, Match, Probe, Progress, Protocol};
use crate::model::{Body, Direction, Transport};
use crate::time::Timestamp;

const DNS_PORT: u16 = 53;
const MDNS_PORT: u16 = 5353;
const LLMNR_PORT: u16 = 5355;
/// NetBIOS name and datagram services (RFC 1002) share DNS's header.
const NETBIOS_PORTS: [u16; 2] = [137, 138];
/// Longest message over TCP that is waited for on a port that is not 53.
const MAX_UNHINTED: usize = 4096;

/// DNS.
pub static DNS: Protocol = Protocol {
    name: "dns",
    about: "Domain names to addresses, over UDP and TCP",
    reference: "RFC 1035, RFC 6891, RFC 9460",
    transports: &[Transport::Udp, Transport::Tcp],
    shared: false,
    first: |_, _| true,
    probe: probe_dns,
    open: || Box::new(Dns { protocol: "dns", begun: false }),
};

/// Multicast DNS.
pub static MDNS: Protocol = Protocol {
    name: "mdns",
    about: "Names of the local network by multicast",
    reference: "RFC 6762",
    transports: &[Transport::Udp],
    shared: false,
    first: |_, _| true,
    probe: |probe| on_port(probe, MDNS_PORT),
    open: || Box::new(Dns { protocol: "mdns", begun: false }),
};

/// Link-local multicast name resolution.
pub static LLMNR: Protocol = Protocol {
    name: "llmnr",
    about: "Names of the local network as Windows asks for them",
    reference: "RFC 4795",
    transports: &[Transport::Udp],
    shared: false,
    first: |_, _| true,
    probe: |probe| on_port(probe, LLMNR_PORT),
    open: || Box::new(Dns { protocol: "llmnr", begun: false }),
};

struct Dns {
    protocol: &'static str,
    begun: bool,
}

fn uses(probe: &Probe<'_>, port: u16) -> bool {
    probe.server_port == port || probe.client_port == port
}

fn on_port(probe: &Probe<'_>, port: u16) -> Match {
    if uses(probe, port) && dns::is_plausible(probe.bytes, false).is_ok() {
        Match::Yes
    } else {
        Match::No
    }
}

fn probe_dns(probe: &Probe<'_>) -> Match {
    if [MDNS_PORT, LLMNR_PORT].iter().chain(&NETBIOS_PORTS).any(|port| uses(probe, *port)) {
        return Match::No;
    }
    let hinted = uses(probe, DNS_PORT);
    if probe.transport == Transport::Udp {
        return if is_message(probe.bytes, hinted) { Match::Yes } else { Match::No };
    }
    let Some(([l0, l1], rest)) = probe.bytes.split_first_chunk() else { return Match::Maybe };
    let len = usize::from(u16::from_be_bytes([*l0, *l1]));
    if len < dns::HEADER_LEN + 5 || (!hinted && len > MAX_UNHINTED) {
        return Match::No;
    }
    match rest.get(..len) {
        Some(message) if is_message(message, hinted) => Match::Yes,
        Some(_) => Match::No,
        None => match dns::is_plausible(rest, false) {
            Ok(()) if hinted => Match::Yes,
            Ok(()) => Match::Maybe,
            Err(error) if error.is_truncated() => Match::Maybe,
            Err(_) => Match::No,
        },
    }
}

/// On port 53 what begins as DNS is DNS; elsewhere it must be whole and ask one question.
fn is_message(bytes: &[u8], hinted: bool) -> bool {
    dns::is_plausible(bytes, !hinted).is_ok()
        && (hinted
            || Message::parse(bytes).is_ok_and(|message| {
                let question = message.question();
                message.counts()[0] == 1
                    && question.is_some_and(|q| q.class == 1 && !q.name.is_root())
            }))
}

impl Dns {
    fn message(
        &mut self,
        at: Timestamp,
        direction: Direction,
        bytes: &[u8],
        out: &mut Emit<'_>,
    ) -> Result<(), WireError> {
        let message = Message::parse(bytes)?;
        if !self.begun {
            dns::is_plausible(bytes, false)?;
            self.begun = true;
            out.facts.protocol = self.protocol;
        }
        if let Err(error) = message.check() {
            out.anomaly(at, error, bytes);
        }
        let question = message.question();
        let name = question.as_ref().map(|q| q.name.as_str()).filter(|name| !name.is_empty());
        out.message(
            at,
            direction,
            &Emitted {
                protocol: self.protocol,
                kind: if message.is_response() { "response" } else { "query" },
                name,
                opcode: None,
                sequence: None,
                len: bytes.len() as u64,
                head: bytes,
                body: Body::Dns(&message),
            },
        );
        Ok(())
    }

    fn stream(
        &mut self,
        at: Timestamp,
        direction: Direction,
        bytes: &[u8],
        out: &mut Emit<'_>,
    ) -> Progress {
        let mut rest = bytes;
        while let Some(([l0, l1], behind)) = rest.split_first_chunk() {
            let len = usize::from(u16::from_be_bytes([*l0, *l1]));
            if len < dns::HEADER_LEN {
                let error = WireError::new(Layer::Dns, bytes.len() - rest.len(), Reason::BadLength);
                out.anomaly(at, error, rest);
                return if self.begun { Progress::Done } else { Progress::NotMine };
            }
            let Some((message, behind)) = behind.split_at_checked(len) else { break };
            if self.message(at, direction, message, out).is_err() {
                return Progress::NotMine; // only before the first message
            }
            rest = behind;
        }
        Progress::Used(bytes.len() - rest.len())
    }
}

impl Dissector for Dns {
    fn data(
        &mut self,
        at: Timestamp,
        direction: Direction,
        bytes: &[u8],
        out: &mut Emit<'_>,
    ) -> Progress {
        if out.transport == Transport::Tcp {
            return self.stream(at, direction, bytes, out);
        }
        match self.message(at, direction, bytes, out) {
            Err(_) if !self.begun => Progress::NotMine,
            Err(error) => {
                out.anomaly(at, error, bytes);
                Progress::Used(bytes.len())
            }
            Ok(()) => Progress::Used(bytes.len()),
        }
    }
}

#[cfg(test)]
mod tests;
