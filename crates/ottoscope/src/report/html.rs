//! The page.

use std::fmt::Write as _;

use ottoscope_analysis::figure::{Chart, Figure};
use ottoscope_analysis::grid::Unit;
use ottoscope_analysis::{Answer, NamedTable};
use ottoscope_store::{ClientAddresses, RunRecord};

use super::svg::{self, Room};
use super::text::{escape, markdown, visible};
use super::{Facts, ReportData, number, table};

/// Rules of the page.
pub(crate) const STYLE: &str = include_str!("page.css");
/// Sorts tables by the column that is clicked. The page works without.
const SCRIPT: &str = include_str!("page.js");
/// SHA-256 of [`SCRIPT`] in base64: the only code that a browser may run on the page.
const SCRIPT_HASH: &str = include_str!("page.js.sha256");
/// A table of more rows than this begins closed, where a figure says what is in it.
const OPEN: usize = 16;

/// Renders the page.
pub(super) fn page(data: &ReportData<'_>) -> String {
    let mut out = String::with_capacity(1 << 18);
    let title = escape(&visible(&data.title));
    let _ = write!(
        out,
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\"><meta name=\"referrer\" content=\"no-referrer\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; \
         script-src 'sha256-{}'; base-uri 'none'; form-action 'none'\">\
         <title>{title}</title><style>{}{}{STYLE}</style></head><body>",
        SCRIPT_HASH.trim(),
        svg::THEME,
        svg::RULES,
    );
    head(&mut out, data, &title);
    let shown: Vec<&Answer> = data.answers.iter().filter(|answer| !is_empty(answer)).collect();
    contents(&mut out, &shown);
    out.push_str("<main>");
    for answer in &shown {
        section(&mut out, answer);
    }
    foot(&mut out, data);
    let _ = writeln!(out, "</main><script>{SCRIPT}</script></body></html>");
    out
}

fn is_empty(answer: &Answer) -> bool {
    answer.tables.iter().all(|table| table.rows.is_empty())
}

fn head(out: &mut String, data: &ReportData<'_>, title: &str) {
    let facts = &data.facts;
    let _ = write!(out, "<header><p class=\"kind\">Measurement study</p><h1>{title}</h1>");
    if !data.about.is_empty() {
        let _ = write!(out, "<p class=\"about\">{}</p>", escape(&visible(&data.about)));
    }
    if let Some([first, last]) = facts.span {
        let _ = write!(
            out,
            "<p class=\"span\">{} to {} UTC, {}</p>",
            number::time(first),
            number::time(last),
            escape(&number::duration((last - first).max(0.0)))
        );
    }
    out.push_str("<dl class=\"facts\">");
    let mut fact = |value: String, name: &str, more: String| {
        let _ = write!(
            out,
            "<div><dt>{name}</dt><dd>{}</dd><dd class=\"more\">{}</dd></div>",
            escape(&value),
            escape(&more)
        );
    };
    let count = |x: f64| number::value(x, Unit::Count);
    let of = |part: f64, whole: f64| {
        if whole > 0.0 {
            number::value(part / whole, Unit::Share)
        } else {
            number::value(0.0, Unit::Share)
        }
    };
    let cut = match facts.captures[1] {
        0.0 => String::new(),
        n => format!("{} cut inside a record", count(n)),
    };
    fact(count(facts.captures[0]), "captures", cut);
    fact(number::headline(facts.packets), "packets", number::value(facts.bytes, Unit::Bytes));
    fact(number::headline(facts.flows), "flows", number::value(facts.flow_bytes, Unit::Bytes));
    fact(number::headline(facts.users), "users", "client addresses until idle".to_owned());
    fact(
        of(facts.labelled, facts.flows),
        "flows labelled",
        format!("{} of bytes", of(facts.labelled_bytes, facts.flow_bytes)),
    );
    fact(count(facts.apps), "applications", String::new());
    fact(
        number::headline(facts.anomaly_count),
        "anomalies",
        "traffic that could not be read".to_owned(),
    );
    out.push_str("</dl></header>");
}

