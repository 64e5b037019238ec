//! Rows in order of time, dealt to workers by client: read and put in order once, looked at by
//! all, and worked on by the one to whom the client falls.
//!
//! Whoever deals also keeps what hangs on all clients at once: the names that anyone resolved,
//! which a flow is told as they were at its first packet, and predictions, which are in the same
//! order as flows.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread;

use ottoscope_catalog::{AllNames, Client, Heard, LabelerConfig, NameLearned};
use ottoscope_flow::Timestamp;

use super::predicted::{PredictionView, PredictionViewRow, Predictions};
use super::views::{Dealt, DnsView, DnsViewColumns, DnsViewRow, Role};
use crate::error::{Result, StoreError};
use crate::merge::Merged;
use crate::pseudonym::address_key;
use crate::reader::Rows;
use crate::study::Study;
use crate::table::Table;

/// Rows of a chunk. It holds all flows that begin at the same instant as its last, unless they are
/// very many.
const CHUNK: usize = 4_096;
/// Most rows of a chunk.
const MOST: usize = 16 * CHUNK;
/// Chunks that wait for a worker who is behind.
const BEHIND: usize = 2;

/// Whoever works on the rows of some clients.
pub(super) trait Hand<T: Dealt>: Send {
    /// Called for every chunk, in order of time.
    fn take(&mut self, chunk: &Chunk<T>) -> Result<()>;
    /// Called when there are no more.
    fn end(&mut self) -> Result<()>;
}

/// Rows of about the same time.
pub(super) struct Chunk<T: Dealt> {
    flows: Batches<T>,
    answers: Batches<DnsView>,
    predictions: Batches<PredictionView>,
    asked: Vec<Asked>,
    events: Vec<Event>,
    /// When the last flow began.
    last: Timestamp,
}

/// What anyone had resolved to the server of a flow that may ask for it.
struct Asked {
    server: IpAddr,
    heard: Option<Arc<Heard>>,
}

/// Batch and row of what lies in a chunk.
type Place = (u32, u32);

/// One row of a chunk.
struct Event {
    /// [`Client::key`].
    key: u64,
    worker: u16,
    place: Place,
    kind: Kind,
}

/// What a row is.
enum Kind {
    Answer,
    Flow {
        /// Its number in `asked`.
        asked: Option<u32>,
        predicted: Option<Place>,
    },
}

/// What a worker gets.
pub(super) enum Item<'a, T: Dealt> {
    /// A row of `dns`.
    Answer(&'a DnsViewColumns, usize),
    /// A flow.
    Flow(Flow<'a, T>),
}

/// A flow as it is dealt.
pub(super) struct Flow<'a, T: Dealt> {
    /// [`Client::key`].
    pub(super) key: u64,
    /// Columns of its batch.
    pub(super) columns: &'a T::Columns,
    /// Its row there.
    pub(super) at: usize,
    /// Its server, if that is known already.
    pub(super) server: Option<IpAddr>,
    /// What anyone had resolved to its server, if it may ask for that.
    pub(super) heard: Option<&'a Heard>,
    /// What a model said of it.
    pub(super) predicted: Option<PredictionViewRow<'a>>,
}

impl<'a, T: Dealt> Flow<'a, T> {
    /// Its first packet.
    pub(super) fn first(&self) -> Timestamp {
        T::place(self.columns, self.at).0
    }

    /// Its row.
    pub(super) fn row(&self) -> T::Row<'a> {
        T::row(self.columns, self.at)
    }
}

impl<T: Dealt> Chunk<T> {
    /// What falls to a worker.
    pub(super) fn of(&self, worker: u16) -> impl Iterator<Item = Item<'_, T>> {
        self.events.iter().filter(move |event| event.worker == worker).map(|event| {
            let Kind::Flow { asked, predicted } = event.kind else {
                let (rows, at) = self.answers.at(event.place);
                return Item::Answer(rows.columns(), at);
            };
            let asked = asked.map(|i| &self.asked[i as usize]);
            let (rows, at) = self.flows.at(event.place);
            Item::Flow(Flow {
                key: event.key,
                columns: rows.columns(),
                at,
                server: asked.map(|asked| asked.server),
                heard: asked.and_then(|asked| asked.heard.as_deref()),
                predicted: predicted.map(|place| {
                    let (rows, at) = self.predictions.at(place);
                    rows.get(at)
                }),
            })
        })
    }

    /// Adds a row of a client, which falls to one of so many workers.
    fn add(&mut self, key: u64, workers: u16, place: Place, kind: Kind) {
        self.events.push(Event { key, worker: worker(key, workers), place, kind });
    }
}

