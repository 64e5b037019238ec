//! What the flow engine tells, as rows. One sink per worker.

mod detail;
mod dns;
mod video;

use std::borrow::Cow;
use std::sync::Arc;

use ottoscope_flow::dissector::qq_video;
use ottoscope_flow::dissector::rtp_stream::RtpStream;
use ottoscope_flow::{Anomaly, Bin, Body, Flow, Message, Sink, Timestamp, Transport};

use crate::background::Background;
use crate::error::{Result, StoreError};
use crate::layout::PartNames;
use crate::pseudonym::{AddressText, Pseudonyms};
use crate::study::Study;
use crate::table::Table;
use crate::tables::{
    Anomalies, AnomalyRow, BinRow, Bins, Dns, FlowRow, Flows, Frames, MessageRow, Messages, Rtp,
    RtpRow, Video,
};
use crate::writer::{TableWriter, Written};

/// Writes flows, messages, DNS answers, media streams and their frames, bins and anomalies to a
/// study.
pub struct StoreSink {
    flows: TableWriter<Flows>,
    messages: TableWriter<Messages>,
    dns: TableWriter<Dns>,
    rtp: TableWriter<Rtp>,
    video: TableWriter<Video>,
    frames: TableWriter<Frames>,
    bins: TableWriter<Bins>,
    anomalies: TableWriter<Anomalies>,
    background: Arc<Background>,
    names: Pseudonyms,
    captures: Arc<[String]>,
    head_bytes: usize,
    keep_messages: bool,
    limit: usize,
    text: String,
    name: String,
    scratch: dns::Scratch,
    calls: video::Calls,
}

impl StoreSink {
    /// A sink of one worker. The caller holds the study's lock. `captures` are the run's
    /// inputs, by the index that anomalies give.
    pub fn new(
        study: &Study,
        names: &PartNames,
        pseudonyms: &Pseudonyms,
        captures: Arc<[String]>,
    ) -> Self {
        let keep = &study.config().keep;
        let background = Background::start();
        StoreSink {
            flows: study.writer(names.clone()).in_background(&background),
            messages: study.writer(names.clone()).in_background(&background),
            dns: study.writer(names.clone()).in_background(&background),
            rtp: study.writer(names.clone()).in_background(&background),
            video: study.writer(names.clone()).in_background(&background),
            frames: study.writer(names.clone()).in_background(&background),
            bins: study.writer(names.clone()).in_background(&background),
            anomalies: study.writer(names.clone()).in_background(&background),
            background,
            names: pseudonyms.clone(),
            captures,
            head_bytes: keep.head_bytes.0.min(65_535) as usize,
            keep_messages: keep.messages,
            limit: study.write_options().buffer_bytes,
            text: String::new(),
            name: String::new(),
            scratch: dns::Scratch::default(),
            calls: video::Calls::default(),
        }
    }

    /// Writes what is still in memory; says what was written to each table.
    pub fn finish(self) -> Result<Vec<(&'static str, Written)>> {
        let written = vec![
            (Flows::INFO.name, self.flows.finish()?),
            (Messages::INFO.name, self.messages.finish()?),
            (Dns::INFO.name, self.dns.finish()?),
            (Rtp::INFO.name, self.rtp.finish()?),
            (Video::INFO.name, self.video.finish()?),
            (Frames::INFO.name, self.frames.finish()?),
            (Bins::INFO.name, self.bins.finish()?),
            (Anomalies::INFO.name, self.anomalies.finish()?),
        ];
        self.background.settle()?;
        Ok(written)
    }

    /// Writes everything that is held, so that readers see it: live runs call it now and then.
    pub fn flush(&mut self) -> Result<()> {
        self.flows.flush_all()?;
        self.messages.flush_all()?;
        self.dns.flush_all()?;
        self.rtp.flush_all()?;
        self.video.flush_all()?;
        self.frames.flush_all()?;
        self.bins.flush_all()?;
        self.anomalies.flush_all()?;
        self.background.settle()
    }

    /// Writes the largest part of all tables until what is held fits.
    fn make_room(&mut self) -> Result<()> {
        loop {
            let mut tables: [&mut dyn Held; 8] = [
                &mut self.flows,
                &mut self.messages,
                &mut self.dns,
                &mut self.rtp,
                &mut self.video,
                &mut self.frames,
                &mut self.bins,
                &mut self.anomalies,
            ];
            let held: usize = tables.iter().map(|t| t.held()).sum();
            if held <= self.limit {
                return Ok(());
            }
            if let Some(largest) = tables.iter_mut().max_by_key(|t| t.largest()) {
                largest.flush()?;
            }
        }
    }

