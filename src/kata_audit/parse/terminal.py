r"""What a terminal would show of console text: no control sequences, no carriage returns.

Firmware, kernel and systemd write to the guest's console as to a screen. A record is read from what stays; the exact bytes
stay in `raw`.

Source: ECMA-48 (control sequences), xterm control sequences (OSC, `ESC c`); captures of Kata 4.1.0 on QEMU.
"""

import re

RESET = "\x1bc"
"""Clears the screen: what stood in the line before is gone from it."""
_SEQUENCE = re.compile(
    r"\x1b(?:\[[0-?]*+[ -/]*+[@-~]|\][^\x07\x1b]*+(?:\x07|\x1b\\)|[PX^_][^\x1b]*+\x1b\\|[ -/]++[0-~]|[0-OQ-WYZ\\`-~])"
)
"""CSI, OSC and other strings, and short escapes; a sequence that does not end is left as it is."""

INSERTED = "console.inserted"
"""Attribute: what stands in the same line behind the record, of another writer."""
BEFORE = "console.before"
"""Attribute: what stood in the line before the screen was cleared."""


def without_sequences(text: str) -> str:
    r"""Take terminal control sequences out of a text.

    Example:
        >>> without_sequences("[\x1b[0;32m  OK  \x1b[0m] Reached target Network.")
        '[  OK  ] Reached target Network.'
    """
    return _SEQUENCE.sub("", text) if "\x1b" in text else text


def shown(text: str) -> tuple[str, dict[str, str]]:
    r"""Read one line of a console as a terminal shows it.

    Where the screen is cleared (`ESC c`) the line begins anew: with `quiet` the agent's first record follows on the same
    line. A carriage return inside a line ends a statement; the first one is the line's.

    Args:
        text: A line without its line feed.

    Returns:
        The text to parse, and what else stood in the line as attributes.

    Example:
        >>> shown("Probing EDD... o\x1bc\x1b[?7l\x1b[2J[    0.000000] Linux version 6.1.0\r")
        ('[    0.000000] Linux version 6.1.0', {'console.before': 'Probing EDD... o'})
    """
    before, _, after = text.rpartition(RESET)
    last = without_sequences(after).strip("\r")
    earlier = without_sequences(before).strip("\r")
    notes = {}
    if last and earlier:
        notes[BEFORE] = earlier
    statement, _, rest = (last or earlier).partition("\r")
    if rest := rest.strip("\r"):
        notes[INSERTED] = rest
    return statement, notes
