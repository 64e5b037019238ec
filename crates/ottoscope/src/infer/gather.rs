//! Captures read for inference, each time for what is asked: whose flows there are (`survey`), then
//! packets of those that are to be inferred, then their messages. What is held grows with the
//! flows that stay and not with the captures.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use ottoscope_catalog::Catalog;
use ottoscope_flow::capture::{Options, Progress};
use ottoscope_flow::dissector::signature::SignatureSet;
use ottoscope_flow::run::{RunError, feed_all};
use ottoscope_flow::{Config, Engine, Flow, FlowId, Message, Segment, Shard, Sink, Transport};
use ottoscope_infer::messages::Found;
use ottoscope_infer::propose::{FRAMING, framing_signature};
use ottoscope_infer::{FlowInfo, Sample, Samples};

use super::select::Verdict;
use super::survey::Survey;
use crate::hint::hinted;
use crate::input;
use crate::progress::ReadingBar;

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
    pub(super) fn read<S: Sink<Error = Infallible>>(
        &self,
        config: &Config,
        signatures: Arc<SignatureSet>,
        sink: S,
    ) -> anyhow::Result<S> {
        if self.captures.iter().any(|name| name == "-") {
            return Err(hinted(
                "inference reads captures more than once, which standard input cannot be",
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
        if self.options.stop.load(Ordering::Relaxed) {
            // What part of the packets says is not what all of them say.
            return Err(anyhow::anyhow!("stopped before all captures were read"));
        }
        match finished {
            Ok((sink, _)) => Ok(sink),
            Err(never) => match never {},
        }
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
