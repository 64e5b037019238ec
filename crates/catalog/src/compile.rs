//! The catalogue as it is asked: files merged by app, names and addresses indexed.

use std::collections::HashMap;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use foldhash::fast::FixedState;
use ottoscope_flow::{Signature, Timestamp, Transport};
use sha2::{Digest as _, Sha256};

use crate::day::{self, Validity};
use crate::error::CatalogError;
use crate::names::{NameIndex, NameRule};
use crate::pattern::glob;
use crate::payload;
use crate::prefixes::{PrefixIndex, PrefixRule};
use crate::schema::{File, Kind};

mod builtin {
    include!(concat!(env!("OUT_DIR"), "/builtin.rs"));

    pub(super) fn files() -> &'static [(&'static str, &'static str)] {
        FILES
    }
}

/// Confidence of a prefix that states none: addresses change hands and serve many.
const PREFIX_CONFIDENCE: f32 = 0.3;

/// One app with all entries that files gave it.
#[derive(Debug, Clone)]
pub struct App {
    /// What the `app` columns hold.
    pub id: Arc<str>,
    /// The name people know.
    pub name: String,
    /// What it is for.
    pub kind: Kind,
    /// Files that speak of it, in order of loading.
    pub files: Vec<String>,
    /// The merged entries.
    pub entries: File,
}

/// What a signature of the catalogue says beside its layout.
#[derive(Debug, Clone)]
pub struct SignatureRule {
    /// The app's id.
    pub app: Arc<str>,
    /// The service it carries.
    pub service: Option<Arc<str>>,
    /// 0 to 1, multiplied with the confidence of signatures.
    pub confidence: f32,
    /// Where the entry comes from.
    pub source: Option<Arc<str>>,
    /// A protocol whose flows count as matched.
    pub protocol: Option<Arc<str>>,
    /// The layout that the engine runs.
    pub layout: Signature,
}

/// What a user agent says.
#[derive(Debug, Clone)]
pub struct AgentRule {
    /// The app's id.
    pub app: Arc<str>,
    /// The service of requests to foreign hosts.
    pub service: Option<Arc<str>>,
    /// The task of requests to foreign hosts.
    pub task: Option<Arc<str>>,
    /// The pattern as the catalogue writes it.
    pub pattern: Arc<str>,
    /// 0 to 1.
    pub confidence: f32,
}

/// What an opcode or a URL means.
#[derive(Debug, Clone)]
pub struct TaskRule {
    /// What is done.
    pub name: Arc<str>,
    /// What it is part of.
    pub group: Option<Arc<str>>,
    opcode: Option<u64>,
    signature: Option<Arc<str>>,
    url_prefix: Option<Arc<str>>,
}

/// The apps, ready to be asked.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    apps: Vec<App>,
    by_id: HashMap<Arc<str>, usize, FixedState>,
    names: NameIndex,
    certificates: NameIndex,
    prefixes: PrefixIndex,
    signatures: Vec<SignatureRule>,
    by_signature: HashMap<Arc<str>, usize, FixedState>,
    agents: Vec<AgentRule>,
    ports: HashMap<(Transport, u16), Vec<usize>, FixedState>,
    tasks: Vec<Vec<TaskRule>>,
    digest: String,
}

impl Catalog {
    /// The apps shipped with the program.
    ///
    /// # Errors
    /// Never for a released program: a test loads it.
    pub fn builtin() -> Result<Self, CatalogError> {
        Catalog::from_texts(builtin::files())
    }

    /// The shipped apps, then files or folders of files in this order: a file adds to the app of
    /// its id, an entry with the same key (pattern, signature id, opcode ...) replaces the
    /// earlier one, and `replace = true` forgets what was said before.
    ///
    /// # Errors
    /// Where a file can't be read, is not the catalogue's TOML, or holds an entry that makes no
    /// sense.
    pub fn load(builtin: bool, paths: &[PathBuf]) -> Result<Self, CatalogError> {
        Catalog::from_texts(&texts(builtin, paths, None)?)
    }

