//! The OTT voice paper's experiments I to VI on any data in its shape.
//!
//! The shape: classes named after apps, those seen through a VPN marked so. What the paper had is
//! its own, apart from ISCX in experiments I and II; its figures stand beside ours where the
//! classes are the same.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::clean::{Counts, counts};
use crate::engine::random::Random;
use crate::evaluate::{Bench, Make, Summary, repeat};
use crate::paper::{DEEP, TABLE_1, TABLE_3, TABLE_4, TABLE_5, TABLE_6, TABLE_7, TABLE_8};
use crate::split::Plan;
use crate::{LearnError, Samples};

/// Samples of an app at most, from experiment IV on (the paper, 4.2).
const MOST_OF_AN_APP: usize = 3000;

/// One of the paper's experiments (4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Experiment {
    /// VPN voice and other voice: two classes.
    I,
    /// Apps with and without VPN: eight classes in the paper.
    II,
    /// Apps through a VPN: all samples, 6,000 and 3,000 a class; five models.
    III,
    /// The same at 3,000 a class, class by class.
    IV,
    /// OTT voice and other traffic: two classes.
    V,
    /// All classes: 28 in the paper, at most 3,000 samples each.
    VI,
}

impl Experiment {
    /// All of them.
    pub const ALL: [Experiment; 6] = [
        Experiment::I,
        Experiment::II,
        Experiment::III,
        Experiment::IV,
        Experiment::V,
        Experiment::VI,
    ];

