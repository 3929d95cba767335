"""Live files: what the log says a store holds, as a fold over its entries.

A file named by `cut` lives until a `compact` names it as an input; the outputs of `compact` live from there on. The fold
also knows what the next entry must go on from: the number after the last sealed record, the next batch, the last time.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from kata_audit.errors import VerificationError


class LiveFile(NamedTuple):
    """A segment that the log says is there."""

    name: str
    bytes: int
    sha256: str
    batches: tuple[int, ...]


class LiveBatch(NamedTuple):
    """What the log committed to, wherever its records lie now."""

    stream: str
    records: int
    root: bytes
    entry: int


class Live:
    """The fold's state. Feed it each entry once, in order.

    Attributes:
        origin: The log's name, from its first entry.
        vkey: The log's verifying key, from its first entry.
        entries: How many entries were fed.
        sealed_to: Number after the last sealed record.
        next_batch: Number of the next batch.
        time_ns: Time of the last entry.
        files: Live files by name.
        dead: Names of files that once lived.
        batches: Every batch by number.
    """

    def __init__(self) -> None:
        self.origin = ""
        self.vkey = ""
        self.entries = 0
        self.sealed_to = 0
        self.next_batch = 0
        self.time_ns = 0
        self.files: dict[str, LiveFile] = {}
        self.dead: set[str] = set()
        self.batches: dict[int, LiveBatch] = {}

    def apply(self, entry: Mapping[str, Any]) -> None:
        """Take in the next entry.

        Args:
            entry: A decoded entry of the log. One of a kind that we do not know changes no file.

        Raises:
            VerificationError: It does not go on from the entries before it.
        """
        kind = entry["t"]
        if (kind == "genesis") != (self.entries == 0):
            raise VerificationError("A log has one genesis entry, its first.", where=f"log entry {self.entries}")
        if kind == "genesis":
            self.origin, self.vkey = entry["origin"], entry["vkey"]
        elif kind == "cut":
            self._apply_cut(entry)
        elif kind == "compact":
            self._apply_compact(entry)
        self.time_ns = max(self.time_ns, entry["time"])
        self.entries += 1

    def _apply_cut(self, entry: Mapping[str, Any]) -> None:
        sealed = sum(batch["records"] for batch in entry["batches"])
        lost = sum(gap["to"] - gap["from"] for gap in entry["gaps"])
        if entry["from"] != self.sealed_to or sealed + lost != entry["to"] - entry["from"]:
            raise VerificationError("The cut does not go on from the one before it.", where=f"log entry {self.entries}")
        for batch in entry["batches"]:
            if batch["n"] != self.next_batch:
                raise VerificationError("A batch number was left out.", where=f"log entry {self.entries}")
            root = bytes.fromhex(batch["root"])
            self.batches[batch["n"]] = LiveBatch(batch["stream"], batch["records"], root, self.entries)
            file = batch["file"]
            self.files[file["name"]] = LiveFile(file["name"], file["bytes"], file["sha256"], (batch["n"],))
            self.next_batch += 1
        self.sealed_to = entry["to"]

    def _apply_compact(self, entry: Mapping[str, Any]) -> None:
        taken: list[int] = []
        for name in entry["inputs"]:
            if name not in self.files:
                raise VerificationError("A file that is not live was compacted.", where=f"log entry {self.entries}")
            taken.extend(self.files.pop(name).batches)
            self.dead.add(name)
        given: list[int] = []
        for file in entry["outputs"]:
            batches = tuple(file["batches"])
            self.files[file["name"]] = LiveFile(file["name"], file["bytes"], file["sha256"], batches)
            given.extend(batches)
        if sorted(taken) != sorted(given):
            raise VerificationError("A compaction lost or doubled a batch.", where=f"log entry {self.entries}")
