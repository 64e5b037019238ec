//! Every protocol of the list is described, has a page of checked bytes, and a probe that takes
//! anything. `BLESS=1` rewrites `docs/reference/protocols.md`.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)] // failing and speaking is a test's work

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;

use ottoscope_flow::dissector::{ALL, Probe};
use ottoscope_flow::{Direction, Transport};
use proptest::prelude::*;

/// Protocols that share the page of another.
fn page(name: &str) -> &str {
    match name {
        "mdns" | "llmnr" => "dns",
        "connect" => "http",
        "mmtls" => "wechat",
        "qq-2005" | "qq-today" => "oicq",
        name => name,
    }
}

#[test]
fn every_protocol_is_described() {
    let specs = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../wire/specs"));
    let mut names = BTreeSet::new();
    for protocol in ALL {
        assert!(names.insert(protocol.name), "{} is there twice", protocol.name);
        assert!(!protocol.about.is_empty() && !protocol.reference.is_empty(), "{}", protocol.name);
        assert!(!protocol.transports.is_empty(), "{}", protocol.name);
        let page = specs.join(format!("{}.md", page(protocol.name)));
        assert!(page.exists(), "{} has no {}", protocol.name, page.display());
    }
}

proptest! {
    #[test]
    fn probes_take_any_bytes(
        bytes in prop::collection::vec(any::<u8>(), 0..64),
        up: bool,
        ports: (u16, u16),
    ) {
        for protocol in ALL {
            for &transport in protocol.transports {
                let direction = if up { Direction::Up } else { Direction::Down };
                let (client_port, server_port) = ports;
                let bytes = &bytes[..];
                let probe = Probe { transport, direction, server_port, client_port, bytes };
                let _ = (protocol.probe)(&probe);
            }
        }
    }
}

#[test]
fn the_reference_page_is_fresh() {
    let mut page = String::from(
        "# Protocols\n\nPrinted from the list of dissectors; `cargo xtask bless` rewrites it. A \
         flow's `protocol` is the innermost of these that was recognised.\n\n\
         | protocol | what | over | defined in |\n|---|---|---|---|\n",
    );
    for protocol in ALL {
        let over: Vec<String> = protocol.transports.iter().map(Transport::to_string).collect();
        let _ = writeln!(
            page,
            "| `{}` | {} | {} | {} |",
            protocol.name,
            protocol.about,
            over.join(", "),
            protocol.reference
        );
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/protocols.md");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(path, &page).unwrap();
    }
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    assert!(kept == page, "docs/reference/protocols.md is stale: run this test with BLESS=1");
}