    /// What it asks.
    pub fn title(self) -> &'static str {
        match self {
            Experiment::I => "VPN voice or not",
            Experiment::II => "voice apps with and without VPN",
            Experiment::III => "voice apps through a VPN, by number of samples",
            Experiment::IV => "voice apps through a VPN at 3,000 samples, class by class",
            Experiment::V => "OTT voice or not",
            Experiment::VI => "all kinds of traffic, at most 3,000 samples each",
        }
    }

    /// The models that the paper ran, best first.
    pub fn models(self) -> &'static [&'static str] {
        match self {
            Experiment::I | Experiment::II => &["cnn1d", "cnn2d", "forest"],
            Experiment::III => &["lstm", "cnn1d", "cnn2d", "forest", "logistic"],
            Experiment::IV | Experiment::V | Experiment::VI => &DEEP,
        }
    }

    /// The representations that the paper ran.
    pub fn representations(self) -> &'static [&'static str] {
        match self {
            Experiment::I | Experiment::II | Experiment::III => &["F_A", "S_A"],
            _ => &["S_A"],
        }
    }

    /// Samples of a class at most, in the paper's order.
    pub fn most(self) -> &'static [Option<usize>] {
        match self {
            Experiment::I | Experiment::II => &[None],
            Experiment::III => &[None, Some(6000), Some(3000)],
            Experiment::IV | Experiment::V | Experiment::VI => &[Some(MOST_OF_AN_APP)],
        }
    }

    /// The samples under this experiment's classes. `groups` says which classes are OTT voice
    /// (experiment V); without it the paper's table 3 does.
    ///
    /// # Errors
    /// When a class is in no group, or fewer than two classes are left.
    pub fn task(
        self,
        samples: &Samples,
        groups: Option<&BTreeMap<String, String>>,
    ) -> Result<Samples, LearnError> {
        let names = &samples.data.classes;
        let task = match self {
            Experiment::I => {
                let classes = vec!["non-VPN".to_owned(), "VPN".to_owned()];
                samples.relabelled(classes, |class| {
                    Some(u16::from(is_vpn(&names[usize::from(class)])))
                })?
            }
            Experiment::II | Experiment::VI => samples.clone(),
            Experiment::III | Experiment::IV => {
                // Where no class is marked, all were seen through one, as in the paper's own.
                let all = !names.iter().any(|name| is_vpn(name));
                let kept: Vec<u16> = (0..names.len() as u16)
                    .filter(|class| all || is_vpn(&names[usize::from(*class)]))
                    .collect();
                let classes = kept.iter().map(|class| names[usize::from(*class)].clone()).collect();
                let place = |class| kept.iter().position(|kept| *kept == class);
                samples.relabelled(classes, |class| place(class).map(|at| at as u16))?
            }
            // At most so many of each app, not of each group.
            Experiment::V => grouped(&capped(samples, MOST_OF_AN_APP), groups)?,
        };
        let found = counts(&task.data).classes.iter().filter(|(_, count)| *count > 0).count();
        if found < 2 { Err(LearnError::Classes { found }) } else { Ok(task) }
    }

    /// The paper's test accuracy, or where it gives none its average recall, which is the same
    /// where averages are weighted.
    fn figure(self, model: &str, representation: &str, most: Option<usize>) -> Option<f64> {
        let kind = ["F_A", "S_A"].iter().position(|kind| *kind == representation)?;
        let deep = || DEEP.iter().position(|deep| *deep == model);
        match self {
            Experiment::I | Experiment::II => {
                let (_, figures) = TABLE_4.iter().find(|(name, _)| *name == model)?;
                Some(figures[usize::from(self == Experiment::II)][kind])
            }
            Experiment::III => {
                let (_, figures) = TABLE_5.iter().find(|(name, _)| *name == model)?;
                let most = self.most().iter().position(|cap| *cap == most)?;
                Some(figures[kind][most])
            }
            _ if representation != "S_A" => None,
            Experiment::IV => Some(TABLE_6.last()?.1[deep()?][1]),
            Experiment::V => Some(TABLE_7.last()?.1[deep()?][1]),
            Experiment::VI => Some(TABLE_8.last()?.1[deep()?][1]),
        }
    }

    /// Whether these are the paper's classes.
    fn is_papers(self, classes: &[String]) -> bool {
        let known: Vec<String> = match self {
            Experiment::I => {
                let mut all: Vec<String> = TABLE_1.iter().map(|row| plain(row.0)).collect();
                // The same voice under the names of Wang et al.'s images.
                all.extend(["voip".to_owned(), "vpnvoip".to_owned()]);
                all
            }
            Experiment::II => TABLE_1.iter().map(|row| plain(row.0)).collect(),
            Experiment::III | Experiment::IV => {
                TABLE_6.iter().flat_map(|row| [plain(row.0), plain(row.0) + "vpn"]).collect()
            }
            Experiment::V | Experiment::VI => TABLE_3.iter().map(|row| plain(row.0)).collect(),
        };
        classes.iter().all(|class| known.contains(&plain(class)))
    }
}

impl fmt::Display for Experiment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl FromStr for Experiment {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let name = name.to_ascii_uppercase();
        let found = Experiment::ALL.into_iter().find(|experiment| experiment.to_string() == name);
        found.ok_or_else(|| format!("no experiment {name:?}: I, II, III, IV, V or VI"))
    }
}

/// At most so many samples of each class, chosen at random but always the same.
fn capped(samples: &Samples, most: usize) -> Samples {
    let mut rows: Vec<u32> = (0..samples.len() as u32).collect();
    Random::part(1, 0xca_99ed).shuffle(&mut rows);
    let mut taken = vec![0; samples.data.classes.len()];
    rows.retain(|row| {
        let taken = &mut taken[usize::from(samples.data.labels[*row as usize])];
        *taken += 1;
        *taken <= most
    });
    rows.sort_unstable();
    samples.only(&rows)
}

/// Letters and digits of a name, in lower case.
fn plain(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).map(|c| c.to_ascii_lowercase()).collect()
}

/// Whether a class's name marks it as seen through a VPN.
fn is_vpn(name: &str) -> bool {
    let name = plain(name);
    name.contains("vpn") && !name.contains("nonvpn") && !name.contains("novpn")
}

