"""One pass over all texts of a column for the literals of all rules.

With Hyperscan where it is installed (`kata-audit[hyperscan]`), else with an Aho-Corasick automaton: both find the same.
"""

from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from typing import Any, Final, TypeAlias

import ahocorasick_rs
import pyarrow as pa
import pyarrow.compute as pc

Hit: TypeAlias = tuple[int, int]
"""Number of a needle, and the byte behind a place where it stands."""
Scanner: TypeAlias = Callable[[bytes], list[Hit]]
"""Finds every place of every needle in a text, whatever the case of A to Z."""

PIECE: Final = 1 << 20
"""Bytes of text that are scanned at once, or one row where it is longer."""
_NOWHERE: Final = pa.table({"needle": pa.array([], pa.int64()), "row": pa.array([], pa.int64())})
_ABSENT = b"\xff\xff\xff"
"""Stands in no text: an automaton wants one needle at least."""


def scanner(needles: Sequence[bytes]) -> Scanner:
    """Make the fastest scanner that is installed."""
    return scan_hyperscan(needles) if find_spec("hyperscan") is not None else scan_ahocorasick(needles)


def scan_ahocorasick(needles: Sequence[bytes]) -> Scanner:
    """Make a scanner of an Aho-Corasick automaton.

    Args:
        needles: Not empty, A to Z in lower case.
    """
    automaton = ahocorasick_rs.BytesAhoCorasick([*needles, _ABSENT], implementation=ahocorasick_rs.Implementation.DFA)

    def scan(text: bytes) -> list[Hit]:
        found = automaton.find_matches_as_indexes(text.lower(), overlapping=True)
        return [(needle, end) for needle, _, end in found]

    return scan


def scan_hyperscan(needles: Sequence[bytes]) -> Scanner:
    """Make a scanner of a Hyperscan database; needles as for `scan_ahocorasick`.

    Raises:
        ImportError: Hyperscan is not installed.
    """
    import hyperscan  # noqa: PLC0415 - an extra

    database = hyperscan.Database()
    expressions = [b"".join(b"\\x%02x" % byte for byte in needle) for needle in (*needles, _ABSENT)]
    database.compile(expressions=expressions, ids=list(range(len(expressions))), flags=hyperscan.HS_FLAG_CASELESS)

    def scan(text: bytes) -> list[Hit]:
        found: list[Hit] = []

        def note(needle: int, _start: int, end: int, _flags: int, _context: object) -> None:
            found.append((needle, end))

        database.scan(text, match_event_handler=note)
        return found

    return scan


def rows_of_needles(scan: Scanner, needles: Sequence[bytes], texts: Any) -> dict[int, Any]:
    """Find the rows in whose text needles stand.

    Args:
        scan: Scanner of the needles.
        needles: The needles.
        texts: A large string or large binary array.

    Returns:
        Of each needle that stands anywhere, by its number, the rows in ascending order, each once.
    """
    _, offsets_buffer, data = texts.buffers()
    if data is None or len(texts) == 0:
        return {}
    offsets = pa.Array.from_buffers(pa.int64(), len(texts) + 1, [None, offsets_buffer], offset=texts.offset)
    lengths = pa.array([len(needle) for needle in needles] + [len(_ABSENT)], pa.int64())
    found = [_found(scan, lengths, offsets, data, piece) for piece in _pieces(offsets)]
    rows = pa.concat_tables([_NOWHERE, *found]).sort_by([("needle", "ascending"), ("row", "ascending")])
    return _slices(rows)


def _pieces(offsets: Any) -> Iterator[tuple[int, int]]:
    """Cut texts into runs of whole rows: a guest can repeat a needle, and each place is an object until its row is known."""
    begin, rows = 0, len(offsets) - 1
    while begin < rows:
        reach = pa.scalar(offsets[begin].as_py() + PIECE, pa.int64())
        end = min(rows, max(begin + 1, pc.search_sorted(offsets, reach, side="right").as_py() - 1))
        yield begin, end
        begin = end


def _found(scan: Scanner, lengths: Any, offsets: Any, data: Any, piece: tuple[int, int]) -> pa.Table:
    """Find the needles of some rows; each needle once a row."""
    first, last = (offsets[row].as_py() for row in piece)
    hits = scan(data.slice(first, last - first).to_pybytes())
    if not hits:
        return _NOWHERE
    table = pa.table({"needle": pa.array([hit[0] for hit in hits], pa.int64()), "end": [hit[1] + first for hit in hits]})
    start = pc.subtract(table["end"], lengths.take(table["needle"]))
    # A row's text ends at the first offset that is not before the hit's end; a hit that began before it crosses two rows.
    row = pc.subtract(pc.search_sorted(offsets, table["end"], side="left").cast(pa.int64()), 1)
    inside = pc.greater_equal(start, offsets.take(row))
    found = pa.table({"needle": table["needle"], "row": row}).filter(inside)
    return found.group_by(["needle", "row"], use_threads=False).aggregate([])


def _slices(rows: pa.Table) -> dict[int, Any]:
    counted = rows["needle"].combine_chunks().value_counts()
    column, found, at = rows["row"].combine_chunks(), {}, 0
    for needle, count in zip(counted.field("values").to_pylist(), counted.field("counts").to_pylist(), strict=True):
        found[needle] = column.slice(at, count)
        at += count
    return found
