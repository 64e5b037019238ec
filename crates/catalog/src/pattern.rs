//! The pattern language of host names and other short texts.
//!
//! | pattern | matches |
//! |---|---|
//! | `web.whatsapp.com` | that name only |
//! | `*.whatsapp.net` | every name below `whatsapp.net`, however deep, but not `whatsapp.net` |
//! | `.whatsapp.net` | `whatsapp.net` and every name below it |
//! | `mmv*.whatsapp.net` | one label that begins with `mmv`: `*` is any run without a dot |
//! | `e#.whatsapp.net` | `#` is one digit or more |
//! | `media.*.fna.whatsapp.net` | a whole label in the middle |
//! | `{c,d,e}#.whatsapp.net` | any of the alternatives; they may not be nested |
//!
//! Patterns are lower case. Deliberately not regular expressions: a pattern ends in literal
//! labels, which is what makes the lookup a few hash probes, and a person sees at a glance what
//! two patterns share.

use thiserror::Error;

/// Most alternatives that one pattern may expand to.
const MAX_ALTERNATIVES: usize = 256;

/// Longest pattern in bytes; a host name has at most 253.
const MAX_LENGTH: usize = 512;

/// A pattern that can't be used, with what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PatternError {
    /// Nothing but dots and stars.
    #[error("matches everything: end it in at least one literal label, such as `.example.com`")]
    TooWide,
    /// Two dots in a row, or a dot at the end.
    #[error("has an empty label: remove the extra dot")]
    EmptyLabel,
    /// A character that host names do not have.
    #[error("holds `{0}`: use lower-case letters, digits, `-`, `_`, `.`, `*`, `#` and `{{a,b}}`")]
    Character(char),
    /// A brace without its partner, or inside another pair.
    #[error("has an unmatched or nested brace: write alternatives as `{{a,b}}`")]
    Brace,
    /// Too long, or expands to too many.
    #[error("is too long or expands to more than {MAX_ALTERNATIVES} alternatives: split it")]
    TooLarge,
}

/// What the labels left of the literal suffix must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Rest {
    /// Nothing: the name is the suffix.
    Nothing,
    /// One label or more, whatever they are.
    Below,
    /// Exactly these labels, from left to right, as globs; with `below`, more may come before.
    Labels { labels: Vec<Box<str>>, below: bool },
}

/// One alternative of a pattern, split at its literal suffix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Host {
    /// Literal labels at the end, such as `whatsapp.net`.
    pub(crate) suffix: Box<str>,
    /// The labels before.
    pub(crate) rest: Rest,
}

impl Host {
    /// How much of a name the alternative spells out: higher wins within one suffix.
    pub(crate) fn specificity(&self) -> (u8, usize) {
        match &self.rest {
            Rest::Nothing => (2, 0),
            Rest::Labels { labels, below } => {
                let literal = labels.iter().flat_map(|l| l.bytes()).filter(|&b| b != b'*').count();
                (1, 2 * literal + usize::from(!below))
            }
            Rest::Below => (0, 0),
        }
    }

    /// The byte that the label before the suffix begins with, 0 where there is no label, `None`
    /// where it may be any.
    pub(crate) fn lead(&self) -> Option<u8> {
        match &self.rest {
            Rest::Nothing => Some(0),
            Rest::Below => None,
            Rest::Labels { labels, .. } => {
                labels.last()?.bytes().next().filter(|byte| !matches!(byte, b'*' | b'#'))
            }
        }
    }

    /// Whether the labels before the suffix, without the dot between, match.
    pub(crate) fn matches_rest(&self, rest: &str) -> bool {
        match &self.rest {
            Rest::Nothing => rest.is_empty(),
            Rest::Below => !rest.is_empty(),
            Rest::Labels { labels, below } => {
                let mut right = rest;
                for (i, label) in labels.iter().enumerate().rev() {
                    let (before, last) = match right.rfind('.') {
                        Some(dot) => (&right[..dot], &right[dot + 1..]),
                        None => ("", right),
                    };
                    if last.is_empty() || !glob(label.as_bytes(), last.as_bytes()) {
                        return false;
                    }
                    if i > 0 && before.is_empty() {
                        return false;
                    }
                    right = before;
                }
                right.is_empty() != *below
            }
        }
    }
}

/// A host pattern on its own, outside any catalogue.
#[derive(Debug, Clone)]
pub struct HostPattern(Vec<Host>);

impl std::str::FromStr for HostPattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        parse(text).map(HostPattern)
    }
}

