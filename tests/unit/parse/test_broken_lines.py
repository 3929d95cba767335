"""A line longer than journald takes is one record of many rows."""

import json

from hypothesis import given
from hypothesis import strategies as st
from tests.evidence import column, derive, evidence

from kata_audit.parse.broken_lines import Broken
from kata_audit.schema.record import RecordRows
from kata_audit.schema.source import Transport

SHIM = (
    'time="2026-11-23T06:06:45.519310264Z" level=info msg="Using sandbox shm" name=containerd-shim-v2 pid=270'
    " sandbox=b06c14f9467f8952a0ebe6f2bfdf106d0af701abc7031f950dc6c10ce6fad98f shm-size=67108864 source=virtcontainers"
)


def entry(message: str, stream: str, *, goes_on: bool = False) -> dict[str, str]:
    fields = {"__CURSOR": "c", "__REALTIME_TIMESTAMP": "1795414671449476", "_BOOT_ID": "b", "_TRANSPORT": "stdout"}
    return {
        **fields,
        "SYSLOG_IDENTIFIER": "containerd",
        "_STREAM_ID": stream,
        "MESSAGE": message,
        **({"_LINE_BREAK": "line-max"} if goes_on else {}),
    }


def parsed(*entries: dict[str, str]) -> RecordRows:
    return derive(evidence("".join(json.dumps(one) + "\n" for one in entries).encode(), Transport.JOURNAL_JSON))


def test_pieces_of_a_line_are_rows_and_the_last_is_the_record() -> None:
    """Other streams between them change nothing; all pieces share a group."""
    records = parsed(
        entry(SHIM[:60], "a", goes_on=True),
        entry("hello", "b"),
        entry(SHIM[60:150], "a", goes_on=True),
        entry(SHIM[150:], "a"),
    )

    assert column(records, "parse_status") == ["fragment", "envelope", "fragment", "parsed"]
    assert column(records, "body") == [None, "hello", None, "Using sandbox shm"]
    assert column(records, "pid")[3] == 270
    groups = column(records, "frame_group")
    assert groups[0] == groups[2] == groups[3] == "test?1-2-aa@0"
    assert groups[1] is None


def test_a_piece_is_no_record_of_its_own() -> None:
    """Where a line is cut, its writer may have chosen: a piece that looks like a record states nothing."""
    records = parsed(entry("x" * 100, "a", goes_on=True), entry(SHIM, "a"))
    unended = parsed(entry(SHIM, "a", goes_on=True))

    assert column(records, "body") == [None, "x" * 100 + SHIM]
    assert column(records, "sandbox_id") == [None, None]
    assert (column(unended, "parse_status"), column(unended, "sandbox_id")) == (["fragment"], [None])


def test_a_line_is_joined_wherever_its_pieces_stand_among_many_rows() -> None:
    """Rows are parsed in slices; a line that begins in one is finished with it."""
    for at in (400, 511, 512, 1023):
        entries = [entry("x", "b")] * at + [entry(SHIM[:60], "a", goes_on=True), entry(SHIM[60:], "a")]

        assert column(parsed(*entries), "body")[-1] == "Using sandbox shm"


def test_other_ends_of_a_line_break_nothing() -> None:
    """A stream that ends without a newline, or whose process changes, ends its line."""
    for reason in ("eof", "nul", "pid-change"):
        records = parsed({**entry(SHIM, "a"), "_LINE_BREAK": reason}, entry(SHIM, "a"))

        assert column(records, "parse_status") == ["parsed", "parsed"]


def joined(entries: list[dict[str, str]]) -> Broken:
    broken = Broken()
    for row, fields in enumerate(entries):
        broken.add(row, fields)
    broken.end()
    return broken


def test_a_line_without_end_stays_in_pieces() -> None:
    """What is joined is bounded."""
    broken = joined([entry("x" * (1 << 20), "a", goes_on=number < 8) for number in range(9)])

    assert set(broken.texts.values()) == {None}


@given(st.lists(st.tuples(st.sampled_from("ab"), st.booleans(), st.text(max_size=3)), max_size=12))
def test_joined_lines_hold_each_piece_once(pieces: list[tuple[str, bool, str]]) -> None:
    """Whatever the order of two streams, the joined texts and the open pieces are all that was written in pieces."""
    entries = [entry(text, stream, goes_on=goes_on) for stream, goes_on, text in pieces]
    broken = joined(entries)

    for row, text in broken.texts.items():
        if text is not None:
            rows = [other for other, first in broken.first.items() if first == broken.first[row]]
            assert text == "".join(pieces[other][2] for other in sorted(rows))
            assert len({pieces[other][0] for other in rows}) == 1
