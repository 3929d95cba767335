"""What a command leaves beside a running writer is in the store once, whatever happens at any act of the disk."""

import errno
import json
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from tests.evidence import column
from tests.fault.disks import Death, FaultDisk
from tests.fault.oracle import examine
from tests.findings import ACT
from tests.mutations import json_mutations
from tests.unit.store.rows import batches, evidence

from kata_audit.clock import ManualClock
from kata_audit.errors import StoreError, StoreStoppedError
from kata_audit.schema.act import ACT_KIND, to_line
from kata_audit.store.inbox import MAX_MESSAGE_BYTES, Message, is_waiting, leave
from kata_audit.store.writer import Writer, open_writer

LINE = to_line(ACT)


def message(number: int, **change: object) -> Message:
    return Message(f"{number:032x}", 10**18 - number, ACT_KIND, "lab/worker", "default", LINE)._replace(**change)  # type: ignore[arg-type]


def store(root: Path) -> None:
    with open_writer(root, clock=ManualClock()):
        pass


def waiting(writer: Writer) -> list[bytes]:
    found = writer.unsealed()
    return [] if found is None else column(found[1], "raw")


def test_what_is_left_is_taken_in_oldest_first(tmp_path: Path) -> None:
    """Beside a running writer, in the order of the acts, as records of ours; the files go."""
    root = tmp_path / "store"
    with open_writer(root, clock=ManualClock()) as writer:
        paths = [leave(root, message(number)) for number in range(3)]
        assert [stat.S_IMODE(path.parent.stat().st_mode) for path in paths] == [0o700] * 3
        assert [is_waiting(root, f"{number:032x}") for number in range(4)] == [True, True, True, False]
        writer.append(evidence([b"one\n"]))
        taken = writer.take_inbox()

        assert taken is not None
        assert column(taken, "receiver") == ["kata-audit:act"] * 3
        assert column(taken, "node") == ["lab/worker"] * 3
        assert waiting(writer) == [b"one\n", LINE, LINE, LINE]
        assert len(set(column(taken, "cursor"))) == 3
        assert list((root / "inbox").iterdir()) == []
        assert writer.take_inbox() is None


def test_a_long_queue_is_taken_in_parts(tmp_path: Path) -> None:
    root = tmp_path / "store"
    store(root)
    for number in range(300):
        leave(root, message(number))
    with open_writer(root, clock=ManualClock()) as writer:
        counts = [0 if (rows := writer.take_inbox()) is None else rows.num_rows for _ in range(3)]

    assert counts == [256, 44, 0]


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[" * 5000,
        b'{"v":1}',
        b'{"v":2,"kind":"act","node":"n","tenant":"t","line":"x\\n"}',
        b'{"v":1,"kind":"act","node":"n","tenant":"t","line":"x"}',
        b'{"v":1,"kind":"act","node":"n","tenant":"t","line":"x\\ny\\n"}',
        b'{"v":1,"kind":"act","node":"n\\u0000","tenant":"t","line":"x\\n"}',
        b'{"v":1,"kind":"../x","node":"n","tenant":"t","line":"x\\n"}',
        b'{"v":1,"kind":"finding","node":"n","tenant":"t","line":"x\\n"}',
        b'{"v":1,"kind":"act","node":"n","tenant":"t","line":7}',
        b" " * (MAX_MESSAGE_BYTES + 1),
    ],
)
def test_what_is_no_message_is_set_aside(tmp_path: Path, text: bytes) -> None:
    """It is kept for a person, and what comes behind it is taken in."""
    root = tmp_path / "store"
    store(root)
    name = f"{5:020d}-{'0' * 32}.json"
    (root / "inbox" / name).write_bytes(text)
    leave(root, message(1))
    with open_writer(root, clock=ManualClock()) as writer:
        writer.take_inbox()
        assert waiting(writer) == [LINE]

    assert (root / "quarantine" / f"inbox-{name}").read_bytes() == text


def test_whatever_stands_in_a_file_is_taken_in_or_set_aside(tmp_path: Path) -> None:
    """No change of a message breaks the writer, and none is lost."""
    root = tmp_path / "store"
    store(root)
    whole = leave(root, message(0)).read_text()
    texts = [text for seed in range(9) for _, text in json_mutations(whole, seed=seed)]
    for number, text in enumerate(texts, start=1):
        (root / "inbox" / f"{5:020d}-{number:032x}.json").write_text(text, errors="surrogatepass")
    with open_writer(root, clock=ManualClock()) as writer:
        taken = sum(rows.num_rows for rows in iter(writer.take_inbox, None))
        assert [raw for raw in waiting(writer) if not raw.endswith(b"\n") or b"\n" in raw[:-1]] == []

    assert taken + len(list((root / "quarantine").iterdir())) == len(texts) + 1
    assert list((root / "inbox").iterdir()) == []


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    root = tmp_path / "store"
    store(root)
    (tmp_path / "elsewhere").write_text(json.dumps({"v": 1, "kind": "act", "node": "n", "tenant": "t", "line": "x\n"}))
    (root / "inbox" / f"{5:020d}-{'0' * 32}.json").symlink_to(tmp_path / "elsewhere")
    os.mkfifo(root / "inbox" / f"{5:020d}-{'1' * 32}.json")
    (root / "inbox" / "notes.txt").write_text("left alone")
    with open_writer(root, clock=ManualClock()) as writer:
        assert writer.take_inbox() is None

    assert [path.name for path in (root / "inbox").iterdir()] == ["notes.txt"]
    assert len(list((root / "quarantine").iterdir())) == 2


