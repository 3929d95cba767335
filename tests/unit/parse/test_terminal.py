"""Console text as a terminal shows it."""

import pytest

from kata_audit.parse.terminal import shown, without_sequences


@pytest.mark.parametrize(
    ("text", "statement", "notes"),
    [
        (
            "\x1bc\x1b[?7l\x1b[2J\x1b[0mSeaBIOS (version 1.16.2-debian-1.16.2-1)\r",
            "SeaBIOS (version 1.16.2-debian-1.16.2-1)",
            {},
        ),
        ('\x1bc\x1b[?7l\x1b[2J{"msg":"a"}\r', '{"msg":"a"}', {}),
        (
            "Probing EDD (edd=off to disable)... o\x1bc\x1b[?7l\x1b[2J[    0.000000] Linux version 6.1.0-56-cloud-amd64",
            "[    0.000000] Linux version 6.1.0-56-cloud-amd64",
            {"console.before": "Probing EDD (edd=off to disable)... o"},
        ),
        (
            "[    0.000000] ACPI: Reserving FACS\r[    0.000000] ACPI: Reserving APIC\r",
            "[    0.000000] ACPI: Reserving FACS",
            {"console.inserted": "[    0.000000] ACPI: Reserving APIC"},
        ),
        ("a last line\x1bc", "a last line", {}),
        ("\r\r", "", {}),
        ("", "", {}),
    ],
)
def test_a_line_is_what_the_screen_shows_last(text: str, statement: str, notes: dict[str, str]) -> None:
    """A cleared screen begins the line anew; a carriage return ends a statement; nothing of the text is lost."""
    assert shown(text) == (statement, notes)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (
            "[\x1b[0;32m  OK  \x1b[0m] Reached target \x1b[0;1;39mpaths.target\x1b[0m - Path Units.",
            "[  OK  ] Reached target paths.target - Path Units.",
        ),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;http://x\x1b\\link", "link"),
        ("\x1bP1$r\x1b\\text", "text"),
        ("\x1b(Btext\x1b7\x1b=", "text"),
        ("no escape at all", "no escape at all"),
        ("torn \x1b[0;3", "torn \x1b[0;3"),
        ("torn \x1b]0;title", "torn \x1b]0;title"),
        ("lone \x1b", "lone \x1b"),
    ],
)
def test_control_sequences_are_taken_out_and_broken_ones_left(text: str, left: str) -> None:
    """A sequence that does not end is no sequence: it stays, so nothing behind it is swallowed."""
    assert without_sequences(text) == left
