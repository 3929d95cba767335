"""nydusd's lines, coloured or not, with a place or without."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.evidence import column, derive, evidence
from tests.mutations import word_mutations

from kata_audit.parse.dialects.base import Scan
from kata_audit.parse.dialects.nydusd import ABOUT, DIALECT
from kata_audit.schema.severity import FATAL, INFO, WARN
from kata_audit.schema.source import Transport

STARTED, FAILED = ABOUT.examples
PLACE = {"code.file.path": "src/bin/nydusd/main.rs", "code.line.number": "518"}


def scan(*texts: str) -> Scan:
    return DIALECT.scan(texts, [False] * len(texts))


@pytest.mark.parametrize(
    ("text", "severity", "body", "attributes"),
    [
        (STARTED, INFO, "Program Version: v2.2.0", {}),
        (FAILED, WARN, "failed to mount, exiting", PLACE),
        (FAILED.replace("WARN", "\x1b[33mWARN\x1b[0m"), WARN, "failed to mount, exiting", PLACE),
        (STARTED.replace("Program", "[rafs] Program"), INFO, "[rafs] Program Version: v2.2.0", {}),
    ],
)
def test_a_line_states_time_level_and_place(text: str, severity: int, body: str, attributes: dict[str, str]) -> None:
    """The place stands in brackets and names a source file; other brackets are the text's."""
    read = scan(text)

    assert (read.columns["severity_number"], read.columns["body"]) == ([severity], [body])
    assert read.attributes == [attributes]
    assert (read.columns["component"], read.malformed) == (["nydusd"], [])
    assert read.columns["time"] == [f"2026-01-01T{text[12:27]}+08:00"]


def test_other_lines_at_its_position_are_text() -> None:
    """A panic has no head."""
    read = scan("thread 'main' panicked at src/main.rs:1:2:", "")

    assert (read.columns["severity_number"], read.malformed) == ([FATAL, None], [])


def test_a_file_of_it_is_recognised_and_a_guests_is_a_claim() -> None:
    """No other program on a node writes this head."""
    host, guest = (derive(evidence(f"{FAILED}\n".encode(), t)) for t in (Transport.HOST_FILE, Transport.CONSOLE))

    assert (column(host, "component"), column(host, "timestamp")) == (["nydusd"], [1_767_261_654_601_124_000])
    assert column(guest, "component") == ["other"]


@pytest.mark.parametrize("text", [STARTED, FAILED])
def test_changed_lines_are_read_right_or_marked(text: str) -> None:
    """A line is read with its own time and text, or keeps its whole text."""
    for kind, changed in word_mutations(text, seed=31):
        read = scan(changed)
        [body], [time] = read.columns["body"], read.columns["time"]

        if time is None:
            assert (body, read.attributes) == (changed, [{}]), kind
        else:
            assert changed.startswith(f"[{time[:10]} "), kind
            assert changed.endswith(body), kind


def test_a_torn_head_is_marked() -> None:
    """It keeps its text and states nothing."""
    assert scan(FAILED[:30]).malformed == [0]


@given(st.text(max_size=200))
def test_no_text_breaks_it(text: str) -> None:
    """Hostile text stays text."""
    assert len(scan(text, f"[2026-01-01 18:00:54.567868 +08:00] {text}").columns["body"]) == 2