fn grouped(
    samples: &Samples,
    groups: Option<&BTreeMap<String, String>>,
) -> Result<Samples, LearnError> {
    let group = |name: &String| match groups {
        Some(groups) => groups.get(name).cloned(),
        None => TABLE_3
            .iter()
            .find(|row| plain(row.0) == plain(name))
            .map(|row| if row.2 { "OTT" } else { "non-OTT" }.to_owned()),
    };
    let mut classes: Vec<String> = Vec::new();
    let mut to = Vec::new();
    for name in &samples.data.classes {
        let group = group(name).ok_or_else(|| {
            LearnError::Unfit(format!("class {name} is in no group: say which are OTT voice"))
        })?;
        let place = classes.iter().position(|class| *class == group).unwrap_or_else(|| {
            classes.push(group);
            classes.len() - 1
        });
        to.push(place as u16);
    }
    samples.relabelled(classes, |class| to.get(usize::from(class)).copied())
}

/// One line of an experiment's table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// `S_A`, `F_A`, `S_L7` or `F_L7`.
    pub representation: String,
    /// Samples of a class at most.
    pub most: Option<usize>,
    /// What a model scored.
    pub summary: Summary,
    /// The paper's figure, where the classes are its own.
    pub paper: Option<f64>,
}

/// What an experiment gave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Which one.
    pub experiment: Experiment,
    /// What it asks.
    pub title: String,
    /// Samples of each class by representation.
    pub counts: Vec<(String, Counts)>,
    /// Its table.
    pub rows: Vec<Row>,
    /// Models of the paper that are not there.
    pub missing: Vec<String>,
}

