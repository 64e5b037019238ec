//! Captures read twice: first to tell whose flows there are, then for the packets of those that
//! are to be inferred. What is held grows with the flows that stay and not with the captures.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;

use ottoscope_catalog::Catalog;
use ottoscope_flow::capture::{Options, Packets, Progress};
use ottoscope_flow::dissector::signature::SignatureSet;
use ottoscope_flow::run::{RunError, feed_all};
use ottoscope_flow::{
    Body, Config, Engine, Flow, FlowId, Message, Segment, Shard, Sink, Timestamp, Transport,
};
use ottoscope_infer::lab::Interval;
use ottoscope_infer::messages::Found;
use ottoscope_infer::propose::{FRAMING, framing_signature};
use ottoscope_infer::{FlowInfo, FlowType, Lab, Sample, Samples};

use super::select::{Rules, Verdict};
use crate::hint::hinted;
use crate::inline::InlineLabels;
use crate::input;
use crate::progress::ReadingBar;

/// Most names that are remembered of servers.
const MOST_NAMES: usize = 500_000;

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

/// Packets of flows to be inferred, and whether there were more.
#[derive(Debug)]
pub(crate) struct Gathered {
    pub(crate) samples: Samples,
    /// Packets beyond the limit.
    pub(crate) left_out: u64,
}

/// Captures as they are read for inference.
pub(crate) struct Source<'a> {
    pub(crate) captures: &'a [String],
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) options: Options,
}

impl Source<'_> {
    /// Reads everything into `sink`, with layouts of the catalogue only where they are given.
    fn read<S: Sink<Error = Infallible>>(
        &self,
        config: &Config,
        signatures: Arc<SignatureSet>,
        sink: S,
    ) -> anyhow::Result<S> {
        if self.captures.iter().any(|name| name == "-") {
            return Err(hinted(
                "inference reads captures twice, which standard input cannot be",
                "save it to a file and name that",
            ));
        }
        let options = Options { progress: Arc::new(Progress::default()), ..self.options.clone() };
        let mut source = input::captures(self.captures, options.clone())?;
        let bar = ReadingBar::show(Arc::clone(&options.progress));
        let mut engine = Engine::new(config.clone(), signatures, Shard::single(), sink);
        let read = feed_all(&mut source, &mut engine);
        let finished = engine.finish();
        drop(bar);
        let stopped_by = match read {
            Ok(stopped_by) => stopped_by,
            Err(RunError::Sink(never)) => match never {},
            Err(error) => return Err(anyhow::anyhow!("{error}")),
        };
        if let Some(error) = stopped_by {
            return Err(input::capture_error(error));
        }
        match finished {
            Ok((sink, _)) => Ok(sink),
            Err(never) => match never {},
        }
    }

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
            Some(lab) => lab.intervals(&self.starts()?).map_err(|error| {
                hinted(format!("the lab file: {error}"), "docs/guide/infer.md shows one")
            })?,
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

    /// The second reading: packets of the flows whose protocol is to be inferred, `most` at most.
    pub(crate) fn packets(
        &self,
        survey: &Survey,
        transport: Transport,
        most: usize,
    ) -> anyhow::Result<Gathered> {
        let kept = survey.kept.iter();
        let kept = kept.filter(|k| k.verdict == Verdict::Unknown && k.transport == transport);
        self.packets_of(kept.map(|k| k.id).collect(), most)
    }

    /// Packets of these flows, `most` at most.
    pub(crate) fn packets_of(
        &self,
        wanted: HashSet<FlowId>,
        most: usize,
    ) -> anyhow::Result<Gathered> {
        let config = Config { bins: false, dissect: false, segments: true, ..Config::default() };
        let gatherer = Gatherer {
            wanted,
            known: HashMap::new(),
            most,
            gathered: Gathered { samples: Samples::new(), left_out: 0 },
        };
        Ok(self.read(&config, Arc::default(), gatherer)?.gathered)
    }
}

impl Source<'_> {
    /// Messages of the flows of `packets` that are framed so, `most` at most, whole: wherever in a
    /// packet they begin.
    pub(crate) fn messages(
        &self,
        packets: &Samples,
        found: &Found,
        most: usize,
    ) -> anyhow::Result<Option<Samples>> {
        let Some(signature) = framing_signature(&found.framing) else { return Ok(None) };
        let mut strange = vec![false; packets.flows().len()];
        for flow in &found.strangers {
            strange[*flow] = true;
        }
        let mut samples = Samples::new();
        let mut flows = HashMap::new();
        for flow in packets.flows() {
            let index = samples.flow(flow.clone());
            if !strange[index] {
                flows.insert(flow.id, index);
            }
        }
        let signatures = Arc::new(SignatureSet::new(vec![signature])?);
        let config = Config { bins: false, ..Config::default() };
        let reader = Reader { flows, samples, most };
        Ok(Some(self.read(&config, signatures, reader)?.samples))
    }
}

/// Keeps the messages that the framing gives.
struct Reader {
    flows: HashMap<FlowId, usize>,
    samples: Samples,
    most: usize,
}

