"""A scripted Kata node: real lives of sandboxes, told again with new names, as a journal of any length with the truth beside it.

    python tests/simulator.py --records 10000000 --out journal.json.zst --truth truth.jsonl --seed 7

The templates come from captures (`tests/data/simulator/PROVENANCE.md`). Many sandboxes live at once and their entries
interleave by time, as on a node. The same seed gives the same bytes; memory does not grow with the number of records.
"""

import argparse
import gzip
import json
import random
import sys
from bisect import bisect_left
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from operator import itemgetter
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

import pyarrow as pa

if __package__ is None or __package__ == "":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.simulated_life import Life, Sandbox, compile_life
from tests.simulated_times import ORDINAL, NodeValues

TEMPLATES = Path(__file__).parent / "data" / "simulator"
_STARTS_US = 1_796_000_000_000_000
_WINDOW_US = 2_000_000
_BLOCK = 4096


class Truth(NamedTuple):
    """Whose a record is: its ordinal, the sandbox it belongs to, and the one container that it names.

    A sandbox without an id stands for the node's own lines. `container_id` is None where a record names none or several;
    the pause container, whose id is the sandbox's, does not count.
    """

    ordinal: int
    sandbox: Sandbox
    container_id: str | None


class Block(NamedTuple):
    """Consecutive records: their bytes with line ends, and for each whose it is."""

    first: int
    lines: list[bytes]
    owners: list[tuple[Sandbox, str | None]]
    born: list[Sandbox]
    """Sandboxes whose first record is in this block or a later one, in the order of their start."""


class ContainerLog(NamedTuple):
    """One container's log file as the kubelet keeps it: path below `/var/log/pods` and CRI lines."""

    path: str
    data: bytes
    sandbox: Sandbox
    container_id: str


class _Living(NamedTuple):
    """A life under way: when each of its entries is written, the entries, and how far it is."""

    times: list[int]
    entries: list[tuple[int, int, bytes, tuple[Sandbox, str | None]]]


@cache
def lives(form: str, *, long_fields: bool) -> tuple[Life, ...]:
    """Compile all templates, once a process."""
    found = []
    for path in sorted(TEMPLATES.glob("*-*.jsonl.gz")):
        if path.name.startswith("container-logs"):
            continue
        lines = gzip.decompress(path.read_bytes()).splitlines()
        while lines:
            header = json.loads(lines[0])
            count = header["entries"]
            found.append(compile_life(header, lines[1 : count + 1], form=form, long_fields=long_fields))
            lines = lines[count + 1 :]
    return tuple(found)


