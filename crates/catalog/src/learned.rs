//! Entries that inference proposes and a person accepts: what they would change, and how they
//! come into a file of accepted ones.

use std::fmt;

use crate::compile::{Catalog, to_toml};
use crate::error::CatalogError;
use crate::schema::{App, File, Signature, Task};

/// A proposal, read and checked as every file of the catalogue is.
#[derive(Debug, Clone)]
pub struct Proposal {
    /// As it was written.
    pub text: String,
    /// What it says.
    pub file: File,
}

/// What a proposal changes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// The catalogue has no such app yet.
    NewApp(String),
    /// The file takes the place of all that the catalogue has of the app.
    Replaced(String),
    /// An entry that the catalogue has not: a line of words.
    Added(String),
    /// An entry with the same key says something else: words, and lines of its TOML.
    Changed {
        /// Which.
        what: String,
        /// Lines that go (`-`), come (`+`) and stay (` `).
        lines: Vec<(char, String)>,
    },
    /// An entry that is there word for word.
    Known(String),
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Change::NewApp(id) => write!(f, "+ app {id}, which the catalogue does not have"),
            Change::Replaced(id) => {
                write!(f, "~ app {id}: `replace` drops all other entries that it has")
            }
            Change::Added(what) => write!(f, "+ {what}"),
            Change::Known(what) => write!(f, "  {what} is known"),
            Change::Changed { what, lines } => {
                write!(f, "~ {what}")?;
                for (sign, line) in lines {
                    write!(f, "\n    {sign} {line}")?;
                }
                Ok(())
            }
        }
    }
}

impl Proposal {
    /// Reads a proposal.
    ///
    /// # Errors
    /// It is no file of the catalogue; see [`CatalogError`].
    pub fn parse(name: &str, text: &str) -> Result<Self, CatalogError> {
        // As one of a catalogue, so that layouts are compiled as well.
        Catalog::from_texts(&[(name, named(name, text)?.as_str())])?;
        Ok(Proposal { text: text.to_owned(), file: read(name, text)? })
    }

    /// What it would change in `catalog`.
    pub fn changes(&self, catalog: &Catalog) -> Vec<Change> {
        let mut changes = Vec::new();
        let known = catalog.app(&self.file.app.id).map(|app| &app.entries);
        if known.is_none() {
            changes.push(Change::NewApp(self.file.app.id.clone()));
        }
        if self.file.app.replace {
            changes.push(Change::Replaced(self.file.app.id.clone()));
        }
        for new in &self.file.signatures {
            let old = known.and_then(|k| k.signatures.iter().find(|old| old.id == new.id));
            let what = format!("signature {}: {}", new.id, about(new));
            changes.push(change(what, old, new, |entry| File {
                signatures: vec![entry.clone()],
                ..File::default()
            }));
        }
        for new in &self.file.tasks {
            let key = |t: &Task| (t.opcode, t.signature.clone(), t.url_prefix.clone());
            let old = known.and_then(|k| k.tasks.iter().find(|old| key(old) == key(new)));
            let code = match (new.opcode, &new.url_prefix) {
                (Some(code), _) => format!("opcode {code}"),
                (None, Some(url)) => format!("requests to {url}"),
                (None, None) => "no opcode".to_owned(),
            };
            let what = format!("task \"{}\", {code}", new.name);
            changes.push(change(what, old, new, |entry| File {
                tasks: vec![entry.clone()],
                ..File::default()
            }));
        }
        for (what, new) in others(&self.file, known) {
            if new > 0 {
                changes.push(Change::Added(format!("{what}: {new}")));
            }
        }
        changes
    }
}

