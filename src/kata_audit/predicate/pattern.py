"""Patterns as RE2: one spelling for the evaluation on rows and for SQL, so that both mean the same."""

from kata_audit.predicate.tree import Match, Syntax

_SPECIAL = frozenset("\\.+*?()|[]{}^$")


def regex_of(condition: Match) -> str:
    r"""Spell a pattern as RE2, to be found anywhere in a value.

    Example:
        >>> regex_of(Match("k8s_pod", "api-*", Syntax.WILDCARD))
        '\\A(?s:api-.*)\\z'
    """
    if condition.syntax is Syntax.REGEX:
        return condition.pattern
    wild = {"*": ".*", "?": "."}
    return "\\A(?s:" + "".join(wild.get(char) or quote(char) for char in condition.pattern) + ")\\z"


def regex_of_text(needle: str) -> str:
    r"""Spell a needle as RE2 that fits both cases of A to Z, and of no other letter.

    Example:
        >>> regex_of_text("Exec.É")
        '[Ee][Xx][Ee][Cc]\\.É'
    """
    return "".join(
        f"[{char.upper()}{char.lower()}]" if char.isascii() and char.isalpha() else quote(char) for char in needle
    )


def quote(char: str) -> str:
    """Spell one character so that RE2 takes it as itself."""
    if char == "\0":
        return "\\x00"
    return "\\" + char if char in _SPECIAL else char


def prefix_of(condition: Match) -> str:
    """Give the text that every value which fits begins with: empty for a regex."""
    if condition.syntax is Syntax.REGEX:
        return ""
    stops = [at for char in "*?" if (at := condition.pattern.find(char)) >= 0]
    return condition.pattern[: min(stops)] if stops else condition.pattern
