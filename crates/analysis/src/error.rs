//! What can go wrong when a question is asked, with a hint where one can help.

use std::path::PathBuf;

use datafusion::common::SchemaError;
use datafusion::error::DataFusionError;

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The folder is no study.
    #[error("{} is not a study: it has no tables", path.display())]
    NoStudy {
        /// The folder as given.
        path: PathBuf,
    },
    /// The statement cannot be planned or run.
    #[error("{message}")]
    Sql {
        /// What the engine says, without its wrapping.
        message: String,
        /// What to try instead.
        hint: Option<String>,
    },
    /// The statement would change something.
    #[error("only questions are allowed: {what}")]
    NotReadOnly {
        /// The part of the statement that is refused.
        what: String,
    },
    /// The answer does not fit the memory limit.
    #[error("out of the memory allowed for a query: {message}")]
    Memory {
        /// What asked for how much.
        message: String,
    },
    /// No analysis has this id.
    #[error("no analysis is called {id:?}")]
    UnknownAnalysis {
        /// The id as given.
        id: String,
        /// The nearest known id.
        nearest: Option<&'static str>,
    },
    /// An output or a table's file could not be read or written.
    #[error("{what}")]
    Io {
        /// What was being done to which file.
        what: String,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// A bug, or a damaged file: the engine failed in a way a user cannot mend by other words.
    #[error("{0}")]
    Engine(String),
}

impl Error {
    /// One line that says what to try.
    pub fn hint(&self) -> Option<String> {
        match self {
            Error::NoStudy { .. } => {
                Some("make one with `ottoscope run CAPTURE... -o STUDY`".to_owned())
            }
            Error::Sql { hint, .. } => hint.clone(),
            Error::NotReadOnly { .. } => Some(
                "a query is one SELECT, WITH, EXPLAIN, SHOW or DESCRIBE; write results with --format"
                    .to_owned(),
            ),
            Error::Memory { .. } => Some("ask for less, or allow the query more memory".to_owned()),
            Error::UnknownAnalysis { nearest, .. } => {
                nearest.map(|id| format!("did you mean {id:?}?"))
            }
            Error::Io { .. } | Error::Engine(_) => None,
        }
    }

    pub(crate) fn io(what: impl Into<String>, source: std::io::Error) -> Self {
        Error::Io { what: what.into(), source }
    }
}

/// Turns the engine's error into ours; `known` are the names of tables and views.
pub(crate) fn explain(error: &DataFusionError, known: &[String]) -> Error {
    let root = error.find_root();
    match root {
        DataFusionError::ResourcesExhausted(message) => Error::Memory { message: message.clone() },
        DataFusionError::SchemaError(schema, _) => {
            let hint = match &**schema {
                SchemaError::FieldNotFound { field, valid_fields } => {
                    let names: Vec<&str> = valid_fields.iter().map(|f| f.name.as_str()).collect();
                    column_hint(field.name(), &names)
                }
                SchemaError::AmbiguousReference { field } => {
                    Some(format!("say whose: table.{}", field.name()))
                }
                _ => None,
            };
            let message = match &**schema {
                SchemaError::FieldNotFound { field, .. } => {
                    format!("no column is called {:?} here", field.name())
                }
                other => first_line(&other.to_string()),
            };
            Error::Sql { message, hint }
        }
        DataFusionError::Plan(message) | DataFusionError::Configuration(message) => {
            plan(message, known)
        }
        DataFusionError::SQL(parser, _) => {
            Error::Sql { message: first_line(&parser.to_string()), hint: None }
        }
        DataFusionError::NotImplemented(message) => {
            Error::Sql { message: first_line(message), hint: None }
        }
        DataFusionError::IoError(source) => {
            Error::io(source.to_string(), std::io::Error::from(source.kind()))
        }
        other => Error::Engine(first_line(&other.strip_backtrace())),
    }
}

fn plan(message: &str, known: &[String]) -> Error {
    for (refusal, what) in [
        ("DDL not supported: ", ""),
        ("DML not supported: ", ""),
        ("Statement not supported: ", ""),
    ] {
        if let Some(rest) = message.strip_prefix(refusal) {
            return Error::NotReadOnly { what: format!("{what}{}", first_line(rest)) };
        }
    }
    let missing = message
        .strip_prefix("table '")
        .and_then(|rest| rest.strip_suffix("' not found"))
        .map(|name| name.rsplit('.').next().unwrap_or(name));
    match missing {
        Some(name) => Error::Sql {
            message: format!("no table or view is called {name:?}"),
            hint: Some(match nearest(name, known.iter().map(String::as_str)) {
                Some(near) => format!("did you mean {near}?"),
                None => format!("there are {}", known.join(", ")),
            }),
        },
        None => Error::Sql { message: first_line(message), hint: None },
    }
}

fn column_hint(name: &str, valid: &[&str]) -> Option<String> {
    match nearest(name, valid.iter().copied()) {
        Some(near) => Some(format!("did you mean {near}?")),
        None if valid.is_empty() => None,
        None if valid.len() <= 40 => Some(format!("there are {}", valid.join(", "))),
        None => Some("DESCRIBE the table to see its columns".to_owned()),
    }
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().trim().to_owned()
}

/// The name nearest to `name` by edit distance, if it is near enough to be a slip.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_lowercase();
    let allowed = (name.chars().count() / 3).max(1);
    known
        .map(|candidate| (distance(&name, candidate), candidate))
        .filter(|(far, candidate)| {
            *far <= allowed || (name.len() >= 3 && candidate.contains(&name))
        })
        .min_by_key(|(far, _)| *far)
        .map(|(_, candidate)| candidate)
}

/// Levenshtein distance in characters. Names are short; long input is not worth the time.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().take(64).enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let above = row[j + 1];
            row[j + 1] = (diagonal + usize::from(x != *y)).min(above + 1).min(row[j] + 1);
            diagonal = above;
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognised_and_strangers_are_not() {
        let known = ["flows", "labels", "labelled_flows", "dns"];
        let near = |name| nearest(name, known.iter().copied());
        assert_eq!(near("flow"), Some("flows"));
        assert_eq!(near("FLOWS"), Some("flows"));
        assert_eq!(near("lables"), Some("labels"));
        assert_eq!(near("labelled_flow"), Some("labelled_flows"));
        assert_eq!(near("subscribers"), None);
    }

    #[test]
    fn distance_is_levenshtein() {
        for (a, b, far) in
            [("", "abc", 3), ("abc", "abc", 0), ("kitten", "sitting", 3), ("ab", "ba", 2)]
        {
            assert_eq!(distance(a, b), far, "{a} {b}");
        }
    }
}