    /// As [`Catalog::load`], once the file `path` holds `text`.
    ///
    /// # Errors
    /// As [`Catalog::load`].
    pub fn load_with(
        builtin: bool,
        paths: &[PathBuf],
        path: &Path,
        text: &str,
    ) -> Result<Self, CatalogError> {
        Catalog::from_texts(&texts(builtin, paths, Some((path, text)))?)
    }

    /// From names and texts of files.
    ///
    /// # Errors
    /// As [`Catalog::load`].
    pub fn from_texts<N: AsRef<str>, T: AsRef<str>>(
        texts: &[(N, T)],
    ) -> Result<Self, CatalogError> {
        let mut catalog = Catalog::default();
        let mut digest = Sha256::new();
        for (name, text) in texts {
            let (name, text) = (name.as_ref(), text.as_ref());
            // Lengths first, so that no two lists of files hash alike.
            digest.update((text.len() as u64).to_be_bytes());
            digest.update(text.as_bytes());
            let file: File = toml::from_str(text).map_err(|error| CatalogError::Toml {
                file: name.to_owned(),
                message: error.to_string(),
            })?;
            validate(name, text, &file)?;
            catalog.merge(name, file);
        }
        catalog.digest = payload::hex(&digest.finalize());
        for app in 0..catalog.apps.len() {
            catalog.index(app).map_err(|message| CatalogError::Entry {
                file: catalog.apps[app].files.join(", "),
                line: 1,
                table: "app",
                message,
            })?;
        }
        // The more specific first: of two layouts that both fit, the less coincidental wins.
        catalog.signatures.sort_by(|a, b| {
            let key = |s: &SignatureRule| std::cmp::Reverse(payload::specificity(&s.layout));
            key(a).cmp(&key(b)).then_with(|| a.layout.id.cmp(&b.layout.id))
        });
        catalog.by_signature =
            catalog.signatures.iter().enumerate().map(|(i, s)| (s.layout.id.clone(), i)).collect();
        Ok(catalog)
    }

    fn merge(&mut self, name: &str, file: File) {
        let index = match self.by_id.get(file.app.id.as_str()) {
            Some(&index) => index,
            None => {
                let id: Arc<str> = file.app.id.as_str().into();
                self.by_id.insert(id.clone(), self.apps.len());
                let entries = File::default();
                let kind = Kind::default();
                self.apps.push(App { name: id.to_string(), id, kind, files: vec![], entries });
                self.apps.len() - 1
            }
        };
        let app = &mut self.apps[index];
        if file.app.replace {
            app.entries = File::default();
            app.files.clear();
        }
        app.files.push(name.to_owned());
        app.entries.merge(file);
        if let Some(name) = &app.entries.app.name {
            app.name.clone_from(name);
        }
        app.kind = app.entries.app.kind.unwrap_or_default();
    }

