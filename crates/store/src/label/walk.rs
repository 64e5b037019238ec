//! Flows and DNS answers of a study in order of time, as the labeler wants them.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::net::{IpAddr, Ipv6Addr};

use ottoscope_catalog::{FlowEvidence, Labeler, NameLearned, Names};
use ottoscope_flow::{FlowId, Timestamp, Transport};

use super::views::{DnsView, DnsViewRow, FlowView, FlowViewRow, PlaceViewRow};
use crate::error::Result;
use crate::merge::Merged;
use crate::pseudonym::address_key;
use crate::study::Study;

/// Most flows of name resolution that wait for their end; the first to end go first.
const MAX_WAITING: usize = 200_000;
/// Most names remembered of one flow of name resolution.
const MAX_QUERIED: usize = 64;

/// A flow of name resolution, which is judged at its end, by the names it asked for.
struct Waiting {
    index: u64,
    flow: FlowId,
    first: Timestamp,
    last: Timestamp,
    client: Box<str>,
    server: (IpAddr, u16),
    transport: Transport,
    protocol: &'static str,
    queried: Vec<Box<str>>,
}

/// Reads a study once. `each` is called for every flow, with its place in the order of first
/// packets; flows of name resolution come late, at their end. How many flows there are is
/// returned.
pub(super) fn walk(
    study: &Study,
    labeler: &mut Labeler,
    mut each: impl FnMut(&mut Labeler, u64, &FlowEvidence<'_>) -> Result<()>,
) -> Result<u64> {
    let mut flows = Merged::<FlowView>::open(&study.table("flows"))?;
    let mut answers = Merged::<DnsView>::open(&study.table("dns"))?;
    let mut resolving = Resolving::default();
    let mut index = 0;
    loop {
        let (flow_at, answer_at) = (flows.time(), answers.time());
        // An answer goes before a flow of the same instant: it may have led to it.
        let answer_first = match (flow_at, answer_at) {
            (None, None) => break,
            (Some(flow), Some(answer)) => answer <= flow,
            (flow, _) => flow.is_none(),
        };
        if answer_first {
            if let Some(row) = answers.row() {
                resolving.end_before(row.at, &mut |w| w.judge(labeler, &mut each))?;
                learn(labeler, &row);
                resolving.asked(&row);
            }
            answers.advance()?;
        } else {
            if let Some(row) = flows.row() {
                match resolver(row.protocol) {
                    Some(protocol) => {
                        if let Some(full) = resolving.wait(index, &row, protocol) {
                            full.judge(labeler, &mut each)?;
                        }
                    }
                    None => each(labeler, index, &evidence(&row))?,
                }
            }
            index += 1;
            flows.advance()?;
        }
    }
    resolving.end_all(&mut |w| w.judge(labeler, &mut each))?;
    Ok(index)
}

/// The name of a protocol that resolves names.
fn resolver(protocol: Option<&str>) -> Option<&'static str> {
    match protocol? {
        "dns" => Some("dns"),
        "mdns" => Some("mdns"),
        _ => None,
    }
}

fn learn(labeler: &mut Labeler, row: &DnsViewRow<'_>) {
    let (Some(name), Some(answer), Some(ttl)) = (row.name, row.answer, row.ttl) else { return };
    if row.kind != "response" || !matches!(row.answer_type, Some("A" | "AAAA")) {
        return;
    }
    let Some(address) = address_key(answer) else { return };
    let mut names = [name; 17];
    let mut count = 1;
    for step in row.chain.into_iter().flat_map(|chain| chain.split(',')).take(16) {
        names[count] = step;
        count += 1;
    }
    labeler.name_learned(&NameLearned {
        at: row.at,
        client: row.client,
        names: &names[..count],
        addresses: &[address],
        ttl,
        over_http: false,
    });
}

fn server_key(text: &str) -> IpAddr {
    address_key(text).unwrap_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED))
}

fn transport(name: &str) -> Transport {
    match name {
        "tcp" => Transport::Tcp,
        "udp" => Transport::Udp,
        "sctp" => Transport::Sctp,
        "icmp" => Transport::Icmp,
        other => {
            Transport::Other(other.strip_prefix("ip-").and_then(|n| n.parse().ok()).unwrap_or(255))
        }
    }
}

