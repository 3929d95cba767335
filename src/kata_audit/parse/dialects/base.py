"""What a dialect is: data and one column function. Dialects are strangers to each other.

A dialect reads many texts at once and gives back columns, aligned with the texts. `None` in a column is "not stated".
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple


class Inner(NamedTuple):
    """Text that records relay: which of them, their texts, and whether the position that held them is the guest's."""

    rows: list[int]
    texts: list[str]
    guest: list[bool]


class Scan(NamedTuple):
    """What a dialect read: columns by name, the other keys of each record, which broke the grammar, and what is inside.

    Names of columns are those of the record schema, and `time`: the producer's own time as RFC 3339 text.
    """

    columns: dict[str, list[Any]]
    attributes: list[dict[str, str]]
    malformed: list[int]
    inner: Inner | None


class Dialect(NamedTuple):
    """One producer grammar.

    `signature` is a regular expression (no groups) that a text of this dialect begins with; `scan` gets the texts and, for
    each, whether a guest wrote it.
    """

    name: str
    signature: str
    scan: Callable[[Sequence[str], Sequence[bool]], Scan]
