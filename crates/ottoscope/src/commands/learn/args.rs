//! What `learn` takes.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use ottoscope_learn::masks::Mask;

#[derive(Debug, Args)]
pub(crate) struct LearnArgs {
    #[command(subcommand)]
    pub(crate) action: LearnAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum LearnAction {
    /// Captures cut into sessions or flows, their first bytes and what honest evaluation needs
    Samples(SamplesArgs),
    /// Samples to IDX, which any MNIST reader opens, or IDX to samples
    Idx(IdxArgs),
    /// Samples as pictures: one each, or a gallery of classes
    Images(ImagesArgs),
}

/// Sessions or flows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Unit {
    /// Both directions of a 5-tuple
    Session,
    /// One direction of a 5-tuple
    Flow,
}

/// Which bytes of a packet count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Depth {
    /// Headers and what they carry
    All,
    /// What TCP, UDP or SCTP carries
    L7,
}

/// Where a sample's bytes come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Protocol {
    /// From packets, with the places of their layers
    Honest,
    /// From split capture files, headers and times included, as USTC-TK2016 makes them; leaky
    Paper,
}

/// What names a sample's class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ClassBy {
    /// The capture's file name
    Capture,
    /// The folder that the capture lies in
    Folder,
    /// The app that the study (--study) labels the flow with
    App,
}

#[derive(Debug, Args)]
#[command(after_help = "\
A sample is the first bytes of a session or flow. The honest protocol takes them from packets and \
keeps where their layers lie, so that `train` and `evaluate` can hide what only says who and when. \
The paper's protocol is byte for byte what its tool makes: it is there to be compared with.

Examples:
  ottoscope learn samples wechat.pcap skype.pcap -o voice.safetensors
  ottoscope learn samples apps/ -o apps.safetensors --class-by folder --unit flow --layers l7
  ottoscope learn samples facetime.pcap -o f.safetensors --protocol paper
  ottoscope learn samples day.pcap -o day.safetensors --class-by app --study day")]
pub(crate) struct SamplesArgs {
    /// Capture files, folders or globs
    #[arg(value_name = "CAPTURE", required = true)]
    pub(crate) captures: Vec<String>,
    /// The file of samples to write
    #[arg(short = 'o', long = "output", value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// What a sample is of
    #[arg(long, value_enum, default_value_t = Unit::Session)]
    pub(crate) unit: Unit,
    /// Which bytes count
    #[arg(long, value_enum, default_value_t = Depth::All)]
    pub(crate) layers: Depth,
    /// Where bytes come from
    #[arg(long, value_enum, default_value_t = Protocol::Honest)]
    pub(crate) protocol: Protocol,
    /// What names a class
    #[arg(long, value_enum, default_value_t = ClassBy::Capture)]
    pub(crate) class_by: ClassBy,
    /// The study whose labels name the classes
    #[arg(short, long, value_name = "STUDY", required_if_eq("class_by", "app"))]
    pub(crate) study: Option<PathBuf>,
    /// Bytes of a sample
    #[arg(long, value_name = "BYTES", default_value_t = 784,
          value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub(crate) width: u32,
    /// Packets with payload whose sizes and gaps are kept
    #[arg(long, value_name = "N", default_value_t = 32,
          value_parser = clap::value_parser!(u32).range(0..=1_024))]
    pub(crate) packets: u32,
    /// Samples of a class, at most: the first ones
    #[arg(long, value_name = "N")]
    pub(crate) most: Option<usize>,
    /// Keep samples that equal another of their class
    #[arg(long)]
    pub(crate) keep_duplicates: bool,
}

/// Samples of any kind.
#[derive(Debug, Args)]
pub(crate) struct DataArgs {
    /// Samples: a file of `learn samples`, a file of IDX images with its labels beside it, or a
    /// folder with such a pair
    #[arg(value_name = "SAMPLES")]
    pub(crate) data: PathBuf,
    /// Names of the classes of IDX labels, in their order
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(crate) classes: Vec<String>,
}

/// Bytes to hide.
#[derive(Debug, Args)]
pub(crate) struct MaskArgs {
    /// Bytes to hide; the default hides what says who, where or when and not what
    #[arg(long, value_name = "NAMES", value_delimiter = ',', conflicts_with = "no_mask")]
    pub(crate) mask: Vec<Mask>,
    /// Hide nothing
    #[arg(long)]
    pub(crate) no_mask: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ottoscope learn idx voice.safetensors -o idx         images-idx3-ubyte.gz and labels-idx1-ubyte.gz
  ottoscope learn idx train-images-idx3-ubyte.gz --classes Chat,Email -o iscx.safetensors")]
pub(crate) struct IdxArgs {
    #[command(flatten)]
    pub(crate) data: DataArgs,
    /// A folder for IDX, or a file of samples for IDX that is read
    #[arg(short = 'o', long = "output", value_name = "PATH")]
    pub(crate) output: PathBuf,
    #[command(flatten)]
    pub(crate) masks: MaskArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ottoscope learn images voice.safetensors -o gallery.png
  ottoscope learn images voice.safetensors -o pictures --each")]
pub(crate) struct ImagesArgs {
    #[command(flatten)]
    pub(crate) data: DataArgs,
    /// The gallery's file, or a folder with --each
    #[arg(short = 'o', long = "output", value_name = "PATH")]
    pub(crate) output: PathBuf,
    /// One picture a sample, in a folder for each class
    #[arg(long)]
    pub(crate) each: bool,
    /// Pictures of a class
    #[arg(long, value_name = "N", default_value_t = 9)]
    pub(crate) columns: usize,
    /// Dots a byte
    #[arg(long, value_name = "N", default_value_t = 2,
          value_parser = clap::value_parser!(u32).range(1..=32))]
    pub(crate) scale: u32,
    #[command(flatten)]
    pub(crate) masks: MaskArgs,
}
