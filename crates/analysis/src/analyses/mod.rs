//! What SQL alone does not say, one operator a folder.

pub(crate) mod columns;
pub(crate) mod distribution;

#[path = "flow-cdf/operator.rs"]
pub(crate) mod flow_cdf;
#[path = "naming/operator.rs"]
pub(crate) mod naming;
#[path = "server-rtt/operator.rs"]
pub(crate) mod server_rtt;
#[path = "throughput/operator.rs"]
pub(crate) mod throughput;
#[path = "traffic/operator.rs"]
pub(crate) mod traffic;
