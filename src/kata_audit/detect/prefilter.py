"""Which rows hold which conditions, without asking every condition of every row.

1. Rows are grouped by profile (`profiles.py`). What a condition asks of a profile's words is settled once a profile, and
   remembered between calls.
2. Where many rows are left to a condition that needs a literal, one pass over the texts finds the rows that have it.
3. The condition itself is asked of the rows that are left (`predicate/rows.py`), and only its answer counts.

So the steps before the last can cost time, never a row: a property test holds the answer equal to that of conditions alone.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from kata_audit.detect.literals import AREAS, Literals, literals_of
from kata_audit.detect.profiles import WORD_COLUMNS, Profiles, profiles_of, upper_bound
from kata_audit.detect.scan import Scanner, rows_of_needles, scanner
from kata_audit.predicate.rows import Columns, evaluate
from kata_audit.predicate.tree import Predicate, fields_of
from kata_audit.schema.record import RecordRows

FEW_ROWS: Final = 256
"""So few rows are asked directly."""
_MAX_REMEMBERED: Final = 16_384
_ALWAYS: Final = "origin"
"""A word column that every profile has."""
_Words: TypeAlias = tuple[Any, ...]


class _Condition(NamedTuple):
    """A condition, the fields it asks of, and the literals that it needs."""

    where: Predicate
    fields: frozenset[str]
    literals: Literals | None


class Prefilter:
    """Conditions, ready to be asked of rows.

    Args:
        conditions: In the order by which answers name them.
        scan: Makes the scanner of all literals of a column; by default of the fastest kind that is installed.
    """

    def __init__(self, conditions: Sequence[Predicate], *, scan: Callable[[Sequence[bytes]], Scanner] = scanner) -> None:
        self._conditions = [_Condition(where, frozenset(fields_of(where)), literals_of(where)) for where in conditions]
        asked = {_ALWAYS}.union(*(one.fields for one in self._conditions))
        self._words = tuple(name for name in WORD_COLUMNS if name in asked)
        self._memory = _Memory(self._conditions)
        self._areas: dict[str, tuple[tuple[bytes, ...], Scanner]] = {}
        for area in AREAS:
            literals = (literal for one in self._conditions for literal in one.literals or ())
            needles = tuple(sorted({literal.needle for literal in literals if literal.area == area}))
            if needles:
                self._areas[area] = needles, scan(needles)

    def holding(self, rows: RecordRows) -> list[tuple[int, Any]]:
        """Find the rows that conditions hold for.

        Args:
            rows: Rows with the columns that the conditions ask of, and `origin`.

        Returns:
            Of each condition that holds for any row, its number and those rows, both in ascending order.
        """
        if rows.num_rows == 0 or not self._conditions:
            return []
        profiles = profiles_of(rows, self._words)
        possible = self._memory.possible(profiles.words)
        thinned = self._thin(rows, profiles, possible)
        asking = _Asking(rows, profiles, frozenset(profiles.words.schema.names))
        holding = []
        for number in sorted(possible):
            held = asking.holding(self._conditions[number], possible[number], thinned.get(number))
            if len(held):
                holding.append((number, held))
        return holding

    def _thin(self, rows: RecordRows, profiles: Profiles, possible: Mapping[int, Sequence[int]]) -> dict[int, Any]:
        """Give of conditions with many rows and a literal the rows that have it, whatever their profile."""
        many = [
            number
            for number, those in possible.items()
            if self._conditions[number].literals is not None and profiles.count(those) > FEW_ROWS
        ]
        found: dict[tuple[str, bytes], Any] = {}
        for area, (needles, scan) in self._areas.items():
            asking = [number for number in many if any(one.area == area for one in self._conditions[number].literals or ())]
            if asking:
                looked_at = sorted({profile for number in asking for profile in possible[number]})
                texts, place = _texts(rows.column(area), profiles, looked_at)
                for needle, at in rows_of_needles(scan, needles, texts).items():
                    found[area, needles[needle]] = at if place is None else place.take(at)
        return {
            number: _union([found[one] for one in self._conditions[number].literals or () if one in found])
            for number in many
        }


def _texts(column: Any, profiles: Profiles, looked_at: Sequence[int]) -> tuple[Any, Any]:
    """Give the texts of the rows of some profiles, and their rows; None for the rows where all texts are given."""
    if profiles.count(looked_at) * 2 > len(column):
        return column, None
    rows = profiles.rows(looked_at)
    return column.take(rows), rows


def _union(several: Sequence[Any]) -> Any:
    if not several:
        return pa.array([], pa.int64())
    if len(several) == 1:
        return several[0]
    rows = pc.unique(pa.concat_arrays(several))
    return rows.take(pc.sort_indices(rows))


class _Memory:
    """What conditions ask of words, settled once a profile: it saves time and changes no answer."""

    def __init__(self, conditions: Sequence[_Condition]) -> None:
        self._conditions = conditions
        self._bounds: dict[tuple[str, ...], list[Predicate]] = {}
        self._numbers: dict[tuple[tuple[str, ...], _Words], tuple[int, ...]] = {}

    def possible(self, words: RecordRows) -> dict[int, list[int]]:
        """Give of each condition the profiles that it may hold for; a condition without any is left out.

        Args:
            words: A row for each profile.
        """
        names = tuple(words.schema.names)
        keys = [(names, key) for key in zip(*(column.to_pylist() for column in words.columns), strict=True)]
        if len(self._numbers) + len(keys) > _MAX_REMEMBERED:
            self._numbers.clear()
            self._bounds.clear()
        new = [at for at, key in enumerate(keys) if key not in self._numbers]
        if new:
            for at, numbers in zip(new, self._settle(names, words.take(pa.array(new, pa.int64()))), strict=True):
                self._numbers[keys[at]] = tuple(numbers)
        possible = defaultdict(list)
        for profile, key in enumerate(keys):
            for number in self._numbers[key]:
                possible[number].append(profile)
        return possible

    def _settle(self, names: tuple[str, ...], words: RecordRows) -> list[list[int]]:
        """Give of each profile the conditions that may hold for it."""
        if names not in self._bounds:
            self._bounds[names] = [upper_bound(one.where, frozenset(names)) for one in self._conditions]
        columns = Columns(words)
        settled: dict[Predicate, list[int]] = {}
        numbers: list[list[int]] = [[] for _ in range(words.num_rows)]
        for number, bound in enumerate(self._bounds[names]):
            if bound not in settled:
                settled[bound] = pc.indices_nonzero(evaluate(bound, columns)).to_pylist()
            for profile in settled[bound]:
                numbers[profile].append(number)
        return numbers


class _Asking:
    """Asks conditions of rows, making each column of each selection ready once."""

    def __init__(self, rows: RecordRows, profiles: Profiles, known: frozenset[str]) -> None:
        self._rows = rows
        self._profiles = profiles
        self._known = known
        self._all = Columns(rows)
        self._selected: dict[tuple[int, ...], tuple[Any, Columns]] = {}

    def holding(self, condition: _Condition, profiles: Sequence[int], thinned: Any | None) -> Any:
        """Give the rows of some profiles, and of those thinned, that a condition holds for."""
        if self._known.issuperset(condition.fields):
            return self._profiles.rows(profiles)
        if thinned is not None:
            own = pc.is_in(self._profiles.ids.take(thinned), pa.array(profiles, self._profiles.ids.type))
            rows = thinned.filter(own)
            columns = Columns(_Taken(self._rows, rows))
        else:
            rows, columns = self._select(tuple(profiles))
        if len(rows) == 0:
            return rows
        if columns is self._all:
            return rows.filter(evaluate(condition.where, columns).take(rows))
        return rows.filter(evaluate(condition.where, columns))

    def _select(self, profiles: tuple[int, ...]) -> tuple[Any, Columns]:
        found = self._selected.get(profiles)
        if found is None:
            rows = self._profiles.rows(profiles)
            most = len(rows) * 2 > self._rows.num_rows
            found = self._selected[profiles] = rows, self._all if most else Columns(_Taken(self._rows, rows))
        return found


class _Taken:
    """Some rows of a table, each column taken when it is asked for."""

    def __init__(self, rows: RecordRows, taken: Any) -> None:
        self._rows = rows
        self._taken = taken
        self._columns: dict[str, Any] = {}
        self.num_rows = len(taken)

    def column(self, name: str) -> Any:
        """Give a column of the taken rows."""
        if name not in self._columns:
            self._columns[name] = self._rows.column(name).take(self._taken)
        return self._columns[name]
