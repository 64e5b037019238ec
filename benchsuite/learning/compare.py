"""Ours and the peers, in turn, on the same files: medians of CPU seconds and their ratios.

    compare.py --ours target/release/examples/train IMAGES LABELS [IMAGES LABELS ...]

CPU seconds, since other work on the machine changes them least; one thread each. The first pass
of a network is left out: it warms up.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
PASSES = {"lstm": 4, "cnn1d": 2, "cnn2d": 2, "forest": 1, "logistic": 100}


def measure(command, model, files, threads):
    env = dict(os.environ, THREADS=str(threads), OMP_NUM_THREADS=str(threads))
    text = subprocess.run(
        [*command, model, str(PASSES[model]), *files], env=env, capture_output=True, text=True, check=True
    ).stdout
    fits = [float(cpu) for cpu in re.findall(r"^epoch .* cpu ([0-9.]+)", text, re.M)]
    last = re.search(r"test accuracy ([0-9.]+) predict wall \S+ cpu (\S+) .* peak (\d+) MB", text)
    if model == "logistic":
        fit = sum(fits)
    else:
        fit = statistics.median(fits[1:] or fits)
    return fit, float(last[2]), float(last[3]), float(last[1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ours", required=True, help="the built example `train`")
    parser.add_argument("--models", default="lstm,cnn1d,cnn2d,forest,logistic")
    parser.add_argument("--reps", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("files", nargs="+")
    options = parser.parse_args()
    peers = [sys.executable, os.path.join(HERE, "peers.py")]
    print("| model | fit, CPU s: ours | peer | times | predict, CPU s: ours | peer | times "
          "| peak MB: ours | peer | accuracy: ours | peer |")
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    for model in options.models.split(","):
        sides = ([], [])
        for _ in range(options.reps):
            for side, command in zip(sides, ([options.ours], peers)):
                side.append(measure(command, model, options.files, options.threads))
        ours, theirs = ([statistics.median(column) for column in zip(*side)] for side in sides)
        cells = [f"{ours[0]:.2f}", f"{theirs[0]:.2f}", f"{theirs[0] / max(ours[0], 1e-9):.2f}"]
        cells += [f"{ours[1]:.3f}", f"{theirs[1]:.3f}", f"{theirs[1] / max(ours[1], 1e-9):.2f}"]
        cells += [f"{ours[2]:.0f}", f"{theirs[2]:.0f}", f"{ours[3]:.4f}", f"{theirs[3]:.4f}"]
        print(f"| {model} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
