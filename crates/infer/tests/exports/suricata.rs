//! Suricata's rules, loaded and matched by Suricata.

use std::fs;
use std::path::Path;
use std::process::Command;

use ottoscope_flow::Transport;
use ottoscope_infer::export::{Format, Layout};
use serde_json::Value;

use crate::made::{capture, datagrams, exported, folder, hostile, message, wechat};

/// As little as it runs with.
const CONFIG: &str = "%YAML 1.1
---
outputs:
  - eve-log:
      enabled: yes
      filetype: regular
      filename: eve.json
      types: [alert]
stats:
  enabled: no
stream:
  midstream: true
  checksum-validation: no
";

/// Runs it on the rules of a layout; `None` without it.
fn run(folder: &Path, layout: &Layout, more: &[&str]) -> Option<()> {
    let rules = exported(folder, layout, Format::Suricata);
    let config = folder.join("suricata.yaml");
    fs::write(&config, CONFIG).unwrap();
    let mut command = Command::new("suricata");
    command.args(["-k", "none", "-v"]).arg("-c").arg(&config).arg("-S").arg(&rules);
    command.arg("-l").arg(folder).args(more);
    let Ok(output) = command.output() else {
        println!("skipped: suricata is not installed");
        return None;
    };
    let told = [output.stdout, output.stderr].concat();
    let told = String::from_utf8_lossy(&told);
    let rules = fs::read_to_string(&rules).unwrap();
    assert!(output.status.success() && told.contains(" 0 rules failed"), "{told}\n{rules}");
    assert!(!told.contains("Warning") && !told.contains("warning"), "{told}\n{rules}");
    Some(())
}

/// Numbers of packets, from 1, with what the rules say of them.
fn alerts(
    name: &str,
    layout: &Layout,
    port: u16,
    payloads: &[(bool, &[u8])],
) -> Option<Vec<(u64, String)>> {
    let folder = folder(&format!("suricata-{name}"));
    let pcap = folder.join("flow.pcap");
    capture(&pcap, layout.signature.transport, port, payloads);
    let _ = fs::remove_file(folder.join("eve.json"));
    run(&folder, layout, &["-r", pcap.to_str().unwrap()])?;
    let events = fs::read_to_string(folder.join("eve.json")).unwrap();
    let mut told: Vec<(u64, String)> = events
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .map(|event| {
            let name = event["alert"]["signature"].as_str().unwrap().to_owned();
            (event["pcap_cnt"].as_u64().unwrap(), name)
        })
        .collect();
    told.sort();
    Some(told)
}

#[test]
fn every_rule_is_taken() {
    for (number, layout) in
        [wechat(vec![]), wechat(vec![8088]), wechat(vec![80, 8080]), datagrams(), hostile()]
            .iter()
            .enumerate()
    {
        if run(&folder(&format!("suricata-taken-{number}")), layout, &["-T"]).is_none() {
            return;
        }
    }
}

#[test]
fn messages_are_told_and_others_are_not() {
    let picture = message(9, 7, 100);
    let beat = message(0x3b9a_ca06, 8, 0);
    let mut almost = message(9, 9, 4);
    almost[7] = 2;
    let short = &message(9, 1, 0)[..10];
    // A connection whose beginning was not seen is established once both sides have spoken.
    let hello = &b"hello"[..];
    let payloads = [
        (true, hello),
        (false, hello),
        (true, &picture[..]),
        (false, &beat),
        (true, &almost),
        (true, short),
    ];
    for (name, ports, port) in [("any", vec![], 40_404), ("port", vec![8088], 8088)] {
        let Some(told) = alerts(name, &wechat(ports), port, &payloads) else { return };
        let told: Vec<_> = told.iter().map(|(packet, name)| (*packet, name.as_str())).collect();
        assert_eq!(
            told,
            [(3, "wechat/w-tcp"), (3, "wechat/w-tcp send picture"), (4, "wechat/w-tcp"),],
            "{name}"
        );
    }
    let Some(told) = alerts("other-port", &wechat(vec![8088]), 8089, &payloads) else { return };
    assert_eq!(told, []);
}

#[test]
fn datagrams_are_told() {
    let good = [0x16, 0xaa, 8, 0, 0, 9, 0, 0, 0, 0, 0, 0xbb, 0xcc];
    let wrong_type = [0x17, 0xaa, 8, 0, 0, 9, 0, 0, 0, 0, 0, 0xbb, 0xcc];
    let payloads = [(true, &good[..]), (true, &wrong_type)];
    assert_eq!(datagrams().signature.transport, Transport::Udp);
    let Some(told) = alerts("udp", &datagrams(), 40_404, &payloads) else { return };
    assert_eq!(told, [(1, "odd-app/d".to_owned()), (1, "odd-app/d send picture".to_owned())]);
    let answer = [0xf1, 0x22, 0, 2, 0, 0x86, 1, 0, 0, 0, 0, 0, 0, 0];
    let Some(told) = alerts("hostile", &hostile(), 8001, &[(false, &answer)]) else { return };
    assert_eq!(told.len(), 1, "{told:?}");
}
