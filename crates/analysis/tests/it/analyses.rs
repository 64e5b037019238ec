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
