//! The names in an X.509 certificate (RFC 5280 4.1), and nothing else of it.
//!
//! A walk over DER elements (X.690) that reads the subject's common names and the alternative
//! DNS names and steps over all the rest, keys, dates and signatures included: whom a
//! certificate is for is all that is asked here, and nobody trusts it. Hence more passes than
//! would pass a validator, but what a full parser reads has the same names here.

use std::str;

use crate::error::{Layer, Reason, WireError};

/// Tags (X.690 8.1.2), with class and whether constructed.
mod tag {
    pub(super) const BOOLEAN: u8 = 0x01;
    pub(super) const INTEGER: u8 = 0x02;
    pub(super) const BIT_STRING: u8 = 0x03;
    pub(super) const OCTET_STRING: u8 = 0x04;
    pub(super) const OBJECT_IDENTIFIER: u8 = 0x06;
    pub(super) const SEQUENCE: u8 = 0x30;
    pub(super) const SET: u8 = 0x31;
    /// Numbers of the strings that are read as text: UTF-8, numeric, printable and IA5.
    pub(super) const TEXTS: [u8; 4] = [0x0c, 0x12, 0x13, 0x16];
    /// The number without class and construction.
    pub(super) const NUMBER: u8 = 0x1f;
    /// The class.
    pub(super) const CLASS: u8 = 0xc0;
    pub(super) const CONTEXT: u8 = 0x80;
    /// Number of an alternative name that is a DNS name.
    pub(super) const DNS_NAME: u8 = 2;
}

/// Object identifier 2.5.4.3.
pub(super) const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
/// Object identifier 2.5.29.17.
pub(super) const ALTERNATIVE_NAMES: &[u8] = &[0x55, 0x1d, 0x11];

/// Elements one behind the other. What does not begin a whole element is the end.
#[derive(Clone, Copy)]
struct Elements<'a>(&'a [u8]);

impl<'a> Elements<'a> {
    /// Tag and content of the next element.
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&[tag, first], mut rest) = self.0.split_first_chunk()?;
        if tag & tag::NUMBER == tag::NUMBER {
            return None; // numbers above 30, which certificates do without
        }
        let mut len = usize::from(first);
        if first & 0x80 != 0 {
            let (bytes, behind) = rest.split_at_checked(usize::from(first & 0x7f))?;
            if !(1..=4).contains(&bytes.len()) {
                return None; // DER has no indefinite lengths
            }
            len = bytes.iter().fold(0, |len, byte| len << 8 | usize::from(*byte));
            rest = behind;
        }
        let (content, behind) = rest.split_at_checked(len)?;
        self.0 = behind;
        Some((tag, content))
    }

    /// The content of the next element, if it has this tag; else it stays.
    fn take(&mut self, tag: u8) -> Option<&'a [u8]> {
        let mut ahead = *self;
        let (found, content) = ahead.next()?;
        (found == tag).then(|| {
            *self = ahead;
            content
        })
    }

    /// The elements within the next one, if it has this tag.
    fn within(&mut self, tag: u8) -> Option<Elements<'a>> {
        self.take(tag).map(Elements)
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Calls `each` with the subject's common names and the alternative DNS names of a DER
/// certificate, as they stand, duplicates included. Says what could not be read.
pub fn names(der: &[u8], each: &mut dyn FnMut(&str)) -> Result<(), WireError> {
    let bad = |what| WireError::new(Layer::Tls, 0, Reason::Malformed(what));
    let (subject, extensions) = parts(der).ok_or_else(|| bad("not an X.509 certificate"))?;
    common_names(subject, each);
    let alternatives =
        alternatives(extensions).ok_or_else(|| bad("bad or repeated alternative names"))?;
    dns_names(alternatives, each);
    Ok(())
}

/// The subject and the extensions of a certificate.
fn parts(der: &[u8]) -> Option<(Elements<'_>, Elements<'_>)> {
    let mut certificate = Elements(der).within(tag::SEQUENCE)?;
    let mut signed = certificate.within(tag::SEQUENCE)?;
    certificate.take(tag::SEQUENCE)?; // algorithm
    certificate.take(tag::BIT_STRING)?; // signature
    signed.take(tag::CONTEXT | 0x20); // version
    signed.take(tag::INTEGER)?; // serial number
    signed.take(tag::SEQUENCE)?; // algorithm
    signed.take(tag::SEQUENCE)?; // issuer
    signed.take(tag::SEQUENCE)?; // validity
    let subject = signed.within(tag::SEQUENCE)?;
    signed.take(tag::SEQUENCE)?; // key
    for unique in [1, 2] {
        // Bits are primitive, but some write them as if constructed.
        if signed.take(tag::CONTEXT | unique).is_none() {
            signed.take(tag::CONTEXT | 0x20 | unique);
        }
    }
    if signed.is_empty() {
        return Some((subject, Elements(&[])));
    }
    let mut extensions = signed.within(tag::CONTEXT | 0x20 | 3)?.within(tag::SEQUENCE)?;
    let list = extensions;
    while !extensions.is_empty() {
        extension(&mut extensions)?;
    }
    Some((subject, list))
}

