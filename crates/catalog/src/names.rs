//! Host name lookup: a few hash probes by suffix, the most specific rule wins.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use foldhash::fast::FixedState;
use ottoscope_flow::Timestamp;

use crate::day::Validity;
use crate::pattern::{self, Host, PatternError};

/// Longest name that is looked up; RFC 1035 allows 253 characters.
const MAX_NAME: usize = 255;

/// What a name says: the entry of the catalogue that it matched.
#[derive(Debug, Clone, PartialEq)]
pub struct NameRule {
    /// The app's id.
    pub app: Arc<str>,
    /// The service behind the name.
    pub service: Option<Arc<str>>,
    /// The task, where the name serves only one.
    pub task: Option<Arc<str>>,
    /// The pattern as the catalogue writes it.
    pub pattern: Arc<str>,
    /// 0 to 1; below 1 where the name is shared with other apps.
    pub confidence: f32,
    /// Where the entry comes from.
    pub source: Option<Arc<str>>,
    pub(crate) validity: Validity,
}

#[derive(Debug, Clone)]
struct Rule {
    host: Host,
    /// First byte of the label before the suffix, 0 where there must be none; any where `None`.
    /// Saves most of the comparisons in a crowded bucket.
    lead: Option<u8>,
    target: usize,
}

/// Patterns by their literal suffix.
#[derive(Debug, Clone, Default)]
pub(crate) struct NameIndex {
    buckets: HashMap<Box<str>, Vec<Rule>, FixedState>,
    /// Last two labels of every suffix, so that names of no app cost one or two probes.
    tails: HashSet<Box<str>, FixedState>,
    /// Whether some suffix is a single label.
    has_single: bool,
    targets: Vec<NameRule>,
}

impl NameIndex {
    /// Adds one rule; of equally specific ones the last added wins.
    pub(crate) fn insert(&mut self, rule: NameRule) -> Result<(), PatternError> {
        let hosts = pattern::parse(&rule.pattern)?;
        let target = self.targets.len();
        self.targets.push(rule);
        for host in hosts {
            self.tails.insert(tail(&host.suffix).into());
            self.has_single |= !host.suffix.contains('.');
            let bucket = self.buckets.entry(host.suffix.clone()).or_default();
            let at = bucket.partition_point(|r| r.host.specificity() > host.specificity());
            bucket.insert(at, Rule { lead: host.lead(), host, target });
        }
        Ok(())
    }

    /// The most specific rule for a name: longest literal suffix, then most literal characters.
    pub(crate) fn lookup(&self, name: &str, at: Option<Timestamp>) -> Option<&NameRule> {
        let name = name.strip_suffix('.').unwrap_or(name);
        if name.len() > MAX_NAME {
            return None;
        }
        let mut buffer;
        // All bytes are looked at, which takes less than stopping at the first.
        let name = if name.bytes().fold(false, |any, b| any | b.is_ascii_uppercase()) {
            buffer = [0_u8; MAX_NAME];
            let lower = buffer.get_mut(..name.len())?;
            lower.copy_from_slice(name.as_bytes());
            lower.make_ascii_lowercase();
            std::str::from_utf8(lower).ok()?
        } else {
            name
        };
        if !self.may_know(name) {
            return None;
        }
        let mut start = 0;
        loop {
            let suffix = &name[start..];
            if let Some(bucket) = self.buckets.get(suffix) {
                let rest = &name[..start.saturating_sub(1)];
                let label = &rest[rest.rfind('.').map_or(0, |dot| dot + 1)..];
                let lead = label.bytes().next().unwrap_or(0);
                let found = bucket.iter().find(|rule| {
                    rule.lead.is_none_or(|byte| byte == lead)
                        && rule.host.matches_rest(rest)
                        && at.is_none_or(|at| self.targets[rule.target].validity.holds(at))
                });
                if let Some(rule) = found {
                    return Some(&self.targets[rule.target]);
                }
            }
            start += suffix.find('.')? + 1;
        }
    }

    /// Whether there may be a rule for a name in lower case, or for names below it.
    pub(crate) fn may_know(&self, name: &str) -> bool {
        let tail = tail(name);
        let last = || tail.rsplit('.').next().unwrap_or(tail);
        self.tails.contains(tail) || (self.has_single && self.tails.contains(last()))
    }

    /// Every rule, in the order added.
    pub(crate) fn rules(&self) -> &[NameRule] {
        &self.targets
    }

    /// Pairs of rules of different apps with one pattern in common, as indices into `rules`.
    pub(crate) fn clashes(&self) -> Vec<(usize, usize)> {
        let mut out = Vec::new();
        for bucket in self.buckets.values() {
            for (i, a) in bucket.iter().enumerate() {
                for b in &bucket[i + 1..] {
                    let other_app = self.targets[a.target].app != self.targets[b.target].app;
                    if other_app && a.host.rest == b.host.rest {
                        out.push((a.target.min(b.target), a.target.max(b.target)));
                    }
                }
            }
        }
        out.sort_unstable();
        out.dedup();
        out
    }
}

/// The last two labels, or the only one.
fn tail(name: &str) -> &str {
    // Labels are too short for a search by words to pay.
    let dots = |name: &str| name.bytes().rposition(|byte| byte == b'.');
    let last = dots(name).unwrap_or(0);
    dots(&name[..last]).map_or(name, |dot| &name[dot + 1..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(patterns: &[&str]) -> NameIndex {
        let mut index = NameIndex::default();
        for (i, &pattern) in patterns.iter().enumerate() {
            let rule = NameRule {
                app: format!("app{i}").into(),
                service: None,
                task: None,
                pattern: pattern.into(),
                confidence: 1.0,
                source: None,
                validity: Validity::default(),
            };
            index.insert(rule).unwrap();
        }
        index
    }

    #[test]
    fn the_most_specific_rule_wins() {
        let index = index(&[
            ".whatsapp.net",
            "e#.whatsapp.net",
            "*.fna.whatsapp.net",
            "media.*.fna.whatsapp.net",
            "mm*.whatsapp.net",
            "mmv*.whatsapp.net",
            "mmv1.whatsapp.net",
        ]);
        let check = |name: &str, expected: Option<&str>| {
            assert_eq!(index.lookup(name, None).map(|r| &*r.pattern), expected, "{name}");
        };
        check("whatsapp.net", Some(".whatsapp.net"));
        check("WhatsApp.NET.", Some(".whatsapp.net"));
        check("x.y.whatsapp.net", Some(".whatsapp.net"));
        check("e7.whatsapp.net", Some("e#.whatsapp.net"));
        check("sonar.fmvd1-1.fna.whatsapp.net", Some("*.fna.whatsapp.net"));
        check("media.fmvd1-1.fna.whatsapp.net", Some("media.*.fna.whatsapp.net"));
        check("mmi12.whatsapp.net", Some("mm*.whatsapp.net"));
        check("mmv12.whatsapp.net", Some("mmv*.whatsapp.net"));
        check("mmv1.whatsapp.net", Some("mmv1.whatsapp.net"));
        check("whatsapp.net.lan", None);
        check("net", None);
        check("", None);
        check(".", None);
        check("..", None);
        check(&"a.".repeat(300), None);
    }

    #[test]
    fn clashes_are_found_between_apps() {
        assert_eq!(index(&["*.a.net", "x.a.net", "*.a.net"]).clashes(), [(0, 2)]);
        assert_eq!(index(&[".a.net", "a.net"]).clashes(), [(0, 1)]);
    }
}
