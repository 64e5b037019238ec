//! From packets of a protocol that is not told to its format, signature and tasks: labs whose
//! truth is known.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ottoscope_synth::JsonLines;
use ottoscope_synth::lab::{self, Lab, to_toml};
use serde_json::Value as Json;

use crate::support::{fails, ottoscope, query, succeeds};

/// A lab's capture and notes in a folder of their own, and the truth.
struct Made {
    folder: tempfile::TempDir,
    capture: PathBuf,
    notes: PathBuf,
    made: lab::Made,
    truth: Vec<Json>,
}

fn make(name: &str, seed: u64) -> Made {
    let folder = tempfile::tempdir().unwrap();
    let lab = Lab::builtin(name).unwrap();
    let (mut bytes, mut truth) = (Vec::new(), Vec::new());
    let mut made = lab::generate(&lab, seed, &mut bytes, &mut JsonLines(&mut truth)).unwrap();
    let capture = folder.path().join("lab.pcap");
    std::fs::write(&capture, bytes).unwrap();
    for experiment in &mut made.experiments {
        "lab.pcap".clone_into(&mut experiment.capture);
    }
    let notes = folder.path().join("lab.toml");
    std::fs::write(&notes, to_toml(&made.experiments)).unwrap();
    let truth = String::from_utf8(truth).unwrap();
    let truth = truth.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    Made { folder, capture, notes, made, truth }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// What the steps say, by name.
fn steps(made: &Made) -> Vec<Json> {
    let arguments = ["infer", "all", text(&made.capture), "--lab", text(&made.notes), "--json"];
    serde_json::from_str(&succeeds(&arguments)).unwrap()
}

fn step<'a>(steps: &'a [Json], id: &str) -> &'a Json {
    steps.iter().find(|step| step["step"] == id).unwrap()
}

/// Fields of the first kind of message, as (offset, kind).
fn fields(steps: &[Json]) -> Vec<(u64, String)> {
    let view = &step(steps, "fields")["packets"][0]["fields"];
    let fields = view.as_array().unwrap().iter();
    fields.map(|f| (f["at"].as_u64().unwrap(), f["kind"].as_str().unwrap().to_owned())).collect()
}

/// Rows of the table of opcodes.
fn opcodes(steps: &[Json]) -> Vec<(u64, String, String)> {
    let tables = step(steps, "opcodes")["tables"].as_array().unwrap();
    let rows = tables.iter().flat_map(|table| table["rows"].as_array().unwrap());
    let rows = rows.filter(|row| row["opcode"].is_string()).map(|row| {
        let cell = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
        (cell("opcode").parse().unwrap(), cell("task"), cell("why"))
    });
    rows.collect()
}

#[test]
fn w_tcp_comes_out_as_the_paper_has_it() {
    for seed in [1, 7, 23] {
        let made = make("w-tcp", seed);
        let steps = steps(&made);
        let expected = [
            (0, "length"),
            (4, "constant"),
            (8, "request-response"),
            (11, "opcode"),
            (12, "sequence"),
        ];
        let found = fields(&steps);
        let found: Vec<(u64, &str)> = found.iter().map(|(at, kind)| (*at, kind.as_str())).collect();
        let wide = [(0, "length"), (4, "constant"), (8, "opcode"), (12, "sequence")];
        assert!(found == expected || found == wide, "seed {seed}: {found:?}");
        // Every message that was sent, though segments are lost, come again and hold several.
        let sent = made.truth.iter().filter(|row| row["row"] == "message").count();
        let words = step(&steps, "messages")["words"].to_string().replace('\u{202f}', "");
        assert!(words.contains(&format!("make {sent} messages")), "{sent} were sent: {words}");
    }
}

#[test]
fn commands_over_255_are_one_field_of_four_bytes() {
    for seed in [2, 9] {
        let made = make("w-tcp-wide", seed);
        let found = fields(&steps(&made));
        let found: Vec<(u64, &str)> = found.iter().map(|(at, kind)| (*at, kind.as_str())).collect();
        let expected = [(0, "length"), (4, "constant"), (8, "opcode"), (12, "sequence")];
        assert_eq!(found, expected, "seed {seed}");
    }
}

#[test]
fn longlink_is_found_with_its_body_length() {
    for seed in [3, 11] {
        let made = make("longlink", seed);
        let found = fields(&steps(&made));
        let at: Vec<u64> = found.iter().map(|(at, _)| *at).collect();
        assert!(at == [0, 4, 8, 12, 16] || at == [0, 8, 12, 16], "seed {seed}: {found:?}");
        assert_eq!(found.last().unwrap().1, "length", "seed {seed}: {found:?}");
    }
}

