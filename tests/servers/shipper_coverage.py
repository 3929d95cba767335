"""Print how much of real lines each shipper reads right: the tables of `docs/how-to/keep-your-shipper.md`.

    PYTHONPATH=. .venv/bin/python -m tests.servers.shipper_coverage CORPUS

CORPUS is the folder of reference captures, with `truth.jsonl`: public lines that a person read one by one. Programs that are
not here (`make servers-all`) are left out.
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


def capture_table() -> None:
    """Count fields that are as we read them, of those that we find in entries of our own captures."""
    rows = []
    for shipper in (one for one in SHIPPERS if one.is_here()):
        right: Counter[str] = Counter()
        of: Counter[str] = Counter()
        for name in CAPTURES:
            data = gzip.decompress((DATA / "captures" / name).read_bytes())
            records = by_place(shipper, [(Place.JOURNAL, line) for line in data.decode().splitlines()])
            for record, our in zip(records, our_reading(data, Transport.JOURNAL_JSON), strict=True):
                for field, key in NAMES.items():
                    theirs, ours = (level(one.get(key)) if field == "level" else one.get(key) or "" for one in (record, our))
                    if ours and "*masked*" not in str(theirs):
                        of[field] += 1
                        right[field] += theirs == ours
        rows.append([shipper.name, *(f"{right[name]}/{of[name]}" for name in NAMES)])
    print_table(["", *NAMES], rows)


def main(corpus: Path) -> None:
    """Print both tables."""
    truth_table([json.loads(line) for line in (corpus / "truth.jsonl").read_text().splitlines()])
    capture_table()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