fn contents(out: &mut String, answers: &[&Answer]) {
    out.push_str("<nav aria-label=\"Contents\"><ul>");
    for answer in answers {
        let _ = write!(out, "<li><a href=\"#{}\">{}</a></li>", answer.id, escape(answer.title));
    }
    out.push_str("<li><a href=\"#provenance\">Provenance</a></li></ul></nav>");
}

fn section(out: &mut String, answer: &Answer) {
    let _ = write!(out, "<section id=\"{}\"><h2>{}</h2>", answer.id, escape(answer.title));
    let drawn: Vec<&Figure> = answer.figures.iter().filter(|figure| !figure.is_empty()).collect();
    let pictured = !drawn.is_empty();
    if pictured {
        out.push_str("<div class=\"figures\">");
        for figure in drawn {
            drawing(out, answer.id, figure);
        }
        out.push_str("</div>");
    }
    for (i, table) in answer.tables.iter().filter(|table| !table.rows.is_empty()).enumerate() {
        list(out, table, i == 0, if pictured { OPEN } else { table::ROWS });
    }
    for note in &answer.notes {
        let _ = write!(out, "<p class=\"note\">{}</p>", escape(&visible(note)));
    }
    let _ = write!(
        out,
        "<details class=\"how\"><summary>How this is computed</summary>{}</details></section>",
        markdown(answer.about)
    );
}

/// A figure; one over time has a drawing as wide as the page and one for narrow screens.
fn drawing(out: &mut String, section: &str, figure: &Figure) {
    let over_time = matches!(&figure.chart, Chart::Lines { x, .. } if x.unit == Unit::Time);
    let id = format!("{section}-{}", figure.id);
    let _ = write!(out, "<figure{}>", if over_time { " class=\"wide\"" } else { "" });
    let _ = write!(out, "<h3>{}</h3>", escape(&visible(&figure.title)));
    if over_time {
        let page = svg::element(figure, &format!("{id}-page"), Room::Page);
        let _ = write!(out, "<div class=\"room-page\">{page}</div><div class=\"room-column\">");
    }
    out.push_str(&svg::element(figure, &id, Room::Column));
    if over_time {
        out.push_str("</div>");
    }
    let _ = write!(out, "<figcaption>{}</figcaption></figure>", escape(&visible(&figure.caption)));
}

fn list(out: &mut String, named: &NamedTable, first: bool, most: usize) {
    let grid = named.grid();
    let open = if first && grid.rows.len() <= most { " open" } else { "" };
    let rows = match grid.rows.len() {
        1 => "1 row".to_owned(),
        n => format!("{} rows", number::grouped(n as i128)),
    };
    let _ = write!(
        out,
        "<details class=\"table\"{open}><summary>{}<span class=\"rows\">{rows}</span></summary>",
        escape(&visible(&named.title))
    );
    let mut caption = visible(&named.denominator);
    if let Some(first) = caption.get(..1) {
        caption.replace_range(..1, &first.to_uppercase());
    }
    let _ = write!(out, "{}</details>", table::element(&grid, &caption));
}

