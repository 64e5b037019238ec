//! Flows and DNS answers of some clients in order of time, as the labeler wants them.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::net::IpAddr;

use foldhash::fast::RandomState;
use ottoscope_catalog::{FlowEvidence, Labeler, Names};
use ottoscope_flow::{FlowId, Timestamp, Transport};

use super::deal::{Chunk, Flow, Item, resolution, server_key};
use super::predicted::PredictionViewRow;
use super::views::{DnsView, DnsViewRow, FlowView, FlowViewRow, PlaceViewRow, Role};
use crate::error::Result;
use crate::table::Table;

/// Most flows of name resolution that wait for their end, over all workers; the first to end go
/// first.
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

/// A flow to be judged.
pub(super) struct Judged<'a> {
    /// Its place among the worker's flows in the order of first packets.
    pub(super) index: u64,
    /// What is known of it.
    pub(super) flow: FlowEvidence<'a>,
    /// What a model said of it; flows of name resolution have no need of it.
    pub(super) predicted: Option<PredictionViewRow<'a>>,
}

/// Walks through what falls to one worker and tells its labeler of answers.
pub(super) struct Walker {
    worker: u16,
    labeler: Labeler,
    resolving: Resolving,
    index: u64,
}

impl Walker {
    /// For one of so many workers.
    pub(super) fn new(worker: u16, workers: u16, labeler: Labeler) -> Self {
        let room = MAX_WAITING / usize::from(workers);
        Walker { worker, labeler, resolving: Resolving { room, ..Resolving::default() }, index: 0 }
    }

    /// Calls `each` for the worker's flows; those of name resolution come late, at their end.
    pub(super) fn take(
        &mut self,
        chunk: &Chunk<FlowView>,
        mut each: impl FnMut(&mut Labeler, &Judged<'_>) -> Result<()>,
    ) -> Result<()> {
        let mut equals: Vec<(u64, Flow<'_, FlowView>)> = Vec::new();
        for item in chunk.of(self.worker) {
            match item {
                Item::Answer(columns, at) => {
                    self.judge(&mut equals, &mut each)?;
                    let Walker { labeler, resolving, .. } = self;
                    let now = DnsView::place(columns, at).0;
                    resolving.end_before(now, &mut |w| w.judge(labeler, &mut each))?;
                    let row = || DnsView::row(columns, at);
                    match DnsView::role(columns, at) {
                        Role::Query => resolving.asked(&row()),
                        Role::Address => {
                            resolution(&row(), |answer| labeler.own_name_learned(answer));
                        }
                        Role::Other => {}
                    }
                }
                Item::Flow(flow) => {
                    if equals.last().is_some_and(|(_, last)| last.first() != flow.first()) {
                        self.judge(&mut equals, &mut each)?;
                    }
                    equals.push((self.index, flow));
                    self.index += 1;
                }
            }
        }
        self.judge(&mut equals, &mut each)
    }

    /// Flows that begin at the same instant: first those that tell of others, as a call's set-up
    /// does of its media. Their order is not that of their ids, which hang on the study's secret.
    fn judge(
        &mut self,
        equals: &mut Vec<(u64, Flow<'_, FlowView>)>,
        each: &mut impl FnMut(&mut Labeler, &Judged<'_>) -> Result<()>,
    ) -> Result<()> {
        let Walker { labeler, resolving, .. } = self;
        if equals.len() > 1 {
            equals.sort_by_cached_key(|(_, flow)| {
                let row = flow.row();
                let last = !labeler.teaches(&evidence(&row, flow));
                (last, row.client_port, row.server_port, row.transport, row.server)
            });
        }
        for (index, flow) in equals.drain(..) {
            let row = flow.row();
            match resolver(row.protocol) {
                Some(protocol) => {
                    if let Some(full) = resolving.wait(index, &row, protocol) {
                        full.judge(labeler, each)?;
                    }
                }
                None => {
                    let evidence = evidence(&row, &flow);
                    each(labeler, &Judged { index, flow: evidence, predicted: flow.predicted })?;
                }
            }
        }
        Ok(())
    }

    /// Calls `each` for what still waits.
    pub(super) fn end(
        &mut self,
        mut each: impl FnMut(&mut Labeler, &Judged<'_>) -> Result<()>,
    ) -> Result<()> {
        let Walker { labeler, resolving, .. } = self;
        resolving.end_all(&mut |w| w.judge(labeler, &mut each))
    }
}

/// The name of a protocol that resolves names.
fn resolver(protocol: Option<&str>) -> Option<&'static str> {
    match protocol? {
        "dns" => Some("dns"),
        "mdns" => Some("mdns"),
        _ => None,
    }
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

/// What the labeler is told of a flow.
fn evidence<'a>(row: &FlowViewRow<'a>, flow: &Flow<'a, FlowView>) -> FlowEvidence<'a> {
    let server = flow.server.unwrap_or_else(|| server_key(row.server));
    FlowEvidence {
        heard: flow.heard,
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
            (server, row.server_port),
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
    room: usize,
    waiting: HashMap<u64, Waiting, RandomState>,
    ends: BinaryHeap<Reverse<(Timestamp, u64)>>,
    /// Names asked at this very instant by flows whose row comes next.
    early: (Timestamp, HashMap<u64, Vec<Box<str>>, RandomState>),
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
        if former.is_some() || self.waiting.len() <= self.room {
            return former;
        }
        self.ends.pop().and_then(|Reverse((_, flow))| self.waiting.remove(&flow))
    }

    fn asked(&mut self, row: &DnsViewRow<'_>) {
        let Some(name) = row.name else { return };
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
        each: &mut impl FnMut(&mut Labeler, &Judged<'_>) -> Result<()>,
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
        each(labeler, &Judged { index: self.index, flow, predicted: None })
    }
}
