//! `ottoscope shell`: questions in SQL, one after the other.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};

use ottoscope_analysis::{Format, Session, format};
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{Config, Editor};

use crate::commands::query::{open, question, terminal_width};
use crate::hint;

const HELP: &str = "\
A question is one SQL statement; it may span lines and ends with a semicolon.
  .tables          tables and views
  .schema NAME     columns of a table
  .format NAME     table, csv or json
  .output FILE     write the next answer to a file (csv, json or parquet by its name)
  .help            this
  .quit            leave (so does the end of input)";

/// Runs the shell until the user leaves it.
pub(crate) fn run(study: &Path) -> anyhow::Result<()> {
    let mut shell = Shell {
        session: open(study)?,
        format: Format::Table { width: None },
        output: None,
        pending: String::new(),
    };
    if io::stdin().is_terminal() { interactive(&mut shell) } else { piped(&mut shell) }
}

/// Where the lines come from a person: editing, history, errors that do not end it.
fn interactive(shell: &mut Shell) -> anyhow::Result<()> {
    let config = Config::builder().max_history_size(1000)?.auto_add_history(false).build();
    let mut editor: Editor<(), FileHistory> = Editor::with_config(config)?;
    let history = history();
    if let Some(file) = &history {
        // The first time there is none.
        let _ = editor.load_history(file);
    }
    writeln!(io::stderr(), "{} - .help tells what is possible", shell.session.study().display())?;
    loop {
        let prompt = if shell.pending.is_empty() { "sql> " } else { "...> " };
        match editor.readline(prompt) {
            Ok(line) => {
                let mut out = io::stdout().lock();
                match shell.line(&line, &mut out) {
                    Ok(Told::Leave) => break,
                    Ok(Told::Asked(statement)) => {
                        editor.add_history_entry(statement)?;
                    }
                    Ok(Told::Nothing) => {}
                    Err(error) => writeln!(io::stderr(), "{}", hint::render(&error))?,
                }
            }
            Err(ReadlineError::Interrupted) => shell.pending.clear(),
            Err(ReadlineError::Eof) => break,
            Err(error) => return Err(error.into()),
        }
    }
    if let Some(file) = &history {
        if let Some(folder) = file.parent() {
            // A shell without a history is still a shell.
            let _ = std::fs::create_dir_all(folder);
        }
        let _ = editor.save_history(file);
    }
    Ok(())
}

/// Where the lines come from a pipe: the first error ends it.
fn piped(shell: &mut Shell) -> anyhow::Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    for line in io::stdin().lines() {
        if matches!(shell.line(&line?, &mut out)?, Told::Leave) {
            break;
        }
    }
    if !shell.pending.trim().is_empty() {
        let rest = std::mem::take(&mut shell.pending);
        shell.ask(&rest, &mut out)?;
    }
    Ok(out.flush()?)
}

/// Questions hold names and addresses, so the history lies with the user, not in the study,
/// which may be handed on.
fn history() -> Option<PathBuf> {
    let variable = |name| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let state =
        variable("XDG_STATE_HOME").or_else(|| Some(variable("HOME")?.join(".local/state")))?;
    Some(state.join("ottoscope/history"))
}

struct Shell {
    session: Session,
    format: Format,
    output: Option<PathBuf>,
    /// A statement that has not ended yet.
    pending: String,
}

/// What a line was.
enum Told {
    Nothing,
    Asked(String),
    Leave,
}

impl Shell {
    fn line(&mut self, line: &str, out: &mut dyn Write) -> anyhow::Result<Told> {
        let line = line.trim_end();
        if self.pending.is_empty() && line.trim_start().starts_with('.') {
            return self.command(line.trim(), out);
        }
        if self.pending.is_empty() && line.trim().is_empty() {
            return Ok(Told::Nothing);
        }
        self.pending.push_str(line);
        self.pending.push('\n');
        if !ends(&self.pending) {
            return Ok(Told::Nothing);
        }
        let statement = std::mem::take(&mut self.pending);
        let statement = statement.trim();
        self.ask(statement, out)?;
        Ok(Told::Asked(statement.to_owned()))
    }

