"""The one door for what we say ourselves: rows under a receiver's name that nothing else can have."""

from collections.abc import Sequence

import pyarrow as pa

from kata_audit.clock import Clock
from kata_audit.schema.own import Said, own_rows, spell
from kata_audit.schema.record import EVIDENCE_SCHEMA, EvidenceRows


class OwnRecords:
    """Makes records of ours of one kind.

    Args:
        kind: The kind: it ends the receiver's name, `kata-audit:<kind>`.
        node: Of which node they are.
        tenant: Whose they are.
        clock: When they are said.
    """

    def __init__(self, kind: str, *, node: str, tenant: str, clock: Clock) -> None:
        self._kind, self._node, self._tenant, self._clock = kind, node, tenant, clock
        self._said: list[Said] = []
        self._last_ns = 0

    def say(self, event: str, severity: str, message: str, **attributes: str) -> None:
        """Note one record; `rows` gives it out."""
        now = self._last_ns = max(self._clock.now_ns(), self._last_ns + 1)
        line = spell(event, severity, message, time_ns=now, attributes=attributes)
        self._said.append(Said(now, self._node, self._tenant, line))

    def rows(self) -> EvidenceRows:
        """Give what was said since the last call, as evidence with null `seq`."""
        said, self._said = self._said, []
        return own_rows(self._kind, said)

    @property
    def waiting(self) -> int:
        """How many records wait to be given out."""
        return len(self._said)


def together(parts: Sequence[EvidenceRows]) -> EvidenceRows:
    """Put rows of several streams together, in the order given."""
    return parts[0] if len(parts) == 1 else pa.Table.from_batches(parts, EVIDENCE_SCHEMA).combine_chunks().to_batches()[0]
