//! Reads `figure.toml` of an analysis: which columns of which table are drawn how.

use serde::Deserialize;

use crate::answer::NamedTable;
use crate::figure::{Axis, Bars, Chart, Figure, Scale, Series, thin};
use crate::grid::{Cell, Grid, Unit};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Plots {
    #[serde(default)]
    figure: Vec<Plot>,
}

/// One figure of a table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Plot {
    id: String,
    title: String,
    caption: String,
    /// The table of the answer.
    table: String,
    kind: Kind,
    /// Column of names (bars) or of x (lines).
    x: String,
    /// Columns of values; more than one stacks.
    y: Vec<String>,
    /// What `y` is called, in order; the column's name where missing.
    #[serde(default)]
    names: Vec<String>,
    /// Lines: column whose values are the names of the lines. Bars: column whose values are
    /// stacked.
    by: Option<String>,
    label: String,
    #[serde(default)]
    scale: Scale,
    /// Lines: what x is, and how it is spaced.
    #[serde(default)]
    x_label: String,
    #[serde(default)]
    x_scale: Scale,
    /// Rows whose `x` is one of these are left out (totals).
    #[serde(default)]
    skip: Vec<String>,
    /// Values of `by` that are left out (totals).
    #[serde(default)]
    skip_y: Vec<String>,
    /// At most this many bars or lines; the rest is left out, as the caption must say.
    #[serde(default = "twelve")]
    top: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    Bars,
    Lines,
}

fn twelve() -> usize {
    12
}

/// Points a line keeps.
const POINTS: usize = 600;

impl Plots {
    /// Reads the text. `Err` is a bug in the analysis, which its test finds.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        toml::from_str(text).map_err(|e| e.to_string())
    }

    /// The figures of these tables; those without a value are left out.
    pub(crate) fn draw(&self, tables: &[NamedTable]) -> Result<Vec<Figure>, String> {
        let mut figures = Vec::new();
        for plot in &self.figure {
            let table = tables.iter().find(|t| t.name == plot.table);
            let table =
                table.ok_or_else(|| format!("figure {}: no table {}", plot.id, plot.table))?;
            let figure =
                plot.draw(&table.grid()).map_err(|e| format!("figure {}: {e}", plot.id))?;
            if !figure.is_empty() {
                figures.push(figure);
            }
        }
        Ok(figures)
    }
}

impl Plot {
    fn draw(&self, grid: &Grid) -> Result<Figure, String> {
        let chart = match self.kind {
            Kind::Bars => self.bars(grid)?,
            Kind::Lines => self.lines(grid)?,
        };
        Ok(Figure {
            id: self.id.clone(),
            title: self.title.clone(),
            caption: self.caption.clone(),
            chart,
        })
    }

    fn axis(&self, unit: Unit) -> Axis {
        Axis { label: self.label.clone(), unit, scale: self.scale }
    }

    fn rows<'a>(&'a self, grid: &'a Grid, x: usize) -> impl Iterator<Item = &'a Vec<Cell>> {
        let skipped = move |row: &&Vec<Cell>| {
            !row[x].text().is_some_and(|t| self.skip.iter().any(|s| s == t))
        };
        grid.rows.iter().filter(skipped)
    }

    fn bars(&self, grid: &Grid) -> Result<Chart, String> {
        let x = column(grid, &self.x)?;
        let y = self.y.iter().map(|name| column(grid, name)).collect::<Result<Vec<_>, _>>()?;
        let by = self.by.as_ref().map(|name| column(grid, name)).transpose()?;
        let first = *y.first().ok_or("no y")?;
        let mut categories: Vec<String> = Vec::new();
        let mut series: Vec<Bars> = Vec::new();
        for row in self.rows(grid, x) {
            if by.is_some_and(|by| self.skip_y.contains(&label(&row[by]))) {
                continue;
            }
            let name = label(&row[x]);
            let category = categories.iter().position(|c| *c == name).unwrap_or(categories.len());
            if category == categories.len() {
                if categories.len() == self.top {
                    continue;
                }
                categories.push(name);
            }
            for (i, y) in y.iter().enumerate() {
                let of = match by {
                    Some(by) => label(&row[by]),
                    None => self.names.get(i).unwrap_or(&self.y[i]).clone(),
                };
                let bars = match series.iter().position(|s| s.name == of) {
                    Some(at) => &mut series[at],
                    None => {
                        series.push(Bars { name: of, values: Vec::new() });
                        series.last_mut().ok_or("unreachable")?
                    }
                };
                bars.values.resize(categories.len().max(bars.values.len()), None);
                // Several rows of one name (tasks of a service) add up.
                bars.values[category] = match (bars.values[category], row[*y].number()) {
                    (Some(a), Some(b)) => Some(a + b),
                    (a, b) => a.or(b),
                };
            }
        }
        for bars in &mut series {
            bars.values.resize(categories.len(), None);
        }
        if by.is_some() {
            // By name, so that one name has one colour in all figures of the same names.
            series.sort_by(|a, b| a.name.cmp(&b.name));
        }
        Ok(Chart::Bars { axis: self.axis(grid.columns[first].unit), categories, series })
    }

    fn lines(&self, grid: &Grid) -> Result<Chart, String> {
        let x = column(grid, &self.x)?;
        let y = self.y.iter().map(|name| column(grid, name)).collect::<Result<Vec<_>, _>>()?;
        let by = self.by.as_ref().map(|name| column(grid, name)).transpose()?;
        let first = *y.first().ok_or("no y")?;
        let mut series: Vec<Series> = Vec::new();
        for row in self.rows(grid, x) {
            let Some(at) = row[x].number() else { continue };
            for (i, y) in y.iter().enumerate() {
                let Some(value) = row[*y].number() else { continue };
                let of = match by {
                    Some(by) => label(&row[by]),
                    None => self.names.get(i).unwrap_or(&self.y[i]).clone(),
                };
                match series.iter().position(|s| s.name == of) {
                    Some(line) => series[line].points.push([at, value]),
                    None if series.len() < self.top => {
                        series.push(Series { name: of, points: vec![[at, value]] });
                    }
                    None => {}
                }
            }
        }
        for line in &mut series {
            line.points.sort_by(|a, b| a[0].total_cmp(&b[0]));
            line.points = thin(&line.points, POINTS, self.x_scale == Scale::Log);
        }
        let x =
            Axis { label: self.x_label.clone(), unit: grid.columns[x].unit, scale: self.x_scale };
        Ok(Chart::Lines {
            x,
            y: self.axis(grid.columns[first].unit),
            steps: false,
            series,
            marks: Vec::new(),
        })
    }
}

fn column(grid: &Grid, name: &str) -> Result<usize, String> {
    grid.column(name).ok_or_else(|| format!("no column {name}"))
}

fn label(cell: &Cell) -> String {
    match cell {
        Cell::Text(text) => text.clone(),
        Cell::Int(n) => n.to_string(),
        Cell::Null => "none".to_owned(),
        Cell::Real(x) => x.to_string(),
        Cell::Bool(b) => b.to_string(),
        Cell::Time(ns) => ns.to_string(),
    }
}
