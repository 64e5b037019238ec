//! From packets to formats: the steps one after another.
//!
//! Our way first asks a TCP stream which length frames it; messages are then what fields are
//! looked for in, and what is in the middle of a packet is not taken for a header. Where no
//! length is found, and on request, it is the paper's way: packets are segmented, segmentations
//! that are frequent make protocol packets, and the others continue them.

use std::ops::Range;

use hashbrown::HashMap;
use ottoscope_flow::Transport;
use ottoscope_flow::signature::number;

use crate::fields::{self, Field, Kind};
use crate::kinds::Kinds;
use crate::messages::{self, Framing, Messages, Statistics, by_segmentation, framed_but};
use crate::params::Params;
use crate::samples::{Cuts, Samples};
use crate::segment::{Segmentation, Segmenter, learned};

/// Fewest messages that a format is inferred from.
pub const FEW: usize = 8;

/// Smallest share of all messages that is shown as a kind of its own.
const LEAST_OF_KIND: f64 = 0.02;

/// Which rules say what fields hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Rules {
    /// [`fields::typed`].
    #[default]
    Typed,
    /// [`fields::paper`].
    Paper,
}

/// How packets became messages.
#[derive(Debug, Clone, PartialEq)]
pub enum Defragmented {
    /// By the length field of their streams.
    ByLength(Box<messages::Found>),
    /// By how they are segmented (the paper's way).
    BySegmentation,
    /// Datagrams are messages.
    Datagrams,
    /// They were messages already.
    Given,
}

/// One kind of message with its fields.
#[derive(Debug, Clone)]
pub struct Format {
    /// Indices of its messages in [`Inference::messages`].
    pub members: Vec<usize>,
    /// Where its fields begin.
    pub cuts: Cuts,
    /// What they hold, by rising offset.
    pub fields: Vec<Field>,
}

/// What was inferred.
#[derive(Debug)]
pub struct Inference {
    /// The segmentation of packets, where it was needed, else that of messages.
    pub segmentation: Segmentation,
    /// Whether [`Inference::segmentation`] is of messages.
    pub of_messages: bool,
    /// How packets became messages.
    pub defragmented: Defragmented,
    /// The messages.
    pub messages: Samples,
    /// Where the fields of each begin.
    pub cuts: Vec<Cuts>,
    /// What was found while packets were put together.
    pub statistics: Statistics,
    /// Kinds of messages, the most frequent first.
    pub formats: Vec<Format>,
}

/// Why nothing is inferred.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoFormat {
    /// Fewer packets than [`FEW`].
    #[error("packets with payload: {0}, too few to infer anything from")]
    TooFew(usize),
}

/// What samples are.
pub enum Given<'a> {
    /// Payloads of packets, which may carry parts of messages.
    Packets,
    /// The same, with someone who reads the packets again, whole, once it is known what frames
    /// their streams: messages that begin behind the bytes kept of a packet are seen only so.
    /// They have the flows of the packets.
    PacketsAgain(&'a mut dyn FnMut(&messages::Found) -> Option<Samples>),
    /// Whole messages.
    Messages,
}

/// Infers formats from samples of one transport.
///
/// # Errors
/// See [`NoFormat`].
pub fn infer(
    packets: &Samples,
    given: Given<'_>,
    params: &Params,
    method: &dyn Segmenter,
    rules: Rules,
) -> Result<Inference, NoFormat> {
    if packets.len() < FEW {
        return Err(NoFormat::TooFew(packets.len()));
    }
    if let Given::Messages = given {
        let segmentation = method.segment(packets, params);
        let Messages { samples: messages, statistics, .. } = messages::whole(packets);
        let formats = formats(&messages, &segmentation, params, rules, None);
        return Ok(Inference {
            cuts: segmentation.cuts.clone(),
            segmentation,
            of_messages: true,
            defragmented: Defragmented::Given,
            messages,
            statistics,
            formats,
        });
    }
    let tcp = packets.flows().iter().any(|flow| flow.transport == Transport::Tcp);
    let ours = method.name() == "aligned" && rules == Rules::Typed;
    let found = if tcp && ours { messages::search(packets) } else { None };
    if let Some(found) = found {
        let Messages { samples: mut messages, mut statistics, .. } =
            framed_but(packets, &found.framing, &found.strangers);
        if let Given::PacketsAgain(read) = given
            && let Some(whole) = read(&found).filter(|m| m.len() >= messages.len())
        {
            (messages, statistics.hidden) = (whole, 0);
        }
        let segmentation = method.segment(&messages, params);
        let formats = formats(&messages, &segmentation, params, rules, Some(&found.framing));
        return Ok(Inference {
            cuts: segmentation.cuts.clone(),
            segmentation,
            of_messages: true,
            defragmented: Defragmented::ByLength(Box::new(found)),
            messages,
            statistics,
            formats,
        });
    }
    let segmentation = method.segment(packets, params);
    let messages = by_segmentation(packets, &segmentation.cuts, params);
    let of_messages = Segmentation {
        cuts: messages.first.iter().map(|&packet| segmentation.cuts[packet as usize]).collect(),
    };
    let Messages { samples: messages, statistics, .. } = messages;
    let formats = formats(&messages, &of_messages, params, rules, None);
    let defragmented = if tcp { Defragmented::BySegmentation } else { Defragmented::Datagrams };
    let cuts = of_messages.cuts;
    let of_messages = false;
    Ok(Inference { segmentation, of_messages, defragmented, messages, cuts, statistics, formats })
}

