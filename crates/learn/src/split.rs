//! Parts samples into training, validation and test so that what belongs together stays so.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::clean::{Cleaned, clean};
use crate::engine::random::Random;
use crate::{LearnError, Samples};

/// What never lies on both sides of a split, from the weakest claim to the strongest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rung {
    /// Nothing: the paper's way.
    Random,
    /// A 5-tuple, a tunnel.
    Flow,
    /// A pair of hosts.
    Hosts,
    /// A capture.
    Capture,
    /// Days: the test is later than the training.
    Time,
}

impl Rung {
    /// Every rung, weakest first.
    pub const ALL: [Rung; 5] = [Rung::Random, Rung::Flow, Rung::Hosts, Rung::Capture, Rung::Time];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Rung::Random => "random",
            Rung::Flow => "flow",
            Rung::Hosts => "hosts",
            Rung::Capture => "capture",
            Rung::Time => "time",
        }
    }
}

impl FromStr for Rung {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Rung::ALL.into_iter().find(|rung| rung.name() == name);
        found.ok_or_else(|| format!("no rung {name:?}: random, flow, hosts, capture or time"))
    }
}

/// How to split.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plan {
    /// What stays together.
    pub rung: Rung,
    /// Share of samples for validation.
    pub validation: f64,
    /// Share of samples for the test (0.2 in the paper).
    pub test: f64,
    /// Everything random comes from it.
    pub seed: u64,
    /// Samples of a class at most (3000 and 6000 in the paper), chosen at random.
    pub most: Option<usize>,
    /// Whether equal samples are dropped before the split.
    pub distinct: bool,
}

impl Default for Plan {
    fn default() -> Self {
        Plan { rung: Rung::Flow, validation: 0.1, test: 0.2, seed: 1, most: None, distinct: true }
    }
}

/// Rows of each part, in random order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Split {
    /// To learn from.
    pub train: Vec<u32>,
    /// To decide when to stop and where to reject.
    pub validation: Vec<u32>,
    /// To score, once.
    pub test: Vec<u32>,
    /// Groups that were parted.
    pub groups: usize,
    /// Samples of the largest group. Where it is large, class shares of the parts are not those
    /// of the whole.
    pub largest: usize,
    /// What was dropped before.
    pub cleaned: Cleaned,
}

/// The strongest rung that the data allows, which is the default.
pub fn strongest(samples: &Samples) -> Rung {
    let allowed = |rung: &Rung| allows(samples, *rung).is_ok();
    // Two days are no drift and one network is no other: only what is asked for goes that far.
    [Rung::Capture, Rung::Hosts, Rung::Flow].into_iter().find(allowed).unwrap_or(Rung::Random)
}

/// Whether samples can be split at a rung, and why not.
///
/// # Errors
/// What is missing.
pub fn allows(samples: &Samples, rung: Rung) -> Result<(), LearnError> {
    let refuse = |why: String| Err(LearnError::Groups { rung: rung.name(), why });
    let counts = present(samples)?;
    if rung == Rung::Random {
        return Ok(());
    }
    let groups = groups(samples, rung);
    let known = groups.iter().filter(|group| group.is_some()).count();
    if known < samples.len() {
        return refuse(format!("it is not known of {} samples", samples.len() - known));
    }
    if rung == Rung::Time {
        let days = groups.iter().flatten().collect::<BTreeSet<_>>().len();
        return if days >= 3 {
            Ok(())
        } else {
            refuse(format!("{days} days, and training, validation and test need one each"))
        };
    }
    let mut of_class: Vec<HashSet<u64>> = vec![HashSet::new(); counts.len()];
    for (label, group) in samples.data.labels.iter().zip(&groups) {
        of_class[usize::from(*label)].extend(group);
    }
    for (class, groups) in of_class.iter().enumerate() {
        if counts[class] > 0 && groups.len() < 3 {
            return refuse(format!(
                "class {} has {} of them, and training, validation and test need one each",
                samples.data.classes[class],
                groups.len()
            ));
        }
    }
    Ok(())
}

/// Samples of each class; at least two classes must have some.
fn present(samples: &Samples) -> Result<Vec<usize>, LearnError> {
    let mut counts = vec![0; samples.data.classes.len()];
    for label in &samples.data.labels {
        counts[usize::from(*label)] += 1;
    }
    let found = counts.iter().filter(|count| **count > 0).count();
    if found < 2 {
        return Err(LearnError::Classes { found });
    }
    Ok(counts)
}