impl HostPattern {
    /// Whether a host name, lower case and without a dot at its end, matches.
    pub fn matches(&self, name: &str) -> bool {
        self.0.iter().any(|host| {
            let rest = name.strip_suffix(&*host.suffix);
            rest.is_some_and(|rest| match rest.strip_suffix('.') {
                Some(rest) => host.matches_rest(rest),
                None => rest.is_empty() && host.matches_rest(""),
            })
        })
    }
}

/// Reads a host pattern into its alternatives.
///
/// # Errors
/// Where the pattern can't be used; the error says how to mend it.
pub(crate) fn parse(pattern: &str) -> Result<Vec<Host>, PatternError> {
    if pattern.len() > MAX_LENGTH {
        return Err(PatternError::TooLarge);
    }
    for c in pattern.chars() {
        let fits = c.is_ascii_lowercase()
            || c.is_ascii_digit()
            || matches!(c, '-' | '_' | '.' | '*' | '#' | '{' | '}' | ',');
        if !fits {
            return Err(PatternError::Character(c));
        }
    }
    let mut hosts = Vec::new();
    for text in expand(pattern)? {
        if let Some(apex) = text.strip_prefix('.') {
            hosts.push(split(apex)?);
            hosts.push(split(&format!("*.{apex}"))?);
        } else {
            hosts.push(split(&text)?);
        }
    }
    Ok(hosts)
}

/// Writes out `{a,b}`.
fn expand(pattern: &str) -> Result<Vec<String>, PatternError> {
    let mut out = vec![String::new()];
    let mut rest = pattern;
    while let Some(open) = rest.find(['{', '}']) {
        let close = open + rest[open..].find('}').ok_or(PatternError::Brace)?;
        let inner = rest.get(open + 1..close).ok_or(PatternError::Brace)?;
        if inner.contains('{') {
            return Err(PatternError::Brace);
        }
        let choices: Vec<&str> = inner.split(',').collect();
        if out.len() * choices.len() > MAX_ALTERNATIVES {
            return Err(PatternError::TooLarge);
        }
        out = out
            .iter()
            .flat_map(|so_far| choices.iter().map(move |c| format!("{so_far}{}{c}", &rest[..open])))
            .collect();
        rest = &rest[close + 1..];
    }
    if rest.contains(',') || pattern.contains(',') && !pattern.contains('{') {
        return Err(PatternError::Character(','));
    }
    for text in &mut out {
        text.push_str(rest);
    }
    Ok(out)
}

/// Splits one alternative at its literal suffix.
fn split(text: &str) -> Result<Host, PatternError> {
    let labels: Vec<&str> = text.split('.').collect();
    if labels.iter().any(|label| label.is_empty()) {
        return Err(PatternError::EmptyLabel);
    }
    let wild = |label: &str| label.contains(['*', '#']);
    let first_literal = labels.iter().rposition(|label| wild(label)).map_or(0, |i| i + 1);
    if first_literal == labels.len() {
        return Err(PatternError::TooWide);
    }
    let suffix = labels[first_literal..].join(".").into_boxed_str();
    let rest = match &labels[..first_literal] {
        [] => Rest::Nothing,
        ["*"] => Rest::Below,
        left => {
            let below = left[0] == "*";
            let left = if below { &left[1..] } else { left };
            Rest::Labels { labels: left.iter().map(|&l| l.into()).collect(), below }
        }
    };
    Ok(Host { suffix, rest })
}

