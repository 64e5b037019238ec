//! Naming schemes mined from observed names: `mmi301.whatsapp.net`, `mmv12.whatsapp.net` become
//! `mm{i,v}#.whatsapp.net` (the Vivisecting WhatsApp paper, 2; the WhatsApp Calling paper,
//! Table 1). What comes out is written in the pattern language of the catalogue, so that a
//! person may paste it there.

use std::collections::{BTreeMap, BTreeSet};

/// Names that differ in one part only are one pattern when that part takes at least this many
/// values.
const VARIANTS: usize = 6;

/// Names of one scheme.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameGroup {
    /// The registrable domain, `whatsapp.net`.
    pub domain: String,
    /// The scheme, domain included, in the pattern language.
    pub pattern: String,
    /// Indices of the names, rising.
    pub names: Vec<usize>,
}

/// One part of a name: what stands between dots and hyphens, and which of them follows.
type Part = (String, &'static str);

/// A scheme and the names that have it.
type Scheme = (Vec<Part>, Vec<usize>);

/// Groups names by scheme, largest group first. Digits become `#`; a part that takes many values
/// where all else is equal becomes its common start and end around `*`; schemes that differ in
/// one letter before the digits become alternatives.
pub fn mine(names: &[&str]) -> Vec<NameGroup> {
    let mut groups: BTreeMap<(String, Vec<Part>), Vec<usize>> = BTreeMap::new();
    for (index, name) in names.iter().enumerate() {
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        let domain = psl::domain_str(&name).unwrap_or(&name).to_owned();
        let rest = name.strip_suffix(&domain).unwrap_or_default();
        groups.entry((domain, parts(rest.trim_end_matches('.')))).or_default().push(index);
    }
    let mut by_domain: BTreeMap<String, Vec<Scheme>> = BTreeMap::new();
    for ((domain, parts), names) in groups {
        by_domain.entry(domain).or_default().push((parts, names));
    }
    let mut out = Vec::new();
    for (domain, groups) in by_domain {
        for (scheme, mut names) in merge_letters(merge_parts(groups)) {
            names.sort_unstable();
            let dot = if scheme.is_empty() { "" } else { "." };
            out.push(NameGroup {
                pattern: format!("{scheme}{dot}{domain}"),
                domain: domain.clone(),
                names,
            });
        }
    }
    out.sort_by(|a, b| b.names.len().cmp(&a.names.len()).then_with(|| a.pattern.cmp(&b.pattern)));
    out
}

/// Splits at dots and hyphens, digits as `#`.
fn parts(rest: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut text = String::new();
    for c in rest.chars() {
        match c {
            '.' => parts.push((std::mem::take(&mut text), ".")),
            '-' => parts.push((std::mem::take(&mut text), "-")),
            c if c.is_ascii_digit() => {
                if !text.ends_with('#') {
                    text.push('#');
                }
            }
            c => text.push(c),
        }
    }
    if !text.is_empty() {
        parts.push((text, ""));
    }
    parts
}

/// Replaces parts that vary where all others are equal.
fn merge_parts(groups: Vec<Scheme>) -> BTreeMap<Vec<Part>, Vec<usize>> {
    let mut groups: BTreeMap<Vec<Part>, Vec<usize>> = groups.into_iter().collect();
    let longest = groups.keys().map(Vec::len).max().unwrap_or(0);
    for at in 0..longest {
        let mut families: BTreeMap<Vec<Part>, BTreeSet<String>> = BTreeMap::new();
        for parts in groups.keys().filter(|parts| parts.len() > at) {
            let mut others = parts.clone();
            let own = std::mem::take(&mut others[at].0);
            families.entry(others).or_default().insert(own);
        }
        for (others, values) in families.iter().filter(|(_, values)| values.len() >= VARIANTS) {
            let (start, end) = common(values);
            // The first part names what a server is for: it is kept unless all begin alike.
            if at == 0 && start.is_empty() {
                continue;
            }
            let mut merged = others.clone();
            merged[at].0 = format!("{start}*{end}");
            for value in values {
                let mut old = others.clone();
                old[at].0.clone_from(value);
                if let Some(names) = groups.remove(&old) {
                    groups.entry(merged.clone()).or_default().extend(names);
                }
            }
        }
    }
    groups
}

/// Longest start and end that all values have, not overlapping.
fn common(values: &BTreeSet<String>) -> (String, String) {
    let Some(first) = values.first() else { return Default::default() };
    let shortest = values.iter().map(|v| v.chars().count()).min().unwrap_or(0);
    let shared = |a: &mut dyn Iterator<Item = char>, b: &mut dyn Iterator<Item = char>| {
        a.zip(b).take_while(|(x, y)| x == y).count()
    };
    let mut start = shortest;
    let mut end = shortest;
    for value in values {
        start = start.min(shared(&mut first.chars(), &mut value.chars()));
        end = end.min(shared(&mut first.chars().rev(), &mut value.chars().rev()));
    }
    end = end.min(shortest - start);
    let skip = first.chars().count() - end;
    (first.chars().take(start).collect(), first.chars().skip(skip).collect())
}

/// Joins schemes that differ in the letter before the first digits: `c#`, `d#`, `e#`. Single
/// letters are joined only where they follow each other in the alphabet, since `e#` and `v#`
/// need not be kin.
fn merge_letters(groups: BTreeMap<Vec<Part>, Vec<usize>>) -> BTreeMap<String, Vec<usize>> {
    let mut out: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    let mut families: BTreeMap<(String, String), BTreeMap<char, Vec<usize>>> = BTreeMap::new();
    for (parts, names) in groups {
        let scheme: String = parts.iter().flat_map(|(text, gap)| [text.as_str(), gap]).collect();
        let letter = scheme.find('#').and_then(|at| Some((at, scheme[..at].chars().next_back()?)));
        match letter {
            Some((at, letter)) if letter.is_ascii_lowercase() && !scheme.contains('*') => {
                let family = (scheme[..at - 1].to_owned(), scheme[at..].to_owned());
                families.entry(family).or_default().insert(letter, names);
            }
            _ => out.entry(scheme).or_default().extend(names),
        }
    }
    for ((start, end), letters) in families {
        let mut run: Vec<char> = Vec::new();
        let mut members: Vec<usize> = Vec::new();
        let mut close = |run: &mut Vec<char>, members: &mut Vec<usize>| {
            let middle = match run.as_slice() {
                [] => return,
                [one] => one.to_string(),
                many => {
                    let texts: Vec<String> = many.iter().map(ToString::to_string).collect();
                    format!("{{{}}}", texts.join(","))
                }
            };
            let scheme = format!("{start}{middle}{end}");
            out.entry(scheme).or_default().append(members);
            run.clear();
        };
        for (letter, names) in &letters {
            let follows = run.last().is_none_or(|last| *last as u32 + 1 == *letter as u32);
            let kin = start.chars().next_back().is_some_and(|c| c.is_ascii_lowercase());
            if !follows && !kin {
                close(&mut run, &mut members);
            }
            run.push(*letter);
            members.extend(names);
        }
        close(&mut run, &mut members);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pattern::{self, Rest};

    fn mined(names: &[&str]) -> Vec<(String, usize)> {
        mine(names).into_iter().map(|group| (group.pattern, group.names.len())).collect()
    }

    fn matches(pattern: &str, name: &str) -> bool {
        pattern::parse(pattern).unwrap().iter().any(|host| match name.strip_suffix(&*host.suffix) {
            Some("") => host.rest == Rest::Nothing,
            Some(rest) => rest.strip_suffix('.').is_some_and(|rest| host.matches_rest(rest)),
            None => false,
        })
    }

    #[test]
    fn the_papers_scheme_is_found() {
        let names = [
            "c1.whatsapp.net",
            "d3.whatsapp.net",
            "e10.whatsapp.net",
            "e11.whatsapp.net",
            "mmi301.whatsapp.net",
            "mms872.whatsapp.net",
            "mmv103.whatsapp.net",
            "mmx-ds.cdn.whatsapp.net",
            "crashlogs.whatsapp.net",
            "v2.whatsapp.net",
        ];
        assert_eq!(
            mined(&names),
            [
                ("{c,d,e}#.whatsapp.net".to_owned(), 4),
                ("mm{i,s,v}#.whatsapp.net".to_owned(), 3),
                ("crashlogs.whatsapp.net".to_owned(), 1),
                ("mmx-ds.cdn.whatsapp.net".to_owned(), 1),
                ("v#.whatsapp.net".to_owned(), 1),
            ]
        );
    }

    #[test]
    fn site_codes_become_stars() {
        let sites = ["bkk", "cgk", "del", "mvd", "gru", "hel"];
        let names: Vec<String> = sites
            .iter()
            .flat_map(|s| {
                [
                    format!("media.f{s}1-2.fna.whatsapp.net"),
                    format!("media-{s}2-1.cdn.whatsapp.net"),
                ]
            })
            .collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        assert_eq!(
            mined(&names),
            [
                ("media-*#-#.cdn.whatsapp.net".to_owned(), 6),
                ("media.f*#-#.fna.whatsapp.net".to_owned(), 6)
            ]
        );
    }

    #[test]
    fn public_suffixes_are_respected() {
        assert_eq!(
            mined(&["a1.example.co.uk", "a2.example.co.uk", "co.uk", "localhost", ""]),
            [
                ("a#.example.co.uk".to_owned(), 2),
                (String::new(), 1),
                ("co.uk".to_owned(), 1),
                ("localhost".to_owned(), 1),
            ]
        );
    }

    #[test]
    fn real_names_give_few_schemes_that_match_them() {
        let corpus = std::env::var("OTTOSCOPE_CORPUS")
            .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared").to_owned());
        let Ok(text) =
            std::fs::read_to_string(format!("{corpus}/data/places/whatsapp_domainlist.txt"))
        else {
            return eprintln!("no corpus at {corpus}: real names are not tried");
        };
        let names: Vec<&str> =
            text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
        let groups = mine(&names);
        assert_eq!(groups.iter().map(|group| group.names.len()).sum::<usize>(), names.len());
        for group in &groups {
            for &index in &group.names {
                assert!(
                    matches(&group.pattern, names[index]),
                    "{} {}",
                    group.pattern,
                    names[index]
                );
            }
        }
        let size = |pattern: &str| {
            groups
                .iter()
                .find(|group| group.pattern == pattern)
                .map_or(0, |group| group.names.len())
        };
        assert!(names.len() > 2_000);
        assert!(size("media.f*#-#.fna.whatsapp.net") > 800, "{:#?}", &groups[..10]);
        assert!(size("sonar.f*#-#.fna.whatsapp.net") > 300, "{:#?}", &groups[..10]);
        assert!(size("mm{i,v}#.whatsapp.net") > 80, "{:#?}", &groups[..10]);
        assert!(groups.len() < 250, "{}", groups.len());
    }

    proptest::proptest! {
        #[test]
        fn every_name_is_in_one_group(names in proptest::collection::vec("[a-c0-2.-]{0,12}", 0..40)) {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let mut seen: Vec<usize> = mine(&names).into_iter().flat_map(|g| g.names).collect();
            seen.sort_unstable();
            proptest::prop_assert_eq!(seen, (0..names.len()).collect::<Vec<_>>());
        }
    }
}
