//! The first reading of captures: whose flows there are, which names they have, what requests
//! say, and what passed while experiments went on.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;

use ottoscope_catalog::Catalog;
use ottoscope_flow::capture::Packets;
use ottoscope_flow::{Body, Config, Flow, FlowId, Message, Segment, Sink, Timestamp, Transport};
use ottoscope_infer::lab::Interval;
use ottoscope_infer::{FlowType, Lab};

use super::gather::Source;
use super::select::{Rules, Verdict};
use crate::hint::hinted;
use crate::inline::InlineLabels;
use crate::input;

/// Most names that are remembered of servers.
const MOST_NAMES: usize = 500_000;

/// Most names of one address; the oldest goes first.
const MOST_OF_ADDRESS: usize = 16;

/// Most distinct texts kept of one field for keywords.
const MOST_TEXTS: usize = 500_000;

/// A flow that stays.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    pub(crate) id: FlowId,
    pub(crate) verdict: Verdict,
    /// Payload bytes of both directions.
    pub(crate) payload: u64,
    pub(crate) transport: Transport,
    pub(crate) server: (IpAddr, u16),
    pub(crate) protocol: &'static str,
    pub(crate) name: Option<String>,
}

/// Flows by what became of them.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Count {
    pub(crate) flows: u64,
    pub(crate) packets: u64,
    pub(crate) payload: u64,
}

/// Texts of a field with how often each was seen, and how many were not kept.
#[derive(Debug, Clone, Default)]
pub(crate) struct Texts {
    pub(crate) seen: HashMap<Box<str>, u64>,
    pub(crate) left_out: u64,
}

impl Texts {
    fn add(&mut self, text: &str) {
        if let Some(n) = self.seen.get_mut(text) {
            *n += 1;
        } else if self.seen.len() < MOST_TEXTS {
            self.seen.insert(text.into(), 1);
        } else {
            self.left_out += 1;
        }
    }
}

/// What the first reading tells.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    pub(crate) kept: Vec<Kept>,
    pub(crate) by_verdict: BTreeMap<Verdict, Count>,
    /// Names, else addresses, of servers whose flows were dropped.
    pub(crate) dropped: HashMap<String, Count>,
    /// By [`ottoscope_infer::keywords::Inspected::ALL`].
    pub(crate) texts: [Texts; 6],
    /// The experiments on the time line.
    pub(crate) intervals: Vec<Interval>,
    /// Experiment, type of flow and payload bytes, of flows that stay.
    pub(crate) during: Vec<(usize, FlowType, u64)>,
}

impl Source<'_> {
    /// The captures with the time of their first packet, as notes of a laboratory count from it.
    fn starts(&self) -> anyhow::Result<Vec<(String, Timestamp)>> {
        let mut source = input::captures(self.captures, self.options.clone())?;
        let mut firsts: BTreeMap<u32, Timestamp> = BTreeMap::new();
        while let Some(batch) = source.next().map_err(input::capture_error)? {
            for record in batch.records() {
                let first = firsts.entry(record.capture).or_insert(record.at);
                *first = (*first).min(record.at);
            }
        }
        let infos = source.infos();
        let named = firsts.into_iter().filter_map(|(index, first)| {
            let info = infos.get(index as usize)?;
            Some((info.path.display().to_string(), first))
        });
        Ok(named.collect())
    }

    /// The first reading.
    pub(crate) fn survey(&self, rules: &Rules, lab: Option<&Lab>) -> anyhow::Result<Survey> {
        let intervals = match lab {
            Some(lab) => {
                let starts = if lab.needs_captures() { self.starts()? } else { Vec::new() };
                lab.intervals(&starts).map_err(|error| {
                    hinted(format!("the lab file: {error}"), "docs/guide/infer.md shows one")
                })?
            }
            None => Vec::new(),
        };
        let config = Config { bins: false, segments: lab.is_some(), ..Config::default() };
        let mut latest = Timestamp(i64::MIN);
        let reach = intervals.iter().map(|interval| {
            latest = latest.max(interval.end);
            latest
        });
        let surveyor = Surveyor {
            reach: reach.collect(),
            rules,
            catalog: &self.catalog,
            labels: InlineLabels::new(Arc::clone(&self.catalog)),
            names: HashMap::new(),
            asked: HashMap::new(),
            requests: HashMap::new(),
            open: HashMap::new(),
            survey: Survey { intervals, ..Survey::default() },
        };
        // Layouts of the catalogue would call the app's packets known.
        let mut surveyor = self.read(&config, Arc::default(), surveyor)?;
        surveyor.settle();
        Ok(surveyor.survey)
    }
}

