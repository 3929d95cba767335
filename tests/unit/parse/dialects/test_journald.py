"""journald's own messages say what was lost or removed."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.evidence import column, derive, evidence
from tests.mutations import word_mutations

from kata_audit.parse.dialects.base import Scan
from kata_audit.parse.dialects.journald import ABOUT, DIALECT
from kata_audit.schema.source import Transport

SUPPRESSED = ABOUT.examples[0]


def scan(*texts: str) -> Scan:
    return DIALECT.scan(texts, [False] * len(texts))


@pytest.mark.parametrize(
    ("text", "attributes"),
    [
        (SUPPRESSED, {"count": "173433", "systemd.unit": "containerd.service"}),
        ("Missed 12 kernel messages", {"count": "12"}),
        ("Forwarding to syslog missed 4 messages.", {"count": "4"}),
        (
            "File /var/log/journal/4f6a/system.journal corrupted or uncleanly shut down, renaming and replacing.",
            {"file.path": "/var/log/journal/4f6a/system.journal"},
        ),
        (
            "Deleted archived journal /var/log/journal/4f6a/system@0.journal (8.0M).",
            {"file.path": "/var/log/journal/4f6a/system@0.journal"},
        ),
        ("Deleted empty archived journal /run/log/journal/a b.journal (0B).", {"file.path": "/run/log/journal/a b.journal"}),
        ("Journal started", {}),
    ],
)
def test_a_message_states_its_number_and_what_it_is_about(text: str, attributes: dict[str, str]) -> None:
    """The number lost, the unit, the file."""
    read = scan(text)

    assert read.attributes == [attributes]
    assert (read.columns["body"], read.columns["component"]) == ([text], ["journald"])


def test_a_syslog_files_prefix_names_it() -> None:
    """The same message is journald's in a text file of the host, and nobody's on a guest's console."""
    line = f"2026-11-23T06:17:51.449301+0000 worker-a systemd-journald[77]: {SUPPRESSED}\n".encode()
    host, guest = (derive(evidence(line, transport)) for transport in (Transport.HOST_FILE, Transport.CONSOLE))

    assert column(host, "dialect") == ["journal-text/journald"]
    assert (column(host, "component"), column(host, "pid")) == (["journald"], [77])
    assert column(guest, "component") != ["journald"]


def test_a_changed_message_gives_no_other_number() -> None:
    """A number is one that stands behind its words."""
    for kind, text in word_mutations(SUPPRESSED, seed=7):
        count = scan(text).attributes[0].get("count")

        assert count is None or f" {count} " in text, kind


@pytest.mark.parametrize(
    "text", ["Deleted archived journal" + " journal" * 20_000, "Deleted journal x" + " (" * 80_000 + ")"]
)
def test_a_long_message_is_read_in_no_time(text: str) -> None:
    """Words that may begin a path, and brackets that may end one, are not tried against each other."""
    began = time.process_time()

    assert scan(text).attributes == [{}]
    assert time.process_time() - began < 2


@given(st.text(max_size=100))
def test_no_text_breaks_it(text: str) -> None:
    """Whatever it says, it is a message."""
    assert scan(f"Suppressed {text}").columns["body"] == [f"Suppressed {text}"]
