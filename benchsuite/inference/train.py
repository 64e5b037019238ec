#!/usr/bin/env python3
"""Trains the scorer of boundaries that `aligned` uses, and cuts left-out protocols with it.

    cargo run --release -p ottoscope-infer --example boundary_features -- --data REAL --out real.csv
    synthetic.py --out MADE --count 240
    cargo run --release -p ottoscope-infer --example boundary_features -- --data MADE --out made.csv
    train.py --real real.csv --made made.csv --model crates/infer/src/segment/aligned/model.txt
    train.py --real real.csv --made made.csv --folds FOLDS

`--real` may be given several times. With `--folds` one model is written for each part of the
protocol families, FOLDS/N.txt, trained without them, and FOLDS/N.names lists the protocols that
it may be tested on (`segment_jsonl --model FOLDS/N.txt --only NAMES`). Needs numpy and lightgbm.
"""
import argparse
import collections
import os
import random

import lightgbm
import numpy

# Protocols that share a layout or a part of one are left out together.
FAMILIES = [
    "smb2 smb smb2_np smb_smia nbss mailslot browser nbdgm", "modbus umas modbus_np",
    "dns mdns nbns llmnr nbns_smia dns_ictf", "dtls tls_record", "gquic quic_long",
    "gtp_u gtpv2 gtpprime pfcp geneve", "dhcp dhcp_smia", "ntp ntp_smia", "dnp3 dnp3_np", "rtp rtcp",
    "snmp kerberos ldap z3950 mms", "s7comm tpkt cotp t125 s7comm-plus rdp q931", "stun classicstun",
    "enip cip cipio", "rx afs", "bacnet bvlc", "whatsapp_fun whatsapp_noise", "esp udpencap isakmp",
    "rip ripng", "eth sll chdlc wlan radiotap null", "icmp icmpv6", "esio sbus ethersio",
    "ppp lcp pppoes", "vxlan gre erspan lisp", "h225 h245", "lustre lnet", "m3ua sccp tcap",
]
FAMILY = {name: members.split()[0] for members in FAMILIES for name in members.split()}
SETTINGS = dict(
    objective="cross_entropy", learning_rate=0.08, num_leaves=15, min_data_in_leaf=40, max_bin=63,
    feature_fraction=0.5, extra_trees=True, bagging_fraction=0.7, bagging_freq=1, lambda_l2=5.0, force_col_wise=True,
    verbose=-1, num_threads=1, seed=1,
)
TREES = 320
# Of a made-up protocol, in shares of a real one.
MADE = 0.2
PART = 0.35


class Table:
    """Described boundaries, one a row."""

    def __init__(self, path):
        self.names, self.views, share, rows = [], [], [], []
        with open(path) as lines:
            self.header = next(lines).strip().split(",")[6:]
            for line in lines:
                name, view, _, _, _, target, *numbers = line.rstrip("\n").split(",")
                self.names.append(name)
                self.views.append(view)
                share.append(float(target))
                rows.append(numpy.array(numbers, dtype=numpy.float32))
        self.names = numpy.array(self.names)
        self.share = numpy.array(share)
        self.rows = numpy.vstack(rows)
        self.families = numpy.array([FAMILY.get(name, name) for name in self.names])
        # Every protocol weighs the same, and in it the view of all messages most.
        weight = numpy.where(numpy.array(self.views) == "all", 1.0, PART)
        total = collections.Counter()
        for name, part in zip(self.names, weight):
            total[name] += part
        self.weight = numpy.array([part / total[name] * 50 for name, part in zip(self.names, weight)])


def train(tables, left_out=()):
    keep = [(table, ~numpy.isin(table.families, list(left_out)), factor) for table, factor in tables]
    data = lightgbm.Dataset(
        numpy.vstack([table.rows[rows] for table, rows, _ in keep]),
        numpy.hstack([table.share[rows] for table, rows, _ in keep]),
        weight=numpy.hstack([table.weight[rows] * factor for table, rows, factor in keep]),
    )
    return lightgbm.train(SETTINGS, data, TREES)


def written(model, threshold, about):
    """The model as `segment::aligned::Model` reads it."""
    lines = [f"# {line}" for line in about] + [f"threshold {threshold}"]
    for tree in model.dump_model()["tree_info"]:
        nodes = []

        def add(node):
            at = len(nodes)
            if "leaf_value" in node:
                nodes.append(f"{node['leaf_value']:.4g}")
                return at
            nodes.append("")
            left, right = add(node["left_child"]), add(node["right_child"])
            assert node["decision_type"] == "<="
            nodes[at] = f"{node['split_feature']}:{node['threshold']:.6g}:{left}:{right}"
            return at

        add(tree["tree_structure"])
        lines.append(" ".join(nodes))
    return "\n".join(lines) + "\n"


def main():
    args = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    args.add_argument("--real", action="append", required=True)
    args.add_argument("--made")
    args.add_argument("--threshold", type=float, default=0.43)
    args.add_argument("--model")
    args.add_argument("--folds")
    args.add_argument("--parts", type=int, default=12)
    args.add_argument("--drop", default="", help="protocols not used, separated by commas")
    args = args.parse_args()
    tables = [(Table(path), 1.0) for path in args.real]
    seen = set(args.drop.split(","))
    for n, (table, _) in enumerate(tables):
        # A protocol that an earlier table has too counts once.
        table.weight[numpy.isin(table.names, list(seen))] = 0.0
        seen |= set(table.names)
        if n:
            tables[n] = (table, 0.6)
    if args.made:
        tables.append((Table(args.made), MADE))
    real = sorted({name for table, _ in tables[: len(args.real)] for name in table.names[table.weight > 0]})
    if args.model:
        about = [
            "Boosted trees that tell field boundaries, written by benchsuite/inference/train.py.",
            f"Trained on {len(real)} protocols: {' '.join(real)}",
        ]
        with open(args.model, "w") as out:
            out.write(written(train(tables), args.threshold, about))
    if args.folds:
        os.makedirs(args.folds, exist_ok=True)
        families = sorted({FAMILY.get(name, name) for name in real})
        random.Random(7).shuffle(families)
        for part in range(args.parts):
            out = families[part :: args.parts]
            names = [name for name in real if FAMILY.get(name, name) in out]
            with open(os.path.join(args.folds, f"{part}.txt"), "w") as file:
                file.write(written(train(tables, out), args.threshold, [f"Without {' '.join(names)}"]))
            with open(os.path.join(args.folds, f"{part}.names"), "w") as file:
                file.write(",".join(names))


if __name__ == "__main__":
    main()