    fn index(&mut self, at: usize) -> Result<(), String> {
        let App { id, entries: file, .. } = &self.apps[at];
        let arc = |text: &Option<String>| text.as_deref().map(Arc::from);
        let cite = |text: &Option<String>| {
            text.as_ref().map(|t| Arc::from(file.sources.get(t).unwrap_or(t).as_str()))
        };
        for entry in &file.names {
            for pattern in entry.pattern.as_slice() {
                let rule = NameRule {
                    app: id.clone(),
                    service: arc(&entry.service),
                    task: arc(&entry.task),
                    pattern: pattern.as_str().into(),
                    confidence: entry.confidence.unwrap_or(1.0),
                    source: cite(&entry.source),
                    validity: Validity::parse(entry.since.as_deref(), entry.until.as_deref())?,
                };
                self.names.insert(rule).map_err(|e| format!("`{pattern}` {e}"))?;
            }
        }
        for entry in &file.certificates {
            for pattern in entry.pattern.as_slice() {
                let rule = NameRule {
                    app: id.clone(),
                    service: arc(&entry.service),
                    task: None,
                    pattern: pattern.as_str().into(),
                    confidence: entry.confidence.unwrap_or(1.0),
                    source: cite(&entry.source),
                    validity: Validity::parse(entry.since.as_deref(), entry.until.as_deref())?,
                };
                self.certificates.insert(rule).map_err(|e| format!("`{pattern}` {e}"))?;
            }
        }
        for entry in &file.prefixes {
            for prefix in entry.prefix.as_slice() {
                self.prefixes.insert(PrefixRule {
                    app: id.clone(),
                    service: arc(&entry.service),
                    prefix: prefix.as_str().into(),
                    transport: entry.transport.map(Transport::from),
                    ports: entry.ports.clone(),
                    protocol: entry.protocol.as_deref().map(Box::from),
                    confidence: entry.confidence.unwrap_or(PREFIX_CONFIDENCE),
                    source: cite(&entry.source),
                    validity: Validity::parse(entry.since.as_deref(), entry.until.as_deref())?,
                })?;
            }
        }
        for entry in &file.signatures {
            self.signatures.push(SignatureRule {
                app: id.clone(),
                service: arc(&entry.service),
                confidence: entry.confidence.unwrap_or(1.0),
                source: cite(&entry.source),
                protocol: arc(&entry.protocol),
                layout: payload::compile(id, entry)?,
            });
        }
        for entry in &file.user_agents {
            self.agents.push(AgentRule {
                app: id.clone(),
                service: arc(&entry.service),
                task: arc(&entry.task),
                pattern: entry.pattern.as_str().into(),
                confidence: entry.confidence.unwrap_or(1.0),
            });
        }
        for entry in &file.ports {
            for &port in &entry.ports {
                self.ports.entry((entry.transport.into(), port)).or_default().push(at);
            }
        }
        let tasks = file.tasks.iter().map(|entry| TaskRule {
            name: entry.name.as_str().into(),
            group: arc(&entry.group),
            opcode: entry.opcode,
            signature: entry.signature.as_ref().map(|s| format!("{id}/{s}").into()),
            url_prefix: arc(&entry.url_prefix),
        });
        self.tasks.push(tasks.collect());
        Ok(())
    }

    /// Every app, in order of loading.
    pub fn apps(&self) -> &[App] {
        &self.apps
    }

    /// The app of an id.
    pub fn app(&self, id: &str) -> Option<&App> {
        self.by_id.get(id).map(|&index| &self.apps[index])
    }

    /// The most specific entry for a host name, at any time.
    pub fn lookup_name(&self, name: &str) -> Option<&NameRule> {
        self.names.lookup(name, None)
    }

    /// The most specific entry for a host name among those that held at a time.
    pub fn lookup_name_at(&self, name: &str, at: Timestamp) -> Option<&NameRule> {
        self.names.lookup(name, Some(at))
    }

    /// The entry for a name in a certificate: one of the `certificate` entries, or else what the
    /// name would say as a host name. `*.whatsapp.net` counts as a name below `whatsapp.net`.
    pub fn lookup_certificate(&self, name: &str, at: Timestamp) -> Option<&NameRule> {
        let plain = name.strip_prefix("*.");
        self.certificates.lookup(plain.unwrap_or(name), Some(at)).or_else(|| match plain {
            // No name below has another tail.
            Some(domain) if has_two_lower_labels(domain) && !self.names.may_know(domain) => None,
            // A wildcard speaks of all names below, so only a rule for all of them answers.
            Some(domain) => self.names.lookup(&format!("{WILDCARD}.{domain}"), Some(at)),
            None => self.names.lookup(name, Some(at)),
        })
    }

    /// Every entry whose prefix holds an address, longest prefix first.
    pub fn lookup_prefix(&self, address: IpAddr) -> impl Iterator<Item = &PrefixRule> {
        self.prefixes.lookup(address)
    }

    /// Layouts for the engine, the more specific first: of several that fit, the first wins.
    pub fn signatures(&self) -> Vec<Signature> {
        self.signatures.iter().map(|s| s.layout.clone()).collect()
    }

