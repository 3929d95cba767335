"""The log on disk: C2SP tlog-tiles under a signed checkpoint, written by one writer, readable by anyone.

An entry is durable in its bundle and its tiles before a checkpoint that covers it is signed. A checkpoint that promises
more than the tiles hold is never signed over: the log stops. Partial tiles stay one step longer than they are needed, for
readers that hold the checkpoint before.
"""

from collections.abc import Iterator
from pathlib import Path

from kata_audit.errors import ConsistencyError, StoreStoppedError
from kata_audit.store.durable import Disk, discard, write_file
from kata_audit.store.layout import Layout
from kata_audit.tlog.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from kata_audit.tlog.merkle import Frontier, hash_leaf
from kata_audit.tlog.note import Signer
from kata_audit.tlog.tiles import TILE_WIDTH, entries_path, frame_entry, split_bundle, tile_path, tile_root

HASH_BYTES = 32


def read_checkpoint(layout: Layout) -> bytes | None:
    """Read the newest checkpoint note; None where the log has none yet.

    Raises:
        OSError: It cannot be read.
    """
    try:
        return layout.checkpoint.read_bytes()
    except FileNotFoundError:
        return None


def read_entries(layout: Layout, start: int, end: int) -> Iterator[bytes]:
    """Read entries `[start, end)` of the log, which the checkpoint in hand must cover.

    A reader beside a running writer is safe: a bundle that grew meanwhile begins with the same entries.

    Raises:
        ConsistencyError: The bundles hold fewer entries.
        OSError: One cannot be read.
    """
    while start < end:
        number = start // TILE_WIDTH
        bundle = _read_bundle(layout, number)
        wanted = bundle[start % TILE_WIDTH : end - number * TILE_WIDTH]
        if not wanted:
            raise ConsistencyError(
                f"The log holds {start} entries and its checkpoint says more.",
                where=str(layout.log),
                hint="Entries were removed, or an older copy of the log was put back. Nothing was signed.",
            )
        yield from wanted
        start += len(wanted)


def _read_bundle(layout: Layout, number: int) -> list[bytes]:
    """Read the widest bundle of a number; no entries where there is none."""
    full = layout.log / entries_path(number, TILE_WIDTH)
    if full.exists():
        return split_bundle(full.read_bytes())
    for width in sorted(_widths(full), reverse=True):
        try:
            return split_bundle((layout.log / entries_path(number, width)).read_bytes())
        except FileNotFoundError:  # the writer went on meanwhile
            return _read_bundle(layout, number)
    return []


def _widths(full: Path) -> list[int]:
    """List the widths of the partial files of one tile or bundle."""
    folder = full.with_name(full.name + ".p")
    return [int(path.name) for path in folder.glob("*") if path.name.isdecimal()] if folder.is_dir() else []


