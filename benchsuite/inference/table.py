#!/usr/bin/env python3
"""Writes the table of docs/concepts/inference-methods.md: how well each method finds fields.

    cargo xtask inference [--only PROTOCOL,...] [--extra [FOLDER]]

Messages of known protocols are cut by every method, and the cuts are compared with the offsets at
which tshark's fields begin. The bench that extracts messages and scores cuts is looked for in
OTTOSCOPE_CORPUS (../shared where unset), folder bench/inference, and needs tshark. `aligned` is shown
twice: as shipped, on protocols that it was trained on, and left out, where every protocol is cut
by a model that saw neither it nor a relative; that needs numpy and lightgbm. Work files stay in
target/inference.
"""
import argparse
import importlib.util
import json
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
WORK = os.path.join(ROOT, "target", "inference")
PAGE = os.path.join(ROOT, "docs", "concepts", "inference-methods.md")
# Protocols of messengers, calls and what carries them.
VOICE = (
    "stun rtp rtcp dtls tls_record quic_long gquic whatsapp_fun whatsapp_noise zoom_sfu oicq iax2 "
    "skinny raknet wireguard"
).split()
METHODS = [
    ("fixed-1", "every byte"),
    ("fixed-2", "every 2 bytes"),
    ("fixed-4", "every 4 bytes"),
    ("voting-experts", "Voting Experts"),
    ("iterative-literal", "the paper's iterative Voting Experts, votes and threshold read literally"),
    ("iterative", "the same, best pair of positions in every window"),
    ("aligned", "`aligned`, as shipped: trained on these protocols"),
]
FOUND = "ours, of fields that the command finds itself: span and type right"
COLUMNS = ["precision", "recall", "f1", "fpr", "perfection", "fms_mean"]
HEAD = ["precision", "recall", "F1", "false positives", "perfect fields", "FMS"]


def run(*command, cwd=ROOT, **more):
    print("$", " ".join(command[:6]), "..." if len(command) > 6 else "", file=sys.stderr, flush=True)
    return subprocess.run(command, cwd=cwd, check=True, **more)


def example(name, *arguments):
    return run(
        "cargo", "run", "--release", "--quiet", "-p", "ottoscope-infer", "--example", name, "--", *arguments,
        stdout=subprocess.PIPE, text=True,
    ).stdout


def score(bench, data, cuts, window):
    out = os.path.join(WORK, "score.json")
    run(
        sys.executable, "-m", "pinfer.score", "--data", data, "--seg", cuts, "--window", str(window), "--json", out,
        cwd=bench, stdout=subprocess.DEVNULL,
    )
    with open(out) as file:
        return json.load(file)


def mean(rows, names=None):
    rows = [row for row in rows if names is None or row["protocol"] in names]
    values = []
    for column in COLUMNS:
        known = [row[column] for row in rows if row[column] == row[column]]
        values.append(sum(known) / len(known) if known else float("nan"))
    return values, len(rows)


def left_out(data, extra):
    """Cuts of `aligned` by models that were trained without the protocol and its relatives."""
    if not all(importlib.util.find_spec(name) for name in ("numpy", "lightgbm")):
        print("no numpy or lightgbm: `aligned` is not shown left out", file=sys.stderr)
        return None
    real, made, folds = (os.path.join(WORK, name) for name in ("real.csv", "made.csv", "folds"))
    example("boundary_features", "--data", data, "--out", real)
    reals = ["--real", real]
    if extra:
        more = os.path.join(WORK, "extra.csv")
        example("boundary_features", "--data", extra, "--out", more)
        reals += ["--real", more]
    here = os.path.join(ROOT, "benchsuite", "inference")
    synthetic = os.path.join(WORK, "made")
    run(sys.executable, os.path.join(here, "synthetic.py"), "--out", synthetic, "--count", "240")
    example("boundary_features", "--data", synthetic, "--out", made)
    run(sys.executable, os.path.join(here, "train.py"), *reals, "--made", made, "--folds", folds)
    cuts = os.path.join(WORK, "cuts", "left-out")
    for name in sorted(os.listdir(folds)):
        if name.endswith(".names"):
            with open(os.path.join(folds, name)) as file:
                only = file.read().strip()
            model = os.path.join(folds, name.replace(".names", ".txt"))
            if only:
                example(
                    "segment_jsonl", "--data", data, "--out", cuts, "--method", "aligned", "--model", model,
                    "--only", only,
                )
                example(
                    "segment_jsonl", "--data", data, "--out", cuts + "-32", "--method", "aligned", "--model", model,
                    "--only", only, "--bytes", "32",
                )
    return cuts


