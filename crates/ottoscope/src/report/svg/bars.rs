//! Bars, lying, since their names are words.

use std::fmt::Write as _;

use ottoscope_analysis::figure::{Axis, Bars};
use ottoscope_analysis::grid::Unit;

use super::{CHARACTER, COLOURS, Room, legend, text};
use crate::report::number;
use crate::report::text::{cut, escape, visible};

/// From one bar to the next, and how much of that is bar.
const PITCH: f64 = 24.0;
const THICK: f64 = 15.0;
/// Most characters of a name.
const NAME: usize = 18;

/// Gives height, body and the figure in words.
pub(super) fn draw(
    axis: &Axis,
    categories: &[String],
    series: &[Bars],
    room: Room,
) -> (f64, String, String) {
    let series = gather(series, categories.len());
    let mut body = String::new();
    let names: Vec<String> = series.iter().map(|s| s.name.clone()).collect();
    let top = legend(&mut body, if names.len() > 1 { &names } else { &[] }, room) + 6.0;
    let sums: Vec<f64> = (0..categories.len())
        .map(|i| series.iter().filter_map(|s| s.values.get(i).copied().flatten()).sum())
        .collect();
    let highest = sums.iter().copied().fold(0.0, f64::max);
    // Parts of a whole are labelled in the bars; their sums would all say the same.
    let parts = axis.unit == Unit::Share && series.len() > 1;

    let longest = categories.iter().map(|c| c.chars().count().min(NAME)).max().unwrap_or(0);
    let left = longest as f64 * CHARACTER + 10.0;
    let right = room.width() - if parts { 6.0 } else { 76.0 };
    let scale = if highest > 0.0 { (right - left) / highest } else { 0.0 };

    for (i, category) in categories.iter().enumerate() {
        let y = top + i as f64 * PITCH;
        let name = visible(category);
        let _ = write!(
            body,
            "<g><title>{}</title>",
            escape(&format!("{name}: {}", number::value(sums[i], axis.unit)))
        );
        text(&mut body, left - 8.0, y + THICK - 3.0, "end", "name", &cut(&name, NAME));
        body.push_str("</g>");
        let mut x = left;
        for (j, bars) in series.iter().enumerate() {
            let Some(value) = bars.values.get(i).copied().flatten().filter(|v| *v > 0.0) else {
                continue;
            };
            let wide = value * scale;
            let words = format!("{name}, {}: {}", bars.name, number::value(value, axis.unit));
            let _ = write!(
                body,
                "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{THICK}\" class=\"bar f{j}\"><title>{}</title></rect>",
                wide.max(0.5),
                escape(&visible(&words))
            );
            if parts && wide >= 44.0 {
                text(
                    &mut body,
                    x + wide / 2.0,
                    y + THICK - 3.5,
                    "middle",
                    "inside",
                    &number::value(value, axis.unit),
                );
            }
            x += wide;
        }
        if !parts {
            text(
                &mut body,
                x + 6.0,
                y + THICK - 3.0,
                "start",
                "tick",
                &number::value(sums[i], axis.unit),
            );
        }
    }
    let height = top + categories.len() as f64 * PITCH;
    (height, body, words(axis, categories, &series))
}

/// The largest series in the order given, the rest as one.
fn gather(series: &[Bars], categories: usize) -> Vec<Bars> {
    if series.len() <= COLOURS {
        return series.to_vec();
    }
    let sum = |bars: &Bars| bars.values.iter().flatten().sum::<f64>();
    let mut order: Vec<usize> = (0..series.len()).collect();
    order.sort_by(|a, b| sum(&series[*b]).total_cmp(&sum(&series[*a])));
    let (kept, rest) = order.split_at(COLOURS - 1);
    let mut kept = kept.to_vec();
    kept.sort_unstable();
    let mut all: Vec<Bars> = kept.into_iter().map(|i| series[i].clone()).collect();
    let values = (0..categories)
        .map(|c| {
            let values: Vec<f64> =
                rest.iter().filter_map(|i| series[*i].values.get(c).copied().flatten()).collect();
            (!values.is_empty()).then(|| values.iter().sum())
        })
        .collect();
    all.push(Bars { name: format!("{} others", rest.len()), values });
    all
}

fn words(axis: &Axis, categories: &[String], series: &[Bars]) -> String {
    let mut words = format!("{}.", axis.label);
    for (i, category) in categories.iter().enumerate() {
        let _ = write!(words, " {}:", visible(category));
        for bars in series {
            if let Some(value) = bars.values.get(i).copied().flatten() {
                let _ =
                    write!(words, " {} {}", visible(&bars.name), number::value(value, axis.unit));
            }
        }
        words.push('.');
    }
    words
}
