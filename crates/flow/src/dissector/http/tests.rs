use super::*;
use crate::dissector::testing::Bench;
use crate::model::Direction::{Down, Up};
use proptest::prelude::*;

fn talk(script: &[(Direction, &[u8])], cuts: &[usize]) -> Bench {
    let mut bench = Bench::new(Transport::Tcp, (PROTOCOL.open)());
    bench.talk(script, cuts).close();
    bench
}

/// Pipelined requests, an interim response, a HEAD, chunks with a trailer, a body to the end.
const SCRIPT: &[(Direction, &[u8])] = &[
    (
        Up,
        b"POST /cgi-bin/micromsg-bin/uploadmsgimg?x=1 HTTP/1.1\r\nHost: short.weixin.qq.com\r\n\
          User-Agent: MicroMessenger Client\r\nContent-Length: 5\r\n\r\nGET /\
          HEAD /a HTTP/1.1\r\nHost: other.example:8080\r\n\r\n\
          PUT /b HTTP/1.1\r\nHost: other.example\r\nTransfer-Encoding: chunked\r\n\r\n\
          5;q\r\nHTTP/\r\n0\r\nx: y\r\n\r\n\r\n",
    ),
    (
        Down,
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\nHTTP/1.1 200 OK\
          HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n",
    ),
    (Up, b"GET /c HTTP/1.1\r\nHost: 192.0.2.1\r\n\r\n"),
    (Down, b"HTTP/1.1 204 No Content\r\n\r\n"),
    (Down, b"HTTP/1.1 200 OK\r\nContent-Type: text/html; a\r\n\r\nuntil the end HTTP/1.1 200 OK\r\n"),
];

const TOLD: [&str; 9] = [
    "up http/request short.weixin.qq.com len=142 method=POST host=short.weixin.qq.com \
     path=/cgi-bin/micromsg-bin/uploadmsgimg content_length=5 user_agent=MicroMessenger Client",
    "up http/request other.example len=46 method=HEAD host=other.example path=/a",
    "up http/request other.example len=68 method=PUT host=other.example path=/b",
    "down http/response short.weixin.qq.com len=25 status=100 method=POST \
     path=/cgi-bin/micromsg-bin/uploadmsgimg",
    "down http/response short.weixin.qq.com len=54 status=200 content_length=15 method=POST \
     path=/cgi-bin/micromsg-bin/uploadmsgimg",
    "down http/response other.example len=39 status=200 content_length=99 method=HEAD path=/a",
    "up http/request len=36 method=GET host=192.0.2.1 path=/c",
    "down http/response other.example len=27 status=204 method=PUT path=/b",
    "down http/response len=47 status=200 content_type=text/html method=GET path=/c",
];

#[test]
fn exchanges_are_paired_and_bodies_skipped() {
    let bench = talk(SCRIPT, &[]);
    assert_eq!(bench.messages, TOLD);
    assert_eq!(bench.facts.server_name.as_deref(), Some("short.weixin.qq.com"));
    assert_eq!(bench.facts.name_source, Some(NameSource::Host));
    assert_eq!(bench.facts.user_agent.as_deref(), Some("MicroMessenger Client"));
    assert_eq!(bench.facts.protocol, "http");
    assert_eq!((bench.end, bench.anomalies.len()), (None, 0));
}

#[test]
fn tunnels_hand_over() {
    let ask = b"CONNECT e1.whatsapp.net:443 HTTP/1.1\r\nHost: e1.whatsapp.net:443\r\n\r\n";
    let refused = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 2\r\n\r\nno";
    let agreed = b"HTTP/1.1 200 Connection established\r\n\r\n";
    let bench = talk(&[(Up, ask), (Down, refused), (Up, ask), (Down, agreed)], &[]);
    assert_eq!(bench.messages.len(), 4);
    assert_eq!(
        bench.messages[0],
        "up http/connect e1.whatsapp.net len=67 method=CONNECT \
        host=e1.whatsapp.net"
    );
    assert_eq!(bench.facts.server_name.as_deref(), Some("e1.whatsapp.net"));
    assert_eq!(bench.facts.name_source, Some(NameSource::Proxy));
    assert_eq!(bench.end, Some(Progress::Switch(agreed.len())));
    // Seen from one side only, the client's next bytes end it as well.
    assert_eq!(talk(&[(Up, ask), (Up, b"\x16\x03\x01")], &[]).end, Some(Progress::Switch(0)));
}