/// Whether `text` matches `pattern`, where `*` is any run and `#` one digit or more. Takes time
/// in proportion to the product of the lengths, never exponential.
pub(crate) fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    loop {
        let step = match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
                continue;
            }
            Some(b'#') => {
                let digits = text[t..].iter().take_while(|b| b.is_ascii_digit()).count();
                // What follows a run of digits in a pattern is never a digit in practice; the
                // run is taken whole.
                if digits > 0 {
                    p += 1;
                    t += digits;
                    true
                } else {
                    false
                }
            }
            Some(&byte) => {
                let same = text.get(t) == Some(&byte);
                if same {
                    p += 1;
                    t += 1;
                }
                same
            }
            None if t == text.len() => return true,
            None => false,
        };
        if !step {
            match star {
                Some((at, from)) if from < text.len() => {
                    star = Some((at, from + 1));
                    p = at + 1;
                    t = from + 1;
                }
                _ => return false,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_on_their_own() {
        let check = |pattern: &str, name: &str, expected: bool| {
            let pattern: HostPattern = pattern.parse().unwrap();
            assert_eq!(pattern.matches(name), expected, "{pattern:?} {name}");
        };
        check(".qq.com", "qq.com", true);
        check(".qq.com", "short.weixin.qq.com", true);
        check(".qq.com", "notqq.com", false);
        check("*short.weixin.qq.com", "hkshort.weixin.qq.com", true);
        check("*short.weixin.qq.com", "short.weixin.qq.com", true);
        check("*short.weixin.qq.com", "a.short.weixin.qq.com", false);
        check("{a,b}.example", "b.example", true);
        check("a.example", "a.example", true);
        check("a.example", "b.a.example", false);
    }

    fn matches(pattern: &str, name: &str) -> bool {
        parse(pattern).unwrap().iter().any(|host| {
            name == &*host.suffix && host.matches_rest("")
                || name
                    .strip_suffix(&*host.suffix)
                    .and_then(|rest| rest.strip_suffix('.'))
                    .is_some_and(|rest| host.matches_rest(rest))
        })
    }

    #[test]
    fn patterns_match_what_the_table_says() {
        let check = |pattern: &str, yes: &[&str], no: &[&str]| {
            for name in yes {
                assert!(matches(pattern, name), "{pattern} should match {name}");
            }
            for name in no {
                assert!(!matches(pattern, name), "{pattern} should not match {name}");
            }
        };
        check(
            "web.whatsapp.com",
            &["web.whatsapp.com"],
            &["w.web.whatsapp.com", "xweb.whatsapp.com"],
        );
        check(
            "*.whatsapp.net",
            &["e1.whatsapp.net", "media.fmvd1-1.fna.whatsapp.net"],
            &["whatsapp.net", "notwhatsapp.net", "e1.whatsapp.net.lan"],
        );
        check(".whatsapp.net", &["whatsapp.net", "e1.whatsapp.net"], &["xwhatsapp.net"]);
        check(
            "mmv*.whatsapp.net",
            &["mmv.whatsapp.net", "mmv012.whatsapp.net"],
            &["mm.whatsapp.net", "mmv.x.whatsapp.net"],
        );
        check(
            "{c,d,e}#.whatsapp.net",
            &["c1.whatsapp.net", "e13.whatsapp.net"],
            &["e.whatsapp.net", "f1.whatsapp.net", "e1x.whatsapp.net"],
        );
        check(
            "media.*.fna.whatsapp.net",
            &["media.fmvd1-1.fna.whatsapp.net"],
            &["media.fna.whatsapp.net", "media.a.b.fna.whatsapp.net", "x.media.a.fna.whatsapp.net"],
        );
        check("*.media.*.x.net", &["a.media.b.x.net", "a.c.media.b.x.net"], &["media.b.x.net"]);
        check(
            "*short.weixin.qq.com",
            &["short.weixin.qq.com", "hkextshort.weixin.qq.com"],
            &["shortx.weixin.qq.com"],
        );
        check(
            "media-*#-#.cdn.whatsapp.net",
            &["media-mxp1-1.cdn.whatsapp.net"],
            &["media-mxp.cdn.whatsapp.net"],
        );
    }

    #[test]
    fn bad_patterns_say_why() {
        let check = |pattern: &str, expected: PatternError| {
            assert_eq!(parse(pattern).unwrap_err(), expected, "{pattern}");
        };
        check("*", PatternError::TooWide);
        check("*.*", PatternError::TooWide);
        check("a..b", PatternError::EmptyLabel);
        check("a.b.", PatternError::EmptyLabel);
        check("", PatternError::EmptyLabel);
        check(".", PatternError::EmptyLabel);
        check("A.b", PatternError::Character('A'));
        check("a,b.c", PatternError::Character(','));
        check("{a.b", PatternError::Brace);
        check("a}.b", PatternError::Brace);
        check("{a,{b}}.c", PatternError::Brace);
        check(&"{a,b}".repeat(9), PatternError::TooLarge);
        check(&"a".repeat(600), PatternError::TooLarge);
    }

    proptest::proptest! {
        #[test]
        fn globs_end_on_any_input(pattern in "[ab*#1]{0,12}", text in "[ab1]{0,24}") {
            glob(pattern.as_bytes(), text.as_bytes());
        }

        #[test]
        fn parsing_is_total(pattern in "\\PC{0,40}") {
            let _ = parse(&pattern);
        }

        #[test]
        fn a_literal_matches_itself_only(name in "[a-z]{1,8}(\\.[a-z]{1,8}){1,3}") {
            assert!(matches(&name, &name));
            assert!(!matches(&name, &format!("x{name}")));
        }
    }
}
