//! `catalog check` and `catalog test`: what is doubtful in the entries, and whether their
//! examples hold.

use std::fmt;

use ottoscope_flow::Direction;

use crate::compile::{App, Catalog, SignatureRule};
use crate::payload::{self, unhex};
use crate::schema::Example;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Labels will be wrong.
    Error,
    /// Somebody should look.
    Warning,
    /// Known and decided by a rule, worth knowing.
    Note,
}

/// Something doubtful in the catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad.
    pub severity: Severity,
    /// The app or apps.
    pub app: String,
    /// What, and what to do.
    pub text: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        };
        write!(f, "{severity}: {}: {}", self.app, self.text)
    }
}

/// How the examples went.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TestReport {
    /// Examples that held.
    pub passed: usize,
    /// App and what went otherwise.
    pub failed: Vec<(String, String)>,
}

impl Catalog {
    /// What is doubtful: two apps claiming one name, signatures that may match the same bytes,
    /// entries without source. Worst first.
    pub fn check(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        self.check_names(&mut findings);
        self.check_signatures(&mut findings);
        self.apps().iter().for_each(|app| check_app(app, &mut findings));
        findings.sort_by(|a, b| (a.severity, &a.app, &a.text).cmp(&(b.severity, &b.app, &b.text)));
        findings
    }

    fn check_names(&self, findings: &mut Vec<Finding>) {
        let rules = self.name_rules();
        for (a, b) in self.name_index().clashes() {
            findings.push(Finding {
                severity: Severity::Error,
                app: format!("{}, {}", rules[a].app, rules[b].app),
                text: format!(
                    "both claim `{}`: leave it to one, the later wins now",
                    rules[a].pattern
                ),
            });
        }
        for rule in self.prefix_rules().iter().filter(|rule| rule.confidence > 0.6) {
            findings.push(Finding {
                severity: Severity::Warning,
                app: rule.app.to_string(),
                text: format!(
                    "prefix {} has confidence {}: addresses change hands, state 0.6 at most",
                    rule.prefix, rule.confidence
                ),
            });
        }
    }

    fn check_signatures(&self, findings: &mut Vec<Finding>) {
        let rules = self.signature_rules();
        for (i, a) in rules.iter().enumerate() {
            for b in &rules[i + 1..] {
                if a.app == b.app || !payload::overlap(&a.layout, &b.layout) {
                    continue;
                }
                let (more, less) =
                    (payload::specificity(&a.layout), payload::specificity(&b.layout));
                let (severity, how) = if more > less {
                    let how = format!(
                        "the first is more specific ({} fixed bytes to {})",
                        more.0, less.0
                    );
                    (Severity::Note, how + ", then a length, then ports")
                } else {
                    (Severity::Warning, "nothing decides: fix more bytes of one".to_owned())
                };
                findings.push(Finding {
                    severity,
                    app: format!("{}, {}", a.app, b.app),
                    text: format!(
                        "signatures {} and {} can match the same bytes: {how}",
                        a.layout.id, b.layout.id
                    ),
                });
            }
        }
    }

    /// Runs the examples of every app.
    pub fn test(&self) -> TestReport {
        let mut report = TestReport::default();
        for app in self.apps() {
            for example in &app.entries.examples {
                match self.run(app, example) {
                    Ok(()) => report.passed += 1,
                    Err(text) => report.failed.push((app.id.to_string(), text)),
                }
            }
        }
        report
    }

