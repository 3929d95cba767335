"""Copies of one record are one event: the first that comes counts.

The Go shim writes most records twice. A claim is no copy of a host's record, whatever it says (law L7).
"""

from collections.abc import Mapping
from typing import Final, TypeAlias

from kata_audit.detect.event import Event

REACH: Final = 16_384
"""Copies come within so many records; what comes later is an event of its own."""

Copies: TypeAlias = Mapping[tuple[str, str, str, bool, int], int]
"""Of events whose records have copies: rule, tenant, node, whether a guest's, and `copy_key`; the seq of the first."""


class Seen:
    """The events whose records have copies.

    Args:
        copies: Those seen before, in the order in which they came.
    """

    def __init__(self, copies: Copies) -> None:
        self._copies = dict(copies)
        self._last = max(self._copies.values(), default=0)

    def is_copy(self, event: Event, copy_key: int) -> bool:
        """Say whether a rule held for a copy of an event's record before; if not, note that it did now."""
        key = (event.rule_id, event.tenant, event.node, event.claim, copy_key)
        first = self._copies.get(key)
        self._last = event.seq
        if first is not None and self._last - first <= REACH:
            return True
        self._copies.pop(key, None)
        self._copies[key] = self._last
        return False

    @property
    def copies(self) -> Copies:
        """Those of which a copy may still come."""
        return {key: seq for key, seq in self._copies.items() if self._last - seq <= REACH}
