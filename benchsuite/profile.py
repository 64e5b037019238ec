#!/usr/bin/env python3
"""Where the time of a run goes, stage by stage.

    CARGO_PROFILE_RELEASE_DEBUG=1 CARGO_PROFILE_RELEASE_STRIP=none \\
        cargo build --release -p ottoscope-store --example ingest
    benchsuite/profile.py target/release/examples/ingest CAPTURE...

Needs Linux's perf. A sample belongs to the innermost function that a stage names, so that a
copy or an allocation counts for whoever asked for it.
"""

import collections
import re
import subprocess
import sys
import tempfile
from pathlib import Path

# Innermost first: a sample is its first match on the way out.
STAGES = [
    ("compress", r"ZSTD|zstd_safe|HUF_|FSE_"),
    ("sort", r"Cells>::gather|store::writer::order"),
    ("encode", r"store::encode|PartFormat::|parquet::(file|column)::writer"),
    ("label", r"ottoscope_catalog::|store::label|store::merge|store::users|\bparquet::"),
    ("pseudonyms", r"store::pseudonym|store::cryptopan|aes::"),
    ("batch", r"ottoscope_store::|arrow_array::|arrow_buffer::"),
    ("index", r"flow::index|flow::key"),
    ("dissect", r"flow::dissector|engine::session|flow::stream|"
                r"ottoscope_wire::(tls|dtls|dns|http|quic|stun|rtp|rtcp|ja|xmpp|socks)|"
                r"x509_parser|asn1_rs|der_parser|httparse|domain::|md5::|sha2::"),
    ("decode", r"ottoscope_wire::"),
    ("read", r"flow::capture|flow::run::feed|vfs_read|ksys_read"),
    ("flow update", r"flow::entry|flow::engine|flow::wheel|flow::side|flow::defrag|flow::fingerprint"),
]
RULES = [(name, re.compile(pattern)) for name, pattern in STAGES]


def stage(stack):
    for function in stack:
        for name, rule in RULES:
            if rule.search(function):
                return name
    return "other"


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    program, captures = sys.argv[1], sys.argv[2:]
    for capture in captures:
        with tempfile.TemporaryDirectory() as folder:
            data = Path(folder) / "perf"
            subprocess.run(["perf", "record", "-F", "499", "--call-graph", "dwarf,8192", "-o", data,
                            program, Path(folder) / "study", "1", capture],
                           check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            text = subprocess.run(["perf", "script", "-i", data, "-F", "comm,ip,sym"], check=True,
                                  capture_output=True, text=True).stdout
        stages, stack = collections.Counter(), []
        for line in [*text.splitlines(), ""]:
            frame = re.match(r"\s+[0-9a-f]+ (.*)", line)
            if frame:
                stack.append(frame.group(1))
            elif not line.strip() and stack:
                stages[stage(stack)] += 1
                stack = []
        total = sum(stages.values())
        print(f"{Path(capture).name}: {total} samples")
        for name in [name for name, _ in STAGES[::-1]] + ["other"]:
            print(f"  {name:12} {100 * stages[name] / total:5.1f} %")


if __name__ == "__main__":
    main()
