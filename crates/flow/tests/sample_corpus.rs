//! The published images of USTC-TFC2016's Facetime class are cut again from its capture, byte
//! for byte (Wang et al. 2017; their tool kept a tenth of the sessions for the test part).
#![allow(clippy::unwrap_used, clippy::print_stdout)] // helpers are tests, too

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use ottoscope_flow::capture::{Input, Options};
use ottoscope_flow::sample::{self, Config, Kind, Protocol, Unit};
use ottoscope_synth::corpus;

const CAPTURE: &str = "captures/other/facetime/ustc-tfc2016-facetime.pcap";
const IMAGES: &str = "data/idx/ustc-tfc2016/Benign/SessionAllLayers/t10k-images-idx3-ubyte.gz";
const LABELS: &str = "data/idx/ustc-tfc2016/Benign/SessionAllLayers/t10k-labels-idx1-ubyte.gz";

fn root() -> Option<PathBuf> {
    corpus::find(CAPTURE)?;
    corpus::find(IMAGES)?;
    corpus::find("")
}

fn unpacked(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    GzDecoder::new(File::open(path).unwrap()).read_to_end(&mut bytes).unwrap();
    bytes
}

fn cut(root: &Path, config: &Config) -> (Vec<Unit>, sample::Summary) {
    let mut units = Vec::new();
    let inputs = [Input::Path(root.join(CAPTURE))];
    let summary =
        sample::run(&inputs, &Options::default(), config, &mut |_, unit| units.push(unit)).unwrap();
    (units, summary)
}

#[test]
fn facetime_is_cut_as_it_was_published() {
    let Some(root) = root() else { return };
    let (images, labels) = (unpacked(&root.join(IMAGES)), unpacked(&root.join(LABELS)));
    let mut published: HashMap<&[u8], i32> = HashMap::new();
    for (image, label) in images[16..].chunks_exact(784).zip(&labels[8..]) {
        if *label == 1 {
            *published.entry(image).or_default() += 1;
        }
    }
    assert_eq!(published.values().sum::<i32>(), 600);

    let (units, summary) = cut(&root, &Config { protocol: Protocol::Paper, ..Config::default() });
    assert_eq!(summary.count.packets, 6000);
    assert_eq!((units.len(), summary.count.duplicates), (6000, 0));
    let found = units.iter().filter(|unit| {
        let left = published.get_mut(unit.bytes.as_slice()).filter(|left| **left > 0);
        left.map(|left| *left -= 1).is_some()
    });
    assert_eq!(found.count(), 600);
    assert!(published.values().all(|left| *left == 0));
}

#[test]
fn a_flow_of_one_packet_is_its_session() {
    let Some(root) = root() else { return };
    let paper = Config { protocol: Protocol::Paper, ..Config::default() };
    let sessions = cut(&root, &paper).0;
    let flows = cut(&root, &Config { kind: Kind::Flow, ..paper }).0;
    let mut sessions: Vec<_> = sessions.into_iter().map(|unit| unit.bytes).collect();
    let mut flows: Vec<_> = flows.into_iter().map(|unit| unit.bytes).collect();
    sessions.sort();
    flows.sort();
    assert_eq!(sessions, flows);
}

#[test]
fn honest_samples_are_the_frames() {
    let Some(root) = root() else { return };
    let paper = cut(&root, &Config { protocol: Protocol::Paper, ..Config::default() }).0;
    let honest = cut(&root, &Config::default()).0;
    let by_name: HashMap<String, &Unit> = paper.iter().map(|unit| (unit.name(""), unit)).collect();
    for unit in &honest {
        let filed = by_name[&unit.name("")];
        let len = unit.filled.min(784 - 40);
        assert_eq!(unit.bytes[..len], filed.bytes[40..40 + len]);
        assert_eq!(unit.layers[0].network + 40, filed.layers[0].network);
    }
    assert_eq!(honest.len(), 6000);
}
