"""Runs an exported model: `onnx_check.py MODEL SAMPLES FEATURES EXPECTED`, fails where it disagrees."""

import sys

import numpy
import onnxruntime

session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
raw = {
    "input": numpy.fromfile(sys.argv[2], numpy.uint8).astype(numpy.float32) / 255,
    "features": numpy.fromfile(sys.argv[3], numpy.float32),
}
given = {entry.name: raw[entry.name].reshape(-1, entry.shape[1]) for entry in session.get_inputs()}
found = session.run(["probabilities"], given)[0]
expected = numpy.fromfile(sys.argv[4], numpy.float32).reshape(len(found), -1)
if found.shape != expected.shape:
    sys.exit(f"shape {found.shape}, not {expected.shape}")
apart = abs(found - expected).max()
if not apart < 1e-4:
    sys.exit(f"probabilities {apart} apart")
