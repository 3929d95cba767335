"""Link: turn what host records state of identities, and of records that their sources lost, into facts.

Only rows of origin host speak (law L7); what a guest or an undeclared file says of ids never leaves its own row. Stateless:
readers keep, per fact, the first record that stated it.
"""

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from kata_audit.parse.losses import COUNT
from kata_audit.schema.event import Action
from kata_audit.schema.fact import FACT_SCHEMA, FactKind, FactRows, gap_object
from kata_audit.schema.record import Component, RecordRows
from kata_audit.schema.source import Origin

LINK_COLUMNS = (
    "seq",
    "node",
    "boot_id",
    "origin",
    "component",
    "pid",
    "sandbox_id",
    "container_id",
    "exec_id",
    "k8s_namespace",
    "k8s_pod",
    "k8s_pod_uid",
    "k8s_container",
    "image",
    "runtime_class",
    "action",
    "object",
    "event_name",
    "copy_key",
)
"""What `link()` reads of a record; `attributes` too, where they are there: they say how many records were lost."""

_STATEMENTS = (
    (FactKind.SANDBOX_NAMESPACE, "sandbox_id", "k8s_namespace"),
    (FactKind.SANDBOX_POD, "sandbox_id", "k8s_pod"),
    (FactKind.SANDBOX_POD_UID, "sandbox_id", "k8s_pod_uid"),
    (FactKind.SANDBOX_RUNTIME_CLASS, "sandbox_id", "runtime_class"),
    (FactKind.CONTAINER_SANDBOX, "container_id", "sandbox_id"),
    (FactKind.CONTAINER_NAME, "container_id", "k8s_container"),
    (FactKind.CONTAINER_IMAGE, "container_id", "image"),
    (FactKind.EXEC_CONTAINER, "exec_id", "container_id"),
    (FactKind.POD_UID_NAMESPACE, "k8s_pod_uid", "k8s_namespace"),
    (FactKind.POD_UID_POD, "k8s_pod_uid", "k8s_pod"),
)
_PID_SPEAKERS = (Component.RUNTIME_GO, Component.RUNTIME_RS)


def link(rows: RecordRows) -> FactRows:
    """Give the facts that records state.

    Args:
        rows: Records, at least the columns `LINK_COLUMNS`, with `seq`.

    Returns:
        Rows of `FACT_SCHEMA`: each distinct fact once, with the smallest `seq` that stated it.
    """
    table = pa.Table.from_arrays([_plain(rows.column(name)) for name in LINK_COLUMNS], names=list(LINK_COLUMNS))
    ours = pc.fill_null(pc.equal(table["component"], Component.KATA_AUDIT), False)
    # A finding repeats identities, some of records that may state none for others (law L7).
    host = table.filter(pc.and_not(pc.equal(table["origin"], Origin.HOST), ours))
    facts = [_stated(host, kind, subject, object_) for kind, subject, object_ in _STATEMENTS]
    facts.append(_own_containers(host))
    speakers = host.filter(pc.is_in(host["component"], pa.array([str(name) for name in _PID_SPEAKERS])))
    facts.append(_stated(speakers, FactKind.PID_SANDBOX, "pid", "sandbox_id"))
    facts.append(_gaps(rows))
    return pa.concat_tables(facts).combine_chunks().to_batches()[0] if any(map(len, facts)) else _no_facts()


def _plain(column: Any) -> Any:
    return column.cast(pa.string()) if pa.types.is_dictionary(column.type) else column


def _no_facts() -> FactRows:
    return pa.RecordBatch.from_arrays([pa.nulls(0, field.type) for field in FACT_SCHEMA], schema=FACT_SCHEMA)


def _own_containers(host: Any) -> Any:
    """Give each sandbox of a pod as the container that it also is: the pause container has the sandbox's id."""
    named = host.filter(pc.is_valid(host["k8s_pod"]))
    as_container = named.set_column(named.schema.get_field_index("container_id"), "container_id", named["sandbox_id"])
    return _stated(as_container, FactKind.CONTAINER_SANDBOX, "container_id", "sandbox_id", may_be_equal=True)


def _gaps(rows: RecordRows) -> Any:
    """Give what host records say was lost, one fact a statement; copies of a record are one."""
    lost = rows.filter(
        pc.fill_null(
            pc.and_(pc.equal(rows["action"], str(Action.LOSE_RECORDS)), pc.equal(rows["origin"], str(Origin.HOST))), False
        )
    )
    facts: dict[tuple[str, str, str, str], int] = {}
    for row in lost.select([name for name in (*LINK_COLUMNS, "attributes") if name in lost.schema.names]).to_pylist():
        count = dict(row.get("attributes") or ()).get(COUNT)
        statement = str(row["seq"]) if row["copy_key"] is None else f"{row['copy_key']:016x}"
        subject = row["object"] or row["component"] or Component.OTHER
        gap = gap_object(count, row["event_name"] or str(Action.LOSE_RECORDS), statement)
        facts.setdefault((subject, gap, row["node"], row["boot_id"] or ""), row["seq"])
    columns = [*zip(*facts, strict=True)] or [(), (), (), ()]
    return pa.table([[str(FactKind.SOURCE_GAP)] * len(facts), *columns, list(facts.values())], schema=FACT_SCHEMA)


def _stated(rows: Any, kind: FactKind, subject: str, object_: str, *, may_be_equal: bool = False) -> Any:
    """Give the distinct pairs of two columns that are both stated, and differ unless they may be equal."""
    stated = rows.filter(pc.and_(pc.is_valid(rows[subject]), pc.is_valid(rows[object_])))
    subjects = stated[subject].cast(pa.string())
    differs = pc.not_equal(subjects, stated[object_])
    picked = pa.table(
        {
            "subject": subjects,
            "object": stated[object_],
            "node": stated["node"],
            "boot_id": pc.fill_null(stated["boot_id"], ""),
            "seq": stated["seq"],
        }
    )
    if not may_be_equal:
        picked = picked.filter(differs)
    first = picked.group_by(["subject", "object", "node", "boot_id"], use_threads=False).aggregate([("seq", "min")])
    columns = [
        pa.repeat(str(kind), len(first)),
        *(first[name] for name in ("subject", "object", "node", "boot_id", "seq_min")),
    ]
    return pa.table(columns, schema=FACT_SCHEMA)
