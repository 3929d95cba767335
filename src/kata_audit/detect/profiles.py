"""Rows by profile: the words of their low-cardinality columns together; a few hundred of them in a cut of thousands of rows.

A guest can make up words (a subsystem is its own text), so a column with many is none of a profile's, and what a condition
asks of it is left open.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from kata_audit.predicate.tree import NOTHING, And, Everything, Match, Not, Or, Predicate, Syntax, Text, all_of, fields_of
from kata_audit.schema.record import RECORD_SCHEMA, RecordRows

WORD_COLUMNS: Final = tuple(str(field.name) for field in RECORD_SCHEMA if pa.types.is_dictionary(field.type))
"""Columns that a profile may be made of."""
MAX_WORDS: Final = 1024
MAX_PROFILES: Final = 4096
_MAX_CODE: Final = 1 << 62
_FIRST: Final = "event_name"
"""The column that says most, and whose words no guest makes up."""


class Profiles(NamedTuple):
    """The profiles of some rows.

    `words` has a row for each profile; `ids` is the profile of each row; `order` the rows by profile, `starts[p]` where
    those of profile p begin in it.
    """

    words: RecordRows
    ids: Any
    order: Any
    starts: list[int]

    def count(self, profiles: Sequence[int]) -> int:
        """Say how many rows have one of some profiles."""
        return sum(self.starts[profile + 1] - self.starts[profile] for profile in profiles)

    def rows(self, profiles: Sequence[int]) -> Any:
        """Give the rows of some profiles in ascending order."""
        if len(profiles) == 1:
            return self._slice(profiles[0])
        if self.count(profiles) > len(self.ids) // 8:
            return pc.indices_nonzero(pc.is_in(self.ids, pa.array(profiles, self.ids.type))).cast(pa.int64())
        rows = pa.concat_arrays([self._slice(profile) for profile in profiles])
        return rows.take(pc.sort_indices(rows))

    def _slice(self, profile: int) -> Any:
        return self.order.slice(self.starts[profile], self.starts[profile + 1] - self.starts[profile])


def profiles_of(rows: RecordRows, names: Sequence[str]) -> Profiles:
    """Group rows by the words of some columns.

    Args:
        rows: At least one row, with the columns.
        names: Columns of `WORD_COLUMNS`, at least one. Where they make too many profiles, those with most words are left
            out.
    """
    columns = _narrow({name: rows.column(name) for name in names})
    while True:
        encoded = _codes(list(columns.values())).dictionary_encode()
        if len(encoded.dictionary) <= MAX_PROFILES or len(columns) == 1:
            break
        columns.popitem()
    words = _words(encoded.dictionary, columns)
    ids = encoded.indices
    counted = ids.value_counts()
    counts = dict(zip(counted.field("values").to_pylist(), counted.field("counts").to_pylist(), strict=True))
    starts = [0]
    for profile in range(len(encoded.dictionary)):
        starts.append(starts[-1] + counts[profile])
    return Profiles(words, ids, pc.sort_indices(ids).cast(pa.int64()), starts)


def _narrow(columns: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out columns with too many words, and the widest while the codes do not fit a number; event names stay."""
    narrow = [name for name, column in columns.items() if len(column.dictionary) <= MAX_WORDS]
    narrow.sort(key=lambda name: (name != _FIRST, _size(columns[name])))
    kept, size = {}, 1
    for name in narrow or [min(columns, key=lambda name: _size(columns[name]))]:
        size *= _size(columns[name])
        if size > _MAX_CODE:
            break
        kept[name] = columns[name]
    return kept


def _size(column: Any) -> int:
    """Give how many codes a column needs: one for each word, and one for none."""
    return len(column.dictionary) + 1


def _codes(columns: Sequence[Any]) -> Any:
    """Make one number of the words of each row."""
    codes: Any = None
    for column in columns:
        code = pc.fill_null(column.indices.cast(pa.int64()), len(column.dictionary))
        codes = code if codes is None else pc.add(pc.multiply(codes, _size(column)), code)
    return codes


def _words(codes: Any, columns: Mapping[str, Any]) -> RecordRows:
    """Read numbers back to words."""
    found: list[Any] = []
    for column in reversed(list(columns.values())):
        size = pa.scalar(_size(column), pa.int64())
        rest = pc.divide(codes, size)
        code = pc.subtract(codes, pc.multiply(rest, size))
        index = pc.if_else(pc.equal(code, len(column.dictionary)), pa.scalar(None, pa.int64()), code)
        found.append(pa.DictionaryArray.from_arrays(index.cast(pa.int32()), column.dictionary))
        codes = rest
    return pa.RecordBatch.from_arrays(found[::-1], names=list(columns))


def upper_bound(where: Predicate, known: frozenset[str]) -> Predicate:
    """Weaken a condition to one that asks of known fields only, and holds wherever the condition holds.

    Example:
        >>> upper_bound(And((Present("origin"), Present("body"))), frozenset({"origin"}))
        And(parts=(Present(field='origin'), Everything()))
    """
    return _bound(where, known, holds=True)


def rest_of(where: Predicate, known: frozenset[str]) -> Predicate:
    """Give what is left to ask where the upper bound of a condition is known to hold: not what known fields settled.

    What is cheap to ask stands first.

    Example:
        >>> rest_of(And((Present("origin"), Present("body"))), frozenset({"origin"}))
        Present(field='body')
    """
    if isinstance(where, And):
        return all_of(*sorted((rest_of(part, known) for part in where.parts), key=_dearness))
    return Everything() if known.issuperset(fields_of(where)) else where


def _dearness(where: Predicate) -> int:
    """Say how dear a condition is to ask: patterns most, and among them those with most to look at."""
    if isinstance(where, And | Or):
        return sum(map(_dearness, where.parts))
    if isinstance(where, Not):
        return _dearness(where.part)
    dear = isinstance(where, Text) or (isinstance(where, Match) and where.syntax is Syntax.REGEX)
    return (100 if dear else 1) * (10 if set(fields_of(where)) & {"body", "raw"} else 1)


def _bound(where: Predicate, known: frozenset[str], *, holds: bool) -> Predicate:
    """Put `holds` for every leaf that asks of an unknown field; under a Not, the other way round."""
    if isinstance(where, And):
        return And(tuple(_bound(part, known, holds=holds) for part in where.parts))
    if isinstance(where, Or):
        return Or(tuple(_bound(part, known, holds=holds) for part in where.parts))
    if isinstance(where, Not):
        return Not(_bound(where.part, known, holds=not holds))
    if known.issuperset(fields_of(where)):
        return where
    return Everything() if holds else NOTHING
