//! What verbs print.

use crate::support::{cell, ottoscope, query, succeeds};

#[test]
fn help_has_examples_and_every_verb() {
    let help = succeeds(&["--help"]);
    for verb in
        ["run", "query", "analyse", "report", "label", "dissect", "infer", "catalog", "synth"]
    {
        assert!(help.contains(&format!("  {verb} ")), "{help}");
    }
    assert!(help.contains("Examples:"));
}

#[test]
fn run_leaves_tables_results_a_page_and_a_record() {
    let cell = cell(2);
    let study = cell.folder.path().join("study");
    let out = study.to_str().unwrap();
    let page = succeeds(&["run", cell.capture.to_str().unwrap(), "-o", out]);
    assert_eq!(page.trim(), study.join("report/index.html").to_str().unwrap());
    let html = std::fs::read_to_string(page.trim()).unwrap();
    assert!(html.contains("<svg") && html.contains("WhatsApp"));
    assert!(!html.contains("http://") || !html.contains("<script src"), "no network");
    assert!(study.join("results/services/answer.csv").exists());
    let info = succeeds(&["study", "info", "-s", out]);
    assert!(info.contains("flows") && info.contains("Done"), "{info}");
    assert!(succeeds(&["study", "check", "-s", out]).contains(" 0 broken"));
    let flow = &query(&study, "SELECT flow FROM labels WHERE app = 'whatsapp' LIMIT 1")[0];
    let why = succeeds(&["label", "-s", out, "--explain", flow]);
    assert!(why.contains("whatsapp"), "{why}");
    let narrowed = succeeds(&["analyse", "run", "-s", out, "services", "--app", "wechat"]);
    assert!(narrowed.contains("wechat") && !narrowed.contains("whatsapp"), "{narrowed}");
    for format in ["table", "csv", "json", "parquet"] {
        let sql = "SELECT app, count(*) AS n FROM labelled_flows GROUP BY app ORDER BY n";
        let answer = ottoscope(&["query", "-s", out, "--format", format, sql]);
        assert!(answer.status.success() && !answer.stdout.is_empty(), "{format}");
    }
}

#[test]
fn dissect_prints_a_line_or_an_object_a_message() {
    let cell = cell(3);
    let capture = cell.capture.to_str().unwrap();
    let text = succeeds(&["dissect", capture, "--protocol", "dns"]);
    assert!(text.lines().count() > 10);
    assert!(text.lines().all(|line| line.contains(" dns ")));
    let json = succeeds(&["dissect", capture, "--json", "--app", "whatsapp"]);
    assert!(json.lines().count() > 3);
    for line in json.lines() {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(row["app"], "whatsapp");
    }
    assert!(!ottoscope(&["dissect", capture, "--app", "watsapp"]).status.success());
}

#[test]
fn an_app_works_from_toml_alone() {
    let cell = cell(4);
    let toml = cell.folder.path().join("mine.toml");
    std::fs::write(
        &toml,
        "[app]\nid = \"mine\"\nname = \"Mine\"\nsource = \"a test\"\n\
         [[name]]\npattern = \"*.example\"\nservice = \"all\"\nsource = \"a test\"\n",
    )
    .unwrap();
    let study = cell.folder.path().join("study");
    let (out, file) = (study.to_str().unwrap(), toml.to_str().unwrap());
    succeeds(&["run", "--no-report", cell.capture.to_str().unwrap(), "-o", out, "--catalog", file]);
    let mine = query(&study, "SELECT count(*) FROM labels WHERE app = 'mine' AND service = 'all'");
    assert_ne!(mine, ["0"]);
}

#[test]
fn the_shipped_catalogue_holds() {
    assert!(succeeds(&["catalog", "check"]).contains(" 0 errors"));
    assert!(succeeds(&["catalog", "test"]).contains(" 0 do not"));
    assert!(succeeds(&["catalog", "list"]).contains("whatsapp"));
    assert!(succeeds(&["catalog", "lookup", "mmv123.whatsapp.net"]).contains("whatsapp/"));
}
