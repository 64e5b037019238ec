//! Arguments of `ottoscope infer`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

#[derive(Debug, Args)]
pub(crate) struct InferArgs {
    #[command(subcommand)]
    pub(crate) action: InferAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum InferAction {
    /// Every step after another, with what each found
    All(StepArgs),
    /// Which flows are the app's, and which are dropped
    Clean(StepArgs),
    /// Keywords of names that are resolved and of HTTP requests
    Keywords(StepArgs),
    /// Where fields begin
    Segment(StepArgs),
    /// Packets put together to messages
    Messages(StepArgs),
    /// What fields hold
    Fields(StepArgs),
    /// Which opcodes there are, and what they do
    Opcodes(StepArgs),
}

/// What every step takes.
#[derive(Debug, Args)]
pub(crate) struct StepArgs {
    #[command(flatten)]
    pub(crate) traffic: TrafficArgs,
    /// How fields are found
    #[arg(long, value_name = "METHOD", default_value = "iterative")]
    pub(crate) method: String,
    /// Whose rules say what a field holds
    #[arg(long, value_enum, default_value_t = Types::Ours)]
    pub(crate) types: Types,
    /// Set a threshold, as in --set opcode-entropy=0.4; docs/reference/inference.md lists them
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) set: Vec<String>,
    /// Write what was found as JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// Write what was found as a page
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
}

/// Whose traffic is looked at.
#[derive(Debug, Args)]
pub(crate) struct TrafficArgs {
    /// Capture files, folders or globs
    #[arg(value_name = "CAPTURE", required = true)]
    pub(crate) captures: Vec<String>,
    /// The app's servers: host patterns (.weixin.qq.com), addresses or prefixes
    #[arg(long, value_name = "SERVER")]
    pub(crate) server: Vec<String>,
    /// Flows that the catalogue knows to be this app's by their names
    #[arg(long, value_name = "APP")]
    pub(crate) app: Option<String>,
    /// Only flows to these server ports
    #[arg(long, value_name = "PORT")]
    pub(crate) port: Vec<u16>,
    /// Only flows over this; the one with more bytes if not given
    #[arg(long, value_enum, value_name = "TRANSPORT")]
    pub(crate) transport: Option<Carrier>,
    /// Also flows whose protocol is known
    #[arg(long)]
    pub(crate) known: bool,
    /// Notes of controlled experiments: TOML or CSV of capture, device, version, task, start, end
    #[arg(long, value_name = "FILE")]
    pub(crate) lab: Option<PathBuf>,
    /// Most packets looked at
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    pub(crate) packets: usize,
    /// Further catalogue files
    #[arg(long, value_name = "TOML")]
    pub(crate) catalog: Vec<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Carrier {
    Tcp,
    Udp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Types {
    /// Ours: sequences with gaps, transactions, composite commands, and a confidence on each
    Ours,
    /// The five rules of the ChatDissect paper in its order
    Paper,
}