def main():
    args = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    args.add_argument("--only", default="", help="protocols, separated by commas")
    args.add_argument(
        "--extra", nargs="?", const=os.path.join(WORK, "extra"),
        help="train with further protocols too: those of a folder in the bench's form, or extracted by extra.py",
    )
    args.add_argument("--no-left-out", action="store_true", help="do not train without each family")
    args = args.parse_args()
    corpus = os.environ.get("OTTOSCOPE_CORPUS", os.path.join(ROOT, "..", "shared"))
    bench = os.path.join(corpus, "bench", "inference")
    if not os.path.isdir(os.path.join(bench, "pinfer")):
        sys.exit(f"no bench in {bench}: set OTTOSCOPE_CORPUS")
    data = os.path.join(WORK, "data")
    if not os.path.isdir(data):
        run(sys.executable, "-m", "pinfer.extract", "--out", data, *filter(None, args.only.split(",")), cwd=bench)
    if args.extra and not os.path.isdir(args.extra):
        run(sys.executable, os.path.join(ROOT, "benchsuite", "inference", "extra.py"), "--out", args.extra)
    methods = []
    for method, about in METHODS:
        cuts = os.path.join(WORK, "cuts", method)
        example("segment_jsonl", "--data", data, "--out", cuts, "--method", method)
        example("segment_jsonl", "--data", data, "--out", cuts + "-32", "--method", method, "--bytes", "32")
        methods.append((about, cuts))
    if not args.no_left_out and (cuts := left_out(data, args.extra)):
        methods.append(("**`aligned`, left out: trained on other families only**", cuts))
    lines, protocols = [], []
    for window, names in ((16, None), (16, VOICE), (32, None)):
        rows = []
        for about, cuts in methods:
            scored = score(bench, data, cuts if window == 16 else f"{cuts}-32", window)
            values, count = mean(scored, names)
            rows.append((about, values))
            if window == 16 and names is None:
                protocols.append((about, {row["protocol"]: row["f1"] for row in scored}))
        kind = "messaging, voice and what carries them" if names else "all"
        lines += [f"First {window} bytes, mean over {count} protocols ({kind}):", ""]
        lines += ["| method | " + " | ".join(HEAD) + " |", "|---|" + "---:|" * len(HEAD)]
        lines += ["| " + about + " | " + " | ".join(f"{v:.2f}" for v in values) + " |" for about, values in rows]
        lines.append("")
    shown = [(about, f1) for about, f1 in protocols if about.startswith(("every 2", "the same", "`al", "**"))]
    lines += ["F1 on 16 bytes by protocol: every 2 bytes, the paper's method, `aligned` as shipped"]
    lines[-1] += ", `aligned` left out:" if len(shown) == 4 else ":"
    lines += ["", "| protocol |" + " F1 |" * len(shown), "|---|" + "---:|" * len(shown)]
    for name in sorted(shown[0][1]):
        cells = [f"{f1[name]:.2f}" if f1.get(name) == f1.get(name) and name in f1 else "-" for _, f1 in shown]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    lines += ["", "Types of fields whose spans are given, share that is acceptable, mean over protocols:", ""]
    lines += ["| rules | acceptable |", "|---|---:|"]
    ways = [("paper", "the paper's five", ()), ("typed", "ours", ()), ("typed", FOUND, ("found",))]
    for rules, about, more in ways:
        told = example("types_jsonl", data, rules, *more)
        share = re.search(r": ([01]\.[0-9]+) over", told)
        lines.append(f"| {about} | {float(share.group(1)):.2f} |" if share else f"| {about} | ? |")
    with open(PAGE) as file:
        text = file.read()
    begin, end = "<!-- inference-table -->", "<!-- /inference-table -->"
    if begin not in text:
        sys.exit(f"{PAGE} has no {begin}")
    before, rest = text.split(begin, 1)
    after = rest.split(end, 1)[1] if end in rest else rest
    with open(PAGE, "w") as file:
        file.write(before + begin + "\n\n" + "\n".join(lines) + "\n\n" + end + after)
    print(f"wrote {os.path.relpath(PAGE, ROOT)}")


if __name__ == "__main__":
    main()
