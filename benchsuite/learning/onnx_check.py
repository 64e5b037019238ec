"""Runs an exported model: `onnx_check.py MODEL SAMPLES EXPECTED`, fails where it disagrees."""

import sys

import numpy
import onnxruntime

session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
width = session.get_inputs()[0].shape[1]
samples = numpy.fromfile(sys.argv[2], numpy.uint8).reshape(-1, width)
expected = numpy.fromfile(sys.argv[3], numpy.float32).reshape(len(samples), -1)
found = session.run(["probabilities"], {"input": samples.astype(numpy.float32) / 255})[0]
if found.shape != expected.shape:
    sys.exit(f"shape {found.shape}, not {expected.shape}")
apart = abs(found - expected).max()
if not apart < 1e-4:
    sys.exit(f"probabilities {apart} apart")
