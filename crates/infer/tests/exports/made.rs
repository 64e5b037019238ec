//! Layouts to export, and captures for them.

use std::fs;
use std::path::{Path, PathBuf};

use ottoscope_flow::wire::LinkType;
use ottoscope_flow::wire::build::pcap::{PcapWriter, Resolution};
use ottoscope_flow::wire::build::{Ethernet, Ip, Segment};
use ottoscope_flow::{Field, FieldKind, Signature, Transport};
use ottoscope_infer::export::{Format, Layout, write};

pub(crate) fn field(offset: usize, len: usize, kind: FieldKind) -> Field {
    Field { offset, len, kind }
}

pub(crate) fn layout(
    id: &str,
    transport: Transport,
    ports: Vec<u16>,
    fields: Vec<Field>,
) -> Layout {
    Layout {
        app: "WeChat".to_owned(),
        signature: Signature {
            id: id.into(),
            transport,
            ports,
            direction: None,
            lengths: None,
            fields,
            min_messages: 1,
            every_packet: false,
        },
        names: Vec::new(),
        opcodes: vec![(6, "heart\"beat\\".to_owned()), (9, "send picture".to_owned())],
        about: "for a test\nos.exit(1)".to_owned(),
        source: String::new(),
    }
}

pub(crate) fn wechat(ports: Vec<u16>) -> Layout {
    let fields = vec![
        field(0, 4, FieldKind::Length { little: false, add: 0 }),
        field(4, 4, FieldKind::Constant(vec![[0, 0x10, 0, 1].into()])),
        field(
            8,
            2,
            FieldKind::RequestResponse { request: [0, 0].into(), response: [0x3b, 0x9a].into() },
        ),
        field(10, 2, FieldKind::Opcode { little: false, response_offset: 0xca00, values: vec![] }),
        field(12, 4, FieldKind::Sequence { little: false }),
    ];
    layout("wechat/w-tcp", Transport::Tcp, ports, fields)
}

pub(crate) fn message(command: u32, sequence: u32, body: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for number in [16 + body as u32, 0x0010_0001, command, sequence] {
        out.extend(number.to_be_bytes());
    }
    out.resize(16 + body, 0xee);
    out
}

/// Payloads of one flow; true goes up.
pub(crate) fn capture(path: &Path, transport: Transport, port: u16, payloads: &[(bool, &[u8])]) {
    let mut file =
        PcapWriter::new(fs::File::create(path).unwrap(), LinkType::ETHERNET, Resolution::Micro)
            .unwrap();
    let (client, server) = ([192, 0, 2, 1].into(), [203, 0, 113, 2].into());
    let mut next = [1, 1];
    for (index, (up, payload)) in payloads.iter().enumerate() {
        let mut frame = Vec::new();
        let ip = if *up { Ip::new(client, server) } else { Ip::new(server, client) };
        let (from, to) = if *up { (50_000, port) } else { (port, 50_000) };
        Ethernet::default().write(&mut frame, |out| {
            if transport == Transport::Udp {
                ip.udp(out, from, to, |out| out.extend_from_slice(payload));
                return;
            }
            let (seq, ack) = (next[usize::from(*up)], next[usize::from(!*up)]);
            let segment = Segment {
                source_port: from,
                destination_port: to,
                seq,
                ack,
                flags: 0x18,
                window: 8192,
                options: &[],
            };
            ip.tcp(out, &segment, |out| out.extend_from_slice(payload));
        });
        next[usize::from(*up)] += payload.len() as u32;
        file.record(index as i64 * 1_000_000, frame.len() as u32, &frame).unwrap();
    }
    file.finish().unwrap();
}

pub(crate) fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// Datagrams with little-endian numbers of odd widths, two constants at one place and a gap.
pub(crate) fn datagrams() -> Layout {
    let fields = vec![
        field(0, 1, FieldKind::Constant(vec![[0x15].into(), [0x16].into()])),
        field(2, 3, FieldKind::Length { little: true, add: 5 }),
        field(5, 6, FieldKind::Opcode { little: true, response_offset: 0, values: vec![] }),
    ];
    layout("odd-app/d", Transport::Udp, vec![], fields)
}

/// A layout whose names nobody would choose.
pub(crate) fn hostile() -> Layout {
    let fields = vec![
        field(0, 2, FieldKind::Constant(vec![[0xf1, 0x22].into()])),
        field(3, 2, FieldKind::RequestResponse { request: [1, 0].into(), response: [2, 0].into() }),
        field(5, 1, FieldKind::Opcode { little: false, response_offset: 0x80, values: vec![6] }),
        field(6, 8, FieldKind::Sequence { little: true }),
    ];
    let mut layout = layout("odd-app/x;\"y", Transport::Udp, vec![8000, 8001], fields);
    "Odd\" app: 100%".clone_into(&mut layout.app);
    layout.names = vec!["end".to_owned(), "Füße \" ]]".to_owned(), String::new(), "if".to_owned()];
    "https://example.org/#a: \"b\"".clone_into(&mut layout.source);
    layout
}

/// The text of a layout, in a file of a folder.
pub(crate) fn exported(folder: &Path, layout: &Layout, format: Format) -> PathBuf {
    let mut text = String::new();
    write(layout, format, &mut text).unwrap();
    let path = folder.join("layout").with_extension(format.extension());
    fs::write(&path, text).unwrap();
    path
}