struct Surveyor<'a> {
    rules: &'a Rules,
    catalog: &'a Catalog,
    labels: InlineLabels,
    /// Names that lead to an address, the newest last.
    names: HashMap<IpAddr, Vec<Box<str>>>,
    /// Names asked for, with the addresses they led to.
    asked: HashMap<Box<str>, (u64, HashSet<IpAddr>)>,
    /// Request heads of flows that have not ended: (field, text).
    requests: HashMap<FlowId, Vec<(usize, Box<str>)>>,
    /// The latest end of each experiment and all before it.
    reach: Vec<Timestamp>,
    /// Payload of flows that have not ended, by experiment.
    open: HashMap<FlowId, Vec<(usize, u64)>>,
    survey: Survey,
}

/// Request heads kept of one flow.
const MOST_REQUESTS: usize = 4096;

impl Surveyor<'_> {
    /// Keeps the names that were asked for and are the app's: by themselves, or since what they
    /// led to is.
    fn settle(&mut self) {
        let servers: HashSet<IpAddr> = self.survey.kept.iter().map(|k| k.server.0).collect();
        let all = !self.rules.chooses_servers();
        for (name, (times, addresses)) in std::mem::take(&mut self.asked) {
            if all || self.rules.names(&name) || addresses.iter().any(|a| servers.contains(a)) {
                self.survey.texts[0].seen.insert(name, times);
            }
        }
    }

    fn dns(&mut self, message: &Message<'_>) {
        let Body::Dns(dns) = message.body else { return };
        let Some(question) = dns.question() else { return };
        let asked = question.name.as_str();
        let room = self.asked.len() < MOST_TEXTS;
        if !dns.is_response() {
            if let Some((times, _)) = self.asked.get_mut(asked) {
                *times += 1;
            } else if room {
                self.asked.insert(asked.into(), (1, HashSet::new()));
            }
            return;
        }
        if let ottoscope_flow::wire::dns::Data::Ptr(target) = match dns.answers().next() {
            Some(answer) => answer.value,
            None => return,
        } {
            if let Some(address) = reverse(asked) {
                self.name(address, target.as_str());
            }
            return;
        }
        let addresses: Vec<IpAddr> = dns.addresses().map(|(address, _)| address).collect();
        if addresses.is_empty() {
            return;
        }
        if !self.asked.contains_key(asked) && room {
            // The query was not captured.
            self.asked.insert(asked.into(), (1, HashSet::new()));
        }
        if let Some((_, led_to)) = self.asked.get_mut(asked) {
            led_to.extend(&addresses);
        }
        for name in dns.chain() {
            for address in &addresses {
                self.name(*address, name.as_str());
            }
        }
    }

    fn name(&mut self, address: IpAddr, name: &str) {
        if self.names.len() >= MOST_NAMES && !self.names.contains_key(&address) {
            return;
        }
        let names = self.names.entry(address).or_default();
        names.retain(|n| **n != *name);
        if names.len() == MOST_OF_ADDRESS {
            names.remove(0);
        }
        names.push(name.into());
    }
}

/// The address of a name below `in-addr.arpa` or `ip6.arpa`.
fn reverse(name: &str) -> Option<IpAddr> {
    if let Some(digits) = name.strip_suffix(".in-addr.arpa") {
        let mut octets = [0; 4];
        let mut parts = digits.split('.');
        for octet in octets.iter_mut().rev() {
            *octet = parts.next()?.parse().ok()?;
        }
        return parts.next().is_none().then(|| octets.into());
    }
    let digits = name.strip_suffix(".ip6.arpa")?;
    let mut value = 0_u128;
    let mut count = 0;
    for digit in digits.rsplit('.') {
        let nibble = u128::from_str_radix(digit, 16).ok().filter(|_| digit.len() == 1)?;
        value = value << 4 | nibble;
        count += 1;
    }
    (count == 32).then(|| IpAddr::V6(value.into()))
}

