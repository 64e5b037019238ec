//! From payloads to formats: headers that are known to the byte come out whole.

#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)] // tests

mod common;

use std::collections::HashMap;
use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;

use common::{MILLI, Rng, SECOND, day, flow};
use ottoscope_flow::capture::{Captures, Input, Options};
use ottoscope_flow::run::feed_all;
use ottoscope_flow::{Config, Direction, Engine, Segment, Shard, Sink, Timestamp, Transport};
use ottoscope_infer::fields::Kind;
use ottoscope_infer::segment::Aligned;
use ottoscope_infer::walk::{Defragmented, Given, Inference, Rules, infer};
use ottoscope_infer::{FlowInfo, Params, Sample, Samples};

fn walked(samples: &Samples, given: Given<'_>) -> Inference {
    infer(samples, given, &Params::default(), &Aligned, Rules::Typed).unwrap()
}

/// Spans and names of the fields of the commonest format that begin below `end`.
fn told(found: &Inference, end: usize) -> Vec<(usize, usize, &'static str)> {
    let fields = found.formats[0].fields.iter().filter(|field| field.span.start < end);
    fields.map(|field| (field.span.start, field.span.end, field.kind.name())).collect()
}

/// A Modbus client that polls a device over TCP: registers read and written.
fn modbus(seed: u64, functions: &[u8], units: &[u8]) -> Samples {
    let mut samples = Samples::new();
    let mut rng = Rng(seed);
    for id in 0..3 {
        let flow = flow(&mut samples, id, Transport::Tcp);
        let mut transaction = rng.below(5) as u16;
        let mut next = [rng.next() as u32, rng.next() as u32];
        let mut at = 1_600_000_000 * SECOND + id as i64 * 7 * SECOND;
        for _ in 0..80 {
            transaction += 1;
            let function = functions[rng.below(functions.len() as u64) as usize];
            let unit = units[rng.below(units.len() as u64) as usize];
            let first = [0_u16, 1, 10, 100, 300][rng.below(5) as usize].to_be_bytes();
            let count = [1_u16, 2, 10, 40, 100][rng.below(5) as usize];
            let values = rng.bytes(2 * usize::from(count));
            let named = [first, count.to_be_bytes()].concat();
            let counted = [&[values.len() as u8][..], &values].concat();
            let (ask, answer) = match function {
                16 => ([&named[..], &counted].concat(), named),
                _ => (named, counted),
            };
            for (direction, body) in [(Direction::Up, ask), (Direction::Down, answer)] {
                let mut message = transaction.to_be_bytes().to_vec();
                message.extend([0, 0]);
                message.extend((body.len() as u16 + 2).to_be_bytes());
                message.extend([unit, function]);
                message.extend(body);
                at += 20 * MILLI + rng.below(400) as i64 * MILLI;
                let sequence = &mut next[direction.index()];
                samples.push(Sample {
                    at: Timestamp(at),
                    flow,
                    direction,
                    sequence: Some(*sequence),
                    len: message.len() as u64,
                    head: &message,
                });
                *sequence = sequence.wrapping_add(message.len() as u32);
            }
        }
    }
    samples
}

/// Transaction, protocol, length, unit and function of Modbus, in every format of a find.
#[track_caller]
fn check_modbus(found: &Inference, what: &str) {
    assert!(!found.formats.is_empty(), "{what}");
    for format in &found.formats {
        let fields = &format.fields;
        let head = |at: usize| fields.get(at).map(|field| (field.span.clone(), field.kind));
        let spans: Vec<_> = (0..5).filter_map(|at| head(at).map(|(span, _)| span)).collect();
        assert_eq!(spans, [0..2, 2..4, 4..6, 6..7, 7..8], "{what}: {fields:#?}");
        let kinds: Vec<Kind> = (0..5).filter_map(|at| head(at).map(|(_, kind)| kind)).collect();
        let id = [Kind::Sequence, Kind::Transaction].contains(&kinds[0]);
        let code = |kind: Kind| [Kind::Constant, Kind::Opcode].contains(&kind);
        let length = kinds[2] == Kind::Length { add: 6 };
        assert!(id && kinds[1] == Kind::Constant && length, "{what}: {fields:#?}");
        assert!(code(kinds[3]) && code(kinds[4]), "{what}: {fields:#?}");
    }
}