/// Identifier and content of the next extension.
fn extension<'a>(extensions: &mut Elements<'a>) -> Option<(&'a [u8], &'a [u8])> {
    let mut parts = extensions.within(tag::SEQUENCE)?;
    let identifier = parts.take(tag::OBJECT_IDENTIFIER)?;
    parts.take(tag::BOOLEAN); // critical
    Some((identifier, parts.take(tag::OCTET_STRING)?))
}

/// Attributes up to the first that is none.
fn common_names(mut subject: Elements<'_>, each: &mut dyn FnMut(&str)) {
    while let Some(mut attributes) = subject.within(tag::SET) {
        let mut any = false;
        while let Some((kind, tag, value)) = attribute(&mut attributes) {
            any = true;
            if kind == COMMON_NAME
                && tag::TEXTS.contains(&(tag & tag::NUMBER))
                && let Ok(name) = str::from_utf8(value)
            {
                each(name);
            }
        }
        if !any {
            return;
        }
    }
}

/// Type of the next attribute, tag and content of its value.
fn attribute<'a>(attributes: &mut Elements<'a>) -> Option<(&'a [u8], u8, &'a [u8])> {
    let mut parts = attributes.within(tag::SEQUENCE)?;
    let kind = parts.take(tag::OBJECT_IDENTIFIER)?;
    let (tag, value) = parts.next()?;
    Some((kind, tag, value))
}

/// The alternative names, none where there is no such extension. `None` where there are two,
/// or what is there is no list of names.
fn alternatives(mut extensions: Elements<'_>) -> Option<Elements<'_>> {
    let mut found = None;
    while let Some((identifier, content)) = extension(&mut extensions) {
        if identifier == ALTERNATIVE_NAMES && found.replace(content).is_some() {
            return None;
        }
    }
    let Some(content) = found else { return Some(Elements(&[])) };
    let mut list = Elements(content).within(tag::SEQUENCE)?;
    let names = list;
    while !list.is_empty() {
        list.next().filter(|(kind, _)| kind & tag::CLASS == tag::CONTEXT)?;
    }
    Some(names)
}

fn dns_names(mut names: Elements<'_>, each: &mut dyn FnMut(&str)) {
    while let Some((kind, name)) = names.next() {
        if kind & tag::NUMBER == tag::DNS_NAME
            && let Ok(name) = str::from_utf8(name)
        {
            each(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use x509_parser::extensions::GeneralName;
    use x509_parser::prelude::{FromDer, X509Certificate};

    use super::*;
    use crate::tls::certificate::synthesise;

    fn ours(der: &[u8]) -> (Vec<String>, bool) {
        let mut said = Vec::new();
        let read = names(der, &mut |name| said.push(name.to_owned()));
        (said, read.is_ok())
    }

    /// The same by a full parser; `None` where that says that it is no certificate at all.
    fn theirs(der: &[u8]) -> Option<(Vec<String>, bool)> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let mut said: Vec<String> = certificate
            .subject()
            .iter_common_name()
            .filter_map(|attribute| attribute.as_str().ok().map(ToOwned::to_owned))
            .collect();
        let Ok(alternatives) = certificate.subject_alternative_name() else {
            return Some((said, false));
        };
        for name in alternatives.iter().flat_map(|e| &e.value.general_names) {
            if let GeneralName::DNSName(name) = name {
                said.push((*name).to_owned());
            }
        }
        Some((said, true))
    }

    #[test]
    fn names_are_the_subjects_and_the_alternatives() {
        let leaf = synthesise("g.whatsapp.net", &["*.whatsapp.net", "whatsapp.com"]);
        let expected = ["g.whatsapp.net", "*.whatsapp.net", "whatsapp.com"];
        assert_eq!(ours(&leaf), (expected.map(str::to_owned).to_vec(), true));
        let bare = synthesise("x.org", &[]);
        assert_eq!(ours(&bare), (vec!["x.org".to_owned()], true));
    }

    #[test]
    fn cut_certificates_are_none() {
        let leaf = synthesise("x.org", &["y.org"]);
        for len in 0..leaf.len() {
            assert_eq!(ours(&leaf[..len]), (vec![], false), "cut at {len}");
            assert_eq!(theirs(&leaf[..len]), None, "cut at {len}");
        }
    }

    proptest! {
        /// A full parser reads the same names. Of damaged certificates the two forgive different
        /// things, so that there only nothing worse may come of it.
        #[test]
        fn a_full_parser_reads_the_same_names(
            subject in "\\PC{0,200}",
            others in prop::collection::vec("\\PC{0,80}", 0..6),
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        ) {
            let others: Vec<&str> = others.iter().map(String::as_str).collect();
            let mut der = synthesise(&subject, &others);
            prop_assert_eq!(Some(ours(&der)), theirs(&der));
            for (place, byte) in damage {
                let at = place.index(der.len());
                der[at] = byte;
            }
            let _ = ours(&der);
        }

        #[test]
        fn reading_is_total(der in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = ours(&der);
        }
    }
}
