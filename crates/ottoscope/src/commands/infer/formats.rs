//! `infer segment`, `infer messages`, `infer fields`: from packets to formats.

use ottoscope_analysis::figure::{Axis, Chart, Figure, Mark, Scale, Series};
use ottoscope_analysis::grid::Unit;
use ottoscope_flow::{Direction, Transport};
use ottoscope_infer::fields::{Field, Kind};
use ottoscope_infer::segment::{Segmenter, Support};
use ottoscope_infer::walk::{Defragmented, Format, Inference};
use ottoscope_infer::{Cuts, Params, Samples};

use crate::account::{Column, HexRow, HexView, Step, Table, count, heads};
use crate::report::number::value;

/// Packets of a view.
const VIEW: usize = 12;
/// Rows of lists that grow with the traffic.
const ROWS: usize = 12;

fn share(part: usize, whole: usize) -> String {
    value(part as f64 / whole.max(1) as f64, Unit::Share)
}

fn carrier(transport: Transport) -> &'static str {
    if transport == Transport::Udp { "UDP" } else { "TCP" }
}

/// `0|4|8`: where fields begin.
pub(super) fn written(cuts: Cuts) -> String {
    let starts = std::iter::once(0).chain(cuts.iter());
    starts.map(|start| start.to_string()).collect::<Vec<_>>().join("|")
}

/// Where fields begin.
pub(super) fn segment(
    packets: &Samples,
    found: &Inference,
    transport: Transport,
    method: &dyn Segmenter,
    params: &Params,
) -> Step {
    let mut step = Step::new("segment", format!("{}: where fields begin", carrier(transport)));
    let samples = if found.of_messages { &found.messages } else { packets };
    let what = if found.of_messages { "messages" } else { "packets" };
    step.say(format!(
        "{} {what} cut by the method {}, their first {} bytes",
        count(samples.len() as u64),
        method.name(),
        params.payload_bytes
    ));
    let mut groups: std::collections::BTreeMap<Cuts, usize> = std::collections::BTreeMap::new();
    for cuts in &found.segmentation.cuts {
        *groups.entry(*cuts).or_default() += 1;
    }
    let mut groups: Vec<(Cuts, usize)> = groups.into_iter().collect();
    groups.sort_by_key(|(cuts, n)| (std::cmp::Reverse(*n), *cuts));
    let rows = groups
        .iter()
        .take(ROWS)
        .map(|(cuts, n)| vec![written(*cuts), count(*n as u64), share(*n, samples.len())]);
    step.tables.push(Table {
        caption: match groups.len().saturating_sub(ROWS) {
            0 => "segmentations".to_owned(),
            more => format!("segmentations; {more} rarer ones are not shown"),
        },
        columns: heads(["fields begin at", what, "share"]),
        rows: rows.collect(),
    });
    if let Some((cuts, _)) = groups.first() {
        let members: Vec<usize> =
            (0..samples.len()).filter(|&i| found.segmentation.cuts[i] == *cuts).collect();
        let end = samples_end(samples, &members, params);
        let columns = cuts.fields(end).map(|span| Column { span, kind: Kind::Unidentified });
        step.views.push(view(
            samples,
            &members,
            columns.collect(),
            "of the commonest segmentation",
        ));
    }
    let support = method.support(samples, params);
    step.figures.push(figure(samples, &found.segmentation.cuts, support, transport, params));
    step
}

fn samples_end(samples: &Samples, members: &[usize], params: &Params) -> usize {
    let longest = members.iter().map(|&i| samples.get(i).head.len()).max().unwrap_or(0);
    longest.min(params.payload_bytes)
}

/// Some packets spread over all of them.
fn view(samples: &Samples, members: &[usize], columns: Vec<Column>, of: &str) -> HexView {
    let step = members.len().div_ceil(VIEW).max(1);
    let end = columns.last().map_or(0, |column| column.span.end);
    let rows = members.iter().step_by(step).map(|&index| {
        let sample = samples.get(index);
        HexRow {
            note: format!("{} {}", sample.direction.name(), sample.len),
            bytes: sample.head[..sample.head.len().min(end)].to_vec(),
        }
    });
    let rows: Vec<HexRow> = rows.collect();
    let caption = format!("{} of {} {of}", rows.len(), count(members.len() as u64));
    HexView { caption, columns, rows }
}

/// What speaks for the boundaries: entropy of each byte, and how many packets are cut before it.
fn figure(
    samples: &Samples,
    cuts: &[Cuts],
    support: Vec<Support>,
    transport: Transport,
    params: &Params,
) -> Figure {
    let looked = params.payload_bytes.min(64);
    let mut values = vec![[0_u64; 256]; looked];
    let mut cut = vec![0_u64; looked];
    for (index, sample) in samples.iter().enumerate() {
        for (offset, byte) in sample.head.iter().take(looked).enumerate() {
            values[offset][usize::from(*byte)] += 1;
        }
        for offset in cuts[index].iter().filter(|offset| *offset < looked) {
            cut[offset] += 1;
        }
    }
    let entropy = |counts: &[u64; 256]| {
        let total: u64 = counts.iter().sum();
        let part = |n: &u64| {
            let p = *n as f64 / total as f64;
            if *n == 0 { 0.0 } else { -p * p.log2() }
        };
        counts.iter().map(part).sum::<f64>() / 8.0
    };
    let points = |value: &dyn Fn(usize) -> f64| {
        (0..looked).map(|offset| [offset as f64, value(offset)]).collect::<Vec<_>>()
    };
    let all = samples.len().max(1) as f64;
    let axis = |label: &str, unit| Axis { label: label.to_owned(), unit, scale: Scale::Linear };
    let mut series = vec![
        Series { name: "entropy".to_owned(), points: points(&|o| entropy(&values[o])) },
        Series { name: "cut before".to_owned(), points: points(&|o| cut[o] as f64 / all) },
    ];
    series.extend(support.into_iter().map(|expert| {
        let said = expert.by_offset.iter().take(looked).enumerate();
        let points = said.map(|(offset, value)| [offset as f64, *value]).collect();
        Series { name: expert.name.to_owned(), points }
    }));
    let marks = (1..looked).filter(|&o| cut[o] as f64 > all / 2.0);
    Figure {
        id: format!("boundaries-{transport}"),
        title: "What speaks for each boundary".to_owned(),
        caption: format!(
            "Entropy of the byte at each offset, as a share of 8 bits, the share of {} that are cut \
             before it, and what the method's experts say",
            count(samples.len() as u64)
        ),
        chart: Chart::Lines {
            x: axis("offset", Unit::Count),
            y: axis("share", Unit::Share),
            steps: false,
            series,
            marks: marks.map(|at| Mark { at: at as f64, label: at.to_string() }).collect(),
        },
    }
}

