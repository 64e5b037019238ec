//! What `study.toml` says: every assumption of a study, typed, with a sentence on each.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use ottoscope_flow::Config;
use serde::{Deserialize, Serialize};

use super::units::{ClientPrefix, Period, Size};
use crate::error::{Result, StoreError};
use crate::pseudonym::ClientAddresses;
use crate::writer::WriteOptions;

/// Version of `study.toml` and of the folder's layout.
pub const STUDY_VERSION: u32 = 1;

/// `study.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct StudyConfig {
    /// What the study is.
    pub study: About,
    /// What it reads.
    pub input: Input,
    /// When flows and users end.
    pub flow: FlowRules,
    /// What is kept of them.
    pub keep: Keep,
    /// Who they are.
    pub catalog: CatalogUse,
    /// Rolling analyses.
    pub windows: Windows,
    /// Limits of memory.
    pub memory: Memory,
    /// How tables are written.
    pub tables: Tables,
    /// Thresholds of protocol inference by name, as numbers are written: whoever infers knows
    /// them, and says what is wrong with one.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", with = "numbers")]
    pub infer: BTreeMap<String, String>,
}

/// Numbers as they are written, by name.
mod numbers {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serializer};
    use toml::Value;

    type Numbers = BTreeMap<String, String>;

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Numbers, D::Error> {
        let number = |(name, value): (String, Value)| match value {
            Value::Integer(_) | Value::Float(_) => Ok((name, value.to_string())),
            _ => Err(serde::de::Error::custom(format!("`infer.{name}` is no number"))),
        };
        toml::Table::deserialize(from)?.into_iter().map(number).collect()
    }

    pub(super) fn serialize<S: Serializer>(numbers: &Numbers, to: S) -> Result<S::Ok, S::Error> {
        let value = |text: &String| match (text.parse(), text.parse()) {
            (Ok(whole), _) => Value::Integer(whole),
            (_, Ok(part)) => Value::Float(part),
            _ => Value::String(text.clone()),
        };
        to.collect_map(numbers.iter().map(|(name, text)| (name, value(text))))
    }
}

/// `[study]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
#[allow(missing_docs)] // said once, in `KEYS`
pub struct About {
    pub version: u32,
    pub name: String,
    pub about: String,
    pub vantage: Vantage,
}

/// `study.vantage`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
#[allow(missing_docs)] // said once, in `KEYS`
pub struct Vantage {
    pub place: String,
    pub clock: String,
}

/// `[input]`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
#[allow(missing_docs)] // said once, in `KEYS`
pub struct Input {
    pub captures: Vec<String>,
    pub clients: Vec<ClientPrefix>,
}

/// `[flow]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
#[allow(missing_docs)] // said once, in `KEYS`
pub struct FlowRules {
    pub tcp_idle: Period,
    pub udp_idle: Period,
    pub user_idle: Period,
}

/// `[keep]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
#[allow(missing_docs)] // said once, in `KEYS`
pub struct Keep {
    pub client_addresses: ClientAddresses,
    pub head_bytes: Size,
    pub sample_bytes: Size,
    pub sizes: u32,
    pub messages: bool,
    pub bins: bool,
    pub payloads: bool,
}

/// `[catalog]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
#[allow(missing_docs)] // said once, in `KEYS`
pub struct CatalogUse {
    #[serde(rename = "use")]
    pub sources: Vec<String>,
    pub accepted: String,
}

/// `[windows]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
#[allow(missing_docs)] // said once, in `KEYS`
pub struct Windows {
    pub every: Period,
}

/// `[memory]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
#[allow(missing_docs)] // said once, in `KEYS`
pub struct Memory {
    pub total: Size,
    pub flows: u64,
    pub stream: Size,
    pub streams: Size,
    pub rows: Size,
}

/// `[tables]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
#[allow(missing_docs)] // said once, in `KEYS`
pub struct Tables {
    pub zstd_level: i32,
    pub part_rows: u64,
    pub group_rows: u64,
}

impl Default for About {
    fn default() -> Self {
        About {
            version: STUDY_VERSION,
            name: String::new(),
            about: String::new(),
            vantage: Vantage::default(),
        }
    }
}

