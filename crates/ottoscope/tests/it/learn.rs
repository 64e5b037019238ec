//! From captures to samples, a model, its worth, and labels by it.

use std::path::{Path, PathBuf};

use crate::support::{fails, number, query, succeeds};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Captures of two kinds of traffic that differ in what they say.
fn captures(folder: &Path) -> [PathBuf; 2] {
    [("w-tcp", "wechat.pcap"), ("whatsapp-chat", "whatsapp.pcap")].map(|(scenario, name)| {
        let path = folder.join(name);
        let mut arguments = vec!["synth", scenario, "-o", text(&path)];
        if scenario == "whatsapp-chat" {
            arguments.extend(["--users", "12"]);
        }
        succeeds(&arguments);
        path
    })
}

#[test]
fn from_captures_to_labels() {
    let folder = tempfile::tempdir().unwrap();
    let [wechat, whatsapp] = captures(folder.path());
    let at = |name: &str| folder.path().join(name);
    let samples = at("s.safetensors");
    let said = succeeds(&[
        "learn",
        "samples",
        text(&wechat),
        text(&whatsapp),
        "-o",
        text(&samples),
        "--layers",
        "l7",
        "--keep-duplicates",
    ]);
    assert!(said.contains("wechat") && said.contains("sum"), "{said}");

    let idx = at("idx");
    succeeds(&["learn", "idx", text(&samples), "-o", text(&idx)]);
    let back = at("back.safetensors");
    succeeds(&["learn", "idx", text(&idx), "--classes", "wechat,whatsapp", "-o", text(&back)]);
    succeeds(&["learn", "images", text(&back), "-o", text(&at("g.png"))]);
    assert_eq!(&std::fs::read(at("g.png")).unwrap()[1..4], b"PNG");

    let model = at("m.safetensors");
    let page = at("m.html");
    let said = succeeds(&[
        "learn",
        "train",
        text(&samples),
        "--model",
        "forest",
        "--rung",
        "random",
        "-o",
        text(&model),
        "--html",
        text(&page),
    ]);
    assert!(said.contains("the split is random"), "{said}");
    let card: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(at("m.json")).unwrap()).unwrap();
    assert_eq!(card["recipe"]["depth"], "payload");
    assert!(card["scores"]["accuracy"].as_f64().unwrap() > 0.8, "{}", card["scores"]);
    assert!(std::fs::read_to_string(page).unwrap().contains("precision"));

    let lines = succeeds(&["learn", "predict", "--model", text(&model), text(&wechat)]);
    let right = lines.lines().skip(1).filter(|line| line.contains(",wechat,")).count();
    let all = lines.lines().count() - 1;
    assert!(all > 4 && right * 10 >= all * 8, "{right} of {all}");

    // In a study a model's word is the last one, and told as such.
    let study = at("study");
    let both = [text(&wechat), text(&whatsapp)];
    succeeds(&[
        "run",
        "--no-report",
        both[0],
        both[1],
        "-o",
        text(&study),
        "--sample-bytes",
        "784",
    ]);
    let before = query(&study, "SELECT flow, app, evidence FROM labels WHERE best ORDER BY flow");
    let said = succeeds(&["learn", "predict", "--model", text(&model), "-s", text(&study)]);
    assert!(said.contains("flows asked about"), "{said}");
    assert!(number(&study, "SELECT count(*) FROM predictions") > 4);
    let after = query(
        &study,
        "SELECT flow, app, evidence FROM labels WHERE best AND evidence != 'model' ORDER BY flow",
    );
    assert_eq!(before, after, "what was better founded stays");
    let best = "SELECT count(*) FROM labels a JOIN labels b ON a.flow = b.flow \
                WHERE a.evidence = 'model' AND a.best AND b.evidence != 'model'";
    assert_eq!(number(&study, best), 0);
    // The same in one command.
    let again = at("again");
    succeeds(&[
        "run",
        "--no-report",
        both[0],
        both[1],
        "-o",
        text(&again),
        "--model",
        text(&model),
        "--client-addresses",
        "keep",
    ]);
    let asked = "SELECT count(*) FROM predictions";
    assert_eq!(number(&again, asked), number(&study, asked));
}

#[test]
fn forged_captures_hold_the_same_traffic() {
    let folder = tempfile::tempdir().unwrap();
    let [wechat, _] = captures(folder.path());
    let at = |name: &str| folder.path().join(name);
    let forged = at("forged.pcap");
    let said = succeeds(&["learn", "forge", text(&wechat), "-o", text(&forged)]);
    assert!(said.contains("packets written"), "{said}");
    let tables = |capture: &Path, name: &str| {
        let study = at(name);
        let study_text = text(&study).to_owned();
        let keep = ["--client-addresses", "keep"];
        let run = ["run", "--no-report", text(capture), "-o", &study_text];
        succeeds(&[&run[..], &keep].concat());
        // Which end is the client may follow from ports, which are others.
        let counts = "SELECT transport, packets_up + packets_down AS packets, \
                      bytes_up + bytes_down AS bytes, last - first AS lasted FROM flows \
                      ORDER BY transport, packets, bytes, lasted";
        query(&study, counts)
    };
    assert_eq!(tables(&wechat, "before"), tables(&forged, "after"));
    let asked = fails(&["learn", "forge", text(&wechat), "--model", "m", "-o", text(&forged)]);
    assert!(asked.contains("forged without a model"), "{asked}");
}

