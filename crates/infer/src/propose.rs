//! Fields made a signature: the layout that a person reads, the catalogue stores and the engine
//! runs.

use std::collections::BTreeMap;
use std::sync::Arc;

use ottoscope_flow::signature::number;
use ottoscope_flow::{Direction, Field as LayoutField, FieldKind, Signature, Transport};

use crate::fields::command::response_offset;
use crate::fields::{Field, Kind, has_one_value};
use crate::messages::Framing;
use crate::samples::Samples;

/// Most values of one constant field.
const MOST_VALUES: usize = 16;

/// Why fields make no signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProposeError {
    /// There is no message.
    #[error("there is no message to learn from")]
    Nothing,
    /// No field holds few enough values to be looked for.
    #[error("no field holds the same bytes in all messages: the layout would match anything")]
    NoAnchor,
}

/// The signature that messages `members` of `messages` with these fields have in common.
///
/// Fields of kinds that the engine does not run stay unknown bytes. Values of constants are those
/// seen; where there is no constant, an opcode's values stand for one.
///
/// # Errors
/// See [`ProposeError`].
pub fn signature(
    messages: &Samples,
    members: &[usize],
    fields: &[Field],
    id: &str,
) -> Result<Signature, ProposeError> {
    let first = *members.first().ok_or(ProposeError::Nothing)?;
    let info = &messages.flows()[messages.get(first).flow];
    let framed = fields.iter().any(|field| matches!(field.kind, Kind::Length { .. }));
    let mut layout: Vec<LayoutField> = Vec::new();
    for field in fields {
        // What names this layout among others is fixed in it.
        let length = matches!(field.kind, Kind::Length { .. });
        let fixed = !length && has_one_value(messages, members, &field.span);
        let kind = match if fixed { Kind::Constant } else { field.kind } {
            Kind::Constant => {
                let values = values(messages, members, field);
                if values.is_empty() || values.len() > MOST_VALUES {
                    FieldKind::Unknown
                } else {
                    FieldKind::Constant(values.into_keys().collect())
                }
            }
            Kind::Sequence if field.span.len() <= 8 => FieldKind::Sequence { little: field.little },
            Kind::RequestResponse => request_response(messages, members, field),
            Kind::Length { add } if field.span.len() <= 8 => {
                FieldKind::Length { little: field.little, add }
            }
            Kind::Opcode if field.span.len() <= 8 => {
                let offset = response_offset(messages, members, &field.span);
                FieldKind::Opcode {
                    little: offset.as_ref().map_or(field.little, |found| found.little),
                    response_offset: offset.map_or(0, |found| found.offset),
                    values: Vec::new(),
                }
            }
            _ => FieldKind::Unknown,
        };
        layout.push(LayoutField { offset: field.span.start, len: field.span.len(), kind });
    }
    let fixed = |kind: &FieldKind| {
        matches!(kind, FieldKind::Constant(_) | FieldKind::RequestResponse { .. })
    };
    if !layout.iter().any(|field| fixed(&field.kind)) {
        anchor(&mut layout, messages, members, fields)?;
    }
    while layout.last().is_some_and(|field| field.kind == FieldKind::Unknown) {
        layout.pop();
    }
    restrict(&mut layout, messages, members, fields);
    let mut ways = members.iter().map(|&index| messages.get(index).direction);
    let way = ways.next();
    let direction = way.filter(|way| ways.all(|other| other == *way));
    let sizes = members.iter().map(|&index| messages.get(index).len);
    let (low, high) = sizes.fold((u64::MAX, 0), |(low, high), n| (low.min(n), high.max(n)));
    let header = layout.last().map_or(0, |field| (field.offset + field.len) as u64);
    Ok(Signature {
        id: Arc::from(id),
        transport: info.transport,
        ports: ports(messages, members),
        // A request that was seen one way only may still be answered in the same layout.
        direction: direction.filter(|_| info.transport == Transport::Udp),
        lengths: framed.then(|| (header.min(low), high.saturating_mul(16).max(1 << 20))),
        min_messages: least_messages(&layout, info.transport),
        fields: layout,
        every_packet: info.transport == Transport::Udp,
    })
}

/// Bytes that are always the same, where there are few different values of them.
fn fixed(layout: &[LayoutField]) -> usize {
    let bytes = layout.iter().map(|field| match &field.kind {
        FieldKind::Constant(values) if values.len() > 4 => 0,
        FieldKind::Constant(_) | FieldKind::RequestResponse { .. } => field.len,
        _ => 0,
    });
    bytes.sum()
}

