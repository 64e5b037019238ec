"""Freezes losses and slopes that PyTorch gives, for the tests of crates/learn.

    freeze.py > ../../crates/learn/src/model/slopes.json

In double precision: in single, two values of a pool that are nearly the same fall otherwise.
Parameters, samples and class weights follow from formulas that `model/slopes.rs` has too, so
that only results need to be kept.
"""

import json

import numpy
import torch

from peers import network

CLASSES = 40
SAMPLES = 37
NAMES = {
    "lstm": ["lstm.weight_ih", "lstm.weight_hh", "lstm.bias", "dense.weight", "dense.bias"],
    "cnn": [f"{layer}.{part}" for layer in ("conv1", "conv2", "dense1", "dense2") for part in ("weight", "bias")],
}


def numbers(tensor, count):
    at = numpy.arange(count, dtype=numpy.uint64)
    mixed = (at * numpy.uint64(2_654_435_761) + numpy.uint64((tensor + 1) * 40_503_001)) % numpy.uint64(1 << 32)
    mixed = (mixed ^ (mixed >> numpy.uint64(15))) * numpy.uint64(2_246_822_519) % numpy.uint64(1 << 32)
    return (mixed.astype(numpy.float64) / float(2**32 - 1) - 0.5).astype(numpy.float32)


def fill(parameter, tensor):
    inner = int(numpy.prod(parameter.shape[1:])) if parameter.dim() > 1 else 1
    scale = numpy.float32(2.0) / numpy.sqrt(numpy.float32(inner))
    values = scale * numbers(tensor, parameter.numel())
    parameter.data.copy_(torch.from_numpy(values).view(parameter.shape))


def main():
    torch.set_num_threads(1)
    pixels = ((numbers(99, SAMPLES * 784) + numpy.float32(0.5)) * numpy.float32(255)).astype(numpy.uint8)
    x = torch.from_numpy(pixels.reshape(SAMPLES, 784)).float() / 255
    y = torch.arange(SAMPLES) * 7 % CLASSES
    weights = 0.5 + torch.arange(CLASSES).float() / 10
    results = []
    for name in ("lstm", "cnn1d", "cnn2d"):
        model = network(name, CLASSES).eval()
        parameters = [p for n, p in model.named_parameters() if not n.endswith("bias_hh_l0")]
        if name == "lstm":
            model.lstm.bias_hh_l0.data.zero_()
        for tensor, parameter in enumerate(parameters):
            fill(parameter, tensor)
        model.double()
        scores = model(x.double())
        each = torch.nn.functional.cross_entropy(scores, y, weight=weights.double(), reduction="none")
        loss = each.mean()
        loss.backward()
        tensors = []
        for label, parameter in zip(NAMES["lstm" if name == "lstm" else "cnn"], parameters):
            slope = parameter.grad.flatten().double()
            at = [int(i) for i in numpy.linspace(0, slope.numel() - 1, 12).astype(int)]
            tensors.append(
                {
                    "name": label,
                    "shape": list(parameter.shape),
                    "length": slope.norm().item(),
                    "at": at,
                    "slopes": [slope[i].item() for i in at],
                }
            )
        results.append(
            {"model": name, "classes": CLASSES, "samples": SAMPLES, "loss": loss.item(), "tensors": tensors}
        )
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
