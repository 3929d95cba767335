"""The fact: what a host record said of an identity or of a source, with the record that said it.

A fact is `subject -> object`: a sandbox is of a pod, a container is of a sandbox, a process id is of a sandbox, a source has
a gap. Only host records make facts (law L7). Readers join all facts; detection joins those with `seq` at or before the
record's.
"""

from enum import StrEnum
from typing import NamedTuple

import pyarrow as pa

FactRows = pa.RecordBatch
"""Rows of `FACT_SCHEMA`."""


class FactKind(StrEnum):
    """What a fact links. `subject` and `object` of each are named in its comment."""

    SANDBOX_NAMESPACE = "sandbox.k8s_namespace"
    SANDBOX_POD = "sandbox.k8s_pod"
    SANDBOX_POD_UID = "sandbox.k8s_pod_uid"
    SANDBOX_RUNTIME_CLASS = "sandbox.runtime_class"
    CONTAINER_SANDBOX = "container.sandbox_id"
    CONTAINER_NAME = "container.k8s_container"
    CONTAINER_IMAGE = "container.image"
    EXEC_CONTAINER = "exec.container_id"
    """Subject is the exec id that the host's programs use; a guest has another one for the same exec."""
    PID_SANDBOX = "pid.sandbox_id"
    """Subject is the decimal process id; true on one node and boot, from `seq` until another fact names the same pid."""
    POD_UID_NAMESPACE = "pod_uid.k8s_namespace"
    POD_UID_POD = "pod_uid.k8s_pod"
    SOURCE_GAP = "source.gap"
    """Subject is what lost records (a unit, a console, a shim); object is `<count or unknown>;<event>;<statement>`.

    The statement is equal for copies of one record and for no two others, so that each gap is one fact.
    """


class Gap(NamedTuple):
    """What the object of a `SOURCE_GAP` says: how many records were lost, None where nobody knows, and the event."""

    records: int | None
    event: str


def gap_object(count: str | None, event: str, statement: str) -> str:
    """Spell the object of a `SOURCE_GAP`."""
    return f"{count or 'unknown'};{event};{statement}"


def read_gap(spelled: str) -> Gap:
    """Read the object of a `SOURCE_GAP`.

    Example:
        >>> read_gap("173433;loghealth.journal_suppressed;41")
        Gap(records=173433, event='loghealth.journal_suppressed')
    """
    count, event, _ = spelled.split(";", 2)
    return Gap(int(count) if count.isdecimal() else None, event)


FACT_SCHEMA: pa.Schema = pa.schema(
    [
        ("kind", pa.string()),
        ("subject", pa.string()),
        ("object", pa.string()),
        ("node", pa.string()),
        ("boot_id", pa.string()),
        ("seq", pa.uint64()),
    ]
)
"""`seq` is the record that said it: the fact holds from there on, and readers of history may join it backwards."""
