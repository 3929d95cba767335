"""Every path of a store, named once; and the file that says which version of the format it is.

`docs/reference/on-disk-format.md` is this file in prose. Nobody else joins a path under the store's root.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from kata_audit.errors import LayoutVersionError, StoreError

FORMAT_LINE = b"kata-audit store 1\n"
"""Content of `<store>/format`. Another version of the layout has another number."""
TEMPORARY = ".tmp"
"""Ending of a file that is being written; whatever carries it is removed when a writer opens the store."""
KEYS_VARIABLE = "KATA_AUDIT_KEYS"
"""Environment variable that names the folder of keys, in place of the one beside the store."""
_SEGMENT_NAME = re.compile(r"([0-9a-f]{16})/([0-9]{12})-([0-9]{12})-([0-9a-f]{8})\.parquet")


@dataclass(frozen=True)
class Layout:
    """The paths of one store.

    Args:
        root: The store's directory; it need not exist.
    """

    root: Path

    @property
    def format_file(self) -> Path:
        """The file that holds `FORMAT_LINE`; written last when a store is created."""
        return self.root / "format"

    @property
    def lock_file(self) -> Path:
        """The file that the one writer holds locked."""
        return self.root / "lock"

    @property
    def log(self) -> Path:
        """The folder that can be served as it is: a C2SP tlog-tiles log."""
        return self.root / "log"

    @property
    def checkpoint(self) -> Path:
        """The newest signed checkpoint."""
        return self.log / "checkpoint"

    @property
    def segments(self) -> Path:
        """Parquet files, one folder for each stream."""
        return self.root / "segments"

    @property
    def spool(self) -> Path:
        """Records that are durable and not yet sealed."""
        return self.root / "spool"

    @property
    def state(self) -> Path:
        """What outlives a cut, saved before the cut's entry."""
        return self.root / "state"

    @property
    def quarantine(self) -> Path:
        """Bytes that belong nowhere, kept for a person."""
        return self.root / "quarantine"

    @property
    def inbox(self) -> Path:
        """Where commands leave acts for a running writer; nobody else may read it."""
        return self.root / "inbox"

    @property
    def index_file(self) -> Path:
        """The index; it can be removed at any time."""
        return self.root / "index.sqlite"

    @property
    def folders(self) -> tuple[Path, ...]:
        """Folders that every store has."""
        return (self.log, self.segments, self.spool, self.state, self.quarantine, self.inbox)

    @property
    def keys(self) -> Path:
        """The folder of keys: beside the store, never in it; `KATA_AUDIT_KEYS` names another."""
        named = os.environ.get(KEYS_VARIABLE)
        return Path(named) if named else self.root.with_name(self.root.name + ".keys")

    def segment(self, name: str) -> Path:
        """Path of the segment that log entries call `name` (`<stream>/<file name>`)."""
        return self.segments / name

    def spool_file(self, first: int) -> Path:
        """Path of the spool file whose first record has the number `first`."""
        return self.spool / f"{first:020d}.spool"

    def state_file(self, sealed: int) -> Path:
        """Path of the states that belong to the cut which ends at `sealed`."""
        return self.state / f"{sealed:020d}.json"


def segment_name(stream: str, first_batch: int, last_batch: int, tag: str) -> str:
    """Name a segment: `<stream>/<first batch>-<last batch>-<tag>.parquet`; `tag` is 8 random hex digits.

    Example:
        >>> segment_name("00112233aabbccdd", 7, 9, "deadbeef")
        '00112233aabbccdd/000000000007-000000000009-deadbeef.parquet'
    """
    return f"{stream}/{first_batch:012d}-{last_batch:012d}-{tag}.parquet"


def batches_of(name: str) -> tuple[int, int] | None:
    """Read the first and last batch number from a segment's name; None for a name that no writer of ours gives."""
    found = _SEGMENT_NAME.fullmatch(name)
    return None if found is None else (int(found[2]), int(found[3]))


def check_format(layout: Layout) -> bool:
    """Say whether a store is there, in a version that we read and write.

    Returns:
        True for a store of this version, False where there is none yet.

    Raises:
        LayoutVersionError: It is a store of another version.
        StoreError: The path is no directory, cannot be read, or holds something else.
    """
    try:
        with layout.format_file.open("rb") as file:
            found = file.read(len(FORMAT_LINE) + 1)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise StoreError(
            f"The store cannot be read: {error.strerror}.",
            where=str(layout.format_file),
            hint="Name a directory with --store that this user may read.",
        ) from error
    if found == FORMAT_LINE:
        return True
    if found.startswith(b"kata-audit store "):
        raise LayoutVersionError(
            "The store was written by another version of the format.",
            where=str(layout.format_file),
            hint="Open it with the version of kata-audit that wrote it.",
        )
    raise StoreError(
        "This directory is not a store of kata-audit.",
        where=str(layout.root),
        hint="Name an empty directory, or one that kata-audit created, with --store.",
    )
