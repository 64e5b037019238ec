//! All that is said of models on some data: what a page, a table or a JSON file is made from.

use serde::{Deserialize, Serialize};

use crate::clean::{Cleaned, Counts, counts};
use crate::evaluate::{Bench, Entry, Make, Summary, contest, once};
use crate::forge::Forge;
use crate::leaks::{Probe, leaks, verdict};
use crate::masks::Masks;
use crate::openset::{OpenSet, open_set};
use crate::rivals::{Makers, rivals, unbeaten};
use crate::score::score;
use crate::split::{Plan, Rung, Split, allows, split};
use crate::{LearnError, Rows, Samples};

/// Whether data can be split at a rung.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RungState {
    /// The rung.
    pub rung: Rung,
    /// Why it can't; none where it can.
    pub refused: Option<String>,
}

/// A model asked again about the same traffic with other addresses, ports and times.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Forged {
    /// The model.
    pub model: String,
    /// Share of test samples right.
    pub before: f64,
    /// The same, forged. What is lost was known of hosts and times, not of traffic.
    pub after: f64,
}

/// What `evaluate` found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Samples of each class.
    pub counts: Counts,
    /// What was dropped before splitting.
    pub cleaned: Cleaned,
    /// Names of masks.
    pub masks: Vec<String>,
    /// Bytes of each sample that masks leave.
    pub left: usize,
    /// What was kept apart.
    pub rung: Rung,
    /// Groups that were parted, and samples of the largest.
    pub groups: [usize; 2],
    /// Samples of each class to learn from, to validate and to test, on the first seed's split.
    pub parts: Vec<[usize; 3]>,
    /// Which rungs the data allow.
    pub rungs: Vec<RungState>,
    /// The models, over all seeds.
    pub models: Vec<Summary>,
    /// The rivals, over all seeds.
    pub rivals: Vec<Summary>,
    /// Header fields alone, on the first seed's split: best first.
    pub leaks: Vec<Probe>,
    /// The models on forged samples, on the first seed's split.
    pub forged: Vec<Forged>,
    /// Held-out classes, where there were any.
    pub open: Option<OpenSet>,
    /// What a reader must know first.
    pub warnings: Vec<String>,
}

/// What is asked beside scores.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Extra<'a> {
    /// Classes to hold out for the open set, asked of the first model.
    pub held: &'a [u16],
    /// How samples are forged; none to leave that out.
    pub forge: Option<Forge>,
}