/// Batches of a chunk.
struct Batches<T: Table> {
    held: Vec<Arc<Rows<T>>>,
    /// Where the last batch of each part is held, if it still is.
    of_part: Vec<u32>,
}

impl<T: Table> Batches<T> {
    fn new() -> Self {
        Batches { held: Vec::new(), of_part: Vec::new() }
    }

    /// Where the current row lies, whose batch is held from now on.
    fn hold(&mut self, rows: &Merged<T>) -> Option<Place> {
        let (part, rows, at) = rows.current()?;
        if self.of_part.len() <= part {
            self.of_part.resize(part + 1, u32::MAX);
        }
        let batch = &mut self.of_part[part];
        let is_held = self.held.get(*batch as usize).is_some_and(|held| Arc::ptr_eq(held, rows));
        if !is_held {
            *batch = self.held.len() as u32;
            self.held.push(Arc::clone(rows));
        }
        Some((*batch, at as u32))
    }

    /// The batch of a place, and the row there.
    fn at(&self, (batch, row): Place) -> (&Rows<T>, usize) {
        (&self.held[batch as usize], row as usize)
    }
}

/// Deals the flows of a study.
pub(super) struct Dealer<T: Dealt> {
    workers: u16,
    flows: Merged<T>,
    answers: Option<(Merged<DnsView>, AllNames)>,
    predictions: Option<Predictions>,
    chunk: Chunk<T>,
    dealt: u64,
}

impl<T: Dealt> Dealer<T> {
    /// Flows alone.
    pub(super) fn new(study: &Study, workers: u16) -> Result<Self> {
        Ok(Dealer {
            workers,
            flows: Merged::open(&study.table("flows"))?,
            answers: None,
            predictions: None,
            chunk: Chunk::new(),
            dealt: 0,
        })
    }

    /// DNS as well.
    pub(super) fn with_answers(mut self, study: &Study, config: &LabelerConfig) -> Result<Self> {
        let names = AllNames::new(config.max_names, config.dns_grace, config.keep);
        self.answers = Some((Merged::open(&study.table("dns"))?, names));
        Ok(self)
    }

    /// What a model said of flows as well.
    pub(super) fn with_predictions(mut self, study: &Study) -> Result<Self> {
        self.predictions = Some(Predictions::open(study)?).filter(|all| !all.is_empty());
        Ok(self)
    }

    /// Hands chunks to each worker's thread. How many flows there are is returned.
    ///
    /// # Errors
    /// Of the first worker that failed, else of reading.
    pub(super) fn deal_to(self, hands: Vec<&mut dyn Hand<T>>) -> Result<u64> {
        thread::scope(|scope| {
            let (mut to, mut threads) = (Vec::new(), Vec::new());
            for hand in hands {
                let (sender, chunks) = sync_channel::<Arc<Chunk<T>>>(BEHIND);
                let work = move || {
                    chunks.iter().try_for_each(|chunk| hand.take(&chunk))?;
                    hand.end()
                };
                let thread = thread::Builder::new().name("labels".to_owned());
                threads.push(thread.spawn_scoped(scope, work).map_err(|_| StoreError::Worker)?);
                to.push(sender);
            }
            let dealt = self.deal(|chunk| {
                // A worker that is gone failed: it says itself why.
                Ok(to.iter().all(|to| to.send(Arc::clone(&chunk)).is_ok()))
            });
            drop(to);
            for thread in threads {
                thread.join().map_err(|_| StoreError::Worker).flatten()?;
            }
            dealt
        })
    }

