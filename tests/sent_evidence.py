"""A node's store with everything that a store can hold, what leaves of it as evidence, and what a central store makes of it."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq

from kata_audit.clock import ManualClock
from kata_audit.parse.mask import mask
from kata_audit.parse.split import Held, finish, split
from kata_audit.parse.waves import NAME_THERE
from kata_audit.pipeline.ingest import CutPolicy, Sealer, take
from kata_audit.pipeline.own import OwnRecords
from kata_audit.receivers.file import FileReceiver, Place
from kata_audit.schema.cursor import parse_cursor
from kata_audit.schema.exported import Exported
from kata_audit.schema.record import RECORD_SCHEMA
from kata_audit.schema.source import Chunk, Source, Transport
from kata_audit.store.writer import open_writer
from tests.evidence import DATA, OBSERVED_NS, derive
from tests.exports import source

KEY = bytes(range(32))
NODE = "lab/w1"
CAPTURES = DATA / "captures"
_TRANSPORTS = {
    "k8s-audit.log.gz": Transport.HOST_FILE,
    "k8s-audit.webhook.jsonl.gz": Transport.AUDIT_EVENTLIST,
    "k8s-kata.audit.log.gz": Transport.HOST_FILE,
    "k8s-kata.containerd.log.gz": Transport.HOST_FILE,
}
_SANDBOX = "ab" * 32
_OTHERS: tuple[tuple[str, Transport, str | None, str, bytes], ...] = (
    ("fifo", Transport.HOST_FILE, None, f"/run/vc/firecracker/{_SANDBOX}/root/logs.fifo", b"a hypervisor speaks\n"),
    (
        "agent",
        Transport.CONSOLE,
        None,
        f"/run/vc/vm/{_SANDBOX}/console.sock",
        b"\x1b[1m[    0.5] guest \xff\xfe\x00 bytes\n",
    ),
    ("file", Transport.HOST_FILE, "qemu", "/var/log/qemu.log", b"qemu-system-x86_64: warning: x\n\xc3\x28\n"),
    ("file", Transport.BARE, None, "/tmp/a b|c@d%.log", b"token=ghp_abcdefghijklmnopqrstuvwxyz0123456789 \xe2\x82\xac\n\n"),
    ("file", Transport.CRI, None, "/var/log/pods/shop_web-1_u/c/0.log", b"2026-11-23T06:07:28.9Z stdout P half \n"),
    ("file", Transport.HOST_FILE, None, "/var/log/long.log", b"x" * 700_000 + b"\n" + b"y" * 300_000 + b"\n"),
    ("forward", Transport.JOURNAL_JSON, None, "", b'{"MESSAGE":"by a shipper","SYSLOG_IDENTIFIER":"kubelet"}\n'),
)
"""What captures do not have: receivers, dialects, paths and bytes of other kinds, and lines in pieces."""


def node_store(root: Path, node: str = NODE) -> None:
    """Make a node's store of all captures, of frames of other kinds, and of what the collector says itself."""
    clock = ManualClock(OBSERVED_NS)
    with open_writer(root, clock=clock, node=node) as writer:
        sealer = Sealer(writer, CutPolicy(max_records=500), derive, clock, int)
        for path in sorted(CAPTURES.glob("*.gz")):
            with FileReceiver(
                str(path), Place(node, "default", _TRANSPORTS.get(path.name)), clock=clock, key=KEY
            ) as receiver:
                for _ in take(receiver, writer, sealer, key=KEY):
                    clock.advance(1_000_003)
        for number, (name, transport, dialect, path_there, data) in enumerate(_OTHERS):
            chunk = Chunk(Source(name, node, "default", transport, dialect), f"{quote(path_there)}?1-{number}", 0, data, 5)
            held, rows = split(Held(), chunk._replace(observed_ns=clock.now_ns()))
            together = pa.Table.from_batches([rows, finish(held, chunk)]).combine_chunks().to_batches()[0]
            masked = mask(together, KEY)[0]
            writer.append(masked)
            sealer.appended(masked)
        for kind in ("collect", "access", "finding"):
            own = OwnRecords(kind, node=node, tenant="default", clock=clock)
            own.say("collect.lost", "WARN", "Records were removed.", **{"log.records.lost": "12", "action": "lose-records"})
            said = own.rows()
            writer.append(said)
            sealer.appended(said)
        sealer.seal_all()


def evidence(root: Path) -> Iterator[Exported]:
    """Give what leaves of a store as evidence."""
    with source(root, words=None).read(0) as parts:
        for part in parts:
            yield from part.records


def rows(root: Path) -> list[dict[str, Any]]:
    """Give all sealed records of a store in order."""
    tables = [pq.read_table(path) for path in sorted((root / "segments").rglob("*.parquet"))]
    every = [row for table in tables for row in _whole(table).to_pylist()]
    return sorted(every, key=lambda row: row["seq"])


def _whole(table: pa.Table) -> pa.Table:
    """Give the columns of the schema, times as numbers: Python's have no nanoseconds."""
    table = table.select([name for name in RECORD_SCHEMA.names if name in table.column_names])
    for at, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type):
            table = table.set_column(at, field.name, table.column(at).cast(pa.int64()))
    return table


_OF_THE_STORE = ("seq", "batch", "index")


def differences(node: Path, central: Path, kind: str = "kafka") -> Counter[str]:
    """Compare each record of a node's store with what the central one has under its name; one that is missing counts too.

    What must differ is taken off first: the number, how it came at last, the stream's name, and the name itself.
    """
    with source(node).read(0) as parts:
        names = [one.name for part in parts for one in part.records]
    there = dict(zip(names, rows(node), strict=True))
    here = {name: row for row in rows(central) if (name := dict(row["attributes"] or ()).get(NAME_THERE)) is not None}
    found: Counter[str] = Counter()
    for name, row in there.items():
        if name not in here:
            found["missing"] += 1
            continue
        ours, theirs = _comparable(here[name], f"{kind}/"), _comparable(row, "")
        found.update(column for column in theirs if ours[column] != theirs[column])
    found["more"] += len(here.keys() - there.keys())
    return +found


def _comparable(row: dict[str, Any], brought: str) -> dict[str, Any]:
    place = parse_cursor(row["cursor"])
    assert place is not None
    assert row["receiver"].startswith(brought)
    attributes = {key: value for key, value in row["attributes"] or () if key != NAME_THERE}
    return {column: value for column, value in row.items() if column not in _OF_THE_STORE} | {
        "receiver": row["receiver"].removeprefix(brought),
        "cursor": (place.offset, place.length, place.line),
        "frame_group": (row["frame_group"] or "").rpartition("@")[2],
        "attributes": attributes or None,
    }