/// Entries beside signatures and tasks that `known` doesn't have word for word, by their table.
fn others(file: &File, known: Option<&File>) -> [(&'static str, usize); 8] {
    fn new<T: PartialEq>(entries: &[T], known: Option<&[T]>) -> usize {
        let is_new = |entry: &&T| known.is_none_or(|known| !known.contains(entry));
        entries.iter().filter(is_new).count()
    }
    [
        ("names", new(&file.names, known.map(|k| &*k.names))),
        ("certificates", new(&file.certificates, known.map(|k| &*k.certificates))),
        ("user agents", new(&file.user_agents, known.map(|k| &*k.user_agents))),
        ("prefixes", new(&file.prefixes, known.map(|k| &*k.prefixes))),
        ("ports", new(&file.ports, known.map(|k| &*k.ports))),
        ("idle timeouts", new(&file.idle_timeouts, known.map(|k| &*k.idle_timeouts))),
        ("calls", new(&file.calls, known.map(|k| &*k.calls))),
        ("examples", new(&file.examples, known.map(|k| &*k.examples))),
    ]
}

/// Ports and examples have no keys: those that are there word for word are not added again.
fn without_known(mut new: File, old: &File) -> File {
    new.ports.retain(|entry| !old.ports.contains(entry));
    new.examples.retain(|entry| !old.examples.contains(entry));
    new
}

/// How many entries there are, by their table.
fn counts(file: &File) -> [usize; 10] {
    let [names, certificates, agents, prefixes, ports, timeouts, calls, examples] =
        others(file, None).map(|(_, n)| n);
    let (signatures, tasks) = (file.signatures.len(), file.tasks.len());
    [names, certificates, agents, prefixes, ports, timeouts, calls, examples, signatures, tasks]
}

fn read(name: &str, text: &str) -> Result<File, CatalogError> {
    toml::from_str(text)
        .map_err(|e| CatalogError::Toml { file: name.to_owned(), message: e.to_string() })
}

/// The text with a name for its app, which a file that adds to an app may lack.
fn named(name: &str, text: &str) -> Result<String, CatalogError> {
    let mut file = read(name, text)?;
    if file.app.name.is_some() {
        return Ok(text.to_owned());
    }
    file.app.name = Some(file.app.id.clone());
    to_toml(&file).map_err(|e| CatalogError::Toml { file: name.to_owned(), message: e.to_string() })
}

/// A layout in a few words.
fn about(signature: &Signature) -> String {
    let fields = signature.fields.iter().map(|field| {
        let kind = field.name.as_deref().unwrap_or(match field.kind {
            crate::schema::FieldKind::Constant => "constant",
            crate::schema::FieldKind::Sequence => "sequence",
            crate::schema::FieldKind::RequestResponse => "request-response",
            crate::schema::FieldKind::Length => "length",
            crate::schema::FieldKind::Opcode => "opcode",
            crate::schema::FieldKind::Unknown => "unknown",
        });
        format!("{}+{} {kind}", field.at, field.len)
    });
    fields.collect::<Vec<_>>().join(", ")
}

fn change<T: PartialEq>(
    what: String,
    old: Option<&T>,
    new: &T,
    file: impl Fn(&T) -> File,
) -> Change {
    match old {
        None => Change::Added(what),
        Some(old) if old == new => Change::Known(what),
        Some(old) => {
            let lines = |entry| {
                let text = to_toml(&file(entry)).unwrap_or_default();
                let body = text.lines().skip_while(|line| !line.starts_with("[["));
                body.map(str::to_owned).collect::<Vec<_>>()
            };
            Change::Changed { what, lines: difference(&lines(old), &lines(new)) }
        }
    }
}

/// Lines that go, come and stay, by their longest common subsequence. Entries have some hundred
/// lines at most.
fn difference(old: &[String], new: &[String]) -> Vec<(char, String)> {
    let mut common = vec![vec![0_usize; new.len() + 1]; old.len() + 1];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            common[i][j] = if old[i] == new[j] {
                common[i + 1][j + 1] + 1
            } else {
                common[i + 1][j].max(common[i][j + 1])
            };
        }
    }
    let (mut i, mut j, mut lines) = (0, 0, Vec::new());
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            lines.push((' ', old[i].clone()));
            (i, j) = (i + 1, j + 1);
        } else if j == new.len() || i < old.len() && common[i + 1][j] >= common[i][j + 1] {
            lines.push(('-', old[i].clone()));
            i += 1;
        } else {
            lines.push(('+', new[j].clone()));
            j += 1;
        }
    }
    lines
}