class Node:
    """One simulated node.

    Args:
        seed: The same seed gives the same bytes.
        name: The node's host name.
        births_per_second: How many sandboxes start in a simulated second.
        mean_pause_secs: How long a sandbox sits idle in the middle of its life, on average.
        long_fields: Whether fields over 4,096 bytes are written, as with `journalctl --all`, or are null.
        starts_us: When the journal begins, in microseconds since 1970.

    Example:
        >>> len(list(Node(7).journal_json(records=3)))
        3
    """

    def __init__(
        self,
        seed: int,
        *,
        name: str = "worker-7",
        births_per_second: float = 3.0,
        mean_pause_secs: float = 15.0,
        long_fields: bool = True,
        starts_us: int = _STARTS_US,
    ) -> None:
        self.seed = seed
        rng = random.Random(f"node/{seed}")
        texts = {kind: rng.randbytes(16).hex().encode() for kind in ("boot", "machine", "stream")}
        texts |= {"host": name.encode(), "daemon": b"812"}
        self._values = NodeValues(texts, rng.randbytes(16).hex().encode(), starts_us - rng.randrange(10**13))
        self._starts_us = starts_us
        self._rate = births_per_second
        self._pause = mean_pause_secs
        self._long_fields = long_fields

    def journal_json(self, records: int) -> Iterator[bytes]:
        """Write the journal as `journalctl -o json` does, one line a record."""
        for block in self.blocks(records):
            yield from block.lines

    def journal_export(self, records: int) -> Iterator[bytes]:
        """Write the journal as `journalctl -o export` does, one block of fields a record."""
        for block in self.blocks(records, form="export"):
            yield from block.lines

    def truth(self, records: int) -> Iterator[Truth]:
        """Tell whose each record is, in the order of the journal in any form."""
        for block in self.blocks(records):
            for ordinal, owner in enumerate(block.owners, block.first):
                yield Truth(ordinal, *owner)

    def sandboxes(self, records: int) -> Iterator[Sandbox]:
        """Tell every sandbox that has a record among the first ones."""
        known = set()
        for block in self.blocks(records):
            for sandbox, _ in block.owners:
                if sandbox.number not in known and sandbox.sandbox_id is not None:
                    known.add(sandbox.number)
                    yield sandbox

    def container_logs(self, records: int) -> Iterator[ContainerLog]:
        """Write the logs of the containers of those sandboxes, with texts of real containers."""
        texts = _container_texts()
        for sandbox in self.sandboxes(records):
            rng = random.Random(f"log/{self.seed}/{sandbox.number}")
            for number, (container_id, name) in enumerate(sandbox.containers.items()):
                folder = f"{sandbox.k8s_namespace}_{sandbox.k8s_pod}_{sandbox.k8s_pod_uid}"
                data = _cri_lines(rng.choice(texts), _STARTS_US * 1000 + rng.randrange(10**12), rng)
                yield ContainerLog(f"{folder}/{name}/{number}.log", data, sandbox, container_id)

    def blocks(self, records: int, *, form: str = "json") -> Iterator[Block]:
        """Write the journal in blocks, each with its truth: the fastest way.

        Args:
            records: How many, exactly.
            form: `json` or `export`.
        """
        templates = lives(form, long_fields=self._long_fields)
        rng = random.Random(f"births/{self.seed}")
        living: list[_Living] = []
        first, number, window_us = 0, 0, self._starts_us
        birth_us = float(self._starts_us)
        while first < records:
            born = []
            window_us += _WINDOW_US
            while birth_us < window_us:
                begun = self._begin(templates[rng.randrange(len(templates))], number, int(birth_us))
                living.append(begun)
                born.append(begun.entries[0][3][0])
                birth_us += rng.expovariate(self._rate) * 1_000_000
                number += 1
            due, living = _due(living, window_us)
            due = due[: records - first]
            for at in range(0, len(due), _BLOCK):
                part = due[at : at + _BLOCK]
                lines = [one[2].replace(ORDINAL, b"%x" % ordinal, 1) for ordinal, one in enumerate(part, first + 1)]
                yield Block(first, lines, [one[3] for one in part], born if at == 0 else [])
                first += len(part)

    def _begin(self, life: Life, number: int, start_us: int) -> _Living:
        """Write all entries of a new life."""
        rng = random.Random(f"life/{self.seed}/{number}")
        sandbox = life.sandbox(number, rng)
        pause_us = int(rng.expovariate(1 / self._pause) * 1_000_000)
        values = life.values(sandbox, self._values, start_us, pause_us, rng)
        owners: dict[int | None, tuple[Sandbox, str | None]] = {None: (sandbox, None)}
        owners |= {index: (sandbox, one) for index, one in enumerate(sandbox.containers)}
        times = [start_us + one.at_us + (pause_us if one.late else 0) for one in life.entries]
        entries = [
            (at, number, entry.render(values), owners[entry.container])
            for at, entry in zip(times, life.entries, strict=True)
        ]
        return _Living(times, entries)


_by_time: Callable[[tuple[int, int, bytes, tuple[Sandbox, str | None]]], tuple[int, int]] = itemgetter(0, 1)