/// Messages by their segmentation, the most frequent first, each group with its fields' types.
fn formats(
    samples: &Samples,
    segmentation: &Segmentation,
    params: &Params,
    rules: Rules,
    framing: Option<&Framing>,
) -> Vec<Format> {
    let looked = params.payload_bytes;
    // Datagrams of one cut may still be of several kinds, each with its own constants.
    let kinds = (rules == Rules::Typed && framing.is_none() && !samples.is_empty())
        .then(|| Kinds::learn(samples, &learned(samples)));
    // What one length frames has one header, whatever kinds of messages stand behind it.
    let header = framing.and_then(|_| commonest(&segmentation.cuts));
    let mut groups: HashMap<(usize, Cuts), Vec<usize>> = HashMap::new();
    for (index, cuts) in segmentation.cuts.iter().enumerate() {
        let kind = kinds.as_ref().map_or(0, |kinds| kinds.kind(&samples.get(index)));
        groups.entry((kind, header.unwrap_or(*cuts))).or_default().push(index);
    }
    // A message that ends early shows the first fields of the layout that it belongs to.
    let mut order: Vec<((usize, Cuts), Vec<usize>)> = groups.into_iter().collect();
    order.sort_by_key(|(key, members)| (std::cmp::Reverse(members.len()), *key));
    let mut formats: Vec<((usize, Cuts), Vec<usize>)> = Vec::new();
    for ((kind, cuts), members) in order {
        let len = |index: &usize| samples.get(*index).head.len().min(looked);
        let shown = members.iter().map(len).max().unwrap_or(0);
        let whole = formats.iter_mut().find(|((other_kind, other), _)| {
            *other_kind == kind && other.within(shown) == cuts.within(shown)
        });
        match whole {
            Some((_, all)) => all.extend(members),
            None => formats.push(((kind, cuts), members)),
        }
    }
    formats.sort_by_key(|(key, members)| (std::cmp::Reverse(members.len()), *key));
    let share = if kinds.is_some() { LEAST_OF_KIND } else { params.segmentation_coverage };
    let least = (share * samples.len() as f64).max(FEW as f64);
    formats.retain(|(_, members)| members.len() as f64 >= least);
    formats
        .into_iter()
        .map(|((_, cuts), mut members)| {
            members.sort_unstable();
            let end = end(samples, &members).min(looked);
            let mut spans: Vec<Range<usize>> = cuts.fields(end).collect();
            if let Some(framing) = framing {
                hold(&mut spans, &framing.length);
            }
            let fields = match rules {
                Rules::Typed => {
                    let spans = fields::refine::refine(samples, &members, &spans, params);
                    let fields = fields::typed::infer(samples, &members, &spans, params);
                    let trimmed = fields
                        .into_iter()
                        .flat_map(|field| trimmed(samples, &members, field, params));
                    joined(samples, &members, trimmed.collect(), params)
                }
                Rules::Paper => fields::paper::infer(samples, &members, &spans, params),
            };
            let cuts = Cuts::at(fields.iter().map(|field| field.span.start));
            Format { members, cuts, fields }
        })
        .collect()
}

/// The segmentation that most messages have.
fn commonest(cuts: &[Cuts]) -> Option<Cuts> {
    let mut times: HashMap<Cuts, usize> = HashMap::new();
    for cuts in cuts {
        *times.entry(*cuts).or_default() += 1;
    }
    times.into_iter().max_by_key(|(cuts, n)| (*n, std::cmp::Reverse(*cuts))).map(|(cuts, _)| cuts)
}