    /// What the catalogue says of the signature `app/id`.
    pub fn signature(&self, id: &str) -> Option<&SignatureRule> {
        self.by_signature.get(id).map(|&index| &self.signatures[index])
    }

    /// The signature whose app alone speaks a protocol.
    pub fn signature_of_protocol(&self, protocol: &str) -> Option<&SignatureRule> {
        self.signatures.iter().find(|rule| rule.protocol.as_deref() == Some(protocol))
    }

    /// Every signature in the order of [`Catalog::signatures`].
    pub fn signature_rules(&self) -> &[SignatureRule] {
        &self.signatures
    }

    /// The first entry that a user agent matches.
    pub fn lookup_user_agent(&self, agent: &str) -> Option<&AgentRule> {
        self.agents.iter().find(|rule| glob(rule.pattern.as_bytes(), agent.as_bytes()))
    }

    /// Whether a port is one that an app's servers use. A hint, never evidence alone.
    pub fn is_port_of(&self, app: &str, transport: Transport, port: u16) -> bool {
        let ports = self.ports.get(&(transport, port));
        ports.is_some_and(|apps| apps.iter().any(|&i| &*self.apps[i].id == app))
    }

    /// What an opcode means by the signature `app/id`.
    pub fn task_of_opcode(&self, signature: &str, opcode: u64) -> Option<&TaskRule> {
        let app = signature.split('/').next()?;
        let tasks = self.tasks.get(*self.by_id.get(app)?)?;
        tasks.iter().find(|task| {
            task.opcode == Some(opcode) && task.signature.as_deref().is_none_or(|s| s == signature)
        })
    }

    /// Every opcode that means something, with the signature whose opcode it is.
    pub fn tasks_of_opcodes(&self) -> impl Iterator<Item = (&SignatureRule, u64, &TaskRule)> {
        self.signatures.iter().flat_map(move |signature| {
            let id: &str = &signature.layout.id;
            let tasks = self.by_id.get(&signature.app).and_then(|&app| self.tasks.get(app));
            let mut codes: Vec<u64> =
                tasks.into_iter().flatten().filter_map(|t| t.opcode).collect();
            codes.sort_unstable();
            codes.dedup();
            codes.into_iter().filter_map(move |code| {
                self.task_of_opcode(id, code).map(|task| (signature, code, task))
            })
        })
    }

    /// What a request's path means at one of the app's hosts: the longest prefix wins.
    pub fn task_of_url(&self, app: &str, path: &str) -> Option<&TaskRule> {
        let tasks = self.tasks.get(*self.by_id.get(app)?)?;
        let fits = tasks.iter().filter_map(|task| {
            let prefix = task.url_prefix.as_deref()?;
            path.starts_with(prefix).then_some((prefix.len(), task))
        });
        fits.max_by_key(|(length, _)| *length).map(|(_, task)| task)
    }

    /// App and service of calls that alone send STUN messages of this type.
    pub fn app_of_stun_type(&self, message_type: u16) -> Option<(&str, &str)> {
        self.apps.iter().find_map(|app| {
            let mut calls = app.entries.calls.iter();
            let call = calls.find(|call| call.own_stun_types.contains(&message_type))?;
            Some((&*app.id, call.service.as_str()))
        })
    }

    /// Name entries of every app.
    pub fn name_rules(&self) -> &[NameRule] {
        self.names.rules()
    }

    /// Prefix entries of every app.
    pub fn prefix_rules(&self) -> &[PrefixRule] {
        self.prefixes.rules()
    }

    pub(crate) fn name_index(&self) -> &NameIndex {
        &self.names
    }

    /// SHA-256 of the loaded texts in order, in hex: equal digests give equal labels.
    pub fn digest(&self) -> &str {
        &self.digest
    }
}

/// Stands for the `*` of a certificate: no real label is written so.
const WILDCARD: &str = "_any_";

