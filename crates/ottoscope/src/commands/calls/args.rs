//! What `calls` takes.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use crate::cli::Format;

#[derive(Debug, Args)]
pub(crate) struct CallsArgs {
    #[command(subcommand)]
    pub(crate) action: CallsAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CallsAction {
    /// The media streams of a study: loss, rates, frames, freezes
    List(ListArgs),
    /// One flow's streams and frames
    Show(ShowArgs),
    /// Video out of captures into files that players open
    Extract(ExtractArgs),
    /// Video out of captures onto one page of a browser, with what the network did to it
    Play(PlayArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ottoscope calls list -s study
  ottoscope calls list -s study --format csv > streams.csv")]
pub(crate) struct ListArgs {
    /// The study's folder
    #[arg(short, long, value_name = "STUDY")]
    pub(crate) study: PathBuf,
    /// How rows are written
    #[arg(short, long, value_enum, default_value_t = Format::Table)]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// The study's folder
    #[arg(short, long, value_name = "STUDY")]
    pub(crate) study: PathBuf,
    /// How rows are written; other than as a table, only those of the frames
    #[arg(short, long, value_enum, default_value_t = Format::Table)]
    pub(crate) format: Format,
    /// The flow
    #[arg(value_name = "FLOW")]
    pub(crate) flow: u64,
}

/// Which pictures follow a lost one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum AfterLoss {
    /// The last good picture stands until the next key frame
    Hide,
    /// What a decoder makes of them, right or wrong
    Show,
}

/// Where video comes from, and how it is put together.
#[derive(Debug, Args)]
pub(crate) struct VideoArgs {
    /// Capture files, folders, globs, or `-` for standard input
    #[arg(value_name = "CAPTURE", required = true)]
    pub(crate) captures: Vec<String>,
    /// Only these flows
    #[arg(long, value_name = "FLOW")]
    pub(crate) flow: Vec<u64>,
    /// Whole frames that refer to a lost one
    #[arg(long, value_enum, value_name = "HOW", default_value_t = AfterLoss::Hide)]
    pub(crate) after_loss: AfterLoss,
    /// Size of pictures whose key frames come without one
    #[arg(long, value_name = "WxH", value_parser = parse_size, default_value = "320x240")]
    pub(crate) assume_size: (u16, u16),
    /// Largest picture that is decoded
    #[arg(long, value_name = "WxH", value_parser = parse_size, default_value = "1920x1200")]
    pub(crate) max_size: (u16, u16),
    /// Note the extraction in this study's record of runs
    #[arg(short, long, value_name = "STUDY")]
    pub(crate) study: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Recovered video is somebody's private conversation: nothing is written unless a format is asked \
for, files are for their owner only, and a study's record notes it.

Examples:
  ottoscope calls extract call.pcap -o out --webm
  ottoscope calls extract call.pcap -o out --ivf --y4m --after-loss show
  ottoscope calls extract call.pcap -o out --png --every 30
  ottoscope calls extract call.pcap -o out            frame tables and numbers, no picture")]
pub(crate) struct ExtractArgs {
    #[command(flatten)]
    pub(crate) video: VideoArgs,
    /// The folder for what is extracted; made if it does not exist
    #[arg(short = 'o', long = "output", value_name = "FOLDER")]
    pub(crate) output: PathBuf,
    /// Coded frames as IVF
    #[arg(long)]
    pub(crate) ivf: bool,
    /// Coded frames as WebM, which browsers play
    #[arg(long)]
    pub(crate) webm: bool,
    /// Decoded pictures as YUV4MPEG2
    #[arg(long)]
    pub(crate) y4m: bool,
    /// Decoded pictures as PNG files
    #[arg(long)]
    pub(crate) png: bool,
    /// Only every so many pictures, for --png
    #[arg(long, value_name = "N", default_value_t = 1, requires = "png",
          value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) every: u32,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Recovered video is somebody's private conversation: pages are for their owner only, and a study's \
record notes it.

Examples:
  ottoscope calls play call.pcap
  ottoscope calls play call.pcap -o pages             write the pages, open nothing")]
pub(crate) struct PlayArgs {
    #[command(flatten)]
    pub(crate) video: VideoArgs,
    /// Write a page a stream into this folder, and open nothing
    #[arg(short = 'o', long = "output", value_name = "FOLDER")]
    pub(crate) output: Option<PathBuf>,
}

/// Reads `320x240`.
fn parse_size(text: &str) -> Result<(u16, u16), String> {
    let side = |side: &str| side.parse::<u16>().ok().filter(|side| *side > 0);
    text.split_once(['x', 'X'])
        .and_then(|(width, height)| Some((side(width)?, side(height)?)))
        .ok_or_else(|| format!("`{text}` is no size: write width and height as in 320x240"))
}
