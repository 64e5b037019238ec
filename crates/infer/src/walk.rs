//! From packets to formats: the steps one after another.
//!
//! Our way first asks a TCP stream which length frames it; messages are then what fields are
//! looked for in, and what is in the middle of a packet is not taken for a header. Where no
//! length is found, and on request, it is the paper's way: packets are segmented, segmentations
//! that are frequent make protocol packets, and the others continue them.

use std::ops::Range;

use hashbrown::HashMap;
use ottoscope_flow::Transport;

use crate::fields::typed::Layout;
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
    /// Where the fields of each begin: with our method and types, as types correct it; with others
    /// as they are segmented.
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
    let ours = method.name() == "aligned" && rules == Rules::Typed;
    if let Given::Messages = given {
        let segmentation = method.segment(packets, params);
        let Messages { samples: messages, statistics, .. } = messages::whole(packets);
        let formats = formats(&messages, &segmentation, params, rules, None);
        return Ok(Inference {
            cuts: cuts(&messages, &segmentation.cuts, &formats, ours),
            segmentation,
            of_messages: true,
            defragmented: Defragmented::Given,
            messages,
            statistics,
            formats,
        });
    }
    let tcp = packets.flows().iter().any(|flow| flow.transport == Transport::Tcp);
    let found = if tcp && ours { messages::search(packets) } else { None };
    if let Some(mut found) = found {
        let Messages { samples: mut messages, mut statistics, .. } =
            framed_but(packets, &found.framing, &found.strangers);
        if let Given::PacketsAgain(read) = given
            && let Some(whole) = read(&found).filter(|m| m.len() >= messages.len())
        {
            (messages, statistics.hidden) = (whole, 0);
        }
        let segmentation = method.segment(&messages, params);
        found.framing = bounded(found.framing, &messages, &segmentation);
        let formats = formats(&messages, &segmentation, params, rules, Some(&found.framing));
        return Ok(Inference {
            cuts: cuts(&messages, &segmentation.cuts, &formats, ours),
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
    let cuts = cuts(&messages, &of_messages.cuts, &formats, ours);
    let of_messages = false;
    Ok(Inference { segmentation, of_messages, defragmented, messages, cuts, statistics, formats })
}

/// Where the fields of each message begin: in `corrected`, as its format says as far as that
/// reaches.
fn cuts(samples: &Samples, segmented: &[Cuts], formats: &[Format], corrected: bool) -> Vec<Cuts> {
    let mut all = segmented.to_vec();
    for format in formats.iter().filter(|_| corrected) {
        let end = format.fields.last().map_or(0, |field| field.span.end);
        for &member in &format.members {
            let behind = all[member].iter().filter(|at| *at >= end);
            let len = samples.get(member).head.len();
            all[member] = Cuts::at(format.cuts.iter().chain(behind)).within(len);
        }
    }
    all
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
    for (_, members) in &mut formats {
        members.sort_unstable();
    }
    let shown = formats.iter().take_while(|(_, members)| members.len() as f64 >= least).count();
    let spans = |(_, cuts): &(usize, Cuts), members: &[usize]| {
        let end = end(samples, members).min(looked);
        let mut spans: Vec<Range<usize>> = cuts.fields(end).collect();
        if let Some(framing) = framing {
            fields::refine::hold(&mut spans, &framing.length);
        }
        spans
    };
    let layouts =
        formats.into_iter().map(|(key, members)| Layout { spans: spans(&key, &members), members });
    let mut layouts: Vec<Layout> = layouts.collect();
    if rules == Rules::Typed {
        for Layout { members, spans } in &mut layouts[..shown] {
            *spans = fields::refine::refine(samples, members, spans, params);
        }
    }
    let typed = match rules {
        Rules::Typed => fields::typed::together(samples, &layouts, shown, params),
        Rules::Paper => (layouts.iter().take(shown))
            .map(|it| fields::paper::infer(samples, &it.members, &it.spans, params))
            .collect(),
    };
    let format = |(layout, fields): (Layout, Vec<Field>)| {
        let cuts = Cuts::at(fields.iter().map(|field| field.span.start));
        Format { members: layout.members, cuts, fields }
    };
    layouts.into_iter().zip(typed).map(format).collect()
}

/// A framing whose length has no more of the zeros beside it than the segmentation gives it: they
/// may be its upper bytes or a field of their own, and frame the stream either way.
fn bounded(mut framing: Framing, samples: &Samples, segmentation: &Segmentation) -> Framing {
    let Some(cuts) = commonest(&segmentation.cuts) else { return framing };
    let zero = |offset: &usize| {
        samples.iter().all(|sample| sample.head.get(*offset).is_none_or(|byte| *byte == 0))
    };
    let length = framing.length.clone();
    framing.length = if framing.little {
        let end = length.clone().rev().find(|at| !zero(at)).map_or(length.end, |last| last + 1);
        length.start..cuts.iter().find(|cut| *cut >= end).unwrap_or(length.end).min(length.end)
    } else {
        let start = length.clone().find(|at| !zero(at)).unwrap_or(length.start);
        let cut = cuts.iter().take_while(|cut| *cut <= start).last().unwrap_or(0);
        cut.max(length.start)..length.end
    };
    framing
}

/// The segmentation that most messages have.
fn commonest(cuts: &[Cuts]) -> Option<Cuts> {
    let mut times: HashMap<Cuts, usize> = HashMap::new();
    for cuts in cuts {
        *times.entry(*cuts).or_default() += 1;
    }
    times.into_iter().max_by_key(|(cuts, n)| (*n, std::cmp::Reverse(*cuts))).map(|(cuts, _)| cuts)
}

/// Bytes that most of the messages have.
fn end(samples: &Samples, members: &[usize]) -> usize {
    let mut lens: Vec<usize> = members.iter().map(|&i| samples.get(i).head.len()).collect();
    lens.sort_unstable();
    lens.get(lens.len() / 10).copied().unwrap_or(0).max(1)
}

impl Format {
    /// Whether anything is known of it: a field that is not just any bytes.
    pub fn says_something(&self) -> bool {
        let nothing = [Kind::Payload, Kind::Unidentified];
        self.fields.iter().any(|field| !nothing.contains(&field.kind))
    }
}
