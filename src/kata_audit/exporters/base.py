"""What every exporter is, and the words in which it says how it went."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol, runtime_checkable

from kata_audit.schema.notice import Notice

MAX_ANSWER_BYTES = 64 * 1024
"""Bytes of an answer that are read at most."""


class Delivery(NamedTuple):
    """How an attempt went.

    `taken` is how many notices, counted from the first, are done with: the destination has them, or has said that it never
    will. `refused` counts those among them that it never will. Where `taken` is less than all, the rest is tried again:
    `problem` says why it was not taken, in words of ours, and `retry_after_secs` how long the destination asks us to wait.
    """

    taken: int
    refused: int = 0
    problem: str | None = None
    retry_after_secs: float | None = None


class Exporter(Protocol):
    """Something that hands notices to one destination."""

    def export(self, notices: Sequence[Notice]) -> Delivery:
        """Hand notices over, oldest first. It raises nothing: what goes wrong is said in the answer."""
        ...


@runtime_checkable
class Refreshing(Protocol):
    """An exporter whose destination forgets an alert that is not told again."""

    def refresh(self, notices: Sequence[Notice], now_ns: int) -> Delivery:
        """Tell again which alerts there are: the newest notice of each."""
        ...
