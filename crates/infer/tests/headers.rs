//! Headers that are known to the byte are cut where they must be.

#![allow(clippy::unwrap_used, missing_docs)]

use ottoscope_flow::{Direction, FlowId, Timestamp, Transport};
use ottoscope_infer::kinds::Kinds;
use ottoscope_infer::samples::{FlowInfo, Sample};
use ottoscope_infer::segment::{Aligned, Segmenter};
use ottoscope_infer::{Cuts, Params, Samples};

/// Numbers that look random (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next() as u8).collect()
    }
}

fn flows(count: usize, transport: Transport) -> Samples {
    let mut samples = Samples::new();
    for flow in 0..count {
        samples.flow(FlowInfo {
            id: FlowId(flow as u64),
            transport,
            client: ("192.0.2.1".parse().unwrap(), 4000 + flow as u16),
            server: ("198.51.100.1".parse().unwrap(), 8080),
        });
    }
    samples
}

fn push(samples: &mut Samples, at: f64, flow: usize, down: bool, payload: &[u8]) {
    assert!(samples.push(Sample {
        at: Timestamp((at * 1e9) as i64),
        flow,
        direction: if down { Direction::Down } else { Direction::Up },
        sequence: None,
        len: payload.len() as u64,
        head: payload,
    }));
}

/// How much of W-TCP there is.
#[derive(Debug, Clone, Copy)]
struct Shape {
    flows: usize,
    exchanges: usize,
    most_body: u64,
    /// Sequence numbers begin anywhere, not at 1.
    anywhere: bool,
}

const USUAL: Shape = Shape { flows: 6, exchanges: 260, most_body: 3000, anywhere: false };

/// Requests and responses with a header of length, `00 10 00 01`, command and sequence number
/// (the paper, Fig. 2), and what follows them. With `commands` over 255 a command needs more
/// than the one byte that the paper has for it.
fn w_tcp(seed: u64, commands: &[u32], shape: Shape) -> (Samples, Vec<bool>) {
    let mut random = Random(seed);
    let mut samples = flows(shape.flows, Transport::Tcp);
    let mut header = Vec::new();
    let mut next: Vec<u32> = (0..shape.flows)
        .map(|_| if shape.anywhere { random.below(1 << 31) as u32 } else { 1 })
        .collect();
    let mut at = 0.0;
    for _ in 0..shape.exchanges {
        let flow = random.below(shape.flows as u64) as usize;
        let pick = (random.below(1 << 20) as f64).sqrt() as usize * commands.len() / 1024;
        let command = commands[pick];
        let heartbeat = command == 6;
        let sequence = if heartbeat { u32::MAX } else { next[flow] };
        next[flow] = next[flow].wrapping_add(u32::from(!heartbeat));
        for (down, command) in [(false, command), (true, command + 1_000_000_000)] {
            let most = if down { shape.most_body / 4 } else { shape.most_body };
            let body = if heartbeat { 0 } else { random.below(most) as usize };
            let body = random.bytes(body);
            let total = 16 + body.len() as u32;
            let mut message = total.to_be_bytes().to_vec();
            message.extend([0, 0x10, 0, 1]);
            message.extend(command.to_be_bytes());
            message.extend(if command == 24 { 0 } else { sequence }.to_be_bytes());
            message.extend(body);
            at += 0.05 + random.below(1000) as f64 / 400.0;
            for (part, payload) in message.chunks(1380).enumerate() {
                push(&mut samples, at + part as f64 / 1000.0, flow, down, payload);
                header.push(part == 0);
            }
        }
    }
    (samples, header)
}

fn cuts(samples: &Samples) -> Vec<Cuts> {
    Aligned.segment(samples, &Params::default()).cuts
}

fn fields(cuts: Cuts) -> Vec<usize> {
    cuts.iter().collect()
}