class TileLog:
    """The log of a writer. Make it with `open_log`.

    Attributes:
        size: Entries under the checkpoint.
        checkpoint: The newest signed note; empty before the first entry.
        unsigned: An entry behind the checkpoint that a crash left, if any.
    """

    def __init__(self, disk: Disk, layout: Layout, signer: Signer) -> None:
        self._disk, self._layout, self._signer = disk, layout, signer
        self._frontier = Frontier()
        self._tiles: list[bytes] = []
        self._bundle = b""
        self._stopped = False
        self.size = 0
        self.checkpoint = b""
        self.unsigned: bytes | None = None

    def entries(self) -> Iterator[bytes]:
        """Read all entries under the checkpoint, in order."""
        return read_entries(self._layout, 0, self.size)

    def append(self, entry: bytes) -> bytes:
        """Add an entry and sign a checkpoint over it.

        Args:
            entry: Canonical bytes, at most 65,535.

        Returns:
            The signed checkpoint.

        Raises:
            OSError: The disk failed: the entry may be there or not. This log takes nothing more; open it again.
            StoreStoppedError: It failed before, or the checkpoint on the disk is not the one written last.
        """
        if self._stopped or (read_checkpoint(self._layout) or b"") != self.checkpoint:
            self._stopped = True
            raise StoreStoppedError(
                "The log on the disk is not where this writer left it; nothing was signed.",
                where=str(self._layout.checkpoint),
                hint="Make sure that nothing else writes to this store, then run the same command again.",
            )
        self._stopped = True  # until the last byte is durable
        number, width = divmod(self.size, TILE_WIDTH)
        self._bundle = (self._bundle if width else b"") + frame_entry(entry)
        write_file(self._disk, self._layout.log / entries_path(number, width + 1), self._bundle)
        changed = self._grow(hash_leaf(entry))
        for level, index, count, data in changed:
            write_file(self._disk, self._layout.log / tile_path(level, index, count), data)
        self.size += 1
        note = sign_checkpoint(Checkpoint(self._signer.name, self.size, self._frontier.root()), self._signer)
        write_file(self._disk, self._layout.checkpoint, note)
        self.checkpoint, self.unsigned, self._stopped = note, None, False
        self._drop_old(number, width + 1, changed)
        return note

    def _grow(self, leaf: bytes) -> list[tuple[int, int, int, bytes]]:
        """Take a leaf into the tree; return the tiles that changed as (level, index, width, bytes)."""
        self._frontier.append(leaf)
        changed = []
        level, index, hashed = 0, self._frontier.size - 1, leaf
        while True:
            if level == len(self._tiles):
                self._tiles.append(b"")
            number, width = divmod(index, TILE_WIDTH)
            self._tiles[level] = (self._tiles[level] if width else b"") + hashed
            changed.append((level, number, width + 1, self._tiles[level]))
            if width + 1 < TILE_WIDTH:
                return changed
            level, index, hashed = level + 1, number, tile_root(self._tiles[level])

    def _drop_old(self, number: int, width: int, changed: list[tuple[int, int, int, bytes]]) -> None:
        """Remove partial files that no checkpoint of this step or the one before it needs."""
        fulls = [(self._layout.log / entries_path(number, TILE_WIDTH), width)]
        fulls += [(self._layout.log / tile_path(level, index, TILE_WIDTH), count) for level, index, count, _ in changed]
        try:
            for full, count in fulls:
                for old in _widths(full):
                    if old < count - 1 or count == TILE_WIDTH:
                        discard(self._disk, full.with_name(full.name + ".p") / str(old))
                if count == TILE_WIDTH:
                    self._disk.remove_directory(full.with_name(full.name + ".p"))
        except OSError:
            self._stopped = True  # the entry is sealed; whoever comes next hears of the disk

    def drop_unsigned(self) -> None:
        """Take back the entry behind the checkpoint: nobody was shown it.

        Raises:
            OSError: As the disk says.
        """
        number, width = divmod(self.size, TILE_WIDTH)
        discard(self._disk, self._layout.log / entries_path(number, width + 1))
        level, index = 0, self.size
        while True:
            number, width = divmod(index, TILE_WIDTH)
            discard(self._disk, self._layout.log / tile_path(level, number, width + 1))
            if width + 1 < TILE_WIDTH:
                break
            level, index = level + 1, number
        self.unsigned = None

    def load(self, checkpoint: Checkpoint, note: bytes) -> None:
        """Read the log up to its checkpoint and hold it against the root there.

        Raises:
            ConsistencyError: The entries are fewer than it says, or do not lead to its root.
            OSError: They cannot be read.
        """
        for entry in read_entries(self._layout, 0, checkpoint.size):
            self._bundle = (self._bundle if self.size % TILE_WIDTH else b"") + frame_entry(entry)
            self._grow(hash_leaf(entry))
            self.size += 1
        if checkpoint.size and self._frontier.root() != checkpoint.root:
            raise ConsistencyError(
                f"The log's {checkpoint.size} entries do not lead to the root in its checkpoint.",
                where=str(self._layout.log),
                hint="The log was altered. Run `kata-audit verify`; nothing was signed.",
            )
        self.checkpoint = note

    def find_unsigned(self) -> None:
        """Look for the entry that a crash left behind the checkpoint.

        Raises:
            ConsistencyError: There are several: the checkpoint was removed, or an older one put back.
            OSError: They cannot be read.
        """
        number, width = divmod(self.size, TILE_WIDTH)
        ahead = _read_bundle(self._layout, number)[width:]
        if len(ahead) > 1:
            raise ConsistencyError(
                f"The log holds more entries than the {self.size} of its checkpoint.",
                where=str(self._layout.checkpoint),
                hint="The checkpoint was removed or an older one was put back. Restore the newest; nothing was signed.",
            )
        self.unsigned = ahead[0] if ahead else None


def open_log(disk: Disk, layout: Layout, signer: Signer) -> TileLog:
    """Open the log for writing, and hold what is there against its checkpoint.

    Raises:
        CheckpointError: The checkpoint is malformed or not signed by this log's key.
        ConsistencyError: The log is not the one that the checkpoint covers: nothing may be signed.
        OSError: It cannot be read.
    """
    log = TileLog(disk, layout, signer)
    note = read_checkpoint(layout)
    if note is not None:
        log.load(open_checkpoint(note, signer.verifier), note)
    log.find_unsigned()
    return log
