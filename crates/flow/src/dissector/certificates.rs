//! Names of servers' certificates, read once and shared by all flows to servers that show the same.

use std::hash::BuildHasher;
use std::ops::Range;

use foldhash::fast::RandomState;
use ottoscope_wire::tls::names;
use ottoscope_wire::{Layer, Reason, WireError};

use crate::said::SharedText;

/// The most names kept of a certificate.
const MAX_NAMES: usize = 64;
/// Certificates remembered, a power of two; each is a kilobyte or two.
const PLACES: usize = 512;
/// Longer ones are read each time, and only their names are shared.
const MAX_REMEMBERED: usize = 4096;

/// Certificates that a worker has seen lately. Each has one place, where it follows another.
#[derive(Debug, Default)]
pub(super) struct Leaves {
    places: Vec<Option<Leaf>>,
    hash: RandomState,
}

#[derive(Debug)]
struct Leaf {
    /// Nothing where it is to be read again: too long, or with something to be told each time.
    der: Option<Box<[u8]>>,
    names: SharedText,
}

impl Leaves {
    /// The names of a certificate with commas between: lower case, each once, not too many; and
    /// what could not be read, or that there were more.
    pub(super) fn names(&mut self, der: &[u8]) -> (SharedText, Result<(), WireError>) {
        if self.places.is_empty() {
            self.places.resize_with(PLACES, || None);
        }
        let place = &mut self.places[self.hash.hash_one(der) as usize % PLACES];
        if let Some(known) = place.as_ref().filter(|known| known.der.as_deref() == Some(der)) {
            return (known.names.clone(), Ok(()));
        }
        let (names, result) = read(der);
        if let Some(known) = place.as_ref().filter(|known| *known.names == *names) {
            return (known.names.clone(), result);
        }
        let names = SharedText::from(&*names);
        let once = result.is_ok() && der.len() <= MAX_REMEMBERED;
        *place = Some(Leaf { der: once.then(|| der.into()), names: names.clone() });
        (names, result)
    }
}

fn read(der: &[u8]) -> (String, Result<(), WireError>) {
    let mut kept = String::new();
    let mut places: Vec<Range<usize>> = Vec::new();
    let mut all = true;
    let read = names(der, &mut |name| {
        let name = name.trim();
        let sane = !name.is_empty() && name.len() <= 255 && !name.chars().any(char::is_control);
        if !all
            || !sane
            || places.iter().any(|place| kept[place.clone()].eq_ignore_ascii_case(name))
        {
            return;
        }
        if places.len() == MAX_NAMES {
            all = false;
            return;
        }
        if !kept.is_empty() {
            kept.push(',');
        }
        let start = kept.len();
        kept.push_str(name);
        kept[start..].make_ascii_lowercase();
        places.push(start..kept.len());
    });
    let result = if all { read } else { Err(WireError::new(Layer::Tls, 0, Reason::TooLarge)) };
    (kept, result)
}

#[cfg(test)]
mod tests {
    use ottoscope_wire::tls::certificate;

    use super::*;

    #[test]
    fn names_are_shared_by_certificates_of_any_length() {
        let many: Vec<String> =
            (0..60).map(|i| format!("{}{i}.example", "n".repeat(100))).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let (short, long) =
            (certificate::synthesise("x.org", &["y.org"]), certificate::synthesise("x.org", &many));
        assert!(short.len() <= MAX_REMEMBERED && long.len() > MAX_REMEMBERED);
        let mut leaves = Leaves::default();
        for (der, count) in [(&short, 2), (&long, 61)] {
            let (first, read) = leaves.names(der);
            assert_eq!((first.split(',').count(), read), (count, Ok(())));
            let (again, read) = leaves.names(der);
            assert!(first.is(&again) && read.is_ok());
        }
        let held: Vec<_> =
            leaves.places.iter().flatten().filter_map(|l| l.der.as_deref()).collect();
        assert_eq!(held, [&short[..]]);
        // No certificate is not one of those that are not held, wherever its place is.
        leaves.places.fill_with(|| Some(Leaf { der: None, names: "z.org".into() }));
        let (none, read) = leaves.names(&[]);
        assert_eq!((&*none, read.is_err()), ("", true));
        // Of too many names the first are kept, and it is said each time.
        let many: Vec<String> = (0..70).map(|i| format!("{i}.example")).collect();
        let many =
            certificate::synthesise("x.org", &many.iter().map(String::as_str).collect::<Vec<_>>());
        for _ in 0..2 {
            let (names, read) = leaves.names(&many);
            assert_eq!((names.split(',').count(), read.is_err()), (MAX_NAMES, true));
            assert!(leaves.names(&many).0.is(&names));
        }
    }
}
