//! Beside nDPI: what the shipped catalogue says of host names to which nDPI gave a label.
//!
//! `cargo run -p ottoscope-catalog --example compare_names -- ndpi-labels.tsv` prints agreement
//! per app and every disagreement. nDPI is a rival, not the truth.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::Write;

use ottoscope_catalog::Catalog;

/// nDPI's word for an app of ours; the part after the carrier (`TLS.`) counts.
const WORDS: &[(&str, &[&str])] = &[
    ("WhatsApp", &["whatsapp"]),
    ("WhatsAppFiles", &["whatsapp"]),
    ("WhatsAppCall", &["whatsapp"]),
    ("WeChat", &["wechat"]),
    ("QQ", &["qq", "tencent"]),
    ("Telegram", &["telegram"]),
    ("Signal", &["signal"]),
    ("Viber", &["viber"]),
    ("Line", &["line"]),
    ("KakaoTalk", &["kakaotalk"]),
    ("Skype_Teams", &["skype", "teams"]),
    ("Teams", &["teams"]),
    ("Facebook", &["facebook"]),
    ("FacebookMessenger", &["messenger"]),
    ("FbookReelStory", &["facebook", "instagram"]),
    ("Instagram", &["instagram"]),
    ("Discord", &["discord"]),
    ("Zoom", &["zoom"]),
    ("GoogleChat", &["google-meet"]),
    ("Google", &["google", "google-meet"]),
    ("GoogleServices", &["google"]),
    ("YouTube", &["google"]),
    ("Snapchat", &["snapchat"]),
    ("ApplePush", &["apple"]),
    ("Apple", &["apple", "imessage"]),
    ("AppleiCloud", &["apple"]),
    ("AppleiTunes", &["apple"]),
    ("AppleStore", &["apple"]),
    ("AppleSiri", &["apple"]),
    ("DingTalk", &["dingtalk"]),
    ("Slack", &["slack"]),
];

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("give the path of ndpi-labels.tsv")?;
    let catalog = Catalog::builtin()?;
    let mut counts: BTreeMap<&str, (u32, u32)> = BTreeMap::new();
    let mut others: BTreeMap<String, u32> = BTreeMap::new();
    for line in std::fs::read_to_string(path)?.lines().skip(1) {
        let columns: Vec<&str> = line.split('\t').collect();
        let (Some(label), Some(host)) = (columns.get(6), columns.get(8)) else { continue };
        if host.is_empty() {
            continue;
        }
        let word = label.rsplit('.').next().unwrap_or_default();
        let found = catalog.lookup_name(host);
        let ours = found.map_or("-", |rule| &*rule.app);
        match WORDS.iter().find(|(theirs, _)| *theirs == word) {
            Some((word, apps)) => {
                let count = counts.entry(word).or_default();
                if apps.contains(&ours) {
                    count.0 += 1;
                } else {
                    count.1 += 1;
                    *others.entry(format!("{label}\t{ours}\t{host}")).or_default() += 1;
                }
            }
            None if found.is_some() => {
                *others.entry(format!("{label}\t{ours}\t{host}")).or_default() += 1;
            }
            None => {}
        }
    }
    let mut out = std::io::stdout().lock();
    writeln!(out, "{:<20} {:>6} {:>9}", "nDPI", "agree", "disagree")?;
    for (word, (agree, disagree)) in &counts {
        writeln!(out, "{word:<20} {agree:>6} {disagree:>9}")?;
    }
    writeln!(out, "\nflows\tnDPI\tours\thost")?;
    for (what, flows) in &others {
        writeln!(out, "{flows}\t{what}")?;
    }
    Ok(())
}