/// What the labeler is told of a row.
pub(super) fn evidence<'a>(row: &FlowViewRow<'a>) -> FlowEvidence<'a> {
    FlowEvidence {
        client_port: row.client_port,
        protocol: row.protocol.unwrap_or_default(),
        server_name: row.server_name,
        name_source: row.name_source,
        certificate_names: Names::Text(row.certificate_names.unwrap_or_default()),
        user_agent: row.user_agent,
        signature: row.signature.filter(|_| !row.signature_broken),
        ..FlowEvidence::bare(
            FlowId(row.flow),
            (row.first, row.last),
            row.client,
            (server_key(row.server), row.server_port),
            transport(row.transport),
        )
    }
}

/// What feedback is told of a row.
pub(super) fn place<'a>(row: &PlaceViewRow<'a>) -> FlowEvidence<'a> {
    FlowEvidence::bare(
        FlowId(row.flow),
        (row.first, row.last),
        row.client,
        (server_key(row.server), row.server_port),
        transport(row.transport),
    )
}

/// Flows of name resolution that are not over.
#[derive(Default)]
struct Resolving {
    waiting: HashMap<u64, Waiting>,
    ends: BinaryHeap<Reverse<(Timestamp, u64)>>,
    /// Names asked at this very instant by flows whose row comes next.
    early: (Timestamp, HashMap<u64, Vec<Box<str>>>),
}

impl Resolving {
    fn wait(
        &mut self,
        index: u64,
        row: &FlowViewRow<'_>,
        protocol: &'static str,
    ) -> Option<Waiting> {
        let new = Waiting {
            index,
            flow: FlowId(row.flow),
            first: row.first,
            last: row.last,
            client: row.client.into(),
            server: (server_key(row.server), row.server_port),
            transport: transport(row.transport),
            protocol,
            queried: self.early.1.remove(&row.flow).unwrap_or_default(),
        };
        self.ends.push(Reverse((row.last, row.flow)));
        // Two rows of one id: 64 bits collided; the former is judged as it is.
        let former = self.waiting.insert(row.flow, new);
        if former.is_some() || self.waiting.len() <= MAX_WAITING {
            return former;
        }
        self.ends.pop().and_then(|Reverse((_, flow))| self.waiting.remove(&flow))
    }

    fn asked(&mut self, row: &DnsViewRow<'_>) {
        let Some(name) = row.name else { return };
        if row.kind != "query" {
            return;
        }
        let names = match self.waiting.get_mut(&row.flow) {
            Some(waiting) => &mut waiting.queried,
            None => {
                if self.early.0 != row.at {
                    self.early.1.clear();
                    self.early.0 = row.at;
                }
                self.early.1.entry(row.flow).or_default()
            }
        };
        if names.len() < MAX_QUERIED && !names.iter().any(|known| **known == *name) {
            names.push(name.into());
        }
    }

    /// Hands out what ended before `now`.
    fn end_before(
        &mut self,
        now: Timestamp,
        judge: &mut impl FnMut(Waiting) -> Result<()>,
    ) -> Result<()> {
        while let Some(Reverse((last, flow))) = self.ends.peek().copied()
            && last < now
        {
            self.ends.pop();
            if let Some(waiting) = self.waiting.remove(&flow) {
                judge(waiting)?;
            }
        }
        Ok(())
    }

    fn end_all(&mut self, judge: &mut impl FnMut(Waiting) -> Result<()>) -> Result<()> {
        while let Some(Reverse((_, flow))) = self.ends.pop() {
            if let Some(waiting) = self.waiting.remove(&flow) {
                judge(waiting)?;
            }
        }
        Ok(())
    }
}

impl Waiting {
    fn judge(
        &self,
        labeler: &mut Labeler,
        each: &mut impl FnMut(&mut Labeler, u64, &FlowEvidence<'_>) -> Result<()>,
    ) -> Result<()> {
        let flow = FlowEvidence {
            protocol: self.protocol,
            queried: Names::Boxed(&self.queried),
            ..FlowEvidence::bare(
                self.flow,
                (self.first, self.last),
                &self.client,
                self.server,
                self.transport,
            )
        };
        each(labeler, self.index, &flow)
    }
}
