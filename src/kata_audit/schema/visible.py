"""Text of a log made visible: one rule for terminals, pages and messages to people.

A log can hold sequences that rename a window, write the clipboard, turn text around or end a line that did not end. Every
character that is not plainly visible becomes its number; whoever prints or sends text of a log puts it through here.
"""

import re

_UNSEEN = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")
"""Characters that Unicode calls letters or marks and that show nothing: fillers, joiners, variation selectors."""


def show(text: str) -> str:
    r"""Make any text safe to print: what is not visible becomes `\xNN`, `\uNNNN` or `\UNNNNNNNN`.

    Args:
        text: Anything, hostile included; a line end is a control character too.

    Returns:
        One line of visible characters and spaces.

    Example:
        >>> show("ok\x1b]52;c;AAAA\x07")
        'ok\\x1b]52;c;AAAA\\x07'
    """
    return text if is_visible(text) else "".join(c if is_visible(c) else number(c) for c in text)


def is_visible(text: str) -> bool:
    """Say whether every character of a text is plainly visible, or a space."""
    return text.isprintable() and (text.isascii() or not _UNSEEN.search(text))


def number(character: str) -> str:
    r"""Spell one character as its number: `\xNN`, `\uNNNN` or `\UNNNNNNNN`."""
    code = ord(character)
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