/// The text of a file of accepted entries with a proposal taken in. What is not replaced stays
/// word for word, comments too; where an entry is replaced, the file is written anew.
///
/// # Errors
/// One of them is no file of the catalogue, or they speak of different apps.
pub fn accept(name: &str, old: Option<&str>, proposal: &Proposal) -> Result<String, CatalogError> {
    let Some(old_text) = old.filter(|text| !text.trim().is_empty()) else {
        return Ok(proposal.text.clone());
    };
    let mut old = read(name, old_text)?;
    let new = &without_known(proposal.file.clone(), &old);
    if old.app.id != new.app.id {
        return Err(CatalogError::Entry {
            file: name.to_owned(),
            line: 1,
            table: "app",
            message: format!(
                "holds entries of `{}`, not of `{}`: one file holds one app",
                old.app.id, new.app.id
            ),
        });
    }
    let (before, app) = (counts(&old), old.app.clone());
    let text = |error: toml::ser::Error| CatalogError::Toml {
        file: name.to_owned(),
        message: error.to_string(),
    };
    old.merge(new.clone());
    old.app.replace |= new.app.replace;
    // Only whole entries can be appended.
    let appended = counts(new).into_iter().zip(before).map(|(added, before)| added + before);
    if !appended.eq(counts(&old)) || old.app != app || !new.sources.is_empty() {
        return to_toml(&old).map_err(text);
    }
    let rest = File { app: App { id: new.app.id.clone(), ..App::default() }, ..new.clone() };
    let rest = to_toml(&rest).map_err(text)?;
    let entries = rest.find("[[").map_or("", |at| &rest[at..]);
    Ok(format!("{}\n\n{entries}", old_text.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "# by hand\n[app]\nid = \"x\"\nname = \"X\"\n[[signature]]\nid = \"one\"\n\
        transport = \"tcp\"\n[[signature.field]]\nat = 0\nlen = 1\nkind = \"constant\"\n\
        value = \"01\"\n[[task]]\nname = \"beat\"\nopcode = 6\n";

    fn proposal(text: &str) -> Proposal {
        Proposal::parse("p.toml", text).unwrap()
    }

    fn told(proposal: &Proposal) -> Vec<String> {
        let catalog = Catalog::from_texts(&[("x.toml", BASE)]).unwrap();
        proposal.changes(&catalog).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_new_is_appended_and_the_rest_stays() {
        let new = proposal("[app]\nid = \"x\"\n[[task]]\nname = \"picture\"\nopcode = 9\n");
        assert_eq!(told(&new), ["+ task \"picture\", opcode 9"]);
        let text = accept("x.toml", Some(BASE), &new).unwrap();
        assert!(text.starts_with(BASE.trim_end()), "{text}");
        let catalog = Catalog::from_texts(&[("x.toml", text.as_str())]).unwrap();
        assert_eq!(catalog.app("x").unwrap().entries.tasks.len(), 2);
        // Twice is once.
        let again = accept("x.toml", Some(&text), &new).unwrap();
        let catalog = Catalog::from_texts(&[("x.toml", again.as_str())]).unwrap();
        assert_eq!(catalog.app("x").unwrap().entries.tasks.len(), 2);
    }

    #[test]
    fn whatever_a_proposal_holds_is_shown_and_kept() {
        let new = proposal(
            "[app]\nid = \"x\"\nname = \"X\"\n[sources]\nlab = \"a laboratory\"\n\
             [[name]]\npattern = \".x.example\"\nsource = \"lab\"\n\
             [[port]]\ntransport = \"tcp\"\nports = [5]\n",
        );
        assert_eq!(told(&new), ["+ names: 1", "+ ports: 1"]);
        let mut text = BASE.to_owned();
        for _ in 0..2 {
            text = accept("x.toml", Some(&text), &new).unwrap();
            let file = read("x.toml", &text).unwrap();
            assert_eq!((file.names.len(), file.ports.len(), file.sources.len()), (1, 1, 1));
        }
        let catalog = Catalog::from_texts(&[("x.toml", text.as_str())]).unwrap();
        let known = |change: &Change| matches!(change, Change::Known(_));
        assert!(new.changes(&catalog).iter().all(known));
        let replace = proposal("[app]\nid = \"x\"\nname = \"X\"\nreplace = true\n");
        assert_eq!(told(&replace), ["~ app x: `replace` drops all other entries that it has"]);
    }

    #[test]
    fn what_changes_is_shown_line_by_line() {
        let new = BASE.replace("value = \"01\"", "value = \"02\"");
        let new = proposal(&new);
        let told = told(&new);
        assert!(told[0].contains("- value = \"01\"") && told[0].contains("+ value = \"02\""));
        assert_eq!(told[1], "  task \"beat\", opcode 6 is known");
        let text = accept("x.toml", Some(BASE), &new).unwrap();
        assert!(text.contains("\"02\"") && !text.contains("\"01\""), "{text}");
        assert_eq!(accept("x.toml", None, &new).unwrap(), new.text);
    }

    #[test]
    fn one_file_holds_one_app() {
        let other = proposal("[app]\nid = \"y\"\n[[task]]\nname = \"t\"\nopcode = 1\n");
        assert!(accept("x.toml", Some(BASE), &other).is_err());
        assert!(Proposal::parse("p.toml", "[app]\nid = \"y\"\nodd = 1\n").is_err());
    }
}
