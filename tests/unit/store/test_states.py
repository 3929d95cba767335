"""States and cursors come back as they were saved, and anything else comes back as nothing."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kata_audit.schema.cursor import Cursor, parse_cursor
from kata_audit.store.checked import spell_checked
from kata_audit.store.durable import RealDisk
from kata_audit.store.layout import Layout
from kata_audit.store.states import Saved, load, newest_cursors, save


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    saved = Saved({"windows": b"\0\xff"}, {"a?1-2-ff": Cursor("a?1-2-ff", 3, 4, 1), "b": Cursor("b", 0, 9)})
    save(RealDisk(), layout, 17, saved)

    assert load(layout, 17) == saved
    assert load(layout, 18) is None


@pytest.mark.parametrize(
    "change", [{"v": 2}, {"sealed": 16}, {"states": []}, {"states": {"a": "*"}}, {"cursors": {"a": 1}}, None]
)
def test_what_is_broken_is_as_if_it_were_lost(tmp_path: Path, change: dict[str, object] | None) -> None:
    layout = Layout(tmp_path)
    path = save(RealDisk(), layout, 17, Saved({}, {}))
    value = json.loads(path.read_bytes().partition(b" ")[2])
    path.write_bytes(b"{" if change is None else spell_checked({**value, **change}))

    assert load(layout, 17) is None


def rows(cursors: list[str], raws: list[bytes] | None = None) -> Any:
    """Columns as a writer has them."""
    columns = [pa.array(cursors, pa.string()), pa.array(raws or [b""] * len(cursors), pa.large_binary())]
    return pa.RecordBatch.from_arrays(columns, ["cursor", "raw"])


def test_the_last_cursor_of_each_stream_is_the_newest() -> None:
    texts = ["a@0+5", "b@7+1", "a@5+5~0", "heartbeat", "a@10+2~0", "b@8+1"]

    assert newest_cursors(rows(texts)) == {"a": Cursor("a", 10, 2, 0), "b": Cursor("b", 8, 1)}
    assert newest_cursors(rows([])) == {}


def test_the_newest_cursor_of_the_journal_has_the_journals_name_for_it() -> None:
    """A piece has the name of its entry, wherever that began; a second stream of bytes has none."""
    entry, last = b"__CURSOR=s=1;i=2\nA=1\n\n", b"__CURSOR=s=1;i=3\nMESS"
    found = newest_cursors(rows(["a@0+1", "journald?@0+20", "journald?@20+20~20"], [b"x", entry, last]))
    after = newest_cursors(rows(["journald?@40+5~20"], [b"AGE=x"]), found)

    assert found == {"a": Cursor("a", 0, 1), "journald?": Cursor("journald?", 20, 20, 20, "s=1;i=3")}
    assert after == {"journald?": Cursor("journald?", 40, 5, 20, "s=1;i=3")}
    assert newest_cursors(rows(["journald?@0+20"], [entry]))["journald?"].position == "s=1;i=2"
    assert newest_cursors(rows(["journald?@40+5~30"], [b"AGE=x"]), found)["journald?"].position is None


def test_a_flip_in_a_state_file_is_seen(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    path = save(RealDisk(), layout, 17, Saved({"a": b"b"}, {"b": Cursor("b", 0, 9)}))
    whole = path.read_bytes()
    for position in range(len(whole)):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])

        assert load(layout, 17) is None


@given(
    st.text(st.characters(exclude_characters="@")),
    st.integers(0),
    st.integers(0),
    st.none() | st.integers(0),
    st.none() | st.just("s=1;i=2;b=3"),
)
def test_cursors_round_trip(stream: str, offset: int, length: int, line: int | None, position: str | None) -> None:
    cursor = Cursor(stream, offset, length, line, position)

    assert parse_cursor(str(cursor)) == cursor