#[test]
fn modbus_from_payloads() {
    for seed in 1..3 {
        let mixes = [(&[3][..], &[1][..]), (&[3, 4, 16], &[1]), (&[3, 16], &[1, 2, 9])];
        for (functions, units) in mixes {
            let samples = modbus(seed, functions, units);
            let what = format!("seed {seed}, functions {functions:?}");
            let found = walked(&samples, Given::Packets);
            let Defragmented::ByLength(by) = &found.defragmented else { panic!("{what}") };
            assert_eq!((by.framing.length.clone(), by.framing.add), (4..6, 6), "{what}");
            check_modbus(&found, &what);
            check_modbus(&walked(&samples, Given::Messages), &what);
        }
    }
}

/// Payload of the TCP segments to or from one port.
struct OfPort {
    port: u16,
    flows: HashMap<u64, usize>,
    samples: Samples,
}

impl Sink for OfPort {
    type Error = Infallible;

    fn flow(&mut self, _flow: &ottoscope_flow::Flow) -> Result<(), Infallible> {
        Ok(())
    }

    fn segment(&mut self, segment: &Segment<'_>) -> Result<(), Infallible> {
        let flow = segment.flow;
        if flow.server_port != self.port {
            return Ok(());
        }
        let index = *self.flows.entry(flow.id.0).or_insert_with(|| {
            self.samples.flow(FlowInfo {
                id: flow.id,
                transport: flow.transport,
                client: (flow.client, flow.client_port),
                server: (flow.server, flow.server_port),
            })
        });
        self.samples.push(Sample {
            at: segment.at,
            flow: index,
            direction: segment.direction,
            sequence: segment.sequence,
            len: u64::from(segment.len),
            head: segment.payload,
        });
        Ok(())
    }
}

#[test]
fn modbus_of_real_devices() {
    let corpus = std::env::var_os("OTTOSCOPE_CORPUS").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")),
        PathBuf::from,
    );
    let captures = [
        "captures/ndpi/modbus.pcap",
        "captures/ndpi/umas.pcap",
        "captures/other/inference-truth/zeek-modbus-modbusBig.pcap",
    ];
    for name in captures {
        let path = corpus.join(name);
        if !path.is_file() {
            println!("skipped: no {name}; set OTTOSCOPE_CORPUS");
            continue;
        }
        let config = Config { bins: false, dissect: false, segments: true, ..Config::default() };
        let sink = OfPort { port: 502, flows: HashMap::new(), samples: Samples::new() };
        let mut engine = Engine::new(config, Arc::default(), Shard::single(), sink);
        let mut source = Captures::open(&[Input::Path(path)], Options::default()).unwrap();
        feed_all(&mut source, &mut engine).unwrap();
        let (sink, _) = engine.finish().unwrap();
        check_modbus(&walked(&sink.samples, Given::Packets), name);
        check_modbus(&walked(&sink.samples, Given::Messages), name);
    }
}

#[test]
fn a_length_of_32_bits_keeps_its_zeros() {
    for seed in 1..4 {
        let mut talk = day(seed, 5, false);
        talk.send(0.01, 0.02, 0.01);
        let found = walked(&talk.packets, Given::Packets);
        let fields = told(&found, 16);
        let (first, last) = (&fields[..2], &fields[fields.len() - 1]);
        assert_eq!(first, [(0, 4, "length"), (4, 8, "constant")], "seed {seed}");
        assert_eq!(last, &(12, 16, "sequence"), "seed {seed}");
    }
}

#[test]
fn cuts_are_those_of_the_formats() {
    let found = walked(&modbus(1, &[3, 16], &[1]), Given::Messages);
    for format in &found.formats {
        let end = format.fields.last().unwrap().span.end;
        for member in &format.members {
            let len = found.messages.get(*member).head.len().min(end);
            assert_eq!(found.cuts[*member].within(len), format.cuts.within(len));
        }
    }
}
