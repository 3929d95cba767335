"""Messages of runtime-rs whose fields are lost are its messages still, and consoles in them the guest's."""

import pytest
from tests.evidence import column, derive
from tests.mutations import word_mutations

from kata_audit.parse.dialects.runtime_rs_text import ABOUT, DIALECT
from kata_audit.parse.split import Held, split
from kata_audit.schema.source import Chunk, Source, Transport


def test_a_message_is_the_shims_and_its_console_line_the_guests() -> None:
    """Only text in `vm console: "…"` is the guest's; everything else stays the message."""
    read = DIALECT.scan([ABOUT.examples[0], r'vm console: "a \"b\""', 'vm console: "torn'], [False] * 3)

    assert read.columns["body"][0] == ABOUT.examples[0]
    assert read.columns["component"] == ["runtime-rs"] * 3
    assert read.inner is not None
    assert (read.inner.rows, read.inner.texts, read.inner.guest) == ([1], ['a "b"'], [True])


def test_lines_of_its_hypervisor_and_its_helpers_are_theirs() -> None:
    """The shim's words in front name the dialect; what is cut stays the shim's message."""
    virtiofsd = "source: virtiofsd [2026-11-23T06:12:36Z WARN  virtiofsd] Use of deprecated option format '-o'"
    read = DIALECT.scan(['qemu stderr: "qemu-system-x86_64: x"', virtiofsd, 'qemu stderr: "cut'], [False] * 3)

    assert read.inner is not None
    assert (read.inner.rows, read.inner.dialects, read.inner.guest) == ([0, 1], ["qemu", "virtiofsd"], [False, False])
    assert read.inner.texts[0] == "qemu-system-x86_64: x"


def test_a_guests_text_is_not_the_shims() -> None:
    """At a guest's position nobody is named."""
    assert DIALECT.scan(["start to run"], [True]).columns["component"] == [None]


@pytest.mark.parametrize("text", ['qemu stderr: "x"', 'fc stderr: "Running Firecracker v1"', "source: virtiofsd x"])
def test_a_guest_relays_for_no_host_program(text: str) -> None:
    """Declared for a guest's console, the shim's words there are the guest's, and so is what stands behind them."""
    source = Source("file", "lab/node", "default", Transport.CONSOLE, DIALECT.name)
    _, rows = split(Held(), Chunk(source, "f?1-2-aa", 0, f"{text}\n".encode(), 1))
    records = derive(rows)

    assert (column(records, "origin"), column(records, "component")) == (["guest"], ["other"])
    assert (column(records, "timestamp_basis"), column(records, "event_name")) == (["observed"], [None])


def test_changed_messages_stay_messages() -> None:
    """There is no grammar to break."""
    for _, text in word_mutations(ABOUT.examples[0], seed=1):
        assert DIALECT.scan([text], [False]).columns["body"] == [text]