/// Runs an experiment. `data` are samples by representation, masked as they are to be;
/// `models` makes the model of a name.
///
/// # Errors
/// When the data do not have the experiment's shape, and those of splitting and training.
pub fn run(
    experiment: Experiment,
    data: &[(String, Samples)],
    groups: Option<&BTreeMap<String, String>>,
    models: &[(&str, Make<'_>)],
    bench: &mut Bench<'_>,
) -> Result<Outcome, LearnError> {
    let mut outcome = Outcome {
        experiment,
        title: experiment.title().to_owned(),
        counts: Vec::new(),
        rows: Vec::new(),
        missing: Vec::new(),
    };
    for name in experiment.models() {
        if !models.iter().any(|(model, _)| model == name) {
            outcome.missing.push((*name).to_owned());
        }
    }
    for (representation, samples) in data {
        let task = experiment.task(samples, groups)?;
        let papers = experiment.is_papers(&samples.data.classes);
        outcome.counts.push((representation.clone(), counts(&task.data)));
        for most in experiment.most() {
            // The task of experiment V has no more of an app already.
            let plan_most = most.filter(|_| experiment != Experiment::V);
            let plan = Plan { most: plan_most, ..*bench.plan };
            for (name, make) in models {
                let mut bench = Bench { plan: &plan, watch: &mut *bench.watch, ..*bench };
                let summary = repeat(*make, &task, &mut bench)?;
                let paper = experiment.figure(name, representation, *most).filter(|_| papers);
                let representation = representation.clone();
                outcome.rows.push(Row { representation, most: *most, summary, paper });
            }
        }
    }
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::split::Rung;
    use crate::testing::{Nearest, toy};
    use crate::{Control, Epoch, Fit};

    fn named(names: &[&str]) -> Samples {
        let mut samples = toy(names.len() * 20, names.len() as u16);
        samples.data.classes = names.iter().map(|name| (*name).to_owned()).collect();
        samples
    }

    #[test]
    fn tasks_follow_from_names() {
        let check = |experiment: Experiment, names: &[&str], expected: &[(&str, usize)]| {
            let task = experiment.task(&named(names), None).unwrap();
            let expected: Vec<_> =
                expected.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
            assert_eq!(counts(&task.data).classes, expected);
        };
        let mixed = ["Skype", "Skype_VPN", "Facebook", "nonvpn-x"];
        check(Experiment::I, &mixed, &[("non-VPN", 60), ("VPN", 20)]);
        check(Experiment::III, &["ICQ", "Line"], &[("ICQ", 20), ("Line", 20)]);
        check(Experiment::III, &["A_VPN", "b", "C_VPN"], &[("A_VPN", 20), ("C_VPN", 20)]);
        check(Experiment::V, &["Zoom", "Huya", "QQ_VPN"], &[("OTT", 40), ("non-OTT", 20)]);
        // No app gives more than 3,000 to its group.
        let mut large = toy(4000, 2);
        large.data.classes = ["Zoom", "Huya"].map(str::to_owned).into();
        large.data.labels = (0..large.len()).map(|row| u16::from(row % 4 == 0)).collect();
        let task = Experiment::V.task(&large, None).unwrap();
        let found = counts(&task.data).classes;
        assert_eq!(found.iter().map(|(_, count)| *count).collect::<Vec<_>>(), [3000, 1000]);
        let alone = Experiment::I.task(&named(&["a", "b"]), None).unwrap_err();
        assert!(matches!(alone, LearnError::Classes { found: 1 }));
        let stranger = Experiment::V.task(&named(&["Zoom", "else"]), None).unwrap_err();
        assert!(stranger.to_string().contains("class else is in no group"));
        let groups = [("Zoom", "a"), ("else", "b")].map(|(a, b)| (a.to_owned(), b.to_owned()));
        assert!(Experiment::V.task(&named(&["Zoom", "else"]), Some(&groups.into())).is_ok());
    }

    #[test]
    fn the_papers_figures_stand_where_the_classes_are_its_own() {
        let plan = Plan { rung: Rung::Random, ..Plan::default() };
        let mut watch = |_: &str, _: usize, _: &Epoch| Control::Continue;
        let make: Make<'_> = &|| Box::new(Nearest::default());
        let mut go = |names: &[&str], experiment| {
            let mut bench = Bench {
                fit: &Fit::default(),
                plan: &plan,
                seeds: &[1, 2],
                clock: &|| 0.0,
                watch: &mut watch,
            };
            let data = [("S_A".to_owned(), named(names))];
            run(experiment, &data, None, &[("lstm", make)], &mut bench).unwrap()
        };
        let outcome = go(&["ICQ", "Line", "Viber"], Experiment::III);
        let papers: Vec<Option<f64>> = outcome.rows.iter().map(|row| row.paper).collect();
        assert_eq!(papers, [Some(0.983), Some(0.9798), Some(0.9768)]);
        assert_eq!(outcome.missing, ["cnn1d", "cnn2d", "forest", "logistic"]);
        assert_eq!(go(&["ICQ", "other"], Experiment::III).rows[0].paper, None);
        assert_eq!(go(&["Zoom", "Huya"], Experiment::VI).rows[0].paper, Some(0.9858));
        assert_eq!(go(&["Voip", "Vpn_Voip"], Experiment::I).rows[0].paper, None);
        assert_eq!(Experiment::I.figure("forest", "S_A", None), Some(0.9985));
        assert_eq!("vi".parse(), Ok(Experiment::VI));
    }

    #[test]
    fn the_papers_tables_add_up() {
        // Its tables give the sums.
        assert_eq!(TABLE_1.iter().map(|row| row.1).sum::<usize>(), 16_144);
        assert_eq!(TABLE_3.iter().map(|row| row.1).sum::<usize>(), 52_484);
        assert_eq!(TABLE_3.iter().filter(|row| row.2).count(), 16);
        // Macro averages of table 6, as spec and not as the paper's text has it.
        let (classes, average) = TABLE_6.split_at(10);
        for model in 0..3 {
            for rate in 0..3 {
                let mean = classes.iter().map(|row| row.1[model][rate]).sum::<f64>() / 10.0;
                assert!((mean - average[0].1[model][rate]).abs() < 6e-4, "{model} {rate} {mean}");
            }
        }
    }
}
