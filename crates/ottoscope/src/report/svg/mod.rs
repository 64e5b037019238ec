//! Draws figures as SVG: themed by CSS variables, so that one drawing serves light, dark and
//! paper, and told in words for who cannot see it.

mod bars;
mod lines;
mod scale;

use std::fmt::Write as _;

use ottoscope_analysis::figure::{Chart, Figure};

use super::text::{cut, escape, visible};

/// Colours of lines and bars; what comes later is put together or left out.
pub(super) const COLOURS: usize = 8;
/// Width of a character of a label, in pixels: more than most fonts need.
pub(super) const CHARACTER: f64 = 7.0;
/// Height of a line of text.
pub(super) const LINE: f64 = 16.0;

/// How much room there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Room {
    /// A column of a page, or a phone.
    Column,
    /// The width of a page.
    Page,
}

impl Room {
    fn width(self) -> f64 {
        match self {
            Room::Column => 360.0,
            Room::Page => 860.0,
        }
    }
}

/// Variables that the drawing needs, light and dark; the page has the same.
pub(crate) const THEME: &str = include_str!("../theme.css");
/// Rules of the drawing.
pub(crate) const RULES: &str = include_str!("../figure.css");

/// The drawing as an element of a page. `id` is unique on the page.
pub(crate) fn element(figure: &Figure, id: &str, room: Room) -> String {
    draw(figure, id, room, "")
}

/// The drawing as a file of its own.
pub(crate) fn file(figure: &Figure) -> String {
    let style = format!("<style>{THEME}{RULES}svg{{background:var(--paper)}}</style>");
    let drawing = draw(figure, &figure.id, Room::Page, &style);
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{drawing}\n")
}

fn draw(figure: &Figure, id: &str, room: Room, style: &str) -> String {
    let (height, body, words) = match &figure.chart {
        Chart::Lines { x, y, steps, series, marks } => {
            lines::draw(&lines::Plot { x, y, steps: *steps, series, marks }, room)
        }
        Chart::Bars { axis, categories, series } => bars::draw(axis, categories, series, room),
        _ => (40.0, String::new(), String::new()),
    };
    let id = escape(id);
    let width = room.width();
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"figure\" viewBox=\"0 0 {width:.0} {height:.0}\" \
         role=\"img\" aria-labelledby=\"{id}-t {id}-d\">{style}<title id=\"{id}-t\">{}</title>\
         <desc id=\"{id}-d\">{}</desc>{body}</svg>",
        escape(&visible(&figure.title)),
        escape(&words),
    )
}

/// One text.
pub(super) fn text(out: &mut String, x: f64, y: f64, anchor: &str, class: &str, words: &str) {
    // Writing to a string cannot fail.
    let _ = write!(
        out,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" class=\"{class}\">{}</text>",
        escape(words)
    );
}

/// A legend over as many lines as it takes; gives the height used.
pub(super) fn legend(out: &mut String, names: &[String], room: Room) -> f64 {
    let (mut x, mut y) = (0.0, 11.0);
    for (i, name) in names.iter().enumerate() {
        let name = cut(&visible(name), 28);
        let wide = 20.0 + name.chars().count() as f64 * CHARACTER + 12.0;
        if x > 0.0 && x + wide > room.width() {
            x = 0.0;
            y += LINE;
        }
        let _ = write!(
            out,
            "<rect x=\"{x:.1}\" y=\"{:.1}\" width=\"14\" height=\"4\" rx=\"2\" class=\"f{i}\"/>",
            y - 6.0
        );
        text(out, x + 20.0, y, "start", "legend", &name);
        x += wide;
    }
    if names.is_empty() { 0.0 } else { y + 7.0 }
}
