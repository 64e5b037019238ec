//! What hellos tell, worked out once and shared by all flows that say the same.
//!
//! A client says the same in every hello but for its random numbers and the server's name, and
//! hashing the fingerprints is most of what reading a hello costs. So is keeping them: a flow
//! holds a reference.

use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use ottoscope_wire::WireError;
use ottoscope_wire::ja;
use ottoscope_wire::tls::{Carrier, ClientHello, version};

use super::certificates::Leaves;
use crate::model::TlsFacts;
use crate::said::SharedText;

/// Hellos remembered of each kind. Clients have a handful; those that shuffle their extensions,
/// and hostile captures, start over.
const REMEMBERED: usize = 4096;

/// The hellos that a worker has seen lately.
#[derive(Debug, Default)]
pub struct Hellos {
    clients: HashTable<Client>,
    answers: HashTable<Answer>,
    leaves: Leaves,
    hash: RandomState,
    key: Vec<u8>,
}

/// A client hello, by [`ja::input`].
#[derive(Debug)]
struct Client {
    key: Box<[u8]>,
    facts: Arc<TlsFacts>,
}

/// What a server made of what was known.
#[derive(Debug)]
struct Answer {
    before: Arc<TlsFacts>,
    after: Arc<TlsFacts>,
}

impl Hellos {
    /// What a whole client hello tells.
    pub(super) fn client(&mut self, hello: &ClientHello<'_>) -> Arc<TlsFacts> {
        self.key.clear();
        ja::input(hello, &mut self.key);
        let key = &self.key[..];
        let hash = self.hash.hash_one(key);
        if let Some(known) = self.clients.find(hash, |client| *client.key == *key) {
            return Arc::clone(&known.facts);
        }
        let facts = Arc::new(TlsFacts {
            alpn: hello.alpn().next().and_then(alpn),
            ja3: Some(ja::ja3(hello)),
            ja4: Some(ja::ja4(hello)),
            version: if hello.carrier == Carrier::Quic { version::TLS13 } else { 0 },
            certificate_names: SharedText::default(),
        });
        if self.clients.len() >= REMEMBERED {
            self.clients.clear();
        }
        let client = Client { key: key.into(), facts: Arc::clone(&facts) };
        self.clients.insert_unique(hash, client, |client| self.hash.hash_one(&*client.key));
        facts
    }

    /// What is known once the server has chosen, `protocol` where it says one.
    pub(super) fn server(
        &mut self,
        before: Option<Arc<TlsFacts>>,
        version: u16,
        protocol: Option<&[u8]>,
    ) -> Arc<TlsFacts> {
        let before = before.unwrap_or_default();
        let chosen = protocol.and_then(text).filter(|name| before.alpn.as_deref() != Some(name));
        if before.version == version && chosen.is_none() {
            return before;
        }
        let names = before.certificate_names.clone();
        self.answer(before, version, chosen, names)
    }

    /// What is known once the server has shown its certificate, of which the first in its chain is
    /// `leaf`; and what of that could not be read, or was too much.
    pub(super) fn certificate(
        &mut self,
        before: Option<Arc<TlsFacts>>,
        leaf: &[u8],
    ) -> (Arc<TlsFacts>, Result<(), WireError>) {
        let before = before.unwrap_or_default();
        let (mut names, read) = self.leaves.names(leaf);
        if names.is_empty() {
            return (before, read);
        }
        if !before.certificate_names.is_empty() {
            names = SharedText::from(&*format!("{},{}", &*before.certificate_names, &*names));
        }
        let version = before.version;
        (self.answer(before, version, None, names), read)
    }

    /// What was known with another version, another application protocol where one was `chosen`,
    /// and other names.
    fn answer(
        &mut self,
        mut before: Arc<TlsFacts>,
        version: u16,
        chosen: Option<&str>,
        names: SharedText,
    ) -> Arc<TlsFacts> {
        let change = |facts: &mut TlsFacts, names: SharedText| {
            (facts.version, facts.certificate_names) = (version, names);
            if let Some(name) = chosen {
                facts.alpn = Some(name.into());
            }
        };
        if let Some(own) = Arc::get_mut(&mut before) {
            // Nobody shares it, so nobody will ask for its answer again.
            change(own, names);
            return before;
        }
        let protocol = chosen.or(before.alpn.as_deref());
        let hash =
            |before: &Arc<TlsFacts>, version: u16, protocol: Option<&str>, names: &SharedText| {
                self.hash.hash_one((Arc::as_ptr(before), version, protocol, names.as_ptr()))
            };
        let here = hash(&before, version, protocol, &names);
        let is_it = |answer: &Answer| {
            Arc::ptr_eq(&answer.before, &before)
                && answer.after.version == version
                && answer.after.alpn.as_deref() == protocol
                && answer.after.certificate_names.is(&names)
        };
        if let Some(known) = self.answers.find(here, is_it) {
            return Arc::clone(&known.after);
        }
        let mut facts = TlsFacts::clone(&before);
        change(&mut facts, names);
        let after = Arc::new(facts);
        if self.answers.len() >= REMEMBERED {
            self.answers.clear();
        }
        let answer = Answer { before: Arc::clone(&before), after: Arc::clone(&after) };
        self.answers.insert_unique(here, answer, |Answer { before, after }| {
            hash(before, after.version, after.alpn.as_deref(), &after.certificate_names)
        });
        after
    }
}

