//! DNS messages (RFC 1035), multicast DNS (RFC 6762) and LLMNR (RFC 4795), which share the
//! layout. Name compression and writing are the `domain` crate's.
//!
//! Reading is lazy: a message that is cut or odd in the middle still yields all that lies
//! before the fault, and [`Message::check`] tells the fault.

mod build;
mod name;
mod record;

use std::fmt;

use crate::error::{Layer, Reason, WireError};
use crate::fields::{Fields, Value};

pub use build::{EmitError, Repr, ReprData, ReprRecord};
pub use name::Name;
pub use record::{Data, Edns, Record, Service};

/// Bytes of the header (RFC 1035 section 4.1.1).
pub const HEADER_LEN: usize = 12;
/// Most questions and records read of one message; real ones hold fewer, and a hostile one
/// should not cost more.
pub const MAX_RECORDS: usize = 1_000;
/// Most CNAME steps followed from the question to an address.
pub const MAX_CHAIN: usize = 16;

/// Record types (IANA DNS parameters) that are told apart.
pub mod kind {
    #![allow(missing_docs)] // the names are IANA's
    pub const A: u16 = 1;
    pub const NS: u16 = 2;
    pub const CNAME: u16 = 5;
    pub const SOA: u16 = 6;
    pub const NULL: u16 = 10;
    pub const PTR: u16 = 12;
    pub const MX: u16 = 15;
    pub const TXT: u16 = 16;
    pub const AAAA: u16 = 28;
    pub const SRV: u16 = 33;
    pub const NAPTR: u16 = 35;
    pub const OPT: u16 = 41;
    pub const NSEC: u16 = 47;
    pub const SVCB: u16 = 64;
    pub const HTTPS: u16 = 65;
    pub const ANY: u16 = 255;

    /// The name of a type, where it is one of these.
    pub fn name(kind: u16) -> Option<&'static str> {
        Some(match kind {
            A => "A",
            NS => "NS",
            CNAME => "CNAME",
            SOA => "SOA",
            NULL => "NULL",
            PTR => "PTR",
            MX => "MX",
            TXT => "TXT",
            AAAA => "AAAA",
            SRV => "SRV",
            NAPTR => "NAPTR",
            OPT => "OPT",
            NSEC => "NSEC",
            SVCB => "SVCB",
            HTTPS => "HTTPS",
            ANY => "ANY",
            _ => return None,
        })
    }
}

/// The section of a message that a record stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Section {
    /// Answers the question.
    Answer,
    /// Who may answer.
    Authority,
    /// Spares the asker more questions.
    Additional,
}

/// A DNS message whose header is whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<'a> {
    bytes: &'a [u8],
}

/// One question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// What is asked for.
    pub name: Name,
    /// Record type.
    pub kind: u16,
    /// Class without the top bit; 1 is the internet.
    pub class: u16,
    /// Top bit of the class: mDNS asks for a unicast answer (RFC 6762 section 5.4).
    pub unicast: bool,
}

/// One record of the answer section, ready to be a row.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer<'a> {
    /// Whose record it is.
    pub owner: Name,
    /// Record type.
    pub kind: u16,
    /// What it says.
    pub value: Data<'a>,
    /// Seconds that it holds.
    pub ttl: u32,
}

