//! Header layouts of the catalogue, run as dissectors.
//!
//! A set is compiled once and shared by all flows. Probing looks up the bytes at each offset
//! where some layout has its most telling constant, so that its cost follows the number of
//! such offsets (a handful) and not the number of layouts. It belongs behind the built-in
//! protocols, of which none may have claimed the flow; ports say nothing, as WeChat's MMTLS
//! runs over 80 and 443.

mod framer;
mod layout;

use std::sync::Arc;

use super::{Dissector, Match, Probe};
use crate::model::Transport;
use crate::signature::{Signature, number};
use framer::{Family, Framer};
use layout::Layout;

pub use layout::SignatureError;

/// The layouts of a catalogue, ready to be probed. Empty by default.
#[derive(Debug, Default)]
pub struct SignatureSet {
    /// The most telling first: where several match, the first is taken.
    layouts: Vec<Arc<Layout>>,
    /// By layout: those that datagrams of one flow may have beside it.
    families: Vec<Family>,
    /// Those of TCP, then those of other transports.
    anchors: [Vec<Anchor>; 2],
}

/// The constants that layouts of one transport have at one offset.
#[derive(Debug)]
struct Anchor {
    transport: Transport,
    offset: usize,
    len: usize,
    /// Value, big-endian, and index of a layout that has it; sorted.
    values: Vec<(u64, usize)>,
    /// A bit for each first byte of those values: most traffic has none of them.
    firsts: [u64; 4],
    /// Layouts found by this anchor, for streams too short to look it up.
    layouts: Vec<usize>,
}

/// Which anchors are those of a transport.
fn of(transport: Transport) -> usize {
    usize::from(transport != Transport::Tcp)
}

impl Anchor {
    /// Whether some value has this first byte.
    fn may_begin(&self, first: u8) -> bool {
        self.firsts[usize::from(first / 64)] >> (first % 64) & 1 == 1
    }
}

/// What probing found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// The layout of this index matches.
    Yes(usize),
    /// None can match.
    No,
    /// TCP: more bytes are needed.
    Maybe,
}

impl SignatureSet {
    /// Compiles signatures; the first that can't be run is the error.
    pub fn new(signatures: Vec<Signature>) -> Result<Self, SignatureError> {
        let mut layouts = signatures.into_iter().map(Layout::new).collect::<Result<Vec<_>, _>>()?;
        layouts.sort_by_key(|layout| std::cmp::Reverse(layout.telling()));
        let mut set = SignatureSet {
            layouts: layouts.into_iter().map(Arc::new).collect(),
            families: Vec::new(),
            anchors: Default::default(),
        };
        for layout in &set.layouts {
            let mixes = set.layouts.iter().filter(|other| layout.mixes_with(other));
            set.families.push(mixes.cloned().collect());
        }
        for index in 0..set.layouts.len() {
            set.index(index);
        }
        for anchor in set.anchors.iter_mut().flatten() {
            anchor.values.sort_unstable();
        }
        Ok(set)
    }

    fn index(&mut self, index: usize) {
        let layout = &self.layouts[index];
        let transport = layout.signature().transport;
        let (offset, len, values) = layout.anchor();
        let same = |a: &Anchor| (a.transport, a.offset, a.len) == (transport, offset, len);
        let anchors = &mut self.anchors[of(transport)];
        let at = anchors.iter().position(same).unwrap_or_else(|| {
            let (values, layouts, firsts) = (Vec::new(), Vec::new(), [0; 4]);
            anchors.push(Anchor { transport, offset, len, values, firsts, layouts });
            anchors.len() - 1
        });
        let anchor = &mut anchors[at];
        for value in values {
            let first = (value >> (8 * (len - 1))) as u8;
            anchor.firsts[usize::from(first / 64)] |= 1 << (first % 64);
            anchor.values.push((value, index));
        }
        anchor.layouts.push(index);
    }

    /// How many signatures there are.
    pub fn len(&self) -> usize {
        self.layouts.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.layouts.is_empty()
    }

    /// The signature of an index.
    pub fn get(&self, index: usize) -> Option<&Signature> {
        self.layouts.get(index).map(|layout| layout.signature())
    }

    /// Looks for a layout that first bytes match; total on any input.
    pub fn find(&self, probe: &Probe<'_>) -> Found {
        let mut best = None;
        let mut maybe = false;
        let anchors = &self.anchors[of(probe.transport)];
        for anchor in anchors.iter().filter(|a| a.transport == probe.transport) {
            let Some(bytes) = probe.bytes.get(anchor.offset..anchor.offset + anchor.len) else {
                maybe |= probe.transport == Transport::Tcp
                    && anchor.layouts.iter().any(|index| self.layouts[*index].begins(probe));
                continue;
            };
            if !bytes.first().is_some_and(|&first| anchor.may_begin(first)) {
                continue;
            }
            let value = number(bytes, false);
            let from = anchor.values.partition_point(|(v, _)| *v < value);
            for (_, index) in anchor.values[from..].iter().take_while(|(v, _)| *v == value) {
                match self.layouts[*index].probe(probe) {
                    Match::Yes => best = Some(best.map_or(*index, |b: usize| b.min(*index))),
                    Match::Maybe => maybe = true,
                    Match::No => {}
                }
            }
        }
        match best {
            Some(index) => Found::Yes(index),
            None if maybe => Found::Maybe,
            None => Found::No,
        }
    }

    /// Opens a dissector for the layout of an index that [`find`](Self::find) gave.
    pub fn open(&self, index: usize) -> Option<Box<dyn Dissector>> {
        let layout = self.layouts.get(index)?;
        let family = self.families.get(index)?;
        Some(Box::new(Framer::new(Arc::clone(layout), Arc::clone(family))))
    }

    /// Finds and opens at once.
    pub fn probe(&self, probe: &Probe<'_>) -> (Match, Option<Box<dyn Dissector>>) {
        match self.find(probe) {
            Found::Yes(index) => (Match::Yes, self.open(index)),
            Found::Maybe => (Match::Maybe, None),
            Found::No => (Match::No, None),
        }
    }
}

#[cfg(test)]
mod tests;
