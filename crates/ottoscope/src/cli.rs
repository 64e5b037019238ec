//! The command line: verbs for the pipeline in the order one uses them, nouns for what one
//! manages.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// From packets to the tables and figures of a measurement study.
///
/// ottoscope reads captures or an interface, builds flows, says which messaging or voice app
/// each belongs to and why, keeps typed tables without subscriber addresses, and answers
/// questions over them.
#[derive(Debug, Parser)]
#[command(name = "ottoscope", version, max_term_width = 100, arg_required_else_help = true)]
#[command(after_help = "\
Examples:
  ottoscope run captures/*.pcap.zst -o city-3g       captures to tables, labels and a report
  ottoscope query -s city-3g \"SELECT app, count(*) FROM labelled_flows GROUP BY app\"
  ottoscope dissect call.pcapng --protocol stun      one line a message, no study needed
  ottoscope synth cell-minute -o cell.pcap           a capture to try things on

Exit codes: 0 done, 1 failed, 2 wrong usage.")]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Captures or an interface to tables, labels, answers and a report, in one
    Run(RunArgs),
    /// Ask any question of a study in SQL
    Query(QueryArgs),
    /// Ask questions one after another
    Shell(StudyArg),
    /// Answer the study questions this program knows: tables, figures, CSV
    Analyse(AnalyseArgs),
    /// Write the study's page: one HTML file
    Report(ReportArgs),
    /// Say again whose each flow is, after the catalogue changed, or explain one flow
    Label(LabelArgs),
    /// Print the messages of a capture, one line or JSON object each; needs no study
    Dissect(DissectArgs),
    /// From packets of an app that nobody has documented to its format, opcodes and a signature
    Infer(Box<crate::commands::infer::args::InferArgs>),
    /// Media streams of calls, down to their pictures
    Calls(crate::commands::calls::args::CallsArgs),
    /// From captures to samples, models, and what their scores are worth
    Learn(Box<crate::commands::learn::args::LearnArgs>),
    /// The apps that are known, and what tells them
    Catalog(CatalogArgs),
    /// Look at a study, or make one to edit before the first run
    Study(StudyArgs),
    /// Make a capture whose truth is known
    Synth(crate::commands::synth::SynthArgs),
}

/// A study folder.
#[derive(Debug, Args)]
pub(crate) struct StudyArg {
    /// The study's folder
    #[arg(short, long, value_name = "STUDY")]
    pub(crate) study: PathBuf,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ottoscope run a.pcap b.pcapng.zst captures/ -o study
  zcat big.pcap.gz | ottoscope run - -o study
  sudo ottoscope run --live eth0 --for 60s -o study
  ottoscope run lab.pcap -o study --client-addresses keep --clients 192.168.0.0/16")]
pub(crate) struct RunArgs {
    /// Capture files, folders, globs, `-` for standard input, or an interface
    #[arg(value_name = "CAPTURE", required_unless_present = "live")]
    pub(crate) captures: Vec<String>,
    /// The study's folder; made if it does not exist
    #[arg(short = 'o', long = "output", value_name = "STUDY")]
    pub(crate) study: PathBuf,
    /// Capture from this interface (Linux)
    #[arg(long, value_name = "IFACE", conflicts_with = "captures")]
    pub(crate) live: Option<String>,
    /// See packets for other stations too (live capture)
    #[arg(long, requires = "live")]
    pub(crate) promiscuous: bool,
    /// End live capture after this time, as in 60s, 10m, 2h
    #[arg(long = "for", value_name = "TIME", value_parser = parse_duration)]
    pub(crate) duration: Option<std::time::Duration>,
    /// Worker threads; the tables are the same for any number
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) workers: Option<u16>,
    /// Most memory for reading and labelling, about, as in 512MiB or 4GiB: flows that would
    /// expire next go first, and the run's record counts them
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub(crate) memory: Option<u64>,
    /// How client addresses are kept (a new study; default pseudonym)
    #[arg(long, value_enum, value_name = "HOW")]
    pub(crate) client_addresses: Option<ClientAddresses>,
    /// Addresses of clients, where neither SYN nor port tells the sides (a new study)
    #[arg(long, value_name = "PREFIX")]
    pub(crate) clients: Vec<String>,
    /// Add to a study that already has tables
    #[arg(long, conflicts_with = "fresh")]
    pub(crate) append: bool,
    /// Drop the tables and results that the study has; settings and key stay
    #[arg(long)]
    pub(crate) fresh: bool,
    /// Further catalogue files
    #[arg(long, value_name = "TOML")]
    pub(crate) catalog: Vec<PathBuf>,
    /// Keep first payload bytes of every flow, and sizes and gaps of its first 32 packets, for
    /// learning (a new study)
    #[arg(long, value_name = "BYTES")]
    pub(crate) sample_bytes: Option<usize>,
    /// Ask this model of `learn train` about every flow; what it says labels flows that nothing
    /// else tells
    #[arg(long, value_name = "FILE")]
    pub(crate) model: Option<PathBuf>,
    /// Stop after the tables and labels: no answers, no report
    #[arg(long)]
    pub(crate) no_report: bool,
    /// Only count flows: write no tables (to measure the machine)
    #[arg(long, hide = true)]
    pub(crate) flows_only: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ClientAddresses {
    /// Prefix-preserving pseudonym (Crypto-PAn), keyed
    Pseudonym,
    /// Keyed hash
    Hash,
    /// In clear
    Keep,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ottoscope query -s study \"SELECT app, sum(bytes_up + bytes_down) AS bytes FROM labelled_flows GROUP BY app ORDER BY bytes DESC\"
  ottoscope query -s study --format csv \"SELECT * FROM dns\" > dns.csv
  ottoscope study schema                     tables and columns")]
pub(crate) struct QueryArgs {
    /// The study's folder
    #[arg(short, long, value_name = "STUDY")]
    pub(crate) study: PathBuf,
    /// How rows are written
    #[arg(short, long, value_enum, default_value_t = Format::Table)]
    pub(crate) format: Format,
    /// Where rows go instead of standard output
    #[arg(short = 'o', long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// One SQL statement that reads; `-` takes it from standard input
    #[arg(value_name = "SQL")]
    pub(crate) sql: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Table,
    /// RFC 4180 with a header
    Csv,
    /// An array of objects
    Json,
    /// An Apache Parquet file
    Parquet,
}

#[derive(Debug, Args)]
pub(crate) struct AnalyseArgs {
    #[command(subcommand)]
    pub(crate) action: AnalyseAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AnalyseAction {
    /// The questions that are known
    List,
    /// What one answers, from which tables, by which formula
    Show {
        /// The analysis
        id: String,
    },
    /// Answer: print tables and keep CSV, Parquet and figures in the study's results
    Run {
        /// The study's folder
        #[arg(short, long, value_name = "STUDY")]
        study: PathBuf,
        /// The analyses; all where none is named
        ids: Vec<String>,
        /// What the questions are narrowed by
        #[command(flatten)]
        narrow: Narrow,
    },
}

/// What questions are narrowed by.
#[derive(Debug, Args)]
pub(crate) struct Narrow {
    /// Only this app
    #[arg(long, value_name = "APP")]
    pub(crate) app: Option<String>,
    /// Only what begins at or after this time (RFC 3339, or seconds since 1970)
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub(crate) from: Option<i64>,
    /// Only what begins before this time
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub(crate) to: Option<i64>,
    /// Withhold numbers about fewer than this many users
    #[arg(long, value_name = "USERS")]
    pub(crate) suppress: Option<u64>,
    /// Rows of lists that grow with the traffic
    #[arg(long, value_name = "ROWS")]
    pub(crate) top: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// The study's folder
    #[arg(short, long, value_name = "STUDY")]
    pub(crate) study: PathBuf,
    /// Where the page goes instead of the study's report/index.html
    #[arg(short = 'o', long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct LabelArgs {
    /// The study's folder
    #[arg(short, long, value_name = "STUDY")]
    pub(crate) study: PathBuf,
    /// Tell why this flow has its label, and change nothing
    #[arg(long, value_name = "FLOW")]
    pub(crate) explain: Option<u64>,
    /// Further catalogue files
    #[arg(long, value_name = "TOML")]
    pub(crate) catalog: Vec<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ottoscope dissect call.pcap --app whatsapp
  ottoscope dissect trace.pcapng.zst --protocol dns --json | jq .name
  ottoscope dissect a.pcap --address 10.0.0.7 --from 2024-03-01T10:00:00Z")]
pub(crate) struct DissectArgs {
    /// Capture files, folders, globs, or `-` for standard input
    #[arg(value_name = "CAPTURE", required = true)]
    pub(crate) captures: Vec<String>,
    /// One JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
    /// Only messages of flows that belong to these apps
    #[arg(long, value_name = "APP")]
    pub(crate) app: Vec<String>,
    /// Only messages of these protocols
    #[arg(long, value_name = "NAME")]
    pub(crate) protocol: Vec<String>,
    /// Only messages to or from these addresses or prefixes
    #[arg(long, value_name = "PREFIX")]
    pub(crate) address: Vec<String>,
    /// Only messages at or after this time (RFC 3339, or seconds since 1970)
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub(crate) from: Option<i64>,
    /// Only messages before this time
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub(crate) to: Option<i64>,
    /// Also every packet of media streams
    #[arg(long)]
    pub(crate) every_packet: bool,
    /// Also a line for each flow when it ends, and for what could not be read
    #[arg(long)]
    pub(crate) flows: bool,
    /// Further catalogue files
    #[arg(long, value_name = "TOML")]
    pub(crate) catalog: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct CatalogArgs {
    #[command(subcommand)]
    pub(crate) action: CatalogAction,
    /// Further catalogue files
    #[arg(long, value_name = "TOML", global = true)]
    pub(crate) catalog: Vec<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CatalogAction {
    /// The apps
    List,
    /// All that is known of one app
    Show {
        /// The app's id
        app: String,
    },
    /// Look for names that two apps claim, entries without a source, patterns that can't match
    Check,
    /// Run every entry's examples
    Test,
    /// Whose name or address this is
    Lookup {
        /// Host names or addresses
        #[arg(required = true)]
        names: Vec<String>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct StudyArgs {
    #[command(subcommand)]
    pub(crate) action: StudyAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum StudyAction {
    /// Make an empty study with a study.toml to edit
    New {
        /// The folder to make
        path: PathBuf,
    },
    /// What a study holds: tables, rows, time span, runs
    Info(StudyArg),
    /// Read every table file and name what is broken
    Check(StudyArg),
    /// Tables and columns
    Schema {
        /// Only this table
        table: Option<String>,
    },
}

/// Reads `60s`, `10m`, `2h`, `1d` or plain seconds.
fn parse_duration(text: &str) -> Result<std::time::Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match &text[digits.len()..] {
        "" | "s" => 1.0,
        "ms" => 0.001,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        "d" => 86400.0,
        _ => return Err("write a time such as 60s, 10m or 2h".into()),
    };
    let number: f64 =
        digits.trim().parse().map_err(|_| "write a time such as 60s, 10m or 2h".to_owned())?;
    std::time::Duration::try_from_secs_f64(number * factor)
        .map_err(|_| "the time must be positive".into())
}

fn parse_size(text: &str) -> Result<u64, String> {
    text.parse::<ottoscope_store::Size>().map(|size| size.0).map_err(|e| e.to_string())
}

/// Reads RFC 3339, a date, or seconds since 1970 into nanoseconds.
fn parse_time(text: &str) -> Result<i64, String> {
    let error = || format!("`{text}` is not a time such as 2024-03-01T10:00:00Z");
    if let Ok(seconds) = text.parse::<f64>() {
        return Ok((seconds * 1e9) as i64);
    }
    let parsed = chrono::DateTime::parse_from_rfc3339(text)
        .or_else(|_| chrono::DateTime::parse_from_rfc3339(&format!("{text}Z")))
        .or_else(|_| chrono::DateTime::parse_from_rfc3339(&format!("{text}T00:00:00Z")));
    parsed.ok().and_then(|at| at.timestamp_nanos_opt()).ok_or_else(error)
}

/// Reads prefixes, naming the one that is wrong.
pub(crate) fn parse_prefixes(texts: &[String]) -> anyhow::Result<Vec<ottoscope_flow::Prefix>> {
    Ok(texts.iter().map(|text| text.parse()).collect::<Result<_, _>>()?)
}

/// Whether a host argument is an address.
pub(crate) fn as_address(text: &str) -> Option<IpAddr> {
    text.parse().ok()
}
