"""Retention classes: what each record is kept for, decided from the record alone.

By precedence: our own doors, then what an audit asks for (named events and records that join two identities), then debug,
workload, and the rest: the order of the retention classes in `docs/reference/schema.md`.
"""

from collections.abc import Sequence
from typing import TypeAlias

from kata_audit.parse.draft import Draft
from kata_audit.schema.record import RetentionClass
from kata_audit.schema.severity import INFO
from kata_audit.schema.source import Origin, Transport, own_kind, transport_of

_Facts: TypeAlias = tuple[str, str | None, str, int | None, bool]
"""What decides: receiver, stated class, origin, severity, and whether the record joins two identities."""
_OWN_CLASS = {"access": RetentionClass.ACCESS, "review": RetentionClass.REVIEW}


def classify(draft: Draft, receivers: Sequence[str]) -> list[str]:
    """Decide the class of each row of a filled draft.

    Args:
        draft: Its columns `origin`, `severity_number`, `stated_class` (what its event is kept as) and identities are read.
        receivers: Of each row.

    Returns:
        A `RetentionClass` per row, in order.
    """
    empty = [None] * draft.count
    joins = [
        sandbox is not None and (pod is not None or (container is not None and name is not None))
        for sandbox, pod, container, name in zip(
            *(draft.columns.get(column, empty) for column in ("sandbox_id", "k8s_pod", "container_id", "k8s_container")),
            strict=True,
        )
    ]
    known: dict[_Facts, str] = {}
    stated, origins, severities = (
        draft.columns.get(column, empty) for column in ("stated_class", "origin", "severity_number")
    )
    facts = zip(receivers, stated, origins, severities, joins, strict=True)
    return [known.get(one) or known.setdefault(one, _class_of(*one)) for one in facts]


def _class_of(receiver: str, stated: str | None, origin: str, severity: int | None, joins: bool) -> str:  # noqa: FBT001
    own = own_kind(receiver)
    if own is not None:
        return _OWN_CLASS.get(own, RetentionClass.SECURITY)
    if stated == RetentionClass.SECURITY:
        return stated
    if stated == RetentionClass.AUDIT or (joins and origin == Origin.HOST):
        return RetentionClass.AUDIT
    if transport_of(receiver) is Transport.CRI:
        return RetentionClass.WORKLOAD
    if stated is not None:
        return stated
    if severity is None:
        return RetentionClass.DEBUG if origin == Origin.GUEST else RetentionClass.OPERATIONAL
    return RetentionClass.DEBUG if severity < INFO else RetentionClass.OPERATIONAL
