"""The attributes of a cut by key: which rows state one, and what.

A map column is dear to take rows of: all its keys and values are copied. Here each key that is asked for is found once, and
its values are words: what one text decides is asked of each distinct value, not of each row.
"""

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
    """

    def __init__(self, column: Any) -> None:
        self._offsets = column.offsets
        self._first, last = self._offsets[0].as_py(), self._offsets[-1].as_py()
        self._values = column.items.slice(self._first, last - self._first)
        words = column.keys.slice(self._first, last - self._first).dictionary_encode()
        self._order = pc.sort_indices(words.indices).cast(pa.int64())
        counted = words.indices.value_counts()
        counts = dict(zip(counted.field("values").to_pylist(), counted.field("counts").to_pylist(), strict=True))
        ends = list(accumulate((counts[code] for code in range(len(words.dictionary))), initial=0))
        self._places: dict[str, tuple[int, int]] = {
            word: (ends[code], counts[code]) for code, word in enumerate(words.dictionary.to_pylist())
        }
        self._rows: dict[str, Any] = {}
        self._words: dict[str, Any] = {}

    def count(self, key: str) -> int:
        """Say how often an attribute is stated."""
        return self._places.get(key, (0, 0))[1]

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
        return self._order.slice(*self._places.get(key, (0, 0)))