impl Sink for Surveyor<'_> {
    type Error = Infallible;

    fn message(&mut self, message: &Message<'_>) -> Result<(), Infallible> {
        self.labels.learn(message);
        match message.body {
            Body::Dns(_) => self.dns(message),
            Body::HttpRequest(request) => {
                let requests = self.requests.entry(message.flow.id).or_default();
                if requests.len() < MOST_REQUESTS {
                    let fields = [
                        request.host(),
                        request.headers.referer,
                        request.headers.user_agent,
                        Some(request.method),
                        Some(request.path()),
                    ];
                    for (field, text) in fields.into_iter().enumerate() {
                        if let Some(text) = text.filter(|text| !text.is_empty()) {
                            requests.push((field + 1, text.into()));
                        }
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn segment(&mut self, segment: &Segment<'_>) -> Result<(), Infallible> {
        let intervals = &self.survey.intervals;
        let begun = intervals.partition_point(|i| i.start <= segment.at);
        for (index, interval) in intervals[..begun].iter().enumerate().rev() {
            if self.reach[index] <= segment.at {
                break; // all that began before are over
            }
            if interval.holds(segment.flow.client, segment.at) {
                let open = self.open.entry(segment.flow.id).or_default();
                match open.iter_mut().find(|(i, _)| *i == index) {
                    Some((_, bytes)) => *bytes += u64::from(segment.len),
                    None => open.push((index, u64::from(segment.len))),
                }
            }
        }
        Ok(())
    }

    fn flow(&mut self, flow: &Flow) -> Result<(), Infallible> {
        let label = self.labels.of(flow).map(|label| label.app.to_string());
        let said = flow.facts.server_name.as_deref();
        let resolved = self.names.get(&flow.server);
        let names: Vec<&str> = said
            .into_iter()
            .chain(flow.facts.tls().certificate_names.split(',').filter(|n| !n.is_empty()))
            .chain(resolved.into_iter().flatten().map(|name| &**name))
            .collect();
        let labelled = self.rules.app.as_deref().is_some_and(|app| {
            let of = |name: &&str| self.catalog.lookup_name(name).is_some_and(|r| &*r.app == app);
            label.as_deref() == Some(app) || names.iter().any(of)
        });
        let verdict = self.rules.judge(flow, &names, labelled);
        let count = Count {
            flows: 1,
            packets: flow.up.packets + flow.down.packets,
            payload: flow.up.payload + flow.down.payload,
        };
        self.survey.by_verdict.entry(verdict).or_default().add(count);
        let requests = self.requests.remove(&flow.id);
        let during = self.open.remove(&flow.id);
        let name = said.or_else(|| resolved.and_then(|n| n.first()).map(|n| &**n));
        let kind = FlowType::of(flow.transport, flow.server_port, flow.facts.protocol);
        let Some(kind) = kind.filter(|_| verdict.keeps()) else {
            let server = name.map_or_else(|| flow.server.to_string(), str::to_owned);
            if self.survey.dropped.len() < MOST_NAMES || self.survey.dropped.contains_key(&server) {
                self.survey.dropped.entry(server).or_default().add(count);
            }
            return Ok(());
        };
        for (field, text) in requests.into_iter().flatten() {
            self.survey.texts[field].add(&text);
        }
        let during = during.into_iter().flatten();
        self.survey.during.extend(during.map(|(experiment, bytes)| (experiment, kind, bytes)));
        if kind == FlowType::Dns {
            return Ok(());
        }
        self.survey.kept.push(Kept {
            id: flow.id,
            verdict,
            payload: count.payload,
            transport: flow.transport,
            server: (flow.server, flow.server_port),
            protocol: flow.facts.protocol,
            name: name.map(str::to_owned),
        });
        Ok(())
    }
}

impl Count {
    pub(crate) fn add(&mut self, more: Count) {
        self.flows += more.flows;
        self.packets += more.packets;
        self.payload += more.payload;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reverse_names_are_addresses() {
        let check = |name: &str, expected: Option<&str>| {
            assert_eq!(reverse(name), expected.map(|a| a.parse().unwrap()), "{name}");
        };
        check("4.3.2.1.in-addr.arpa", Some("1.2.3.4"));
        check("3.2.1.in-addr.arpa", None);
        check("5.4.3.2.1.in-addr.arpa", None);
        check("x.3.2.1.in-addr.arpa", None);
        check(&format!("1.{}8.b.d.0.1.0.0.2.ip6.arpa", "0.".repeat(23)), Some("2001:db8::1"));
        check("1.2.ip6.arpa", None);
    }
}
