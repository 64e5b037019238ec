#!/usr/bin/env python3
"""Makes up binary protocols with known fields, for training and for tests.

    synthetic.py --out DIR [--count 200] [--seed 1]

Writes DIR/NAME/messages.jsonl and truth.json as `boundary_features` reads them. A protocol is a
random list of typed fields in one of a few styles (32-bit words, 16-bit words, natural
alignment, packed), with the values that such fields have: constants, lengths, counters, codes,
transaction ids that replies repeat, session ids, clocks, flags, reserved zeros, text, ciphertext.
"""
import argparse
import json
import os
import random

STYLES = {
    "words": [4],
    "halves": [2],
    "natural": [1, 1, 2, 2, 2, 4, 4, 4, 8],
    "packed": [1, 1, 1, 2, 2, 3, 4],
    "mixed": [1, 1, 2, 2, 4, 4],
}


def layout(rng):
    """Fields as (width, kind, options), and how long the header is."""
    style = rng.choice(list(STYLES))
    size = rng.choice([8, 12, 16, 16, 20, 24, 28, 32, 40])
    fields, at, used = [], 0, set()
    while at < size:
        widths = [w for w in STYLES[style] if style == "packed" or at % min(w, 4) == 0]
        width = rng.choice(widths or [1])
        kind = pick(rng, width, at, used)
        if kind in ("length", "sequence", "marker", "transaction"):
            used.add(kind)
        fields.append((width, kind))
        at += width
    return fields


def pick(rng, width, at, used):
    kinds = {"constant": 3, "code": 3, "flags": 1.5, "reserved": 1, "small": 2}
    if width >= 2:
        kinds.update(transaction=2, number=1, constant=2.5)
    if width >= 4:
        kinds.update(session=3, clock=2, token=1.5, address=1)
    if width <= 4:
        kinds.update(length=4 if at < 12 else 1.5, sequence=3)
    if width == 8:
        kinds = {"session": 3, "token": 2, "transaction": 2, "clock": 2, "counter": 1}
    if width <= 4 and "marker" not in used:
        kinds["marker"] = 1
    for kind in used:
        kinds.pop(kind, None)
    return rng.choices(list(kinds), list(kinds.values()))[0]


class Field:
    """One field's rules; `value` gives its number in a message."""

    def __init__(self, rng, width, kind, order):
        self.rng, self.width, self.kind, self.order = rng, width, kind, order
        top = 256 ** width
        self.top = top
        self.constant = rng.choice([rng.randrange(top), rng.randrange(1, 17) % top, 1 + 0x10000 * rng.randrange(64) % max(top - 1, 1)]) % top
        small = [v % top for v in rng.sample(range(1, 64), rng.randrange(2, 14))]
        wide = [rng.randrange(min(top, 1200)) for _ in range(rng.randrange(2, 24))]
        self.codes = rng.choice([small, small, wide])
        self.skew = [1 / (1 + i) ** rng.choice([0.3, 1, 2]) for i in range(len(self.codes))]
        self.step = rng.choice([1, 1, 1, 2, 160, 960]) if width > 1 else 1
        self.start = rng.choice([0, 1, None])
        self.add = rng.choice([0, 0, 0, 4, 8, -2])
        self.marks = rng.choice([(0, 1), (1, 2), (0, 1 << (8 * width - 1)), (0, 1_000_000_000 % top), (rng.randrange(top), rng.randrange(top))])
        self.per_flow = {}
        self.pool = [rng.randrange(top) for _ in range(3)]
        self.bits = [rng.choice([0, 1, 0x80, 0x40, 0x10, 2, 4]) for _ in range(3)]
        self.rate = rng.choice([1, 1000, 8000, 90000]) if width < 8 else 1e6

    def value(self, m):
        rng, top = self.rng, self.top
        key = (m["flow"], m["dir"])
        if self.kind == "constant":
            return self.constant
        if self.kind == "reserved":
            return 0
        if self.kind == "code":
            return rng.choices(self.codes, self.skew)[0]
        if self.kind == "flags":
            return sum({bit for bit in self.bits if rng.random() < 0.3}) % top
        if self.kind == "small":
            return min(int(rng.expovariate(0.1 if self.width == 1 else 0.01)), top - 1)
        if self.kind == "number":
            return int(top ** rng.random()) % top
        if self.kind == "marker":
            return self.marks[m["dir"]]
        if self.kind == "transaction":
            asked = self.per_flow.get(m["flow"])
            if m["dir"] == 1 and asked is not None and rng.random() < 0.9:
                return asked
            self.per_flow[m["flow"]] = value = rng.randrange(top) if self.start is None else (self.per_flow.get(m["flow"], rng.randrange(100)) + 1) % top
            return value
        if self.kind in ("sequence", "counter"):
            first = self.start if self.start is not None else rng.randrange(top)
            value = self.per_flow[key] = (self.per_flow.get(key, first) + (self.step if rng.random() < 0.9 else rng.randrange(1, 4) * self.step)) % top
            return value
        if self.kind == "session":
            return self.per_flow.setdefault(m["flow"], rng.randrange(top))
        if self.kind == "clock":
            base = self.per_flow.setdefault(key if self.start is None else 0, rng.randrange(top) if self.start is None else int(1.4e9 * min(self.rate, 1)) % top)
            return int(base + m["ts"] * self.rate) % top
        if self.kind == "token":
            return rng.randrange(top)
        if self.kind == "address":
            return self.pool[rng.randrange(3)]
        if self.kind == "length":
            return (m["size"] + self.add) % top
        raise ValueError(self.kind)


