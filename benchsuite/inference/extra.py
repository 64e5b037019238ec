#!/usr/bin/env python3
"""Extracts protocols beside the bench's own, to train with: `table.py --extra` does it where needed.

    extra.py --out DIR [PROTOCOL ...]

Needs tshark and OTTOSCOPE_CORPUS, a folder with `captures/` and the bench's `pinfer`. Every capture
is asked once which protocols it holds (the answers stay in DIR.index, one JSON object a line); of
each protocol the captures with most of its packets are read, and DIR/PROTOCOL/messages.jsonl and
truth.json written in the bench's form. Captures of `captures/other/parser-*` are left out, since
they are made to break readers. The first reading of 3,000 captures takes half an hour, the rest a
few minutes.
"""
import argparse
import collections
import concurrent.futures
import json
import os
import re
import subprocess
import sys

# What tshark calls them. Left out are texts, protocols with a single field, and those that are in
# the bench under another name.
PROTOCOLS = """
    afs ah ams arp bjnp browser bvlc c1222 cdp ceph cflow chdlc classicstun collectd cotp dcerpc dhcpv6
    diameter doip drda erspan esio esp eth geneve giop gre h225 h245 hsrp icmp icmpv6 icq igmp ip ipv6 ipx
    isis kafka lcp ldap ldp lisp llc lldp llmnr lnet lustre m3ua mailslot mpls mqtt mysql nat-pmp nbdgm nbss
    netbios ntp null openflow_v6 openwire ospf pfcp pgm pgsql pim ppp pppoes pptp pres ptp q931 radiotap rdp
    rdpudp ripng rtmpt rtps sbus sccp sctp ses sflow sip sll smb smpp socks ssh stp t125 tcap tcp tds
    telnet teredo thrift tpkt udp vlan vrrp websocket wlan x11
""".split()
# Protocols whose fields tshark names after others.
NAMED = {
    "nbss": ["nbss", "smb"], "tpkt": ["tpkt", "cotp"], "bvlc": ["bvlc", "bacnet", "bacapp"],
}
# Fewest packets, most messages, and from how many captures: several, so that no one device decides.
FEW, MOST, CAPTURES = 8, 500, 7


def captures(corpus, work):
    """Every capture of the corpus; the archive of other projects' test captures is unpacked in `work`."""
    folders = [os.path.join(corpus, "captures", "ndpi"), os.path.join(corpus, "captures", "other")]
    archive = os.path.join(corpus, "captures", "robustness-corpus.tar.xz")
    if os.path.exists(archive):
        unpacked = os.path.join(work, "robustness")
        if not os.path.isdir(unpacked):
            os.makedirs(unpacked + ".part", exist_ok=True)
            subprocess.run(["tar", "xf", archive, "-C", unpacked + ".part"], check=True)
            os.rename(unpacked + ".part", unpacked)
        folders.append(unpacked)
    for folder in folders:
        for at, below, files in os.walk(folder):
            below[:] = sorted(name for name in below if not name.startswith("parser-"))
            for name in sorted(files):
                if not name.endswith((".md", ".txt", ".tsv")):
                    yield os.path.join(at, name)


def packets(capture):
    """Packets of each protocol in a capture, as far as tshark reads it in 20 seconds."""
    command = ["tshark", "-n", "-r", capture, "-q", "-z", "io,phs"]
    try:
        told = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=20).stdout
    except subprocess.TimeoutExpired:
        return {}
    counts = collections.Counter()
    for name, count in re.findall(r"^\s*([\w.\-]+)\s+frames:(\d+)", told, re.M):
        counts[name] = max(counts[name], int(count))
    return counts


def index(corpus, out):
    """By protocol: captures that hold it with how many packets."""
    path = out + ".index"
    known = {}
    if os.path.exists(path):
        with open(path) as lines:
            known = {line["capture"]: line["packets"] for line in map(json.loads, lines)}
    wanted = list(captures(corpus, os.path.dirname(os.path.abspath(out))))
    with open(path, "a") as file, concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        new = [capture for capture in wanted if capture not in known]
        for number, (capture, counts) in enumerate(zip(new, pool.map(packets, new)), 1):
            known[capture] = counts
            file.write(json.dumps({"capture": capture, "packets": counts}) + "\n")
            if number % 100 == 0:
                print(f"{number} of {len(new)} captures asked", file=sys.stderr, flush=True)
    held = collections.defaultdict(list)
    for capture in wanted:
        for name, count in known[capture].items():
            held[name].append((count, capture))
    return held


def main():
    args = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    args.add_argument("--out", required=True)
    args.add_argument("only", nargs="*", metavar="PROTOCOL")
    args = args.parse_args()
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    corpus = os.path.abspath(os.environ.get("OTTOSCOPE_CORPUS", os.path.join(root, "..", "shared")))
    bench = os.path.join(corpus, "bench", "inference")
    if not os.path.isdir(os.path.join(bench, "pinfer")):
        sys.exit(f"no bench in {bench}: set OTTOSCOPE_CORPUS")
    sys.path.insert(0, bench)
    from pinfer import extract, protocols

    # The bench names a capture by a root and a path below it.
    protocols.ROOTS["/"] = "/"
    held = index(corpus, args.out)
    for name in args.only or PROTOCOLS:
        sources = sorted(held[name], reverse=True)
        if sum(count for count, _ in sources) < FEW or os.path.exists(os.path.join(args.out, name)):
            continue
        sources = [capture for _, capture in sources[:CAPTURES]]
        protocols.P[name] = dict(
            name=name, sources=["/:" + capture for capture in sources], filter=f"{name} && !_ws.malformed", top=[name],
            protos=NAMED.get(name, [name]), sem=[], per_file=max(20, min(150, MOST // len(sources))), first_top_only=True,
        )
        try:
            extract.build(name, args.out, MOST, verbose=False)
        except (KeyError, ValueError, IndexError) as wrong:
            print(f"{name} is left out: {wrong!r}", file=sys.stderr)


if __name__ == "__main__":
    main()