#[test]
fn opcodes_get_the_tasks_of_the_notes() {
    let made = make("w-tcp", 5);
    let found = opcodes(&steps(&made));
    let layout = &made.made.layouts[0];
    let (mut right, mut wrong) = (0, Vec::new());
    for (opcode, task, why) in &found {
        let truth = layout.opcodes.iter().find(|o| o.opcode == *opcode);
        let Some(truth) = truth else { panic!("opcode {opcode} is nobody's: {why}") };
        let user = truth.origins.iter().any(|o| matches!(o, lab::Origin::User));
        let periodic = truth.origins.iter().any(|o| matches!(o, lab::Origin::Periodic { .. }));
        let triggered = truth.origins.iter().any(|o| matches!(o, lab::Origin::Triggered { .. }));
        let fits = match task.as_str() {
            "" => continue,
            task if task.starts_with("periodic") => periodic,
            task if task.starts_with("triggered") => triggered,
            task => user && task == truth.task,
        };
        if fits { right += 1 } else { wrong.push((opcode, task, truth.task)) }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
    let users = layout.opcodes.iter().filter(|o| o.origins.contains(&lab::Origin::User));
    assert!(right >= users.count(), "{found:?}");
    assert!(found.iter().any(|(_, task, _)| task.starts_with("periodic, every 30")), "{found:?}");
}

/// One flow carries many tasks: a study tells them apart message by message.
#[test]
fn a_study_counts_the_tasks_that_were_done() {
    let made = make("w-tcp", 11);
    let study = made.folder.path().join("study");
    succeeds(&["run", "--no-report", text(&made.capture), "-o", text(&study)]);
    let mut expected: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
    for message in made.truth.iter().filter(|row| row["row"] == "message") {
        let (messages, bytes) = expected.entry(message["opcode"].as_u64().unwrap()).or_default();
        *messages += 1;
        *bytes += message["bytes"].as_u64().unwrap();
    }
    assert!(expected.len() > 20, "{}", expected.len());
    let found = query(
        &study,
        "SELECT opcode, count(*), sum(bytes) FROM messages WHERE opcode IS NOT NULL \
         GROUP BY opcode ORDER BY opcode",
    );
    let expected: Vec<String> =
        expected.iter().map(|(code, (n, bytes))| format!("{code},{n},{bytes}")).collect();
    assert_eq!(found, expected);
    let tasks = succeeds(&["analyse", "run", "tasks", "-s", text(&study)]);
    assert!(tasks.contains("send picture") && tasks.contains("unknown"), "{tasks}");
}

#[test]
fn a_proposal_that_is_accepted_is_a_dissector() {
    let made = make("w-tcp", 4);
    let proposal = made.folder.path().join("proposal.toml");
    let accepted = made.folder.path().join("accepted.toml");
    succeeds(&[
        "infer",
        "propose",
        text(&made.capture),
        "--lab",
        text(&made.notes),
        "--name",
        "parley/long",
        "-o",
        text(&proposal),
    ]);
    let toml = std::fs::read_to_string(&proposal).unwrap();
    assert!(toml.contains("kind = \"length\"") && toml.contains("evidence = "), "{toml}");
    // Without a terminal nobody accepts by accident.
    let asked = fails(&["infer", "accept", text(&proposal), "--into", text(&accepted)]);
    assert!(asked.contains("--yes") && !accepted.exists(), "{asked}");
    let shown = succeeds(&["infer", "accept", text(&proposal), "--into", text(&accepted), "--yes"]);
    assert!(shown.contains("+ signature long") && shown.contains("+ task \"send picture\""));
    let again = succeeds(&["infer", "accept", text(&proposal), "--into", text(&accepted), "--yes"]);
    assert!(again.contains("nothing to accept"), "{again}");
    let lines = succeeds(&["dissect", text(&made.capture), "--catalog", text(&accepted), "--json"]);
    let messages: Vec<Json> =
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let parley = messages.iter().filter(|m| m["protocol"] == "parley/long").count();
    let known = messages.iter().filter(|m| m["protocol"] == "wechat/w-tcp").count();
    let pictures = messages.iter().filter(|m| m["task"] == "send picture").count();
    assert!(pictures > 10, "{pictures} messages send pictures");
    let truth = made.truth.iter().filter(|row| row["row"] == "message").count();
    assert!(parley + known >= truth * 99 / 100, "{parley} and {known} of {truth}");
    let lua =
        succeeds(&["infer", "export", "wireshark", "parley/long", "--catalog", text(&accepted)]);
    assert!(lua.contains("Proto(") && lua.contains("send picture"), "{lua}");
}

#[test]
fn layouts_of_chats_mix_in_a_flow_and_match_nothing_else() {
    let made = make("w-udp", 1);
    let proposal = made.folder.path().join("chat.toml");
    let propose =
        ["infer", "propose", text(&made.capture), "--name", "parley/chat", "-o", text(&proposal)];
    succeeds(&propose);
    let flows = |captures: &str| {
        let catalog = ["--catalog", text(&proposal), "--flows", "--json"];
        let lines = succeeds(&[&["dissect", captures, "--app", "parley"], &catalog[..]].concat());
        let rows = lines.lines().map(|line| serde_json::from_str::<Json>(line).unwrap());
        rows.filter(|row| row["kind"] == "flow").count()
    };
    let udp = made.truth.iter().filter(|row| row["row"] == "flow" && row["protocol"] == "w-udp");
    assert_eq!(flows(text(&made.capture)), udp.count());
    for folder in ["captures/ndpi", "captures/other"] {
        if let Some(folder) = ottoscope_synth::corpus::find(folder) {
            assert_eq!(flows(text(&folder)), 0, "{}", folder.display());
        }
    }
}

#[test]
fn feedback_goes_on_until_a_round_adds_nothing() {
    let made = make("w-udp", 1);
    let more = made.folder.path().join("more.toml");
    let feedback =
        ["infer", "feedback", text(&made.capture), "--app", "wechat", "--into", text(&more)];
    // Without --yes a person has to accept.
    fails(&feedback);
    assert!(!more.exists());
    let rounds = succeeds(&[&feedback[..], &["--yes"]].concat());
    assert!(rounds.contains("+ signature feedback-udp-1"), "{rounds}");
    assert!(rounds.contains("round 2:") && rounds.ends_with("the rounds end here\n"), "{rounds}");
    let kept = std::fs::read_to_string(&more).unwrap();
    assert!(kept.contains("id = \"feedback-udp-1\""), "{kept}");
    let again = succeeds(&[&feedback[..], &["--yes"]].concat());
    assert!(again.starts_with("round 1:") && !again.contains("round 2:"), "{again}");
    assert_eq!(std::fs::read_to_string(&more).unwrap(), kept);
}

#[test]
fn noise_has_no_structure() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("noise.jsonl");
    let mut state = 9_u64;
    let mut lines = String::new();
    for id in 0..600 {
        let mut payload = String::new();
        for _ in 0..24 {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            payload.push_str(&format!("{:02x}", (state >> 40) as u8));
        }
        lines.push_str(&format!(
            "{{\"id\": {id}, \"flow\": {}, \"dir\": {}, \"ts\": {id}, \"payload\": \"{payload}\"}}\n",
            id % 5,
            id % 2
        ));
    }
    std::fs::write(&path, lines).unwrap();
    let output = ottoscope(&["infer", "fields", "--messages", text(&path)]);
    let words = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{words}");
    assert!(words.contains("no structure found"), "{words}");
    let proposed = fails(&["infer", "propose", "--messages", text(&path), "--name", "a/b"]);
    assert!(proposed.contains("nothing to propose"), "{proposed}");
}