/// Evaluates models on samples with `masks`: over all seeds, beside their rivals, with leaks.
///
/// # Errors
/// Those of splitting and of training.
pub fn evaluate(
    raw: &Samples,
    masks: &Masks,
    models: &[(&str, Make<'_>)],
    makers: &Makers<'_>,
    extra: &Extra<'_>,
    bench: &mut Bench<'_>,
) -> Result<Report, LearnError> {
    let (masked, left) = raw.masked(masks);
    let entries: Vec<Entry<'_>> = models
        .iter()
        .map(|(name, make)| Entry { name: (*name).to_owned(), make: *make, data: &masked.data })
        .collect();
    let summaries = contest(&entries, &masked, bench)?;
    let rivals = rivals(raw, &masked, makers, bench)?;
    let seed = bench.seeds.first().copied().unwrap_or(bench.fit.seed);
    let first = split(&masked, &Plan { seed, ..*bench.plan })?;
    let leaks = leaks(raw, &first, makers.forest, bench)?;
    let mut forged = Vec::new();
    if let Some(forge) = extra.forge {
        let (other, _) = forge.samples(raw).masked(masks);
        for (name, make) in models {
            let mut model = make();
            let run = once(model.as_mut(), &masked.data, &first, seed, 0, bench)?;
            let rows = Rows { data: &other.data, rows: &first.test };
            let answers = model.predict(rows, bench.fit.threads);
            let labels: Vec<u16> = rows.labels().collect();
            let after = score(&answers, &labels, &other.data.classes)?.accuracy;
            forged.push(Forged { model: (*name).to_owned(), before: run.scores.accuracy, after });
        }
    }
    let open = match (extra.held, models.first()) {
        ([], _) | (_, None) => None,
        (held, Some((_, make))) => Some(open_set(*make, &masked, held, bench)?),
    };
    let rungs = Rung::ALL.map(|rung| RungState {
        rung,
        refused: allows(&masked, rung).err().map(|error| error.to_string()),
    });
    let mut report = Report {
        counts: counts(&raw.data),
        cleaned: first.cleaned,
        masks: masks.names(),
        left,
        rung: bench.plan.rung,
        groups: [first.groups, first.largest],
        parts: parts(&masked, &first),
        rungs: rungs.to_vec(),
        models: summaries,
        rivals,
        leaks,
        forged,
        open,
        warnings: Vec::new(),
    };
    report.warnings = warnings(&report);
    Ok(report)
}

/// Samples of each class in each part.
fn parts(samples: &Samples, split: &Split) -> Vec<[usize; 3]> {
    let mut parts = vec![[0; 3]; samples.data.classes.len()];
    for (part, rows) in [&split.train, &split.validation, &split.test].into_iter().enumerate() {
        rows.iter()
            .for_each(|row| parts[usize::from(samples.data.labels[*row as usize])][part] += 1);
    }
    parts
}

/// What a reader must know first.
fn warnings(report: &Report) -> Vec<String> {
    let mut said = Vec::new();
    if report.rung == Rung::Random {
        said.push(
            "the split is random: packets of one flow, host or capture are on both sides"
                .to_owned(),
        );
    }
    let all: usize = report.parts.iter().flatten().sum();
    let [groups, largest] = report.groups;
    if largest * 10 > all {
        said.push(format!(
            "one of {groups} groups holds {largest} of {all} samples: the score hangs on which groups \
             are tested, look at its interval"
        ));
    }
    if report.masks.is_empty() {
        said.push(
            "nothing is masked: the model sees addresses, ports and capture times".to_owned(),
        );
    }
    for model in &report.models {
        if let Some(verdict) = verdict(&report.leaks, model.accuracy.mean) {
            said.push(format!("{}: {verdict}", model.model));
        }
        let names: Vec<&str> =
            unbeaten(model, &report.rivals).iter().map(|rival| &*rival.model).collect();
        if !names.is_empty() {
            said.push(format!("{} does not beat {}", model.model, names.join("; or ")));
        }
    }
    for forged in &report.forged {
        let lost = forged.before - forged.after;
        if lost > 0.01 {
            said.push(format!(
                "{} loses {:.1} points when addresses, ports and times are others",
                forged.model,
                lost * 100.0
            ));
        }
    }
    if report.cleaned.conflicts > 0 {
        said.push(format!("{} samples equal one of another class", report.cleaned.conflicts));
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Nearest, linked};
    use crate::{Control, Epoch, Fit};

    fn go(masks: &Masks, rung: Rung) -> Report {
        let raw = linked(80);
        let make: Make<'_> = &|| Box::new(Nearest::default());
        let plan = Plan { rung, ..Plan::default() };
        let mut watch = |_: &str, _: usize, _: &Epoch| Control::Continue;
        let mut bench = Bench {
            fit: &Fit::default(),
            plan: &plan,
            seeds: &[1, 2],
            clock: &|| 0.0,
            watch: &mut watch,
        };
        let makers = Makers { forest: make, boosted: make, nearest: make };
        let extra = Extra { held: &[], forge: Some(Forge::all(1)) };
        evaluate(&raw, masks, &[("nearest", make)], &makers, &extra, &mut bench).unwrap()
    }

    #[test]
    fn a_shortcut_is_called_one() {
        let report = go(&Masks::none(), Rung::Random);
        assert_eq!(report.models[0].accuracy.mean, 1.0);
        let said = report.warnings.join("\n");
        for expected in ["split is random", "nothing is masked", "solvable from", "does not beat"] {
            assert!(said.contains(expected), "{said}");
        }
        let text = serde_json::to_string(&report).unwrap();
        let back: Report = serde_json::from_str(&text).unwrap();
        assert!(back.warnings == report.warnings && back.rungs == report.rungs);
        assert_eq!(back.leaks.len(), report.leaks.len());
    }

    #[test]
    fn honest_masks_leave_nothing_of_it() {
        let report = go(&Masks::honest(), Rung::Flow);
        assert!(report.models[0].accuracy.mean < 0.75, "{}", report.models[0].accuracy);
        assert_eq!(report.parts.iter().flatten().sum::<usize>(), 80);
        let refused: Vec<Rung> =
            report.rungs.iter().filter(|state| state.refused.is_some()).map(|s| s.rung).collect();
        assert_eq!(refused, [Rung::Capture, Rung::Time]);
        assert_eq!(report.forged[0].before, report.forged[0].after);
    }
}
