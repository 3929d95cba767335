"""Kernel lines: what follows the time is the body, and only a guest's position says whose kernel it is."""

import pytest
from tests.evidence import column, derive, evidence
from tests.mutations import word_mutations

from kata_audit.parse.dialects.kernel import DIALECT
from kata_audit.parse.dialects.registry import route
from kata_audit.schema.source import Transport

SEGFAULT = "[    6.911191] crash[134]: segfault at 0 ip 0000000000401707 sp 00007fffc0ca9760 error 6 in crash[401000+79000] likely on CPU 0 (core 0, socket 0)"


@pytest.mark.parametrize(
    ("text", "body", "severity", "attributes"),
    [
        (SEGFAULT, SEGFAULT[15:], None, {"elapsed": "6.911191"}),
        (
            "[    0.000000] Linux version 6.1.0-56-cloud-amd64\r",
            "Linux version 6.1.0-56-cloud-amd64",
            None,
            {"elapsed": "0.000000"},
        ),
        ("[    4.742222]  </TASK>", " </TASK>", None, {"elapsed": "4.742222"}),
        ("<3>[   12.345678] EXT4-fs error", "EXT4-fs error", 17, {"elapsed": "12.345678"}),
        ("<30>[    1.000000] systemd[1]: Hostname set.", "systemd[1]: Hostname set.", 9, {"elapsed": "1.000000"}),
        (
            "[    0.395399][    T1] brd: module loaded",
            "brd: module loaded",
            None,
            {"elapsed": "0.395399", "kernel.caller": "T1"},
        ),
        ("[12345.678901][   C0] rcu: INFO", "rcu: INFO", None, {"elapsed": "12345.678901", "kernel.caller": "C0"}),
        ("[    1.000000] ", "", None, {"elapsed": "1.000000"}),
        ("[    1.000000]", "", None, {"elapsed": "1.000000"}),
    ],
)
def test_the_body_is_what_follows_the_time(text: str, body: str, severity: int | None, attributes: dict[str, str]) -> None:
    """Severity is told by the priority only; time since boot and caller are attributes."""
    scan = DIALECT.scan([text], [True])

    assert route([text]) == {"kernel": [0]}
    assert (scan.columns["body"], scan.columns["severity_number"], scan.attributes) == ([body], [severity], [attributes])
    assert scan.malformed == []


def test_only_a_guests_position_says_whose_kernel_it_is() -> None:
    """On a console it is the guest's; in a file that nobody declared it may be any machine's."""
    line = (SEGFAULT + "\n").encode()
    guest, bare = (derive(evidence(line, transport)) for transport in (Transport.CONSOLE, Transport.BARE))

    assert column(guest, "component") == ["guest-kernel"]
    assert column(bare, "component") == [None]
    assert column(guest, "body") == column(bare, "body") == [SEGFAULT[15:]]


def test_systemd_speaks_through_the_kernels_log_as_itself() -> None:
    """The line is the kernel's form, the program systemd."""
    scan = DIALECT.scan(["[    0.919958] systemd[1]: Detected virtualization kvm.", "[    0.9] x"], [True, True])

    assert scan.columns["component"] == ["guest-systemd", None]
    assert scan.columns["pid"] == ["1", None]
    assert scan.malformed == [1]


@pytest.mark.parametrize("line", [SEGFAULT, "<4>[    4.409069][    T1] reboot: Power down"])
def test_a_line_of_the_next_kernel_is_read_or_plain(line: str) -> None:
    """Whatever changes: elapsed is the time in brackets, the body all that follows it; else nothing is claimed."""
    for _, text in word_mutations(line, seed=7):
        if "kernel" not in route([text]):
            continue
        scan = DIALECT.scan([text], [True])
        body, said = scan.columns["body"][0], scan.attributes[0]
        if scan.malformed:
            assert (said, body) == ({}, text)
            continue
        before = text.removesuffix(body)
        words = before.replace("[", " ").replace("]", " ").replace("<4>", " ").split()
        assert words == [said["elapsed"], *([said["kernel.caller"]] if "kernel.caller" in said else [])]


@pytest.mark.parametrize(
    "text",
    [
        "[    0.39] x",
        "[x    0.395399] x",
        "[ 0.395399",
        "[" * 100_000,
        "[    0.395399]x",
        "<99999>[    0.395399] x",
        "<>[    0.395399] x",
    ],
)
def test_what_only_looks_like_it_is_plain(text: str) -> None:
    """No other dialect takes it for a kernel's line."""
    assert "kernel" not in route([text])
