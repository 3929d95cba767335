"""What a writer does before its first act: put right what the last one left, and say what it found.

Nothing here decides what is evidence: the log does. A file that the log names stays; one that an unsealed cut left behind
goes, for its records are in the spool; anything else is moved to quarantine and reported.
"""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from kata_audit.errors import SegmentMismatchError, StoreError
from kata_audit.store.durable import Disk, make_directories, sync_names
from kata_audit.store.layout import TEMPORARY, Layout, batches_of
from kata_audit.store.live import Live
from kata_audit.store.segment import Mark, check_segment
from kata_audit.store.spool import Gap, Spool, cut_torn_tail, scan, set_aside


class Recovery(NamedTuple):
    """What a writer found when it opened a store; all empty after a clean end.

    Attributes:
        signed_forward: An entry that was whole got the checkpoint that a crash kept from it.
        dropped_entry: An entry that could not be completed was taken back; its records are in the spool.
        torn_bytes: Bytes behind the spool's last whole frame; they were never acknowledged.
        gaps: Acknowledged records that are lost; the next cut declares them.
        quarantined: Files now in quarantine.
        missing: Live segments that are not there.
    """

    signed_forward: bool = False
    dropped_entry: bool = False
    torn_bytes: int = 0
    gaps: tuple[Gap, ...] = ()
    quarantined: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


def remove_temporaries(disk: Disk, layout: Layout) -> None:
    """Remove files that nobody finished writing.

    Raises:
        OSError: As the disk says.
    """
    for folder in (layout.root, *layout.folders):
        inner = folder.glob(f"*{TEMPORARY}") if folder == layout.root else folder.rglob(f"*{TEMPORARY}")
        for path in sorted(inner):
            with suppress(FileNotFoundError):  # a command was quicker to finish what it leaves in the inbox
                disk.unlink(path)


def is_complete(layout: Layout, live: Live, entry: Mapping[str, Any]) -> bool:
    """Say whether an entry that no checkpoint covers may get one: it goes on from the log and its files are whole."""
    try:
        _check_entry(layout, live, entry)
    except (SegmentMismatchError, StoreError, OSError, LookupError, TypeError, ValueError):
        return False
    return True


def _check_entry(layout: Layout, live: Live, entry: Mapping[str, Any]) -> None:
    kind = entry["t"]
    if kind == "cut":
        if entry["from"] != live.sealed_to or not layout.state_file(entry["to"]).exists():
            raise StoreError("The entry does not go on from the log.")
        files = [(batch["file"], {batch["n"]: bytes.fromhex(batch["root"])}) for batch in entry["batches"]]
    elif kind == "compact":
        files = [(file, {n: live.batches[n].root for n in file["batches"]}) for file in entry["outputs"]]
    else:
        files = []
    for file, roots in files:
        check_segment(layout.segment(file["name"]), Mark(file["bytes"], file["sha256"]), roots)


def sweep(disk: Disk, layout: Layout, live: Live) -> tuple[list[str], list[str]]:
    """Remove or set aside segments and states that the log does not name.

    Returns:
        Files moved to quarantine, and live segments that are missing.

    Raises:
        OSError: As the disk says.
    """
    quarantined = []
    for path in sorted(layout.segments.rglob("*")):
        name = path.relative_to(layout.segments).as_posix()
        if path.is_dir() or name in live.files:
            continue
        batches = batches_of(name)
        if name in live.dead or (batches is not None and batches[0] >= live.next_batch):
            disk.unlink(path)
            continue
        quarantined.append(_move_aside(disk, layout, path))
    for path in sorted(layout.state.glob("*.json")):
        if path != layout.state_file(live.sealed_to):
            disk.unlink(path)
    missing = [name for name in live.files if not layout.segment(name).exists()]
    return quarantined, missing


def _move_aside(disk: Disk, layout: Layout, path: Path) -> str:
    target = layout.quarantine / f"segment-{path.parent.name}-{path.name}"
    make_directories(disk, target.parent)
    disk.rename(path, target)
    sync_names(disk, target.parent)
    return target.name


def open_spool(disk: Disk, layout: Layout, sealed: int) -> tuple[Spool, int, list[Gap], list[str]]:
    """Read the spool, cut a torn tail off and set damage aside.

    Returns:
        The spool, how many torn bytes went, gaps behind `sealed`, and files now in quarantine.

    Raises:
        OSError: As the disk says.
    """
    found = scan(layout, sealed)
    aside = [set_aside(disk, layout, *stretch).name for stretch in found.bad]
    torn = 0
    if found.torn is not None:
        path, keep = found.torn
        torn = path.stat().st_size - keep
        cut_torn_tail(disk, found.torn)
    spool = Spool(disk, layout, found.items, sealed)
    spool.trim(sealed)
    return spool, torn, [item for item in found.items if isinstance(item, Gap)], aside