impl<'a> Message<'a> {
    /// Takes a message; only the header must be whole.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, WireError> {
        if bytes.len() < HEADER_LEN {
            return Err(WireError::truncated(Layer::Dns, 0, HEADER_LEN, bytes.len()));
        }
        Ok(Message { bytes })
    }

    /// All bytes.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    fn word(&self, offset: usize) -> u16 {
        u16::from_be_bytes([self.bytes[offset], self.bytes[offset + 1]]) // within the header
    }

    /// Ties a response to its query; 0 in mDNS.
    pub fn id(&self) -> u16 {
        self.word(0)
    }

    /// The flag word: QR, opcode, AA, TC, RD, RA, Z, AD, CD, rcode.
    pub fn flags(&self) -> u16 {
        self.word(2)
    }

    /// Whether it is a response.
    pub fn is_response(&self) -> bool {
        self.flags() & 0x8000 != 0
    }

    /// What is asked for; 0 is a standard query.
    pub fn opcode(&self) -> u8 {
        (self.flags() >> 11 & 0xf) as u8
    }

    /// Whether the sender cut it to fit; the whole may follow over TCP.
    pub fn is_cut(&self) -> bool {
        self.flags() & 0x0200 != 0
    }

    /// Response code; 0 is success, 3 a name that does not exist.
    pub fn rcode(&self) -> u8 {
        (self.flags() & 0xf) as u8
    }

    /// How many questions, answers, authority and additional records the header announces.
    pub fn counts(&self) -> [u16; 4] {
        [self.word(4), self.word(6), self.word(8), self.word(10)]
    }

    /// The questions up to the first fault.
    pub fn questions(&self) -> impl Iterator<Item = Question> + use<'a> {
        self.raw_questions().map_while(|question| question.ok().map(|(question, _)| question))
    }

    /// The first question.
    pub fn question(&self) -> Option<Question> {
        if self.counts()[0] == 0 {
            return None;
        }
        read_question(self.bytes, HEADER_LEN).ok().map(|(question, _)| question)
    }

    /// The type that the first question asks for.
    pub fn asked_kind(&self) -> Option<u16> {
        if self.counts()[0] == 0 {
            return None;
        }
        let end = name::end_of(self.bytes, HEADER_LEN).ok()?;
        kind_and_class(self.bytes, end).ok().map(|(kind, _)| kind)
    }

    /// The records of all three sections up to the first fault.
    pub fn records(&self) -> impl Iterator<Item = Record<'a>> + use<'a> {
        self.raw_records().map_while(Result::ok)
    }

    /// The records of the answers of class IN, CNAME steps among them, in the order of the
    /// message.
    pub fn answer_records(&self) -> impl Iterator<Item = Record<'a>> + use<'a> {
        self.records()
            .take_while(|record| record.section() == Section::Answer)
            .filter(|record| record.class() == 1)
    }

    /// The same as far as they are readable.
    pub fn answers(&self) -> impl Iterator<Item = Answer<'a>> + use<'a> {
        self.answer_records().filter_map(|record| {
            Some(Answer {
                owner: record.owner(),
                kind: record.kind(),
                value: record.data().ok()?,
                ttl: record.ttl(),
            })
        })
    }

    /// The names passed from the first question along CNAME records, in any order in the
    /// message, to the name that bears the addresses. The question's name comes first.
    pub fn chain(&self) -> Vec<Name> {
        self.question().map_or_else(Vec::new, |question| self.chain_from(question.name))
    }

    /// The same from a name that was asked for.
    pub fn chain_from(&self, name: Name) -> Vec<Name> {
        let mut chain = vec![name];
        if !self.is_response() {
            return chain;
        }
        while let Some(last) = chain.last()
            && chain.len() <= MAX_CHAIN
        {
            let next = self.answers().find_map(|answer| match answer.value {
                Data::Cname(target) if answer.owner == *last => Some(target),
                _ => None,
            });
            match next {
                Some(target) if !chain.contains(&target) => chain.push(target),
                _ => break,
            }
        }
        chain
    }

    /// The address records whose owner lies on the [`chain`](Self::chain) from the question:
    /// the addresses that a client may now connect to under the name it asked for.
    pub fn addresses(&self) -> impl Iterator<Item = (std::net::IpAddr, u32)> + use<'a> {
        let chain = self.chain();
        self.answers().filter_map(move |answer| {
            let address = answer.value.address()?;
            chain.contains(&answer.owner).then_some((address, answer.ttl))
        })
    }

    /// The EDNS record (RFC 6891), if one is readable.
    pub fn edns(&self) -> Option<Edns> {
        self.records().find_map(|record| record.edns())
    }

    /// Reads through the whole message and tells where it ends, or its first fault.
    pub fn check(&self) -> Result<usize, WireError> {
        let mut end = HEADER_LEN;
        for _ in 0..usize::from(self.counts()[0]).min(MAX_RECORDS) {
            end = question_end(self.bytes, end)? + 4;
        }
        for record in self.raw_records() {
            let record = record?;
            record.check()?;
            end = record.end();
        }
        Ok(end)
    }

    fn raw_questions(
        &self,
    ) -> impl Iterator<Item = Result<(Question, usize), WireError>> + use<'a> {
        let bytes = self.bytes;
        let count = usize::from(self.counts()[0]).min(MAX_RECORDS);
        let mut at = Some(HEADER_LEN);
        (0..count).map_while(move |_| {
            let question = read_question(bytes, at?);
            at = question.as_ref().ok().map(|(_, end)| *end);
            Some(question)
        })
    }

    /// Where the records begin, `None` if the questions are not whole.
    fn records_at(&self) -> Option<usize> {
        let mut at = HEADER_LEN;
        for _ in 0..usize::from(self.counts()[0]).min(MAX_RECORDS) {
            at = name::end_of(self.bytes, at).ok()? + 4;
        }
        (at <= self.bytes.len()).then_some(at)
    }

    fn raw_records(&self) -> impl Iterator<Item = Result<Record<'a>, WireError>> + use<'a> {
        let bytes = self.bytes;
        let [_, answers, authority, additional] = self.counts().map(usize::from);
        let mut at = self.records_at();
        (0..(answers + authority + additional).min(MAX_RECORDS)).map_while(move |index| {
            let section = match index {
                i if i < answers => Section::Answer,
                i if i < answers + authority => Section::Authority,
                _ => Section::Additional,
            };
            let record = Record::read(bytes, at?, section);
            at = record.as_ref().ok().map(Record::end);
            Some(record)
        })
    }
}

/// Where the name of the question at `at` ends; type and class follow.
fn question_end(bytes: &[u8], at: usize) -> Result<usize, WireError> {
    let end = name::end_of(bytes, at)?;
    if bytes.len() < end + 4 {
        return Err(WireError::truncated(Layer::Dns, end, end + 4, bytes.len()));
    }
    Ok(end)
}

