//! Which header field alone gives the answer away.
//!
//! A forest learns from the bytes of one field and nothing else. Where it comes close to the
//! model, the model may know no more than that field, and what the field tells is mostly where
//! and when the traffic was captured.

use serde::{Deserialize, Serialize};

use crate::evaluate::{Bench, Make, once};
use crate::masks::{Field, Mask, fields};
use crate::split::Split;
use crate::{Dataset, LearnError, Samples};

/// Bytes of a field that are looked at over all packets of a sample.
const MOST: usize = 96;
/// A probe within so much of the model's accuracy solves its task.
const CLOSE: f64 = 0.03;

/// What fields of headers alone score.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Probe {
    /// The field, or the name of several.
    pub name: String,
    /// Bytes of it in the sample that has most.
    pub bytes: usize,
    /// Share of test samples right.
    pub accuracy: f64,
    /// Mean F1 over classes.
    pub macro_f1: f64,
}

/// The samples' bytes of some fields and nothing else, zeros where one has fewer. None where no
/// sample has any.
pub fn extract(samples: &Samples, covers: impl Fn(Field) -> bool) -> Option<Dataset> {
    let mut rows: Vec<Vec<u8>> = Vec::with_capacity(samples.len());
    for row in 0..samples.len() {
        let sample = samples.data.sample(row);
        let fields = fields(sample, &samples.layouts[row]);
        let bytes = sample.iter().zip(fields).filter(|(_, field)| covers(*field));
        rows.push(bytes.map(|(byte, _)| *byte).take(MOST).collect());
    }
    let width = rows.iter().map(Vec::len).max().filter(|width| *width > 0)?;
    let mut bytes = Vec::with_capacity(width * rows.len());
    for mut row in rows {
        row.resize(width, 0);
        bytes.extend(row);
    }
    Some(Dataset {
        bytes,
        width,
        labels: samples.data.labels.clone(),
        classes: samples.data.classes.clone(),
        ..Dataset::default()
    })
}

/// Capture time, addresses, ports and lengths: what a trivial rival may look at.
pub fn is_identifier(field: Field) -> bool {
    matches!(field, Field::Time | Field::Addresses | Field::Ports) || Mask::Lengths.covers(field)
}

/// Scores a forest on each header field alone, and on the usual suspects together: best first.
/// `raw` has the same rows as what was split, with nothing masked.
///
/// # Errors
/// Those of training.
pub fn leaks(
    raw: &Samples,
    split: &Split,
    forest: Make<'_>,
    bench: &mut Bench<'_>,
) -> Result<Vec<Probe>, LearnError> {
    let single = Field::ALL.into_iter().filter(|field| Mask::Headers.covers(*field));
    let mut suspects: Vec<(String, Vec<Field>)> =
        single.map(|field| (field.name().to_owned(), vec![field])).collect();
    let of = |is: &dyn Fn(Field) -> bool| Field::ALL.into_iter().filter(|f| is(*f)).collect();
    suspects.push(("time, addresses, ports, lengths".to_owned(), of(&is_identifier)));
    suspects.push(("all lengths".to_owned(), of(&|field| Mask::Lengths.covers(field))));
    let mut probes = Vec::new();
    for (name, fields) in suspects {
        let Some(data) = extract(raw, |field| fields.contains(&field)) else { continue };
        let mut model = forest();
        let run = once(model.as_mut(), &data, split, bench.fit.seed, 0, bench)?;
        probes.push(Probe {
            name,
            bytes: data.width,
            accuracy: run.scores.accuracy,
            macro_f1: run.scores.macro_.f1,
        });
    }
    probes.sort_by(|a, b| b.accuracy.total_cmp(&a.accuracy));
    Ok(probes)
}

/// The probes that come within three points of what the model has right, or beat it.
pub fn solvers(probes: &[Probe], accuracy: f64) -> Vec<&Probe> {
    probes.iter().filter(|probe| probe.accuracy >= accuracy - CLOSE).collect()
}

/// Says what the probes mean for a model; none where no probe comes close.
pub fn verdict(probes: &[Probe], accuracy: f64) -> Option<String> {
    let names: Vec<&str> = solvers(probes, accuracy).iter().map(|probe| &*probe.name).collect();
    (!names.is_empty()).then(|| format!("the task is solvable from {}", names.join("; or ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::split::{Plan, Rung, split};
    use crate::testing::{Nearest, linked};
    use crate::{Control, Epoch, Fit};

    #[test]
    fn the_link_type_is_found_out() {
        let samples = linked(80);
        let plan = Plan { rung: Rung::Flow, ..Plan::default() };
        let split = split(&samples, &plan).unwrap();
        let mut watch = |_: &str, _: usize, _: &Epoch| Control::Continue;
        let mut bench = Bench {
            fit: &Fit::default(),
            plan: &plan,
            seeds: &[1],
            clock: &|| 0.0,
            watch: &mut watch,
        };
        let probes = leaks(&samples, &split, &|| Box::new(Nearest::default()), &mut bench).unwrap();
        let of = |name: &str| probes.iter().find(|probe| probe.name == name).unwrap();
        assert_eq!((of("link type").accuracy, of("link type").bytes), (1.0, 4));
        assert_eq!(of("link layer").accuracy, 1.0);
        assert!(of("TTL").accuracy < 0.7, "{probes:?}");
        let verdict = verdict(&probes, 0.99).unwrap();
        assert!(verdict.contains("link type") && !verdict.contains("TTL"), "{verdict}");
        assert!(super::verdict(&probes[probes.len() - 1..], 0.99).is_none());
    }

    #[test]
    fn only_the_fields_are_extracted() {
        let samples = linked(2);
        let ports = extract(&samples, |field| field == Field::Ports).unwrap();
        // Two packets of four bytes each.
        assert_eq!(ports.sample(0), [0xc3, 0x50, 1, 187, 1, 187, 0xc3, 0x50]);
        assert!(extract(&samples, |field| field == Field::TcpFlags).is_none());
    }
}
