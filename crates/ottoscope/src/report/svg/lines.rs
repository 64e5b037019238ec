//! Lines: distributions and series over time.

use std::fmt::Write as _;

use ottoscope_analysis::figure::{Axis, Mark, Scale, Series};
use ottoscope_analysis::grid::Unit;

use super::scale::Place;
use super::{CHARACTER, COLOURS, LINE, Room, legend, text};
use crate::report::number;

/// What is drawn.
pub(super) struct Plot<'a> {
    pub(super) x: &'a Axis,
    pub(super) y: &'a Axis,
    pub(super) steps: bool,
    pub(super) series: &'a [Series],
    pub(super) marks: &'a [Mark],
}

/// Height of the area that the lines are in.
const AREA: f64 = 190.0;
const BOTTOM: f64 = 40.0;

/// Gives height, body and the figure in words.
pub(super) fn draw(plot: &Plot<'_>, room: Room) -> (f64, String, String) {
    let series = &plot.series[..plot.series.len().min(COLOURS)];
    let mut body = String::new();
    let names: Vec<String> = series.iter().map(|s| s.name.clone()).collect();
    let mut top = legend(&mut body, if names.len() > 1 { &names } else { &[] }, room) + 8.0;
    text(&mut body, 0.0, top + 6.0, "start", "axis", &plot.y.label);
    top += LINE;
    if !plot.marks.is_empty() {
        top += LINE - 4.0;
    }
    let bottom = top + AREA;

    let points = || series.iter().flat_map(|s| s.points.iter());
    let distribution = plot.y.unit == Unit::Share;
    let ends = if distribution { vec![0.0, 1.0] } else { Vec::new() };
    let y = Place::new(
        plot.y.scale,
        plot.y.unit,
        points().map(|p| p[1]).chain(ends),
        true,
        (bottom, top),
    )
    .rounded(5);
    let y_ticks = y.ticks(5);
    let widest = y_ticks.iter().map(|t| t.label.chars().count()).max().unwrap_or(0);
    let left = (widest as f64 * CHARACTER + 8.0).max(30.0);
    let right = room.width() - 14.0;
    let marked = plot.marks.iter().map(|m| m.at);
    let x = Place::new(
        plot.x.scale,
        plot.x.unit,
        points().map(|p| p[0]).chain(marked),
        false,
        (left, right),
    );

    for tick in &y_ticks {
        let at = y.at(tick.at);
        let _ = write!(body, "<path class=\"grid\" d=\"M{left:.1} {at:.1}H{right:.1}\"/>");
        text(&mut body, left - 6.0, at + 4.0, "end", "tick", &tick.label);
    }
    x_axis(&mut body, &x, plot.x, (left, right, bottom));
    marks(&mut body, &x, plot.marks, (left, right, top, bottom));
    for (i, line) in series.iter().enumerate() {
        let fine = if line.points.len() > 150 && !distribution { " fine" } else { "" };
        let path = path(line, &x, &y, plot, (distribution && plot.steps).then_some(right));
        let _ = write!(body, "<path class=\"line l{i}{fine}\" d=\"{path}\"/>");
    }
    (bottom + BOTTOM, body, words(plot, series))
}

fn x_axis(body: &mut String, x: &Place, axis: &Axis, (left, right, bottom): (f64, f64, f64)) {
    let _ = write!(body, "<path class=\"base\" d=\"M{left:.1} {bottom:.1}H{right:.1}\"/>");
    let count = ((right - left) / 66.0) as usize;
    let mut free = f64::NEG_INFINITY;
    for tick in x.ticks(count.max(2)) {
        let at = x.at(tick.at);
        let half = tick.label.chars().count() as f64 * CHARACTER / 2.0;
        let _ = write!(body, "<path class=\"base\" d=\"M{at:.1} {bottom:.1}v4\"/>");
        let middle = at.clamp(left.min(half), (right + 14.0 - half).max(left.min(half)));
        if middle - half >= free {
            text(body, middle, bottom + 16.0, "middle", "tick", &tick.label);
            free = middle + half + 6.0;
        }
    }
    let label = if axis.unit == Unit::Time {
        let day = number::time(x.low());
        format!("{} UTC", day.split(' ').next().unwrap_or_default())
    } else {
        axis.label.clone()
    };
    text(body, right, bottom + 33.0, "end", "axis", &label);
}

fn marks(
    body: &mut String,
    x: &Place,
    marks: &[Mark],
    (left, right, top, bottom): (f64, f64, f64, f64),
) {
    // Words that would touch are put together over the middle of their lines.
    let mut groups: Vec<(f64, f64, String)> = Vec::new();
    let wide = |words: &str| words.chars().count() as f64 * CHARACTER;
    for mark in marks {
        let at = x.at(mark.at);
        let _ = write!(body, "<path class=\"mark\" d=\"M{at:.1} {:.1}V{bottom:.1}\"/>", top - 3.0);
        match groups.last_mut() {
            Some((first, last, words))
                if at - (*first + *last) / 2.0 < (wide(words) + wide(&mark.label)) / 2.0 + 8.0 =>
            {
                *last = at;
                *words = format!("{words}, {}", mark.label);
            }
            _ => groups.push((at, at, mark.label.clone())),
        }
    }
    for (first, last, words) in groups {
        let half = wide(&words) / 2.0;
        let middle =
            ((first + last) / 2.0).clamp(left + half, (right + 14.0 - half).max(left + half));
        text(body, middle, top - 7.0, "middle", "tick", &words);
    }
}

fn path(line: &Series, x: &Place, y: &Place, plot: &Plot<'_>, extend: Option<f64>) -> String {
    let mut path = String::new();
    let drawn = line.points.iter().filter(|p| {
        p[0].is_finite() && p[1].is_finite() && (plot.x.scale == Scale::Linear || p[0] > 0.0)
    });
    let mut last: Option<(f64, f64)> = None;
    for point in drawn {
        let (px, py) = (x.at(point[0]), y.at(point[1]));
        let _ = match last {
            None if extend.is_some() => write!(path, "M{px:.1} {:.1}V{py:.1}", y.at(0.0)),
            None => write!(path, "M{px:.1} {py:.1}"),
            Some((lx, ly)) if plot.steps => {
                let across =
                    if (px - lx).abs() >= 0.05 { format!("H{px:.1}") } else { String::new() };
                let up = if (py - ly).abs() >= 0.05 { format!("V{py:.1}") } else { String::new() };
                write!(path, "{across}{up}")
            }
            Some(_) => write!(path, "L{px:.1} {py:.1}"),
        };
        last = Some((px, py));
    }
    if let (Some(end), Some(_)) = (extend, last) {
        let _ = write!(path, "H{end:.1}");
    }
    path
}

fn words(plot: &Plot<'_>, series: &[Series]) -> String {
    let mut words = format!(
        "{} against {}.",
        plot.y.label,
        match plot.x.unit {
            Unit::Time => "time",
            _ => plot.x.label.as_str(),
        }
    );
    for line in series {
        let (Some(first), Some(last)) = (line.points.first(), line.points.last()) else { continue };
        let highest = line.points.iter().fold(*first, |a, b| if b[1] > a[1] { *b } else { a });
        let _ = write!(
            words,
            " {}: from {} at {} to {} at {}, highest {} at {}.",
            line.name,
            number::value(first[1], plot.y.unit),
            number::value(first[0], plot.x.unit),
            number::value(last[1], plot.y.unit),
            number::value(last[0], plot.x.unit),
            number::value(highest[1], plot.y.unit),
            number::value(highest[0], plot.x.unit),
        );
    }
    words
}
