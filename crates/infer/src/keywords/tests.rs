//! Keywords against the definition tried pair by pair.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

/// The module's definition, word by word.
fn by_definition(
    values: &[(String, u64)],
    length: usize,
    coverage: f64,
) -> BTreeSet<(String, u64)> {
    let seen: u64 = values.iter().map(|(_, count)| count).sum();
    let enough = coverage * seen as f64;
    let covered = |text: &str| -> u64 {
        values.iter().filter(|(value, _)| value.contains(text)).map(|(_, count)| count).sum()
    };
    let mut candidates = BTreeSet::new();
    for (i, (a, count)) in values.iter().enumerate() {
        if *count > 1 {
            candidates.insert(a.clone());
        }
        for (b, _) in &values[i + 1..] {
            let common: Vec<&str> = (0..a.len())
                .flat_map(|from| (from + 1..=a.len()).map(move |to| from..to))
                .filter_map(|range| a.get(range))
                .filter(|part| b.contains(part))
                .collect();
            let longest = common.iter().map(|part| part.len()).max().unwrap_or(0);
            candidates.extend(common.iter().filter(|p| p.len() == longest).map(|p| p.to_string()));
        }
    }
    candidates.retain(|text| text.len() >= length && covered(text) as f64 >= enough);
    let mut candidates: Vec<String> = candidates.into_iter().collect();
    candidates.sort_by_key(|text| Reverse(text.len()));
    let mut kept: Vec<String> = Vec::new();
    for text in candidates {
        let redundant = kept.iter().any(|longer| {
            let beyond = covered(&text) - covered(longer).min(covered(&text));
            longer.len() > text.len()
                && longer.contains(&text)
                && (beyond == 0 || (beyond as f64) < enough)
        });
        if !redundant {
            kept.push(text);
        }
    }
    kept.into_iter().map(|text| (text.clone(), covered(&text))).collect()
}

fn params(length: usize, coverage: f64, few: usize) -> Params {
    Params {
        keyword_length: length,
        keyword_coverage: coverage,
        few_values: few,
        ..Params::default()
    }
}

fn texts(found: &Keywords) -> Vec<&str> {
    found.keywords.iter().map(|keyword| keyword.text.as_str()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]
    #[test]
    fn keywords_are_those_of_the_definition(
        values in proptest::collection::btree_map("[abé.]{1,9}", 1_u64..4, 1..9),
        length in 1_usize..4,
        coverage in prop::sample::select(vec![0.0, 0.05, 0.2, 0.34, 0.5]),
    ) {
        let values: Vec<(String, u64)> = values.into_iter().collect();
        let found = keywords(values.clone(), &params(length, coverage, 0), Cut::Anywhere);
        let found: Vec<_> = found.keywords.into_iter().map(|k| (k.text, k.count)).collect();
        let set: BTreeSet<_> = found.iter().cloned().collect();
        prop_assert_eq!(found.len(), set.len());
        prop_assert_eq!(set, by_definition(&values, length, coverage));
    }

    #[test]
    fn any_text_will_do(
        values in proptest::collection::vec((".{0,40}", 0_u64..9), 0..40),
        labels: bool,
    ) {
        let cut = if labels { Cut::Labels } else { Cut::Anywhere };
        let found = keywords(values.clone(), &Params::default(), cut);
        for keyword in &found.keywords {
            let holds = |(value, _): &&(String, u64)| value.contains(&keyword.text);
            let covered: u64 = values.iter().filter(holds).map(|(_, count)| count).sum();
            prop_assert!(keyword.count <= covered);
            let exact = cut == Cut::Anywhere && found.method == Method::Substrings;
            prop_assert!(!exact || keyword.count == covered);
        }
    }
}

#[test]
fn the_papers_host_names() {
    let found = keywords(
        [("hkshort.weixin.qq.com", 1), ("shshort.weixin.qq.com", 1)],
        &params(4, 0.05, 0),
        Cut::Anywhere,
    );
    assert_eq!(texts(&found), ["short.weixin.qq.com"]);
    assert_eq!(
        found.keywords[0].evidence,
        "longest common to `hkshort.weixin.qq.com` and `shshort.weixin.qq.com`; \
         2 of 2 strings (100.0 %), 2 of 2 values"
    );
    let names = [
        ("hkshort.weixin.qq.com", 10),
        ("shshort.weixin.qq.com", 10),
        ("hklong.weixin.qq.com", 10),
        ("szlong.weixin.qq.com", 10),
        ("support.weixin.qq.com", 10),
        ("wx.qlogo.cn", 20),
        ("mmsns.qpic.cn", 10),
        ("shmmsns.qpic.cn", 10),
        ("voip.weixin.qq.com", 9),
        ("dns.weixin.qq.com", 1),
    ];
    let found = keywords(names, &Params::default(), Cut::Anywhere);
    assert_eq!(
        texts(&found),
        [
            ".weixin.qq.com",
            "ort.weixin.qq.com",
            "short.weixin.qq.com",
            "long.weixin.qq.com",
            "mmsns.qpic.cn",
            "wx.qlogo.cn",
            "hkshort.weixin.qq.com",
            "shshort.weixin.qq.com",
            "support.weixin.qq.com",
            "hklong.weixin.qq.com",
            "szlong.weixin.qq.com",
            "shmmsns.qpic.cn",
            "voip.weixin.qq.com",
        ]
    );
    assert_eq!((found.unsure, found.left_out), (0, 0));
}

#[test]
fn of_few_values_each_is_a_keyword() {
    let found =
        keywords([("GET", 90), ("POST", 9), ("HEAD", 1)], &Params::default(), Cut::Anywhere);
    assert_eq!(found.method, Method::Values);
    assert_eq!(texts(&found), ["GET", "POST", "HEAD"]);
    assert_eq!(found.keywords[2].evidence, "one of 3 values, 1 of 100 strings (1.0 %)");
    assert!(keywords([("", 3)], &Params::default(), Cut::Anywhere).keywords.is_empty());
}

#[test]
fn whole_labels_on_request() {
    let urls: Vec<(String, u64)> =
        (0..64).map(|n| (format!("/mmsns/{:08x}/0", 0x9e37_79b9_u32.wrapping_mul(n)), 1)).collect();
    let by_character = keywords(urls.clone(), &Params::default(), Cut::Anywhere);
    assert!(by_character.keywords.len() > 5);
    let by_label = keywords(urls, &Params::default(), Cut::Labels);
    assert_eq!(texts(&by_label), ["/mmsns/"]);
}

#[test]
fn values_are_made_alike() {
    assert_eq!(Inspected::DnsName.value("Long.WeiXin.QQ.com."), "long.weixin.qq.com");
    assert_eq!(Inspected::Host.value("short.weixin.qq.com:8080"), "short.weixin.qq.com");
    assert_eq!(Inspected::Url.value("/A:80"), "/A:80");
}
