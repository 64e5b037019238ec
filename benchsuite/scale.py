#!/usr/bin/env python3
"""Whether cost grows linearly with packets and with flows, on captures that `synth` makes.

Writes scale.csv and scale.svg: CPU seconds and peak memory of whole runs (tables, labels, one
worker) and of counting flows alone. Two series: more packets at the same number of concurrent
flows, and more flows at once. Needs nothing but Python's standard library.
"""

import argparse
import csv
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from run import packets_of

ROOT = Path(__file__).resolve().parent.parent

# Flows of one capture and how long they last. The first series keeps the rate, and every flow
# ends, so that after the longest wait for an end, a minute, as many go as come; the second keeps
# the time, which is shorter than any wait, so that all flows are there at once.
PACKETS = [(180_000, "80s"), (360_000, "160s"), (720_000, "320s"), (1_440_000, "640s")]
FLOWS = [(10_000, "50s"), (100_000, "50s"), (500_000, "50s"), (1_000_000, "50s"),
         (2_000_000, "50s")]


def run(command):
    """CPU seconds and peak MB of a command."""
    environment = dict(os.environ, RUST_BACKTRACE="0")
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                             env=environment)
    _, status, usage = os.wait4(child.pid, 0)
    if status:
        sys.exit(f"{' '.join(map(str, command))}: {child.stderr.read().decode().strip()}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def measure(args, series, flows, duration, scratch):
    capture, study, scenario = (scratch / name for name in ("load.pcap", "study", "load.toml"))
    text = (ROOT / "scenarios" / "many-flows.toml").read_text()
    if series == "packets":
        text = text.replace("unfinished = 0.5", "unfinished = 0.0")
    scenario.write_text(text)
    subprocess.run([args.bin, "synth", scenario, "--flows", str(flows), "--duration", duration,
                    "-o", capture], check=True, stderr=subprocess.DEVNULL)
    packets = packets_of(capture)
    base = [args.bin, "run", capture, "-o", study, "--workers", "1", "--no-report"]
    whole, counts = [], []
    for _ in range(args.reps):
        shutil.rmtree(study, ignore_errors=True)
        whole.append(run(base))
        counts.append(run([*base, "--flows-only"]))
    row = {"series": series, "flows": flows, "packets": packets}
    for name, runs in (("run", whole), ("count", counts)):
        row[f"{name}_cpu_s"] = round(statistics.median(r[0] for r in runs), 3)
        row[f"{name}_mb"] = round(max(r[1] for r in runs))
    print(row, file=sys.stderr)
    return row


def chart(title, points, x, at):
    """One chart: a line through the measured points, and the straight line through the last."""
    width, height, left, bottom = 300, 190, 46, 34
    xs, ys = [p[0] for p in points], [p[1] for p in points]
    scale = lambda v, top, size: v / top * size
    place = lambda px, py: (left + scale(px, max(xs), width - left - 14),
                            height - bottom - scale(py, max(ys) * 1.1, height - bottom - 26))
    line = " ".join(f"{a:.1f},{b:.1f}" for a, b in (place(*p) for p in points))
    (x0, y0), (x1, y1) = place(0, 0), place(xs[-1], ys[-1])
    out = [f'<g transform="translate({at[0]},{at[1]})">',
           f'<text x="{left}" y="14" class="t">{title}</text>',
           f'<line x1="{x0:.1f}" y1="{y0:.1f}" x2="{x1:.1f}" y2="{y1:.1f}" class="i"/>',
           f'<line x1="{left}" y1="{height - bottom}" x2="{width}" y2="{height - bottom}"'
           ' class="a"/>',
           f'<polyline points="{line}" class="l"/>']
    out += [f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3" class="d"/>'
            for a, b in (place(*p) for p in points)]
    out += [f'<text x="{place(v, 0)[0]:.1f}" y="{height - bottom + 14}" class="n m">'
            f"{v / 1e6:.3g}</text>" for v in xs if v >= max(xs) / 9]
    number = lambda v: f"{v:,.0f}" if v >= 100 else f"{v:.3g}"
    out += [f'<text x="{left - 6}" y="{place(0, v)[1] + 4:.1f}" class="n e">{number(v)}</text>'
            for v in (ys[-1], ys[-1] / 2)]
    middle = left + (width - left) / 2
    out += [f'<text x="{middle}" y="{height - 4}" class="n m">{x}</text>', "</g>"]
    return "\n".join(out)


def draw(rows):
    charts = []
    for i, (series, key, label) in enumerate((("packets", "packets", "million packets"),
                                              ("flows", "flows", "million flows"))):
        mine = [r for r in rows if r["series"] == series]
        for j, (column, title) in enumerate((("run_cpu_s", "whole run, CPU s"),
                                             ("count_cpu_s", "counting flows, CPU s"),
                                             ("run_mb", "whole run, peak MB"))):
            points = [(r[key], r[column]) for r in mine]
            charts.append(chart(title, points, label, (j * 310, i * 200)))
    style = ("text{font:12px sans-serif;fill:#444}.t{font-weight:600}.n{font-size:11px}"
             ".m{text-anchor:middle}.e{text-anchor:end}.a{stroke:#888}"
             ".i{stroke:#bbb;stroke-dasharray:4 4}.l{fill:none;stroke:#1f6feb;stroke-width:2}"
             ".d{fill:#1f6feb}")
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 930 400" role="img" '
            f'aria-label="Cost by packets and by flows"><style>{style}</style>'
            f'<rect width="930" height="400" fill="#fff"/>' + "\n".join(charts) + "</svg>\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    parser.add_argument("--bin", type=Path, default=target / "release" / "ottoscope")
    parser.add_argument("--reps", type=int, default=3)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "concepts")
    args = parser.parse_args()
    args.bin = args.bin.resolve()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for series, sizes in (("packets", PACKETS), ("flows", FLOWS)):
            for flows, duration in sizes:
                rows.append(measure(args, series, flows, duration, Path(folder)))
    with open(args.out / "scale.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    (args.out / "scale.svg").write_text(draw(rows))
    print(f"kept in {args.out} ({time.strftime('%Y-%m-%d', time.gmtime())})", file=sys.stderr)


if __name__ == "__main__":
    main()