impl Sink for Reader {
    type Error = Infallible;

    fn flow(&mut self, _flow: &Flow) -> Result<(), Infallible> {
        Ok(())
    }

    fn message(&mut self, message: &Message<'_>) -> Result<(), Infallible> {
        let framed = message.protocol == FRAMING && self.samples.len() < self.most;
        if let Some(&flow) = self.flows.get(&message.flow.id).filter(|_| framed) {
            self.samples.push(Sample {
                at: message.at,
                flow,
                direction: message.direction,
                sequence: None,
                len: message.len,
                head: message.head,
            });
        }
        Ok(())
    }
}

/// What is known of an app's servers, and the flows to them that nothing tells of.
#[derive(Debug, Default)]
pub(crate) struct Neighbours {
    /// Flows that are the app's beyond doubt.
    pub(crate) own: u64,
    /// Flows that nobody knows, to a server and port of the app's, over TCP and over UDP.
    pub(crate) unknown: [HashSet<FlowId>; 2],
    /// Opcodes of the app's messages that have no task, with how often they were seen.
    pub(crate) unnamed: BTreeMap<(String, u64), u64>,
}

impl Source<'_> {
    /// Flows without a label that share server and port with flows of `app` (the ChatDissect
    /// paper, III-B).
    pub(crate) fn neighbours(&self, app: &str) -> anyhow::Result<Neighbours> {
        let signatures = input::signatures(&self.catalog)?;
        let config = Config { bins: false, ..Config::default() };
        let labels = InlineLabels::new(Arc::clone(&self.catalog));
        let seeker = Seeker {
            app,
            catalog: &self.catalog,
            labels,
            servers: HashSet::new(),
            strangers: Vec::new(),
            found: Neighbours::default(),
        };
        let Seeker { servers, strangers, mut found, .. } =
            self.read(&config, signatures, seeker)?;
        for (id, server) in strangers {
            if servers.contains(&server) {
                found.unknown[usize::from(server.2 == Transport::Udp)].insert(id);
            }
        }
        Ok(found)
    }
}

type Server = (IpAddr, u16, Transport);

struct Seeker<'a> {
    app: &'a str,
    catalog: &'a Catalog,
    labels: InlineLabels,
    servers: HashSet<Server>,
    strangers: Vec<(FlowId, Server)>,
    found: Neighbours,
}

impl Sink for Seeker<'_> {
    type Error = Infallible;

    fn message(&mut self, message: &Message<'_>) -> Result<(), Infallible> {
        self.labels.learn(message);
        let Some(opcode) = message.opcode else { return Ok(()) };
        let own = message.protocol.split_once('/').is_some_and(|(app, _)| app == self.app);
        if own && self.catalog.task_of_opcode(message.protocol, opcode).is_none() {
            *self.found.unnamed.entry((message.protocol.to_owned(), opcode)).or_default() += 1;
        }
        Ok(())
    }

    fn flow(&mut self, flow: &Flow) -> Result<(), Infallible> {
        let server = (flow.server, flow.server_port, flow.transport);
        if !matches!(flow.transport, Transport::Tcp | Transport::Udp) || flow.server_port == 53 {
            return Ok(());
        }
        let label = self.labels.of(flow);
        let sure = label.is_some_and(|label| {
            label.evidence.is_strong() || label.evidence == ottoscope_catalog::Evidence::Dns
        });
        let nobody = flow.facts.protocol.is_empty() && flow.facts.signature.is_none();
        if sure && label.is_some_and(|label| &*label.app == self.app) {
            self.found.own += 1;
            self.servers.insert(server);
            if nobody {
                // Known by its server's name, but nobody reads it.
                self.strangers.push((flow.id, server));
            }
        } else if !sure && nobody && flow.up.payload + flow.down.payload > 0 {
            self.strangers.push((flow.id, server));
        }
        Ok(())
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
        if names.len() < 16 {
            names.push(name.into());
        }
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

struct Gatherer {
    wanted: HashSet<FlowId>,
    known: HashMap<FlowId, usize>,
    most: usize,
    gathered: Gathered,
}

impl Sink for Gatherer {
    type Error = Infallible;

    fn flow(&mut self, _flow: &Flow) -> Result<(), Infallible> {
        Ok(())
    }

    fn segment(&mut self, segment: &Segment<'_>) -> Result<(), Infallible> {
        let flow = segment.flow;
        if !self.wanted.contains(&flow.id) {
            return Ok(());
        }
        let Gathered { samples, left_out } = &mut self.gathered;
        if samples.len() >= self.most {
            *left_out += 1;
            return Ok(());
        }
        let index = *self.known.entry(flow.id).or_insert_with(|| {
            samples.flow(FlowInfo {
                id: flow.id,
                transport: flow.transport,
                client: (flow.client, flow.client_port),
                server: (flow.server, flow.server_port),
            })
        });
        let kept = samples.push(Sample {
            at: segment.at,
            flow: index,
            direction: segment.direction,
            sequence: segment.sequence,
            len: u64::from(segment.len),
            head: segment.payload,
        });
        *left_out += u64::from(!kept);
        Ok(())
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
