"""Verify a store from its bytes alone, in numbered steps; never through the code that wrote it (law L3).

Each step rests on the one before: signature, tree, entries, files, records, numbers. Nothing is repaired and nothing is
written. A problem says its place; none means that everything up to the checkpoint is what was sealed.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from kata_audit.errors import StoreError, VerificationError
from kata_audit.store.damage import Derive, examine
from kata_audit.store.layout import Layout, batches_of, check_format
from kata_audit.store.live import Live, LiveFile
from kata_audit.store.log import read_checkpoint, read_entries
from kata_audit.store.segment import mark_file
from kata_audit.store.spool import Gap, scan
from kata_audit.store.states import load
from kata_audit.tlog.checkpoint import Checkpoint, open_checkpoint
from kata_audit.tlog.entry import decode_entry
from kata_audit.tlog.merkle import HASH_BYTES, Frontier, hash_leaf
from kata_audit.tlog.note import Verifier, parse_verifier
from kata_audit.tlog.tiles import TILE_WIDTH, entries_path, frame_entry, tile_path, tile_root


class Trouble(NamedTuple):
    """One thing that does not verify: where, and what is wrong, in words without bytes of any record."""

    where: str
    what: str


class Verdict(NamedTuple):
    """What a verification found.

    `sealed_to` is the number after the last sealed record; `unsealed` counts acknowledged records behind it, which only
    checksums protect; `notes` are no problems but should be read.
    """

    origin: str
    vkey: str
    size: int
    root: str
    sealed_to: int
    unsealed: int
    segments: int
    records: int
    gaps: int
    troubles: tuple[Trouble, ...]
    notes: tuple[str, ...]


class _Check:
    """One verification under way."""

    def __init__(self, layout: Layout, derive: Derive | None, derive_version: str, tell: Callable[[str], None]) -> None:
        self.layout = layout
        self.derive = derive
        self.derive_version = derive_version
        self.tell = tell
        self.troubles: list[Trouble] = []
        self.notes: list[str] = []
        self.entries: list[dict[str, Any]] = []
        self.live = Live()
        self.numbers: dict[int, bytearray] = {}
        self.unread: set[int] = set()
        """Batches that are named as damaged or missing: their numbers are not known."""
        self.unchecked = 0

    def trouble(self, where: Path | str, what: str) -> None:
        self.troubles.append(Trouble(str(where), what))


def fsck(
    root: Path,
    *,
    deep: bool,
    vkey: str | None = None,
    derive: Derive | None = None,
    derive_version: str = "",
    tell: Callable[[str], None] = lambda _text: None,
) -> Verdict:
    """Verify a store.

    Args:
        root: The store's directory.
        deep: Read every record too; else files are held against the log as wholes.
        vkey: The log's key from somewhere else than the store; None takes the one in the log's first entry.
        derive: Derives records from evidence, to hold the derived columns against (deep only).
        derive_version: The version of `derive`; records that another version derived are left out.
        tell: Told what is being done, for a person who waits.

    Returns:
        The verdict; it is good where `troubles` is empty.

    Raises:
        StoreError: There is no store, or it cannot be read at all.
    """
    layout = Layout(root)
    if not check_format(layout):
        raise StoreError("There is no store here.", where=str(root), hint="Name a store with --store.")
    check = _Check(layout, derive, derive_version, tell)
    tell("1 signature of the checkpoint")
    checkpoint = _check_signature(check, vkey)
    if checkpoint is not None:
        tell(f"2 tree of {checkpoint.size} log entries")
        if _check_tree(check, checkpoint):
            tell("3 entries of the log")
            _check_entries(check)
            tell(f"4 {len(check.live.files)} segments")
            _check_files(check, deep=deep)
            tell("5 numbers of records")
            if deep:
                _check_numbers(check)
            _check_strangers(check)
    unsealed = 0
    if check.live.entries:
        tell("6 spool and states")
        unsealed = _check_spool(check)
    return _verdict(check, checkpoint, unsealed)


def _check_signature(check: _Check, vkey: str | None) -> Checkpoint | None:
    """1: The newest checkpoint is signed by the log's key."""
    path = check.layout.checkpoint
    try:
        note = read_checkpoint(check.layout)
        if note is None:
            check.trouble(path, "the checkpoint is missing")
            return None
        verifier = parse_verifier(vkey) if vkey is not None else _own_key(check.layout)
        return open_checkpoint(note, verifier)
    except (VerificationError, ValueError) as error:
        check.trouble(path, f"the checkpoint does not verify: {error}")
    except OSError as error:
        raise StoreError("The store cannot be read.", where=str(path), hint="Let this user read the store.") from error
    return None


def _own_key(layout: Layout) -> Verifier:
    """Read the key that the log's first entry names: whoever wants more gives the key by hand."""
    first = decode_entry(next(read_entries(layout, 0, 1)))
    return parse_verifier(str(first.get("vkey", "")))


