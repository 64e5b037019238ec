//! Disagreements that a person has looked at: `xtask/judgements.tsv`.

use std::fs;

use crate::shell::{Result, root};

/// The file, from the root.
pub(super) const FILE: &str = "xtask/judgements.tsv";

const VERDICTS: &[&str] = &["ours-right", "ndpi-right", "both-defensible", "ndpi-guess"];

/// One line: what it is about (`*` stands for anything), and what was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Judgement {
    line: usize,
    about: [String; 4],
    /// One of [`VERDICTS`].
    pub(super) verdict: String,
    /// What the capture shows.
    pub(super) why: String,
}

/// All judgements, and which were needed.
pub(super) struct Judgements {
    list: Vec<Judgement>,
    used: Vec<bool>,
}

impl Judgements {
    /// Reads the file.
    pub(super) fn load() -> Result<Judgements> {
        Self::parse(&fs::read_to_string(root().join(FILE))?)
    }

    fn parse(text: &str) -> Result<Judgements> {
        let mut list = Vec::new();
        for (line, text) in (1..).zip(text.lines()).skip(1) {
            let row: Vec<&str> = text.split('\t').collect();
            let [capture, ends, ours, ndpi, verdict, why] = row.as_slice() else {
                return Err(format!("{FILE}:{line}: needs 6 columns, has {}", row.len()).into());
            };
            if !VERDICTS.contains(verdict) || why.is_empty() {
                let known = VERDICTS.join(", ");
                return Err(format!("{FILE}:{line}: needs one of {known}, and why").into());
            }
            list.push(Judgement {
                line,
                about: [capture, ends, ours, ndpi].map(|s| (*s).to_owned()),
                verdict: (*verdict).to_owned(),
                why: (*why).to_owned(),
            });
        }
        let used = vec![false; list.len()];
        Ok(Judgements { list, used })
    }

    /// The first judgement about this disagreement: capture, ends, our app or `-`, nDPI's name.
    pub(super) fn find(&mut self, case: [&str; 4]) -> Option<&Judgement> {
        let meets =
            |j: &Judgement| j.about.iter().zip(case).all(|(about, is)| about == "*" || about == is);
        let at = self.list.iter().position(meets)?;
        self.used[at] = true;
        self.list.get(at)
    }

    /// Lines that nothing needed: the disagreement is gone.
    pub(super) fn stale(&self) -> Vec<usize> {
        let all = self.list.iter().zip(&self.used);
        all.filter(|(_, used)| !**used).map(|(j, _)| j.line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn judgements_are_found_and_counted() {
        let text = "capture\tends\tours\tndpi\tverdict\twhy\n\
                    a.pcap\t*\t-\tSTUN.WhatsAppCall\tndpi-guess\tplain STUN\n\
                    b.pcap\t*\t*\t*\tours-right\tthe name says so\n";
        let mut judgements = Judgements::parse(text).unwrap();
        let case = ["a.pcap", "udp 1 2", "-", "STUN.WhatsAppCall"];
        assert_eq!(judgements.find(case).unwrap().verdict, "ndpi-guess");
        assert_eq!(judgements.find(["a.pcap", "udp 1 2", "-", "Viber"]), None);
        assert_eq!(judgements.stale(), [3]);
        assert!(Judgements::parse("header\na\tb\tc\td\tperhaps\twhy\n").is_err());
        assert!(Judgements::parse("header\na\tb\tc\td\tours-right\t\n").is_err());
    }
}
