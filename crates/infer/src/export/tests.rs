//! What is written for a layout with everything, and for hostile names.

use ottoscope_flow::{Direction, Field, FieldKind, Signature, Transport};

use super::*;

fn field(offset: usize, len: usize, kind: FieldKind) -> Field {
    Field { offset, len, kind }
}

/// WeChat's header, of which three opcodes have names.
fn wechat() -> Layout {
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
    Layout {
        app: "WeChat".to_owned(),
        signature: Signature {
            id: "wechat/w-tcp".into(),
            transport: Transport::Tcp,
            ports: Vec::new(),
            direction: None,
            lengths: Some((16, 1 << 20)),
            fields,
            min_messages: 1,
            every_packet: false,
        },
        names: Vec::new(),
        opcodes: vec![
            (121, "query servers".to_owned()),
            (6, "heartbeat".to_owned()),
            (9, "send picture".to_owned()),
        ],
        about: "Length of the whole, version, command, sequence.".to_owned(),
        source: "ChatDissect".to_owned(),
    }
}

/// A datagram with little-endian numbers, a gap, several constants and no opcode.
fn datagram() -> Layout {
    let fields = vec![
        field(0, 1, FieldKind::Constant(vec![[0x15].into(), [0x16].into()])),
        field(2, 3, FieldKind::Length { little: true, add: 5 }),
        field(5, 2, FieldKind::Constant(vec![[0xf1, 0x04].into()])),
    ];
    Layout {
        app: "Odd\" app".to_owned(),
        signature: Signature {
            id: "odd-app/x;\"y".into(),
            transport: Transport::Udp,
            ports: vec![8000, 8001],
            direction: Some(Direction::Up),
            lengths: None,
            fields,
            min_messages: 3,
            every_packet: true,
        },
        names: vec!["end".to_owned(), String::new(), "Füße \" ]]".to_owned()],
        opcodes: vec![(1, "unused".to_owned())],
        about: "line one\nos.execute('no')".to_owned(),
        source: String::new(),
    }
}

fn check(layout: &Layout, format: Format, expected: &str) {
    let mut out = String::new();
    write(layout, format, &mut out).unwrap();
    assert!(out == expected, "{out}");
    let mut again = String::new();
    write(layout, format, &mut again).unwrap();
    assert_eq!(out, again);
}

#[test]
fn zeek() {
    check(
        &wechat(),
        Format::Zeek,
        r#"# wechat/w-tcp of WeChat.
# Length of the whole, version, command, sequence.
# Sequence numbers rise by one a message; that is not checked here.
# Source: ChatDissect
# zeek -s THIS-FILE -r CAPTURE; a signature is told once a connection.

signature wechat_w_tcp {
  ip-proto == tcp
  tcp-state established
  payload /^[\x00-\xff]{4}\x00\x10\x00\x01(\x00\x00|\x3b\x9a)/
  event "wechat/w-tcp"
}
"#,
    );
    check(
        &datagram(),
        Format::Zeek,
        r#"# odd-app/x;"y of Odd" app.
# line one
# os.execute('no')
# A flow counts only when 3 of its messages match; that is not checked here.
# Every packet of a flow must match; that is not checked here.
# zeek -s THIS-FILE -r CAPTURE; a signature is told once a connection.

signature odd_app_x_y {
  ip-proto == udp
  dst-port == 8000,8001
  udp-state originator
  payload-size >= 7
  payload /^(\x15|\x16)[\x00-\xff]{4}\xf1\x04/
  event "odd-app/x;\"y"
}
"#,
    );
}

#[test]
fn suricata() {
    check(
        &wechat(),
        Format::Suricata,
        r#"# wechat/w-tcp of WeChat.
# Length of the whole, version, command, sequence.
# Sequence numbers rise by one a message; that is not checked here.
# Source: ChatDissect
# Packets are looked at one by one: messages that begin within one are not seen.
# Ids from 1544700 follow from a hash of the name; change those that are taken.
alert tcp-pkt any any -> any any (msg:"wechat/w-tcp"; flow:established; dsize:>15; content:"|00 10 00 01|"; offset:4; depth:4; pcre:"/^.{8}(\x00\x00|\x3b\x9a)/s"; byte_test:4,>=,16,0; byte_test:4,<=,1048576,0; sid:1544700; rev:1;)
alert tcp-pkt any any -> any any (msg:"wechat/w-tcp heartbeat"; flow:established; dsize:>15; content:"|00 10 00 01|"; offset:4; depth:4; pcre:"/^.{8}(\x00\x00|\x3b\x9a)/s"; byte_test:4,>=,16,0; byte_test:4,<=,1048576,0; content:"|00 06|"; offset:10; depth:2; sid:1544701; rev:1;)
alert tcp-pkt any any -> any any (msg:"wechat/w-tcp send picture"; flow:established; dsize:>15; content:"|00 10 00 01|"; offset:4; depth:4; pcre:"/^.{8}(\x00\x00|\x3b\x9a)/s"; byte_test:4,>=,16,0; byte_test:4,<=,1048576,0; content:"|00 09|"; offset:10; depth:2; sid:1544702; rev:1;)
alert tcp-pkt any any -> any any (msg:"wechat/w-tcp query servers"; flow:established; dsize:>15; content:"|00 10 00 01|"; offset:4; depth:4; pcre:"/^.{8}(\x00\x00|\x3b\x9a)/s"; byte_test:4,>=,16,0; byte_test:4,<=,1048576,0; content:"|00 79|"; offset:10; depth:2; sid:1544703; rev:1;)
"#,
    );
}

