"""Every model on every representation of ISCX VPN-nonVPN, ours beside the peers', over seeds.

    table.py run --ours target/release/examples/train --data iscx-vpn-nonvpn --out runs/DAY.jsonl
    table.py markdown [--compact] [--into PAGE] runs/DAY.jsonl

`run` appends a JSON line a cell (task, representation, model, whose, seed) and leaves out cells
that are there: break it off and start it again as you like. Each seed draws its own samples, up to
a number a class, half of them to train on; both sides get the same files. One thread.
`markdown` prints means with Student's 95 % interval, and the mean of ours less theirs, paired by
seed: "even" where its interval holds 0. With a page, it replaces what stands there between the
lines of MARKS.
"""

import argparse
import contextlib
import gzip
import io
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy

import peers

REPRESENTATIONS = {
    "S_A": "SessionAllLayers",
    "F_A": "FlowAllLayers",
    "S_L7": "SessionL7",
    "F_L7": "FlowL7",
}
# By task: which halves, the class of label `label` of half `half`, and samples a class at most.
TASKS = {
    "vpn": (("Novpn", "Vpn"), lambda half, label: half + 0 * label, 1000),
    "six": (("Novpn",), lambda half, label: label, 333),
    "sixvpn": (("Vpn",), lambda half, label: label, 333),
    "twelve": (("Novpn", "Vpn"), lambda half, label: 6 * half + label, 166),
}
TITLES = {
    "vpn": "VPN or not",
    "six": "six kinds, no VPN",
    "sixvpn": "six kinds, VPN",
    "twelve": "twelve",
}
# Passes; iterations of regression, rounds of boosting.
PASSES = {
    "nearest": 1,
    "forest": 1,
    "logistic": 100,
    "lstm": 30,
    "ours": 100,
    "cnn2d": 6,
    "cnn1d": 6,
    "boosted": 100,
}
MARKS = ("<!-- benchsuite/learning/table.py -->", "<!-- end of table.py -->")
WHOSE = {"ours": "ours", "peer": "theirs"}
# What no peer has.
ALONE = ("ours",)
TRAINED = 0.5
T = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262}
KEY = ("task", "representation", "model", "whose", "seed", "most", "passes", "batch")


def read(data, task, representation):
    halves, class_of, _ = TASKS[task]
    images, labels = [], []
    for half, name in enumerate(halves):
        folder = os.path.join(data, "6class", name + REPRESENTATIONS[representation])
        images.append(peers.idx(os.path.join(folder, "train-images-idx3-ubyte.gz"), 16, (-1, 784)))
        label = peers.idx(os.path.join(folder, "train-labels-idx1-ubyte.gz"), 8, (-1,))
        labels.append(class_of(half, label.astype(numpy.int64)))
    return numpy.concatenate(images), numpy.concatenate(labels)


def draw(labels, most, seed):
    """Rows to train on, then rows to test on; of each class the same share."""
    random = numpy.random.default_rng(seed)
    train, test = [], []
    for label in range(labels.max() + 1):
        rows = random.permutation(numpy.flatnonzero(labels == label))[:most]
        first = round(len(rows) * TRAINED)
        train.append(rows[:first])
        test.append(rows[first:])
    return random.permutation(numpy.concatenate(train)), numpy.concatenate(test)


def write(folder, images, labels):
    """Both as IDX files, hardly compressed."""
    paths = [os.path.join(folder, name) for name in ("images.gz", "labels.gz")]
    sizes = ((0x803, len(labels), 28, 28), (0x801, len(labels)))
    for path, words, values in zip(paths, sizes, (images, labels)):
        header = numpy.array(words, ">u4").tobytes()
        with gzip.open(path, "wb", 1) as file:
            file.write(header + values.astype(numpy.uint8).tobytes())
    return paths


