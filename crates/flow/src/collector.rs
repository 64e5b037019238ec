//! A sink that keeps everything, for inference and tests.

use std::convert::Infallible;

use ottoscope_wire::WireError;

use crate::model::{Anomaly, Bin, Direction, Flow, FlowId, Message};
use crate::sink::Sink;
use crate::time::Timestamp;

/// What a run found, owned. Unbounded: for inputs that fit into memory.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Collector {
    /// Flows in order of their end.
    pub flows: Vec<Flow>,
    /// Messages in order of arrival.
    pub messages: Vec<Collected>,
    /// Seconds of flows.
    pub bins: Vec<Bin>,
    /// What could not be read.
    pub anomalies: Vec<(Timestamp, Option<FlowId>, WireError)>,
}

/// A message without its body.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Collected {
    /// See [`Message`]; so for all fields.
    pub flow: FlowId,
    /// Time.
    pub at: Timestamp,
    /// Direction.
    pub direction: Direction,
    /// Protocol.
    pub protocol: String,
    /// Kind.
    pub kind: String,
    /// Name.
    pub name: Option<String>,
    /// Opcode.
    pub opcode: Option<u64>,
    /// Sequence number.
    pub sequence: Option<u64>,
    /// Length in bytes.
    pub len: u64,
    /// First bytes.
    pub head: Vec<u8>,
}

impl Sink for Collector {
    type Error = Infallible;

    fn flow(&mut self, flow: &Flow) -> Result<(), Infallible> {
        self.flows.push(flow.clone());
        Ok(())
    }

    fn message(&mut self, message: &Message<'_>) -> Result<(), Infallible> {
        self.messages.push(Collected {
            flow: message.flow.id,
            at: message.at,
            direction: message.direction,
            protocol: message.protocol.to_owned(),
            kind: message.kind.to_owned(),
            name: message.name.map(str::to_owned),
            opcode: message.opcode,
            sequence: message.sequence,
            len: message.len,
            head: message.head.to_vec(),
        });
        Ok(())
    }

    fn bin(&mut self, bin: &Bin) -> Result<(), Infallible> {
        self.bins.push(*bin);
        Ok(())
    }

    fn anomaly(&mut self, anomaly: &Anomaly<'_>) -> Result<(), Infallible> {
        self.anomalies.push((anomaly.at, anomaly.flow, anomaly.error));
        Ok(())
    }
}
