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
    let plain = Dataset::new(bytes, width, labels, names).unwrap();
    // Features as samples have them: signed sizes, then gaps.
    let feature = |at: usize| match at % 8 {
        0..4 => (at.wrapping_mul(2_654_435_761) >> 13) as f32 % 1449.0 - 700.0,
        _ => (at % 97) as f32 / 64.0,
    };
    let features = (0..70 * 8).map(feature).collect();
    let features = Dataset { features, ..plain.clone() };
    let rows: Vec<u32> = (0..70).collect();
    let folder = tempfile::tempdir().unwrap();
    let asked = MODELS.iter().flat_map(|made| [(made, &plain), (made, &features)]);
    // Most models look at bytes alone.
    let asked = asked.filter(|(made, data)| {
        data.features.is_empty() || ["ours", "nearest"].contains(&made.name)
    });
    for (made, data) in asked {
        let rows = Rows { data, rows: &rows };
        let mut model = (made.make)();
        let how = Fit { epochs: 2, batch: 35, ..Fit::default() };
        model.fit(rows, Rows { data, rows: &[] }, &how, &mut |_| Control::Continue).unwrap();
        let onnx = model.onnx().unwrap();
        let names = ["model.onnx", "samples", "features", "expected"];
        let paths = names.map(|name| folder.path().join(name));
        let expected = model.predict(rows, 1);
        fs::write(&paths[0], onnx).unwrap();
        fs::write(&paths[1], &data.bytes).unwrap();
        let raw =
            |values: &[f32]| -> Vec<u8> { values.iter().flat_map(|v| v.to_le_bytes()).collect() };
        fs::write(&paths[2], raw(&data.features)).unwrap();
        fs::write(&paths[3], raw(&expected)).unwrap();
        let output = Command::new(&python).arg(script).args(&paths).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{}: {said}", made.name);
    }
}
