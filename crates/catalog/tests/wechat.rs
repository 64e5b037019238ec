//! WeChat's long connection and Bilibili's live chat have the same header, and are told apart.
#![allow(clippy::unwrap_used, missing_docs)] // failing is a test's work

use ottoscope_catalog::Catalog;
use ottoscope_flow::dissector::Probe;
use ottoscope_flow::dissector::signature::{Found, SignatureSet};
use ottoscope_flow::wire::wechat::{Header, RESPONSE, sequence};
use ottoscope_flow::{Direction, Transport};

/// The signature that wins over these first bytes of a stream.
fn winner(set: &SignatureSet, direction: Direction, bytes: &[u8]) -> Option<String> {
    let probe = Probe {
        transport: Transport::Tcp,
        direction,
        server_port: 443,
        client_port: 50_000,
        bytes,
    };
    match set.find(&probe) {
        Found::Yes(index) => set.get(index).map(|signature| signature.id.to_string()),
        Found::No | Found::Maybe => None,
    }
}

fn message(len: u32, command: u32, sequence: u32) -> Vec<u8> {
    let mut out = Vec::new();
    Header { len, command, sequence }.emit(&mut out);
    out.resize(len as usize, 0x7b);
    out
}

/// Operations of Bilibili's live chat.
const OPERATIONS: [u32; 5] = [2, 3, 5, 7, 8];

#[test]
fn the_long_connection_is_wechats() {
    let catalog = Catalog::builtin().unwrap();
    let set = SignatureSet::new(catalog.signatures()).unwrap();
    let mut told = 0;
    for command in 1..1200 {
        let task = catalog.task_of_opcode("wechat/w-tcp", u64::from(command));
        if OPERATIONS.contains(&command) {
            assert!(task.is_none(), "{command} could be Bilibili's");
            continue;
        }
        for sequence in [sequence::PUSH, 1, 2, 77, sequence::IDENTIFICATION, sequence::NO_OPERATION]
        {
            for (direction, command) in [
                (Direction::Up, command),
                (Direction::Down, command),
                (Direction::Down, command + RESPONSE),
            ] {
                let found = winner(&set, direction, &message(90, command, sequence));
                assert_eq!(found.as_deref(), Some("wechat/w-tcp"), "{command} {sequence}");
                told += 1;
            }
        }
    }
    assert_eq!(told, (1199 - OPERATIONS.len()) * 18);
    // Operations' numbers with a sequence that Bilibili does not have, and responses.
    let found = winner(&set, Direction::Up, &message(90, 5, 2));
    assert_eq!(found.as_deref(), Some("wechat/w-tcp"));
    let found = winner(&set, Direction::Down, &message(90, RESPONSE + 5, 1));
    assert_eq!(found.as_deref(), Some("wechat/w-tcp"));
}

#[test]
fn live_chat_is_bilibilis() {
    let catalog = Catalog::builtin().unwrap();
    let set = SignatureSet::new(catalog.signatures()).unwrap();
    for operation in OPERATIONS {
        for sequence in [0, 1] {
            for version in 0..=3 {
                let mut bytes = message(40, operation, sequence);
                bytes[7] = version;
                for direction in [Direction::Up, Direction::Down] {
                    let found = winner(&set, direction, &bytes);
                    assert_eq!(found.as_deref(), Some("bilibili/live-chat"), "{bytes:02x?}");
                }
            }
        }
    }
}

#[test]
fn marss_own_header_is_neither() {
    let set = SignatureSet::new(Catalog::builtin().unwrap().signatures()).unwrap();
    let words = [20u32, 200, 6, u32::MAX, 0].map(u32::to_be_bytes).concat();
    assert_eq!(winner(&set, Direction::Up, &words), None);
}
