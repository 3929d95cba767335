"""The attributes of a cut by key: which rows state one, and what.

A map column is dear to take rows of: all its keys and values are copied. Here each key that is asked for is found once, and
its values are words: what one text decides is asked of each distinct value, not of each row. A guest can make up keys
without end, so nothing is kept of those that nobody asks for.
"""

from collections.abc import Sequence
from itertools import accumulate
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

MANY_WORDS: Final = 4
"""With more distinct values than so many times the rows asked, the rows' own values are given."""


class Attributes:
    """The attributes of some rows.

    Args:
        column: A map array of text to text.
        keys: All keys that will be asked for.
    """

    def __init__(self, column: Any, keys: Sequence[str]) -> None:
        self._offsets = column.offsets
        self._first, last = self._offsets[0].as_py(), self._offsets[-1].as_py()
        self._values = column.items.slice(self._first, last - self._first)
        stated = column.keys.slice(self._first, last - self._first)
        codes = pc.index_in(stated, pa.array(keys, stated.type))
        entries = pc.indices_nonzero(pc.is_valid(codes)).cast(pa.int64())
        codes = codes.take(entries)
        self._order = entries.take(pc.sort_indices(codes))
        counted = codes.value_counts()
        counts = dict(zip(counted.field("values").to_pylist(), counted.field("counts").to_pylist(), strict=True))
        ends = accumulate((counts.get(code, 0) for code in range(len(keys))), initial=0)
        self._places: dict[str, tuple[int, int]] = {
            key: (end, counts.get(code, 0)) for code, (key, end) in enumerate(zip(keys, ends, strict=False))
        }
        self._rows: dict[str, Any] = {}
        self._words: dict[str, Any] = {}

    def count(self, key: str) -> int:
        """Say how often an attribute is stated."""
        return self._places[key][1]

    def stating(self, key: str) -> Any:
        """Give the rows that state an attribute, in ascending order; one twice where it states two."""
        if key not in self._rows:
            entry = pc.add(self._entries(key), self._first).cast(self._offsets.type)
            self._rows[key] = pc.subtract(pc.search_sorted(self._offsets, entry, side="right").cast(pa.int64()), 1)
        return self._rows[key]

    def of_rows(self, key: str, rows: Any) -> Any:
        """Give what some rows state of an attribute: the first that each states, null where it states none."""
        stating = self.stating(key)
        if len(stating) == 0:
            return pa.nulls(len(rows), self._values.type)
        values = self.words(key)
        at = pc.min_element_wise(pc.search_sorted(stating, rows).cast(pa.int64()), len(stating) - 1)
        here = pc.equal(stating.take(at), rows)
        indices = pc.if_else(here, values.indices.take(at), pa.scalar(None, values.indices.type))
        found = pa.DictionaryArray.from_arrays(indices, values.dictionary)
        return found if len(values.dictionary) <= MANY_WORDS * len(rows) else found.cast(self._values.type)

    def words(self, key: str) -> Any:
        """Give what the rows that state an attribute state, as a dictionary."""
        if key not in self._words:
            self._words[key] = self._values.take(self._entries(key)).dictionary_encode()
        return self._words[key]

    def _entries(self, key: str) -> Any:
        return self._order.slice(*self._places[key])