/// Names and texts of the shipped files and those at `paths`; `instead` stands for what its file
/// holds, and comes last where none of `paths` is it.
fn texts(
    builtin: bool,
    paths: &[PathBuf],
    mut instead: Option<(&Path, &str)>,
) -> Result<Vec<(String, String)>, CatalogError> {
    let mut texts: Vec<(String, String)> = Vec::new();
    if builtin {
        texts.extend(builtin::files().iter().map(|(n, t)| ((*n).to_owned(), (*t).to_owned())));
    }
    for path in paths {
        for file in files_at(path)? {
            let text = match instead.take_if(|(path, _)| *path == file) {
                Some((_, text)) => text.to_owned(),
                None => fs::read_to_string(&file)
                    .map_err(|source| CatalogError::Read { path: file.clone(), source })?,
            };
            texts.push((file.display().to_string(), text));
        }
    }
    texts.extend(instead.map(|(path, text)| (path.display().to_string(), text.to_owned())));
    Ok(texts)
}

/// The file itself, or the TOML files of a folder in order of their names.
fn files_at(path: &Path) -> Result<Vec<PathBuf>, CatalogError> {
    let error = |source| CatalogError::Read { path: path.to_owned(), source };
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path).map_err(error)? {
        let file = entry.map_err(error)?.path();
        if file.extension().is_some_and(|extension| extension == "toml") {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

/// Refuses entries that make no sense, naming their line.
fn validate(name: &str, text: &str, file: &File) -> Result<(), CatalogError> {
    let error = |table: &'static str, key: &str, message: String| CatalogError::Entry {
        file: name.to_owned(),
        line: line_of(text, table, key),
        table,
        message,
    };
    let id = &file.app.id;
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if id.is_empty() || !id.bytes().all(fits) {
        let message = format!("id `{id}` should be lower-case letters, digits and `-`");
        return Err(error("app", id, message));
    }
    let confident = |table: &'static str, key: &str, confidence: Option<f32>| match confidence {
        Some(c) if !(c > 0.0 && c <= 1.0) => {
            Err(error(table, key, format!("confidence {c} should lie above 0 and up to 1")))
        }
        _ => Ok(()),
    };
    let valid = |table: &'static str, key: &str, since: &Option<String>, until: &Option<String>| {
        Validity::parse(since.as_deref(), until.as_deref())
            .map(drop)
            .map_err(|message| error(table, key, message))
    };
    let patterns = |table: &'static str, patterns: &[String]| {
        if patterns.is_empty() {
            return Err(error(table, "pattern", "`pattern` is empty".to_owned()));
        }
        patterns.iter().try_for_each(|p| {
            crate::pattern::parse(p).map(drop).map_err(|e| error(table, p, format!("`{p}` {e}")))
        })
    };
    let first = |patterns: &[String]| patterns.first().cloned().unwrap_or_default();
    for entry in &file.names {
        patterns("name", entry.pattern.as_slice())?;
        let key = first(entry.pattern.as_slice());
        confident("name", &key, entry.confidence)?;
        valid("name", &key, &entry.since, &entry.until)?;
    }
    for entry in &file.certificates {
        patterns("certificate", entry.pattern.as_slice())?;
        let key = first(entry.pattern.as_slice());
        confident("certificate", &key, entry.confidence)?;
        valid("certificate", &key, &entry.since, &entry.until)?;
    }
    for entry in &file.user_agents {
        confident("user-agent", &entry.pattern, entry.confidence)?;
        if entry.pattern.bytes().filter(|b| !matches!(b, b'*' | b'#')).count() < 3 {
            let message = format!("`{}` matches nearly everything", entry.pattern);
            return Err(error("user-agent", &entry.pattern, message));
        }
    }
    for entry in &file.signatures {
        confident("signature", &entry.id, entry.confidence)?;
        payload::compile(id, entry)
            .map_err(|e| error("signature", &entry.id, format!("`{}` {e}", entry.id)))?;
    }
    for entry in &file.prefixes {
        for prefix in entry.prefix.as_slice() {
            PrefixIndex::check(prefix).map_err(|e| error("prefix", prefix, e))?;
        }
        let key = first(entry.prefix.as_slice());
        confident("prefix", &key, entry.confidence)?;
        valid("prefix", &key, &entry.since, &entry.until)?;
    }
    for entry in &file.idle_timeouts {
        day::span(&entry.after).map_err(|e| error("idle-timeout", &entry.after, e))?;
        valid("idle-timeout", &entry.after, &entry.since, &entry.until)?;
    }
    for entry in &file.calls {
        if let Some(burst) = &entry.burst {
            day::span(burst).map_err(|e| error("call", burst, e))?;
        }
    }
    for entry in &file.tasks {
        if entry.opcode.is_none() && entry.url_prefix.is_none() {
            let message = format!("`{}` needs an `opcode` or a `url-prefix`", entry.name);
            return Err(error("task", &entry.name, message));
        }
    }
    for entry in &file.examples {
        let given = [&entry.host, &entry.url, &entry.payload, &entry.certificate, &entry.address];
        let key = given.iter().find_map(|g| g.as_deref()).unwrap_or_default();
        if given.iter().filter(|g| g.is_some()).count() != 1 {
            let message = "needs exactly one of host, url, payload, certificate, address";
            return Err(error("example", key, message.to_owned()));
        }
    }
    Ok(())
}

