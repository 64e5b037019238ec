//! Turns packets into flows of messages.
//!
//! For everything that looks at traffic: ingest, `dissect`, inference. Packets flow in from
//! [`capture`]; flows, messages, one-second bins and anomalies flow out through a [`Sink`].
//! It keeps no rows, knows no file formats but captures', and does not say whose a flow is.

pub mod capture;
pub mod config;
pub mod defrag;
pub mod dissector;
pub mod model;
pub mod signature;
pub mod sink;
pub mod time;

pub use config::{Config, Prefix};
pub use model::{
    Anomaly, Bin, Body, Direction, Facts, Flow, FlowEnd, FlowId, Message, NameSource, Side, Tally,
    Transport, Tunnel,
};
pub use signature::{Field, FieldKind, Signature};
pub use sink::Sink;
pub use time::{Span, Timestamp};