def test_leaving_says_what_keeps_it_from_it(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no store") as caught:
        leave(tmp_path / "none", message(0))
    assert caught.value.hint
    store(tmp_path / "store")
    with pytest.raises(StoreError, match="could not take a message") as caught:
        leave(tmp_path / "store", message(0), disk=FaultDisk(tmp_path, fail_at=1, error=errno.EACCES))
    assert caught.value.where == str(tmp_path / "store" / "inbox")
    with pytest.raises(RuntimeError):
        leave(tmp_path / "store", message(0, line=b"two\nlines\n"))


def test_a_writer_that_opens_may_remove_what_is_being_written(tmp_path: Path) -> None:
    """A temporary file that goes away under a command is written again."""
    root = tmp_path / "store"
    store(root)

    class Sweeping(FaultDisk):
        def rename(self, source: Path, target: Path) -> None:
            if source.name.endswith(".tmp") and "rename" not in self.acts:
                source.unlink()
            super().rename(source, target)

    disk = Sweeping(tmp_path)
    path = leave(root, message(0), disk=disk)
    disk.close()

    assert path.exists()
    assert disk.acts.count("rename") == 2


def _life(root: Path, disk: FaultDisk, confirmed: list[int]) -> None:
    """A writer that takes three messages in, with a record before, between and behind, and seals them."""
    with open_writer(root, clock=ManualClock(), disk=disk) as writer:
        for number in range(3):
            leave(root, message(number), disk=disk)
            confirmed.append(number)
            writer.append(evidence([b"%d\n" % number], stream=f"s{number}"))
            if number != 1:
                writer.take_inbox()
        found = writer.unsealed()
        assert found is not None
        writer.seal(found[0], batches(found[1]), derive="1", states={})


def _taken(root: Path) -> list[bytes]:
    """Open the store again, append a record without asking the inbox, then ask it, and give the messages that are in."""
    with open_writer(root, clock=ManualClock()) as writer:
        writer.append(evidence([b"later\n"], stream="later"))
        writer.take_inbox()
        found = writer.unsealed()
        assert found is not None
        writer.seal(found[0], batches(found[1]), derive="1", states={})
    held = examine(root)
    return [raw for _, raw in sorted(held.sealed.items()) if raw == LINE]


def _left(root: Path) -> int:
    return sum(path.name.endswith(".json") for path in (root / "inbox").glob("*.json"))


_EVERY_ACT = pytest.mark.torture


@pytest.mark.parametrize(
    ("power", "after"),
    [(True, True), pytest.param(False, False, marks=_EVERY_ACT), (False, True), pytest.param(True, False, marks=_EVERY_ACT)],
)
def test_a_death_at_any_act_leaves_each_message_once(tmp_path: Path, *, after: bool, power: bool) -> None:
    """Every message that `leave` confirmed is in the store once, and no other is in it twice."""
    points = _run(tmp_path / "dry", 0, after=after, power=False)[0]
    assert points > 60
    for point in range(1, points + 1):
        _, confirmed, root = _run(tmp_path / str(point), point, after=after, power=power)
        if not (root / "format").exists():
            assert confirmed == 0
            continue
        assert confirmed <= len(_taken(root)) <= min(confirmed + 1, 3), point
        assert _left(root) == 0


def _run(place: Path, die_at: int, *, after: bool, power: bool) -> tuple[int, int, Path]:
    (place / "side").mkdir(parents=True)
    root, disk = place / "store", FaultDisk(place / "side", die_at=die_at, after=after)
    confirmed: list[int] = []
    with suppress(Death):
        _life(root, disk, confirmed)
    if power:
        disk.lose_power()
    disk.close()
    return len(disk.acts), len(confirmed), root


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC])
def test_a_failure_at_any_act_leaves_each_message_once(tmp_path: Path, error: int) -> None:
    """The same writer goes on where it may, and never gives a waiting message's number to another record."""
    points = _run(tmp_path / "dry", 0, after=False, power=False)[0]
    for point in range(1, points + 1):
        (tmp_path / str(point) / "side").mkdir(parents=True)
        root, disk = tmp_path / str(point) / "store", FaultDisk(tmp_path / str(point) / "side", fail_at=point, error=error)
        confirmed = _stubborn_life(root, disk)
        disk.close()
        if (root / "format").exists():
            assert confirmed <= len(_taken(root)) <= min(confirmed + 1, 3), point
            assert _left(root) == 0


def _stubborn_life(root: Path, disk: FaultDisk) -> int:
    """Go on after every failure, as a collector does, until the writer stops."""
    confirmed: list[int] = []
    with suppress(StoreError), open_writer(root, clock=ManualClock(), disk=disk) as writer:
        for number in range(3):
            for act in (
                _leave(root, number, disk, confirmed),
                writer.take_inbox,
                _append(writer, number),
                writer.take_inbox,
            ):
                try:
                    act()
                except StoreStoppedError:
                    return len(confirmed)
                except StoreError:
                    continue
    return len(confirmed)


def _leave(root: Path, number: int, disk: FaultDisk, confirmed: list[int]) -> Callable[[], object]:
    def act() -> None:
        leave(root, message(number), disk=disk)
        confirmed.append(number)

    return act


def _append(writer: Writer, number: int) -> Callable[[], object]:
    return lambda: writer.append(evidence([b"%d\n" % number], stream=f"s{number}"))
