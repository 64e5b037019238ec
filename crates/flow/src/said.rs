//! What flows say alike: kept once, and shared.

use std::fmt;
use std::hash::BuildHasher;
use std::ops::Deref;

use arcstr::ArcStr;
use foldhash::fast::RandomState;

use crate::dissector::hellos::Hellos;

/// What a worker's flows said lately.
#[derive(Debug, Default)]
pub struct Said {
    /// Hellos of TLS, DTLS and QUIC.
    pub hellos: Hellos,
    /// Names of servers and of programs.
    pub texts: Texts,
}

/// A text in eight bytes: nearly all flows have some, and many the same. Its length is beside the
/// text, so that it is one allocation and one line of a core's cache.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SharedText(ArcStr);

impl From<&str> for SharedText {
    fn from(text: &str) -> Self {
        SharedText(text.into())
    }
}

impl SharedText {
    /// Whether both are one text in memory.
    pub(crate) fn is(&self, other: &SharedText) -> bool {
        ArcStr::ptr_eq(&self.0, &other.0)
    }
}

impl Deref for SharedText {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SharedText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

/// Places for texts, a power of two.
const PLACES: usize = 4096;

/// Texts said lately. Each has one place, where it follows another.
#[derive(Debug, Default)]
pub struct Texts {
    places: Vec<Option<SharedText>>,
    hash: RandomState,
}

impl Texts {
    /// The text, shared with whoever said it before, if that is not long ago.
    pub fn of(&mut self, text: &str) -> SharedText {
        if self.places.is_empty() {
            self.places.resize(PLACES, None);
        }
        let place = &mut self.places[self.hash.hash_one(text) as usize % PLACES];
        match place {
            Some(known) if **known == *text => known.clone(),
            _ => place.insert(text.into()).clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_are_kept_once() {
        let mut texts = Texts::default();
        let (a, b, other) = (texts.of("a.example"), texts.of("a.example"), texts.of("b.example"));
        assert!(a.is(&b) && a == b && a != other);
        assert_eq!(
            (&*a, &*other, format!("{a:?}")),
            ("a.example", "b.example", "\"a.example\"".into())
        );
        // However many there were in between, each is itself.
        for i in 0..3 * PLACES {
            let text = i.to_string();
            assert_eq!(*texts.of(&text), text);
        }
        assert_eq!(&*texts.of("a.example"), "a.example");
        assert_eq!(size_of::<Option<SharedText>>(), 8);
    }
}
