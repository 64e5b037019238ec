//! Figures as plain data: what is drawn, with its numbers, and nothing about how.

use serde::{Deserialize, Serialize};

use crate::grid::Unit;

/// One figure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// File name stem and anchor, unique within its answer.
    pub id: String,
    /// What it shows, as one says it.
    pub title: String,
    /// What it is a part of: the whole behind shares and distributions, units, limits.
    pub caption: String,
    /// The numbers.
    pub chart: Chart,
}

/// What is drawn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
#[non_exhaustive]
pub enum Chart {
    /// Points joined in order of x.
    Lines {
        /// Across.
        x: Axis,
        /// Up.
        y: Axis,
        /// Whether y holds its value until the next x, as distribution functions and counters
        /// do.
        steps: bool,
        /// The lines.
        series: Vec<Series>,
        /// Places on the x axis worth a word.
        marks: Vec<Mark>,
    },
    /// One bar a category, or one stack of bars.
    Bars {
        /// Along the bars.
        axis: Axis,
        /// One name a bar.
        categories: Vec<String>,
        /// One value a category each; more than one stacks.
        series: Vec<Bars>,
    },
}

/// One axis.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Axis {
    /// What it measures.
    pub label: String,
    /// In which unit.
    pub unit: Unit,
    /// How it is spaced.
    pub scale: Scale,
}

/// How an axis is spaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scale {
    /// Evenly.
    #[default]
    Linear,
    /// By powers of ten; only positive values are drawn.
    Log,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// What it stands for.
    pub name: String,
    /// Points in order of x; times are seconds since the epoch.
    pub points: Vec<[f64; 2]>,
}

/// One value a category.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Bars {
    /// What it stands for.
    pub name: String,
    /// Values in order of the categories; none where suppressed or unknown.
    pub values: Vec<Option<f64>>,
}

/// A place on the x axis worth a word.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mark {
    /// Where.
    pub at: f64,
    /// The word.
    pub label: String,
}

impl Figure {
    /// Whether there is anything to draw.
    pub fn is_empty(&self) -> bool {
        match &self.chart {
            Chart::Lines { series, .. } => series.iter().all(|s| s.points.is_empty()),
            Chart::Bars { series, .. } => {
                series.iter().all(|s| s.values.iter().all(|v| v.is_none_or(|v| v == 0.0)))
            }
        }
    }
}

/// Thins a line to about `limit` points, keeping the first and last of every stretch and, where
/// `steps`, the last value before each jump, so that what is drawn differs by less than a pixel.
pub fn thin(points: &[[f64; 2]], limit: usize, log: bool) -> Vec<[f64; 2]> {
    let place = |x: f64| if log { x.max(f64::MIN_POSITIVE).log10() } else { x };
    let (Some(first), Some(last)) = (points.first(), points.last()) else { return Vec::new() };
    if points.len() <= limit {
        return points.to_vec();
    }
    let (left, top) = (place(first[0]), place(last[0]));
    let low = points.iter().map(|p| p[1]).fold(f64::INFINITY, f64::min);
    let high = points.iter().map(|p| p[1]).fold(f64::NEG_INFINITY, f64::max);
    let cells = (limit / 2).max(1) as f64;
    let (dx, dy) = ((top - left) / cells, (high - low) / cells);
    let mut kept = vec![*first];
    for pair in points.windows(2) {
        let (Some(anchor), [before, point]) = (kept.last().copied(), pair) else { continue };
        if (point[1] - anchor[1]).abs() >= dy || place(point[0]) - place(anchor[0]) >= dx {
            if *before != anchor && (point[1] - before[1]).abs() >= dy {
                kept.push(*before);
            }
            kept.push(*point);
        }
    }
    if kept.last() != Some(last) {
        kept.push(*last);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thinning_keeps_ends_and_jumps() {
        let mut points: Vec<[f64; 2]> =
            (0..5000).map(|i| [f64::from(i), f64::from(i) / 10_000.0]).collect();
        points.extend((5000..10_000).map(|i| [f64::from(i), 0.5 + f64::from(i) / 20_000.0]));
        let kept = thin(&points, 200, false);
        assert!(kept.len() <= 410, "{}", kept.len());
        assert_eq!((kept.first(), kept.last()), (points.first(), points.last()));
        // The jump at x = 5000 is still within one step of x.
        let jump = kept.windows(2).find(|p| p[1][1] - p[0][1] > 0.2).map(|p| (p[0][0], p[1][0]));
        assert_eq!(jump, Some((4999.0, 5000.0)));
        let short = [[1.0, 0.5], [2.0, 1.0]];
        assert_eq!(thin(&short, 10, true), short);
        assert!(thin(&[], 10, true).is_empty());
    }
}
