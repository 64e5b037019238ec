//! VP8 in RTP (RFC 7741 4.2): the descriptor between RTP's header and the frame's bytes.

use std::fmt;

use crate::cursor::Cursor;
use crate::error::{Layer, WireError};
use crate::fields::{Fields, Value};

/// Ticks of the RTP clock in a second (RFC 7741 4.1).
pub const CLOCK: u32 = 90_000;

/// Number of a picture, in seven bits or fifteen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PictureId {
    /// 0 to 127.
    Short(u8),
    /// 0 to 32767.
    Long(u16),
}

impl PictureId {
    /// The number.
    pub fn number(self) -> u16 {
        match self {
            PictureId::Short(number) => number.into(),
            PictureId::Long(number) => number,
        }
    }
}

/// One packet's payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Payload<'a> {
    /// N: no other frame refers to this one.
    pub non_reference: bool,
    /// S: a partition starts here.
    pub start: bool,
    /// PID: which partition, 0 to 7 (RFC 7741 has three bits).
    pub partition: u8,
    /// I: the picture's number.
    pub picture: Option<PictureId>,
    /// L: number of the last frame of the lowest temporal layer.
    pub base_layer: Option<u8>,
    /// T: temporal layer, 0 to 3, and Y: it refers to the lowest only.
    pub temporal: Option<(u8, bool)>,
    /// K: number of the last key frame, 0 to 31.
    pub key_index: Option<u8>,
    /// Bytes of the frame.
    pub data: &'a [u8],
}

impl<'a> Payload<'a> {
    /// Reads the payload of an RTP packet. Reserved bits are ignored, as the RFC asks.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, WireError> {
        let mut at = Cursor::new(Layer::Rtp, bytes);
        let first = at.u8()?;
        let mut payload = Payload {
            non_reference: first & 0x20 != 0,
            start: first & 0x10 != 0,
            partition: first & 0x07,
            picture: None,
            base_layer: None,
            temporal: None,
            key_index: None,
            data: &[],
        };
        if first & 0x80 != 0 {
            let present = at.u8()?;
            if present & 0x80 != 0 {
                let high = at.u8()?;
                payload.picture = Some(if high & 0x80 == 0 {
                    PictureId::Short(high)
                } else {
                    PictureId::Long(u16::from(high & 0x7f) << 8 | u16::from(at.u8()?))
                });
            }
            if present & 0x40 != 0 {
                payload.base_layer = Some(at.u8()?);
            }
            if present & 0x30 != 0 {
                let both = at.u8()?;
                if present & 0x20 != 0 {
                    payload.temporal = Some((both >> 6, both & 0x20 != 0));
                }
                if present & 0x10 != 0 {
                    payload.key_index = Some(both & 0x1f);
                }
            }
        }
        payload.data = at.rest();
        Ok(payload)
    }

    /// Writes it; numbers that do not fit their bits are cut.
    pub fn emit(&self, out: &mut Vec<u8>) {
        let Payload { picture, base_layer, temporal, key_index, .. } = *self;
        let present = u8::from(picture.is_some()) << 7
            | u8::from(base_layer.is_some()) << 6
            | u8::from(temporal.is_some()) << 5
            | u8::from(key_index.is_some()) << 4;
        out.push(
            u8::from(present != 0) << 7
                | u8::from(self.non_reference) << 5
                | u8::from(self.start) << 4
                | self.partition & 0x07,
        );
        if present != 0 {
            out.push(present);
        }
        match picture {
            Some(PictureId::Short(number)) => out.push(number & 0x7f),
            Some(PictureId::Long(number)) => {
                out.extend_from_slice(&(number | 0x8000).to_be_bytes());
            }
            None => {}
        }
        out.extend(base_layer);
        if temporal.is_some() || key_index.is_some() {
            let (layer, only_lowest) = temporal.unwrap_or_default();
            let key_index = key_index.unwrap_or_default() & 0x1f;
            out.push((layer & 3) << 6 | u8::from(only_lowest) << 5 | key_index);
        }
        out.extend_from_slice(self.data);
    }

    /// Whether a frame begins with this packet.
    pub fn begins_frame(&self) -> bool {
        self.start && self.partition == 0
    }
}

impl fmt::Display for Payload<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let begins = if self.begins_frame() { "begins a frame" } else { "goes on" };
        write!(f, "VP8, {begins}, {} bytes", self.data.len())
    }
}

impl Fields for Payload<'_> {
    fn fields(&self, each: &mut dyn FnMut(&'static str, Value<'_>)) {
        each("non_reference", Value::Flag(self.non_reference));
        each("start", Value::Flag(self.start));
        each("partition", Value::Number(self.partition.into()));
        if let Some(picture) = self.picture {
            each("picture", Value::Number(picture.number().into()));
        }
        if let Some(index) = self.base_layer {
            each("base_layer", Value::Number(index.into()));
        }
        if let Some((layer, only_lowest)) = self.temporal {
            each("temporal_layer", Value::Number(layer.into()));
            each("only_lowest", Value::Flag(only_lowest));
        }
        if let Some(index) = self.key_index {
            each("key_index", Value::Number(index.into()));
        }
        each("data", Value::Number(self.data.len() as u64));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn emit_then_parse_is_identity(
            non_reference: bool, start: bool, partition in 0u8..8,
            picture in proptest::option::of((0u16..0x8000, any::<bool>())),
            base_layer: Option<u8>,
            temporal in proptest::option::of((0u8..4, any::<bool>())),
            key_index in proptest::option::of(0u8..32),
            data: Vec<u8>,
        ) {
            let picture = picture.map(|(number, long)| match long {
                true => PictureId::Long(number),
                false => PictureId::Short((number & 0x7f) as u8),
            });
            let payload = Payload {
                non_reference, start, partition, picture, base_layer, temporal, key_index,
                data: &data,
            };
            let mut bytes = Vec::new();
            payload.emit(&mut bytes);
            prop_assert_eq!(Payload::parse(&bytes), Ok(payload));
        }

        #[test]
        fn reading_is_total(bytes: Vec<u8>) {
            if let Ok(payload) = Payload::parse(&bytes) {
                payload.fields(&mut |_, _| {});
                prop_assert!(payload.data.len() < bytes.len());
            }
        }
    }
}