    fn ask(&mut self, sql: &str, out: &mut dyn Write) -> anyhow::Result<()> {
        let batches = self.session.stream(sql).map_err(question)?;
        if let Some(path) = self.output.take() {
            let mut file = BufWriter::new(File::create(&path)?);
            let rows = format::write(batches, by_name(&path), &mut file).map_err(question)?;
            file.flush()?;
            writeln!(io::stderr(), "{rows} rows to {}", path.display())?;
            return Ok(());
        }
        let format = match self.format {
            Format::Table { .. } => Format::Table { width: terminal_width() },
            other => other,
        };
        format::write(batches, format, out).map_err(question)?;
        Ok(out.flush()?)
    }

    fn command(&mut self, line: &str, out: &mut dyn Write) -> anyhow::Result<Told> {
        let (verb, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let rest = rest.trim().trim_end_matches(';');
        match (verb, rest) {
            (".quit" | ".exit" | ".q", _) => return Ok(Told::Leave),
            (".help", _) => writeln!(out, "{HELP}")?,
            (".tables", _) => {
                for name in self.session.names() {
                    writeln!(out, "{name}")?;
                }
            }
            (".schema", name) if !name.is_empty() => {
                let quoted = name.replace('"', "\"\"");
                self.ask(&format!("DESCRIBE \"{quoted}\""), out)?;
            }
            (".format", name) => match name.parse() {
                Ok(Format::Parquet) => {
                    anyhow::bail!("Parquet goes to a file: .output rows.parquet")
                }
                Ok(format) => self.format = format,
                Err(error) => anyhow::bail!("{error}"),
            },
            (".output", name) if !name.is_empty() => self.output = Some(PathBuf::from(name)),
            _ => anyhow::bail!("{verb} is no command, or lacks a word: .help tells them"),
        }
        out.flush()?;
        Ok(Told::Nothing)
    }
}

fn by_name(path: &Path) -> Format {
    match path.extension().and_then(|e| e.to_str()) {
        Some("json") => Format::Json,
        Some("parquet") => Format::Parquet,
        Some("txt") => Format::Table { width: None },
        _ => Format::Csv,
    }
}

/// Whether a statement has come to its semicolon: one outside quotes and comments, with nothing
/// after it.
fn ends(sql: &str) -> bool {
    let mut quote: Option<char> = None;
    let mut ended = false;
    let mut chars = sql.chars().peekable();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(q), c) if c == q => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => (quote, ended) = (Some(c), false),
            (None, '-') if chars.peek() == Some(&'-') => {
                chars.by_ref().find(|c| *c == '\n');
            }
            (None, '/') if chars.peek() == Some(&'*') => {
                chars.next();
                let mut last = ' ';
                let closed =
                    chars.by_ref().any(|c| std::mem::replace(&mut last, c) == '*' && c == '/');
                if !closed {
                    return false;
                }
            }
            (None, ';') => ended = true,
            (None, c) if c.is_whitespace() => {}
            (None, _) => ended = false,
        }
    }
    ended && quote.is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_end_at_their_semicolon() {
        for (sql, expected) in [
            ("SELECT 1;", true),
            ("SELECT 1; \n", true),
            ("SELECT 1", false),
            ("SELECT ';'", false),
            ("SELECT ';';", true),
            ("SELECT 'it''s';", true),
            ("SELECT 1 -- not here;", false),
            ("SELECT 1; -- but here", true),
            ("SELECT /* ; */ 1", false),
            ("SELECT 1 /* open;", false),
            ("SELECT \"a;b\" FROM t;", true),
            ("SELECT 1 - 2;", true),
            ("", false),
        ] {
            assert_eq!(ends(sql), expected, "{sql}");
        }
    }
}