/// What each sample shares with others at a rung; none where it is not known.
pub fn groups(samples: &Samples, rung: Rung) -> Vec<Option<u64>> {
    samples
        .origins
        .iter()
        .enumerate()
        .map(|(row, origin)| match rung {
            Rung::Random => Some(row as u64),
            // A tunnel holds many 5-tuples, all of which look alike.
            Rung::Flow => origin.tunnel.map(|tunnel| tunnel ^ 1 << 63).or(origin.tuple),
            Rung::Hosts => origin.tunnel.map(|tunnel| tunnel ^ 1 << 63).or(origin.hosts),
            Rung::Capture => origin.capture.map(u64::from),
            Rung::Time => origin.at.map(|at| (at / 86_400.0).floor() as u64),
        })
        .collect()
}

/// Splits `samples`, which are masked already.
///
/// # Errors
/// When fewer than two classes have samples, a class ends up without training or test samples,
/// or the data do not allow the rung.
pub fn split(samples: &Samples, plan: &Plan) -> Result<Split, LearnError> {
    allows(samples, plan.rung)?;
    let (mut rows, cleaned) = if plan.distinct {
        clean(&samples.data)
    } else {
        let all = (0..samples.len() as u32).collect();
        (all, Cleaned { samples: samples.len(), ..Cleaned::default() })
    };
    let mut random = Random::part(plan.seed, 0x51_17);
    random.shuffle(&mut rows);
    if let Some(most) = plan.most {
        let mut taken = vec![0; samples.data.classes.len()];
        rows.retain(|row| {
            let taken = &mut taken[usize::from(samples.data.labels[*row as usize])];
            *taken += 1;
            *taken <= most
        });
    }
    let groups = groups(samples, plan.rung);
    let mut members: BTreeMap<u64, Vec<u32>> = BTreeMap::new();
    for row in rows {
        if let Some(group) = groups[row as usize] {
            members.entry(group).or_default().push(row);
        }
    }
    let count = members.len();
    let largest = members.values().map(Vec::len).max().unwrap_or(0);
    let mut split = if plan.rung == Rung::Time {
        by_time(members, plan)
    } else {
        stratified(members, &samples.data.labels, samples.data.classes.len(), plan)
    };
    (split.groups, split.largest) = (count, largest);
    split.cleaned = cleaned;
    for part in [&mut split.train, &mut split.validation, &mut split.test] {
        random.shuffle(part);
    }
    check(samples, &split)?;
    Ok(split)
}

/// Every class that is there must be learned and tested.
fn check(samples: &Samples, split: &Split) -> Result<(), LearnError> {
    let counts = present(samples)?;
    for (part, rows) in [("training", &split.train), ("test", &split.test)] {
        let mut has = vec![false; counts.len()];
        rows.iter().for_each(|row| has[usize::from(samples.data.labels[*row as usize])] = true);
        if let Some(class) = (0..counts.len()).find(|class| counts[*class] > 0 && !has[*class]) {
            return Err(LearnError::EmptyClass {
                class: samples.data.classes[class].clone(),
                part: format!(" left for {part}"),
            });
        }
    }
    Ok(())
}

/// Days in order: the last ones are the test, those before them the validation.
fn by_time(members: BTreeMap<u64, Vec<u32>>, plan: &Plan) -> Split {
    let sum: usize = members.values().map(Vec::len).sum();
    let mut split = Split::default();
    let mut days: Vec<Vec<u32>> = members.into_values().collect();
    let want = |share: f64| (share * sum as f64).round() as usize;
    for (part, share, left) in
        [(&mut split.test, plan.test, 2), (&mut split.validation, plan.validation, 1)]
    {
        while days.len() > left && (part.is_empty() || part.len() < want(share)) {
            part.extend(days.pop().unwrap_or_default());
        }
    }
    split.train = days.concat();
    split
}