fn foot(out: &mut String, data: &ReportData<'_>) {
    let facts: &Facts = &data.facts;
    out.push_str("<section id=\"provenance\"><h2>Provenance</h2>");
    let (kept, privacy) = match data.addresses {
        ClientAddresses::Keep => (
            "in clear",
            "Client addresses are kept in clear: this page and the study are personal data.",
        ),
        ClientAddresses::Hash => (
            "keyed hash",
            "Client addresses are keyed hashes, made when the captures were read; server addresses and names are as seen. Whoever holds the study's key can tell a known address again. The key is not part of this page.",
        ),
        _ => (
            "pseudonyms that keep prefixes",
            "Client addresses are pseudonyms, made when the captures were read, and keep their networks together; server addresses and names are as seen. Whoever holds the study's key can undo them. The key is not part of this page.",
        ),
    };
    let _ = write!(out, "<p>{privacy}</p>");
    if facts.anomaly_count > 0.0 {
        closed(
            out,
            "Anomalies",
            &table::element(
                &facts.anomalies,
                "Traffic that could not be read, by the layer that failed, most frequent first",
            ),
        );
    }
    if !facts.list.rows.is_empty() {
        closed(
            out,
            "Captures",
            &table::element(
                &facts.list,
                "Files and interfaces that were read, in order of their first packet",
            ),
        );
    }
    if !data.runs.is_empty() {
        closed(out, "Runs", &runs(&data.runs));
    }
    let catalogue = data.runs.iter().rev().find_map(|run| run.catalogue.clone());
    let mut pairs = vec![
        ("made by", format!("ottoscope {}", data.version)),
        ("client addresses", kept.to_owned()),
    ];
    if let Some(run) = data.runs.last() {
        pairs.push(("study file", format!("SHA-256 {}", run.study)));
    }
    if let Some(catalogue) = catalogue {
        pairs.push(("catalogue", catalogue));
    }
    let _ = write!(out, "{}</section>", table::pairs(&pairs));
}

fn closed(out: &mut String, title: &str, body: &str) {
    let _ = write!(out, "<details class=\"table\"><summary>{title}</summary>{body}</details>");
}

