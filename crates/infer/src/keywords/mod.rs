//! Keywords of host names, URLs and other short texts.
//!
//! The paper's direct field inspection (ChatDissect, III-A1): of a field with few values each
//! value is a keyword; of others the longest common substring of every pair of observed strings,
//! where it is long enough and covers enough of them. Stated exactly:
//!
//! - The *observed strings* are values with the number of times each was seen. The coverage of a
//!   substring is the share of them, counted as often as seen, that contain it.
//! - A *candidate* is the longest common substring of two observed strings: of two different
//!   values, or of one value seen twice, whose longest common substring is itself. If a pair
//!   shares several of the same length, each is one. It counts with at least
//!   [`Params::keyword_length`] bytes and [`Params::keyword_coverage`].
//! - A candidate is *redundant* if a longer keyword contains it and what it covers beyond that
//!   keyword is less than [`Params::keyword_coverage`] too. What is left are the keywords.
//!
//! Of `hkshort.weixin.qq.com` and `shshort.weixin.qq.com` that leaves `short.weixin.qq.com`.
//! Pairs are not tried one by one: a suffix array gives every substring that could be a
//! candidate with its coverage in linear time, and only what would not be redundant is searched
//! for its pair.

mod corpus;
mod suffixes;

use std::borrow::Cow;
use std::cmp::Reverse;

use hashbrown::HashMap;

use crate::params::Params;
use corpus::{Corpus, Marks, Pair, Repeat};

/// Longest part of a value that is looked at, bytes.
const MOST_VALUE: usize = 2048;
/// Most bytes of distinct values that are looked at; about 30 bytes of memory each.
const MOST_TEXT: usize = 16 << 20;
/// Suffixes that the search for pairs may look at, for one candidate and in all.
const MOST_STEPS: (u64, u64) = (20_000_000, 400_000_000);
/// Examples kept of each keyword.
const EXAMPLES: usize = 3;

/// The fields that the paper inspects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Inspected {
    /// Name asked for in a DNS query.
    DnsName,
    /// `Host` of an HTTP request.
    Host,
    /// `Referer` of an HTTP request.
    Referer,
    /// `User-Agent` of an HTTP request.
    UserAgent,
    /// Method of an HTTP request.
    Method,
    /// Request target of an HTTP request.
    Url,
}

impl Inspected {
    /// All of them, in the paper's order.
    pub const ALL: [Inspected; 6] = [
        Inspected::DnsName,
        Inspected::Host,
        Inspected::Referer,
        Inspected::UserAgent,
        Inspected::Method,
        Inspected::Url,
    ];

    /// Its name in output.
    pub fn name(self) -> &'static str {
        match self {
            Inspected::DnsName => "dns-name",
            Inspected::Host => "host",
            Inspected::Referer => "referer",
            Inspected::UserAgent => "user-agent",
            Inspected::Method => "method",
            Inspected::Url => "url",
        }
    }

    /// Whether it tells tasks of an app apart, and not the app from others.
    pub fn tells_tasks(self) -> bool {
        matches!(self, Inspected::Method | Inspected::Url)
    }

    /// The value as it is compared: host names in lower case without the last dot and, in
    /// `Host`, without port.
    pub fn value(self, seen: &str) -> Cow<'_, str> {
        let name = match self {
            Inspected::DnsName => seen,
            Inspected::Host => match seen.rsplit_once(':') {
                Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
                _ => seen,
            },
            _ => return Cow::Borrowed(seen),
        };
        let name = name.strip_suffix('.').unwrap_or(name);
        if name.bytes().any(|b| b.is_ascii_uppercase()) {
            Cow::Owned(name.to_ascii_lowercase())
        } else {
            Cow::Borrowed(name)
        }
    }
}

/// Where a keyword may begin and end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Cut {
    /// At any character, as in the paper.
    #[default]
    Anywhere,
    /// Around whole labels: runs of letters, digits, `-` and `_`. Spares keywords that some
    /// labels share by chance, and misses `short` of `hkshort`.
    Labels,
}

/// How keywords were found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Few values: each is a keyword.
    Values,
    /// Longest common substrings.
    Substrings,
}

/// One keyword.
#[derive(Debug, Clone, PartialEq)]
pub struct Keyword {
    /// The text.
    pub text: String,
    /// How often strings with it were seen.
    pub count: u64,
    /// That by all strings seen.
    pub share: f64,
    /// How many distinct values contain it.
    pub values: usize,
    /// The most frequent of them, three at most.
    pub examples: Vec<String>,
    /// Why, in words with numbers.
    pub evidence: String,
}

/// The keywords of one field.
#[derive(Debug, Clone, PartialEq)]
pub struct Keywords {
    /// Those that cover most first.
    pub keywords: Vec<Keyword>,
    /// How they were found.
    pub method: Method,
    /// Distinct values.
    pub values: usize,
    /// How often any was seen.
    pub seen: u64,
    /// Rarest values that were left out, as all others filled the memory that this may take.
    pub left_out: usize,
    /// Keywords whose pair the search gave up on; they are long and frequent enough, but may not
    /// be the longest that any two strings share.
    pub unsure: usize,
}

