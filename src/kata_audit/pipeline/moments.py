"""Moments: records as a story tells them, each at its place on the host's clock. Pure: rows in, moments out."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from kata_audit.parse.losses import count_lost, is_workload
from kata_audit.pipeline.clocks import Clocks, Place
from kata_audit.schema.event import UNKNOWN_ACTOR, Action, Confidence, Outcome
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
    "fold_key",
    "action",
    "object",
    "outcome",
    "actor",
    "actor_source",
    "actor_confidence",
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
_COMMAND = "process.command_args"
"""What an exec runs, where a record tells: it says more than in which pod."""
GUEST, OBSERVED = "guest", "observed"
"""Words of `timestamp_basis` for times that no host record carried."""


class Act(NamedTuple):
    """What an audit event tells: what was done, to what, how it went, and who asked, with how sure that is."""

    action: str
    object: str
    outcome: str
    actor: str | None
    confidence: str


class Moment(NamedTuple):
    """One line of the story: a record, its copies, and the equal ones right behind it.

    `copies` counts how often its records were received; `steps` the records that tell of its one event, of which this one
    says most; `repeats` the further equal ones folded into it, of which `last_ns` is the newest. `lost` is None unless the
    record says that records were lost: then their number, or 0 where it does not say how many.

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
    fold_key: tuple[str, ...] | None
    act: Act | None
    copies: int
    steps: int
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
                fold_key=_fold_key(row),
                act=_act(row),
                copies=1,
                steps=1,
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


def _act(row: Mapping[str, Any]) -> Act | None:
    if row["action"] is None:
        return None
    actor = None if row["actor"] in {None, UNKNOWN_ACTOR} else row["actor"]
    outcome = row["outcome"] or str(Outcome.UNKNOWN)
    asked = dict(row["attributes"] or ()).get(_COMMAND) if row["action"] == Action.EXEC else None
    return Act(row["action"], asked or row["object"] or "", outcome, actor, row["actor_confidence"] or str(Confidence.NONE))


def _fold_key(row: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Name the event that a record tells of, within its sandbox or pod; what a guest claims is another one."""
    if row["fold_key"] is None:
        return None
    whose = row["sandbox_id"] or f"{row['k8s_namespace']}/{row['k8s_pod']}"
    return "guest" if row["origin"] != Origin.HOST else "host", whose, str(row["fold_key"])


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
