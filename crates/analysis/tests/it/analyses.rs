//! Every analysis on its fixture. `BLESS=1` writes what is expected; a changed number is a
//! change of its own, with a reason.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use ottoscope_analysis::figure::Chart;
use ottoscope_analysis::{ALL, Answer, Format, Params};

use crate::fixture;

fn home() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/analyses")
}

/// The whole answer as text: tables as CSV, figures as numbers, notes.
fn spell(answer: &Answer) -> String {
    let mut text = String::new();
    for table in &answer.tables {
        let mut csv = Vec::new();
        table.write(Format::Csv, &mut csv).unwrap();
        writeln!(text, "# table {}: {}", table.name, table.title).unwrap();
        text.push_str(&String::from_utf8(csv).unwrap());
    }
    for figure in &answer.figures {
        writeln!(text, "# figure {}: {}", figure.id, figure.title).unwrap();
        match &figure.chart {
            Chart::Lines { series, marks, .. } => {
                for line in series {
                    let points: Vec<String> =
                        line.points.iter().map(|[x, y]| format!("{x:.6} {y:.6}")).collect();
                    writeln!(text, "{},{}", line.name, points.join(",")).unwrap();
                }
                for mark in marks {
                    writeln!(text, "mark,{:.3},{}", mark.at, mark.label).unwrap();
                }
            }
            Chart::Bars { categories, series, .. } => {
                writeln!(text, ",{}", categories.join(",")).unwrap();
                for bars in series {
                    let values: Vec<String> = bars
                        .values
                        .iter()
                        .map(|v| v.map_or_else(String::new, |v| v.to_string()))
                        .collect();
                    writeln!(text, "{},{}", bars.name, values.join(",")).unwrap();
                }
            }
            _ => unreachable!("a chart that this test does not know"),
        }
    }
    for note in &answer.notes {
        writeln!(text, "# note {note}").unwrap();
    }
    text
}

/// Parameters of a fixture, `params.toml`, where it has some.
fn params(folder: &Path) -> Params {
    let text = fs::read_to_string(folder.join("params.toml")).unwrap_or_default();
    toml::from_str(&text).unwrap()
}

#[test]
fn fixtures_give_what_is_expected() {
    let bless = std::env::var_os("BLESS").is_some();
    for analysis in ALL {
        let folder = home().join(analysis.id);
        let session = fixture::folder(&folder.join("fixture"));
        let answer = analysis
            .run(&session, &params(&folder.join("fixture")))
            .unwrap_or_else(|e| panic!("{}: {e}", analysis.id));
        let found = spell(&answer);
        let file = folder.join("expected.csv");
        if bless {
            fs::write(&file, &found).unwrap();
        }
        let expected = fs::read_to_string(&file)
            .unwrap_or_else(|_| panic!("{} has no expected.csv: run with BLESS=1", analysis.id));
        assert_eq!(found, expected, "{}", analysis.id);
    }
}

#[test]
fn the_order_of_rows_changes_no_number() {
    let flow = |i: u32| {
        let (minute, millisecond) = (i * 7 % 60, i * 7919 % 1000);
        let times = format!("2014-02-18T10:00:00Z,2014-02-18T10:{minute:02}:01.{millisecond:03}Z");
        let bytes = i * 104_729 % 100_003;
        let rtt = f64::from(i * 31 % 977) / 7.0;
        format!("{i},{times},tcp,10.0.0.{},192.0.2.{},{bytes},{rtt}", i % 9, i % 7)
    };
    let label =
        |i: u32| format!("{i},2014-02-18T10:00:00Z,app,service{},dns,0.{},x,true", i % 3, i % 89);
    let video = |i: u32| {
        let frozen = f64::from(i * 37 % 1009) / 11.0;
        format!("{i},2014-02-18T10:00:00Z,2014-02-18T10:00:{:02}Z,{i},rtp,{frozen}", i % 60)
    };
    let study = |order: &[u32]| {
        let rows = |header: &str, row: &dyn Fn(u32) -> String| {
            order.iter().fold(header.to_owned(), |text, i| text + "\n" + &row(*i))
        };
        let flows = "flow,first,last,transport,client,server,payload_down,rtt_server_us";
        let labels = "flow,first,app,service,evidence,confidence,detail,best";
        let videos = "flow,first,last,freezes,carried,frozen_seconds";
        fixture::study(&[
            ("flows", &rows(flows, &flow)),
            ("labels", &rows(labels, &label)),
            ("video", &rows(videos, &video)),
        ])
    };
    let mut order: Vec<u32> = (0..3000).collect();
    let one = study(&order);
    order.reverse();
    let other = study(&order);
    for analysis in ALL {
        let [one, other] =
            [&one, &other].map(|study| spell(&analysis.run(study, &Params::default()).unwrap()));
        assert_eq!(one, other, "{}", analysis.id);
    }
}

#[test]
fn an_empty_study_is_an_answer() {
    let session = fixture::study(&[]);
    for analysis in ALL {
        for app in [None, Some("whatsapp".to_owned())] {
            for suppress in [None, Some(10)] {
                let params = Params { app: app.clone(), suppress, ..Params::default() };
                let answer = analysis
                    .run(&session, &params)
                    .unwrap_or_else(|e| panic!("{}: {e}", analysis.id));
                assert!(answer.tables.iter().all(|t| t.rows.is_empty()), "{}", analysis.id);
            }
        }
    }
}

#[test]
fn suppression_leaves_no_number_about_few_users() {
    let session = fixture::folder(&home().join("services/fixture"));
    for analysis in ALL {
        let params = Params { suppress: Some(1000), ..Params::default() };
        let answer =
            analysis.run(&session, &params).unwrap_or_else(|e| panic!("{}: {e}", analysis.id));
        for table in &answer.tables {
            let grid = table.grid();
            for row in &grid.rows {
                for (column, cell) in grid.columns.iter().zip(row) {
                    use ottoscope_analysis::grid::Cell;
                    let number = matches!(cell, Cell::Int(_) | Cell::Real(_));
                    assert!(!number, "{} {} {}", analysis.id, table.name, column.name);
                }
            }
        }
        assert!(
            answer.figures.iter().all(ottoscope_analysis::figure::Figure::is_empty),
            "{}",
            analysis.id
        );
    }
}

#[test]
fn every_folder_is_registered_and_says_what_it_is() {
    let mut folders: Vec<String> = fs::read_dir(home())
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_type().unwrap().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    folders.sort();
    let mut known: Vec<&str> = ALL.iter().map(|a| a.id).collect();
    known.sort_unstable();
    assert_eq!(folders, known);
    for analysis in ALL {
        assert!(analysis.about.trim().len() > 100, "{}", analysis.id);
        assert!(!analysis.title.is_empty());
    }
}

#[test]
fn the_reference_page_is_fresh() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/analyses.md");
    let text = ottoscope_analysis::registry::reference();
    if std::env::var_os("BLESS").is_some() {
        fs::create_dir_all(page.parent().unwrap()).unwrap();
        fs::write(&page, &text).unwrap();
    }
    let written = fs::read_to_string(&page).unwrap_or_default();
    assert_eq!(written, text, "run with BLESS=1");
}