#[test]
fn what_is_wrong_is_said_before_anything_is_written() {
    let made = make("random", 1);
    let capture = text(&made.capture);
    let empty = made.folder.path().join("empty.toml");
    std::fs::write(&empty, "").unwrap();
    let page = made.folder.path().join("page.html");
    let check = |arguments: &[&str], expected: &str| {
        let errors = fails(&[&["infer"], arguments].concat());
        assert!(errors.contains(expected), "{errors}");
        assert!(!page.exists());
    };
    let html = ["--html", text(&page)];
    check(&[&["all", capture, "--lab", text(&empty)], &html[..]].concat(), "no experiment");
    check(&[&["all", capture, "--method", "oracle"], &html[..]].concat(), "aligned");
    check(&[&["all", capture, "--set", "votes=-1"], &html[..]].concat(), "votes");
    check(&[&["all", capture, "--set", "vote=1"], &html[..]].concat(), "votes");
    check(&[&["all", capture, "--server", "."], &html[..]].concat(), "host pattern");
    check(&[&["all", capture, "--app", "no-such-app"], &html[..]].concat(), "no-such-app");
    check(&["all", "-"], "standard input");
    check(&["propose", capture, "--name", "NoSlash"], "app/signature");
    check(&["export", "kaitai", "no/such"], "no/such");
    check(&["accept", text(&empty), "--into", "x.toml", "--yes"], "app");
    let few = made.folder.path().join("few.jsonl");
    std::fs::write(&few, "{\"id\": 1, \"payload\": \"0102\"}\n").unwrap();
    let output = ottoscope(&["infer", "fields", "--messages", text(&few)]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stdout).contains("too few"));
}
