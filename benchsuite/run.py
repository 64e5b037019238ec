#!/usr/bin/env python3
"""Speed and memory of ottoscope beside other tools, on the same captures and the same core.

Tools take turns, repetition by repetition, so that a busy minute hits all of them; the table
shows medians and ratios, since on a shared machine only ratios within one run mean anything.
Needs nothing but Python's standard library; tools that are missing are named and left out.
"""

import argparse
import collections
import csv
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CORPUS = Path(os.environ.get("OTTOSCOPE_CORPUS", ROOT.parent / "shared"))

# workload: the generator's word and the file that it writes
WORKLOADS = {
    "mix": ("mix", "mix-1g.pcap"),
    "many-flows": ("many", "many-flows.pcap"),
    "elephants": ("elephants", "elephants.pcap"),
    "gtp": ("gtp", "gtp.pcap"),
}

BASE = "ndpiReader"  # what ratios are taken against
Tool = collections.namedtuple("Tool", "name about command flows")


def tools(args, capture, scratch):
    """Every tool's command line, ours first. `flows` finds its own count in what it prints."""
    ours, study, gtp = str(args.bin), scratch / "study", capture.name.startswith("gtp")
    ndpi_flows = r"Unique flows:\s+(\d+)"
    run = [ours, "run", str(capture), "-o", str(study), "--workers"]
    found = [
        Tool("ottoscope", "flows, names, messages, tables, labels; one worker",
             [*run, "1", "--no-report"], None),
        Tool("ottoscope-core", "the same on one core: what two workers are held against",
             ["taskset", "-c", "0", *run, "1", "--no-report"], None),
        Tool("ottoscope-2", "the same with two workers", [*run, "2", "--no-report"], None),
        Tool("ottoscope-flows", "flows by counters, TCP states, round trips; nothing written",
             [*run, "1", "--flows-only"], r"FLOWS=(\d+)"),
        Tool("limit-read", "a bare loop over the records (the limit)",
             [args.limit, str(capture), "iter"], None),
        Tool("limit-flows", "a bare flow table with counters",
             [args.limit, str(capture), "stats-batch"], r"flows (\d+)"),
        Tool("ndpiReader", "nDPI: flows, protocols, names; prints a summary",
             ["ndpiReader", "-i", str(capture), *(["-t"] if gtp else [])], ndpi_flows),
        Tool("ndpiReader-csv", "the same, and a CSV row a flow",
             ["ndpiReader", "-i", str(capture), "-q", "-C", str(scratch / "ndpi.csv"),
              *(["-t"] if gtp else [])], None),
        Tool("softflowd", "flows by counters only, exported by UDP",
             ["softflowd", "-r", str(capture), "-m", "4000000", "-d", "-n", "127.0.0.1:9995"],
             r"(?m)^Flows expired: (\d+)"),
        Tool("tcpdump", "copies the records",
             ["tcpdump", "-Z", "root", "-r", str(capture), "-w", "/dev/null"], None),
        Tool("nfstream", "nDPI by Python: flows, protocols, statistics",
             [args.python, "-c", NFSTREAM, str(capture)], r"flows (\d+)"),
        Tool("tshark-conv", "Wireshark's TCP conversations",
             ["tshark", "-n", "-q", "-z", "conv,tcp", "-r", str(capture)], None),
        Tool("tshark-fields", "Wireshark: a row a packet with names",
             ["tshark", "-n", "-r", str(capture), "-T", "fields", "-e", "ip.src", "-e", "ip.dst",
              "-e", "_ws.col.Protocol", "-e", "tls.handshake.extensions_server_name",
              "-e", "dns.qry.name"], None),
    ]
    return [tool for tool in found if re.search(args.only, tool.name)]


NFSTREAM = """
import sys
from nfstream import NFStreamer
if __name__ == '__main__':
    print('flows', sum(1 for _ in NFStreamer(sys.argv[1], statistical_analysis=True, n_meters=1)))
"""


def present(tool, args):
    if tool.name == "nfstream":
        check = [args.python, "-c", "import nfstream"]
        return subprocess.run(check, capture_output=True, check=False).returncode == 0
    return shutil.which(tool.command[0]) is not None