/// Groups go one by one where their classes lack most, large ones early, so that small ones can
/// even out. How early is up to chance: else the largest would be on the same side for every seed,
/// and an interval over seeds would say nothing of what other hosts do to a score.
fn stratified(
    members: BTreeMap<u64, Vec<u32>>,
    labels: &[u16],
    classes: usize,
    plan: &Plan,
) -> Split {
    let shares = [1.0 - plan.validation - plan.test, plan.validation, plan.test];
    let mut random = Random::part(plan.seed, 0x9409);
    let mut groups: Vec<(f32, Vec<u32>)> = members
        .into_values()
        .map(|group| (group.len() as f32 * (1.0 + 3.0 * random.unit()), group))
        .collect();
    groups.sort_by(|a, b| b.0.total_cmp(&a.0));
    let counts: Vec<BTreeMap<usize, f64>> = groups
        .iter()
        .map(|(_, group)| {
            let mut counts = BTreeMap::new();
            for row in group {
                *counts.entry(usize::from(labels[*row as usize])).or_default() += 1.0;
            }
            counts
        })
        .collect();
    let mut total = vec![0.0_f64; classes];
    counts.iter().flatten().for_each(|(class, count)| total[*class] += count);
    let mut have = vec![[0.0_f64; 3]; classes];
    let mut place: Vec<usize> = Vec::with_capacity(groups.len());
    for counts in &counts {
        // What the part would still lack with half of the group in it, as a share of what it
        // should have: what is larger than a part goes elsewhere.
        let lack = |part: usize| -> f64 {
            if shares[part] <= 0.0 {
                return f64::NEG_INFINITY;
            }
            let lacking = counts.iter().map(|(class, count)| {
                let want = total[*class] * shares[part];
                count * (want - have[*class][part] - count / 2.0) / want
            });
            lacking.sum()
        };
        let best = [1, 2, 0].into_iter().max_by(|a, b| lack(*a).total_cmp(&lack(*b))).unwrap_or(0);
        counts.iter().for_each(|(class, count)| have[*class][best] += count);
        place.push(best);
    }
    // A class of few groups is tested all the same, if something is left to learn from.
    for class in 0..classes {
        let has = |part: usize| {
            let groups = counts.iter().zip(&place);
            groups.filter(|(counts, at)| **at == part && counts.contains_key(&class)).count()
        };
        if has(2) == 0 && has(0) > 1 {
            let last = (0..place.len())
                .rev()
                .find(|group| place[*group] == 0 && counts[*group].contains_key(&class));
            last.into_iter().for_each(|group| place[group] = 2);
        }
    }
    let mut parts: [Vec<u32>; 3] = Default::default();
    for ((_, group), part) in groups.into_iter().zip(place) {
        parts[part].extend(group);
    }
    let [train, validation, test] = parts;
    Split { train, validation, test, ..Split::default() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::layers::Layout;
    use crate::{Dataset, samples::Origin};

    /// Samples that all differ, of these classes and 5-tuples, one a day or none.
    fn samples(of: &[(u16, u64)], days: bool) -> Samples {
        let bytes = (1..=of.len() as u32).flat_map(u32::to_be_bytes).collect();
        let labels = of.iter().map(|(label, _)| *label).collect();
        let classes = (0..4).map(|class| format!("c{class}")).collect();
        let data = Dataset::new(bytes, 4, labels, classes).unwrap();
        let origins = of.iter().enumerate().map(|(row, (_, tuple))| Origin {
            tuple: Some(*tuple),
            at: days.then_some(row as f64 * 86_400.0),
            ..Origin::default()
        });
        let origins = origins.collect();
        Samples::new(data, vec![Layout::default(); of.len()], origins).unwrap()
    }

    proptest! {
        /// No group is on two sides, nothing is lost or doubled, the same seed gives the same.
        #[test]
        fn groups_never_straddle(
            mut of in prop::collection::vec((0u16..3, 0u64..40), 0..120),
            seed: u64,
        ) {
            // Enough groups for every class.
            of.extend((0..30).map(|at| (at % 3, 100 + u64::from(at))));
            let samples = samples(&of, false);
            let plan = Plan { seed, ..Plan::default() };
            let split = split(&samples, &plan).unwrap();
            prop_assert_eq!(&split, &super::split(&samples, &plan).unwrap());
            let parts = [&split.train, &split.validation, &split.test];
            let mut rows: Vec<u32> = parts.iter().flat_map(|part| part.iter().copied()).collect();
            rows.sort_unstable();
            prop_assert_eq!(rows, (0..of.len() as u32).collect::<Vec<_>>());
            let tuples = parts.map(|part| {
                part.iter().map(|row| of[*row as usize].1).collect::<HashSet<u64>>()
            });
            for (a, b) in [(0, 1), (0, 2), (1, 2)] {
                prop_assert!(tuples[a].is_disjoint(&tuples[b]));
            }
        }
    }

    #[test]
    fn classes_are_spread_evenly() {
        let of: Vec<(u16, u64)> = (0..1000).map(|at| (u16::from(at % 10 == 0), at)).collect();
        let split = split(&samples(&of, false), &Plan::default()).unwrap();
        assert_eq!((split.train.len(), split.validation.len(), split.test.len()), (700, 100, 200));
        let rare = split.test.iter().filter(|row| of[**row as usize].0 == 1).count();
        assert_eq!(rare, 20);
        let most = Plan { most: Some(50), ..Plan::default() };
        let capped = super::split(&samples(&of, false), &most).unwrap();
        assert_eq!(capped.train.len() + capped.validation.len() + capped.test.len(), 100);
    }

    #[test]
    fn large_groups_change_sides_and_leave_the_test_its_share() {
        // Two classes, each with groups of 200, 150 and 100 and a hundred of one.
        let mut of = Vec::new();
        for class in 0..2u16 {
            let base = u64::from(class) * 1000;
            for (group, size) in [(0, 200), (1, 150), (2, 100)] {
                of.extend((0..size).map(|_| (class, base + group)));
            }
            of.extend((0..100).map(|at| (class, base + 100 + at)));
        }
        let samples = samples(&of, false);
        let mut seen = HashSet::new();
        for seed in 0..20 {
            let split = split(&samples, &Plan { seed, ..Plan::default() }).unwrap();
            assert!((150..=350).contains(&split.test.len()), "{}", split.test.len());
            let tested: BTreeSet<u64> =
                split.test.iter().map(|row| of[*row as usize].1).filter(|g| g % 1000 < 3).collect();
            seen.insert(tested);
        }
        assert!(seen.len() > 3, "{seen:?}");
    }

    #[test]
    fn two_groups_are_one_to_learn_from_and_one_to_test() {
        let of: Vec<(u16, u64)> = (0..10).map(|at| (0, at)).chain([(1, 20), (1, 21)]).collect();
        let plan = Plan { rung: Rung::Random, ..Plan::default() };
        let split = split(&samples(&of, false), &plan).unwrap();
        let rare = |rows: &[u32]| rows.iter().filter(|row| of[**row as usize].0 == 1).count();
        assert_eq!((rare(&split.train), rare(&split.test)), (1, 1));
    }

    #[test]
    fn the_test_is_later_than_the_training() {
        let of: Vec<(u16, u64)> = (0..20).map(|at| (at % 2, 7)).collect();
        let samples = samples(&of, true);
        let split = split(&samples, &Plan { rung: Rung::Time, ..Plan::default() }).unwrap();
        let last = |rows: &[u32]| rows.iter().max().copied().unwrap();
        assert!(split.test.iter().all(|row| *row > last(&split.validation)));
        assert!(split.validation.iter().all(|row| *row > last(&split.train)));
        assert_eq!((split.test.len(), split.validation.len()), (4, 2));
    }

    #[test]
    fn equal_samples_do_not_meet_again() {
        let of: Vec<(u16, u64)> = (0..40).map(|at| (at % 2, u64::from(at))).collect();
        let mut samples = samples(&of, false);
        samples.data.bytes =
            (0..40u32).flat_map(|at| (at / 4 * 2 + at % 2 + 1).to_be_bytes()).collect();
        let split = split(&samples, &Plan::default()).unwrap();
        assert_eq!((split.cleaned.duplicates, split.cleaned.conflicts), (20, 0));
        assert_eq!(split.train.len() + split.validation.len() + split.test.len(), 20);
    }

    #[test]
    fn what_the_data_do_not_allow_is_said() {
        let check = |of: &[(u16, u64)], rung, expected: &str| {
            let error = split(&samples(of, true), &Plan { rung, ..Plan::default() }).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
        };
        check(&[(0, 1), (0, 2)], Rung::Random, "only 1 class with samples");
        check(&[], Rung::Random, "only 0 class");
        check(&[(0, 1), (1, 2), (0, 3), (0, 4)], Rung::Flow, "class c1 has 1 of them");
        check(&[(0, 1), (1, 2)], Rung::Time, "2 days");
        check(&[(0, 1), (1, 2)], Rung::Capture, "not known of 2 samples");
        check(&[(0, 1), (0, 2), (1, 2)], Rung::Random, "has no samples left for");
        let of: Vec<(u16, u64)> = (0..40).map(|at| (at % 2, u64::from(at))).collect();
        assert_eq!(strongest(&samples(&of, false)), Rung::Flow);
    }
}
