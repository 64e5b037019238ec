//! What the engine keeps of a flow for models is what a sample of its session has.
#![allow(clippy::unwrap_used, missing_docs)] // failing is a test's work

use std::collections::HashMap;
use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;

use ottoscope_flow::capture::{Captures, Input, Options};
use ottoscope_flow::run::run;
use ottoscope_flow::sample::{self, Config as Cut, Depth, Unit};
use ottoscope_flow::{Config, Flow, Sink};
use ottoscope_synth::voice::Voice;

const KEY: [u64; 2] = [3, 5];
const PACKETS: usize = 32;

#[derive(Default)]
struct Flows(HashMap<u64, Flow>);

impl Sink for Flows {
    type Error = Infallible;

    fn flow(&mut self, flow: &Flow) -> Result<(), Infallible> {
        self.0.insert(flow.id.0, flow.clone());
        Ok(())
    }
}

fn flows(capture: &Path) -> HashMap<u64, Flow> {
    let config = Config {
        sample_bytes: 784,
        sizes: PACKETS,
        flow_key: KEY,
        bins: false,
        ..Config::default()
    };
    let mut captures = Captures::open(&[Input::Path(capture.into())], Options::default()).unwrap();
    let mut done = run(&mut captures, &config, &Arc::default(), 1, |_| Flows::default()).unwrap();
    done.workers.remove(0).0.0
}

fn check(bytes: &[u8], least: usize) {
    let folder = tempfile::tempdir().unwrap();
    let capture = folder.path().join("c.pcap");
    std::fs::write(&capture, bytes).unwrap();
    let flows = flows(&capture);
    let mut compared = 0;
    let cut = Cut { depth: Depth::Payload, packets: PACKETS, ..Cut::default() };
    let mut each = |_: &Input, unit: Unit| {
        // A session that ended as a flow and began again is two flows.
        let Some(flow) = flows.get(&unit.flow_id(KEY).0) else { return };
        if flow.up.packets + flow.down.packets != unit.packets {
            return;
        }
        let ours: Vec<f32> = unit.features(PACKETS);
        // A sample's sizes are positive from whoever sent first, a flow's from the client.
        let side = if unit.ends[0] == (flow.client, flow.client_port) { 1.0 } else { -1.0 };
        let sizes = flow.sizes.iter().flatten().map(|size| side * *size as f32);
        assert!(sizes.eq(ours[..unit.sizes.len()].iter().copied()), "{:?}", unit.ends);
        let gaps: Vec<f32> = flow.gaps.iter().flatten().map(|gap| *gap as f32 / 1e6).collect();
        assert_eq!(gaps.len(), unit.gaps.len());
        for (kept, gap) in gaps.iter().zip(&unit.gaps) {
            assert!((kept - gap).abs() < 2e-6 * gap.abs().max(1.0), "{kept} {gap}");
        }
        assert_eq!(flow.sample.as_deref(), Some(&unit.bytes[..unit.filled]));
        compared += 1;
    };
    sample::run(&[Input::Path(capture)], &Options::default(), &cut, &mut each).unwrap();
    assert!(compared >= least, "{compared} of {}", flows.len());
}

#[test]
fn flows_keep_what_samples_have() {
    for name in ["tls12", "quic", "call", "w-tcp", "whatsapp-chat", "gtp", "retransmission"] {
        check(&ottoscope_synth::fixture(name).unwrap(), 1);
    }
    let mut voice = Voice::builtin("voice-c", 5).unwrap();
    voice.most = 100;
    for class in ["Skype_VPN", "Zoom", "Huya"] {
        let recordings = voice.recordings();
        let recording = recordings.iter().find(|recording| recording.class == class).unwrap();
        let mut bytes = Vec::new();
        recording.write(&mut bytes).unwrap();
        check(&bytes, 9);
    }
}
