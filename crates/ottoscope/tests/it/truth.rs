//! From a scenario through the whole program to the numbers that went in.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::support::{cell, number, query, succeeds};

fn flows(truth: &[Value]) -> Vec<&Value> {
    truth.iter().filter(|row| row["row"] == "flow").collect()
}

#[test]
fn packets_bytes_flows_and_labels_are_those_that_went_in() {
    let cell = cell(5);
    let study = cell.folder.path().join("study");
    let out = study.to_str().unwrap();
    let capture = cell.capture.to_str().unwrap();
    succeeds(&["run", "--no-report", capture, "-o", out, "--client-addresses", "keep"]);

    assert_eq!(number(&study, "SELECT packets FROM captures"), cell.totals.packets);
    let packets = "SELECT sum(packets_up + packets_down) FROM flows";
    assert_eq!(number(&study, packets), cell.totals.packets);
    assert_eq!(number(&study, "SELECT count(*) FROM anomalies"), 0);

    let truth = flows(&cell.truth);
    let mut expected: BTreeMap<String, (String, bool)> = BTreeMap::new();
    for flow in &truth {
        let key = format!(
            "{},{},{},{},{}",
            flow["transport"].as_str().unwrap(),
            flow["client"].as_str().unwrap(),
            flow["client_port"],
            flow["server"].as_str().unwrap(),
            flow["server_port"],
        );
        let app = flow["app"].as_str().unwrap_or_default().to_owned();
        // A flow seen from its middle, of a name resolved before the capture, tells nothing.
        let knowable = flow["whole"] == true || flow["resolved"] != "unseen";
        expected.insert(key, (app, knowable));
    }
    let found = query(
        &study,
        "SELECT transport, client, client_port, server, server_port, \
         CASE WHEN evidence = 'dns-query' THEN '' ELSE coalesce(app, '') END FROM labelled_flows",
    );
    let keys: BTreeSet<&str> = found.iter().map(|row| row.rsplit_once(',').unwrap().0).collect();
    assert_eq!(keys, expected.keys().map(String::as_str).collect());

    // Every chat flow is found, and nothing else is called chat. (A question to a resolver is
    // labelled by the name it asks for; to the scenario it is DNS.)
    let chat = ["whatsapp", "wechat"];
    let mut found_chat = 0;
    for row in &found {
        let (key, app) = row.rsplit_once(',').unwrap();
        let (truth, knowable) = &expected[key];
        let truth = if chat.contains(&truth.as_str()) { truth } else { "" };
        let app = if chat.contains(&app) { app } else { "" };
        let silent = app.is_empty() && !knowable;
        assert!(app == truth || silent, "{row}: is {truth:?}");
        found_chat += usize::from(!app.is_empty());
    }
    assert!(found_chat > 20, "{found_chat}");
}

#[test]
fn clients_are_nowhere_in_clear_by_default() {
    let cell = cell(6);
    let study = cell.folder.path().join("study");
    let out = study.to_str().unwrap();
    succeeds(&["run", cell.capture.to_str().unwrap(), "-o", out]);
    let clients: BTreeSet<&str> =
        flows(&cell.truth).iter().map(|flow| flow["client"].as_str().unwrap()).collect();
    assert!(clients.len() > 10);
    let mut seen = String::new();
    for table in ["flows", "dns", "messages", "anomalies", "users", "labels", "captures"] {
        seen.push_str(&query(&study, &format!("SELECT * FROM {table}")).join("\n"));
    }
    for file in ["report/index.html", "study.toml"] {
        seen.push_str(&std::fs::read_to_string(study.join(file)).unwrap());
    }
    let words: BTreeSet<&str> =
        seen.split(|c: char| !(c.is_ascii_hexdigit() || ".:~".contains(c))).collect();
    let leaked: Vec<_> = clients.iter().filter(|client| words.contains(**client)).collect();
    assert!(leaked.is_empty(), "{leaked:?}");
}
