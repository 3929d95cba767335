"""StratoVirt's lines, and what is left of them behind the Go shim."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.evidence import column, derive, evidence
from tests.mutations import word_mutations

from kata_audit.parse.dialects.base import Scan
from kata_audit.parse.dialects.stratovirt import ABOUT, DIALECT
from kata_audit.schema.severity import ERROR, INFO, WARN
from kata_audit.schema.source import Transport

(LINE,) = ABOUT.examples
HEAD = "2026-01-01T10:00:00.123456789: [1234][1236][machine/src/lib.rs:77]"
STATED = {
    "time.local": "2026-01-01T10:00:00.123456789",
    "thread.id": "1236",
    "code.file.path": "machine/src/lib.rs",
    "code.line.number": "77",
}


def scan(*texts: str) -> Scan:
    return DIALECT.scan(texts, [False] * len(texts))


@pytest.mark.parametrize(
    ("text", "severity", "body"),
    [
        (LINE, WARN, "Failed to set up slot"),
        (f"{HEAD}:ERROR: a: b", ERROR, "a: b"),
        (f"{HEAD}started", INFO, "started"),
        (HEAD.replace("rs:77", "rs: 77") + ":INFO: started", INFO, "started"),
    ],
)
def test_a_line_states_process_thread_place_and_level(text: str, severity: int, body: str) -> None:
    """A head without a level is one that the Go shim took `:INFO: ` from."""
    read = scan(text)

    assert (read.columns["severity_number"], read.columns["body"]) == ([severity], [body])
    assert (read.columns["pid"], read.attributes) == (["1234"], [STATED])
    assert (read.columns["component"], read.malformed) == (["stratovirt"], [])


def test_a_line_without_a_head_is_text() -> None:
    """Its position says whose it is."""
    read = scan("Error: Failed to parse cmdline", "")

    assert (read.columns["severity_number"], read.malformed) == ([ERROR, None], [])


def test_a_relayed_line_has_its_own_process_and_the_shims_sandbox() -> None:
    """The shim's level, pid and time are the relay's."""
    line = (
        f'time="2026-01-01T12:00:00.5+02:00" level=error msg="{HEAD}:ERROR: no slot" "StratoVirt Pid"=1234'
        " name=containerd-shim-v2 pid=7 sandbox=ab source=virtcontainers subsystem=stratovirt\n"
    ).replace('"StratoVirt Pid"', "StratoVirt Pid")
    records = derive(evidence(line.encode(), Transport.HOST_FILE))

    assert (column(records, "body"), column(records, "component")) == (["no slot"], ["stratovirt"])
    assert (column(records, "pid"), column(records, "sandbox_id")) == ([1234], ["ab"])
    assert column(records, "timestamp") == [1_767_261_600_500_000_000]


def test_a_guest_that_prints_such_a_line_is_no_stratovirt() -> None:
    """On a console the name is a claim."""
    assert column(derive(evidence(f"{LINE}\n".encode(), Transport.CONSOLE)), "component") == ["other"]


def test_changed_lines_are_read_right_or_marked() -> None:
    """A line is read with parts that stand in it, or is marked and keeps its text."""
    for kind, changed in word_mutations(LINE, seed=23):
        read = scan(changed)
        [body], [stated] = read.columns["body"], read.attributes

        if stated:
            assert changed.startswith(stated["time.local"]), kind
            assert changed.endswith(body), kind
        else:
            assert body == changed, kind


@given(st.text(max_size=200))
def test_no_text_breaks_it(text: str) -> None:
    """Hostile text stays text."""
    assert len(scan(text, f"{HEAD}{text}").columns["body"]) == 2
