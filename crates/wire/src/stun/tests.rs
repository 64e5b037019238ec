use std::net::SocketAddr;

use proptest::prelude::*;

use super::*;
use crate::Fields;
use attribute::kind as attr;

/// Every byte of both address families survives the XOR.
fn address() -> impl Strategy<Value = SocketAddr> {
    (any::<std::net::IpAddr>(), any::<u16>()).prop_map(SocketAddr::from)
}

proptest! {
    #[test]
    fn emit_then_parse_is_identity(
        kind in 0u16..0x4000, transaction: [u8; 12], peer in address(), fingerprint: bool,
        attributes in proptest::collection::vec(
            (0x7000u16..0x7fff, proptest::collection::vec(any::<u8>(), 0..20)), 0..5),
    ) {
        let repr = MessageRepr { kind, transaction, attributes, fingerprint }
            .with_address(attr::XOR_PEER_ADDRESS, peer);
        let mut bytes = Vec::new();
        repr.emit(&mut bytes);
        let message = Message::parse(&bytes).unwrap();
        prop_assert_eq!((message.kind, message.transaction()), (kind, &transaction[..]));
        prop_assert_eq!(message.size(), bytes.len());
        let mut read: Vec<_> = message.attributes().map(|a| (a.kind, a.value.to_vec())).collect();
        read.retain(|(kind, _)| *kind != attr::FINGERPRINT);
        prop_assert_eq!(read, repr.attributes);
        prop_assert_eq!(message.address(attr::XOR_PEER_ADDRESS), Some(peer));
        prop_assert_eq!(message.fingerprint_holds(), fingerprint.then_some(true));
    }

    #[test]
    fn reading_is_total(mut bytes: Vec<u8>, cookie: bool) {
        if cookie && bytes.len() >= 8 {
            bytes[4..8].copy_from_slice(&message::MAGIC_COOKIE.to_be_bytes());
        }
        for message in [Message::parse(&bytes), Message::parse_classic(&bytes)].into_iter().flatten() {
            message.fields(&mut |_, _| {});
            let _ = (message.name(), message.error_code(), message.data());
        }
        let _ = ChannelData::parse(&bytes);
    }

    #[test]
    fn a_changed_byte_breaks_the_fingerprint(at in 20usize..40, bit in 0u32..8) {
        let mut bytes = Vec::new();
        let repr = MessageRepr { fingerprint: true, ..MessageRepr::new(1, [3; 12]) };
        repr.with(attr::SOFTWARE, b"a name of 20 bytes..").emit(&mut bytes);
        bytes[at + 4] ^= 1 << bit;
        let holds = Message::parse(&bytes).unwrap().fingerprint_holds();
        prop_assert_eq!(holds, Some(false));
    }
}

#[test]
fn types_have_names_and_classes() {
    let check = |kind: u16, name: &str, class: Class| {
        let mut bytes = Vec::new();
        MessageRepr::new(kind, [0; 12]).emit(&mut bytes);
        let message = Message::parse(&bytes).unwrap();
        assert_eq!((message.name(), message.class()), (name, class), "{kind:04x}");
    };
    check(0x0001, "binding-request", Class::Request);
    check(0x0011, "binding-indication", Class::Indication);
    check(0x0113, "allocate-error", Class::Error);
    check(0x0103, "allocate-success", Class::Success);
    check(0x0017, "data-indication", Class::Indication);
    check(0x0109, "channel-bind-success", Class::Success);
    check(0x0805, "whatsapp-0805", Class::Indication);
    check(0x0806, "stun-request", Class::Request);
}
