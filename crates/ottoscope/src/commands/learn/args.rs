//! What `learn` takes.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use ottoscope_learn::masks::Mask;
use ottoscope_learn::split::Rung;
use ottoscope_learn::{Device, Fit};

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
    /// One model from samples, with a card that says how to ask it and what it is worth
    Train(TrainArgs),
    /// Models beside trivial rivals, over seeds, with what gives the answers away
    Evaluate(EvaluateArgs),
    /// The OTT voice paper's experiments on data of their shape
    Experiment(ExperimentArgs),
    /// Evaluations side by side
    Compare(CompareArgs),
    /// The same traffic with other addresses, ports and times: a capture, or samples that a model
    /// is asked about
    Forge(ForgeArgs),
    /// What a model says of captures, or of a study's flows
    Predict(PredictArgs),
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

/// How models are trained.
#[derive(Debug, Args)]
pub(crate) struct FitArgs {
    /// Passes over the samples, at most
    #[arg(long, value_name = "N", default_value_t = 100,
          value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) epochs: u32,
    /// Samples a step
    #[arg(long, value_name = "N", default_value_t = 128,
          value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub(crate) batch: u32,
    /// Adam's step size
    #[arg(long, value_name = "X", default_value_t = 0.001)]
    pub(crate) rate: f32,
    /// Passes without a better validation loss before training ends; 0 never ends early
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub(crate) patience: u32,
    /// Everything random comes from it
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// Threads
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) threads: Option<u16>,
    /// Classes weigh the same however many samples they have
    #[arg(long)]
    pub(crate) balance: bool,
    /// Where networks are trained; gpu needs a program built with `--features gpu`
    #[arg(long, value_name = "DEVICE", value_enum, default_value_t = Place::Cpu)]
    pub(crate) device: Place,
}

/// Where networks are trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Place {
    /// The processor: the same parameters for the same seed
    Cpu,
    /// The graphics card that the system names first
    Gpu,
}

impl FitArgs {
    /// The same for the library.
    pub(crate) fn fit(&self) -> Fit {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        Fit {
            epochs: self.epochs,
            batch: self.batch as usize,
            rate: self.rate,
            patience: self.patience,
            seed: self.seed,
            threads: self.threads.map_or_else(cores, usize::from),
            balance: self.balance,
            device: match self.device {
                Place::Cpu => Device::Cpu,
                Place::Gpu => Device::Gpu,
            },
            ..Fit::default()
        }
    }
}

/// How samples are parted.
#[derive(Debug, Args)]
pub(crate) struct SplitArgs {
    /// What never lies on both sides: random (nothing, as in the paper), flow, hosts, capture,
    /// time; the default is the strongest of the first four that the samples allow
    #[arg(long, value_name = "RUNG")]
    pub(crate) rung: Option<Rung>,
    /// Samples of a class, at most
    #[arg(long, value_name = "N")]
    pub(crate) most: Option<usize>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Ctrl-C keeps what was learned in MODEL.checkpoint; the same command goes on from there.

Examples:
  ottoscope learn train voice.safetensors --model lstm -o lstm.safetensors
  ottoscope learn train idx/ --model cnn1d --epochs 40 --balance -o cnn.safetensors --onnx cnn.onnx
  ottoscope learn train voice.safetensors --model forest --no-mask --rung random -o paper.safetensors")]
pub(crate) struct TrainArgs {
    #[command(flatten)]
    pub(crate) data: DataArgs,
    /// The model; a name that is none lists them
    #[arg(long, value_name = "NAME", default_value = "lstm")]
    pub(crate) model: String,
    /// The file of weights to write; the card lies beside it
    #[arg(short = 'o', long = "output", value_name = "FILE")]
    pub(crate) output: PathBuf,
    #[command(flatten)]
    pub(crate) masks: MaskArgs,
    #[command(flatten)]
    pub(crate) split: SplitArgs,
    #[command(flatten)]
    pub(crate) fit: FitArgs,
    /// Do not look for header fields that solve the task alone
    #[arg(long)]
    pub(crate) no_probes: bool,
    /// Also write the model as ONNX
    #[arg(long, value_name = "FILE")]
    pub(crate) onnx: Option<PathBuf>,
    /// Also write a page with the curves
    #[arg(long, value_name = "HTML")]
    pub(crate) html: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ottoscope learn evaluate voice.safetensors --models lstm,forest -o voice-report
  ottoscope learn evaluate idx/ --models cnn1d --no-mask --rung random      as the paper does it
  ottoscope learn evaluate voice.safetensors --hold-out Viber               what of unknown apps?")]
pub(crate) struct EvaluateArgs {
    #[command(flatten)]
    pub(crate) data: DataArgs,
    /// The models
    #[arg(long, value_name = "NAMES", value_delimiter = ',', default_value = "lstm,forest")]
    pub(crate) models: Vec<String>,
    /// A folder for the page and report.json
    #[arg(short = 'o', long = "output", value_name = "FOLDER")]
    pub(crate) output: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) masks: MaskArgs,
    #[command(flatten)]
    pub(crate) split: SplitArgs,
    #[command(flatten)]
    pub(crate) fit: FitArgs,
    /// Runs, each with a seed and a split of its own
    #[arg(long, value_name = "N", default_value_t = 5,
          value_parser = clap::value_parser!(u16).range(1..=100))]
    pub(crate) seeds: u16,
    /// Classes that the first model must not learn, and is asked about all the same
    #[arg(long, value_name = "CLASSES", value_delimiter = ',')]
    pub(crate) hold_out: Vec<String>,
    /// Do not ask again with forged addresses, ports and times
    #[arg(long)]
    pub(crate) no_forge: bool,
}