def run_ours(options, cell, files, trained):
    said = {"THREADS": 1, "SEED": cell["seed"], "TRAIN": trained, "BATCH": cell["batch"]}
    text = subprocess.run(
        [options.ours, cell["model"], str(cell["passes"]), *files],
        env=dict(os.environ, **{name: str(value) for name, value in said.items()}),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
    accuracy = re.search(r"^test accuracy (\S+)", text, re.M)[1]
    averages = re.search(r"^f1 micro (\S+) macro (\S+) weighted (\S+)", text, re.M).groups()
    return [float(value) for value in (accuracy, *averages)]


def run_peer(cell, images, labels, test):
    # Passes print what they cost; here that is of no interest.
    kept, sys.stdout = sys.stdout, open(os.devnull, "w")
    try:
        name, passes, seed = cell["model"], cell["passes"], cell["seed"]
        if name in peers.DEEP:
            classes = int(labels.max()) + 1
            found = peers.deep(name, passes, images, labels, test, classes, seed, cell["batch"])
        else:
            found = peers.shallow(name, passes, images, labels, test, seed)
    finally:
        sys.stdout.close()
        sys.stdout = kept
    return peers.scores(found[0], labels[test])


def cells(options):
    models = options.models.split(",") if options.models else list(PASSES)
    passes = dict(PASSES, **{name: int(n) for name, n in (p.split("=") for p in options.passes)})
    for seed in range(1, options.seeds + 1):
        for task in options.tasks.split(","):
            most = TASKS[task][2] if options.most is None else options.most
            for representation in options.representations.split(","):
                some = []
                for model in models:
                    for whose in ("ours", "peer")[: 1 if model in ALONE else 2]:
                        some.append((task, representation, model, whose, seed, most, passes[model], options.batch))
                yield [dict(zip(KEY, values)) for values in some]


def key(cell):
    return tuple(cell[name] for name in KEY)


def results(path):
    """The lines of a file of results; one that was cut short is none."""
    found = []
    if os.path.exists(path):
        for line in open(path):
            try:
                found.append(json.loads(line))
            except json.JSONDecodeError:
                continue
    return found


def run(options):
    done = {key(cell) for cell in results(options.out)}
    os.makedirs(os.path.dirname(os.path.abspath(options.out)), exist_ok=True)
    out = os.open(options.out, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    with tempfile.TemporaryDirectory() as folder:
        for group in cells(options):
            missing = [cell for cell in group if key(cell) not in done]
            if not missing:
                continue
            first = missing[0]
            images, labels = read(options.data, first["task"], first["representation"])
            train, test = draw(labels, first["most"] or len(labels), first["seed"])
            rows = numpy.concatenate([train, test])
            images, labels = images[rows], labels[rows]
            files = write(folder, images, labels)
            held = numpy.arange(len(rows)) >= len(train)
            for cell in missing:
                start = time.time()
                if cell["whose"] == "ours":
                    scores = run_ours(options, cell, files, len(train))
                else:
                    scores = run_peer(cell, images, labels, held)
                names = ("accuracy", "micro", "macro", "weighted")
                cell.update({name: round(score, 6) for name, score in zip(names, scores)})
                cell.update(trained=len(train), tested=len(test), seconds=round(time.time() - start, 2))
                # One write, so that a line is whole or not there.
                os.write(out, (json.dumps(cell) + "\n").encode())
                print(*[cell[name] for name in (*KEY[:5], "accuracy", "seconds")], flush=True)


def interval(values):
    """Mean and half of Student's 95 % interval, none of one value."""
    mean = statistics.fmean(values)
    if len(values) < 2:
        return mean, None
    t = T.get(len(values) - 1, 1.96 + 2.4 / (len(values) - 1))
    return mean, t * statistics.stdev(values) / len(values) ** 0.5


def shown(values, sign=""):
    mean, half = interval(values)
    return f"{mean:{sign}.3f}" + ("" if half is None else f" ± {half:.3f}")


def verdict(apart):
    mean, half = interval(apart)
    if half is None:
        return "one run"
    if abs(mean) <= half + 1e-9:
        return "even"
    return "ours better" if mean > 0 else "theirs better"


def markdown(options):
    if not options.into:
        return tables(options)
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        tables(options)
    page = open(options.into).read()
    before, _, rest = page.partition(MARKS[0])
    _, end, after = rest.partition(MARKS[1])
    if not end:
        sys.exit(f"{options.into} has no lines {MARKS[0]} and {MARKS[1]}")
    with open(options.into, "w") as file:
        file.write(f"{before}{MARKS[0]}\n{text.getvalue().strip()}\n{MARKS[1]}{after}")


def tables(options):
    found = {}
    for cell in results(options.file):
        place = tuple(cell[name] for name in ("task", "representation", "model"))
        sides = found.setdefault(cell["most"] > 0, {}).setdefault(place, {"ours": {}, "peer": {}})
        sides[cell["whose"]][cell["seed"]] = cell
    for places in found.values():
        (compact if options.compact else table)(places)
        summary(places)
        print()


def seeds_of(sides):
    """Seeds that both sides have; all of ours where there is no peer."""
    both = set(sides["ours"]) & set(sides["peer"]) if sides["peer"] else set(sides["ours"])
    return sorted(both)


def values(sides, whose, name, seeds):
    return [sides[whose][seed][name] for seed in seeds]


def compact(places):
    """A table a task: accuracy with its interval, macro and weighted F1."""
    runs = {}
    for (_, _, model), sides in places.items():
        runs.setdefault(model, []).append(len(seeds_of(sides)))
    said = [f"{model} {'' if min(n) == max(n) else f'{min(n)} to '}{max(n)}" for model, n in runs.items()]
    print("Seeds a cell: " + ", ".join(said) + ".\n")
    for task, title in TITLES.items():
        there = [name for name in REPRESENTATIONS if any(p[:2] == (task, name) for p in places)]
        if not there:
            continue
        print(f"| {title} | | " + " | ".join(f"`{name}`" for name in there) + " |")
        print("|---|---|" + "---|" * len(there))
        for model in PASSES:
            for whose in ("ours", "peer"):
                row = []
                for name in there:
                    sides = places.get((task, name, model))
                    seeds = seeds_of(sides) if sides else []
                    if not seeds or not sides[whose]:
                        row.append("")
                        continue
                    scores = [shown(values(sides, whose, "accuracy", seeds))]
                    for average in ("macro", "weighted"):
                        scores.append(f"{statistics.fmean(values(sides, whose, average, seeds)):.3f}")
                    word = verdict(differences(sides, seeds)) if sides["peer"] else ""
                    mark = {"ours better": " ▲", "theirs better": " ▼"}.get(word, "")
                    row.append(", ".join(scores) + (mark if whose == "ours" else ""))
                if any(row):
                    print(f"| {model if whose == 'ours' else ''} | {WHOSE[whose]} | " + " | ".join(row) + " |")
        print()


def table(places):
    """A line a cell."""
    print("| task | | model | accuracy: ours | theirs | ours less theirs | | F1 macro: ours | theirs "
          "| weighted: ours | theirs | seeds |")
    print("|---|---|---|---|---|---:|---|---:|---:|---:|---:|---:|")
    for place in sorted(places, key=order):
        sides = places[place]
        seeds = seeds_of(sides)
        if not seeds:
            continue
        task, representation, model = place
        row = [TITLES[task], f"`{representation}`", model, shown(values(sides, "ours", "accuracy", seeds))]
        if sides["peer"]:
            apart = differences(sides, seeds)
            row += [shown(values(sides, "peer", "accuracy", seeds)), shown(apart, "+"), verdict(apart)]
        else:
            row += ["", "", ""]
        for name in ("macro", "weighted"):
            for whose in ("ours", "peer"):
                some = values(sides, whose, name, seeds) if sides[whose] else []
                row.append(f"{statistics.fmean(some):.3f}" if some else "")
        print("| " + " | ".join([*row, str(len(seeds))]) + " |")
    print()


def order(place):
    task, representation, model = place
    return list(TASKS).index(task), list(REPRESENTATIONS).index(representation), list(PASSES).index(model)


def differences(sides, seeds):
    pairs = zip(values(sides, "ours", "accuracy", seeds), values(sides, "peer", "accuracy", seeds))
    return [ours - theirs for ours, theirs in pairs]


def summary(places):
    """By model, over all tasks and representations: the mean of each seed is one value."""
    print("| model | ours less theirs, all cells | | whole seeds | cells even | ours better | theirs better |")
    print("|---|---:|---|---:|---:|---:|---:|")
    for model in PASSES:
        some = {place: sides for place, sides in places.items()
                if place[2] == model and sides["ours"] and sides["peer"]}
        if not some:
            continue
        verdicts, by_seed = [], {}
        for sides in some.values():
            seeds = seeds_of(sides)
            apart = differences(sides, seeds)
            verdicts.append(verdict(apart) if apart else "one run")
            for seed, value in zip(seeds, apart):
                by_seed.setdefault(seed, []).append(value)
        # Seeds that have not seen every cell yet would weigh other cells.
        whole = [statistics.fmean(v) for v in by_seed.values() if len(v) == len(some)]
        if not whole:
            continue
        counts = [verdicts.count(word) for word in ("even", "ours better", "theirs better")]
        cells = [shown(whole, "+"), verdict(whole), *map(str, [len(whole), *counts])]
        print(f"| {model} | " + " | ".join(cells) + " |")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    runs = commands.add_parser("run", help="run what is missing")
    runs.set_defaults(do=run)
    runs.add_argument("--ours", required=True, help="the built example `train`")
    runs.add_argument("--data", required=True, help="the folder that holds `6class`")
    runs.add_argument("--out", required=True, help="file of results, one JSON object a line")
    runs.add_argument("--tasks", default=",".join(TASKS))
    runs.add_argument("--representations", default=",".join(REPRESENTATIONS))
    runs.add_argument("--models", help="some of " + ",".join(PASSES))
    runs.add_argument("--passes", nargs="*", default=[], metavar="MODEL=PASSES")
    runs.add_argument("--most", type=int, help="samples a class at most, 0 for all")
    runs.add_argument("--batch", type=int, default=64)
    runs.add_argument("--seeds", type=int, default=5)
    shows = commands.add_parser("markdown", help="print the tables")
    shows.set_defaults(do=markdown)
    shows.add_argument("--into", metavar="PAGE", help="a Markdown page that has the marks")
    shows.add_argument("--compact", action="store_true", help="a table a task")
    shows.add_argument("file")
    options = parser.parse_args()
    try:
        options.do(options)
    except KeyboardInterrupt:
        sys.exit("broken off; the same command goes on")


if __name__ == "__main__":
    main()
