"""The inbox: where commands leave records of ours for the store's one writer.

A command writes a file and fsyncs it; from then on the record will be in the store. The writer gives the file a name that
begins with the number which the record is about to get, makes that name durable, appends the record, and removes the file.
So the name tells after any crash whether the record is in: it is where the store has given that number away.
"""

import json
import os
import re
import stat
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from kata_audit.errors import StoreError
from kata_audit.schema.own import Said
from kata_audit.store.durable import Disk, RealDisk, explain, sync_names, tidy, write_file
from kata_audit.store.layout import Layout, check_format

MAX_MESSAGE_BYTES = 256 * 1024
"""The longest file that is taken in; a longer one is set aside."""
_MOST_AT_ONCE = 256
_MOST_BYTES_AT_ONCE = 2 << 20
"""Together they are one frame of the spool."""
_NAME = re.compile(r"(?:(?P<seq>[0-9]{20})\+)?(?P<time>[0-9]{20})-(?P<id>[0-9a-f]{32})\.json")
_KIND = re.compile(r"[a-z][a-z-]{0,31}")
_FINDINGS = "finding"
"""No command finds anything: what is judged enters with the cut that it was judged in."""
_TRIES = 3
"""A writer that opens the store removes temporary files, one of ours that is being written too."""


class Message(NamedTuple):
    """A record of ours that a command leaves.

    `message_id` is 32 hex digits that its sender drew; `time_ns` orders the messages that wait; `kind` is that of the
    record's receiver, `kata-audit:<kind>`; `line` is the record, spelled by `schema.own`.
    """

    message_id: str
    time_ns: int
    kind: str
    node: str
    tenant: str
    line: bytes


class Claimed(NamedTuple):
    """A message that the writer is taking in: its file, the number that its record gets, and what it says."""

    path: Path
    seq: int
    kind: str
    said: Said


def leave(root: Path, message: Message, *, disk: Disk | None = None) -> Path:
    """Leave a message for the writer of a store, running or not.

    Returns:
        The file; it is gone, under any name, once the record is in the store.

    Raises:
        StoreError: There is no store, or this user may not write to it.
    """
    layout = Layout(root)
    if not check_format(layout):
        raise StoreError("There is no store here.", where=str(root), hint="Name a store with --store.")
    path = layout.inbox / f"{message.time_ns:020d}-{message.message_id}.json"
    data = json.dumps({"v": 1, **_values(message)}, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    if _NAME.fullmatch(path.name) is None or _read(data, 0) is None or len(data) > MAX_MESSAGE_BYTES:
        raise RuntimeError("a message has an id, a kind, a node, a tenant and one line")
    for left in reversed(range(_TRIES)):
        try:
            write_file(disk or RealDisk(), path, data)
            break
        except OSError as error:
            if left and isinstance(error, FileNotFoundError):
                continue
            raise explain(error, doing="take a message", where=layout.inbox) from error
    return path


def is_waiting(root: Path, message_id: str) -> bool:
    """Say whether a message is still to be taken in."""
    with suppress(FileNotFoundError):
        return any(found["id"] == message_id for name in _names(Layout(root)) if (found := _NAME.fullmatch(name)))
    return False


def _names(layout: Layout) -> list[str]:
    return sorted(path.name for path in layout.inbox.iterdir())


def _values(message: Message) -> dict[str, str]:
    return {"kind": message.kind, "node": message.node, "tenant": message.tenant, "line": message.line.decode()}


def settle(disk: Disk, layout: Layout, next_seq: int) -> None:
    """Put right what the last writer left: remove the messages that are in, give the others their names back.

    Args:
        disk: What changes files.
        layout: The store.
        next_seq: The number behind the last durable record.

    Raises:
        OSError: As the disk says.
    """
    changed = False
    for name in _names(layout):
        found = _NAME.fullmatch(name)
        if found is None or found["seq"] is None:
            continue
        path = layout.inbox / name
        if int(found["seq"]) < next_seq:
            disk.unlink(path)
        else:
            disk.rename(path, path.with_name(name.partition("+")[2]))
            changed = True
    if changed:
        sync_names(disk, layout.inbox)


def claim(disk: Disk, layout: Layout, next_seq: int, now_ns: int) -> list[Claimed]:
    """Take hold of the messages that wait, oldest first: their files carry the numbers that their records are to get.

    Args:
        disk: What changes files.
        layout: The store, whose inbox is settled.
        next_seq: The number that the next record gets.
        now_ns: When they are taken in.

    Returns:
        The messages, in order; what is none is in quarantine.

    Raises:
        OSError: As the disk says; whoever claimed settles.
    """
    claimed: list[Claimed] = []
    size = 0
    for name in (name for name in _names(layout) if (found := _NAME.fullmatch(name)) and found["seq"] is None):
        if len(claimed) == _MOST_AT_ONCE or size > _MOST_BYTES_AT_ONCE:
            break
        path, seq = layout.inbox / name, next_seq + len(claimed)
        data = _load(path)
        read = None if data is None else _read(data, now_ns + len(claimed))
        if read is None or data is None:
            _set_aside(disk, layout, path)
            continue
        taken = path.with_name(f"{seq:020d}+{name}")
        disk.rename(path, taken)
        claimed.append(Claimed(taken, seq, *read))
        size += len(data)
    if claimed:
        sync_names(disk, layout.inbox)
    return claimed


def release(disk: Disk, claimed: Sequence[Claimed]) -> None:
    """Remove the files of messages whose records are durable; one that stays, or comes back, is known by its number."""
    for one in claimed:
        tidy(disk, one.path)


def _load(path: Path) -> bytes | None:
    """Read a file that a command left; None where it is none of ours."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    with os.fdopen(file, "rb") as opened:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            return None
        data = opened.read(MAX_MESSAGE_BYTES + 1)
    return data if len(data) <= MAX_MESSAGE_BYTES else None


def _read(data: bytes, said_ns: int) -> tuple[str, Said] | None:
    """Read a message; None for what is none."""
    try:
        values = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if not isinstance(values, dict) or values.pop("v", None) != 1 or values.keys() != {"kind", "node", "tenant", "line"}:
        return None
    if not all(isinstance(value, str) and value and value.isprintable() for name, value in values.items() if name != "line"):
        return None
    kind, line = values["kind"], values["line"]
    if not isinstance(line, str) or not line.endswith("\n") or line.count("\n") > 1:
        return None
    if not _KIND.fullmatch(kind) or kind == _FINDINGS:
        return None
    return kind, Said(said_ns, values["node"], values["tenant"], line.encode("utf-8", "backslashreplace"))


def _set_aside(disk: Disk, layout: Layout, path: Path) -> None:
    disk.rename(path, layout.quarantine / f"inbox-{path.name}")
    sync_names(disk, layout.quarantine)
