"""No text of a log gets to a terminal as anything but visible characters."""

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kata_audit.cli.output import csv_cell, csv_lines, json_line, json_lines
from kata_audit.cli.terminal import escape_json, fit, is_coloured, show, table, width_of

HOSTILE = {
    "colour": "\x1b[31mred\x1b[0m",
    "title": "\x1b]0;owned\x07",
    "link": "\x1b]8;;http://evil.example\x1b\\click\x1b]8;;\x1b\\",
    "clipboard": "\x1b]52;c;cm0gLXJmIC8=\x07",
    "answerback": "\x1bP$qm\x1b\\",
    "sixel": "\x1bPq#0;2;0;0;0~\x1b\\",
    "eight bit CSI": "\x9b31m",
    "eight bit OSC": "\x9d0;owned\x9c",
    "bidi override": "user\u202etxt.exe",
    "bidi isolate": "\u2066a\u2069",
    "zero width": "ad\u200bmin\ufeff\u200d",
    "soft hyphen": "ro\u00adot",
    "line ends": "a\r\nb\nc\x85d\u2028e\u2029f",
    "nul and delete": "\x00\x7f",
    "tags": "\U000e0041\U000e0001",
    "private use": "\ue000\U000f0000",
    "hangul filler": "a\u3164b\u115f\uffa0",
    "braille blank": "\u2800",
    "variation selector": "a\ufe0f\U000e0100",
    "backspace": "rm -rf\b\b\b\b\b\bls",
}
TRIGGERS = (
    "=1+1",
    "@SUM(1)",
    "-2+3",
    "+1",
    "\t=1",
    '"=1',
    "\uff1d1",
    ";=1",
    "\r=1",
    "\n=1",
    "\0=1",
    " =1",
    "\ufeff=1",
    "'=1",
)


def is_visible(text: str) -> bool:
    """Say whether a text is one line of characters that show and do nothing else; asked of Unicode, not of our code."""
    return text.isprintable() and not set(text) & set("\u3164\u115f\u1160\uffa0\u2800\ufe0f\u034f\U000e0100")


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_text_is_shown(text: str) -> None:
    """Every sequence that a terminal would act on is spelled out, in every form of output."""
    assert is_visible(show(text))
    assert is_visible(json_line({"body": text}))
    assert is_visible(csv_cell(text))
    assert all(is_visible(line) for line in table(["a", "b"], [[text, text]], width=40))


@given(st.text())
def test_any_text_is_shown(text: str) -> None:
    """There is no text that gets through."""
    assert is_visible(show(text))
    assert is_visible(fit(text, 10))
    assert width_of(fit(text, 10)) <= 10


@given(st.dictionaries(st.text(), st.text(alphabet=st.characters(exclude_categories=["Cs"])), max_size=3))
def test_escaped_json_keeps_its_value(row: dict[str, str]) -> None:
    """The spelling of JSON changes and its value does not."""
    assert json.loads(escape_json(json.dumps(row, ensure_ascii=False))) == row


def test_visible_text_is_left_alone() -> None:
    """Text of any language reads as it was written."""
    assert show("größe 日本語 señal 'quoted' \\x41") == "größe 日本語 señal 'quoted' \\x41"
    assert show("\x1b[31m") == "\\x1b[31m"
    assert show("\u202e\U000e0041") == "\\u202e\\U000e0041"


@pytest.mark.parametrize("cell", TRIGGERS)
def test_no_cell_is_a_formula(cell: str) -> None:
    """A spreadsheet that opens our CSV runs nothing."""
    written = "\n".join(csv_lines([{"body": cell}], ["body"]))
    value = list(csv.reader(io.StringIO(written)))[1][0]

    assert value.startswith("'")
    assert value[1:] == show(cell)


def test_numbers_are_no_formulas() -> None:
    """A negative number stays a number."""
    assert csv_cell(-2) == '"-2"'
    assert csv_cell(None) == '""'


def test_csv_is_quoted_and_raw_bytes_have_their_own_column() -> None:
    """Quotes are doubled; bytes that are no text stand in `raw_b64`."""
    lines = list(csv_lines([{"body": 'a "b"', "raw_b64": "/w=="}], ["body", "raw"]))

    assert lines == ['"body","raw","raw_b64"', '"a ""b""","","/w=="']


def test_json_is_written_row_by_row() -> None:
    """`json` is one array, also of nothing; `jsonl` is a row per line."""
    rows = [{"a": 1}, {"a": 2}]

    assert json.loads("\n".join(json_lines(rows, "json"))) == rows
    assert json.loads("\n".join(json_lines([], "json"))) == []
    assert list(json_lines(rows, "jsonl")) == ['{"a":1}', '{"a":2}']


def test_a_table_fits_its_terminal() -> None:
    """Columns shrink to the width, wide characters count twice, and any number of rows streams through."""
    rows = (["x" * 300, "日本語" * 40, str(number)] for number in range(1000))
    lines = list(table(["one", "two", "three"], rows, width=60))

    assert len(lines) == 1001
    assert max(map(width_of, lines)) <= 60
    assert "…" in lines[1]


def test_colour_is_for_terminals_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe gets no colour, and neither does a person who asked for none."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert is_coloured(Terminal())
    assert not is_coloured(io.StringIO())
    monkeypatch.setenv("NO_COLOR", "1")
    assert not is_coloured(Terminal())
