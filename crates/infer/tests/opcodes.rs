//! Tasks of opcodes of generated connections.

#![allow(clippy::unwrap_used, missing_docs)] // failing is a test's work

mod common;

use common::{SECOND, day};
use ottoscope_flow::Timestamp;
use ottoscope_infer::Params;
use ottoscope_infer::fields::typed;
use ottoscope_infer::messages::{Framing, framed};
use ottoscope_infer::opcodes::{Event, Experiment, Origin, Reading, labelled, periodic, triggered};

/// Events as everything before finds them.
fn events(talk: &mut common::Talk, wide: bool, again: f64) -> Vec<Event> {
    talk.send(0.0, again, 0.0);
    let headers: Vec<usize> = (0..talk.packets.len())
        .filter(|index| talk.packets.get(*index).head.get(4..8) == Some(&[0, 0x10, 0, 1]))
        .collect();
    let params = Params::default();
    let narrow = [0..4, 4..8, 8..11, 11..12, 12..16];
    let spans = if wide { vec![0..4, 4..8, 8..12, 12..16] } else { narrow.to_vec() };
    let fields = typed::infer(&talk.packets, &headers, &spans, &params);
    let framing = Framing::new(&talk.packets, &headers, &fields).unwrap();
    let messages = framed(&talk.packets, &framing);
    let all: Vec<usize> = (0..messages.samples.len()).collect();
    let fields = typed::infer(&messages.samples, &all, &spans, &params);
    let reading = Reading::new(&messages.samples, &all, &fields).unwrap();
    if wide {
        assert_eq!(reading.response_offset, common::RESPONSE);
    } else {
        assert_eq!(reading.mark, Some((8..11, vec![0x3b, 0x9a, 0xca])));
    }
    let events = reading.events(&messages.samples);
    let told: Vec<_> = events.iter().map(|e| (e.at.0, e.opcode, e.response)).collect();
    let meant: Vec<_> = talk.messages.iter().map(|m| (m.at, m.opcode, m.response)).collect();
    assert_eq!(told, meant);
    events
}

#[test]
fn heartbeats_are_periodic_and_nothing_else_is() {
    for seed in 1..9 {
        let wide = seed % 2 == 0;
        let events = events(&mut day(seed, 6, wide), wide, 0.05);
        let found = periodic(&events, &Params::default());
        let told: Vec<u64> = found.iter().map(|assignment| assignment.opcode).collect();
        assert_eq!(told, [6], "seed {seed}: {found:?}");
        let Origin::Periodic { period } = found[0].origin else { panic!("{found:?}") };
        assert!((period - 300.0).abs() < 3.0, "{period}");
        assert!(found[0].confidence > 0.8);
    }
}

#[test]
fn what_a_push_triggers_is_found_and_nothing_else_is() {
    for seed in 1..13 {
        let wide = seed % 2 == 0;
        let events = events(&mut day(seed, 6, wide), wide, 0.02);
        let found = triggered(&events, &Params::default());
        let told: Vec<_> = found.iter().map(|a| (a.opcode, a.origin.clone())).collect();
        assert_eq!(told, [(121, Origin::Triggered { by: 24 })], "seed {seed}: {found:?}");
    }
}

/// Answers are not told from requests here.
#[test]
fn answers_are_not_triggered() {
    for seed in 1..6 {
        let mut talk = day(seed, 6, false);
        talk.send(0.0, 0.0, 0.0);
        let events: Vec<Event> = talk
            .messages
            .iter()
            .map(|m| Event {
                at: Timestamp(m.at),
                flow: m.flow,
                direction: m.direction,
                opcode: m.opcode + if m.response { 1000 } else { 0 },
                response: false,
            })
            .collect();
        let found = triggered(&events, &Params::default());
        let own = |a: &ottoscope_infer::opcodes::Assignment| {
            a.origin == Origin::Triggered { by: a.opcode - 1000 }
        };
        assert!(!found.iter().any(|a| a.opcode > 1000 && own(a)), "{found:?}");
    }
}

#[test]
fn experiments_name_their_opcodes() {
    for seed in 1..6 {
        let mut talk = day(seed, 6, false);
        let events = events(&mut talk, false, 0.0);
        // Every use of three opcodes was a task; the watch is a second off.
        let experiments: Vec<Experiment> = talk
            .messages
            .iter()
            .filter(|message| !message.response)
            .filter_map(|message| {
                let task = match message.opcode {
                    9 => "send picture",
                    68 => "send emoji",
                    98 => "refresh moments",
                    _ => return None,
                };
                Some(Experiment {
                    task: task.to_owned(),
                    start: Timestamp(message.at - SECOND),
                    end: Timestamp(message.at + 6 * SECOND),
                    flows: vec![message.flow],
                })
            })
            .collect();
        let found = labelled(&events, &experiments);
        let told: Vec<_> = found.iter().map(|a| (a.opcode, a.origin.clone())).collect();
        let task = |name: &str| Origin::Task(name.to_owned());
        let expected =
            [(9, task("send picture")), (68, task("send emoji")), (98, task("refresh moments"))];
        assert_eq!(told, expected, "seed {seed}");
    }
}

#[test]
fn nothing_comes_of_nothing() {
    let params = Params::default();
    assert!(periodic(&[], &params).is_empty());
    assert!(triggered(&[], &params).is_empty());
    assert!(labelled(&[], &[]).is_empty());
    let mut rng = common::Rng(3);
    let mut at = 0;
    let events: Vec<Event> = (0..3000)
        .map(|_| {
            at += (rng.exponential(2.0) * 1e9) as i64;
            Event {
                at: Timestamp(at),
                flow: rng.below(5) as usize,
                direction: ottoscope_flow::Direction::Up,
                opcode: rng.below(20),
                response: false,
            }
        })
        .collect();
    assert_eq!(periodic(&events, &params), []);
    assert_eq!(triggered(&events, &params), []);
    let experiments: Vec<Experiment> = (0..40)
        .map(|index| Experiment {
            task: format!("task {}", index % 4),
            start: Timestamp(index * 60 * SECOND),
            end: Timestamp((index * 60 + 10) * SECOND),
            flows: Vec::new(),
        })
        .collect();
    assert_eq!(labelled(&events, &experiments), []);
}
