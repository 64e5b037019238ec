//! How opcodes are read off messages.

use std::ops::Range;

use ottoscope_flow::signature::number;

use super::Event;
use crate::fields::command::response_offset;
use crate::fields::{Field, Kind, has_one_value};
use crate::samples::Samples;

/// How opcodes are read off messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// Bytes of the opcode, eight at most.
    pub opcode: Range<usize>,
    /// Little-endian.
    pub little: bool,
    /// What a response's opcode is more than its request's; 0 where they are one.
    pub response_offset: u64,
    /// Bytes that mark requests and responses, with the response's value.
    pub mark: Option<(Range<usize>, Vec<u8>)>,
}

impl Reading {
    /// From typed fields of the samples in `members`; `None` without an opcode.
    pub fn new(samples: &Samples, members: &[usize], fields: &[Field]) -> Option<Reading> {
        let opcodes = fields.iter().filter(|f| f.kind == Kind::Opcode && f.span.len() <= 8);
        let opcodes = opcodes.filter(|field| !has_one_value(samples, members, &field.span));
        // What has two values only is a mark or a version sooner than what names tasks.
        let several = |field: &Field| {
            let mut seen: Vec<&[u8]> = Vec::with_capacity(3);
            for &member in members {
                if let Some(bytes) = samples.get(member).head.get(field.span.clone())
                    && !seen.contains(&bytes)
                {
                    seen.push(bytes);
                    if seen.len() > 2 {
                        return true;
                    }
                }
            }
            false
        };
        let field = opcodes.max_by(|a, b| {
            let key = |field: &Field| (several(field), field.confidence);
            let ((many_a, sure_a), (many_b, sure_b)) = (key(a), key(b));
            many_a.cmp(&many_b).then(sure_a.total_cmp(&sure_b))
        })?;
        let offset = response_offset(samples, members, &field.span);
        let mut marks = fields.iter().filter(|f| f.kind == Kind::RequestResponse);
        let mark =
            marks.find_map(|field| Some((field.span.clone(), response(samples, members, field)?)));
        Some(Reading {
            opcode: field.span.clone(),
            little: offset.as_ref().map_or(field.little, |offset| offset.little),
            response_offset: offset.map_or(0, |offset| offset.offset),
            mark,
        })
    }

    /// The opcode of one message as a request has it, and whether it is a response.
    pub fn read(&self, head: &[u8]) -> Option<(u64, bool)> {
        let bytes = head.get(self.opcode.clone()).filter(|bytes| bytes.len() <= 8)?;
        let value = number(bytes, self.little);
        let offset = self.response_offset;
        let above = match offset {
            0 => false,
            bit if bit.is_power_of_two() => value & bit != 0,
            offset => value >= offset,
        };
        let marked = self.mark.as_ref();
        let marked = marked.is_some_and(|(span, value)| head.get(span.clone()) == Some(value));
        Some((if above { value - offset } else { value }, above || marked))
    }

    /// The messages of `samples` by their opcodes.
    pub fn events(&self, samples: &Samples) -> Vec<Event> {
        let event = |sample: crate::samples::Sample<'_>| {
            let (opcode, response) = self.read(sample.head)?;
            let (at, flow, direction) = (sample.at, sample.flow, sample.direction);
            Some(Event { at, flow, direction, opcode, response })
        };
        samples.iter().filter_map(event).collect()
    }
}

/// The value of responses: of the two that which begins fewer flows, and comes from the server
/// more often.
fn response(samples: &Samples, members: &[usize], field: &Field) -> Option<Vec<u8>> {
    let mut begun = vec![false; samples.flows().len()];
    let mut values: Vec<(Vec<u8>, i64)> = Vec::new();
    for member in members {
        let sample = samples.get(*member);
        let Some(bytes) = sample.head.get(field.span.clone()) else { continue };
        let index = match values.iter().position(|(value, _)| value == bytes) {
            Some(index) => index,
            None if values.len() < 2 => {
                values.push((bytes.to_vec(), 0));
                values.len() - 1
            }
            None => continue,
        };
        let first = !std::mem::replace(&mut begun[sample.flow], true);
        // Who begins a flow asks; else the server answers.
        values[index].1 += match (first, sample.direction) {
            (true, _) => -4,
            (false, ottoscope_flow::Direction::Up) => -1,
            (false, ottoscope_flow::Direction::Down) => 1,
        };
    }
    (values.len() == 2).then(|| values.into_iter().max_by_key(|(_, score)| *score))?.map(|v| v.0)
}
