//! Users' sessions by several workers, each of which has clients of its own.

use foldhash::HashSet;
use ottoscope_catalog::Client;
use ottoscope_flow::memory;

use super::deal::{Chunk, Dealer, Hand, Item};
use super::views::{ClientView, UseView, Used};
use crate::error::Result;
use crate::merge::Merged;
use crate::study::Study;
use crate::table::Table;
use crate::tables::{Flows, Users};
use crate::users::Sessions;
use crate::writer::TableWriter;

/// About what a client costs while its sessions are joined.
const BYTES_PER_CLIENT: usize = 128;
/// Most times that flows are read to join sessions, however little memory there is.
const MAX_PASSES: u64 = 64;

/// Joins the flows of one worker's clients to sessions: of all of them, or some in each pass.
pub(super) struct Joiner<'a> {
    study: &'a Study,
    worker: u16,
    passes: u64,
    pass: u64,
    sessions: Sessions,
    users: TableWriter<Users>,
    rows: u64,
}

impl<'a> Joiner<'a> {
    /// The first pass of a worker.
    pub(super) fn new(
        study: &'a Study,
        worker: u16,
        passes: u64,
        users: TableWriter<Users>,
    ) -> Self {
        let sessions = Sessions::new(study.config().flow.user_idle.0);
        Joiner { study, worker, passes, pass: 0, sessions, users, rows: 0 }
    }

    /// Sessions found.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }
}

impl<T: Used> Hand<T> for Joiner<'_> {
    fn take(&mut self, chunk: &Chunk<T>) -> Result<()> {
        let Joiner { users, rows, passes, pass, .. } = self;
        for item in chunk.of(self.worker) {
            let Item::Flow(flow) = item else { continue };
            if *passes > 1 && pass_of(flow.key, *passes) != *pass {
                continue;
            }
            let activity = T::activity(flow.columns, flow.at);
            self.sessions.flow(flow.key, &activity, &mut |row| {
                *rows += 1;
                users.append(row)
            })?;
        }
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        let new = Sessions::new(self.study.config().flow.user_idle.0);
        let Joiner { users, rows, .. } = self;
        std::mem::replace(&mut self.sessions, new).finish(&mut |row| {
            *rows += 1;
            users.append(row)
        })?;
        self.pass += 1;
        if self.pass == self.passes { self.users.flush_all() } else { Ok(()) }
    }
}

/// Goes through the passes that are left after the first.
pub(super) fn go_on(study: &Study, workers: u16, joiners: &mut [Joiner<'_>]) -> Result<()> {
    for _ in 1..joiners.first().map_or(0, |joiner| joiner.passes) {
        // Clients of the last pass, and what the threads that read for it kept.
        memory::give_back();
        let hands = joiners.iter_mut().map(|joiner| joiner as &mut dyn Hand<UseView>).collect();
        Dealer::new(study, workers)?.deal_to(hands)?;
    }
    Ok(())
}

/// In which pass a client is taken.
fn pass_of(key: u64, passes: u64) -> u64 {
    (key >> 16) % passes
}

/// How often flows must be read: where the clients of all flows may be too many to hold, some
/// are taken at a time.
pub(super) fn passes(study: &Study) -> Result<u64> {
    let room = (study.shares().clients / BYTES_PER_CLIENT).max(1) as u64;
    if study.count(&Flows::INFO)? <= room {
        return Ok(1);
    }
    Ok(clients(study)?.div_ceil(room).clamp(1, MAX_PASSES))
}

/// About how many clients there are, by those whose hash falls to one place of many.
fn clients(study: &Study) -> Result<u64> {
    const SAMPLE: u64 = 64;
    let mut seen: HashSet<u64> = HashSet::default();
    let mut flows = Merged::<ClientView>::open(&study.table("flows"))?;
    while let Some(row) = flows.row() {
        let place = Client::of(row.client).key() >> 16;
        if place.is_multiple_of(SAMPLE) {
            seen.insert(place);
        }
        flows.advance()?;
    }
    Ok(SAMPLE * seen.len() as u64)
}

#[cfg(test)]
mod tests {
    use ottoscope_flow::Timestamp;

    use super::super::views::UseViewRow;
    use super::*;
    use crate::layout::PartNames;

    /// However many clients are taken at a time, and by however many workers, the sessions are
    /// the same.
    #[test]
    fn passes_change_no_session() {
        let dir = tempfile::tempdir().unwrap();
        let study = Study::create(&dir.path().join("study"), &[]).unwrap();
        let names = PartNames::new("host", "run", 0);
        let mut flows = study.writer::<UseView>(names.clone());
        for i in 0..3000u64 {
            let first = Timestamp::from_parts((i * 7) as i64, 0);
            flows
                .append(&UseViewRow {
                    flow: i,
                    first,
                    last: first,
                    client: &format!("~10.0.{}.{}", i % 3, i * 31 % 250),
                    packets_up: i,
                    packets_down: 1,
                    bytes_up: 2,
                    bytes_down: 3,
                })
                .unwrap();
        }
        flows.finish().unwrap();
        let sessions = |workers: u16, passes: u64| {
            let joiner = |worker| {
                let names = names.of_worker(u32::from(worker));
                Joiner::new(&study, worker, passes, study.writer::<Users>(names))
            };
            let mut joiners: Vec<Joiner<'_>> = (0..workers).map(joiner).collect();
            let hands = joiners.iter_mut().map(|joiner| joiner as &mut dyn Hand<UseView>).collect();
            Dealer::new(&study, workers).unwrap().deal_to(hands).unwrap();
            go_on(&study, workers, &mut joiners).unwrap();
            let mut rows = Vec::new();
            for batch in study.rows::<Users>().unwrap() {
                rows.extend(batch.unwrap().iter().map(|row| format!("{row:?}")));
            }
            assert_eq!(joiners.iter().map(Joiner::rows).sum::<u64>(), rows.len() as u64);
            std::fs::remove_dir_all(study.table("users")).unwrap();
            rows.sort();
            rows
        };
        let once = sessions(1, 1);
        assert!(once.len() > 750, "{}", once.len());
        assert_eq!(sessions(1, 3), once);
        assert_eq!(sessions(2, 1), once);
        assert_eq!(sessions(3, 7), once);
        let about = clients(&study).unwrap();
        assert!((128..3000).contains(&about), "{about} of 750");
    }
}
