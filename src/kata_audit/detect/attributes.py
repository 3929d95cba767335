"""The attributes of a cut by key: which rows state one, and what.

A map column is dear to take rows of: all its keys and values are copied. Here each key that is asked for is found once, and
its values are words: what one text decides is asked of each distinct value, not of each row.
"""

from itertools import accumulate
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

_MANY_WORDS: Final = 4
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
        self._places = {word: (ends[code], counts[code]) for code, word in enumerate(words.dictionary.to_pylist())}
        self._found: dict[str, tuple[Any, Any]] = {}

    def stated(self, key: str) -> tuple[Any, Any]:
        """Give the rows that state an attribute, in ascending order, and what they state; one twice where it states two."""
        if key not in self._found:
            at = self._order.slice(*self._places.get(key, (0, 0)))
            entry = pc.add(at, self._first).cast(self._offsets.type)
            rows = pc.subtract(pc.search_sorted(self._offsets, entry, side="right").cast(pa.int64()), 1)
            self._found[key] = rows, self._values.take(at).dictionary_encode()
        return self._found[key]

    def of_rows(self, key: str, rows: Any) -> Any:
        """Give what some rows state of an attribute: the first that each states, null where it states none."""
        stating, values = self.stated(key)
        if len(stating) == 0:
            return pa.nulls(len(rows), self._values.type)
        at = pc.min_element_wise(pc.search_sorted(stating, rows).cast(pa.int64()), len(stating) - 1)
        here = pc.equal(stating.take(at), rows)
        indices = pc.if_else(here, values.indices.take(at), pa.scalar(None, values.indices.type))
        found = pa.DictionaryArray.from_arrays(indices, values.dictionary)
        return found if len(values.dictionary) <= _MANY_WORDS * len(rows) else found.cast(self._values.type)
