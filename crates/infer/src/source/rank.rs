//! Numbers ranked by how closely they are tied to a URL.

use std::collections::{BTreeMap, BTreeSet};

use super::Known;
use super::unit::{Corpus, Item, REACH, Spot, Unit, What};

/// Candidates told of each URL, and evidence of each candidate.
const MOST_CANDIDATES: usize = 16;
const MOST_EVIDENCE: usize = 5;
/// What the closest places count for a candidate.
const PLACES: [f64; 3] = [1.0, 0.5, 0.25];
/// What a place counts that names only the last parts of the URL.
const PARTIAL: f64 = 0.5;
/// What a number counts that is written as a constant's name.
const NAMED: f64 = 1.5;
/// Places of URLs that are looked at.
const MOST_PLACES: usize = 100_000;

/// How a number is tied to a URL, the closest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tie {
    /// In one statement, call or element.
    Statement,
    /// In one method.
    Method,
    /// In one class, and all that a method returns or a constant holds.
    Getter,
    /// In one class.
    Class,
}

impl Tie {
    /// The tie in words.
    pub fn name(self) -> &'static str {
        match self {
            Tie::Statement => "same statement",
            Tie::Method => "same method",
            Tie::Getter => "same class, returned or defined alone",
            Tie::Class => "same class",
        }
    }

    /// How much it weighs, that many tokens apart.
    fn weight(self, apart: u32) -> f64 {
        let apart = f64::from(apart);
        match self {
            Tie::Statement => 8.0 / (1.0 + apart / 8.0),
            Tie::Method => 4.0 / (1.0 + apart / 8.0),
            Tie::Getter => 3.0 / (1.0 + apart / 256.0),
            Tie::Class => 1.0 / (1.0 + apart / 32.0),
        }
    }
}

/// One place where a URL and a number stand together.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    /// The file.
    pub file: String,
    /// The class, or nothing.
    pub class: String,
    /// The method of the number, where known.
    pub method: String,
    /// How they are tied.
    pub tie: Tie,
    /// Line (from 1) and column of the URL; in dex files the offset in its method, in code
    /// units of 2 bytes, and 0.
    pub url_at: (u32, u32),
    /// The same of the number.
    pub number_at: (u32, u32),
    /// The number's line, as far as it is short.
    pub snippet: String,
    /// The constant's name, where the number was written as one.
    pub constant: Option<String>,
    /// Only the last parts of the URL stand there.
    pub partial: bool,
}

/// A number that may be the opcode.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// The number.
    pub opcode: u64,
    /// Larger is closer; only comparable within one search.
    pub score: f64,
    /// Score by the sum of the scores of all candidates of the URL.
    pub share: f64,
    /// Whether it was seen as an opcode in traffic; `None` where none were given.
    pub seen: Option<bool>,
    /// Places, the closest first.
    pub evidence: Vec<Evidence>,
}

/// What was found of one URL.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// The URL as asked.
    pub url: String,
    /// Places in code where it stands.
    pub places: usize,
    /// Numbers near it, the likeliest first. Empty: no number stands near, or the URL nowhere.
    pub candidates: Vec<Candidate>,
}

/// A tie found, with references into the corpus.
struct Link<'a> {
    weight: f64,
    tie: Tie,
    unit: &'a Unit,
    url: &'a Item,
    partial: bool,
    number: &'a Item,
}

pub(super) fn rank(known: &Known, mut corpus: Corpus) -> Vec<Finding> {
    let mut kept = std::mem::take(&mut corpus.kept);
    for unit in &mut kept {
        resolve(unit, &corpus);
    }
    // By URL and number.
    let mut links: Vec<BTreeMap<u64, Vec<Link<'_>>>> = Vec::new();
    links.resize_with(known.urls.len(), BTreeMap::new);
    let mut places = vec![0; known.urls.len()];
    let mut left = MOST_PLACES;
    for unit in &kept {
        link(known, unit, &mut links, &mut places, &mut left);
    }
    // How near each number comes to each URL, so that a number near to many tells little.
    let mut nearness: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
    for numbers in &links {
        for (number, links) in numbers {
            let nearest = links.iter().map(|link| link.weight).fold(0.0, f64::max);
            nearness.entry(*number).or_default().push(nearest);
        }
    }
    let urls = known.urls.iter().zip(links).zip(places);
    urls.map(|((url, numbers), places)| {
        let mut candidates: Vec<Candidate> = numbers
            .into_iter()
            .map(|(number, links)| candidate(known, &corpus, number, links, &nearness))
            .collect();
        let sum: f64 = candidates.iter().map(|candidate| candidate.score).sum();
        candidates
            .sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.opcode.cmp(&b.opcode)));
        candidates.truncate(MOST_CANDIDATES);
        for candidate in &mut candidates {
            candidate.share = candidate.score / sum;
        }
        Finding { url: url.clone(), places, candidates }
    })
    .collect()
}