/// Packets put together to messages.
pub(super) fn messages(packets: &Samples, found: &Inference, transport: Transport) -> Step {
    let mut step = Step::new("messages", format!("{}: messages", carrier(transport)));
    match &found.defragmented {
        Defragmented::ByLength(by) => {
            let framing = &by.framing;
            let add = match framing.add {
                0 => "of the whole message".to_owned(),
                add if add == framing.length.end as i64 => "of what follows it".to_owned(),
                add => format!("of the message without {add} bytes"),
            };
            step.say(format!(
                "bytes {} to {} are the length {add}, {}: {} of {} messages that were tried end \
                 where a packet ends, {} inside one where nothing begins",
                framing.length.start,
                framing.length.end - 1,
                if framing.little { "little-endian" } else { "big-endian" },
                count(by.ends as u64),
                count(by.messages as u64),
                count(by.astray as u64),
            ));
            if !by.strangers.is_empty() {
                step.say(format!(
                    "the streams of {} flows have no such length and are left out, as another \
                     protocol is spoken there: --port or --server look at them alone",
                    count(by.strangers.len() as u64)
                ));
            }
        }
        Defragmented::BySegmentation => step.say(
            "no length frames the streams: packets of a frequent segmentation begin messages, \
             the others continue them (the ChatDissect paper, III-A2)",
        ),
        Defragmented::Datagrams => step.say("each datagram is a message"),
        Defragmented::Given => step.say("they were messages already"),
    }
    let told = &found.statistics;
    step.say(format!(
        "{} packets make {} messages",
        count(packets.len() as u64),
        count(found.messages.len() as u64)
    ));
    let rows = [
        ("begin a message", told.protocol),
        ("go on with one", told.continuations),
        ("belong to none", told.orphans),
        ("were retransmitted", told.retransmitted),
        ("overlap what was seen", told.overlapping),
    ];
    step.tables.push(Table {
        caption: "packets".to_owned(),
        columns: heads(["that", "packets", "share"]),
        rows: rows
            .iter()
            .filter(|(_, n)| *n > 0)
            .map(|(what, n)| vec![(*what).to_owned(), count(*n as u64), share(*n, packets.len())])
            .collect(),
    });
    if told.gaps > 0 {
        step.say(format!(
            "{} bytes are missing in {} places; {} messages are incomplete",
            count(told.missing),
            count(told.gaps as u64),
            count(told.incomplete as u64)
        ));
    }
    if told.hidden > 0 {
        step.say(format!(
            "in {} packets a message begins behind the bytes that are looked at",
            count(told.hidden as u64)
        ));
    }
    step
}

/// What fields hold.
pub(super) fn fields(found: &Inference, transport: Transport) -> Step {
    let mut step = Step::new("fields", format!("{}: what fields hold", carrier(transport)));
    let samples = &found.messages;
    let told: Vec<&Format> = found.formats.iter().filter(|f| f.says_something()).collect();
    if told.is_empty() {
        step.say(format!(
            "no structure found in {} messages: their first bytes are like random ones, or too \
             few agree",
            count(samples.len() as u64)
        ));
        return step;
    }
    for (number, format) in told.iter().enumerate() {
        let caption = format!(
            "kind {}: {} messages, {} of all",
            number + 1,
            count(format.members.len() as u64),
            share(format.members.len(), samples.len())
        );
        step.tables.push(Table {
            caption,
            columns: heads(["bytes", "holds", "byte order", "way", "sure", "why"]),
            rows: format.fields.iter().map(row).collect(),
        });
        let columns = format.fields.iter().map(|f| Column { span: f.span.clone(), kind: f.kind });
        let of = format!("of kind {}", number + 1);
        step.views.push(view(samples, &format.members, columns.collect(), &of));
    }
    step
}

fn row(field: &Field) -> Vec<String> {
    let span = &field.span;
    let bytes = if span.len() == 1 {
        span.start.to_string()
    } else {
        format!("{}-{}", span.start, span.end - 1)
    };
    let number = matches!(
        field.kind,
        Kind::Sequence | Kind::Length { .. } | Kind::Opcode | Kind::Timestamp | Kind::Count
    );
    let order = match (number && span.len() > 1, field.little) {
        (false, _) => "",
        (true, false) => "big",
        (true, true) => "little",
    };
    let way = field.direction.map_or("", Direction::name);
    let kind = match field.kind {
        Kind::Length { add } if add != 0 => format!("length {add:+}"),
        kind => kind.name().to_owned(),
    };
    let sure = value(f64::from(field.confidence), Unit::Share);
    vec![bytes, kind, order.to_owned(), way.to_owned(), sure, field.evidence.clone()]
}