/// Fixed bytes, where a length that frames counts as two.
fn strength(layout: &[LayoutField]) -> usize {
    let framed = layout.iter().any(|field| matches!(field.kind, FieldKind::Length { .. }));
    fixed(layout) + 2 * usize::from(framed)
}

/// Lets a layout with hardly any fixed bytes have only the opcodes that were seen: a sequence
/// number and one constant byte are found in other protocols too.
fn restrict(layout: &mut [LayoutField], messages: &Samples, members: &[usize], fields: &[Field]) {
    if strength(layout) > 2 {
        return;
    }
    for (place, field) in layout.iter_mut().zip(fields) {
        if let FieldKind::Opcode { little, response_offset: 0, values: only } = &mut place.kind {
            let seen = values(messages, members, field);
            if seen.len() <= MOST_VALUES {
                *only = seen.keys().map(|bytes| number(bytes, *little)).collect();
            }
        }
    }
}

/// Id of the signature that [`framing_signature`] makes.
pub const FRAMING: &str = "inferred/framing";

/// A signature that frames streams and says nothing else, to read messages whole by; `None` where
/// no byte of them is fixed, so that anything would match.
pub fn framing_signature(framing: &Framing) -> Option<Signature> {
    let mut fixed = framing.fixed.clone();
    fixed.sort_unstable();
    let mut fields: Vec<LayoutField> = Vec::new();
    for run in fixed.chunk_by(|a, b| a.0 + 1 == b.0) {
        let value: Box<[u8]> = run.iter().map(|(_, byte)| *byte).collect();
        let kind = FieldKind::Constant(vec![value]);
        fields.push(LayoutField { offset: run[0].0, len: run.len(), kind });
    }
    if fields.is_empty() {
        return None;
    }
    let kind = FieldKind::Length { little: framing.little, add: framing.add };
    fields.push(LayoutField { offset: framing.length.start, len: framing.length.len(), kind });
    fields.sort_by_key(|field| field.offset);
    Some(Signature {
        id: Arc::from(FRAMING),
        transport: Transport::Tcp,
        ports: Vec::new(),
        direction: None,
        lengths: Some((framing.header as u64, framing.longest)),
        fields,
        min_messages: 1,
        every_packet: false,
    })
}

/// How many messages must match before chance is out of the question: the fewer bytes are
/// fixed, the more.
fn least_messages(layout: &[LayoutField], transport: Transport) -> u32 {
    match (strength(layout), transport) {
        (5.., _) => 1,
        (4, _) => 2,
        (3, _) => 4,
        (2, _) => 8,
        _ => 24,
    }
}

/// Values of a field with how often each was seen; those that hardly ever were are left out,
/// being of packets of another kind.
fn values(messages: &Samples, members: &[usize], field: &Field) -> BTreeMap<Box<[u8]>, usize> {
    let mut seen = BTreeMap::new();
    for &index in members {
        let sample = messages.get(index);
        if field.direction.is_some_and(|way| way != sample.direction) {
            continue;
        }
        if let Some(bytes) = sample.head.get(field.span.clone()) {
            *seen.entry(bytes.into()).or_insert(0) += 1;
            if seen.len() > 4 * MOST_VALUES {
                break;
            }
        }
    }
    let all: usize = seen.values().sum();
    seen.retain(|_, times| *times * 200 >= all);
    seen
}

/// Which value asks and which answers: clients ask more than they answer.
fn request_response(messages: &Samples, members: &[usize], field: &Field) -> FieldKind {
    let mut up: BTreeMap<Box<[u8]>, [usize; 2]> = BTreeMap::new();
    for &index in members {
        let sample = messages.get(index);
        if let Some(bytes) = sample.head.get(field.span.clone()) {
            let way = usize::from(sample.direction == Direction::Down);
            up.entry(bytes.into()).or_default()[way] += 1;
        }
    }
    let mut values: Vec<(Box<[u8]>, [usize; 2])> = up.into_iter().collect();
    values.sort_by_key(|(_, [up, down])| std::cmp::Reverse(up + down));
    values.truncate(2);
    let [(a, ways_a), (b, ways_b)] = values.as_slice() else { return FieldKind::Unknown };
    // Shares of what goes up, compared without dividing.
    let a_asks = ways_a[0] * (ways_b[0] + ways_b[1]) >= ways_b[0] * (ways_a[0] + ways_a[1]);
    let (request, response) = if a_asks { (a, b) } else { (b, a) };
    FieldKind::RequestResponse { request: request.clone(), response: response.clone() }
}

