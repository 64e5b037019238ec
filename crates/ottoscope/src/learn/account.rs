//! Scores, told: tables and figures that are printed and made pages of.

use ottoscope_analysis::figure::{Axis, Chart, Figure, Scale, Series};
use ottoscope_analysis::grid::Unit;
use ottoscope_learn::Epoch;
use ottoscope_learn::evaluate::Summary;
use ottoscope_learn::score::{Interval, Scores};

use crate::account::{Step, Table, count, heads};

/// Classes whose confusions are shown as a matrix; more make a list of the most frequent.
const MATRIX: usize = 16;
/// Confusions listed.
const LISTED: usize = 20;

/// A share with four digits.
pub(crate) fn share(x: f64) -> String {
    format!("{x:.4}")
}

/// A mean with half its 95 % interval.
pub(crate) fn interval(of: &Interval) -> String {
    match of.half {
        Some(half) => format!("{:.4} ± {half:.4}", of.mean),
        None => share(of.mean),
    }
}

/// A line a model: accuracy, the three means of F1, cost.
pub(crate) fn models(caption: &str, summaries: &[Summary]) -> Table {
    let rows = summaries
        .iter()
        .map(|summary| {
            let costs = summary.runs.iter().map(|run| run.cost);
            let runs = summary.runs.len().max(1) as f64;
            let passes: u32 = costs.clone().map(|cost| cost.epochs).sum();
            let fit: f64 = costs.clone().map(|cost| cost.fit_seconds).sum();
            let speed: f64 = costs.clone().map(|cost| cost.predictions).sum::<f64>() / runs;
            let bytes = costs.map(|cost| cost.bytes).max().unwrap_or_default();
            vec![
                summary.model.clone(),
                interval(&summary.accuracy),
                interval(&summary.f1[0]),
                interval(&summary.f1[1]),
                interval(&summary.f1[2]),
                format!("{:.1}", f64::from(passes) / runs),
                format!("{:.3}", fit / f64::from(passes.max(1))),
                count(speed as u64),
                count(bytes as u64),
            ]
        })
        .collect();
    Table {
        caption: caption.to_owned(),
        columns: heads([
            "model",
            "accuracy",
            "F1 micro",
            "F1 macro",
            "F1 weighted",
            "passes",
            "s a pass",
            "predictions/s",
            "bytes",
        ]),
        rows,
    }
}

/// Precision, recall and F1 of every class.
pub(crate) fn classes(caption: &str, scores: &Scores) -> Table {
    let rates = |name: &str, samples: u64, r: &ottoscope_learn::score::Rates| {
        vec![name.to_owned(), count(samples), share(r.precision), share(r.recall), share(r.f1)]
    };
    let mut rows: Vec<Vec<String>> =
        scores.classes.iter().map(|c| rates(&c.class, c.samples, &c.rates)).collect();
    let all = scores.classes.iter().map(|class| class.samples).sum();
    for (name, mean) in
        [("micro", &scores.micro), ("macro", &scores.macro_), ("weighted", &scores.weighted)]
    {
        rows.push(rates(name, all, mean));
    }
    Table {
        caption: caption.to_owned(),
        columns: heads(["class", "samples", "precision", "recall", "F1"]),
        rows,
    }
}

/// Which class was taken for which.
pub(crate) fn confusion(caption: &str, scores: &Scores) -> Table {
    let names: Vec<&str> = scores.classes.iter().map(|class| &*class.class).collect();
    if names.len() <= MATRIX {
        let mut columns = heads(["is"]);
        columns.extend(names.iter().map(|name| (*name).to_owned().into()));
        let rows = names.iter().zip(&scores.confusion).map(|(name, row)| {
            let cells = row.iter().map(|n| count(*n));
            std::iter::once((*name).to_owned()).chain(cells).collect()
        });
        let caption = format!("{caption}: true class by row, answer by column");
        return Table { caption, columns, rows: rows.collect() };
    }
    let mut pairs: Vec<(u64, usize, usize)> = Vec::new();
    for (is, row) in scores.confusion.iter().enumerate() {
        let wrong = row.iter().enumerate().filter(|(said, n)| *said != is && **n > 0);
        pairs.extend(wrong.map(|(said, n)| (*n, is, said)));
    }
    pairs.sort_by_key(|pair| (std::cmp::Reverse(pair.0), pair.1, pair.2));
    let rows = pairs
        .into_iter()
        .take(LISTED)
        .map(|(n, is, said)| vec![names[is].to_owned(), names[said].to_owned(), count(n)]);
    Table {
        caption: format!("{caption}: the most frequent confusions"),
        columns: heads(["is", "taken for", "samples"]),
        rows: rows.collect(),
    }
}

fn axis(label: &str, unit: Unit) -> Axis {
    Axis { label: label.to_owned(), unit, scale: Scale::Linear }
}

/// Loss and accuracy of every pass.
pub(crate) fn curves(step: &mut Step, id: &str, model: &str, epochs: &[Epoch]) {
    if epochs.len() < 2 {
        return;
    }
    let points = |of: &dyn Fn(&Epoch) -> Option<f32>| {
        let points = epochs.iter().filter_map(|e| Some([f64::from(e.number), of(e)?.into()]));
        points.collect::<Vec<_>>()
    };
    let series = |name: &str, points| Series { name: name.to_owned(), points };
    for (what, unit, series) in [
        (
            "loss",
            Unit::Count,
            [
                series("training", points(&|e| Some(e.loss))),
                series("validation", points(&|e| Some(e.validation?.0))),
            ],
        ),
        (
            "accuracy",
            Unit::Share,
            [
                series("training", points(&|e| Some(e.accuracy))),
                series("validation", points(&|e| Some(e.validation?.1))),
            ],
        ),
    ] {
        step.figures.push(Figure {
            id: format!("{id}-{what}"),
            title: format!("{model}: {what} by pass"),
            caption: match what {
                "loss" => "Mean cross-entropy, nats".to_owned(),
                _ => "Share of samples right".to_owned(),
            },
            chart: Chart::Lines {
                x: axis("pass", Unit::Count),
                y: axis(what, unit),
                steps: false,
                series: series.to_vec(),
                marks: Vec::new(),
            },
        });
    }
}

/// Stated probability against the share that is right.
pub(crate) fn reliability(step: &mut Step, id: &str, model: &str, scores: &Scores) {
    let points = scores.reliability.iter().filter(|bin| bin.answers > 0);
    let points: Vec<[f64; 2]> = points.map(|bin| [bin.stated, bin.right]).collect();
    if points.len() < 2 {
        return;
    }
    step.figures.push(Figure {
        id: format!("{id}-reliability"),
        title: format!("{model}: what a probability is worth"),
        caption: format!(
            "Share of answers that are right by the probability they state; expected calibration \
             error {:.4}",
            scores.calibration_error
        ),
        chart: Chart::Lines {
            x: axis("stated probability", Unit::Share),
            y: axis("right", Unit::Share),
            steps: false,
            series: vec![
                Series { name: model.to_owned(), points },
                Series { name: "exact".to_owned(), points: vec![[0.0, 0.0], [1.0, 1.0]] },
            ],
            marks: Vec::new(),
        },
    });
}
