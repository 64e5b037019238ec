//! Video calls from capture to pictures and tables.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value as Json;

use crate::support::{fails, query, succeeds};

struct Made {
    folder: tempfile::TempDir,
    capture: PathBuf,
    truth: Vec<Json>,
}

fn make(name: &str, seed: &str) -> Made {
    let folder = tempfile::tempdir().unwrap();
    let (capture, truth) = (folder.path().join("call.pcap"), folder.path().join("truth.jsonl"));
    succeeds(&["synth", name, "--seed", seed, "-o", text(&capture), "--truth", text(&truth)]);
    let truth = std::fs::read_to_string(truth).unwrap();
    let truth = truth.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    Made { folder, capture, truth }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Frames of each direction and state, as they were sent and lost.
fn states(made: &Made) -> BTreeMap<(String, String), u64> {
    let mut states = BTreeMap::new();
    for frame in made.truth.iter().filter(|row| row["row"] == "video-frame") {
        let state = frame["state"].as_str().unwrap();
        if state != "unseen" {
            let way = if frame["stream"] == 0 { "up" } else { "down" };
            *states.entry((way.to_owned(), state.to_owned())).or_default() += 1;
        }
    }
    states
}

#[test]
fn a_study_holds_the_frames_as_the_network_left_them() {
    for name in ["qq-video", "qq-video-relay"] {
        let made = make(name, "3");
        let study = made.folder.path().join("study");
        succeeds(&["run", "--no-report", text(&made.capture), "-o", text(&study)]);
        let rows = query(
            &study,
            "SELECT direction, state, count(*) FROM frames GROUP BY 1, 2 ORDER BY 1, 2",
        );
        let expected: Vec<String> = states(&made)
            .into_iter()
            .map(|((way, state), n)| format!("{way},{state},{n}"))
            .collect();
        assert_eq!(rows, expected, "{name}");
        for stream in made.truth.iter().filter(|row| row["row"] == "video-stream") {
            let way = if stream["up"] == true { "up" } else { "down" };
            let sql = format!("SELECT lost, duplicates FROM video WHERE direction = '{way}'");
            let expected = format!("{},{}", stream["lost"], stream["duplicates"]);
            assert_eq!(query(&study, &sql), [expected], "{name} {way}");
        }
        let app = "SELECT DISTINCT app, service FROM labelled_flows WHERE protocol = 'qq-video'";
        assert_eq!(query(&study, app), ["qq,call"]);
        // Packets of video are frames, and no messages of their own.
        let messages = "SELECT count(*) FROM messages WHERE protocol = 'qq-video' AND bytes > 0";
        assert_eq!(query(&study, messages), ["0"]);
        assert!(succeeds(&["calls", "list", "-s", text(&study)]).contains("320"));
    }
}

#[test]
fn pictures_are_written_only_when_asked_for_and_for_nobody_else() {
    let made = make("qq-video", "4");
    let out = made.folder.path().join("out");
    let said = succeeds(&["calls", "extract", text(&made.capture), "-o", text(&out)]);
    assert!(said.contains("no picture was written"), "{said}");
    let names = |out: &Path| {
        let entries = std::fs::read_dir(out).unwrap();
        let mut names: Vec<String> =
            entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    assert_eq!(names(&out), ["frames.csv", "streams.csv"]);
    let study = made.folder.path().join("study");
    succeeds(&["run", "--no-report", text(&made.capture), "-o", text(&study)]);
    succeeds(&[
        "calls",
        "extract",
        text(&made.capture),
        "-o",
        text(&out),
        "--ivf",
        "--webm",
        "--y4m",
        "--png",
        "--every",
        "50",
        "-s",
        text(&study),
    ]);
    let found = names(&out);
    for ending in ["ivf", "webm", "y4m", "png"] {
        let ending = format!(".{ending}");
        assert!(found.iter().any(|name| name.ends_with(&ending)), "{found:?}");
    }
    #[cfg(unix)]
    for name in &found {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = out.join(name).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{name}");
    }
    let runs = std::fs::read_dir(study.join("runs")).unwrap();
    let noted = runs.filter(|run| {
        let text = std::fs::read_to_string(run.as_ref().unwrap().path()).unwrap();
        text.contains("calls extract") && text.contains("frames written as pictures")
    });
    assert_eq!(noted.count(), 1);
    let ivf =
        found.iter().find(|name| Path::new(name).extension().is_some_and(|e| e == "ivf")).unwrap();
    let bytes = std::fs::read(out.join(ivf)).unwrap();
    let intact: u64 = states(&made)
        .into_iter()
        .filter(|((way, state), _)| ivf.contains(&format!("-{way}-")) && state == "intact")
        .map(|(_, n)| n)
        .sum();
    assert_eq!((&bytes[..4], &bytes[8..12]), (&b"DKIF"[..], &b"VP80"[..]));
    assert_eq!(u64::from(u32::from_le_bytes(bytes[24..28].try_into().unwrap())), intact);
}

#[test]
fn a_page_plays_what_was_recovered() {
    let made = make("qq-video-lan", "5");
    let out = made.folder.path().join("pages");
    let said = succeeds(&["calls", "play", text(&made.capture), "-o", text(&out)]);
    let pages: Vec<&str> = said.lines().collect();
    assert_eq!(pages.len(), 2);
    for page in pages {
        let html = std::fs::read_to_string(page).unwrap();
        assert!(html.contains("<video") || html.contains("createElement(\"video\")"));
        let webm = Path::new(page).with_extension("webm");
        assert!(html.contains(webm.file_name().unwrap().to_str().unwrap()));
        assert!(webm.is_file());
        assert!(!html.contains("http://") && !html.contains("https://"));
    }
}

#[test]
fn where_there_is_no_video_it_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let capture = folder.path().join("chat.pcap");
    succeeds(&["synth", "cell-minute", "--users", "3", "-o", text(&capture)]);
    let out = folder.path().join("out");
    let said = fails(&["calls", "extract", text(&capture), "-o", text(&out), "--webm"]);
    assert!(said.contains("no video was found"), "{said}");
    let said = fails(&["calls", "extract", "no.pcap", "-o", text(&out)]);
    assert!(said.contains("no.pcap"), "{said}");
    let study = folder.path().join("study");
    succeeds(&["run", "--no-report", text(&capture), "-o", text(&study)]);
    let said = fails(&["calls", "show", "-s", text(&study), "7"]);
    assert!(said.contains("no flow 7"), "{said}");
}

/// What a browser says of a recovered video, where one is installed.
#[test]
fn the_webm_plays_in_chromium() {
    let chromium = ["chromium", "chromium-browser", "google-chrome"].into_iter().find(|name| {
        std::process::Command::new(name).arg("--version").output().is_ok_and(|o| o.status.success())
    });
    let Some(chromium) = chromium else {
        println!("no chromium: whether the WebM plays is not tested");
        return;
    };
    let made = make("qq-video", "6");
    let out = made.folder.path().join("out");
    succeeds(&["calls", "extract", text(&made.capture), "-o", text(&out), "--webm"]);
    let entries = std::fs::read_dir(&out).unwrap();
    let names = entries.map(|e| e.unwrap().file_name().into_string().unwrap());
    let webm = names.into_iter().find(|name| name.ends_with("webm")).unwrap();
    let page = out.join("test.html");
    let html = format!(
        "<!doctype html><title>call</title><video muted preload='auto' src='{webm}#t=2'></video>\
         <script>const v = document.querySelector('video'); const said = (what) => {{\
         document.documentElement.dataset.said = what; }};\
         v.onerror = () => said('error'); v.onloadeddata = () =>\
         said([v.videoWidth, v.videoHeight, v.currentTime, v.duration > 3].join(' '));</script>"
    );
    std::fs::write(&page, html).unwrap();
    let shown = std::process::Command::new(chromium)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--timeout=4000"])
        .args(["--dump-dom", &format!("file://{}", text(&page))])
        .output()
        .unwrap();
    let dom = String::from_utf8_lossy(&shown.stdout);
    if dom.is_empty() {
        println!("chromium shows nothing here: {}", String::from_utf8_lossy(&shown.stderr));
        return;
    }
    assert!(dom.contains("data-said=\"320 240 2 true\""), "{dom}");
}

/// A call between two WebRTC endpoints with the encryption left out, and the same of other codecs.
#[test]
fn vp8_of_a_real_call_is_found_and_other_codecs_are_not() {
    let Some(captures) = ottoscope_synth::corpus::find("captures/other/video-rtp") else { return };
    let folder = tempfile::tempdir().unwrap();
    let capture = |codec: &str| captures.join(format!("str0m-{codec}.pcap"));
    let out = folder.path().join("out");
    succeeds(&[
        "calls",
        "extract",
        text(&capture("vp8")),
        "-o",
        text(&out),
        "--png",
        "--every",
        "10",
    ]);
    let streams = std::fs::read_to_string(out.join("streams.csv")).unwrap();
    assert!(streams.contains(",rtp,") && streams.contains(",101,101,0,0,"), "{streams}");
    let pictures = std::fs::read_dir(&out).unwrap();
    let pictures = pictures.filter(|entry| {
        let path = entry.as_ref().unwrap().path();
        path.extension().is_some_and(|ending| ending == "png")
    });
    assert_eq!(pictures.count(), 11);
    for codec in ["vp9", "h264"] {
        let said = fails(&["calls", "extract", text(&capture(codec)), "-o", text(&out)]);
        assert!(said.contains("no video was found"), "{said}");
    }
}
