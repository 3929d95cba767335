"""Moments: records as a story tells them, each at its place on the host's clock. Pure: rows in, moments out."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from kata_audit.parse.losses import count_lost, is_workload
from kata_audit.pipeline.clocks import Clocks, Place
from kata_audit.schema.record import RecordRows
from kata_audit.schema.source import Origin

COLUMNS = (
    "seq",
    "timestamp",
    "timestamp_basis",
    "guest_timestamp",
    "severity_number",
    "body",
    "event_name",
    "origin",
    "component",
    "attributes",
    "copy_key",
    "sandbox_id",
    "container_id",
    "k8s_namespace",
    "k8s_pod",
    "k8s_pod_uid",
    "k8s_container",
    "runtime_class",
)
"""What a story needs of a record."""
_DETAILS = ("error", "err", "reason", "exit-code", "exit_code", "signal", "count")
"""Attributes that say how it went: without them an error's body often says nothing."""
GUEST, OBSERVED = "guest", "observed"
"""Words of `timestamp_basis` for times that no host record carried."""


class Moment(NamedTuple):
    """One line of the story: a record, its copies, and the equal ones right behind it.

    `copies` counts the times that the same record was received more than once; `repeats` the further equal records folded
    into this one, of which `last_ns` is the newest. `lost` is None unless the record says that records were lost: then
    their number, or 0 where it does not say how many.

    `timestamp_ns` is on the host's clock, within `band_ns` before and behind: 0 where a host record carried it, None where
    nothing tells how far off it is. `is_unordered`: what stands next to it may have happened before it or after it.
    """

    seq: int
    timestamp_ns: int
    severity: int | None
    origin: str
    component: str
    body: str
    details: tuple[tuple[str, str], ...]
    event_name: str | None
    sandbox_id: str | None
    container_id: str | None
    container: str | None
    copy_key: int | None
    copies: int
    repeats: int
    last_ns: int
    lost: int | None
    guest_ns: int | None
    basis: str
    band_ns: int | None
    is_unordered: bool

    @property
    def is_claim(self) -> bool:
        """Whether a guest, or nobody known, wrote it."""
        return self.origin != Origin.HOST


def read_moments(rows: RecordRows, clocks: Clocks) -> Iterator[tuple[Moment, Mapping[str, Any]]]:
    """Read each row as a moment of its own, beside the row as Python values with times in nanoseconds.

    Args:
        rows: Records with the columns `COLUMNS`.
        clocks: Places the times that only a guest tells.
    """
    columns = [_values(rows.column(name)) for name in COLUMNS]
    for values in zip(*columns, strict=True):
        row = dict(zip(COLUMNS, values, strict=True))
        body, place = row["body"] or "", _place(row, clocks)
        yield (
            Moment(
                seq=row["seq"],
                timestamp_ns=place.timestamp_ns,
                severity=row["severity_number"],
                origin=row["origin"] or str(Origin.UNKNOWN),
                component=row["component"] or "other",
                body=body,
                details=_details(row["attributes"]),
                event_name=row["event_name"],
                sandbox_id=row["sandbox_id"],
                container_id=row["container_id"],
                container=row["k8s_container"],
                copy_key=row["copy_key"],
                copies=1,
                repeats=0,
                last_ns=place.timestamp_ns,
                lost=_lost(row),
                guest_ns=row["guest_timestamp"],
                basis=row["timestamp_basis"] or OBSERVED,
                band_ns=place.band_ns,
                is_unordered=False,
            ),
            row,
        )


def _place(row: Mapping[str, Any], clocks: Clocks) -> Place:
    """Say when it happened by the host's clock, and how well that is known."""
    if row["timestamp_basis"] == GUEST:
        return clocks.place(row["sandbox_id"], row["timestamp"])
    return Place(row["timestamp"], None if row["timestamp_basis"] == OBSERVED else 0)


def _values(column: Any) -> list[Any]:
    return list((column.cast("int64") if str(column.type).startswith("timestamp") else column).to_pylist())


def _details(attributes: Any) -> tuple[tuple[str, str], ...]:
    if not attributes:
        return ()
    stated = dict(attributes)
    return tuple((name, stated[name]) for name in _DETAILS if stated.get(name))


def _lost(row: Mapping[str, Any]) -> int | None:
    """Read how many records a record says were lost; None where it says nothing of the kind."""
    return None if is_workload(row["component"], row["origin"]) else count_lost(row["body"] or "", row["attributes"] or ())
