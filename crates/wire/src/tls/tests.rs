use proptest::prelude::*;

use super::*;
use crate::Fields;
use crate::dtls::{HandshakeFragment, Record as DtlsRecord};
use crate::quic::{Frames, LongHeader, gquic};

fn carriers() -> impl Strategy<Value = Carrier> {
    proptest::sample::select(vec![Carrier::Tls, Carrier::Dtls, Carrier::Quic])
}

proptest! {
    #[test]
    fn a_client_hello_is_written_and_read_back(
        carrier in carriers(), name in "[a-z]{0,9}(\\.[a-z]{1,9}){0,3}", random: [u8; 32],
        alpn in proptest::collection::vec("[a-z0-9/.-]{1,9}", 0..4),
        ciphers in proptest::collection::vec(any::<u16>(), 1..40),
    ) {
        let alpn: Vec<&str> = alpn.iter().map(String::as_str).collect();
        let mut repr = ClientHelloRepr::new(carrier, &name, &alpn, random);
        repr.ciphers = ciphers;
        let mut body = Vec::new();
        repr.emit(&mut body);
        let hello = ClientHello::parse(&body, carrier).unwrap();
        prop_assert_eq!(hello.stop, None);
        prop_assert_eq!(hello.server_name().unwrap_or(""), name);
        prop_assert_eq!(hello.ciphers().collect::<Vec<_>>(), repr.ciphers);
        prop_assert_eq!(hello.random, random);
        let read: Vec<_> = hello.extensions.map(|(k, b)| (k, b.to_vec())).collect();
        prop_assert_eq!(read, repr.extensions);
        let names: Vec<_> = hello.alpn().collect();
        prop_assert_eq!(names, alpn.iter().map(|n| n.as_bytes()).collect::<Vec<_>>());
        prop_assert_eq!(hello.key_share_groups().collect::<Vec<_>>(), [0x1d]);
    }

    /// However little is there, what is told is what the whole would tell.
    #[test]
    fn a_cut_hello_tells_no_other_name(cut in 0usize..300, carrier in carriers()) {
        let mut body = Vec::new();
        ClientHelloRepr::new(carrier, "mmg.whatsapp.net", &["h2"], [1; 32]).emit(&mut body);
        let cut = cut.min(body.len() - 1);
        if let Ok(hello) = ClientHello::parse(&body[..cut], carrier) {
            prop_assert!(matches!(hello.server_name(), None | Some("mmg.whatsapp.net")));
            prop_assert!(hello.stop.is_some() || hello.extensions.0.is_empty());
        }
    }

    #[test]
    fn a_server_hello_is_written_and_read_back(random: [u8; 32], alpn in "[a-z0-9]{0,9}") {
        let mut body = Vec::new();
        ServerHelloRepr::tls12(random, &alpn).emit(&mut body);
        let hello = ServerHello::parse(&body).unwrap();
        prop_assert_eq!((hello.selected_version(), hello.cipher), (version::TLS12, 0xc02f));
        prop_assert_eq!(hello.alpn().unwrap_or(b""), alpn.as_bytes());
        prop_assert!(!hello.hides_the_rest());
        body.clear();
        ServerHelloRepr::tls13(random, &[]).emit(&mut body);
        let hello = ServerHello::parse(&body).unwrap();
        prop_assert!(hello.selected_version() == version::TLS13 && hello.hides_the_rest());
    }

    #[test]
    fn reading_is_total(bytes: Vec<u8>, carrier in carriers()) {
        let start = if carrier == Carrier::Dtls { [0xfe, 0xfd] } else { [3, 3] };
        let bytes = [&start[..], &bytes].concat();
        if let Ok(hello) = ClientHello::parse(&bytes, carrier) {
            hello.fields(&mut |_, _| {});
        }
        if let Ok(hello) = ServerHello::parse(&bytes) {
            hello.fields(&mut |_, _| {});
        }
        for bytes in [&bytes[..], &bytes[2..]] {
            let _ = (Record::parse(bytes), Handshake::parse(bytes), Alert::parse(bytes));
            let _ = (DtlsRecord::parse(bytes), HandshakeFragment::parse(bytes));
            let _ = (ClientHello::parse_ssl2(bytes), names(bytes, &mut |_| {}));
            let _ = (LongHeader::parse(bytes), gquic::Packet::parse(bytes));
            let _ = Frames::new(bytes).count();
            if let Ok(message) = gquic::Message::parse(bytes) {
                message.fields(&mut |_, _| {});
            }
            if let Ok(chain) = Certificates::parse(bytes) {
                chain.fields(&mut |_, _| {});
            }
        }
    }
}

#[test]
fn grease_is_told_from_real_values() {
    let count = (0..=u16::MAX).filter(|v| is_grease(*v)).count();
    assert_eq!(count, 16);
    assert!(is_grease(0x0a0a) && is_grease(0xfafa));
    assert!(!is_grease(0x0a1a) && !is_grease(0x1301));
}

#[test]
fn lists_end_where_they_are_cut() {
    assert_eq!(U16s(&[0, 1, 0, 2, 9]).collect::<Vec<_>>(), [1, 2]);
    let cut = Extensions(&[0, 0x10, 0, 1, 7, 0, 0x2b, 0, 9, 1]);
    assert_eq!(cut.collect::<Vec<_>>(), [(0x10, &[7u8][..])]);
    assert_eq!(Names(b"\x02h2\x08http").collect::<Vec<_>>(), [b"h2"]);
}