impl Default for Vantage {
    fn default() -> Self {
        Vantage { place: String::new(), clock: "UTC".to_owned() }
    }
}

impl Default for FlowRules {
    fn default() -> Self {
        let engine = Config::default();
        FlowRules {
            tcp_idle: Period(engine.tcp_idle),
            udp_idle: Period(engine.udp_idle),
            user_idle: Period::from_seconds(3_600),
        }
    }
}

impl Default for Keep {
    fn default() -> Self {
        let engine = Config::default();
        Keep {
            client_addresses: ClientAddresses::default(),
            head_bytes: Size(engine.head_bytes as u64),
            sample_bytes: Size(engine.sample_bytes as u64),
            sizes: engine.sizes as u32,
            messages: true,
            bins: engine.bins,
            payloads: false,
        }
    }
}

impl Default for CatalogUse {
    fn default() -> Self {
        CatalogUse {
            sources: vec!["builtin".to_owned(), "catalog/*.toml".to_owned()],
            accepted: "catalog/accepted.toml".to_owned(),
        }
    }
}

impl Default for Windows {
    fn default() -> Self {
        Windows { every: Period::from_seconds(300) }
    }
}

impl Default for Memory {
    fn default() -> Self {
        let engine = Config::default();
        Memory {
            total: Size(0),
            flows: engine.max_flows as u64,
            stream: Size(engine.stream_buffer as u64),
            streams: Size(engine.total_buffer as u64),
            rows: Size(WriteOptions::default().buffer_bytes as u64),
        }
    }
}

impl Default for Tables {
    fn default() -> Self {
        let writer = WriteOptions::default();
        Tables {
            zstd_level: writer.zstd_level,
            part_rows: writer.part_rows as u64,
            group_rows: writer.row_group_rows as u64,
        }
    }
}

/// What the program itself takes: code, catalogue, buffers of captures, of remembered pseudonyms
/// and of the encoders.
const PROGRAM: usize = 96 << 20;

/// Shares of `memory.total`, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shares {
    /// A worker's flows with all that belongs to them, its buffers aside.
    pub flows: usize,
    /// A worker's reassembly buffers.
    pub streams: usize,
    /// Rows that a worker holds before they are written.
    pub rows: usize,
    /// Names and servers that labelling remembers: it runs when the workers are gone.
    pub names: usize,
    /// Clients whose sessions are joined at a time, beside it.
    pub clients: usize,
}

/// A key of `study.toml` as its template and reference page tell it.
#[derive(Debug, Clone, Copy)]
pub struct KeyInfo {
    /// Section.
    pub section: &'static str,
    /// Key in the section.
    pub key: &'static str,
    /// What it decides.
    pub about: &'static str,
}

const fn key(section: &'static str, key: &'static str, about: &'static str) -> KeyInfo {
    KeyInfo { section, key, about }
}