def measure(tool, scratch, limit):
    """Runs it once: wall and CPU seconds, peak memory in MB, its own count of flows."""
    shutil.rmtree(scratch / "study", ignore_errors=True)
    environment = dict(os.environ, RUST_BACKTRACE="0", IO="rd256")
    with tempfile.TemporaryFile() as out:
        before = time.monotonic()
        child = subprocess.Popen(tool.command, stdout=out, stderr=subprocess.STDOUT,
                                 stdin=subprocess.DEVNULL, cwd=scratch, env=environment)
        timed_out = False
        while True:
            pid, status, usage = os.wait4(child.pid, os.WNOHANG)
            if pid:
                break
            if time.monotonic() - before > limit:
                child.kill()
                timed_out = True
            time.sleep(0.005)
        wall = time.monotonic() - before
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        text = out.read().decode(errors="replace")
    if timed_out or child.returncode:
        last = (text.strip().splitlines() or ["no output"])[-1][:120]
        why = f"longer than {limit} s" if timed_out else f"exit {child.returncode}: {last}"
        raise RuntimeError(why)
    found = re.findall(tool.flows, text) if tool.flows else []
    return {
        "wall_s": wall,
        "cpu_s": max(usage.ru_utime + usage.ru_stime, 0.001),
        "peak_mb": usage.ru_maxrss / 1024,
        "flows": int(found[-1]) if found else 0,
    }


def our_flows(binary, study):
    """How many rows our own flows table has."""
    ask = [str(binary), "query", "-s", str(study), "--format", "csv", "select count(*) from flows"]
    answer = subprocess.run(ask, capture_output=True, text=True, check=False)
    return int(answer.stdout.split()[-1]) if answer.returncode == 0 else 0


def prepare(args, wanted):
    """Makes the workloads that are not there yet, from the corpus and its generator."""
    missing = [w for w in wanted if not (args.work / WORKLOADS[w][1]).exists()]
    if "gtp" in missing and not (args.work / WORKLOADS["mix"][1]).exists():
        missing.append("mix")  # gtp wraps it
    if missing:
        source = CORPUS / "bench" / "gen.rs"
        if not source.exists():
            sys.exit(f"no generator at {source}: set OTTOSCOPE_CORPUS, or put "
                     f"{', '.join(WORKLOADS[w][1] for w in missing)} into {args.work}")
        args.work.mkdir(parents=True, exist_ok=True)
        flags = ["-C", "opt-level=3", "-C", "target-cpu=x86-64-v2"]
        subprocess.run(["rustc", *flags, "-o", args.work / "gen", source], check=True)
        words = sorted({WORKLOADS[w][0] for w in missing})
        seed = "1"
        subprocess.run([args.work / "gen", CORPUS / "captures" / "ndpi", args.work, seed, *words],
                       check=True)
    source, built = CORPUS / "bench" / "limit", args.work / "limit"
    args.limit = str(built / "target" / "release" / "proto")
    if source.exists() and not Path(args.limit).exists():
        shutil.copytree(source, built, dirs_exist_ok=True)
        subprocess.run(["chmod", "-R", "u+w", built], check=True)
        build = subprocess.run(["cargo", "build", "--release", "--quiet"], cwd=built, check=False,
                               env={**os.environ, "CARGO_TARGET_DIR": str(built / "target")})
        if build.returncode:
            print("the limit program does not build: left out", file=sys.stderr)


def packets_of(capture):
    """Packets by the record headers of a little-endian pcap, as the generator writes them."""
    count, at, size = 0, 24, capture.stat().st_size
    with open(capture, "rb", buffering=1 << 20) as file:
        file.seek(24)
        while at + 16 <= size:
            length = int.from_bytes(file.read(16)[8:12], "little")
            file.seek(length, os.SEEK_CUR)
            at += 16 + length
            count += 1
    return count


def bench(args, workload):
    capture = args.work / WORKLOADS[workload][1]
    rows, failed = collections.defaultdict(list), {}
    with tempfile.TemporaryDirectory(dir=args.work, prefix="run-") as folder:
        scratch = Path(folder)
        there = []
        for tool in tools(args, capture, scratch):
            if present(tool, args):
                there.append(tool)
            else:
                print(f"{tool.name} is not installed: left out", file=sys.stderr)
        packets = packets_of(capture)  # and warms the page cache
        for repetition in range(args.reps):
            for tool in there:
                if tool.name in failed:
                    continue
                try:
                    row = measure(tool, scratch, args.limit_s)
                except RuntimeError as error:
                    failed[tool.name] = str(error)
                    continue
                if (scratch / "study" / "tables").exists():
                    row["flows"] = our_flows(args.bin, scratch / "study")
                rows[tool.name].append({"workload": workload, "tool": tool.name,
                                        "repetition": repetition, "packets": packets, **row})
                print(f"{workload} {tool.name} {row['cpu_s']:.2f} s", file=sys.stderr)
    return there, rows, failed


