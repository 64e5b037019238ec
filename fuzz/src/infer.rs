//! Packets that nobody designed, and code that nobody compiled.

use ottoscope_flow::{Direction, FlowId, Timestamp, Transport};
use ottoscope_infer::export::{Format, Layout, write};
use ottoscope_infer::opcodes::{Reading, periodic, triggered};
use ottoscope_infer::segment::METHODS;
use ottoscope_infer::source::{Known, Search};
use ottoscope_infer::walk::{Given, Rules, infer};
use ottoscope_infer::{FlowInfo, Lab, Params, Sample, Samples, propose};

/// Languages by the extensions of their files.
const EXTENSIONS: [&str; 6] = ["java", "smali", "xml", "js", "kt", "json"];

/// An app's package, or a file of its sources.
pub(crate) fn code(data: &[u8]) {
    let Some((first, rest)) = data.split_first() else { return };
    let mut search = Search::new(Known {
        urls: vec!["/cgi-bin/send".to_owned(), "sync".to_owned()],
        response_offset: 1_000_000_000,
        ..Known::default()
    });
    match EXTENSIONS.get(usize::from(*first)) {
        Some(extension) => {
            search.text(&format!("a.{extension}"), &String::from_utf8_lossy(rest));
        }
        None => search.package("a.apk", rest),
    }
    let found = search.finish();
    assert!(!found.summary().is_empty());
    for url in &found.urls {
        let sum: f64 = url.candidates.iter().map(|candidate| candidate.share).sum();
        assert!(sum < 1.0 + 1e-6, "shares are of one whole");
    }
    let _ = Lab::parse(&String::from_utf8_lossy(rest));
}

/// Packets: a byte each for length and for way and flow, then payload.
pub(crate) fn inference(data: &[u8]) {
    let Some((first, mut rest)) = data.split_first() else { return };
    let transport = if first & 1 == 0 { Transport::Tcp } else { Transport::Udp };
    let method = METHODS[usize::from(first >> 2) % METHODS.len()];
    let rules = if first & 2 == 0 { Rules::Typed } else { Rules::Paper };
    let mut samples = Samples::new();
    let address = std::net::Ipv4Addr::LOCALHOST.into();
    for flow in 0..4_u16 {
        samples.flow(FlowInfo {
            id: FlowId(u64::from(flow)),
            transport,
            client: (address, flow),
            server: (address, 9),
        });
    }
    let (mut at, mut places) = (0_i64, [[0_u32; 2]; 4]);
    while let Some((&[len, way], payload)) = rest.split_first_chunk::<2>() {
        let (head, behind) = payload.split_at(payload.len().min(usize::from(len % 40)));
        rest = behind;
        let (flow, down) = (usize::from(way & 3), way & 4 != 0);
        let place = &mut places[flow][usize::from(down)];
        // Now and then bytes are missing, or come again.
        *place = place.wrapping_add_signed(match way >> 5 {
            6 => 7,
            7 => -5,
            _ => 0,
        });
        let kept = samples.push(Sample {
            at: Timestamp(at),
            flow,
            direction: if down { Direction::Down } else { Direction::Up },
            sequence: (transport == Transport::Tcp).then_some(*place),
            len: head.len() as u64,
            head,
        });
        assert!(kept);
        *place = place.wrapping_add(head.len() as u32);
        at += i64::from(way) * 1_000_000;
    }
    let params = Params::default();
    let given = if first & 0x80 == 0 { Given::Packets } else { Given::Messages };
    let Ok(found) = infer(&samples, given, &params, method, rules) else { return };
    let messages = &found.messages;
    for format in &found.formats {
        let mut end = 0;
        for field in &format.fields {
            assert!(field.span.start >= end && field.span.end > field.span.start);
            assert!((0.0..=1.0).contains(&field.confidence));
            end = field.span.end;
        }
        if let Some(reading) = Reading::new(messages, &format.members, &format.fields) {
            let events = reading.events(messages);
            let _ = (periodic(&events, &params), triggered(&events, &params));
        }
        if let Ok(signature) = propose::signature(messages, &format.members, &format.fields, "a/b")
        {
            let layout = Layout {
                app: "a".to_owned(),
                signature,
                names: Vec::new(),
                opcodes: Vec::new(),
                about: String::new(),
                source: String::new(),
            };
            for tool in Format::ALL {
                let _ = write(&layout, tool, &mut String::new());
            }
        }
    }
}
