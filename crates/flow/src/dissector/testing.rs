//! A bench for dissectors: feeds them as the engine does and writes down what they say.

#![allow(clippy::format_push_string)] // tests may allocate

use ottoscope_wire::{Fields, Value};

use super::{Dissector, Emit, Progress};
use crate::model::{Direction, Facts, Transport};
use crate::said::Said;
use crate::time::Timestamp;

/// One dissector under test with all that it said.
pub(crate) struct Bench {
    pub(crate) dissector: Box<dyn Dissector>,
    pub(crate) transport: Transport,
    pub(crate) facts: Facts,
    said: Said,
    /// `direction protocol/kind name len=… field=value …`, a message a line.
    pub(crate) messages: Vec<String>,
    pub(crate) anomalies: Vec<String>,
    /// Set once it wants no more.
    pub(crate) end: Option<Progress>,
    unused: [Vec<u8>; 2],
}

impl Bench {
    pub(crate) fn new(transport: Transport, dissector: Box<dyn Dissector>) -> Self {
        Bench {
            dissector,
            transport,
            facts: Facts::default(),
            said: Said::default(),
            messages: Vec::new(),
            anomalies: Vec::new(),
            end: None,
            unused: [Vec::new(), Vec::new()],
        }
    }

    fn with(&mut self, work: impl FnOnce(&mut dyn Dissector, &mut Emit<'_>) -> Progress) -> usize {
        let Bench { messages, anomalies, .. } = self;
        let mut out = Emit {
            facts: &mut self.facts,
            transport: self.transport,
            ports: (50_000, 0),
            every_packet: false,
            video_packets: false,
            said: &mut self.said,
            messages: &mut |_, direction, _, m| {
                let mut line = format!("{} {}/{}", direction.name(), m.protocol, m.kind);
                line += &m.name.map_or(String::new(), |name| format!(" {name}"));
                line += &format!(" len={}", m.len);
                line += &m.opcode.map_or(String::new(), |code| format!(" opcode={code}"));
                line += &m.sequence.map_or(String::new(), |n| format!(" sequence={n}"));
                line += &shown(m.body.fields());
                messages.push(line);
            },
            anomalies: &mut |_, error, _| anomalies.push(error.to_string()),
        };
        match work(&mut *self.dissector, &mut out) {
            Progress::Used(used) => used,
            end => {
                self.end = Some(end);
                if let Progress::Switch(used) = end { used } else { 0 }
            }
        }
    }

    /// Bytes of a stream, or a datagram.
    pub(crate) fn feed(&mut self, direction: Direction, bytes: &[u8]) -> &mut Self {
        if self.end.is_some() {
            return self;
        }
        let d = direction.index();
        let mut all = std::mem::take(&mut self.unused[d]);
        all.extend(bytes);
        let used = self.with(|x, out| x.data(Timestamp(0), direction, &all, out));
        assert!(used <= all.len(), "used {used} of {}", all.len());
        if self.transport == Transport::Tcp {
            self.unused[d] = all.split_off(used);
        }
        self
    }

    pub(crate) fn gap(&mut self, direction: Direction, missing: u64) -> &mut Self {
        self.unused[direction.index()].clear();
        self.with(|x, out| x.gap(direction, missing, out));
        self
    }

    pub(crate) fn close(&mut self) -> &mut Self {
        self.with(|x, out| {
            x.close(Timestamp(0), out);
            Progress::Used(0)
        });
        self
    }

    /// Feeds a conversation of a stream, cut at these offsets of the whole.
    pub(crate) fn talk(&mut self, script: &[(Direction, &[u8])], cuts: &[usize]) -> &mut Self {
        let mut base = 0;
        for (direction, bytes) in script {
            let mut from = 0;
            let inside = cuts.iter().filter_map(|cut| cut.checked_sub(base));
            let mut inside: Vec<_> = inside.filter(|cut| *cut < bytes.len()).collect();
            inside.sort_unstable();
            for to in inside.into_iter().chain([bytes.len()]) {
                if from < to {
                    self.feed(*direction, &bytes[from..to]);
                }
                from = to;
            }
            base += bytes.len();
        }
        self
    }
}

/// ` name=value` for each field.
pub(crate) fn shown(fields: &dyn Fields) -> String {
    let mut text = String::new();
    fields.fields(&mut |name, value| {
        let value = match value {
            Value::Text(text) => text.to_owned(),
            Value::Number(n) => n.to_string(),
            Value::Hex(n) => format!("{n:#x}"),
            Value::Bytes(bytes) => format!("{bytes:02x?}"),
            Value::Address(address) => address.to_string(),
            Value::Flag(flag) => flag.to_string(),
        };
        text += &format!(" {name}={value}");
    });
    text
}