def _due(
    living: list[_Living], until_us: int
) -> tuple[list[tuple[int, int, bytes, tuple[Sandbox, str | None]]], list[_Living]]:
    """Take every entry before a time from all lives, in order; an equal time keeps the order within a life."""
    due = []
    left = []
    for one in living:
        cut = bisect_left(one.times, until_us)
        due += one.entries[:cut]
        if cut < len(one.times):
            left.append(_Living(one.times[cut:], one.entries[cut:]) if cut else one)
    due.sort(key=_by_time)
    return due, left


@cache
def _container_texts() -> tuple[list[tuple[bytes, bytes]], ...]:
    """Read real containers' logs: for each file, stream and tag, and text of each line."""
    found = []
    for line in gzip.decompress((TEMPLATES / "container-logs.jsonl.gz").read_bytes()).splitlines():
        text = json.loads(line)["text"].encode("utf-8", "surrogateescape")
        rows = [row.split(b" ", 3) for row in text.splitlines()]
        found.append([(b" ".join(row[1:3]), row[3]) for row in rows if len(row) == 4])
    return tuple(one for one in found if one)


def _cri_lines(rows: list[tuple[bytes, bytes]], start_ns: int, rng: random.Random) -> bytes:
    """Write lines in the CRI log format with new times."""
    lines = []
    for head, text in rows:
        start_ns += rng.randrange(1_000_000, 2_000_000_000)
        moment = pa.scalar(start_ns // 1_000_000_000, pa.timestamp("s")).as_py().isoformat().encode()
        lines.append(b"%b.%09dZ %b %b\n" % (moment, start_ns % 1_000_000_000, head, text))
    return b"".join(lines)


def _open(stack: ExitStack, name: str) -> BinaryIO:
    """Open what is written to; the name's end tells the compression."""
    if name == "-":
        return sys.stdout.buffer
    if name.endswith((".gz", ".zst")):
        codec = "gzip" if name.endswith(".gz") else "zstd"
        return cast("BinaryIO", stack.enter_context(pa.CompressedOutputStream(name, codec)))
    return stack.enter_context(Path(name).open("wb"))


def _truth_tail(owner: tuple[Sandbox, str | None]) -> bytes:
    sandbox, container = owner
    parts = {
        "sandbox_id": sandbox.sandbox_id,
        "container_id": container,
        "k8s_namespace": sandbox.k8s_namespace,
        "k8s_pod": sandbox.k8s_pod,
        "k8s_pod_uid": sandbox.k8s_pod_uid,
    }
    return b"," + json.dumps(parts).encode()[1:] + b"\n"


def write(node: Node, records: int, *, form: str, out: BinaryIO, truth: BinaryIO | None) -> None:
    """Write a journal and its truth side by side."""
    tails: dict[tuple[int, str | None], bytes] = {}
    for block in node.blocks(records, form=form):
        out.write(b"".join(block.lines))
        if truth is None:
            continue
        if len(tails) > 100_000:
            tails.clear()
        rows = []
        for ordinal, owner in enumerate(block.owners, block.first):
            key = (owner[0].number, owner[1])
            tail = tails.get(key) or tails.setdefault(key, _truth_tail(owner))
            rows.append(b'{"ordinal":%d%b' % (ordinal, tail))
        truth.write(b"".join(rows))


def main(arguments: list[str] | None = None) -> None:
    """Write a journal, as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, required=True)
    parser.add_argument("--out", default="-", help="a file, .gz and .zst are compressed; - is stdout")
    parser.add_argument("--truth", help="a file of one JSON object a record; .gz and .zst are compressed")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--form", choices=("json", "export"), default="json")
    parser.add_argument(
        "--no-long-fields", action="store_true", help="null for fields over 4,096 bytes, as journalctl without --all"
    )
    options = parser.parse_args(arguments)
    node = Node(options.seed, long_fields=not options.no_long_fields)
    with ExitStack() as stack:
        truth = _open(stack, options.truth) if options.truth else None
        write(node, options.records, form=options.form, out=_open(stack, options.out), truth=truth)


if __name__ == "__main__":
    main()