/// Every key, in the order of the template.
pub static KEYS: &[KeyInfo] = &[
    key("study", "version", "Version of this file; do not edit."),
    key("study", "name", "Short name, shown in reports."),
    key("study", "about", "What is studied, in a sentence."),
    key("study", "vantage", "Where the captures were taken, and the time zone of `clock`."),
    key("input", "captures", "Capture files, patterns and folders, relative to this file."),
    key(
        "input",
        "clients",
        "Address prefixes of users: they tell the client's side of a flow, and whose addresses \
         are pseudonymised on either side. Without any, private addresses count as users'.",
    ),
    key("flow", "tcp-idle", "Silence that ends a TCP flow."),
    key("flow", "udp-idle", "Silence that ends any other flow."),
    key("flow", "user-idle", "Silence that ends a user's session."),
    key(
        "keep",
        "client-addresses",
        "\"pseudonym\" (Crypto-PAn: addresses of one network keep a common prefix), \"hash\" \
         (nothing is kept) or \"keep\" (in clear). Fixed once something is ingested.",
    ),
    key("keep", "head-bytes", "First payload bytes kept of each flow's direction and message."),
    key(
        "keep",
        "sample-bytes",
        "First payload bytes kept of each flow, for learning; the papers use 784. They hold \
         what people sent.",
    ),
    key("keep", "sizes", "First packet sizes and gaps kept of each flow, for learning."),
    key("keep", "messages", "Whether `messages` is written."),
    key("keep", "bins", "Whether `bins` is written."),
    key("keep", "payloads", "Whether whole payloads are kept; `true` is not known yet."),
    key("catalog", "use", "Catalogues: `builtin` and files relative to this one."),
    key("catalog", "accepted", "Where accepted signatures go."),
    key("windows", "every", "Length of the windows of rolling analyses."),
    key(
        "memory",
        "total",
        "Most bytes that a run takes, about, shared out between workers: half for flows, the \
         rest for rows and buffers, then labels. 0 for no more limits than those below; \
         `run --memory` says otherwise for one run.",
    ),
    key("memory", "flows", "Most concurrent flows of a worker."),
    key("memory", "stream", "Most bytes that one direction of a flow buffers."),
    key("memory", "streams", "Most bytes that all flows of a worker buffer."),
    key("memory", "rows", "Most bytes of rows that a worker holds before they are written."),
    key("tables", "zstd-level", "Compression of table files, 1 (fast) to 22 (small)."),
    key("tables", "part-rows", "Most rows of a table file."),
    key("tables", "group-rows", "Most rows of a row group, the least that a query reads."),
    key("infer", "*", "Thresholds of protocol inference, by the names in inference.md."),
];

impl StudyConfig {
    /// Reads the text of `study.toml`; `path` is for messages only.
    pub fn parse(text: &str, path: &Path) -> Result<Self> {
        let config: StudyConfig = toml::from_str(text).map_err(|e| StoreError::Config {
            path: path.to_owned(),
            message: e.to_string().trim_end().to_owned(),
        })?;
        let found = config.study.version;
        if found > STUDY_VERSION {
            let path = path.to_owned();
            return Err(StoreError::Newer { path, found, known: STUDY_VERSION });
        }
        if config.keep.payloads {
            let message = "keep.payloads: this version keeps no whole payloads".to_owned();
            return Err(StoreError::Config { path: path.to_owned(), message });
        }
        Ok(config)
    }

    /// This configuration with other values: `("keep.client-addresses", "hash")`. A value is
    /// TOML, or else text.
    pub fn with(&self, overrides: &[(&str, &str)]) -> Result<Self> {
        let error = |message: String| StoreError::Config { path: "command line".into(), message };
        let mut table = self.table();
        for (name, value) in overrides {
            let unknown = || error(format!("`{name}` is not a key of study.toml"));
            let (section, key) = name.split_once('.').ok_or_else(unknown)?;
            let slot = table
                .get_mut(section)
                .and_then(|s| s.as_table_mut())
                .and_then(|s| s.get_mut(key))
                .ok_or_else(unknown)?;
            *slot = value_of(value);
        }
        // Through text, since only text has lines to point at.
        let path = Path::new("command line");
        StudyConfig::parse(&toml::to_string(&table).map_err(|e| error(e.to_string()))?, path)
    }

    /// All values by section and key.
    fn table(&self) -> toml::Table {
        // Every type above has a TOML form.
        toml::Table::try_from(self).unwrap_or_default()
    }

    /// The text of a `study.toml` with a sentence above each key.
    pub fn to_toml(&self) -> String {
        let table = self.table();
        let mut text = String::from("# A study: see docs/reference/study.md.\n");
        let mut section = "";
        for info in KEYS {
            if info.section != section {
                section = info.section;
                let _ = write!(text, "\n[{section}]\n");
            }
            for line in wrap(info.about, 94) {
                let _ = writeln!(text, "# {line}");
            }
            let values = table.get(section).and_then(|s| s.as_table());
            for (name, value) in values.into_iter().flatten() {
                if name == info.key || info.key == "*" {
                    let _ = writeln!(text, "{name} = {}", inline(value));
                }
            }
        }
        text
    }