    fn held(&self) -> usize {
        self.flows.buffered()
            + self.messages.buffered()
            + self.dns.buffered()
            + self.rtp.buffered()
            + self.video.buffered()
            + self.frames.buffered()
            + self.bins.buffered()
            + self.anomalies.buffered()
    }

    fn fit(&mut self) -> Result<()> {
        if self.held() > self.limit { self.make_room() } else { Ok(()) }
    }

    fn dns_rows(&mut self, message: &Message<'_>) -> Result<()> {
        let Body::Dns(body) = message.body else { return Ok(()) };
        let flow = message.flow;
        let client = self.names.client(flow.client);
        let server = self.names.server(flow.server, flow.side);
        let transport = transport_name(flow.transport);
        let ends =
            dns::Ends { client: client.as_str(), server: server.as_str(), transport: &transport };
        let table = &mut self.dns;
        dns::rows(message, body, &ends, &mut self.names, &mut self.scratch, |row| table.append(row))
    }
}

/// A table whatever its rows.
trait Held {
    fn held(&self) -> usize;
    fn largest(&self) -> usize;
    fn flush(&mut self) -> Result<()>;
}

impl<T: Table> Held for TableWriter<T> {
    fn held(&self) -> usize {
        self.buffered()
    }
    fn largest(&self) -> usize {
        TableWriter::largest(self)
    }
    fn flush(&mut self) -> Result<()> {
        self.flush_largest()
    }
}

/// The name of a transport, without allocation for those that have one.
fn transport_name(transport: Transport) -> Cow<'static, str> {
    match transport {
        Transport::Tcp => "tcp".into(),
        Transport::Udp => "udp".into(),
        Transport::Sctp => "sctp".into(),
        Transport::Icmp => "icmp".into(),
        Transport::Other(_) => transport.to_string().into(),
    }
}

fn rtp_row<'a>(flow: &Flow, stream: &RtpStream) -> RtpRow<'a> {
    RtpRow {
        flow: flow.id.0,
        direction: stream.direction.name(),
        ssrc: stream.ssrc,
        payload_type: stream.payload_type(),
        first: stream.first,
        last: stream.last,
        packets: stream.packets,
        payload_bytes: stream.payload_bytes,
        expected: stream.expected(),
        lost: stream.lost(),
        duplicates: stream.duplicates,
        out_of_order: stream.out_of_order,
        jitter: stream.jitter(),
        clock: stream.clock_rate(),
    }
}

fn some(bytes: &[u8]) -> Option<&[u8]> {
    (!bytes.is_empty()).then_some(bytes)
}

fn micros(nanos: Option<u64>) -> Option<f64> {
    nanos.map(|n| n as f64 / 1e3)
}

impl Sink for StoreSink {
    type Error = StoreError;

    fn end(&mut self) -> Result<()> {
        self.flush()
    }