/// Finds the keywords of a field from its values, each with the number of times it was seen.
/// Values may come more than once; empty ones are not looked at.
pub fn keywords<S: AsRef<str>>(
    values: impl IntoIterator<Item = (S, u64)>,
    params: &Params,
    cut: Cut,
) -> Keywords {
    let mut counts: HashMap<String, u64, foldhash::fast::RandomState> = HashMap::default();
    for (value, count) in values {
        let value = value.as_ref();
        let value = &value[..value.floor_char_boundary(MOST_VALUE)];
        if !value.is_empty() && count > 0 {
            let sum = counts.entry_ref(value).or_insert(0);
            *sum = sum.saturating_add(count);
        }
    }
    let mut values: Vec<(&str, u64)> = counts.iter().map(|(v, n)| (v.as_str(), *n)).collect();
    values.sort_unstable_by_key(|&(value, count)| (Reverse(count), value));
    let seen = values.iter().fold(0_u64, |sum, (_, count)| sum.saturating_add(*count));
    let distinct = values.len();
    let mut found = Keywords {
        keywords: Vec::new(),
        method: Method::Values,
        values: distinct,
        seen,
        left_out: 0,
        unsure: 0,
    };
    if distinct <= params.few_values {
        found.keywords = values.iter().map(|&(v, n)| whole(v, n, seen, distinct)).collect();
        return found;
    }
    let mut room = MOST_TEXT;
    let fits = values.iter().take_while(|(value, _)| {
        let left = room.checked_sub(value.len() + 1);
        room = left.unwrap_or(0);
        left.is_some()
    });
    let fits = fits.count();
    found.left_out = distinct - fits;
    values.truncate(fits);
    found.method = Method::Substrings;
    substrings(&values, params, cut, &mut found);
    found
}

fn share(part: u64, of: u64) -> f64 {
    if of == 0 { 0.0 } else { part as f64 / of as f64 }
}

fn whole(value: &str, count: u64, seen: u64, distinct: usize) -> Keyword {
    let share = share(count, seen);
    Keyword {
        text: value.to_owned(),
        count,
        share,
        values: 1,
        examples: vec![value.to_owned()],
        evidence: format!(
            "one of {distinct} values, {count} of {seen} strings ({:.1} %)",
            100.0 * share
        ),
    }
}

fn substrings(values: &[(&str, u64)], params: &Params, cut: Cut, found: &mut Keywords) {
    let seen = found.seen;
    let enough = params.keyword_coverage * seen as f64;
    let corpus = Corpus::new(values, cut);
    let least = u32::try_from(params.keyword_length.max(1)).unwrap_or(u32::MAX);
    let enough_times = (enough.ceil() as u64).max(1);
    let mut repeats = corpus.repeats(least, enough_times);
    repeats.extend(corpus.lone(least, enough_times));
    repeats.retain(|repeat| repeat.weight as f64 >= enough);
    repeats.sort_by(|a, b| {
        b.bytes.cmp(&a.bytes).then_with(|| corpus.symbols(a).cmp(corpus.symbols(b)))
    });
    let mut kept: Vec<(Repeat, Pair)> = Vec::new();
    let (mut marks, mut steps) = (Marks::default(), MOST_STEPS.1);
    for repeat in repeats {
        let symbols = corpus.symbols(&repeat);
        let redundant = kept.iter().any(|(longer, _)| {
            let beyond = repeat.weight - longer.weight.min(repeat.weight);
            longer.bytes > repeat.bytes
                && (beyond == 0 || (beyond as f64) < enough)
                && corpus.symbols(longer).windows(symbols.len()).any(|part| part == symbols)
        });
        let mut allowed = steps.min(MOST_STEPS.0);
        let given = allowed;
        let pair =
            if redundant { Pair::None } else { corpus.pair(&repeat, &mut marks, &mut allowed) };
        steps -= given - allowed;
        if pair != Pair::None {
            kept.push((repeat, pair));
        }
    }
    drop(marks);
    for (repeat, pair) in kept {
        let (holder, range) = corpus.place(&repeat);
        let text = &values[holder].0[range];
        let holders = corpus.holders(&repeat);
        let share = share(repeat.weight, seen);
        let part = format!(
            "{} of {seen} strings ({:.1} %), {} of {} values",
            repeat.weight,
            100.0 * share,
            holders.len(),
            found.values
        );
        let evidence = match pair {
            Pair::Found(a, b) if a == b => format!("a value seen {} times; {part}", values[a].1),
            Pair::Found(a, b) => {
                format!("longest common to `{}` and `{}`; {part}", values[a].0, values[b].0)
            }
            _ => {
                found.unsure += 1;
                format!("common, though maybe the longest of no pair; {part}")
            }
        };
        found.keywords.push(Keyword {
            text: text.to_owned(),
            count: repeat.weight,
            share,
            values: holders.len(),
            examples: holders.iter().take(EXAMPLES).map(|&i| values[i].0.to_owned()).collect(),
            evidence,
        });
    }
    found.keywords.sort_by(|a, b| {
        (b.count, b.text.len()).cmp(&(a.count, a.text.len())).then_with(|| a.text.cmp(&b.text))
    });
}

#[cfg(test)]
mod tests;