/// Samples of one representation.
#[derive(Debug, Clone)]
pub(crate) struct Named {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
}

fn parse_named(text: &str) -> Result<Named, String> {
    let (name, path) = text
        .split_once('=')
        .filter(|(name, path)| !name.is_empty() && !path.is_empty())
        .ok_or_else(|| {
            format!("`{text}`: write a name and a path as in S_A=sessions.safetensors")
        })?;
    Ok(Named { name: name.to_owned(), path: path.into() })
}

/// Reads an experiment's numeral.
fn parse_experiment(text: &str) -> Result<ottoscope_learn::experiment::Experiment, String> {
    text.parse()
}

#[derive(Debug, Args)]
#[command(after_help = "\
Representations are named as in the paper: S_A and F_A are sessions and flows of all layers, S_L7 \
and F_L7 of layer 7. `--no-mask --rung random` is the paper's protocol, and leaky.

Examples:
  ottoscope learn experiment III S_A=sessions.safetensors F_A=flows.safetensors -o exp3
  ottoscope learn experiment VI S_A=all.safetensors --models lstm --epochs 20")]
pub(crate) struct ExperimentArgs {
    /// I to VI
    #[arg(value_name = "NUMBER", value_parser = parse_experiment)]
    pub(crate) experiment: ottoscope_learn::experiment::Experiment,
    /// Samples by representation
    #[arg(value_name = "NAME=SAMPLES", required = true, value_parser = parse_named)]
    pub(crate) data: Vec<Named>,
    /// Names of the classes of IDX labels, in their order
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(crate) classes: Vec<String>,
    /// The models; the paper's by default
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(crate) models: Vec<String>,
    /// Classes that are OTT voice, for experiment V; the paper's by default
    #[arg(long, value_name = "CLASSES", value_delimiter = ',')]
    pub(crate) voice: Vec<String>,
    /// A folder for the page and outcome.json
    #[arg(short = 'o', long = "output", value_name = "FOLDER")]
    pub(crate) output: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) masks: MaskArgs,
    /// What never lies on both sides of the split
    #[arg(long, value_name = "RUNG")]
    pub(crate) rung: Option<Rung>,
    #[command(flatten)]
    pub(crate) fit: FitArgs,
    /// Runs, each with a seed and a split of its own
    #[arg(long, value_name = "N", default_value_t = 5,
          value_parser = clap::value_parser!(u16).range(1..=100))]
    pub(crate) seeds: u16,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  ottoscope learn compare S_A=report-sa/report.json F_A=report-fa/report.json")]
pub(crate) struct CompareArgs {
    /// What `learn evaluate -o` wrote, by name
    #[arg(value_name = "NAME=REPORT", required = true, value_parser = parse_named)]
    pub(crate) reports: Vec<Named>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Every address and port becomes another one, always the same, in tunnels, too, and checksums \
follow. Of a capture all packets are written; what applications write of addresses into their \
payload stays.

Examples:
  ottoscope learn forge voice.safetensors --model lstm.safetensors -o forged.safetensors
  ottoscope learn forge call.pcapng -o forged.pcap")]
pub(crate) struct ForgeArgs {
    #[command(flatten)]
    pub(crate) data: DataArgs,
    /// Weights of a trained model, which is asked about samples before and after
    #[arg(long, value_name = "FILE")]
    pub(crate) model: Option<PathBuf>,
    /// The forged samples, or the forged capture: a name that ends in .pcap
    #[arg(short = 'o', long = "output", value_name = "FILE", required_unless_present = "model")]
    pub(crate) output: Option<PathBuf>,
    /// What the other addresses, ports and times come from
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Of a study the predictions become a table, and labels of flows that nothing else tells: a class \
named like an app of the catalogue labels as that app. The study needs samples \
(`run --sample-bytes 784`), and the model must have learned from sessions of layer 7 \
(`learn samples --layers l7`).

Examples:
  ottoscope learn predict --model lstm.safetensors new.pcap
  ottoscope learn predict --model lstm.safetensors --study city")]
pub(crate) struct PredictArgs {
    /// Weights of a trained model
    #[arg(long, value_name = "FILE")]
    pub(crate) model: PathBuf,
    /// Capture files, folders or globs: one CSV line a session or flow
    #[arg(value_name = "CAPTURE", required_unless_present = "study")]
    pub(crate) captures: Vec<String>,
    /// Predict the flows of this study
    #[arg(short, long, value_name = "STUDY", conflicts_with = "captures")]
    pub(crate) study: Option<PathBuf>,
    /// Further catalogue files, for the labels
    #[arg(long, value_name = "TOML", requires = "study")]
    pub(crate) catalog: Vec<PathBuf>,
    /// Answers a window, for the drift alarm
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub(crate) window: usize,
    /// Threads
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) threads: usize,
}
