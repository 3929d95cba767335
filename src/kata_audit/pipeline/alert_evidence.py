"""What an alert rests on: its records and findings, read back from the store, and the checkpoint that covers them."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import pyarrow as pa

from kata_audit.predicate.tree import OneOf
from kata_audit.schema.alert import Alert
from kata_audit.schema.source import Origin
from kata_audit.store.reader import EVERYTHING_IN_SCOPE, Order, Reader

_COLUMNS: Final = ("seq", "timestamp", "origin", "component", "event_name", "body")


class Quoted(NamedTuple):
    """One record: its number, when it happened, who wrote it, and its text. Hostile."""

    seq: int
    timestamp_ns: int | None
    origin: str
    component: str
    event_name: str
    text: str

    @property
    def is_claim(self) -> bool:
        """Whether a guest wrote it, or nobody known."""
        return self.origin != Origin.HOST


class Evidence(NamedTuple):
    """What an alert rests on.

    Args:
        log: The log's name.
        entries: How many entries its newest checkpoint covers.
        root: The root of that checkpoint, base64; empty before the first.
        sealed_to: All records below this number are under it.
        records: What the findings rest on.
        findings: Numbers of the findings' own records.
        absent: Names of records that this store does not hold: of another log, or deleted since.
    """

    log: str
    entries: int
    root: str
    sealed_to: int
    records: list[Quoted]
    findings: list[int]
    absent: list[str]

    @property
    def numbers(self) -> list[int]:
        """All records that a proof of the alert has to hold."""
        return sorted({*self.findings, *(one.seq for one in self.records)})


def read_evidence(reader: Reader, checkpoint: bytes | None, alert: Alert) -> Evidence:
    """Read what an alert rests on.

    Args:
        reader: Of the store.
        checkpoint: Its newest one: a C2SP note, whose second and third line are size and root.
        alert: The alert.
    """
    status = reader.status()
    names = {name: _number(name, status.origin) for name in alert.evidence}
    asked = frozenset(seq for seq in names.values() if seq is not None)
    found = {one.seq: one for one in _quoted(reader, asked)}
    lines = [] if checkpoint is None else checkpoint.decode().split("\n")
    return Evidence(
        log=status.origin,
        entries=status.entries,
        root=lines[2] if len(lines) > 2 else "",
        sealed_to=status.sealed_to,
        records=[found[seq] for seq in sorted(found)],
        findings=sorted(alert.findings),
        absent=[name for name, seq in names.items() if seq not in found],
    )


def _number(name: str, log: str) -> int | None:
    """Read a record's number from its name, where it is of this log."""
    number = name.removeprefix(f"{log}/")
    return int(number) if number.isdecimal() and number.isascii() and len(number) <= 19 else None


def _quoted(reader: Reader, seqs: frozenset[int]) -> Sequence[Quoted]:
    if not seqs:
        return []
    found = []
    for rows in reader.scan(EVERYTHING_IN_SCOPE, OneOf("seq", seqs), _COLUMNS, order=Order("seq")):
        times = rows.column("timestamp").cast(pa.int64()).to_pylist()
        columns: list[list[Any]] = [rows.column(name).to_pylist() for name in _COLUMNS if name != "timestamp"]
        for time, seq, *texts in zip(times, *columns, strict=True):
            found.append(Quoted(seq, time, *(text or "" for text in texts)))
    return found