def _check_tree(check: _Check, checkpoint: Checkpoint) -> bool:
    """2: The entries lead to the checkpoint's root, and every tile says what they say."""
    frontier = Frontier()
    tree = _Tree()
    bundles: dict[int, bytes] = {}
    try:
        for index, data in enumerate(read_entries(check.layout, 0, checkpoint.size)):
            frontier.append(hash_leaf(data))
            tree.append(hash_leaf(data))
            bundles[index // TILE_WIDTH] = bundles.get(index // TILE_WIDTH, b"") + frame_entry(data)
            check.entries.append(decode_entry(data))
    except (VerificationError, OSError) as error:
        check.trouble(check.layout.log / "tile/entries", f"entry {len(check.entries)} cannot be read: {error}")
        return False
    if frontier.root() != checkpoint.root:
        check.trouble(check.layout.log / "tile/entries", "the entries do not lead to the root in the checkpoint")
        return False
    _check_log_files(check, checkpoint.size, tree, bundles)
    return True


class _Tree:
    """The tiles that entries make, worked out anew: all hashes of each level, joined."""

    def __init__(self) -> None:
        self.levels: list[bytearray] = []

    def append(self, leaf: bytes) -> None:
        level, hashed = 0, leaf
        while True:
            if level == len(self.levels):
                self.levels.append(bytearray())
            tiles = self.levels[level]
            tiles += hashed
            if len(tiles) % (TILE_WIDTH * HASH_BYTES):
                return
            hashed = tile_root(bytes(tiles[-TILE_WIDTH * HASH_BYTES :]))
            level += 1


def _check_log_files(check: _Check, size: int, tree: _Tree, bundles: Mapping[int, bytes]) -> None:
    """Hold each file of the log against what the entries make; a wider one than the checkpoint needs is a leftover."""
    log = check.layout.log
    expected: dict[Path, bytes] = {}
    for number, data in bundles.items():
        width = min(TILE_WIDTH, size - number * TILE_WIDTH)
        expected[log / entries_path(number, width)] = data
    for level, hashes in enumerate(tree.levels):
        for number in range(-(-len(hashes) // (TILE_WIDTH * HASH_BYTES))):
            tile = bytes(hashes[number * TILE_WIDTH * HASH_BYTES : (number + 1) * TILE_WIDTH * HASH_BYTES])
            expected[log / tile_path(level, number, len(tile) // HASH_BYTES)] = tile
    for path, data in expected.items():
        if not path.is_file():
            check.trouble(path, "this file of the log is missing")
        elif path.read_bytes() != data:
            check.trouble(path, "this file of the log is not what its entries make")
    known = {path: data for path, data in expected.items() if path.parent.name.endswith(".p")}
    for path in sorted(log.rglob("*")):
        if path.is_file() and path != check.layout.checkpoint and path not in expected:
            _check_leftover(check, path, known)


def _check_leftover(check: _Check, path: Path, known: Mapping[Path, bytes]) -> None:
    """A partial file beside the newest one is a step of the log's growth: one is a beginning of the other."""
    data = path.read_bytes()
    beside = [other for newest, other in known.items() if newest.parent == path.parent]
    if not beside or not (beside[0].startswith(data) or data.startswith(beside[0])):
        check.trouble(path, "this file of the log is no part of the log")
    elif len(data) > len(beside[0]):
        check.notes.append(f"{path}: one entry lies behind the checkpoint; the next writer completes it or takes it back")


def _check_entries(check: _Check) -> None:
    """3: Each entry goes on from those before it."""
    last = 0
    for index, entry in enumerate(check.entries):
        try:
            check.live.apply(entry)
        except (VerificationError, LookupError, TypeError, ValueError) as error:
            check.trouble(f"log entry {index}", f"it does not go on from the log before it: {error}")
            return
        if entry["time"] < last:
            check.trouble(f"log entry {index}", "its time runs backwards")
        last = entry["time"]


def _check_files(check: _Check, *, deep: bool) -> None:
    """4: Each live segment is there, byte for byte; deep, each record leads to its root in the log."""
    for number, file in enumerate(check.live.files.values(), start=1):
        path = check.layout.segment(file.name)
        check.tell(f"4 segment {number} of {len(check.live.files)}")
        try:
            mark = mark_file(path)
        except FileNotFoundError:
            check.trouble(path, f"the segment with batches {_numbers(file)} is missing")
            check.unread.update(file.batches)
            continue
        except OSError as error:
            check.trouble(path, f"the segment cannot be read: {error.strerror}")
            check.unread.update(file.batches)
            continue
        same = (mark.bytes, mark.sha256) == (file.bytes, file.sha256)
        if not same:
            check.trouble(path, "the segment's bytes are not those that the log committed to")
        if deep or not same:
            _examine(check, path, file, same=same)


def _numbers(file: LiveFile) -> str:
    return ", ".join(map(str, file.batches))


def _examine(check: _Check, path: Path, file: LiveFile, *, same: bool) -> None:
    """Look into a segment; one whose bytes changed though all its records verify is told apart."""
    roots = {n: check.live.batches[n].root for n in file.batches}
    derived_by = {check.entries[check.live.batches[n].entry]["derive"] for n in file.batches}
    derive = check.derive if derived_by == {check.derive_version} else None
    if check.derive is not None and derive is None:
        check.notes.append(f"{path}: derived by another version; its derived columns were not derived again")
    examined = examine(path, roots, derive)
    for problem in examined.problems:
        check.trouble(path, problem)
    if not same and not examined.problems:
        check.trouble(path, f"all blocks of batches {_numbers(file)} verify; what changed is outside the records")
    check.unchecked += examined.unchecked
    check.unread.update(set(file.batches) - set(examined.seqs))
    for n, seqs in examined.seqs.items():
        _mark_numbers(check, path, n, seqs)


def _mark_numbers(check: _Check, path: Path, n: int, seqs: Any) -> None:
    """Mark the numbers of a batch in its cut: ascending, in the cut, and nobody else's."""
    cut = check.entries[check.live.batches[n].entry]
    marks = check.numbers.setdefault(check.live.batches[n].entry, bytearray(cut["to"] - cut["from"]))
    previous = -1
    for seq in seqs.to_pylist():
        if not cut["from"] <= seq < cut["to"] or seq <= previous or marks[seq - cut["from"]]:
            check.trouble(path, f"batch {n}: number {seq} is out of order, out of its cut, or another record's too")
            return
        marks[seq - cut["from"]] = 1
        previous = seq


def _check_numbers(check: _Check) -> None:
    """5: Each number of a cut is one record's, or declared lost (L3); those of a damaged batch's records stay open."""
    for index, entry in enumerate(check.entries):
        if entry["t"] != "cut":
            continue
        marks = check.numbers.get(index, bytearray(entry["to"] - entry["from"]))
        for gap in entry["gaps"]:
            for seq in range(gap["from"], gap["to"]):
                marks[seq - entry["from"]] += 1
        unknown = sum(batch["records"] for batch in entry["batches"] if batch["n"] in check.unread)
        if max(marks, default=0) > 1 or marks.count(0) != unknown:
            check.trouble(f"log entry {index}", "its records and declared gaps are not its numbers, each once")


def _check_strangers(check: _Check) -> None:
    """No segment is there that the log does not name."""
    for path in sorted(check.layout.segments.rglob("*")):
        if not path.is_file():
            continue
        name = f"{path.parent.name}/{path.name}"
        if name in check.live.files:
            continue
        numbers = batches_of(name)
        unfinished = name in check.live.dead or numbers is None or numbers[1] >= check.live.next_batch
        if path.name.endswith(".tmp") or (numbers is not None and unfinished):
            check.notes.append(f"{path}: left by an unfinished act; the next writer removes it")
        else:
            check.trouble(path, "no log entry names this file")


def _check_spool(check: _Check) -> int:
    """6: What is acknowledged and not sealed can be read; the states of the last cut too."""
    layout, sealed = check.layout, check.live.sealed_to
    found = scan(layout, sealed)
    for item in found.items:
        if isinstance(item, Gap):
            check.trouble(layout.spool, f"records {item.first} to {item.end - 1} are lost: {item.reason}")
    for path, begin, end in found.bad:
        check.trouble(path, f"bytes {begin} to {end} are no frame of the spool")
    if found.torn is not None and _is_torn(found.torn):
        check.trouble(found.torn[0], f"no whole frame stands from byte {found.torn[1]} on: a crash or damage")
    if check.live.entries > 1 and sealed and load(layout, sealed) is None:
        check.trouble(layout.state_file(sealed), "the states of the last cut are missing or damaged; they can be rebuilt")
    return sum(item.rows for item in _frames(found.items, sealed))


class _Part(NamedTuple):
    rows: int


def _frames(items: tuple[Any, ...], sealed: int) -> Iterator[_Part]:
    for item in items:
        if not isinstance(item, Gap):
            yield _Part(item.first + item.rows - max(item.first, sealed))


def _is_torn(torn: tuple[Path, int]) -> bool:
    return torn[0].stat().st_size > torn[1]


def _verdict(check: _Check, checkpoint: Checkpoint | None, unsealed: int) -> Verdict:
    if check.unchecked:
        check.notes.append(f"derived columns of {check.unchecked} pieces of longer lines were not derived again")
    live = check.live
    cuts = [entry for entry in check.entries if entry["t"] == "cut"]
    return Verdict(
        origin=live.origin,
        vkey=live.vkey,
        size=checkpoint.size if checkpoint else 0,
        root=checkpoint.root.hex() if checkpoint else "",
        sealed_to=live.sealed_to,
        unsealed=unsealed,
        segments=len(live.files),
        records=sum(batch.records for batch in live.batches.values()),
        gaps=sum(gap["to"] - gap["from"] for cut in cuts for gap in cut["gaps"]),
        troubles=tuple(check.troubles),
        notes=tuple(check.notes),
    )
