//! Distinct payloads with how often each occurs, since a heartbeat need not be cut a thousand
//! times.

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use crate::samples::Samples;

/// The distinct first bytes of samples, in order of first appearance.
pub(crate) struct Distinct<'a> {
    /// Each payload once.
    pub(crate) heads: Vec<&'a [u8]>,
    /// How often each occurs.
    pub(crate) counts: Vec<u32>,
    /// For every sample the index of its payload.
    pub(crate) of: Vec<u32>,
}

impl<'a> Distinct<'a> {
    /// Looks at the first `bytes` of every sample.
    pub(crate) fn new(samples: &'a Samples, bytes: usize) -> Self {
        let mut known: HashMap<&[u8], u32, FixedState> = HashMap::default();
        let mut out = Distinct {
            heads: Vec::new(),
            counts: Vec::new(),
            of: Vec::with_capacity(samples.len()),
        };
        for index in 0..samples.len() {
            let head = samples.get(index).head;
            let head = &head[..head.len().min(bytes)];
            let id = *known.entry(head).or_insert_with(|| {
                out.heads.push(head);
                out.counts.push(0);
                out.heads.len() as u32 - 1
            });
            out.counts[id as usize] += 1;
            out.of.push(id);
        }
        out
    }
}