    fn run(&self, app: &App, example: &Example) -> Result<(), String> {
        if let Some(host) = &example.host {
            let found = self.lookup_name(host).filter(|rule| rule.app == app.id);
            let (service, task) = (found.map(|r| &r.service), found.map(|r| &r.task));
            return judge(
                example,
                &format!("host {host}"),
                found.is_some(),
                &[
                    ("service", &example.service, service.and_then(|s| s.as_deref())),
                    ("task", &example.task, task.and_then(|t| t.as_deref())),
                ],
            );
        }
        if let Some(url) = &example.url {
            let found = self.task_of_url(&app.id, url);
            let task = found.map(|task| &*task.name);
            return judge(
                example,
                &format!("url {url}"),
                found.is_some(),
                &[("task", &example.task, task)],
            );
        }
        if let Some(name) = &example.certificate {
            let latest = ottoscope_flow::Timestamp(i64::MAX);
            let found = self.lookup_certificate(name, latest).filter(|rule| rule.app == app.id);
            let service = found.and_then(|r| r.service.as_deref());
            let what = format!("certificate {name}");
            return judge(
                example,
                &what,
                found.is_some(),
                &[("service", &example.service, service)],
            );
        }
        if let Some(address) = &example.address {
            let ip = address.parse().map_err(|_| format!("`{address}` is not an address"))?;
            let found = self.lookup_prefix(ip).find(|rule| {
                rule.app == app.id
                    && example.service.as_deref().is_none_or(|s| rule.service.as_deref() == Some(s))
            });
            return judge(example, &format!("address {address}"), found.is_some(), &[]);
        }
        let payload = example.payload.as_deref().unwrap_or_default();
        let bytes = unhex(payload)?;
        let direction = example.direction.map_or(Direction::Up, Direction::from);
        let port = example.port.unwrap_or(0);
        let fits = |rule: &&SignatureRule| {
            let port = if example.port.is_none() {
                rule.layout.ports.first().copied().unwrap_or(0)
            } else {
                port
            };
            payload::matches(&rule.layout, direction, port, &bytes)
        };
        // The first that fits, over all apps, is the one that wins.
        let wanted = example.signature.as_ref().map(|s| format!("{}/{s}", app.id));
        let found = self
            .signature_rules()
            .iter()
            .filter(|rule| example.transport_fits(rule))
            .find(fits)
            .filter(|rule| !example.not || wanted.as_deref() == Some(&*rule.layout.id));
        let id = found.map(|rule| &*rule.layout.id);
        judge(
            example,
            &format!("payload {payload}"),
            found.is_some(),
            &[("signature", &wanted, id)],
        )
    }
}

impl Example {
    fn transport_fits(&self, rule: &SignatureRule) -> bool {
        self.transport.is_none_or(|t| rule.layout.transport == t.into())
    }
}

fn judge(
    example: &Example,
    what: &str,
    found: bool,
    expected: &[(&str, &Option<String>, Option<&str>)],
) -> Result<(), String> {
    if example.not {
        return if found { Err(format!("{what} matches, and should not")) } else { Ok(()) };
    }
    if !found {
        return Err(format!("{what} does not match"));
    }
    for (key, wanted, got) in expected {
        if let Some(wanted) = wanted.as_deref()
            && *got != Some(wanted)
        {
            let got = got.unwrap_or("none");
            return Err(format!("{what} gives {key} {got} and not {wanted}"));
        }
    }
    Ok(())
}

fn check_app(app: &App, findings: &mut Vec<Finding>) {
    let entries = &app.entries;
    let mut warn = |text: String| {
        findings.push(Finding { severity: Severity::Warning, app: app.id.to_string(), text });
    };
    if entries.app.name.is_none() {
        warn("has no name: add `name` to [app], or is the id misspelt?".to_owned());
    }
    if entries.examples.is_empty() {
        warn("has no [[example]]: add what must and must not match".to_owned());
    }
    let mut cited = |table: &str, key: &str, source: &Option<String>| match source {
        None => warn(format!("[[{table}]] `{key}` has no source: say where it comes from")),
        Some(source) if !entries.sources.contains_key(source) && !source.contains([' ', '/']) => {
            warn(format!("[[{table}]] `{key}` cites `{source}`, which [sources] does not have"));
        }
        Some(_) => {}
    };
    let first = |texts: &[String]| texts.first().cloned().unwrap_or_default();
    for e in &entries.names {
        cited("name", &first(e.pattern.as_slice()), &e.source);
    }
    for e in &entries.certificates {
        cited("certificate", &first(e.pattern.as_slice()), &e.source);
    }
    for e in &entries.user_agents {
        cited("user-agent", &e.pattern, &e.source);
    }
    for e in &entries.signatures {
        cited("signature", &e.id, &e.source);
    }
    for e in &entries.tasks {
        cited("task", &e.name, &e.source);
    }
    for e in &entries.prefixes {
        cited("prefix", &first(e.prefix.as_slice()), &e.source);
    }
    for e in &entries.ports {
        cited("port", &e.ports.first().map(ToString::to_string).unwrap_or_default(), &e.source);
    }
    for e in &entries.idle_timeouts {
        cited("idle-timeout", &format!("{} {}", e.os, e.after), &e.source);
    }
    for e in &entries.calls {
        cited("call", &e.service, &e.source);
    }
}
