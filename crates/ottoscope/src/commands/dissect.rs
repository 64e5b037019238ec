//! `ottoscope dissect`: one line or JSON object a message, no study needed.

use std::io::{self, Write};
use std::net::IpAddr;
use std::process::ExitCode;
use std::sync::Arc;

use ottoscope_flow::capture::Options;
use ottoscope_flow::run::{RunError, feed_all};
use ottoscope_flow::{Anomaly, Flow, Message, Prefix, Sink};
use ottoscope_wire::Value;
use serde_json::{Map, Value as Json};

use crate::cli::{DissectArgs, parse_prefixes};
use crate::inline::InlineLabels;
use crate::input;

/// Runs the verb.
pub(crate) fn run(args: &DissectArgs, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let catalog = Arc::new(input::catalog(&args.catalog)?);
    for app in &args.app {
        input::known_app(&catalog, app)?;
    }
    let filter = Filter {
        apps: args.app.clone(),
        protocols: args.protocol.iter().map(|p| p.to_lowercase()).collect(),
        addresses: parse_prefixes(&args.address)?,
        from: args.from,
        to: args.to,
    };
    let mut source = input::captures(
        &args.captures,
        Options { stop: input::stop_flag(), ..Options::default() },
    )?;
    let config = ottoscope_flow::Config {
        bins: false,
        every_packet: args.every_packet,
        ..Default::default()
    };
    let signatures = input::signatures(&catalog)?;
    let printer = Printer {
        out,
        json: args.json,
        flows: args.flows,
        filter,
        labels: InlineLabels::new(Arc::clone(&catalog)),
        catalog,
        line: String::new(),
    };
    // One engine on this thread: lines come in the order of the packets.
    let mut engine =
        ottoscope_flow::Engine::new(config, signatures, ottoscope_flow::Shard::single(), printer);
    let written = feed_all(&mut source, &mut engine);
    match written.and_then(|stopped_by| {
        engine.finish().map_err(RunError::Sink)?;
        Ok(stopped_by)
    }) {
        Ok(None) => Ok(ExitCode::SUCCESS),
        Ok(Some(error)) => Err(input::capture_error(error)),
        // `| head` is a normal way to end.
        Err(RunError::Sink(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            Ok(ExitCode::SUCCESS)
        }
        Err(RunError::Sink(error)) => {
            Err(anyhow::Error::new(error).context("cannot write the messages"))
        }
        Err(error) => Err(anyhow::anyhow!("{error}")),
    }
}

struct Filter {
    apps: Vec<String>,
    protocols: Vec<String>,
    addresses: Vec<Prefix>,
    from: Option<i64>,
    to: Option<i64>,
}

impl Filter {
    fn time(&self, at: i64) -> bool {
        self.from.is_none_or(|from| at >= from) && self.to.is_none_or(|to| at < to)
    }

    fn protocol(&self, protocol: &str) -> bool {
        self.protocols.is_empty() || self.protocols.iter().any(|p| p == protocol)
    }

    fn ends(&self, flow: &Flow) -> bool {
        self.addresses.is_empty()
            || self.addresses.iter().any(|p| p.contains(flow.client) || p.contains(flow.server))
    }

    fn app(&self, app: Option<&str>) -> bool {
        self.apps.is_empty() || app.is_some_and(|app| self.apps.iter().any(|a| a == app))
    }
}

struct Printer<'a> {
    out: &'a mut dyn Write,
    json: bool,
    flows: bool,
    filter: Filter,
    labels: InlineLabels,
    catalog: Arc<ottoscope_catalog::Catalog>,
    line: String,
}

impl Sink for Printer<'_> {
    type Error = io::Error;

    fn flow(&mut self, flow: &Flow) -> io::Result<()> {
        if !self.flows
            || !self.filter.time(flow.first.0)
            || !self.filter.ends(flow)
            || !self.filter.protocol(flow.facts.protocol)
        {
            return Ok(());
        }
        let label = self.labels.of(flow);
        if !self.filter.app(label.map(|l| l.app.as_ref())) {
            return Ok(());
        }
        let mut line = Line::new(self.json, &mut self.line);
        line.ends(flow.last.0, flow, None);
        line.text("protocol", flow.facts.protocol);
        line.text("kind", "flow");
        line.name(flow.facts.server_name.as_deref());
        line.label(label, None);
        line.number("packets_up", flow.up.packets);
        line.number("packets_down", flow.down.packets);
        line.number("bytes_up", flow.up.bytes);
        line.number("bytes_down", flow.down.bytes);
        line.field("end", Value::Text(flow.end.name()));
        line.finish(self.out)
    }

    fn message(&mut self, message: &Message<'_>) -> io::Result<()> {
        self.labels.learn(message);
        let flow = message.flow;
        if !self.filter.time(message.at.0)
            || !self.filter.protocol(message.protocol)
            || !self.filter.ends(flow)
        {
            return Ok(());
        }
        let label = self.labels.of(flow);
        if !self.filter.app(label.map(|l| l.app.as_ref())) {
            return Ok(());
        }
        // What a message does says more than what its flow mostly does.
        let task = message.opcode.and_then(|code| {
            self.catalog.task_of_opcode(message.protocol, code).map(|task| &*task.name)
        });
        let mut line = Line::new(self.json, &mut self.line);
        line.ends(message.at.0, flow, Some(message.direction));
        line.text("protocol", message.protocol);
        line.text("kind", message.kind);
        line.name(message.name);
        line.label(label, task);
        line.number("bytes", message.len);
        if let Some(opcode) = message.opcode {
            line.number("opcode", opcode);
        }
        if let Some(sequence) = message.sequence {
            line.number("sequence", sequence);
        }
        message.body.fields().fields(&mut |name, value| line.field(name, value));
        line.finish(self.out)
    }

    fn anomaly(&mut self, anomaly: &Anomaly<'_>) -> io::Result<()> {
        if !self.flows || !self.filter.time(anomaly.at.0) || !self.filter.apps.is_empty() {
            return Ok(());
        }
        let mut line = Line::new(self.json, &mut self.line);
        line.text("at", &anomaly.at.to_string());
        line.text("protocol", anomaly.error.layer.name());
        line.text("kind", "anomaly");
        line.field("reason", Value::Text(&anomaly.error.reason.to_string()));
        line.number("offset", anomaly.error.offset as u64);
        line.finish(self.out)
    }
}

