//! `infer keywords`: what names and requests of the app have in common (the ChatDissect paper,
//! III-A1).

use ottoscope_infer::Params;
use ottoscope_infer::keywords::{Cut, Inspected, Keywords, Method, keywords};

use crate::account::{Step, Table, count, heads};
use crate::infer::survey::Survey;
use crate::report::number::value;
use ottoscope_analysis::grid::Unit;

/// Rows of a field's table.
const ROWS: usize = 40;

/// Finds the keywords of every field that was seen.
pub(crate) fn step(survey: &Survey, params: &Params) -> Step {
    let mut step = Step::new("keywords", "Keywords of names and requests");
    for (field, texts) in Inspected::ALL.into_iter().zip(&survey.texts) {
        if texts.seen.is_empty() {
            continue;
        }
        let values = texts.seen.iter().map(|(text, n)| (field.value(text).into_owned(), *n));
        let found = keywords(values, params, Cut::Anywhere);
        step.say(words(field, &found, texts.left_out));
        let rows = found.keywords.iter().take(ROWS).map(|keyword| {
            let share = value(keyword.share, Unit::Share);
            let (times, values) = (count(keyword.count), count(keyword.values as u64));
            vec![keyword.text.clone(), times, share, values, keyword.examples.join(", ")]
        });
        let more = found.keywords.len().saturating_sub(ROWS);
        let more = if more > 0 { format!(", {more} more are not shown") } else { String::new() };
        step.tables.push(Table {
            caption: format!("{}{more}", field.name()),
            columns: heads(["keyword", "seen", "share", "values", "as in"]),
            rows: rows.collect(),
        });
    }
    if step.tables.is_empty() {
        step.say("the app's flows hold neither HTTP requests nor DNS queries");
    }
    step
}

fn words(field: Inspected, found: &Keywords, lost: u64) -> String {
    let what = match found.method {
        Method::Values => "each value is a keyword",
        Method::Substrings => "longest common substrings",
    };
    let mut words = format!(
        "{}: {} values, seen {} times: {what}",
        field.name(),
        count(found.values as u64),
        count(found.seen)
    );
    let left_out = lost + found.left_out as u64;
    if left_out > 0 {
        words.push_str(&format!("; {} rare values were left out", count(left_out)));
    }
    if found.unsure > 0 {
        words.push_str(&format!("; {} may not be the longest", count(found.unsure as u64)));
    }
    words
}
