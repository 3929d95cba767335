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

from kata_audit.detect.asking import FEW_ROWS, Asking, Cut
from kata_audit.detect.literals import KEYS, TEXTS, Literals, branches_of, literals_of
from kata_audit.detect.profiles import WORD_COLUMNS, Profiles, profiles_of, rest_of, upper_bound
from kata_audit.detect.scan import Scanner, rows_of_needles, scanner
from kata_audit.predicate.fields import ATTRIBUTE
from kata_audit.predicate.rows import Columns, evaluate
from kata_audit.predicate.tree import Predicate, fields_of
from kata_audit.schema.record import RecordRows

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
        self._keys = tuple(sorted(field.removeprefix(ATTRIBUTE) for field in asked if field.startswith(ATTRIBUTE)))
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
        cut = Cut(rows, self._keys)
        asking = Asking(cut, profiles, self._memory.rest(profiles.words))
        thinned = self._thin(cut, profiles, possible)
        holding: dict[int, list[Any]] = defaultdict(list)
        for number in sorted(possible):
            held = asking.holding(number, possible[number], thinned.get(number))
            if len(held):
                holding[self._branches[number].of].append(held)
        return [(number, _union(held)) for number, held in holding.items()]

    def _thin(self, cut: Cut, profiles: Profiles, possible: Mapping[int, Sequence[int]]) -> dict[int, Any]:
        """Give of branches with many rows and a literal the rows that have it, whatever their profile."""
        many = {
            number: literals
            for number, those in possible.items()
            if (literals := self._branches[number].literals) is not None
            and _is_worth_it(literals, profiles.count(those), cut)
        }
        found: dict[tuple[str, bytes], Any] = {}
        for area, (needles, scan) in self._areas.items():
            asking = [number for number, literals in many.items() if any(one.area == area for one in literals)]
            if asking:
                looked_at = sorted({profile for number in asking for profile in possible[number]})
                for needle, at in _rows_of_needles(scan, needles, cut.texts(area), profiles, looked_at).items():
                    found[area, needles[needle]] = at
        keys = {one.needle for literals in many.values() for one in literals if one.area == KEYS}
        found |= {(KEYS, key): pc.unique(cut.attributes().stating(key.decode())) for key in keys}
        unions = {those: _union([found[one] for one in those if one in found]) for those in set(many.values())}
        return {number: unions[literals] for number, literals in many.items()}


def _is_worth_it(literals: Literals, rows: int, cut: Cut) -> bool:
    """Say whether looking for literals leaves less to ask: texts of few rows are asked directly, and keys may be common."""
    if any(one.area != KEYS for one in literals):
        return rows > FEW_ROWS
    return sum(cut.attributes().count(one.needle.decode()) for one in literals) * 2 < rows


def _rows_of_needles(
    scan: Scanner, needles: Sequence[bytes], texts: Any, profiles: Profiles, looked_at: Sequence[int]
) -> dict[int, Any]:
    """Find the rows in whose text needles stand: of words each distinct one is looked at, else the rows of some profiles."""
    if pa.types.is_dictionary(texts.type):
        found = rows_of_needles(scan, needles, texts.dictionary)
        code = texts.indices.type
        return {
            needle: pc.indices_nonzero(pc.is_in(texts.indices, words.cast(code))).cast(pa.int64())
            for needle, words in found.items()
        }
    if profiles.count(looked_at) * 2 > len(texts):
        return rows_of_needles(scan, needles, texts)
    rows = profiles.rows(looked_at)
    return {needle: rows.take(at) for needle, at in rows_of_needles(scan, needles, texts.take(rows)).items()}


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
