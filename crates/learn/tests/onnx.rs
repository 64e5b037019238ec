//! Exported models, run by ONNX Runtime, give what ours give.
//!
//! Runs where `python3` (or `$OTTOSCOPE_PYTHON`) has `onnxruntime`.

use std::env;
use std::fs;
use std::process::Command;

use ottoscope_learn::{Control, Dataset, Fit, MODELS, Rows};

#[test]
fn onnx_runtime_agrees() {
    let python = env::var("OTTOSCOPE_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let asked = Command::new(&python).args(["-c", "import numpy, onnxruntime"]).output();
    if !asked.is_ok_and(|output| output.status.success()) {
        println!("{python} has no onnxruntime: exports are not run");
        return;
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../benchsuite/learning/onnx_check.py");
    let width = 784;
    let byte = |at: usize| (at.wrapping_mul(2_654_435_761) >> 13) as u8;
    let bytes: Vec<u8> = (0..70 * width).map(byte).collect();
    // Half of the label shows in the first byte, so that trees have something to split.
    let labels = (0..70).map(|at| u16::from(bytes[at * width] / 64)).collect();
    let names = (0..4).map(|class| class.to_string()).collect();
    let data = Dataset::new(bytes, width, labels, names).unwrap();
    let rows: Vec<u32> = (0..70).collect();
    let rows = Rows { data: &data, rows: &rows };
    let folder = tempfile::tempdir().unwrap();
    let mut exported = Vec::new();
    for made in MODELS {
        let mut model = (made.make)();
        let how = Fit { epochs: 2, batch: 35, ..Fit::default() };
        model.fit(rows, Rows { data: &data, rows: &[] }, &how, &mut |_| Control::Continue).unwrap();
        let Some(onnx) = model.onnx() else { continue };
        exported.push(made.name);
        let paths = ["model.onnx", "samples", "expected"].map(|name| folder.path().join(name));
        let expected = model.predict(rows, 1);
        fs::write(&paths[0], onnx).unwrap();
        fs::write(&paths[1], &data.bytes).unwrap();
        let expected: Vec<u8> = expected.iter().flat_map(|chance| chance.to_le_bytes()).collect();
        fs::write(&paths[2], expected).unwrap();
        let output = Command::new(&python).arg(script).args(&paths).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{}: {said}", made.name);
    }
    assert_eq!(exported, ["lstm", "cnn1d", "cnn2d", "forest", "logistic", "boosted"]);
}
