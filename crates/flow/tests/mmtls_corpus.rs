//! MMTLS in real captures: found where it is, and nowhere else.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)] // failing and speaking is a test's work

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use ottoscope_flow::capture::{Captures, Input, Options};
use ottoscope_flow::run::run;
use ottoscope_flow::{Collector, Config, Direction};
use ottoscope_synth::corpus;

/// Captures with MMTLS on bare TCP, and how many flows of it.
const EXPECTED: &[(&str, usize)] = &[("citizenlab-wechat-mmtls-2023.pcapng", 2)];

fn read(path: &Path) -> Option<Collector> {
    let mut captures = Captures::open(&[Input::Path(path.to_owned())], Options::default()).ok()?;
    let config = Config { bins: false, ..Config::default() };
    let outcome =
        run(&mut captures, &config, &Arc::default(), 1, |_| Collector::default()).unwrap();
    outcome.workers.into_iter().map(|(found, _)| found).next()
}

#[test]
fn found_where_it_is_and_nowhere_else() {
    let Some(folder) = corpus::find("captures") else { return };
    let paths = corpus::captures(&folder);
    let (mut whole, mut flows) = (0, 0);
    let mut found = BTreeMap::new();
    for path in &paths {
        let Some(all) = read(path) else { continue };
        whole += 1;
        flows += all.flows.len();
        let mmtls = all.flows.iter().filter(|f| f.facts.protocol == "mmtls").count();
        if mmtls > 0 {
            found.insert(path.file_name().unwrap().to_string_lossy().into_owned(), mmtls);
        }
    }
    println!("{whole} captures, {flows} flows, MMTLS in {found:?}");
    let expected = EXPECTED.iter().filter(|(name, _)| paths.iter().any(|p| p.ends_with(name)));
    let expected: BTreeMap<String, usize> =
        expected.map(|(name, count)| ((*name).to_owned(), *count)).collect();
    assert_eq!(found, expected);
}

#[test]
fn a_long_connection_is_read_to_its_end() {
    const CAPTURE: &str = "captures/other/wechat/citizenlab-wechat-mmtls-2023.pcapng";
    let Some(path) = corpus::find(CAPTURE) else { return };
    let all = read(&path).unwrap();
    let long = all.flows.iter().find(|f| f.facts.protocol == "mmtls" && f.server_port == 8080);
    let long = long.unwrap();
    let messages: Vec<_> = all.messages.iter().filter(|m| m.flow == long.id).collect();
    let of = |direction: Direction| messages.iter().filter(move |m| m.direction == direction);
    assert_eq!(of(Direction::Up).next().unwrap().kind, "client-hello");
    assert_eq!(of(Direction::Down).next().unwrap().kind, "server-hello");
    // Every byte of the connection lies in a record.
    for (direction, side) in [(Direction::Up, &long.up), (Direction::Down, &long.down)] {
        let told: u64 = of(direction).map(|m| m.len).sum();
        assert_eq!(told, side.payload, "{direction:?}");
    }
}
