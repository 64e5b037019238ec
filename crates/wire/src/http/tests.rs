use super::*;
use proptest::prelude::*;

/// A picture sent with the protocol that WeChat spoke in 2013, and a proxy's request.
const UPLOAD: &[u8] = b"POST /cgi-bin/micromsg-bin/uploadmsgimg?v=1 HTTP/1.1\r\nAccept: */*\r\n\
    Content-Length: 9\r\nContent-Type: application/octet-stream\r\nHost: short.weixin.qq.com:80\r\n\
    Referer: http://news.example.org:8080/private/page\r\nUser-Agent: MicroMessenger Client\r\n\r\n";

#[test]
fn requests_are_read() {
    let request = Request::parse(UPLOAD).unwrap();
    assert_eq!(request.len, UPLOAD.len());
    assert_eq!(request.server_name(), Some("short.weixin.qq.com"));
    assert_eq!(request.path(), "/cgi-bin/micromsg-bin/uploadmsgimg");
    assert_eq!(request.body(), BodyLength::Bytes(9));
    assert_eq!(request.headers.user_agent, Some("MicroMessenger Client"));
    let mut seen = vec![];
    request.fields(&mut |name, value| {
        if name == "referer_host" {
            seen.push(format!("{value:?}"));
        }
    });
    assert_eq!(seen, [r#"Text("news.example.org")"#]);
    assert_eq!(early_header(&UPLOAD[..UPLOAD.len() - 30], "host"), Some("short.weixin.qq.com:80"));
    assert_eq!(early_header(&UPLOAD[..100], "host"), None);
}

#[test]
fn hosts_come_from_the_target_first() {
    let check = |head: &str, host: Option<&str>, path: &str| {
        let request = Request::parse(head.as_bytes()).unwrap();
        assert_eq!((request.server_name(), request.path()), (host, path), "{head}");
    };
    check("GET http://u@a.example:80/x?y HTTP/1.1\r\nHost: b\r\n\r\n", Some("a.example"), "/x");
    check("GET http://a.example HTTP/1.1\r\nHost: b\r\n\r\n", Some("a.example"), "");
    check("GET /?u=http://c.example/ HTTP/1.1\r\nHost: b\r\n\r\n", Some("b"), "/");
    check("CONNECT d.example:443 HTTP/1.1\r\nHost: b\r\n\r\n", Some("d.example"), "");
    check("GET / HTTP/1.1\r\nHost: 192.0.2.1:8080\r\n\r\n", None, "/");
    check("GET / HTTP/1.1\r\nHost: [2001:db8::1]:80\r\n\r\n", None, "/");
    check("GET / HTTP/1.0\r\n\r\n", None, "/");
    check("OPTIONS * HTTP/1.1\r\nHost:\r\n\r\n", None, "*");
}

#[test]
fn bodies_are_measured() {
    let check = |head: &str, to_head: bool, expected: BodyLength| {
        let head = format!("HTTP/1.1 {head}\r\n\r\n");
        assert_eq!(Response::parse(head.as_bytes()).unwrap().body(to_head), expected, "{head}");
    };
    check("200 OK\r\nContent-Length: 42", false, BodyLength::Bytes(42));
    check("200 OK\r\nContent-Length: 42, 42", false, BodyLength::Bytes(42));
    check("200 OK\r\nContent-Length: 42", true, BodyLength::Bytes(0));
    check("200 OK\r\nContent-Length: +42", false, BodyLength::UntilClose);
    check("200\r\nTransfer-Encoding: gzip, Chunked", false, BodyLength::Chunked);
    check("200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked", false, BodyLength::Chunked);
    check("304 Not Modified\r\nContent-Length: 42", false, BodyLength::Bytes(0));
    check("204 No Content", false, BodyLength::Bytes(0));
    check("200 OK", false, BodyLength::UntilClose);
}

#[test]
fn starts_are_told() {
    let check = |bytes: &[u8], expected: Start| {
        assert_eq!(start(bytes), expected, "{:?}", String::from_utf8_lossy(bytes));
    };
    check(UPLOAD, Start::Request);
    check(b"M-SEARCH * HTTP/1.1\r\n", Start::Request);
    check(b"POST /mmtls/00004c2e HTTP/1.1\r\n", Start::Request);
    check(b"HTTP/1.1 200 OK\r\n", Start::Response);
    check(b"HTTP/1.1 2", Start::Unsure);
    check(b"", Start::Unsure);
    check(b"HT", Start::Unsure);
    check(b"GET /long", Start::Unsure);
    check(b"HTTP/2.0 200 OK\r\n", Start::Neither);
    check(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Start::Neither);
    check(b"OPTIONS rtsp://a/ RTSP/1.0\r\n", Start::Neither);
    check(b"INVITE sip:a@b SIP/2.0\r\n", Start::Neither);
    check(b"NOTIFY sip:a@b SIP/2.0\r\n", Start::Neither);
    check(b"USER anonymous\r\n", Start::Neither);
    check(b"EHLO example.org\r\n", Start::Neither);
    check(b"\x16\x03\x01\x02\x00", Start::Neither);
    check(&[b'A'; 40], Start::Neither);
}

#[test]
fn heads_end_at_the_blank_line() {
    assert_eq!(head_end(UPLOAD, 0), Some(UPLOAD.len()));
    assert_eq!(head_end(b"a\nb\n\nc", 0), Some(5));
    for scanned in 0..UPLOAD.len() {
        assert_eq!(head_end(&UPLOAD[..scanned], 0), None);
        assert_eq!(head_end(UPLOAD, scanned), Some(UPLOAD.len()), "{scanned}");
    }
}

#[test]
fn odd_heads_are_read_as_browsers_do() {
    let response = Response::parse(b"HTTP/1.0 200\nServer : x\n folded\nbroken\nHost: h\n\n");
    assert_eq!(response.unwrap().headers.host, Some("h"));
    let cut = Request::parse(&UPLOAD[..UPLOAD.len() - 1]).unwrap_err();
    assert!(cut.is_truncated());
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(MAX_HEADERS + 1));
    assert_eq!(Request::parse(many.as_bytes()).unwrap_err().reason, Reason::TooLarge);
    assert!(Request::parse(b"GET / HTTP/1.1\r\nHost: \xff\r\n\r\n").unwrap().host().is_none());
}

#[test]
fn targets_that_may_not_be_are_read() {
    let head = b"GET /cgi;cat /etc/passwd|?a=b HTTP/1.1\r\nHost: a.example\r\n\r\n";
    let request = Request::parse(head).unwrap();
    assert_eq!((request.path(), request.host()), ("/cgi;cat /etc/passwd|", Some("a.example")));
    assert_eq!((request.len, request.minor), (head.len(), 1));
    // Simplified Chinese as apps once sent it
    let head = b"GET /mp3/\xd6\xd0.mp3 HTTP/1.0\r\nHost: a.example\r\n\r\n";
    let request = Request::parse(head).unwrap();
    assert_eq!((request.path(), request.host()), ("/mp3/", Some("a.example")));
    assert!(Request::parse(&head[..30]).unwrap_err().is_truncated());
    assert!(!Request::parse(b"G\x01T / HTTP/1.1\r\n\r\n").unwrap_err().is_truncated());
}

fn token() -> impl Strategy<Value = String> {
    "[A-Za-z][A-Za-z0-9-]{0,12}"
}

fn header_lines() -> impl Strategy<Value = Vec<(String, String)>> {
    let name = prop_oneof![token(), Just("X-Other".to_owned())].prop_filter(
        "not one that is looked at",
        |name| {
            let lower = name.to_ascii_lowercase();
            !["host", "upgrade", "referer"].contains(&lower.as_str())
        },
    );
    prop::collection::vec((name, "[!-~]([ -~]{0,30}[!-~])?"), 0..10)
}

proptest! {
    #[test]
    fn emit_then_parse_is_identity(
        method in "[A-Z]{3,10}",
        host in "[a-z]{1,10}(\\.[a-z]{2,8}){0,3}",
        path in "/[a-zA-Z0-9/._-]{0,40}",
        agent in "[!-~]([ -~]{0,30}[!-~])?",
        others in header_lines(),
        length in any::<u64>(),
    ) {
        let mut repr = RequestRepr::new(&method, &host, &path);
        repr.headers.extend(others.clone());
        let repr = repr.with("user-agent", &agent).with("CONTENT-LENGTH", &length.to_string());
        let bytes = repr.emit();
        let request = Request::parse(&bytes).unwrap();
        prop_assert_eq!(request.len, bytes.len());
        prop_assert_eq!(request.method, method);
        prop_assert_eq!(request.host(), Some(host.as_str()));
        prop_assert_eq!(request.path(), path);
        prop_assert_eq!(request.headers.user_agent, Some(agent.as_str()));
        prop_assert_eq!(request.headers.content_length, Some(length));
        prop_assert_eq!(start(&bytes), Start::Request);

        let bytes = ResponseRepr { status: 200, headers: others }
            .with("Content-Length", &length.to_string())
            .emit();
        let response = Response::parse(&bytes).unwrap();
        prop_assert_eq!(response.len, bytes.len());
        prop_assert_eq!(response.status, 200);
        prop_assert_eq!(response.body(false), BodyLength::Bytes(length));
        prop_assert_eq!(start(&bytes), Start::Response);
    }

    #[test]
    fn reading_is_total(bytes in prop::collection::vec(any::<u8>(), 0..200), text in "\\PC{0,100}") {
        for bytes in [&bytes[..], text.as_bytes()] {
            let _ = (start(bytes), head_end(bytes, 7), early_header(bytes, "host"));
            if let Ok(request) = Request::parse(bytes) {
                request.fields(&mut |_, _| ());
            }
            let _ = Response::parse(bytes);
        }
        let _ = (host_of(&text), split_url(&text));
    }

    #[test]
    fn starts_do_not_change_their_mind(cut in 0..UPLOAD.len()) {
        prop_assert_ne!(start(&UPLOAD[..cut]), Start::Neither);
    }
}