#[test]
fn classes_are_made_learned_and_predicted_in_a_study() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let apps = at("apps");
    succeeds(&["synth", "voice-a", "-o", text(&apps), "--sessions", "30"]);
    let samples = at("s.safetensors");
    let by_folder = ["--class-by", "folder", "--layers", "l7"];
    let cut = ["learn", "samples", text(&apps), "-o", text(&samples)];
    let said = succeeds(&[&cut[..], &by_folder].concat());
    assert!(said.contains("Voipbuster_VPN") && said.contains("240"), "{said}");
    // A model of sizes and gaps says the same of captures and of a study.
    let model = at("m.safetensors");
    let train = ["learn", "train", text(&samples), "--model", "ours", "--rung", "random"];
    succeeds(&[&train[..], &["--epochs", "3", "--no-probes", "-o", text(&model)]].concat());
    let capture = at("apps/Skype/day-01.pcap");
    let lines = succeeds(&["learn", "predict", "--model", text(&model), text(&capture)]);
    let mut said: Vec<String> =
        lines.lines().skip(1).map(|line| line.split(',').nth(5).unwrap().to_owned()).collect();
    said.sort();
    let study = at("study");
    let run = ["run", "--no-report", text(&capture), "-o", text(&study)];
    succeeds(&[&run[..], &["--model", text(&model)]].concat());
    let told = query(&study, "SELECT class FROM predictions ORDER BY class");
    for class in said.iter().collect::<std::collections::BTreeSet<_>>() {
        assert!(format!("{told:?}").contains(class.as_str()), "{class}: {told:?}");
    }
    // Without sizes and gaps it is not asked.
    let bare = at("bare");
    succeeds(&["run", "--no-report", text(&capture), "-o", text(&bare)]);
    let refused = fails(&["learn", "predict", "--model", text(&model), "-s", text(&bare)]);
    assert!(refused.contains("bytes of a flow"), "{refused}");
}

#[test]
fn what_a_score_is_worth_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let captures = captures(folder.path());
    let samples = folder.path().join("s.safetensors");
    let [wechat, whatsapp] = &captures;
    succeeds(&["learn", "samples", text(wechat), text(whatsapp), "-o", text(&samples)]);
    let out = folder.path().join("report");
    let said = succeeds(&[
        "learn",
        "evaluate",
        text(&samples),
        "--models",
        "forest",
        "--rung",
        "random",
        "--no-mask",
        "--seeds",
        "2",
        "-o",
        text(&out),
    ]);
    for expected in ["the split is random", "nothing is masked", "majority", "capture time"] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    assert!(out.join("index.html").is_file());
    let report = format!("S_A={}", text(&out.join("report.json")));
    assert!(succeeds(&["learn", "compare", &report]).contains("forest"));
    let said = succeeds(&[
        "learn",
        "experiment",
        "VI",
        &format!("S_A={}", text(&samples)),
        "--models",
        "forest",
        "--rung",
        "random",
        "--seeds",
        "2",
    ]);
    assert!(said.contains("the classes are not the paper's"), "{said}");
}

#[test]
fn what_cannot_be_learned_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let [wechat, voice] = captures(folder.path());
    let samples = at("one.safetensors");
    succeeds(&["learn", "samples", text(&wechat), "-o", text(&samples)]);
    let both = at("both.safetensors");
    succeeds(&["learn", "samples", text(&wechat), text(&voice), "-o", text(&both)]);
    let model = at("m.safetensors");
    let check = |arguments: &[&str], expected: &str| {
        let said = fails(arguments);
        assert!(said.contains(expected), "{expected}: {said}");
    };
    check(&["learn", "train", text(&samples), "-o", text(&model)], "class");
    check(
        &["learn", "train", text(&samples), "--model", "oracle", "-o", text(&model)],
        "there are: lstm",
    );
    check(&["learn", "train", text(&samples), "-o", "model.bin"], "no name for weights");
    if cfg!(not(feature = "gpu")) {
        let on_card = ["learn", "train", text(&both), "--device", "gpu", "-o", text(&model)];
        check(&on_card, "--features gpu");
    }
    check(&["learn", "samples", text(&wechat), "-o", "s.idx"], "no name for a file of samples");
    check(&["learn", "predict", "--model", text(&model), text(&wechat)], "no card");
    std::fs::write(at("images-idx3-ubyte"), b"\0\0\x08\x01garbage").unwrap();
    check(
        &["learn", "idx", text(&at("images-idx3-ubyte")), "-o", text(&at("x"))],
        "no labels beside",
    );
    std::fs::write(at("labels-idx1-ubyte"), b"\0\0\x08\x01\0\0\0\x01\0").unwrap();
    check(
        &["learn", "idx", text(&at("images-idx3-ubyte")), "-o", text(&at("x"))],
        "images-idx3-ubyte",
    );
    assert!(!at("x").exists() && !model.exists());
}