#[test]
fn spicy() {
    check(
        &wechat(),
        Format::Spicy,
        r#"# wechat/w-tcp of WeChat.
# Length of the whole, version, command, sequence.
# Sequence numbers rise by one a message; that is not checked here.
# Source: ChatDissect
# For Zeek, an .evt file beside it:
#   protocol analyzer spicy::WECHAT_W_TCP over TCP:
#     parse with WECHAT_W_TCP::Messages;

module WECHAT_W_TCP;

import spicy;

public type Task = enum {
    heartbeat = 6,
    send_picture = 9,
    query_servers = 121
};

public type Messages = unit {
    messages: Message[];
};

public type Message = unit {
    length: uint32 &byte-order=spicy::ByteOrder::Big &requires=($$ >= 16 && $$ <= 1048576);
    magic: bytes &size=4 &requires=($$ == b"\x00\x10\x00\x01");
    request_or_response: bytes &size=2 &requires=($$ == b"\x00\x00" || $$ == b"\x3b\x9a");
    opcode: uint16 &byte-order=spicy::ByteOrder::Big {
        self.task = Task(self.opcode);
        if ( self.opcode >= 51712 )
            self.task = Task(self.opcode - 51712);
    }
    sequence: uint32 &byte-order=spicy::ByteOrder::Big;
    body: bytes &size=(self.length - 16);

    var task: Task;
};
"#,
    );
}

#[test]
fn kaitai() {
    check(
        &wechat(),
        Format::Kaitai,
        r#"# wechat/w-tcp of WeChat.
# Length of the whole, version, command, sequence.
# Sequence numbers rise by one a message; that is not checked here.
# Source: ChatDissect
meta:
  id: wechat_w_tcp
  title: "wechat/w-tcp of WeChat"
  endian: be
doc: "Length of the whole, version, command, sequence."
doc-ref: "ChatDissect"
seq:
  - id: messages
    type: message
    repeat: eos
types:
  message:
    seq:
      - id: length
        type: u4be
        valid:
          min: 16
          max: 1048576
      - id: magic
        contents: [0x00, 0x10, 0x00, 0x01]
      - id: request_or_response
        doc: "request or response"
        type: u2be
        enum: request_or_response
        valid:
          any-of:
            - request_or_response::request
            - request_or_response::response
      - id: opcode
        type: u2be
      - id: sequence
        type: u4be
      - id: body
        size: length - 16
    instances:
      command:
        value: "(opcode >= 51712 ? opcode - 51712 : opcode)"
        enum: task
enums:
  request_or_response:
    0: request
    15258: response
  task:
    6:
      id: heartbeat
      doc: "heartbeat"
    9:
      id: send_picture
      doc: "send picture"
    121:
      id: query_servers
      doc: "query servers"
"#,
    );
    check(
        &datagram(),
        Format::Kaitai,
        r#"# odd-app/x;"y of Odd" app.
# line one
# os.execute('no')
# A flow counts only when 3 of its messages match; that is not checked here.
# Every packet of a flow must match; that is not checked here.
meta:
  id: odd_app_x_y
  title: "odd-app/x;\"y of Odd\" app"
  endian: be
doc: "line one os.execute('no')"
seq:
  - id: messages
    type: message
types:
  message:
    seq:
      - id: end_2
        doc: "end"
        size: 1
        valid:
          any-of:
            - "[0x15]"
            - "[0x16]"
      - id: gap
        size: 1
      - id: length
        type: b24le
        valid:
          min: 2
          max: 1073741819
      - id: f_e
        doc: "Füße \" ]]"
        contents: [0xf1, 0x04]
      - id: body
        size: length - 2
"#,
    );
}

#[test]
fn what_cannot_be_run_is_not_written() {
    let mut out = String::new();
    let mut layout = wechat();
    layout.signature.fields[2].offset = 6;
    assert_eq!(write(&layout, Format::Zeek, &mut out), Err(ExportError::Overlap(6)));
    layout.signature.fields.retain(|f| matches!(f.kind, FieldKind::Length { .. }));
    let error = write(&layout, Format::Kaitai, &mut out).unwrap_err();
    assert_eq!(
        error.to_string(),
        "signature `wechat/w-tcp`: has no fixed value, so that anything would match"
    );
    assert!(out.is_empty());
}