#[test]
fn w_tcp_header_is_cut_where_the_paper_cuts_it() {
    let shapes = [
        USUAL,
        Shape { flows: 1, ..USUAL },
        Shape { flows: 30, ..USUAL },
        Shape { exchanges: 60, ..USUAL },
        Shape { exchanges: 1500, ..USUAL },
        Shape { most_body: 400, ..USUAL },
        Shape { most_body: 20_000, ..USUAL },
        Shape { anywhere: true, ..USUAL },
        Shape { flows: 2, anywhere: true, ..USUAL },
    ];
    let mut wrong = Vec::new();
    let all = shapes.map(|shape| (1, shape));
    let usual = (2..=8).map(|seed| (seed, USUAL));
    for (seed, shape) in all.into_iter().chain(usual) {
        for commands in [&[1, 6, 9, 11, 19, 25, 26, 40][..], &[6, 10, 24, 120, 237, 268, 500, 1000]]
        {
            let (samples, header) = w_tcp(seed, commands, shape);
            let found = cuts(&samples).into_iter().zip(&header).enumerate();
            let bad = |cut: Cuts| fields(cut) != [4, 8, 11, 12] && fields(cut) != [4, 8, 12];
            if let Some((index, (cut, _))) =
                found.clone().find(|(_, (cut, header))| **header && bad(*cut))
            {
                let count = found.filter(|(_, (cut, header))| **header && bad(*cut)).count();
                let head = &samples.get(index).head[..16];
                wrong
                    .push(format!("{seed} {shape:?}: {count} as {:?} in {head:02x?}", fields(cut)));
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn w_tcp_continuations_have_no_fields() {
    let (samples, header) = w_tcp(1, &[1, 6, 9, 11], USUAL);
    let cut = cuts(&samples);
    let strays =
        (0..samples.len()).filter(|index| !header[*index] && samples.get(*index).len >= 16);
    let strays: Vec<usize> = strays.collect();
    assert!(strays.len() > 50);
    for index in strays {
        assert_eq!(cut[index], Cuts::none(), "{:02x?}", samples.get(index).head);
    }
}

#[test]
fn longlink_header_is_five_words() {
    for seed in 1..=8 {
        let mut random = Random(seed);
        let mut samples = flows(4, Transport::Tcp);
        for n in 0..240_u32 {
            let flow = random.below(4) as usize;
            let body = random.below(900) as usize;
            let command = [6, 10, 24, 120, 237, 1000][random.below(6) as usize];
            let sequence = if command == 6 { u32::MAX } else { n };
            let mut message = Vec::new();
            for word in [20, 200, command, sequence, body as u32] {
                message.extend(word.to_be_bytes());
            }
            message.extend(random.bytes(body));
            push(&mut samples, f64::from(n), flow, n % 2 == 1, &message);
        }
        for cut in cuts(&samples) {
            assert_eq!(fields(cut), [4, 8, 12], "seed {seed}");
        }
        let all = Params { payload_bytes: 24, ..Params::default() };
        for (index, cut) in Aligned.segment(&samples, &all).cuts.into_iter().enumerate() {
            let seen = samples.get(index).head.len();
            assert_eq!(cut, Cuts::at([4, 8, 12, 16, 20]).within(seen), "seed {seed}");
        }
    }
}

#[test]
fn random_payloads_have_no_structure() {
    for seed in 1..=10 {
        for count in [30, 100, 600] {
            let mut random = Random(seed);
            let mut samples = flows(3, Transport::Udp);
            for n in 0..count {
                let len = 16 + random.below(400) as usize;
                let payload = random.bytes(len);
                push(&mut samples, f64::from(n), n as usize % 3, n % 2 == 1, &payload);
            }
            assert!(cuts(&samples).iter().all(|cut| *cut == Cuts::none()), "{seed} {count}");
            assert_eq!(Kinds::learn(&samples, &(0..samples.len()).collect::<Vec<_>>()).len(), 1);
        }
    }
}

/// The four kinds of Fig. 3: heartbeats up and down, content, signalling. With `apart` the last
/// two have flows of their own.
fn w_udp(seed: u64, apart: bool, known_first: bool) -> (Samples, Vec<usize>) {
    let mut random = Random(seed);
    let mut samples = flows(8, Transport::Udp);
    let mut kinds = Vec::new();
    let mut next = [100_u16; 8];
    for n in 0..1500 {
        let kind = [0, 1, 2, 2, 2, 2, 3][random.below(7) as usize];
        let flow = if apart { [0, 0, 2, 4][kind] + n % 2 } else { random.below(8) as usize };
        next[flow] = next[flow].wrapping_add(1);
        let mut payload = vec![if known_first { 0xd0 } else { random.next() as u8 }];
        match kind {
            0 | 1 => {
                payload.extend([0xd1, random.next() as u8, 0x0a, 0, 3]);
                payload.extend(random.bytes(3));
                payload.extend([0, 0, 0, 1]);
                payload.extend(if kind == 1 { vec![7] } else { vec![] });
                payload.extend(random.bytes(16));
            }
            2 => {
                payload.push([0xa3, 0xd5, 0xd6][random.below(3) as usize]);
                payload.extend(next[flow].to_be_bytes());
                payload.push(1);
                let len = 80 + random.below(120) as usize;
                payload.extend(random.bytes(len));
            }
            _ => {
                payload = vec![0xa1, 8, 0];
                payload.extend(next[flow].to_be_bytes());
                payload.extend(random.bytes(2));
                payload.push(2);
                payload.extend(random.bytes(1));
                payload.extend([0, 0x10, 0x20, 0x30]);
                payload.extend(random.bytes(60));
            }
        }
        let down = if kind < 2 { kind == 1 } else { random.below(2) == 1 };
        push(&mut samples, n as f64 / 50.0, flow, down, &payload);
        kinds.push(kind);
    }
    (samples, kinds)
}

/// Rosenberg and Hirschberg 2007.
fn v_measure(truth: &[usize], found: &[usize]) -> f64 {
    let n = truth.len() as f64;
    let share =
        |test: &dyn Fn(usize) -> bool| (0..truth.len()).filter(|at| test(*at)).count() as f64 / n;
    let (of_truth, of_found) = (truth.iter().max().unwrap() + 1, found.iter().max().unwrap() + 1);
    let (mut mixed, mut split, mut truths, mut founds) = (0.0, 0.0, 0.0, 0.0);
    let plus = |p: f64| if p > 0.0 { -p * p.ln() } else { 0.0 };
    for t in 0..of_truth {
        truths += plus(share(&|at| truth[at] == t));
    }
    for f in 0..of_found {
        founds += plus(share(&|at| found[at] == f));
        for t in 0..of_truth {
            let both = share(&|at| truth[at] == t && found[at] == f);
            if both > 0.0 {
                mixed -= both * (both / share(&|at| found[at] == f)).ln();
                split -= both * (both / share(&|at| truth[at] == t)).ln();
            }
        }
    }
    let homogeneity = 1.0 - mixed / truths;
    let completeness = if founds == 0.0 { 1.0 } else { 1.0 - split / founds };
    2.0 * homogeneity * completeness / (homogeneity + completeness)
}

#[test]
fn kinds_of_w_udp_are_told_apart() {
    for seed in 1..=8 {
        let (samples, truth) = w_udp(seed, seed % 2 == 0, seed % 3 == 0);
        let kinds = Kinds::learn(&samples, &(0..samples.len()).collect::<Vec<_>>());
        let found: Vec<usize> = samples.iter().map(|sample| kinds.kind(&sample)).collect();
        let v = v_measure(&truth, &found);
        assert!(v >= 0.9, "seed {seed}: {v:.3} with {} kinds", kinds.len());
    }
}

/// A made-up protocol: where its fields end, and messages of it.
fn made_up(seed: u64) -> (Vec<usize>, Samples) {
    let mut random = Random(seed);
    let mut ends = Vec::new();
    let mut kinds = Vec::new();
    let mut at = 0;
    while at < 16 {
        let width = [1, 2, 2, 4, 4][random.below(5) as usize];
        if at % width == 0 {
            at += width;
            ends.push(at);
            kinds.push((width, random.below(if width == 1 { 3 } else { 6 }), random.next()));
        }
    }
    let mut samples = flows(3, Transport::Udp);
    let mut next = [1_u64; 3];
    for n in 0..240 {
        let flow = random.below(3) as usize;
        let body = 8 + random.below(700) as usize;
        next[flow] += 1;
        let mut payload = Vec::new();
        for (width, kind, own) in &kinds {
            let value = match kind {
                0 => *own,
                1 => [0, 1, 3, 5][random.below(4) as usize],
                2 => own % 3 + random.below(2) * 0x80,
                3 => next[flow],
                4 => (at + body) as u64,
                _ => random.next(),
            };
            payload.extend(&value.to_be_bytes()[8 - width..]);
        }
        payload.extend(random.bytes(body));
        push(&mut samples, f64::from(n), flow, n % 2 == 1, &payload);
    }
    (ends.into_iter().filter(|end| *end < 16).collect(), samples)
}

#[test]
fn made_up_protocols_are_cut_better_than_every_two_bytes() {
    let score = |truth: &[usize], found: &[usize]| {
        let both = found.iter().filter(|at| truth.contains(at)).count();
        2.0 * both as f64 / (truth.len() + found.len()).max(1) as f64
    };
    let (mut ours, mut twos) = (0.0, 0.0);
    for seed in 1..=40 {
        let (truth, samples) = made_up(seed);
        ours += score(&truth, &fields(cuts(&samples)[0])) / 40.0;
        twos += score(&truth, &[2, 4, 6, 8, 10, 12, 14]) / 40.0;
    }
    assert!(ours > 0.8 && ours > twos + 0.1, "{ours:.3} against {twos:.3}");
}
