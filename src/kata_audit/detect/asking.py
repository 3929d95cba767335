"""Conditions asked of a cut's rows, each column of each selection made ready once.

Where many rows say the same, bodies and attributes are words: what one text decides is asked of each distinct one.
"""

from collections.abc import Sequence
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from kata_audit.detect.attributes import MANY_WORDS, Attributes
from kata_audit.detect.profiles import Profiles
from kata_audit.predicate.fields import ATTRIBUTE
from kata_audit.predicate.rows import Columns, evaluate
from kata_audit.predicate.tree import (
    NOTHING,
    And,
    Compare,
    Everything,
    InNetwork,
    Match,
    Number,
    OneOf,
    Or,
    Predicate,
    any_of,
)
from kata_audit.schema.record import RecordRows

FEW_ROWS: Final = 256
"""So few rows are asked directly."""
_BODY: Final = "body"
_SAMPLE: Final = 2048
_DISTINCT: Final = 0.6
"""With more distinct bodies than this share of a sample, they stay texts."""


class Cut:
    """Rows that are judged together, and what is made of their columns.

    Args:
        rows: At least one row.
        keys: The keys of attributes that are asked of.
    """

    def __init__(self, rows: RecordRows, keys: Sequence[str]) -> None:
        self.rows = rows
        self._keys = keys
        self._attributes: Attributes | None = None
        self._body: Any = None

    def attributes(self) -> Attributes:
        """Give the attributes of all rows."""
        if self._attributes is None:
            self._attributes = Attributes(self.rows.column("attributes"), self._keys)
        return self._attributes

    def texts(self, name: str) -> Any:
        """Give a text column: bodies as words, where they repeat."""
        column = self.rows.column(name)
        if name != _BODY:
            return column
        if self._body is None:
            sample = column.slice(0, _SAMPLE)
            repeats = pc.count_distinct(sample).as_py() < _DISTINCT * len(sample)
            self._body = column.dictionary_encode() if repeats else column
        return self._body

    def column(self, name: str, selected: Any) -> Any:
        """Give a column of some rows."""
        column = self.texts(name)
        if name == _BODY and pa.types.is_dictionary(column.type) and len(column.dictionary) > MANY_WORDS * len(selected):
            column = self.rows.column(name)
        return column.take(selected)


class Asking:
    """Asks branches of conditions of a cut's rows.

    Args:
        cut: The rows.
        profiles: Their profiles.
        rest: Of each branch, what is left to ask where its profile may hold.
    """

    def __init__(self, cut: Cut, profiles: Profiles, rest: Sequence[Predicate]) -> None:
        self._cut = cut
        self._profiles = profiles
        self._rest = rest
        self._all = _Selected(cut, None)
        self._nevers: dict[Predicate, bool] = {}
        self._selected: dict[tuple[tuple[int, ...], int | None], tuple[Any, Columns]] = {}

    def holding(self, number: int, profiles: Sequence[int], thinned: Any | None) -> Any:
        """Give the rows of some profiles that a branch holds for.

        Args:
            number: The branch.
            profiles: The profiles.
            thinned: Rows outside of which it holds for none, one object for the same rows as long as this object lives.
        """
        rest = self._rest[number]
        if isinstance(rest, Everything):
            return self._profiles.rows(profiles)
        rest = NOTHING if thinned is not None and len(thinned) == 0 else self._possible(rest)
        if rest == NOTHING:
            return self._profiles.order.slice(0, 0)
        rows, columns = self._select(tuple(profiles), thinned)
        if len(rows) and isinstance(rest, And) and len(rows) > FEW_ROWS:  # the cheapest part leaves few rows to the others
            rows = self._held(rest.parts[0], rows, columns)
            rest, columns = And(rest.parts[1:]), _Selected(self._cut, rows)
        return self._held(rest, rows, columns) if len(rows) else rows

    def _possible(self, where: Predicate) -> Predicate:
        """Leave out alternatives that no attribute of the cut can hold; a Not stays as it is."""
        if isinstance(where, And):
            parts = tuple(map(self._possible, where.parts))
            return NOTHING if NOTHING in parts else And(parts)
        if isinstance(where, Or):
            return any_of(*map(self._possible, where.parts))
        if isinstance(where, Compare | OneOf | Match | Number | InNetwork) and where.field.startswith(ATTRIBUTE):
            return NOTHING if self._never(where) else where
        return where

    def _never(self, leaf: Compare | OneOf | Match | Number | InNetwork) -> bool:
        """Say whether no value of an attribute fits, where its distinct values are few."""
        if leaf not in self._nevers:
            words = self._cut.attributes().words(leaf.field.removeprefix(ATTRIBUTE)).dictionary
            few = len(words) <= FEW_ROWS
            self._nevers[leaf] = few and not pc.any(evaluate(leaf, _Values(words)), min_count=0).as_py()
        return self._nevers[leaf]

    def _held(self, where: Predicate, rows: Any, columns: Columns) -> Any:
        held = evaluate(where, columns)
        return rows.filter(held.take(rows) if columns is self._all else held)

    def _select(self, profiles: tuple[int, ...], thinned: Any | None) -> tuple[Any, Columns]:
        """Give some rows and their columns; branches that ask of the same rows share them."""
        key = profiles, None if thinned is None else id(thinned)
        if key in self._selected:
            return self._selected[key]
        if thinned is None or len(thinned) * 2 >= self._profiles.count(profiles):
            rows = self._profiles.rows(profiles)
        else:
            own = pc.is_in(self._profiles.ids.take(thinned), pa.array(profiles, self._profiles.ids.type))
            rows = thinned.filter(own)
        most = len(rows) * 2 > self._cut.rows.num_rows
        found = self._selected[key] = rows, self._all if most else _Selected(self._cut, rows)
        return found


class _Selected(Columns):
    """The columns of some rows of a cut, or of all, each taken when it is asked for."""

    def __init__(self, cut: Cut, selected: Any | None) -> None:
        super().__init__(cut.rows if selected is None else _Taken(cut, selected))
        self._cut = cut
        self._selection = selected

    def column(self, field: str) -> Any:
        """Give a field of the rows, as `Columns` does."""
        if field in self._ready:
            return self._ready[field]
        if field.startswith(ATTRIBUTE) and self._selection is not None:
            found = self._cut.attributes().of_rows(field.removeprefix(ATTRIBUTE), self._selection)
        elif field == _BODY and self._selection is None:
            found = self._cut.texts(_BODY)
        else:
            return super().column(field)
        self._ready[field] = found
        return found


class _Values(Columns):
    """Values of one field, as the column that a leaf asks of."""

    def __init__(self, values: Any) -> None:
        super().__init__(values)
        self._values = values

    def column(self, field: str) -> Any:
        """Give the values, whatever the field."""
        del field
        return self._values


class _Taken:
    """Some rows of a cut, each column taken when it is asked for."""

    def __init__(self, cut: Cut, selected: Any) -> None:
        self._cut = cut
        self._selected = selected
        self.num_rows = len(selected)

    def column(self, name: str) -> Any:
        """Give a column of the selected rows."""
        return self._cut.column(name, self._selected)