/// Ties of every URL in a class to the numbers in it.
fn link<'a>(
    known: &Known,
    unit: &'a Unit,
    links: &mut [BTreeMap<u64, Vec<Link<'a>>>],
    places: &mut [usize],
    left: &mut usize,
) {
    let alone: Vec<&Item> = unit.items.iter().filter(|item| item.alone).collect();
    for url in &unit.items {
        let What::Url(hit) = url.what else { continue };
        if *left == 0 {
            return;
        }
        *left -= 1;
        places[hit.url as usize] += usize::from(!url.used);
        let first = unit.items.partition_point(|item| item.at < url.at.saturating_sub(REACH));
        let near = unit.items[first..].iter().take_while(|item| item.at <= url.at + REACH);
        let far = alone.iter().copied().filter(|item| item.at.abs_diff(url.at) > REACH);
        for number in near.chain(far) {
            let What::Number(value) = number.what else { continue };
            if value > known.largest {
                continue;
            }
            let tie = if number.member == url.member && number.statement == url.statement {
                Tie::Statement
            } else if number.member == url.member {
                Tie::Method
            } else if number.alone {
                Tie::Getter
            } else {
                Tie::Class
            };
            let named = if number.constant.is_some() { NAMED } else { 1.0 };
            let weight = tie.weight(number.at.abs_diff(url.at)) * named;
            let list = links[hit.url as usize].entry(value).or_default();
            list.push(Link { weight, tie, unit, url, partial: !hit.whole, number });
            // Only the closest few are told or counted.
            if list.len() > 4 * MOST_EVIDENCE {
                nearest_first(list);
                list.truncate(MOST_EVIDENCE);
            }
        }
    }
}

fn nearest_first(links: &mut [Link<'_>]) {
    links.sort_by(|a, b| {
        b.weight.total_cmp(&a.weight).then_with(|| a.unit.file.cmp(&b.unit.file)).then_with(|| {
            let at = |item: &Item| (item.spot.line, item.spot.column, item.at);
            (at(a.url), at(a.number)).cmp(&(at(b.url), at(b.number)))
        })
    });
}

/// Puts values in the place of constants' names.
fn resolve(unit: &mut Unit, corpus: &Corpus) {
    for item in &mut unit.items {
        let What::Name(name) = &item.what else { continue };
        let mut parts = name.rsplit('.');
        let last = parts.next().unwrap_or_default();
        let class = parts.next().unwrap_or(&unit.name);
        if let Some(what) = corpus.constants.get(format!("{class}.{last}").as_str())
            && !matches!(what, What::Name(_))
        {
            item.constant = Some(name.clone());
            item.what = what.clone();
        }
    }
}

fn candidate(
    known: &Known,
    corpus: &Corpus,
    opcode: u64,
    mut links: Vec<Link<'_>>,
    nearness: &BTreeMap<u64, Vec<f64>>,
) -> Candidate {
    nearest_first(&mut links);
    let nearest = links.first().map_or(0.0, |link| link.weight);
    let places = links.iter().zip(PLACES);
    let near: f64 = places
        .map(|(link, counts)| counts * link.weight * if link.partial { PARTIAL } else { 1.0 })
        .sum();
    let rivals = nearness.get(&opcode).into_iter().flatten();
    let shared = rivals.filter(|weight| **weight >= nearest / 2.0).count().max(1);
    let units = 1.0 + corpus.units() as f64;
    // Classes that hold the number without the URL speak against it.
    let holders: BTreeSet<*const Unit> =
        links.iter().map(|link| std::ptr::from_ref(link.unit)).collect();
    let all = corpus.frequency.get(&opcode).copied().unwrap_or(0);
    let among = 1 + all.saturating_sub(holders.len() as u32);
    let rarity = ((units / f64::from(among)).ln() / units.ln()).clamp(0.05, 1.0);
    let mut score = near * rarity / shared as f64;
    let response = opcode.checked_add(known.response_offset);
    if known.response_offset > 0
        && links.iter().any(|link| {
            link.unit
                .items
                .iter()
                .any(|item| response.is_some_and(|r| item.what == What::Number(r)))
        })
    {
        score *= 2.0;
    }
    let seen = (!known.opcodes.is_empty()).then(|| known.opcodes.contains(&opcode));
    score *= match seen {
        Some(true) => 4.0,
        Some(false) => 0.25,
        None => 1.0,
    };
    links.dedup_by(|a, b| {
        std::ptr::eq(a.unit, b.unit) && a.number.spot == b.number.spot && a.url.spot == b.url.spot
    });
    let evidence = links.iter().take(MOST_EVIDENCE).map(told).collect();
    Candidate { opcode, score, share: 0.0, seen, evidence }
}

fn told(link: &Link<'_>) -> Evidence {
    let at = |spot: Spot| (spot.line, spot.column);
    let unit = link.unit;
    let text = |text: Option<&Box<str>>| text.map(|text| text.to_string()).unwrap_or_default();
    Evidence {
        file: unit.file.to_string(),
        class: unit.name.to_string(),
        method: text(unit.members.get(&link.number.member)),
        tie: link.tie,
        url_at: at(link.url.spot),
        number_at: at(link.number.spot),
        snippet: text(unit.lines.get(&link.number.spot.line)),
        constant: link.number.constant.as_ref().map(|name| name.to_string()),
        partial: link.partial,
    }
}