    /// What each of so many workers may take of `memory.total`.
    pub fn shares(&self, workers: usize) -> Shares {
        let total = to_usize(self.memory.total.0);
        if total == 0 {
            return Shares {
                flows: usize::MAX,
                streams: to_usize(self.memory.streams.0),
                rows: to_usize(self.memory.rows.0),
                names: usize::MAX,
                clients: usize::MAX,
            };
        }
        let all = total.saturating_sub(PROGRAM);
        let each = all / workers.max(1);
        Shares {
            flows: each / 2,
            streams: to_usize(self.memory.streams.0).min(each / 10),
            // Rows are sorted and encoded in copies, two parts at a time.
            rows: to_usize(self.memory.rows.0).min(each / 12).max(1 << 20),
            names: all / 6,
            clients: all / 5,
        }
    }

    /// What the flow engine of one of so many workers needs of it; the key of flow ids is the
    /// caller's.
    pub fn engine(&self, workers: usize) -> Config {
        let shares = self.shares(workers);
        Config {
            memory: shares.flows,
            tcp_idle: self.flow.tcp_idle.0,
            udp_idle: self.flow.udp_idle.0,
            clients: self.input.clients.iter().map(|c| c.prefix).collect(),
            head_bytes: to_usize(self.keep.head_bytes.0),
            sample_bytes: to_usize(self.keep.sample_bytes.0),
            sizes: self.keep.sizes as usize,
            stream_buffer: to_usize(self.memory.stream.0),
            total_buffer: shares.streams,
            max_flows: to_usize(self.memory.flows).max(1),
            bins: self.keep.bins,
            video_packets: true,
            ..Config::default()
        }
    }

    /// How tables are written by one of so many workers.
    pub fn write_options(&self, workers: usize) -> WriteOptions {
        WriteOptions {
            zstd_level: self.tables.zstd_level,
            part_rows: to_usize(self.tables.part_rows).max(1),
            row_group_rows: to_usize(self.tables.group_rows).max(1),
            buffer_bytes: self.shares(workers).rows,
            ..WriteOptions::default()
        }
    }
}

