//! Arguments of `ottoscope infer`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use ottoscope_infer::export::Format;

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
    /// Write what was inferred as a file of the catalogue, to be read, edited and accepted
    Propose(ProposeArgs),
    /// Take a proposal into the catalogue, after showing what it changes
    Accept(AcceptArgs),
    /// Infer again from unknown flows that share servers with flows that are known by now
    Feedback(FeedbackArgs),
    /// Write a signature for another tool
    Export(ExportArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ottoscope infer feedback day.pcap --app wechat --into more.toml        shows each round, asks
  ottoscope infer feedback day.pcap --app wechat --into more.toml --yes  for scripts")]
pub(crate) struct FeedbackArgs {
    /// Capture files, folders or globs
    #[arg(value_name = "CAPTURE", required = true)]
    pub(crate) captures: Vec<String>,
    /// The app, as the catalogue calls it
    #[arg(long, value_name = "APP")]
    pub(crate) app: String,
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
    /// Most rounds
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub(crate) rounds: u32,
    /// Most packets looked at in a round
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    pub(crate) packets: usize,
    /// Set a threshold, as in --set opcode-entropy=0.4
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) set: Vec<String>,
}

/// Where what is accepted goes.
#[derive(Debug, Args)]
pub(crate) struct PlaceArgs {
    /// Accept into this study's catalogue
    #[arg(short, long, value_name = "STUDY", conflicts_with = "into")]
    pub(crate) study: Option<PathBuf>,
    /// Accept into this file, for --catalog
    #[arg(long, value_name = "TOML")]
    pub(crate) into: Option<PathBuf>,
    /// Don't ask
    #[arg(long)]
    pub(crate) yes: bool,
    /// Further catalogue files
    #[arg(long, value_name = "TOML")]
    pub(crate) catalog: Vec<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  ottoscope infer propose lab.pcap --server .weixin.qq.com --lab lab.toml --name wechat/w-tcp -o w-tcp.toml")]
pub(crate) struct ProposeArgs {
    #[command(flatten)]
    pub(crate) step: StepArgs,
    /// What to call it: app/signature
    #[arg(long, value_name = "NAME", default_value = "new-app/unknown")]
    pub(crate) name: String,
    /// Where the proposal goes; else to the study's catalog/proposed, else to standard output
    #[arg(short = 'o', long, value_name = "TOML")]
    pub(crate) output: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ottoscope infer accept w-tcp.toml --study city-3g        into the study's catalogue
  ottoscope infer accept w-tcp.toml --into mine.toml --yes into a file, without asking")]
pub(crate) struct AcceptArgs {
    /// The proposal
    #[arg(value_name = "TOML")]
    pub(crate) proposal: PathBuf,
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  ottoscope infer export wireshark wechat/w-tcp -o wechat.lua
  tshark -X lua_script:wechat.lua -r capture.pcap")]
pub(crate) struct ExportArgs {
    /// The tool
    #[arg(value_enum)]
    pub(crate) format: ExportFormat,
    /// The signature: app/signature
    #[arg(value_name = "SIGNATURE")]
    pub(crate) signature: String,
    /// Further catalogue files, a proposal too
    #[arg(long, value_name = "TOML")]
    pub(crate) catalog: Vec<PathBuf>,
    /// Where it goes instead of standard output
    #[arg(short = 'o', long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportFormat {
    /// A dissector in Lua, for Wireshark and tshark
    Wireshark,
    /// A signature
    Zeek,
    /// A grammar
    Spicy,
    /// Rules
    Suricata,
    /// A .ksy file
    Kaitai,
}

impl From<ExportFormat> for Format {
    fn from(format: ExportFormat) -> Self {
        match format {
            ExportFormat::Wireshark => Format::Wireshark,
            ExportFormat::Zeek => Format::Zeek,
            ExportFormat::Spicy => Format::Spicy,
            ExportFormat::Suricata => Format::Suricata,
            ExportFormat::Kaitai => Format::Kaitai,
        }
    }
}

/// What every step takes.
#[derive(Debug, Args)]
pub(crate) struct StepArgs {
    #[command(flatten)]
    pub(crate) traffic: TrafficArgs,
    /// How fields are found
    #[arg(long, value_name = "METHOD", default_value = "aligned")]
    pub(crate) method: String,
    /// Whose rules say what a field holds
    #[arg(long, value_enum, default_value_t = Types::Ours)]
    pub(crate) types: Types,
    /// The app's own code: its package (APK), or a folder with decompiled sources
    #[arg(long, value_name = "PATH")]
    pub(crate) source: Vec<PathBuf>,
    /// URLs to look for in the app's code, beside those in the captures
    #[arg(long, value_name = "URL")]
    pub(crate) url: Vec<String>,
    /// Set a threshold, as in --set opcode-entropy=0.4; docs/reference/inference.md lists them
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) set: Vec<String>,
    /// Write what was found as JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// Write what was found as a page
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// Write where fields begin in every message, beyond `segment` with what they hold, as JSON
    /// lines
    #[arg(long, value_name = "JSONL")]
    pub(crate) boundaries: Option<PathBuf>,
}

/// Whose traffic is looked at.
#[derive(Debug, Args)]
pub(crate) struct TrafficArgs {
    /// Capture files, folders or globs
    #[arg(value_name = "CAPTURE", required_unless_present = "messages")]
    pub(crate) captures: Vec<String>,
    /// Messages from elsewhere instead: JSON lines with id, flow, dir, ts, payload (hex)
    #[arg(long, value_name = "JSONL", conflicts_with_all = ["captures", "server", "app", "port", "known", "lab"])]
    pub(crate) messages: Option<PathBuf>,
    /// The app's servers: host patterns (.weixin.qq.com), addresses or prefixes
    #[arg(long, value_name = "SERVER")]
    pub(crate) server: Vec<String>,
    /// Flows that the catalogue knows to be this app's by their names
    #[arg(long, value_name = "APP")]
    pub(crate) app: Option<String>,
    /// Only flows to these server ports
    #[arg(long, value_name = "PORT")]
    pub(crate) port: Vec<u16>,
    /// Only flows over this; both if not given
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
    /// Take catalogue and thresholds from this study
    #[arg(short, long, value_name = "STUDY")]
    pub(crate) study: Option<PathBuf>,
    /// Further catalogue files
    #[arg(long, value_name = "TOML")]
    pub(crate) catalog: Vec<PathBuf>,
}

impl TrafficArgs {
    /// What is read, for titles and sources.
    pub(crate) fn names(&self) -> String {
        match &self.messages {
            Some(path) => path.display().to_string(),
            None => self.captures.join(", "),
        }
    }
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