#[test]
fn upgrades_end_it() {
    let up = b"GET /chat HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n";
    let down = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n";
    assert_eq!(talk(&[(Up, up), (Down, down)], &[]).end, Some(Progress::Done));
    let down = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: TLS/1.0\r\n\r\n";
    assert_eq!(talk(&[(Up, up), (Down, down)], &[]).end, Some(Progress::Switch(down.len())));
}

#[test]
fn holes_are_bridged_or_resynchronised() {
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n";
    let mut bench = Bench::new(Transport::Tcp, (PROTOCOL.open)());
    bench.feed(Down, head).gap(Down, 900).feed(Down, &[b'x'; 100]).feed(Down, head);
    assert_eq!(bench.messages.len(), 2, "bridged");
    bench
        .gap(Down, 5000)
        .feed(Down, b"lines\r\nof a body\r\n")
        .feed(Down, b"more")
        .feed(Down, head);
    assert_eq!(bench.messages.len(), 3, "found again");
    bench.feed(Down, &[b'x'; 1000]).feed(Down, b"HTTP/1.1 2").gap(Down, 7);
    bench.feed(Down, &[b"rest\r\n\r\n", &head[..]].concat());
    assert_eq!((bench.messages.len(), bench.anomalies.len()), (4, 0));
}

#[test]
fn what_is_not_http_is_told() {
    assert_eq!(talk(&[(Up, b"SSH-2.0-OpenSSH\r\n")], &[]).end, Some(Progress::NotMine));
    let long = [&b"GET / HTTP/1.1\r\n"[..], &b"A: b\r\n".repeat(11_000)].concat();
    assert_eq!(talk(&[(Up, &long)], &[]).end, Some(Progress::NotMine));
    let first = b"GET / HTTP/1.1\r\n\r\n";
    let bench = talk(&[(Up, first), (Up, &long), (Up, b"\n"), (Up, first)], &[]);
    assert_eq!(bench.anomalies, ["http at byte 0: larger than the reader may hold"]);
    assert_eq!(bench.messages.len(), 2);
}

#[test]
fn cut_heads_still_name_the_host() {
    let bench = talk(&[(Up, b"GET /x HTTP/1.1\r\nHost: a.example\r\nCookie: lo")], &[]);
    assert_eq!(bench.facts.server_name.as_deref(), Some("a.example"));
    let bench = talk(&[(Up, b"GET http://b.example/x HTTP/1.1\r\nHost: a.example\r\nC")], &[]);
    assert_eq!(bench.facts.server_name, None);
}

proptest! {
    #[test]
    fn any_cutting_tells_the_same(cuts in prop::collection::vec(0usize..800, 0..40)) {
        let bench = talk(SCRIPT, &cuts);
        prop_assert_eq!(bench.messages, TOLD);
        prop_assert_eq!(bench.facts.server_name.as_deref(), Some("short.weixin.qq.com"));
    }

    #[test]
    fn reading_is_total(
        pieces in prop::collection::vec(
            (any::<bool>(), prop::collection::vec(any::<u8>(), 0..40), 0u64..99, 0usize..5),
            0..20,
        ),
    ) {
        let mut bench = Bench::new(Transport::Tcp, (PROTOCOL.open)());
        for (up, bytes, missing, index) in &pieces {
            let direction = if *up { Up } else { Down };
            bench.feed(SCRIPT[*index].0, SCRIPT[*index].1);
            bench.feed(direction, bytes);
            if *missing > 50 {
                bench.gap(direction, *missing);
            }
        }
        bench.close();
    }
}
