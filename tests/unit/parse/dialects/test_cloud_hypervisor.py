"""Cloud Hypervisor's lines in all their spellings: its logger's, its last words, and its event monitor's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.evidence import column, derive, evidence
from tests.mutations import word_mutations

from kata_audit.parse.dialects.base import Scan
from kata_audit.parse.dialects.cloud_hypervisor import ABOUT, DIALECT
from kata_audit.schema.severity import DEBUG, ERROR, INFO, WARN
from kata_audit.schema.source import Transport

BOOTING, FATAL_ERROR, CHAIN = ABOUT.examples
OLD = (
    "cloud-hypervisor: 674.660288ms: <vcpu0> WARN:devices/src/legacy/debug_port.rs:76 -- [Debug I/O port: Kernel code 0x40]"
)


def scan(*texts: str) -> Scan:
    return DIALECT.scan(texts, [False] * len(texts))


@pytest.mark.parametrize(
    ("text", "severity", "body", "attributes"),
    [
        (BOOTING, INFO, "Booting VM", ("1.999657", "vmm", "vmm/src/lib.rs", "2369")),
        (
            OLD,
            WARN,
            "[Debug I/O port: Kernel code 0x40]",
            ("0.674660288", "vcpu0", "devices/src/legacy/debug_port.rs", "76"),
        ),
        (OLD.removeprefix("cloud-hypervisor: "), WARN, "[Debug I/O port: Kernel code 0x40]",
         ("0.674660288", "vcpu0", "devices/src/legacy/debug_port.rs", "76")),
        (
            "cloud-hypervisor:   1.999130s: <vmm> DEBUG:vmm/src/api/mod.rs:2010 -- API request event: VmmPing\r",
            DEBUG,
            "API request event: VmmPing",
            ("1.999130", "vmm", "vmm/src/api/mod.rs", "2010"),
        ),
        (
            "15.25µs: <main> INFO:src/main.rs:1 -- a -- b",
            INFO,
            "a -- b",
            ("0.00001525", "main", "src/main.rs", "1"),
        ),
    ],
)  # fmt: skip
def test_a_loggers_line_states_time_thread_level_and_place(
    text: str, severity: int, body: str, attributes: tuple[str, ...]
) -> None:
    """With or without the name in front, in seconds or as a duration, with CR."""
    read = scan(text)
    names = ("elapsed", "thread.name", "code.file.path", "code.line.number")

    assert (read.columns["severity_number"], read.columns["body"]) == ([severity], [body])
    assert read.attributes == [dict(zip(names, attributes, strict=True))]
    assert (read.columns["component"], read.malformed) == (["cloud-hypervisor"], [])
    assert "time" not in read.columns


def test_its_last_words_are_errors() -> None:
    """A chain of causes, a usage error, and old versions' one line."""
    read = scan(
        CHAIN,
        "  0: Error booting VM",
        "  1: No such file or directory (os error 2)",
        "error: unexpected argument '--bogus' found",
        "Usage: cloud-hypervisor -v...",
        "cloud-hypervisor: Error booting VM: VmBoot(DeviceManager(CreateVfioDevice))",
    )

    assert read.columns["severity_number"] == [ERROR, ERROR, ERROR, ERROR, None, ERROR]
    assert read.columns["body"][1] == "  0: Error booting VM"
    assert read.columns["body"][5] == "Error booting VM: VmBoot(DeviceManager(CreateVfioDevice))"
    assert read.malformed == []


def test_an_event_in_one_line_is_read_and_its_pieces_state_what_they_hold() -> None:
    """Over several lines each is a row: the member that it holds is its attribute, and nothing of another line."""
    read = scan(
        '{"timestamp":{"secs":1,"nanos":999576177},"source":"vm","event":"booting","properties":{"id":"_net0"}}',
        "{",
        '  "timestamp": {',
        '    "secs": 1,',
        '    "nanos": 999576177',
        "  },",
        '  "source": "vm",',
        '  "event": "booting",',
        '  "properties": null',
        "}",
        "",
    )

    assert read.columns["body"][:2] == ["booting", "{"]
    assert read.attributes == [
        {"elapsed": "1.999576177", "source": "vm", "properties.id": "_net0"},
        {}, {}, {"secs": "1"}, {"nanos": "999576177"}, {}, {"source": "vm"}, {"event": "booting"}, {}, {}, {},
    ]  # fmt: skip


def test_on_a_guests_console_it_is_a_claim_that_keeps_its_name() -> None:
    """The Go shim connects both to one console, so the name may stand and the origin is the guest's."""
    data = f"{BOOTING}\n{CHAIN}\n".encode()
    guest, host = (derive(evidence(data, transport)) for transport in (Transport.CONSOLE, Transport.HOST_FILE))

    assert column(guest, "component") == column(host, "component") == ["cloud-hypervisor"] * 2
    assert (column(guest, "origin"), column(host, "origin")) == (["guest"] * 2, ["host"] * 2)


@pytest.mark.parametrize("text", [BOOTING.rstrip("\r"), FATAL_ERROR.rstrip("\r"), OLD])
def test_changed_lines_are_read_right_or_marked(text: str) -> None:
    """A line is read whole, with parts that stand in it, or is marked, or is no logger's line any more."""
    for kind, changed in word_mutations(text, seed=5):
        read = scan(changed)
        [body], [stated] = read.columns["body"], read.attributes

        if read.malformed or "elapsed" not in stated:
            assert (body, stated) == (changed.removeprefix("cloud-hypervisor: ") if not read.malformed else changed, {}), (
                kind
            )
        else:
            assert changed.endswith(f" -- {body}"), kind
            assert f"<{stated['thread.name']}> " in changed, kind
            assert f"{stated['code.file.path']}:{stated['code.line.number']} -- " in changed, kind


@pytest.mark.parametrize(
    "torn", ["cloud-hypervisor: 10.577122ms: <vmm> INF", "cloud-hypervisor:   1.99", "cloud-hypervisor:  ", "1.999s: <vmm"]
)
def test_a_torn_head_is_marked(torn: str) -> None:
    """What only a logger's line begins with, and that does not go on so, keeps its text and states nothing."""
    read = scan(torn)

    assert (read.malformed, read.columns["body"], read.columns["severity_number"]) == ([0], [torn], [None])


@given(st.text(max_size=200))
def test_no_text_breaks_it(text: str) -> None:
    """Hostile text stays text."""
    assert len(scan(text, f"cloud-hypervisor: {text}", f'{{"event":"{text}"}}').columns["body"]) == 3