fn runs(runs: &[RunRecord]) -> String {
    let mut out = String::from(
        "<div class=\"scroll\" tabindex=\"0\"><table><thead><tr><th>run</th><th>verb</th><th>started</th>\
         <th class=\"n\">took</th><th>version</th><th class=\"n\">inputs</th><th class=\"n\">rows</th><th>outcome</th></tr></thead><tbody>",
    );
    for run in runs.iter().rev().take(table::ROWS) {
        let rows: u64 = run.tables.values().map(|table| table.rows).sum();
        let outcome = serde_json::to_value(&run.outcome).ok();
        let outcome = outcome
            .map_or_else(String::new, |v| v.as_str().map_or_else(|| v.to_string(), str::to_owned));
        let _ = write!(
            out,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td class=\"n\">{}</td><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td>{}</td></tr>",
            escape(&visible(&run.run)),
            escape(&visible(&run.verb)),
            escape(&visible(&run.started)),
            run.seconds.map_or_else(String::new, |s| escape(&number::duration(s))),
            escape(&visible(&run.version)),
            run.inputs.len(),
            number::grouped(rows.into()),
            escape(&visible(&outcome)),
        );
    }
    out.push_str("</tbody></table></div>");
    out
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use ottoscope_analysis::figure::{Axis, Bars, Mark, Scale, Series};
    use ottoscope_analysis::{Options, Params, Session};
    use sha2::{Digest, Sha256};

    use super::*;

    const HOSTILE: &str =
        "</td><script>alert(1)</script><img src=x onerror='alert(2)'>\u{202e}\u{1b}\" & ";

    fn base64(bytes: &[u8]) -> String {
        const DIGITS: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut out = String::new();
        for chunk in bytes.chunks(3) {
            let mut group = [0_u8; 3];
            group[..chunk.len()].copy_from_slice(chunk);
            let bits = u32::from_be_bytes([0, group[0], group[1], group[2]]);
            for i in 0..4 {
                let digit = DIGITS[(bits >> (18 - 6 * i)) as usize & 63];
                out.push(if i <= chunk.len() { char::from(digit) } else { '=' });
            }
        }
        out
    }

    fn figures() -> Vec<Figure> {
        let axis = |unit| Axis { label: HOSTILE.to_owned(), unit, scale: Scale::Log };
        let chart = |chart| Figure {
            id: "f".to_owned(),
            title: HOSTILE.to_owned(),
            caption: HOSTILE.to_owned(),
            chart,
        };
        let points = vec![[1.0, 0.5], [f64::NAN, 1.0], [0.0, f64::INFINITY], [10.0, 1.0]];
        vec![
            chart(Chart::Lines {
                x: axis(Unit::Bytes),
                y: axis(Unit::Share),
                steps: true,
                series: vec![Series { name: HOSTILE.to_owned(), points }; 12],
                marks: vec![Mark { at: 5.0, label: HOSTILE.to_owned() }],
            }),
            chart(Chart::Bars {
                axis: axis(Unit::Bytes),
                categories: vec![HOSTILE.to_owned(); 3],
                series: vec![
                    Bars {
                        name: HOSTILE.to_owned(),
                        values: vec![Some(1.0), None, Some(f64::NAN)]
                    };
                    12
                ],
            }),
        ]
    }

    /// A page on which everything that can come from traffic or a study file is hostile.
    fn hostile() -> String {
        let session = Session::in_memory(&[], &Options::default()).unwrap();
        let sql = format!(
            "SELECT '{0}' AS \"<b>name\", '{0}' AS other, 0.5 AS share",
            HOSTILE.replace('\'', "''")
        );
        let rows = session.sql(&sql).unwrap();
        let mut facts = Facts::gather(&session).unwrap();
        facts.anomalies = rows.grid();
        facts.anomaly_count = 1.0;
        facts.list = rows.grid();
        let answer = Answer {
            id: "naming",
            title: "Naming",
            about: "About `code` and *words*.",
            params: Params::default(),
            tables: vec![NamedTable {
                name: "t".to_owned(),
                title: HOSTILE.to_owned(),
                denominator: HOSTILE.to_owned(),
                rows,
            }],
            figures: figures(),
            notes: vec![HOSTILE.to_owned()],
        };
        page(&ReportData {
            title: HOSTILE.to_owned(),
            about: HOSTILE.to_owned(),
            facts,
            answers: &[answer],
            addresses: ClientAddresses::Pseudonym,
            runs: Vec::new(),
            version: "0",
        })
    }

    #[test]
    fn nothing_from_traffic_is_markup() {
        let page = hostile();
        assert_eq!(page.matches("<script").count(), 1);
        assert!(!page.contains("<img") && !page.contains("onerror='"));
        assert!(!page.contains(['\u{202e}', '\u{1b}']));
        assert!(!page.contains("NaN") && !page.contains("inf\""));
    }

    #[test]
    fn the_page_fetches_nothing() {
        let page = hostile();
        for (at, _) in page.match_indices("href=\"") {
            assert!(page[at + 6..].starts_with('#'));
        }
        let outside = page.replace("http://www.w3.org/2000/svg", "");
        assert!(
            !outside.contains("http:") && !outside.contains("https:") && !outside.contains("url(")
        );
        assert!(!outside.contains("@import"));
        // Hostile text holds "src=" as well, but in no tag.
        let tags = outside.split('<').filter_map(|part| part.split('>').next());
        assert!(tags.into_iter().all(|tag| !tag.contains(" src=")));
    }

    #[test]
    fn the_script_is_the_one_that_may_run() {
        assert_eq!(SCRIPT_HASH.trim(), base64(&Sha256::digest(SCRIPT)));
        assert_eq!([b"".as_slice(), b"f", b"fo", b"foo"].map(base64), ["", "Zg==", "Zm8=", "Zm9v"]);
    }

    #[test]
    fn every_figure_is_a_file_of_its_own() {
        for figure in figures() {
            let file = svg::file(&figure);
            assert!(file.starts_with("<?xml") && file.trim_end().ends_with("</svg>"));
            assert!(!file.contains("<script") && !file.contains("NaN"));
            assert_eq!(file.matches('<').count(), file.matches('>').count());
        }
    }
}