/// Makes the opcode with the fewest values stand for the constant that is missing.
fn anchor(
    layout: &mut [LayoutField],
    messages: &Samples,
    members: &[usize],
    fields: &[Field],
) -> Result<(), ProposeError> {
    let codes = layout.iter_mut().zip(fields).filter(|(_, field)| field.kind == Kind::Opcode);
    let fewest = codes
        .map(|(place, field)| (values(messages, members, field), place))
        .filter(|(values, _)| (1..=MOST_VALUES).contains(&values.len()))
        .min_by_key(|(values, _)| values.len());
    let (values, place) = fewest.ok_or(ProposeError::NoAnchor)?;
    place.kind = FieldKind::Constant(values.into_keys().collect());
    Ok(())
}

/// The servers' ports where they are one or two; any where there are more.
fn ports(messages: &Samples, members: &[usize]) -> Vec<u16> {
    let mut ports: Vec<u16> =
        members.iter().map(|&index| messages.flows()[messages.get(index).flow].server.1).collect();
    ports.sort_unstable();
    ports.dedup();
    if ports.len() <= 2 { ports } else { Vec::new() }
}

#[cfg(test)]
mod tests {
    use ottoscope_flow::{FlowId, Timestamp};

    use super::*;
    use crate::samples::{FlowInfo, Sample};

    fn messages(transport: Transport, heads: &[(Direction, &[u8])]) -> Samples {
        let mut samples = Samples::new();
        let address = "192.0.2.1".parse().unwrap();
        let flow = samples.flow(FlowInfo {
            id: FlowId(1),
            transport,
            client: (address, 1000),
            server: (address, 8080),
        });
        for (second, (direction, head)) in heads.iter().enumerate() {
            samples.push(Sample {
                at: Timestamp::from_parts(second as i64, 0),
                flow,
                direction: *direction,
                sequence: None,
                len: head.len() as u64,
                head,
            });
        }
        samples
    }

    fn field(span: std::ops::Range<usize>, kind: Kind) -> Field {
        let evidence = String::new();
        Field { span, kind, little: false, direction: None, confidence: 1.0, evidence }
    }

    use Direction::{Down, Up};

    #[test]
    fn fields_become_a_layout() {
        let samples = messages(
            Transport::Tcp,
            &[
                (Up, &[0, 6, 7, 0, 9, 1]),
                (Down, &[0, 6, 7, 1, 9, 1]),
                (Up, &[0, 6, 7, 0, 8, 2]),
                (Down, &[0, 6, 7, 1, 8, 2]),
            ],
        );
        let fields = [
            field(0..2, Kind::Length { add: 0 }),
            field(2..3, Kind::Constant),
            field(3..4, Kind::RequestResponse),
            field(4..5, Kind::Opcode),
            field(5..6, Kind::Payload),
        ];
        let made = signature(&samples, &[0, 1, 2, 3], &fields, "app/x").unwrap();
        let kinds: Vec<_> = made.fields.iter().map(|f| f.kind.clone()).collect();
        assert_eq!(
            kinds,
            [
                FieldKind::Length { little: false, add: 0 },
                FieldKind::Constant(vec![[7].into()]),
                FieldKind::RequestResponse { request: [0].into(), response: [1].into() },
                FieldKind::Opcode { little: false, response_offset: 0, values: vec![] },
            ],
            "what nobody can read at the end is left out"
        );
        assert_eq!((made.ports, made.direction), (vec![8080], None));
    }

    #[test]
    fn a_layout_needs_an_anchor() {
        let samples = messages(Transport::Udp, &[(Up, &[1, 5]), (Up, &[2, 6])]);
        let all = [0, 1];
        let payload = [field(0..2, Kind::Payload)];
        assert_eq!(signature(&samples, &all, &payload, "x"), Err(ProposeError::NoAnchor));
        assert_eq!(signature(&samples, &[], &payload, "x"), Err(ProposeError::Nothing));
        let code = [field(0..1, Kind::Opcode), field(1..2, Kind::Payload)];
        let made = signature(&samples, &all, &code, "x").unwrap();
        assert_eq!(made.fields[0].kind, FieldKind::Constant(vec![[1].into(), [2].into()]));
        assert_eq!(made.direction, Some(Up));
    }
}