fn to_usize(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

/// TOML where it is TOML, else text.
fn value_of(text: &str) -> toml::Value {
    let document: std::result::Result<toml::Table, _> = toml::from_str(&format!("v = {text}"));
    document
        .ok()
        .and_then(|mut table| table.remove("v"))
        .unwrap_or_else(|| toml::Value::String(text.to_owned()))
}

/// A value on one line.
fn inline(value: &toml::Value) -> String {
    match value {
        toml::Value::Table(table) => {
            let pairs: Vec<_> = table.iter().map(|(k, v)| format!("{k} = {}", inline(v))).collect();
            format!("{{ {} }}", pairs.join(", "))
        }
        toml::Value::Array(values) => {
            format!("[{}]", values.iter().map(inline).collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.len() + 1 + word.len() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// The reference page of `study.toml`, in Markdown.
pub fn reference() -> String {
    let table = StudyConfig::default().table();
    let mut page = String::from(
        "# study.toml\n\nGenerated from `crates/store/src/study/config.rs`; do not edit.\n\nThe \
         one file of a study that a person writes. Every key may be left out and then has the \
         value shown here; an unknown key is an error. Times are written as `30m` or `1h30m`, \
         sizes as `784` or `64KiB`, values of `vantage` are text. On the command line a key is \
         `section.key`.\n",
    );
    let mut section = "";
    for info in KEYS {
        if info.section != section {
            section = info.section;
            let _ = write!(page, "\n## `[{section}]`\n\n| key | default | what |\n|---|---|---|\n");
        }
        let value = table.get(section).and_then(|s| s.get(info.key)).map(inline);
        let about = info.about.replace('|', "\\|");
        let _ = writeln!(page, "| `{}` | `{}` | {about} |", info.key, value.unwrap_or_default());
    }
    page.push_str("\nA new study's file, with every default:\n\n```toml\n");
    page.push_str(&StudyConfig::default().to_toml());
    page.push_str("```\n");
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<StudyConfig> {
        StudyConfig::parse(text, Path::new("study.toml"))
    }

    #[test]
    fn the_template_is_the_defaults_and_names_every_key() {
        let default = StudyConfig::default();
        assert_eq!(parse(&default.to_toml()).unwrap(), default);
        assert_eq!(parse("").unwrap(), default);
        // Any threshold may stand in `[infer]`, and none does.
        let named = KEYS.iter().filter(|key| key.key != "*");
        let mut known: Vec<_> = named.map(|k| (k.section, k.key)).collect();
        let table = default.table();
        let mut there: Vec<_> = table
            .iter()
            .flat_map(|(s, keys)| {
                keys.as_table().unwrap().keys().map(move |k| (s.as_str(), k.as_str()))
            })
            .collect();
        known.sort_unstable();
        there.sort_unstable();
        assert_eq!(known, there);
    }

    #[test]
    fn thresholds_of_inference_are_numbers() {
        let config = parse("[infer]\nvotes = 5\nopcode-entropy = 0.4\n").unwrap();
        assert_eq!(config.infer["votes"], "5");
        assert_eq!(config.infer["opcode-entropy"], "0.4");
        assert_eq!(parse(&config.to_toml()).unwrap(), config);
        assert!(parse("[infer]\nvotes = \"five\"\n").is_err());
    }

    #[test]
    fn the_papers_example_is_understood() {
        let config = parse(
            r#"
            [study]
            name    = "city-3g-2013"
            about   = "Five busy-hour windows, 3G core, November 2013"
            vantage = { place = "MVD", clock = "UTC" }
            [input]
            captures = ["captures/*.pcap.zst"]
            clients  = ["10.0.0.0/8"]
            [flow]
            tcp-idle = "30m"
            udp-idle = "1m"
            user-idle = "60m"
            [keep]
            head-bytes = 16
            payloads = false
            sample-bytes = "784"
            client-addresses = "hash"
            [windows]
            every = "5m"
            "#,
        )
        .unwrap();
        let engine = config.engine(1);
        assert_eq!(engine.sample_bytes, 784);
        assert!(engine.clients[0].contains("10.9.9.9".parse().unwrap()));
        assert_eq!(config.flow.user_idle, Period::from_seconds(3600));
        assert_eq!(parse(&config.to_toml()).unwrap(), config);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        let check = |text: &str, words: &[&str]| {
            let error = parse(text).unwrap_err().to_string();
            for word in words {
                assert!(error.contains(word), "{error}\nlacks {word}");
            }
        };
        check("[flow]\ntcp-idel = \"30m\"", &["study.toml", "line 2", "tcp-idel", "tcp-idle"]);
        check("[flow]\n\ntcp-idle = \"soon\"", &["line 3", "`soon` is not a time"]);
        check("[keep]\nhead-bytes = -1", &["line 2"]);
        check("[keep]\nclient-addresses = \"clear\"", &["line 2", "pseudonym"]);
        check("[input]\nclients = [\"10.0.0.0/40\"]", &["line 2", "not an address prefix"]);
        check("[study", &["line 1"]);
        check("[keep]\npayloads = true", &["payloads"]);
        check("[study]\nversion = 99", &["99"]);
        assert!(matches!(parse("[study]\nversion = 99"), Err(StoreError::Newer { .. })));
    }

    #[test]
    fn overrides() {
        let config = StudyConfig::default();
        let changed = config
            .with(&[
                ("keep.client-addresses", "keep"),
                ("flow.tcp-idle", "5m"),
                ("input.clients", "[\"10.0.0.0/8\"]"),
                ("keep.bins", "false"),
            ])
            .unwrap();
        assert_eq!(changed.keep.client_addresses, ClientAddresses::Keep);
        assert_eq!(changed.flow.tcp_idle, Period::from_seconds(300));
        assert!(!changed.keep.bins);
        assert_eq!(changed.input.clients.len(), 1);
        for bad in [("keep.clients", "1"), ("keep", "1"), ("flow.tcp-idle", "later")] {
            assert!(matches!(config.with(&[bad]), Err(StoreError::Config { .. })), "{bad:?}");
        }
    }
}