def table(workload, there, rows, failed):
    """A Markdown table of medians."""
    middle = {name: {key: statistics.median(r[key] for r in runs)
                     for key in ("cpu_s", "wall_s", "peak_mb", "flows", "packets")}
              for name, runs in rows.items()}
    base = middle.get(BASE)
    any_run = next(iter(rows.values()), [{"packets": 0}])
    lines = [f"### {workload}: {any_run[0]['packets']:,} packets", "",
             "| tool | CPU s | wall s | million packets per CPU s | times ndpiReader | "
             "peak MB | flows | bytes a flow | does |",
             "|---|---:|---:|---:|---:|---:|---:|---:|---|"]
    for tool in there:
        if tool.name in failed:
            lines.append(f"| {tool.name} | failed: {failed[tool.name]} |||||||{tool.about} |")
            continue
        m = middle[tool.name]
        ratio = f"{base['cpu_s'] / m['cpu_s']:.2f}" if base else "-"
        flows = f"{m['flows']:,.0f}" if m["flows"] else "-"
        per_flow = f"{m['peak_mb'] * 1048576 / m['flows']:,.0f}" if m["flows"] else "-"
        lines.append(f"| {tool.name} | {m['cpu_s']:.2f} | {m['wall_s']:.2f} | "
                     f"{m['packets'] / m['cpu_s'] / 1e6:.3g} | {ratio} | {m['peak_mb']:,.0f} | "
                     f"{flows} | {per_flow} | {tool.about} |")
    return "\n".join(lines) + "\n"


def machine():
    model = "unknown processor"
    if Path("/proc/cpuinfo").exists():
        names = re.findall(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
        model = names[0] if names else model
    return f"{os.cpu_count()} x {model}, {platform.system()} {platform.machine()}"


def version(command):
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    lines = (answer.stdout + answer.stderr).strip().splitlines()
    return lines[0] if lines else None


def versions(args):
    commit = version(["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"])
    asked = [[str(args.bin), "--version"], ["ndpiReader", "-v"], ["tshark", "--version"],
             ["tcpdump", "--version"]]
    found = [version(command) for command in asked]
    return [f"commit {commit}", *[v for v in found if v]]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    work = Path(tempfile.gettempdir()) / "ottoscope-bench"
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    parser.add_argument("--work", type=Path, default=work, help=f"workloads ({work})")
    parser.add_argument("--bin", type=Path, default=target / "release" / "ottoscope")
    parser.add_argument("--reps", type=int, default=3)
    parser.add_argument("--only", default=".", help="regular expression over tools' names")
    parser.add_argument("--workloads", default=",".join(WORKLOADS))
    parser.add_argument("--python", default=sys.executable, help="one that has nfstream")
    parser.add_argument("--limit-s", type=float, default=600, help="longest single run")
    parser.add_argument("--save", metavar="NAME", help="keep under benchsuite/runs/DATE-NAME")
    args = parser.parse_args()
    args.work, args.bin = args.work.resolve(), args.bin.resolve()
    wanted = args.workloads.split(",")
    if unknown := [w for w in wanted if w not in WORKLOADS]:
        sys.exit(f"no workload {unknown[0]}; there are {', '.join(WORKLOADS)}")
    prepare(args, wanted)
    raw, pages = [], []
    for workload in wanted:
        there, rows, failed = bench(args, workload)
        raw += [row for runs in rows.values() for row in runs]
        pages.append(table(workload, there, rows, failed))
        print(pages[-1])
    if args.save:
        date = time.strftime("%Y-%m-%d", time.gmtime())
        folder = ROOT / "benchsuite" / "runs" / f"{date}-{args.save}"
        folder.mkdir(parents=True, exist_ok=True)
        with open(folder / "raw.csv", "w", newline="") as file:
            writer = csv.DictWriter(file, list(raw[0]), lineterminator="\n")
            writer.writeheader()
            for row in raw:
                writer.writerow({k: round(v, 3) if isinstance(v, float) else v
                                 for k, v in row.items()})
        about = "\n".join(f"- {line}" for line in [machine(), *versions(args)])
        head = f"# Run of {date}\n\n{about}\n- medians of {args.reps}, tools taking turns\n\n"
        (folder / "README.md").write_text(head + "\n".join(pages))
        print(f"kept in {folder.relative_to(ROOT)}", file=sys.stderr)


if __name__ == "__main__":
    main()
