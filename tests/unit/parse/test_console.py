"""Console lines in records: where torn records are looked for, and where not."""

import json

import pytest
from tests.evidence import column, derive, evidence

from kata_audit.schema.source import Transport

RECORD = '{"msg":"wait process","level":"INFO","ts":"2026-11-23T06:27:26.480614855Z","name":"kata-agent","subsystem":"rpc","pid":"1","version":"0.1.0","source":"agent"}'
KERNEL = "[    6.911191] crash[134]: segfault at 0 ip 0000000000401707 sp 00007fffc0ca9760 error 6 in crash[401000+79000]"


def vm_console(text: str, number: int) -> str:
    """Spell what runtime-rs makes of a console line: its journal fields, the line in Rust's quotes."""
    quoted = text.replace("\\", "\\\\").replace('"', '\\"').replace("\r", "\\r").replace("\x1b", "\\u{1b}")
    return json.dumps(
        {
            "__CURSOR": "s",
            "__REALTIME_TIMESTAMP": str(1795414006100000 + number),
            "_BOOT_ID": "b" * 32,
            "_TRANSPORT": "journal",
            "NAME": "kata-runtime",
            "SUBSYSTEM": "hypervisor",
            "SOURCE": "ab" * 32,
            "MESSAGE": f'vm console: "{quoted}"',
        }
    )


def test_runtime_rs_console_lines_are_put_together_too() -> None:
    """The record keeps the sandbox that the host's layer states, and its time is the guest's."""
    lines = [
        vm_console(RECORD[:70] + KERNEL + "\r", 1),
        vm_console(RECORD[70:] + "\r", 2),
        vm_console("\x1bc" + RECORD + KERNEL + "\r", 3),
    ]
    rows = derive(evidence("".join(line + "\n" for line in lines).encode(), Transport.JOURNAL_JSON))

    assert column(rows, "parse_status") == ["fragment", "parsed", "parsed"]
    assert column(rows, "component") == ["guest-kernel", "agent", "agent"]
    assert column(rows, "body") == [KERNEL.partition("] ")[2], "wait process", "wait process"]
    assert column(rows, "origin") == ["guest"] * 3
    assert column(rows, "sandbox_id") == ["ab" * 32] * 3
    assert column(rows, "timestamp_basis") == ["journal"] * 3
    assert dict(column(rows, "attributes")[2])["console.inserted"] == KERNEL


@pytest.mark.parametrize("transport", [Transport.CRI, Transport.HOST_FILE, Transport.BARE])
def test_only_consoles_are_mended(transport: Transport) -> None:
    """A container's output and the host's files are no console: their bytes are read as they are."""
    prefix = "2026-11-23T06:06:46.1Z stdout F " if transport is Transport.CRI else ""
    lines = [prefix + RECORD[:70] + KERNEL, prefix + RECORD[70:], prefix + "\x1b[1mbold\x1b[0m"]
    rows = derive(evidence("".join(line + "\n" for line in lines).encode(), transport))

    assert "fragment" not in column(rows, "parse_status")
    assert column(rows, "frame_group") == [None] * 3
    assert column(rows, "body")[2] == "\x1b[1mbold\x1b[0m"


def test_a_containers_output_is_no_program_of_the_guest() -> None:
    """What a container prints may look like the agent's, the kernel's or systemd's: the component is `other`."""
    texts = [
        RECORD,
        KERNEL,
        "thread 'main' panicked at src/main.rs:1:2:",
        "[  OK  ] Started x.service.",
        'time="2026-11-23T06:06:46.1Z" level=info msg=x name=kata-agent',
    ]
    lines = "".join(f"2026-11-23T06:06:46.1Z stdout F {text}\n" for text in texts)
    rows = derive(evidence(lines.encode(), Transport.CRI))

    assert column(rows, "component") == ["other"] * len(texts)
    assert column(rows, "origin") == ["guest"] * len(texts)


def test_a_message_inside_a_record_is_no_console_line() -> None:
    """The agent may log a text that looks torn: the record that holds it is whole."""
    record = RECORD.replace('"wait process"', json.dumps(RECORD[:70] + KERNEL))
    rows = derive(evidence((record + "\n").encode(), Transport.CONSOLE))

    assert column(rows, "frame_group") == [None]
    assert column(rows, "parse_status") != ["fragment"]


def test_text_that_no_dialect_reads_is_kept_as_written_unless_the_screen_was_cleared() -> None:
    lines = "Welcome to \x1b[1mUbuntu\x1b[0m!\r\n\x1bc\x1b[2JSeaBIOS\r\n"
    rows = derive(evidence(lines.encode(), Transport.CONSOLE))

    assert column(rows, "parse_status") == ["plain", "plain"]
    assert column(rows, "body") == ["Welcome to \x1b[1mUbuntu\x1b[0m!", "SeaBIOS"]
