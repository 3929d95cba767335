"""Print how much of real lines each shipper reads right: the tables of `docs/how-to/keep-your-shipper.md`.

    PYTHONPATH=. .venv/bin/python -m tests.servers.shipper_coverage CORPUS

CORPUS is the folder of reference captures, with `truth.jsonl`: public lines that a person read one by one. The packs were written
with those lines and the captures of `tests/data` at hand; the captures of the last table were not looked at before. Programs
that are not here (`make servers-all`) are left out.
"""

import gzip
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.corpus.test_truth import differences
from tests.evidence import DATA
from tests.servers.shippers import SHIPPERS, Place, Record, Shipper
from tests.shipped import answers, level, our_reading

from kata_audit.schema.source import Transport

FIELDS = ("message", "level", "timestamp", "pid", "sandbox", "container")
CAPTURES = ("go-info.journal.json.gz", "go-debug.journal.json.gz", "rs-info.journal.json.gz")
NAMES = {"message": "kata_message", "level": "kata_level", "sandbox": "kata_sandbox"}


UNSEEN = (
    ("go-debug2/journal.json.gz", Place.JOURNAL, Transport.JOURNAL_JSON, 4),
    ("rs-qemu-debug/journal.json.gz", Place.JOURNAL, Transport.JOURNAL_JSON, 1),
    ("rs-remote-info/journal.json.gz", Place.JOURNAL, Transport.JOURNAL_JSON, 4),
    ("rs-hypervisors-info/journal.json.gz", Place.JOURNAL, Transport.JOURNAL_JSON, 1),
    ("k8s-kata-debug/containerd.log.gz", Place.HOST, Transport.HOST_FILE, 4),
    ("k8s-kata-debug/kubelet.log.gz", Place.HOST, Transport.HOST_FILE, 1),
    ("guest-vm-debug/console.log.gz", Place.CONSOLE, Transport.CONSOLE, 1),
    ("guest-agent-debug/agent.jsonl.gz", Place.CONSOLE, Transport.CONSOLE, 1),
)
"""Captures of the corpus, where their lines stand, how we read them, and which of the lines are taken: every first, every fourth."""


def by_place(shipper: Shipper, lines: Sequence[tuple[Place, str]]) -> list[Record]:
    """Run lines through a shipper, each where it would stand, and give its records in their order."""
    found: dict[int, Record] = {}
    for place in dict.fromkeys(place for place, _ in lines):
        at = [i for i, (where, _) in enumerate(lines) if where is place]
        with tempfile.TemporaryDirectory() as folder:
            records = shipper.run(Path(folder), place, [lines[i][1].encode() for i in at])
        found.update(zip(at, records, strict=True))
    return [found[i] for i in range(len(lines))]


def place_of(line: str) -> Place:
    """Say where a public line would stand: with the kubelet's prefix in a pod's file, else in a file of the host's."""
    return Place.POD if any(f" {stream} F " in line for stream in ("stdout", "stderr")) else Place.HOST


def print_table(title: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table in Markdown."""
    for cells in (title, ["---"] * len(title), *rows):
        print(f"| {' | '.join(cells)} |")
    print()


def truth_table(truth: Sequence[Mapping[str, Any]]) -> None:
    """Count fields that are right, of those that a person found in the lines."""
    of = Counter(name for one in truth for name in answers({}, one["expect"]))
    rows = []
    for shipper in (one for one in SHIPPERS if one.is_here()):
        records = by_place(shipper, [(place_of(one["line"]), one["line"]) for one in truth])
        right: Counter[str] = Counter()
        for record, one in zip(records, truth, strict=True):
            right.update(name for name, holds in answers(record, one["expect"]).items() if holds)
        rows.append([shipper.name, *(f"{right[name]}/{of[name]}" for name in FIELDS)])
    wrong = Counter(name for one in truth for name in differences(one["line"], one["expect"]))
    rows.append(["kata-audit", *(f"{of[name] - wrong[name]}/{of[name]}" for name in FIELDS)])
    print_table(["", *FIELDS], rows)


def compared(shipper: Shipper, data: bytes, place: Place, transport: Transport) -> tuple[Counter[str], Counter[str]]:
    """Count the fields of a shipper that are as we read them, and all that we find. What was masked is left out."""
    right: Counter[str] = Counter()
    of: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        records = shipper.run(Path(folder), place, data.splitlines())
    for record, our in zip(records, our_reading(data, transport), strict=True):
        for field, key in NAMES.items():
            theirs, ours = (level(one.get(key)) if field == "level" else one.get(key) or "" for one in (record, our))
            if ours and "*masked*" not in str(theirs):
                of[field] += 1
                right[field] += theirs == ours
    return right, of


def capture_table() -> None:
    """Count over entries of our own captures."""
    rows = []
    for shipper in (one for one in SHIPPERS if one.is_here()):
        right: Counter[str] = Counter()
        of: Counter[str] = Counter()
        for name in CAPTURES:
            data = gzip.decompress((DATA / "captures" / name).read_bytes())
            found = compared(shipper, data, Place.JOURNAL, Transport.JOURNAL_JSON)
            right, of = right + found[0], of + found[1]
        rows.append([shipper.name, *(f"{right[name]}/{of[name]}" for name in NAMES)])
    print_table(["", *NAMES], rows)


def unseen_table(captures: Path) -> None:
    """Count messages over captures that the packs were not written with."""
    here = [one for one in SHIPPERS if one.is_here()]
    rows = []
    for name, place, transport, step in UNSEEN:
        lines = [line for line in gzip.decompress((captures / name).read_bytes()).split(b"\n") if line][::step]
        data = b"".join(line + b"\n" for line in lines)
        found = [compared(shipper, data, place, transport) for shipper in here]
        rows.append([f"`{name.partition('.')[0]}`", *(f"{right['message']}/{of['message']}" for right, of in found)])
    print_table(["", *(one.name for one in here)], rows)


def main(corpus: Path) -> None:
    """Print the tables."""
    truth_table([json.loads(line) for line in (corpus / "truth.jsonl").read_text().splitlines()])
    capture_table()
    unseen_table(corpus / "captures")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