/// The line where an entry's key stands, after the first header of its table.
fn line_of(text: &str, table: &str, key: &str) -> usize {
    let header = text.find(&format!("[{table}]")).unwrap_or(0);
    let quoted = format!("\"{key}\"");
    let at = text[header..].find(&quoted).map_or(header, |at| header + at);
    text[..at].matches('\n').count() + 1
}

impl File {
    /// Adds a later file of the same app: entries with the same key replace earlier ones.
    pub(crate) fn merge(&mut self, later: File) {
        let keep = |old: &mut Option<String>, new: Option<String>| {
            if new.is_some() {
                *old = new;
            }
        };
        self.app.id = later.app.id;
        keep(&mut self.app.name, later.app.name);
        keep(&mut self.app.operator, later.app.operator);
        keep(&mut self.app.about, later.app.about);
        keep(&mut self.app.source, later.app.source);
        self.app.kind = later.app.kind.or(self.app.kind);
        self.sources.extend(later.sources);
        replace(&mut self.names, later.names, |e| e.pattern.as_slice().to_vec());
        replace(&mut self.certificates, later.certificates, |e| e.pattern.as_slice().to_vec());
        replace(&mut self.user_agents, later.user_agents, |e| e.pattern.clone());
        replace(&mut self.signatures, later.signatures, |e| e.id.clone());
        replace(&mut self.tasks, later.tasks, |e| {
            (e.opcode, e.signature.clone(), e.url_prefix.clone())
        });
        replace(&mut self.prefixes, later.prefixes, |e| {
            (e.prefix.as_slice().to_vec(), e.ports.clone(), e.protocol.clone())
        });
        replace(&mut self.idle_timeouts, later.idle_timeouts, |e| (e.os.clone(), e.after.clone()));
        replace(&mut self.calls, later.calls, |e| e.service.clone());
        self.ports.extend(later.ports);
        self.examples.extend(later.examples);
    }
}

fn replace<T, K: PartialEq>(old: &mut Vec<T>, new: Vec<T>, key: impl Fn(&T) -> K) {
    for entry in new {
        match old.iter_mut().find(|o| key(o) == key(&entry)) {
            Some(place) => *place = entry,
            None => old.push(entry),
        }
    }
}

/// The TOML of one app's entries, as `catalog show` prints it.
///
/// # Errors
/// Where an entry can't be written as TOML, which no loaded entry is.
pub fn to_toml(file: &File) -> Result<String, toml::ser::Error> {
    toml::to_string_pretty(file)
}

/// Whether a name in lower case has a dot that is not its last byte.
fn has_two_lower_labels(name: &str) -> bool {
    !name.ends_with('.') && name.contains('.') && !name.bytes().any(|b| b.is_ascii_uppercase())
}