/// Most bytes of constants that are made one.
const MOST_MAGIC: usize = 4;

/// Typed fields with short constants that stand beside each other made one of four bytes at most:
/// nothing in the messages tells them apart, and a reader wants one magic number.
fn joined(samples: &Samples, members: &[usize], fields: Vec<Field>, params: &Params) -> Vec<Field> {
    let mut whole: Vec<Range<usize>> = Vec::with_capacity(fields.len());
    let mut constant = false;
    for field in &fields {
        let same = field.kind == Kind::Constant && field.direction.is_none();
        let short = |last: &&mut Range<usize>| field.span.end - last.start <= MOST_MAGIC;
        match whole.last_mut().filter(|_| same && constant).filter(short) {
            Some(last) => last.end = field.span.end,
            None => whole.push(field.span.clone()),
        }
        constant = same;
    }
    if whole.len() == fields.len() {
        fields
    } else {
        fields::typed::infer(samples, members, &whole, params)
    }
}

/// Largest step of a counter from one message to the next.
const STEP: u64 = 16;

/// A counter without bytes behind it that are not its own: if what stands before them goes on by
/// small steps and the whole does not, they only look like its lower bytes.
fn trimmed(samples: &Samples, members: &[usize], field: Field, params: &Params) -> Vec<Field> {
    if matches!(field.kind, Kind::Payload | Kind::Unidentified) {
        return without_constants(samples, members, field, params);
    }
    if field.kind != Kind::Sequence || field.little || field.span.len() > 8 {
        return vec![field];
    }
    let steps = |end: usize, most: u64| {
        let mut last: HashMap<(usize, bool), u64> = HashMap::new();
        let (mut small, mut all) = (0_usize, 0_usize);
        for &index in members {
            let sample = samples.get(index);
            let Some(bytes) = sample.head.get(field.span.start..end) else { continue };
            let value = number(bytes, false);
            let key = (sample.flow, sample.direction == ottoscope_flow::Direction::Down);
            if let Some(before) = last.insert(key, value) {
                all += 1;
                small += usize::from((1..=most).contains(&value.wrapping_sub(before)));
            }
        }
        small as f64 / all.max(1) as f64
    };
    let shorter = (field.span.start + 1..field.span.end).rev();
    let few = steps(field.span.end, 4096) < 0.2;
    let Some(end) = shorter.into_iter().find(|end| few && steps(*end, STEP) > 0.8) else {
        return vec![field];
    };
    let spans = [field.span.start..end, end..field.span.end];
    fields::typed::infer(samples, members, &spans, params)
}

/// Bytes that nobody can read without the constants that they begin with. Zeros stay: they are the
/// upper bytes of numbers.
fn without_constants(
    samples: &Samples,
    members: &[usize],
    field: Field,
    params: &Params,
) -> Vec<Field> {
    let span = field.span.clone();
    let constant = |offset: usize| {
        let mut bytes = members.iter().filter_map(|&i| samples.get(i).head.get(offset).copied());
        let first = bytes.next().filter(|first| *first != 0);
        first.is_some_and(|first| bytes.all(|byte| byte == first))
    };
    let end = span.clone().find(|offset| !constant(*offset)).unwrap_or(span.end);
    if end == span.start || end == span.end || members.len() < FEW {
        return vec![field];
    }
    fields::typed::infer(samples, members, &[span.start..end, end..span.end], params)
}

/// Bytes that most of the messages have.
fn end(samples: &Samples, members: &[usize]) -> usize {
    let mut lens: Vec<usize> = members.iter().map(|&i| samples.get(i).head.len()).collect();
    lens.sort_unstable();
    lens.get(lens.len() / 10).copied().unwrap_or(0).max(1)
}

/// Makes `field` one of the spans.
fn hold(spans: &mut Vec<Range<usize>>, field: &Range<usize>) {
    if spans.contains(field) {
        return;
    }
    let mut cut: Vec<Range<usize>> = Vec::with_capacity(spans.len() + 2);
    for span in spans.drain(..) {
        let (before, after) =
            (span.start..span.end.min(field.start), span.start.max(field.end)..span.end);
        cut.extend([before, after].into_iter().filter(|part| part.start < part.end));
    }
    cut.push(field.clone());
    cut.sort_by_key(|span| span.start);
    *spans = cut;
}

impl Format {
    /// Whether anything is known of it: a field that is not just any bytes.
    pub fn says_something(&self) -> bool {
        let nothing = [Kind::Payload, Kind::Unidentified];
        self.fields.iter().any(|field| !nothing.contains(&field.kind))
    }
}
