"""What every exporter of records is, and the words in which it says how it went.

An exporter keeps no position and no queue: what it is handed it sends, or says that it did not. Whoever calls it hands the
rest over again, so that a record may arrive twice, always under the same name.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from kata_audit.schema.exported import Exported


class Rejected(NamedTuple):
    """A record that the destination will never take: which of those handed over, and why, in words of ours."""

    at: int
    reason: str


class Receipt(NamedTuple):
    """How an attempt went.

    `taken` is how many records, counted from the first, are done with: the destination has confirmed them, or has said that
    it never will take them. `rejected` names the latter, all of them below `taken`. Where `taken` is less than all, the
    rest is tried again: `problem` says why, and what to do about it, and `retry_after_secs` how long the destination asks
    us to wait.
    """

    taken: int
    rejected: Sequence[Rejected] = ()
    problem: str | None = None
    retry_after_secs: float | None = None


class RecordExporter(Protocol):
    """Something that hands records to one destination, over a connection that it keeps."""

    def export(self, records: Sequence[Exported]) -> Receipt:
        """Hand records over, in order. It raises nothing: what goes wrong is said in the answer."""
        ...

    def close(self) -> None:
        """Let the connection go."""
        ...