def protocol(name, rng, out):
    if rng.random() < 0.06:
        fields = []
    else:
        fields = layout(rng)
    order = "little" if rng.random() < 0.25 else "big"
    made = [Field(rng, width, kind, order) for width, kind in fields]
    header = sum(width for width, _ in fields)
    tail = rng.choice(["random", "random", "text", "none", "zero"]) if fields else "random"
    stray = rng.choice([0, 0, 0, 0.3, 0.5]) if tail == "random" and fields else 0
    flows = rng.choice([1, 2, 4, 10, 40])
    count = rng.choice([20, 50, 100, 200, 400])
    pingpong = rng.random() < 0.6
    sizes = rng.choice([(0, 40), (20, 200), (0, 1200), (100, 101), (0, 4), (0, 3000)])
    bits = [0]
    for width, _ in fields:
        bits.append(bits[-1] + width)
    ts, rows, truth, seen = 0.0, [], [], set()
    state = {}
    for n in range(count):
        ts += rng.expovariate(5)
        flow = rng.randrange(flows)
        way = (1 - state.get(flow, 1)) if pingpong else int(rng.random() < 0.4)
        state[flow] = way
        extra = 0 if tail == "none" and rng.random() < 0.7 else rng.randrange(*sizes)
        m = dict(flow=flow, dir=way, ts=ts, size=header + extra)
        proper = rng.random() >= stray
        if tail == "text":
            rest = bytes(rng.choice(b"abcdefghijklmnopqrstuvwxyz./0123456789") for _ in range(extra))
        elif tail == "zero":
            rest = bytes(extra // 2) + rng.randbytes(extra - extra // 2)
        else:
            rest = rng.randbytes(extra)
        body = b"".join(f.value(m).to_bytes(f.width, order) for f in made) + rest
        if not proper:
            body = rng.randbytes(max(20, extra))
        if not body:
            continue
        body = body[:1380] if proper and stray else body
        text = body[:128].hex()
        ends = [b for b in bits[1:] if b < len(body)]
        if tail == "zero" and extra // 2:
            ends.append(header + extra // 2)
        rows.append(dict(id=len(rows), flow=flow, dir=way, ts=round(ts, 6), l4="tcp" if stray else "udp", sport=4000, dport=5000, dup=text in seen, payload=text + "00" * max(0, len(body) - 128)))
        seen.add(text)
        truth.append(dict(id=len(truth), len=len(body), known=len(body), protocol_packet=proper, fields=[],
                          b16=[b for b in ends if b < min(16, len(body))], b32=[b for b in ends if b < min(32, len(body))]))
    folder = os.path.join(out, name)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "messages.jsonl"), "w") as f:
        f.writelines(json.dumps(row) + "\n" for row in rows)
    with open(os.path.join(folder, "truth.json"), "w") as f:
        json.dump(dict(protocol=name, layout=[list(f) for f in fields], order=order, field_types={}, facts=[], messages=truth), f)


def main():
    args = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    args.add_argument("--out", required=True)
    args.add_argument("--count", type=int, default=200)
    args.add_argument("--seed", type=int, default=1)
    args = args.parse_args()
    for n in range(args.count):
        protocol(f"made{n:03}", random.Random(args.seed * 100_003 + n), args.out)


if __name__ == "__main__":
    main()
