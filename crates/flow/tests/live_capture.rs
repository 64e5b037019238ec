//! Packets that pass a veth pair are captured, with times, VLAN tags and an orderly end.
//!
//! Needs root and `ip`; makes its own network namespaces and removes them.
#![allow(clippy::unwrap_used, clippy::print_stdout)] // helpers are tests, too
#![cfg(target_os = "linux")]

use std::process::Command;

/// The test runs itself inside its namespace: capturing there needs a process in it.
const INSIDE: &str = "OTTOSCOPE_LIVE_INSIDE";

fn ip(arguments: &str) -> bool {
    let output = Command::new("ip").args(arguments.split(' ')).output();
    output.is_ok_and(|output| output.status.success())
}

struct Namespaces(String);

impl Namespaces {
    /// Two namespaces, a cable between them, and a VLAN on it.
    fn new() -> Option<Namespaces> {
        let name = format!("otto{}", std::process::id());
        let made = Namespaces(name.clone());
        let ready = ip(&format!("netns add {name}a"))
            && ip(&format!("netns add {name}b"))
            && ip(&format!("link add v0 netns {name}a type veth peer name v1 netns {name}b"))
            && [("a", "v0", 1), ("b", "v1", 2)].iter().all(|(side, link, host)| {
                let inside = format!("-n {name}{side}");
                ip(&format!("{inside} addr add 192.0.2.{host}/24 dev {link}"))
                    && ip(&format!("{inside} link set {link} up"))
                    && ip(&format!("{inside} link set lo up"))
            });
        if ready {
            // A VLAN is tested where the kernel has them.
            for (side, link, host) in [("a", "v0", 1), ("b", "v1", 2)] {
                let inside = format!("-n {name}{side}");
                let _ = ip(&format!("{inside} link add link {link} name vlan type vlan id 77"))
                    && ip(&format!("{inside} addr add 198.51.100.{host}/24 dev vlan"))
                    && ip(&format!("{inside} link set vlan up"));
            }
        }
        ready.then_some(made)
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        for side in ["a", "b"] {
            ip(&format!("netns del {}{side}", self.0));
        }
    }
}

#[test]
fn packets_of_a_veth_pair_are_captured() {
    if std::env::var_os(INSIDE).is_some() {
        return inside::capture();
    }
    let Some(namespaces) = Namespaces::new() else {
        println!("skipped: network namespaces need root and `ip`");
        return;
    };
    let this = std::env::current_exe().unwrap();
    let output = Command::new("ip")
        .args(["netns", "exec", &format!("{}a", namespaces.0)])
        .arg(this)
        .args(["--exact", "packets_of_a_veth_pair_are_captured", "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}{errors}");
    print!("{text}");
}

mod inside {
    use std::collections::BTreeSet;
    use std::net::UdpSocket;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use ottoscope_flow::capture::live::{Live, LiveOptions};
    use ottoscope_flow::capture::{CaptureError, Options, Packets};
    use ottoscope_flow::{Span, Timestamp};
    use ottoscope_wire::{Decoded, Packet, decode};

    const COUNT: u32 = 2000;
    const PORT: u16 = 4000;

    /// Sends numbered datagrams to the other end.
    fn send(to: &str) -> std::io::Result<()> {
        let socket = UdpSocket::bind("0.0.0.0:0")?;
        for number in 0..COUNT {
            socket.send_to(&number.to_be_bytes(), (to, PORT))?;
        }
        Ok(())
    }

    /// Reads to the end; answers which numbers came.
    fn numbers(live: &mut Live, mut each: impl FnMut(Timestamp, &Packet<'_>)) -> BTreeSet<u32> {
        let mut seen = BTreeSet::new();
        while let Some(batch) = live.next().unwrap() {
            assert!(!batch.records().is_empty());
            for record in batch.records() {
                let bytes = batch.bytes(record);
                assert_eq!(bytes.len(), record.len as usize);
                let Ok(Decoded::Packet(packet)) = decode(record.link, bytes) else { continue };
                if packet.destination_port == PORT && packet.ip_protocol == 17 {
                    let number = packet.payload.first_chunk().map(|n| u32::from_be_bytes(*n));
                    assert!(seen.insert(number.unwrap()), "each packet once");
                    each(record.at, &packet);
                }
            }
        }
        seen
    }

    fn run(interface: &str, to: &str, vlan: Option<u16>) {
        let duration = Some(Span(400_000_000));
        let options = LiveOptions { duration, ..LiveOptions::default() };
        let mut live = Live::open(interface, options).unwrap();
        send(to).unwrap();
        let mut last = Timestamp(0);
        let seen = numbers(&mut live, |at, packet| {
            assert!(at >= last, "in order of time");
            assert!(at.seconds() > 1_600_000_000, "the kernel's time");
            assert_eq!(packet.vlan, vlan);
            last = at;
        });
        let info = live.infos().remove(0);
        assert_eq!(seen.len() as u64 + info.dropped, u64::from(COUNT), "{info:?}");
        assert!(info.packets >= seen.len() as u64);
        println!("{interface}: {} packets, {} dropped", info.packets, info.dropped);
    }

    pub(super) fn capture() {
        match Live::open("nosuch", LiveOptions::default()) {
            Err(CaptureError::NoInterface { known, .. }) => assert!(known.contains(&"v0".into())),
            _ => panic!("an interface that does not exist was opened"),
        }
        run("v0", "192.0.2.2", None);
        run("lo", "127.0.0.1", None);
        run("any", "192.0.2.2", None);
        if send("198.51.100.2").is_ok() {
            run("v0", "198.51.100.2", Some(77));
        } else {
            println!("skipped: this kernel has no VLANs");
        }

        // The stop flag ends it, with what came until then.
        let stop = Arc::new(AtomicBool::new(false));
        let options = Options { stop: Arc::clone(&stop), ..Options::default() };
        let mut live = Live::open("v0", LiveOptions { options, ..LiveOptions::default() }).unwrap();
        send("192.0.2.2").unwrap();
        stop.store(true, Ordering::Relaxed);
        assert_eq!(numbers(&mut live, |_, _| ()).len() as u64, u64::from(COUNT));
    }
}
