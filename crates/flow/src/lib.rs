//! Turns packets into flows of messages.
//!
//! For everything that looks at traffic: ingest, `dissect`, inference. Packets flow in from
//! [`capture`]; flows, messages, one-second bins and anomalies flow out through a [`Sink`].
//! It keeps no rows, knows no file formats but captures', and does not say whose a flow is.

pub mod capture;
mod chunked;
mod cold;
pub mod collector;
pub mod config;
pub mod defrag;
pub mod dissector;
pub mod engine;
mod entry;
mod fingerprint;
mod index;
mod key;
pub mod memory;
pub mod model;
pub mod run;
pub mod said;
pub mod sample;
mod side;
pub mod signature;
pub mod sink;
mod stream;
pub mod time;
mod turns;
mod wheel;

pub use collector::Collector;
/// The protocols' bytes, for sinks that look into [`Body`].
pub use ottoscope_wire as wire;

pub use config::{Config, Prefix};
pub use engine::{Engine, Frame, Shard, Summary};
pub use model::{
    Anomaly, Bin, Body, Direction, Facts, Flow, FlowEnd, FlowId, Message, NameSource, Segment,
    Side, Tally, TlsFacts, Transport, Tunnel,
};
pub use signature::{Field, FieldKind, Signature};
pub use sink::Sink;
pub use time::{Span, Timestamp};