/// One line of output under construction: text in `buffer`, or a JSON object.
struct Line<'a> {
    buffer: &'a mut String,
    json: Option<(Map<String, Json>, Map<String, Json>)>,
}

impl<'a> Line<'a> {
    fn new(json: bool, buffer: &'a mut String) -> Self {
        buffer.clear();
        Line { buffer, json: json.then(Default::default) }
    }

    fn push(&mut self, key: &str, value: Json) {
        if let Some((object, _)) = &mut self.json {
            object.insert(key.to_owned(), value);
        }
    }

    /// Time and both ends, the sender first.
    fn ends(&mut self, at: i64, flow: &Flow, direction: Option<ottoscope_flow::Direction>) {
        let at = ottoscope_flow::Timestamp(at).to_string();
        if self.json.is_some() {
            self.push("at", at.into());
            self.push("flow", flow.id.0.into());
            self.push("transport", flow.transport.to_string().into());
            if let Some(direction) = direction {
                self.push("direction", direction.name().into());
            }
            self.push("client", flow.client.to_string().into());
            self.push("client_port", flow.client_port.into());
            self.push("server", flow.server.to_string().into());
            self.push("server_port", flow.server_port.into());
            return;
        }
        let client = end(flow.client, flow.client_port);
        let server = end(flow.server, flow.server_port);
        let (from, arrow, to) = match direction {
            Some(ottoscope_flow::Direction::Down) => (server, ">", client),
            Some(ottoscope_flow::Direction::Up) => (client, ">", server),
            None => (client, "<>", server),
        };
        for part in [&at, &flow.transport.to_string(), &from, arrow, &to] {
            self.word(part);
        }
    }

    /// A word of its own, shown without its key in text.
    fn text(&mut self, key: &str, value: &str) {
        if self.json.is_some() {
            self.push(key, value.into());
        } else {
            self.word(value);
        }
    }

    fn name(&mut self, name: Option<&str>) {
        if let Some(name) = name {
            self.text("name", name);
        }
    }

    /// Whose the flow is; `task` is the message's own, where it is known.
    fn label(&mut self, label: Option<&ottoscope_catalog::Label>, task: Option<&str>) {
        let Some(label) = label else { return };
        let task = task.or(label.task.as_deref());
        if self.json.is_some() {
            self.push("app", label.app.as_ref().into());
            self.push("service", label.service.as_deref().map_or(Json::Null, Json::from));
            self.push("task", task.map_or(Json::Null, Json::from));
            self.push("evidence", label.evidence.name().into());
        } else {
            let service = label.service.as_deref().map_or(String::new(), |s| format!("/{s}"));
            let task = task.map_or(String::new(), |t| format!(" {t}"));
            self.word(&format!("[{}{service}{task}]", label.app));
        }
    }

    fn number(&mut self, key: &'static str, value: u64) {
        if self.json.is_some() {
            self.push(key, value.into());
        } else {
            self.word(&format!("{key}={value}"));
        }
    }

    /// A field of the message: in JSON under `fields`, a repeated name becomes an array.
    fn field(&mut self, key: &str, value: Value<'_>) {
        if let Some((_, fields)) = &mut self.json {
            let value = match value {
                Value::Text(text) => text.into(),
                Value::Number(n) | Value::Hex(n) => n.into(),
                Value::Bytes(bytes) => hex(bytes).into(),
                Value::Address(address) => address.to_string().into(),
                Value::Flag(flag) => flag.into(),
            };
            match fields.get_mut(key) {
                None => drop(fields.insert(key.to_owned(), value)),
                Some(Json::Array(many)) => many.push(value),
                Some(one) => *one = Json::Array(vec![one.take(), value]),
            }
            return;
        }
        let value = match value {
            Value::Text(text) => text.to_owned(),
            Value::Number(n) => n.to_string(),
            Value::Hex(n) => format!("{n:#x}"),
            Value::Bytes(bytes) => hex(bytes),
            Value::Address(address) => address.to_string(),
            Value::Flag(flag) => flag.to_string(),
        };
        let quoted = value.is_empty() || value.contains(' ');
        self.word(&if quoted { format!("{key}={value:?}") } else { format!("{key}={value}") });
    }

    /// Appends a word. Control characters come from traffic and could rule a terminal.
    fn word(&mut self, word: &str) {
        if !self.buffer.is_empty() {
            self.buffer.push(' ');
        }
        self.buffer.extend(word.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }));
    }

    fn finish(self, out: &mut dyn Write) -> io::Result<()> {
        match self.json {
            Some((mut object, fields)) => {
                if !fields.is_empty() {
                    object.insert("fields".to_owned(), Json::Object(fields));
                }
                serde_json::to_writer(&mut *out, &object)?;
                out.write_all(b"\n")
            }
            None => {
                self.buffer.push('\n');
                out.write_all(self.buffer.as_bytes())
            }
        }
    }
}

fn end(address: IpAddr, port: u16) -> String {
    match address {
        IpAddr::V4(a) => format!("{a}:{port}"),
        IpAddr::V6(a) => format!("[{a}]:{port}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