fn read_question(bytes: &[u8], at: usize) -> Result<(Question, usize), WireError> {
    let (name, end) = Name::read(bytes, at)?;
    let (kind, class) = kind_and_class(bytes, end)?;
    Ok((Question { name, kind, class: class & 0x7fff, unicast: class & 0x8000 != 0 }, end + 4))
}

/// What stands behind a question's name.
fn kind_and_class(bytes: &[u8], end: usize) -> Result<(u16, u16), WireError> {
    let Some([k0, k1, c0, c1]) = bytes.get(end..).and_then(<[u8]>::first_chunk) else {
        return Err(WireError::truncated(Layer::Dns, end, end + 4, bytes.len()));
    };
    Ok((u16::from_be_bytes([*k0, *k1]), u16::from_be_bytes([*c0, *c1])))
}

/// Finds what can't be DNS, for probes: codes never assigned, counts that the bytes can't hold,
/// names that do not parse, and NetBIOS name service (RFC 1002), which shares the layout.
///
/// With `strict` the message must also be whole and end where its bytes do, which random bytes
/// and other protocols' do not; without, it may be cut behind its first question or record.
pub fn is_plausible(bytes: &[u8], strict: bool) -> Result<(), WireError> {
    let message = Message::parse(bytes)?;
    let fault = |offset, what| Err(WireError::new(Layer::Dns, offset, Reason::Malformed(what)));
    let [questions, answers, authority, additional] = message.counts().map(usize::from);
    if !matches!(message.opcode(), 0..=2 | 4..=6) || message.rcode() > 11 {
        return fault(2, "opcode or response code never assigned");
    }
    if !message.is_response() && message.opcode() == 0 && message.rcode() != 0 {
        return fault(2, "query with a response code");
    }
    let records = answers + authority + additional;
    if questions + records == 0 || questions > MAX_RECORDS {
        return fault(4, "neither question nor record");
    }
    // A question takes at least 5 bytes, a record 11 (RFC 1035 sections 4.1.2 and 4.1.3).
    let least = HEADER_LEN + questions * 5 + records * 11;
    if strict && (bytes.len() < least || message.flags() & 0x0040 != 0) {
        return fault(4, "more records than bytes, or reserved bit set");
    }
    if questions > 0 {
        let (netbios, end) = name::first_label(bytes, HEADER_LEN, is_netbios)?;
        let (kind, class) = kind_and_class(bytes, end)?;
        if !matches!(class & 0x7fff, 1 | 3 | 4 | 254 | 255) || kind == 0 {
            return fault(HEADER_LEN, "class or type of question never assigned");
        }
        if netbios {
            return fault(HEADER_LEN, "NetBIOS name");
        }
    } else {
        Record::read(bytes, HEADER_LEN, Section::Answer)?;
    }
    if strict {
        let end = message.check()?;
        if end != bytes.len() {
            return fault(end, "bytes behind the last record");
        }
    }
    Ok(())
}

/// First-level encoded NetBIOS names are 32 letters from A to P (RFC 1001 section 14.1).
fn is_netbios(label: &[u8]) -> bool {
    label.len() == 32 && label.iter().all(|b| (b'a'..=b'p').contains(&b.to_ascii_lowercase()))
}

impl Fields for Message<'_> {
    fn fields(&self, each: &mut dyn FnMut(&'static str, Value<'_>)) {
        each("id", Value::Hex(self.id().into()));
        each("response", Value::Flag(self.is_response()));
        if self.opcode() != 0 {
            each("opcode", Value::Number(self.opcode().into()));
        }
        if self.is_response() {
            each("rcode", Value::Number(self.rcode().into()));
        }
        if self.is_cut() {
            each("cut", Value::Flag(true));
        }
        for question in self.questions() {
            each("question", Value::Text(question.name.as_str()));
            type_field(question.kind, each);
        }
        for record in self.records() {
            if let Some(edns) = record.edns() {
                edns.fields(each);
            } else if record.section() == Section::Answer {
                each("owner", Value::Text(record.owner().as_str()));
                each("ttl", Value::Number(record.ttl().into()));
                match record.data() {
                    Ok(Data::Other(_)) | Err(_) => type_field(record.kind(), each),
                    Ok(data) => data.fields(each),
                }
            }
        }
    }
}

fn type_field(kind: u16, each: &mut dyn FnMut(&'static str, Value<'_>)) {
    match kind::name(kind) {
        Some(name) => each("type", Value::Text(name)),
        None => each("type", Value::Number(kind.into())),
    }
}

impl fmt::Display for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_response() { "DNS response" } else { "DNS query" })?;
        if let Some(question) = self.question() {
            write!(f, " {} ", question.name)?;
            match kind::name(question.kind) {
                Some(name) => f.write_str(name)?,
                None => write!(f, "TYPE{}", question.kind)?,
            }
        }
        if self.rcode() != 0 {
            write!(f, " rcode {}", self.rcode())?;
        }
        for answer in self.answers() {
            write!(f, ", {}", answer.value)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