    /// Calls `each` with every chunk until it is false. How many flows there are is returned.
    pub(super) fn deal(
        mut self,
        mut each: impl FnMut(Arc<Chunk<T>>) -> Result<bool>,
    ) -> Result<u64> {
        loop {
            let answer_at = self.answers.as_ref().and_then(|(answers, _)| answers.time());
            // An answer goes before a flow of the same instant: it may have led to it.
            let answer_first = match (self.flows.time(), answer_at) {
                (None, None) => break,
                (Some(flow), Some(answer)) => answer <= flow,
                (flow, _) => flow.is_none(),
            };
            if answer_first {
                self.answer()?
            } else {
                self.flow()?
            }
            let len = self.chunk.events.len();
            if len >= CHUNK && (len >= MOST || self.flows.time() != Some(self.chunk.last)) {
                let full = std::mem::replace(&mut self.chunk, Chunk::new());
                if !each(Arc::new(full))? {
                    return Ok(self.dealt);
                }
            }
        }
        each(Arc::new(self.chunk))?;
        Ok(self.dealt)
    }

    fn answer(&mut self) -> Result<()> {
        let Some((answers, names)) = &mut self.answers else { return Ok(()) };
        if let Some((_, rows, i)) = answers.current()
            && let Some(place) = self.chunk.answers.hold(answers)
        {
            if DnsView::role(rows.columns(), i) == Role::Address {
                resolution(&rows.get(i), |answer| names.learn(answer));
            }
            let key = Client::of(DnsView::client(rows.columns(), i)).key();
            self.chunk.add(key, self.workers, place, Kind::Answer);
        }
        answers.advance()
    }

    fn flow(&mut self) -> Result<()> {
        let chunk = &mut self.chunk;
        if let Some((_, rows, i)) = self.flows.current()
            && let Some(place) = chunk.flows.hold(&self.flows)
        {
            let columns = rows.columns();
            let key = Client::of(T::client(columns, i)).key();
            let (first, flow) = T::place(columns, i);
            let mut asked = None;
            if let Some((_, names)) = &self.answers
                && let Some(server) = T::asks(columns, i)
            {
                let server = server_key(server);
                let heard = names.of(server, first).map(Arc::clone);
                asked = Some(chunk.asked.len() as u32);
                chunk.asked.push(Asked { server, heard });
            }
            let mut predicted = None;
            if let Some(predictions) = &mut self.predictions
                && let Some(rows) = predictions.find((first, flow))?
            {
                predicted = chunk.predictions.hold(rows);
            }
            chunk.add(key, self.workers, place, Kind::Flow { asked, predicted });
            chunk.last = first;
            self.dealt += 1;
        }
        self.flows.advance()
    }
}

impl<T: Dealt> Chunk<T> {
    fn new() -> Self {
        Chunk {
            flows: Batches::new(),
            answers: Batches::new(),
            predictions: Batches::new(),
            asked: Vec::new(),
            events: Vec::with_capacity(CHUNK),
            last: Timestamp(i64::MIN),
        }
    }
}

/// To whom a client falls, by the upper bits of its key.
fn worker(key: u64, workers: u16) -> u16 {
    ((u128::from(key) * u128::from(workers)) >> 64) as u16
}

/// Calls `take` with what an address in an answer resolved, if it is whole.
pub(super) fn resolution(row: &DnsViewRow<'_>, take: impl FnOnce(&NameLearned<'_>)) {
    let (Some(name), Some(answer), Some(ttl)) = (row.name, row.answer, row.ttl) else { return };
    let Some(address) = address_key(answer) else { return };
    let mut names = [name; 17];
    let mut count = 1;
    for step in row.chain.into_iter().flat_map(|chain| chain.split(',')).take(16) {
        names[count] = step;
        count += 1;
    }
    take(&NameLearned {
        at: row.at,
        client: row.client,
        names: &names[..count],
        addresses: &[address],
        ttl,
        over_http: false,
    });
}

/// The address that a `server` column holds.
pub(super) fn server_key(text: &str) -> IpAddr {
    address_key(text).unwrap_or(IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED))
}
