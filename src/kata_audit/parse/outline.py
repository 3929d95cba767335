"""The outline of a message: its fixed words, with all that may be somebody's content left out.

For counting messages that nobody has named yet, in reports that leave a node: numbers, ids, paths, names, quoted text and
whatever stands in brackets become `*`.
"""

import re

_MAX_TEXT = 400
_MAX_WORDS = 16
_QUOTED = re.compile(r"\"[^\"]*+(?:\"|\Z)|`[^`]*+(?:`|\Z)|(?<![A-Za-z])'[^']*+(?:'|\Z)")
_BRACKETS = re.compile(r"(?:[{\[<&]|\((?!\))).*", re.DOTALL)
_WORD = re.compile(r"[A-Za-z]{1,24}(?:[-'][A-Za-z]{1,24})?(?:\(\))?[,:;.!?]?\Z")


def outline(text: str) -> str:
    """Give the outline of a message.

    Args:
        text: The message. What follows its first bracket is a dump, and is not looked at.

    Returns:
        Up to 16 words of ASCII letters and `*`, joined by blanks; `*` alone for a message without words.

    Example:
        >>> outline('cannot open "/etc/shadow" of 4f6a0c2b: errno 13 {"a": "b"}')
        'cannot open * of * errno *'
    """
    start = _QUOTED.sub(" * ", text[:_MAX_TEXT])
    words: list[str] = []
    for word in _BRACKETS.sub(" *", start, count=1).split():
        kept = word if _WORD.match(word) else "*"
        if kept != "*" or not words or words[-1] != "*":
            words.append(kept)
        if len(words) == _MAX_WORDS:
            break
    return " ".join(words) or "*"
