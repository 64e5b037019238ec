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
