"""Which rows hold which conditions, without asking every condition of every row.

1. A condition is cut into branches of which one must hold (`literals.py`); each goes its own way.
2. Rows are grouped by profile (`profiles.py`). What a branch asks of a profile's words is settled once a profile, and
   remembered between calls.
3. Where many rows are left to a branch that needs a literal or the key of an attribute, one pass over the texts or keys
   finds the rows that have it.
4. The branch itself is asked of the rows that are left (`predicate/rows.py`), and only its answer counts.

So the steps before the last can cost time, never a row: a property test holds the answer equal to that of conditions alone.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from kata_audit.detect.attributes import Attributes
from kata_audit.detect.literals import KEYS, TEXTS, Literals, branches_of, literals_of
from kata_audit.detect.profiles import WORD_COLUMNS, Profiles, profiles_of, rest_of, upper_bound
from kata_audit.detect.scan import Scanner, rows_of_needles, scanner
from kata_audit.predicate.fields import ATTRIBUTE
from kata_audit.predicate.rows import Columns, evaluate
from kata_audit.predicate.tree import And, Everything, Predicate, fields_of
from kata_audit.schema.record import RecordRows

FEW_ROWS: Final = 256
"""So few rows are asked directly."""
_MAX_REMEMBERED: Final = 16_384
_ALWAYS: Final = "origin"
"""A word column that every profile has."""
_Words: TypeAlias = tuple[Any, ...]


class _Branch(NamedTuple):
    """A branch of a condition: the condition's number, what it asks, of which fields, and the literals that it needs."""

    of: int
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
        self._branches = [
            _Branch(number, branch, frozenset(fields_of(branch)), literals_of(branch))
            for number, where in enumerate(conditions)
            for branch in branches_of(where)
        ]
        asked = {_ALWAYS}.union(*(one.fields for one in self._branches))
        self._words = tuple(name for name in WORD_COLUMNS if name in asked)
        self._memory = _Memory(self._branches)
        self._areas: dict[str, tuple[tuple[bytes, ...], Scanner]] = {}
        for area in TEXTS:
            literals = (literal for one in self._branches for literal in one.literals or ())
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
        if rows.num_rows == 0 or not self._branches:
            return []
        profiles = profiles_of(rows, self._words)
        possible = self._memory.possible(profiles.words)
        asking = _Asking(rows, profiles, self._memory.rest(profiles.words))
        thinned = self._thin(rows, profiles, possible, asking.attributes)
        holding: dict[int, list[Any]] = defaultdict(list)
        for number in sorted(possible):
            held = asking.holding(number, possible[number], thinned.get(number))
            if len(held):
                holding[self._branches[number].of].append(held)
        return [(number, _union(held)) for number, held in holding.items()]

    def _thin(
        self,
        rows: RecordRows,
        profiles: Profiles,
        possible: Mapping[int, Sequence[int]],
        attributes: Callable[[], Attributes],
    ) -> dict[int, Any]:
        """Give of branches with many rows and a literal the rows that have it, whatever their profile."""
        many = {
            number: literals
            for number, those in possible.items()
            if (literals := self._branches[number].literals) is not None
            and (profiles.count(those) > FEW_ROWS or all(one.area == KEYS for one in literals))
        }
        found: dict[tuple[str, bytes], Any] = {}
        for area, (needles, scan) in self._areas.items():
            asking = [number for number, literals in many.items() if any(one.area == area for one in literals)]
            if asking:
                looked_at = sorted({profile for number in asking for profile in possible[number]})
                texts, place = _texts(rows.column(area), profiles, looked_at)
                for needle, at in rows_of_needles(scan, needles, texts).items():
                    found[area, needles[needle]] = at if place is None else place.take(at)
        keys = {one.needle for literals in many.values() for one in literals if one.area == KEYS}
        found |= {(KEYS, key): pc.unique(attributes().stated(key.decode())[0]) for key in keys}
        return {number: _union([found[one] for one in literals if one in found]) for number, literals in many.items()}


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

    def __init__(self, conditions: Sequence[_Branch]) -> None:
        self._branches = conditions
        self._bounds: dict[tuple[str, ...], list[Predicate]] = {}
        self._rests: dict[tuple[str, ...], list[Predicate]] = {}
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
            self._rests.clear()
        new = [at for at, key in enumerate(keys) if key not in self._numbers]
        if new:
            for at, numbers in zip(new, self._settle(names, words.take(pa.array(new, pa.int64()))), strict=True):
                self._numbers[keys[at]] = tuple(numbers)
        possible = defaultdict(list)
        for profile, key in enumerate(keys):
            for number in self._numbers[key]:
                possible[number].append(profile)
        return possible

    def rest(self, words: RecordRows) -> list[Predicate]:
        """Give what is left to ask of each branch where its profile may hold."""
        names = tuple(words.schema.names)
        if names not in self._rests:
            self._rests[names] = [rest_of(one.where, frozenset(names)) for one in self._branches]
        return self._rests[names]

    def _settle(self, names: tuple[str, ...], words: RecordRows) -> list[list[int]]:
        """Give of each profile the conditions that may hold for it."""
        if names not in self._bounds:
            self._bounds[names] = [upper_bound(one.where, frozenset(names)) for one in self._branches]
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
    """Asks branches of rows, making each column of each selection ready once."""

    def __init__(self, rows: RecordRows, profiles: Profiles, rest: Sequence[Predicate]) -> None:
        self._rows = rows
        self._profiles = profiles
        self._rest = rest
        self._all = Columns(rows)
        self._attributes: Attributes | None = None
        self._selected: dict[tuple[int, ...], tuple[Any, Columns]] = {}

    def attributes(self) -> Attributes:
        """Give the attributes of all rows."""
        if self._attributes is None:
            self._attributes = Attributes(self._rows.column(KEYS))
        return self._attributes

    def holding(self, number: int, profiles: Sequence[int], thinned: Any | None) -> Any:
        """Give the rows of some profiles, and of those thinned, that a branch holds for."""
        rest = self._rest[number]
        if isinstance(rest, Everything):
            return self._profiles.rows(profiles)
        if thinned is not None and len(thinned) * 2 < self._profiles.count(profiles):
            own = pc.is_in(self._profiles.ids.take(thinned), pa.array(profiles, self._profiles.ids.type))
            rows = thinned.filter(own)
            columns: Columns = _Selected(self._rows, rows, self.attributes)
        else:
            rows, columns = self._select(tuple(profiles))
        if len(rows) == 0:
            return rows
        if isinstance(rest, And) and len(rows) > FEW_ROWS:  # of the rows that hold the cheapest part, few are left
            held = evaluate(rest.parts[0], columns)
            rows = rows.filter(held.take(rows) if columns is self._all else held)
            rest, columns = And(rest.parts[1:]), _Selected(self._rows, rows, self.attributes)
            if len(rows) == 0:
                return rows
        held = evaluate(rest, columns)
        return rows.filter(held.take(rows) if columns is self._all else held)

    def _select(self, profiles: tuple[int, ...]) -> tuple[Any, Columns]:
        found = self._selected.get(profiles)
        if found is None:
            rows = self._profiles.rows(profiles)
            most = len(rows) * 2 > self._rows.num_rows
            columns = self._all if most else _Selected(self._rows, rows, self.attributes)
            found = self._selected[profiles] = rows, columns
        return found


class _Selected(Columns):
    """The columns of some rows, each taken when it is asked for."""

    def __init__(self, rows: RecordRows, selected: Any, attributes: Callable[[], Attributes]) -> None:
        super().__init__(_Taken(rows, selected))
        self._selection = selected
        self._attributes = attributes

    def column(self, field: str) -> Any:
        """Give a field of the selected rows, as `Columns` does."""
        if not field.startswith(ATTRIBUTE):
            return super().column(field)
        if field not in self._ready:
            self._ready[field] = self._attributes().of_rows(field.removeprefix(ATTRIBUTE), self._selection)
        return self._ready[field]


class _Taken:
    """Some rows of a table, each column taken when it is asked for."""

    def __init__(self, rows: RecordRows, selected: Any) -> None:
        self._rows = rows
        self._selected = selected
        self.num_rows = len(selected)

    def column(self, name: str) -> Any:
        """Give a column of the selected rows."""
        return self._rows.column(name).take(self._selected)
