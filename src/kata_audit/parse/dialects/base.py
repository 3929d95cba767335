"""What a dialect is: data and one column function. Dialects are strangers to each other.

A dialect reads many texts at once and gives back columns, aligned with the texts. `None` in a column is "not stated".
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from kata_audit.parse.about import About
from kata_audit.parse.relays import Relay


class Inner(NamedTuple):
    """Text that records relay: which of them, their texts, and whether the position that held them is the guest's.

    `dialects` names, for each text, the dialect that the position itself decides; None leaves it to the signatures.
    """

    rows: list[int]
    texts: list[str]
    guest: list[bool]
    dialects: list[str | None] | None = None


def inner_of(found: Sequence[tuple[int, Relay]]) -> Inner | None:
    """Make what a scan gives as `inner` of rows and what each relays; None where nothing does."""
    if not found:
        return None
    relays = [relay for _, relay in found]
    return Inner(
        [row for row, _ in found],
        [relay.text for relay in relays],
        [relay.guest for relay in relays],
        [relay.dialect for relay in relays],
    )


class Scan(NamedTuple):
    """What a dialect read: columns by name, the other keys of each record, which broke the grammar, and what is inside.

    Names of columns are those of the record schema, `time`: the producer's own time as RFC 3339 text, and `assumed_time`:
    one whose zone the producer leaves open; it counts where neither relay nor envelope tells the time.
    """

    columns: dict[str, list[Any]]
    attributes: list[dict[str, str]]
    malformed: list[int]
    inner: Inner | None


class Dialect(NamedTuple):
    """One producer grammar.

    `signature` is a regular expression (no groups) that a text of this dialect begins with, and that only a text of it
    does; None leaves it to positions that name the dialect. `starts` is the characters that such a text may begin with,
    so that few signatures are tried. `scan` gets the texts and, for each, whether a guest wrote it.
    """

    name: str
    signature: str | None
    starts: str
    scan: Callable[[Sequence[str], Sequence[bool]], Scan]
    about: About
