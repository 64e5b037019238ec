//! One way to look at any message: its named fields in reading order.
//!
//! `dissect` prints them as `name=value` or JSON, the `messages` table keeps them as `detail`.
//! A visitor and not a list, so that looking costs no allocation.

use std::net::IpAddr;

/// The value of one field.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// Text as it should be shown.
    Text(&'a str),
    /// A count or a code, shown in decimal.
    Number(u64),
    /// A code that people know in hexadecimal.
    Hex(u64),
    /// Opaque bytes, shown in hexadecimal.
    Bytes(&'a [u8]),
    /// An address. Sinks decide whether it may be shown.
    Address(IpAddr),
    /// True or false.
    Flag(bool),
}

/// Something with named fields.
pub trait Fields {
    /// Calls `each` with every field in reading order. A name may repeat (several answers).
    fn fields(&self, each: &mut dyn FnMut(&'static str, Value<'_>));
}

impl Fields for () {
    fn fields(&self, _each: &mut dyn FnMut(&'static str, Value<'_>)) {}
}
