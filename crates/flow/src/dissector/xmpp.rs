//! The start of XMPP streams over TCP, up to STARTTLS or the first stanza.

use ottoscope_wire::xmpp::{self, Tag};

use super::{Dissector, Emit, Emitted, Match, Progress, Protocol};
use crate::model::{Body, Direction, NameSource, Transport};
use crate::time::Timestamp;

/// XMPP.
pub static PROTOCOL: Protocol = Protocol {
    name: "xmpp",
    about: "Start of Jabber's streams: domain, STARTTLS, authentication",
    reference: "RFC 6120",
    transports: &[Transport::Tcp],
    shared: false,
    first: |_, byte| byte == b'<' || byte.is_ascii_whitespace(),
    probe: |probe| match xmpp::begins(probe.bytes) {
        Some(true) => Match::Yes,
        Some(false) => Match::No,
        None => Match::Maybe,
    },
    open: || Box::new(Xmpp::default()),
};

#[derive(Default)]
struct Xmpp {
    /// Direction that asked for TLS.
    asked: Option<Direction>,
}

impl Xmpp {
    fn tag(
        &mut self,
        at: Timestamp,
        direction: Direction,
        tag: &Tag<'_>,
        out: &mut Emit<'_>,
    ) -> Option<Progress> {
        let kind = tag.name();
        let mut name = None;
        match kind {
            _ if tag.is_closing() => return None,
            "stream" => {
                out.facts.protocol = PROTOCOL.name;
                let attribute = if direction == Direction::Up { "to" } else { "from" };
                name = tag.attribute(attribute).map(xmpp::domain).filter(|name| !name.is_empty());
                if let Some(name) = name {
                    out.server_name(name, NameSource::Xmpp);
                }
            }
            "starttls" if direction == Direction::Up => self.asked = Some(direction),
            "proceed" | "auth" => {}
            // Behind these come bytes in another form, or what people say.
            "compressed" | "iq" | "message" | "presence" => return Some(Progress::Done),
            _ => return None,
        }
        out.message(
            at,
            direction,
            &Emitted {
                protocol: PROTOCOL.name,
                kind,
                name,
                opcode: None,
                sequence: None,
                len: tag.end as u64,
                head: &[],
                body: Body::Fields(tag),
            },
        );
        (kind == "proceed").then_some(Progress::Switch(tag.end))
    }
}

impl Dissector for Xmpp {
    fn data(
        &mut self,
        at: Timestamp,
        direction: Direction,
        bytes: &[u8],
        out: &mut Emit<'_>,
    ) -> Progress {
        let mut used = 0;
        while let Some(start) = bytes[used..].iter().position(|b| *b == b'<') {
            if self.asked == Some(direction) {
                break;
            }
            used += start;
            let rest = &bytes[used..];
            match Tag::parse(rest) {
                Ok(tag) => match self.tag(at, direction, &tag, out) {
                    Some(Progress::Switch(more)) => return Progress::Switch(used + more),
                    Some(end) => return end,
                    None => used += tag.end,
                },
                Err(error) if error.is_truncated() => return Progress::Used(used),
                Err(error) => {
                    out.anomaly(at, error, rest);
                    return Progress::Done;
                }
            }
        }
        // The client goes on without a `proceed` that was seen.
        if self.asked == Some(direction) && bytes[used..].first().is_some_and(|b| *b == 0x16) {
            return Progress::Switch(used);
        }
        Progress::Used(bytes.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dissector::testing::Bench;
    use crate::model::Direction::{Down, Up};
    use proptest::prelude::*;

    const UP: &[u8] = b"<?xml version='1.0' ?><stream:stream to='Talk.example.org' \
        xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'> ";
    const DOWN: &[u8] = b"<?xml version='1.0'?><stream:stream from='talk.example.org' id='1' \
        xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'><stream:features>\
        <starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls></stream:features>";
    const ASK: &[u8] = b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
    const PROCEED: &[u8] = b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";

    fn talk(script: &[(Direction, &[u8])], cuts: &[usize]) -> Bench {
        let mut bench = Bench::new(Transport::Tcp, (PROTOCOL.open)());
        bench.talk(script, cuts);
        bench
    }

    #[test]
    fn starttls_hands_over() {
        let script = [(Up, UP), (Down, DOWN), (Up, ASK), (Down, PROCEED)];
        let bench = talk(&script, &[]);
        assert_eq!(
            bench.messages,
            [
                "up xmpp/stream Talk.example.org len=121 tag=stream to=Talk.example.org version=1.0",
                "down xmpp/stream talk.example.org len=116 tag=stream from=talk.example.org",
                "up xmpp/starttls len=51 tag=starttls",
                "down xmpp/proceed len=50 tag=proceed",
            ]
        );
        assert_eq!(bench.facts.server_name.as_deref(), Some("talk.example.org"));
        assert_eq!(bench.facts.protocol, "xmpp");
        assert_eq!(bench.facts.name_source, Some(NameSource::Xmpp));
        assert_eq!(bench.end, Some(Progress::Switch(PROCEED.len())));
        let unseen = talk(&[(Up, UP), (Up, ASK), (Up, b"\x16\x03\x01")], &[]);
        assert_eq!(unseen.end, Some(Progress::Switch(0)));
    }

    #[test]
    fn people_are_left_alone() {
        let stanza = b"<auth mechanism='PLAIN'>AGFubg==</auth><message to='a@b'><body>hi";
        let bench = talk(&[(Up, UP), (Up, stanza)], &[]);
        assert_eq!(bench.messages[1], "up xmpp/auth len=24 tag=auth mechanism=PLAIN");
        assert_eq!((bench.messages.len(), bench.end), (2, Some(Progress::Done)));
    }

    proptest! {
        #[test]
        fn any_cutting_tells_the_same(cuts in prop::collection::vec(0usize..500, 0..20)) {
            let script = [(Up, UP), (Down, DOWN), (Up, ASK), (Down, PROCEED)];
            prop_assert_eq!(talk(&script, &cuts).messages, talk(&script, &[]).messages);
        }

        #[test]
        fn reading_is_total(pieces in prop::collection::vec((any::<bool>(), "[<>='a:/ ]{0,30}"), 0..9)) {
            let mut bench = Bench::new(Transport::Tcp, (PROTOCOL.open)());
            for (up, text) in &pieces {
                bench.feed(if *up { Up } else { Down }, text.as_bytes());
            }
        }
    }
}