/// An application protocol's name, as far as it is sane text.
pub(super) fn alpn(name: &[u8]) -> Option<Box<str>> {
    text(name).map(Into::into)
}

fn text(name: &[u8]) -> Option<&str> {
    // Both ends' GREASE values are unprintable, thus none.
    let sane = (1..=64).contains(&name.len()) && name.iter().all(u8::is_ascii_graphic);
    if sane { std::str::from_utf8(name).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use ottoscope_wire::tls::{ClientHelloRepr, certificate};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever was seen before, a hello has its own fingerprints.
        #[test]
        fn remembered_hellos_tell_what_new_ones_do(
            hellos in prop::collection::vec(
                (
                    prop::sample::select(vec![Carrier::Tls, Carrier::Dtls, Carrier::Quic]),
                    prop::collection::vec(0u16..3, 0..3),
                    prop::collection::vec(
                        (
                            prop::sample::select(vec![0u16, 10, 11, 13, 16, 43, 51]),
                            prop::collection::vec(0u8..3, 0..5),
                        ),
                        0..4,
                    ),
                ),
                1..40,
            ),
        ) {
            let mut seen = Hellos::default();
            for (i, (carrier, ciphers, extensions)) in hellos.into_iter().enumerate() {
                let mut repr = ClientHelloRepr::new(carrier, "x.org", &["h2"], [i as u8; 32]);
                (repr.ciphers, repr.extensions) = (ciphers, extensions);
                let mut body = Vec::new();
                repr.emit(&mut body);
                let hello = ClientHello::parse(&body, carrier).unwrap();
                let facts = seen.client(&hello);
                prop_assert_eq!(facts.ja3, Some(ja::ja3(&hello)));
                prop_assert_eq!(facts.ja4, Some(ja::ja4(&hello)));
                prop_assert_eq!(&facts.alpn, &hello.alpn().next().and_then(alpn));
            }
        }
    }

    #[test]
    fn answers_are_shared_and_change_no_question() {
        let mut seen = Hellos::default();
        let mut body = Vec::new();
        ClientHelloRepr::new(Carrier::Tls, "x.org", &["h2"], [1; 32]).emit(&mut body);
        let hello = ClientHello::parse(&body, Carrier::Tls).unwrap();
        let asked = seen.client(&hello);
        let answered = seen.server(Some(Arc::clone(&asked)), 0x0304, None);
        assert_eq!((answered.version, answered.alpn.as_deref()), (0x0304, Some("h2")));
        assert_eq!(asked.version, 0);
        let other = seen.server(Some(Arc::clone(&asked)), 0x0304, Some(b"http/1.1"));
        assert_eq!((other.version, other.alpn.as_deref()), (0x0304, Some("http/1.1")));
        let again = seen.client(&hello);
        assert!(Arc::ptr_eq(&again, &asked));
        assert!(Arc::ptr_eq(&seen.server(Some(again), 0x0304, None), &answered));
        let alone = seen.server(None, 0x0303, Some(b"h2"));
        assert_eq!((alone.version, alone.alpn.as_deref(), alone.ja3), (0x0303, Some("h2"), None));
    }

    #[test]
    fn certificates_are_shared_and_change_nobody_else() {
        let mut seen = Hellos::default();
        let mut body = Vec::new();
        ClientHelloRepr::new(Carrier::Tls, "x.org", &["h2"], [1; 32]).emit(&mut body);
        let asked = seen.client(&ClientHello::parse(&body, Carrier::Tls).unwrap());
        let answered = seen.server(Some(asked), 0x0303, None);
        let leaves = [&["X.org", "*.x.org"][..], &["y.org"], &[]]
            .map(|names| certificate::synthesise("x.org", names));
        let show = |seen: &mut Hellos, before: &Arc<TlsFacts>, leaf: &[u8]| {
            let (after, read) = seen.certificate(Some(Arc::clone(before)), leaf);
            (after, read.is_ok())
        };
        let (first, read) = show(&mut seen, &answered, &leaves[0]);
        assert_eq!(
            (&*first.certificate_names, first.version, read),
            ("x.org,*.x.org", 0x0303, true)
        );
        assert_eq!((first.ja3, &*answered.certificate_names), (answered.ja3, ""));
        assert!(Arc::ptr_eq(&show(&mut seen, &answered, &leaves[0]).0, &first));
        let (other, _) = show(&mut seen, &answered, &leaves[1]);
        assert_eq!(&*other.certificate_names, "x.org,y.org");
        let (both, _) = show(&mut seen, &first, &leaves[1]);
        assert_eq!(&*both.certificate_names, "x.org,*.x.org,x.org,y.org");
        // Of a flow that nobody shares anything with.
        let (alone, _) = seen.certificate(None, &leaves[2]);
        assert_eq!((&*alone.certificate_names, alone.version), ("x.org", 0));
        // What can't be read leaves all as it was, each time.
        for _ in 0..2 {
            let (same, read) = show(&mut seen, &first, &[0x30, 0x00]);
            assert!(Arc::ptr_eq(&same, &first) && !read);
        }
    }
}