    fn flow(&mut self, flow: &Flow) -> Result<()> {
        let facts = &flow.facts;
        let client = self.names.client(flow.client);
        let server = self.names.server(flow.server, flow.side);
        let transport = transport_name(flow.transport);
        let tls = facts.tls();
        let tunnel = flow.tunnel.as_ref().map(|tunnel| {
            let sides = [tunnel.client_side, tunnel.server_side];
            (tunnel, sides.map(|side| self.names.outer(tunnel.kind, side)))
        });
        // A Host header may hold an address.
        let address = facts.server_name.as_ref().and_then(|name| name.parse().ok());
        let address = address.map(|address| self.names.server(address, flow.side));
        let name = address.as_ref().map(AddressText::as_str).or(facts.server_name.as_deref());
        self.flows.append(&FlowRow {
            flow: flow.id.0,
            first: flow.first,
            last: flow.last,
            transport: &transport,
            client: client.as_str(),
            client_port: flow.client_port,
            server: server.as_str(),
            server_port: flow.server_port,
            packets_up: flow.up.packets,
            packets_down: flow.down.packets,
            bytes_up: flow.up.bytes,
            bytes_down: flow.down.bytes,
            payload_up: flow.up.payload,
            payload_down: flow.down.payload,
            protocol: (!facts.protocol.is_empty()).then_some(facts.protocol),
            server_name: name,
            name_source: facts.name_source.map(ottoscope_flow::NameSource::name),
            alpn: tls.alpn.as_deref(),
            ja3: tls.ja3.as_deref(),
            ja4: tls.ja4.as_deref(),
            tls_version: (tls.version != 0).then_some(tls.version),
            certificate_names: (!tls.certificate_names.is_empty())
                .then_some(&*tls.certificate_names),
            user_agent: facts.user_agent.as_deref(),
            signature: facts.signature.as_deref(),
            signature_broken: facts.signature_broken,
            side: flow.side.name(),
            end: flow.end.name(),
            retransmitted_up: flow.up.retransmitted,
            retransmitted_down: flow.down.retransmitted,
            syn: u32::from(flow.up.syn) + u32::from(flow.down.syn),
            fin: u32::from(flow.up.fin) + u32::from(flow.down.fin),
            rst: u32::from(flow.up.rst) + u32::from(flow.down.rst),
            rtt_server_us: micros(flow.rtt_server),
            rtt_client_us: micros(flow.rtt_client),
            rtt_data_us: micros(flow.rtt_data),
            syn_fingerprint: flow.syn_fingerprint.as_deref(),
            tunnel: tunnel.as_ref().map(|(t, _)| t.kind),
            tunnel_client_side: tunnel.as_ref().map(|(_, s)| s[0].as_str()),
            tunnel_server_side: tunnel.as_ref().map(|(_, s)| s[1].as_str()),
            teid_up: tunnel.as_ref().and_then(|(t, _)| t.id_up),
            teid_down: tunnel.as_ref().and_then(|(t, _)| t.id_down),
            qfi: tunnel.as_ref().and_then(|(t, _)| t.qfi),
            vlan: flow.vlan,
            head_up: some(&flow.heads[0]),
            head_down: some(&flow.heads[1]),
            sample: flow.sample.as_deref().and_then(some),
            sizes: flow.sizes.as_deref(),
            gaps_us: flow.gaps.as_deref(),
        })?;
        let (frames, video) = (&mut self.frames, &mut self.video);
        self.calls.end(flow, &mut |row| frames.append(row), &mut |row| video.append(row))?;
        self.fit()
    }

    fn message(&mut self, message: &Message<'_>) -> Result<()> {
        self.dns_rows(message)?;
        if message.protocol == qq_video::PROTOCOL.name && !message.head.is_empty() {
            // A packet of video: its frames say more than a row each would.
            let frames = &mut self.frames;
            self.calls.message(message, |row| frames.append(row))?;
            return self.fit();
        }
        if let Body::RtpStream(stream) = message.body {
            self.rtp.append(&rtp_row(message.flow, stream))?;
        }
        if !self.keep_messages {
            return self.fit();
        }
        if matches!(message.body, Body::Dns(_) | Body::RtpStream(_)) {
            // A table of their own says it all.
            self.text.clear();
        } else {
            detail::write(message, &mut self.names, &mut self.text);
        }
        self.name.clear();
        if let Some(name) = message.name
            && !self.names.ptr_name(name, &mut self.name)
        {
            self.names.scrub(name, Some(message.flow.client), &mut self.name);
        }
        self.messages.append(&MessageRow {
            at: message.at,
            flow: message.flow.id.0,
            direction: message.direction.name(),
            protocol: message.protocol,
            kind: message.kind,
            name: message.name.map(|_| self.name.as_str()),
            detail: (!self.text.is_empty()).then_some(&self.text),
            opcode: message.opcode,
            sequence: message.sequence,
            bytes: message.len,
            head: some(&message.head[..message.head.len().min(self.head_bytes)]),
        })?;
        self.fit()
    }

    fn bin(&mut self, bin: &Bin) -> Result<()> {
        self.bins.append(&BinRow {
            second: Timestamp::from_parts(bin.second, 0),
            flow: bin.flow.0,
            packets_up: bin.packets[0],
            packets_down: bin.packets[1],
            bytes_up: bin.bytes[0],
            bytes_down: bin.bytes[1],
            syn: bin.syn,
            fin: bin.fin,
            rst: bin.rst,
        })?;
        self.fit()
    }

    fn anomaly(&mut self, anomaly: &Anomaly<'_>) -> Result<()> {
        use std::fmt::Write as _;
        self.text.clear();
        // Writing to a string cannot fail.
        let _ = write!(self.text, "{}", anomaly.error.reason);
        let capture = self.captures.get(anomaly.capture as usize).map_or("", String::as_str);
        let private = anomaly.error.layer.holds_addresses() && !self.names.in_clear();
        let head = &anomaly.head[..anomaly.head.len().min(self.head_bytes)];
        self.anomalies.append(&AnomalyRow {
            at: anomaly.at,
            capture,
            flow: anomaly.flow.map(|f| f.0),
            layer: anomaly.error.layer.name(),
            offset: anomaly.error.offset as u64,
            reason: &self.text,
            head: if private { None } else { some(head) },
        })?;
        self.fit()
    }
}
