//! No real capture at hand holds QQ video: none is found, by the flow engine or by a session
//! that is shown every payload; OICQ is found where it is.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)] // failing and speaking is a test's work

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;

use ottoscope_flow::capture::{Captures, Input, Options};
use ottoscope_flow::run::run;
use ottoscope_flow::{Config, Flow, FlowId, Message, Segment, Sink, Transport};
use ottoscope_media::qq::{self, Session};
use ottoscope_synth::corpus;

/// Sessions of all flows that carry anything, and what the engine calls the flows.
#[derive(Default)]
struct Sessions {
    open: HashMap<FlowId, Session>,
    accepted: usize,
    streams: usize,
    segments: usize,
    told: usize,
    protocols: BTreeMap<&'static str, usize>,
}

impl Sink for Sessions {
    type Error = Infallible;

    fn segment(&mut self, segment: &Segment<'_>) -> Result<(), Infallible> {
        let session = self
            .open
            .entry(segment.flow.id)
            .or_insert_with(|| Session::new(qq::Options::default()));
        self.segments += 1;
        let (at, direction, payload) = (segment.at, segment.direction, segment.payload);
        match segment.flow.transport {
            Transport::Udp => session.datagram(at, direction, payload, &mut |_| {}),
            _ => session.bytes(at, direction, payload, &mut |_| {}),
        }
        Ok(())
    }

    fn message(&mut self, message: &Message<'_>) -> Result<(), Infallible> {
        self.told += usize::from(message.protocol == "qq-video");
        Ok(())
    }

    fn flow(&mut self, flow: &Flow) -> Result<(), Infallible> {
        *self.protocols.entry(flow.facts.protocol).or_default() += 1;
        if let Some(session) = self.open.remove(&flow.id) {
            let recovered = session.finish(&mut |_| {});
            self.accepted += usize::from(recovered.accepted.is_some());
            self.streams += recovered.streams.len();
        }
        Ok(())
    }
}

fn read(path: &Path) -> Option<Sessions> {
    let mut captures = Captures::open(&[Input::Path(path.to_owned())], Options::default()).ok()?;
    let config = Config { bins: false, segments: true, every_packet: true, ..Config::default() };
    let outcome = run(&mut captures, &config, &Arc::default(), 1, |_| Sessions::default()).unwrap();
    outcome.workers.into_iter().map(|(found, _)| found).next()
}

#[test]
fn no_capture_has_qq_video() {
    let Some(folder) = corpus::find("captures") else { return };
    let paths = corpus::captures(&folder);
    let (mut whole, mut flows, mut segments) = (0, 0, 0);
    let (mut found, mut oicq) = (Vec::new(), BTreeMap::new());
    for path in &paths {
        let Some(all) = read(path) else { continue };
        whole += 1;
        flows += all.protocols.values().sum::<usize>();
        segments += all.segments;
        let names = ["qq-video", "qq-2005", "qq-today"];
        if all.accepted + all.streams + all.told > 0
            || names.iter().any(|name| all.protocols.contains_key(name))
        {
            found.push((path.clone(), all.accepted, all.streams, all.protocols.clone()));
        }
        if let Some(count) = all.protocols.get("oicq") {
            oicq.insert(path.file_name().unwrap().to_string_lossy().into_owned(), *count);
        }
    }
    println!("{whole} captures, {flows} flows, {segments} payloads, OICQ in {oicq:?}");
    assert_eq!(found, []);
    let expected = paths.iter().filter(|path| path.ends_with("ndpi/oicq.pcap"));
    let expected: BTreeMap<String, usize> =
        expected.map(|_| ("oicq.pcap".to_owned(), OICQ_FLOWS)).collect();
    assert_eq!(oicq, expected);
}

/// Flows of nDPI's `oicq.pcap`, all of them OICQ.
const OICQ_FLOWS: usize = 29;
