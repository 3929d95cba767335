"""Company of absences, read from whole columns: parts that never speak, and hold for a third of all records.

A line that came, a sandbox that ended: what an absence needs of such a record is its group and its time, and of many times
close together the first and the last.
"""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from kata_audit.detect.event import Place, field_of, shorten
from kata_audit.detect.rule import Absence
from kata_audit.predicate.rows import Columns

_PAIRS = [("at", "min"), ("at", "max")]


def company_of(columns: Columns, watermarks: Any, rule_id: str, when: Absence) -> Mapping[Place, list[int]]:
    """Read the company that records are to an absence.

    Args:
        columns: The records that a rule holds for.
        watermarks: At each, the time before which everything is decided: what comes later than that counts there.
        rule_id: The rule.
        when: The absence.

    Returns:
        By tenant and group, times of company, and enough of them: any other lies between two of these that are no further
        apart than half of what the absence reaches.
    """
    fields = [field_of(when, rule_id, name) for name in when.group_by]
    names = [f"group{number}" for number in range(len(fields))]
    times = pc.max_element_wise(times_of(columns), watermarks)
    buckets = pc.divide(times, pa.scalar(max(1, (when.before_ns + when.after_ns) // 2), pa.int64()))
    table = pa.table(
        [columns.column("tenant"), *(_texts(columns.column(field)) for field in fields), buckets, times],
        names=["tenant", *names, "bucket", "at"],
    )
    for name in names:
        table = table.filter(pc.is_valid(table[name]))
    grouped = table.group_by(["tenant", *names, "bucket"], use_threads=False).aggregate(_PAIRS)
    keys = zip(*(grouped[name].to_pylist() for name in ("tenant", *names)), strict=True)
    company: dict[Place, list[int]] = {}
    for key, first, last in zip(keys, grouped["at_min"].to_pylist(), grouped["at_max"].to_pylist(), strict=True):
        company.setdefault(key, []).extend((first, last))
    return company


def times_of(columns: Columns) -> Any:
    """Give the place of records in the order of events: their time, or where it is none or to come, their arrival's."""
    observed = columns.column("observed_timestamp")
    return pc.fill_null(pc.min_element_wise(columns.column("timestamp"), observed), 0)


def _texts(column: Any) -> Any:
    """Give values as events carry them."""
    words = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    cut = [None if value is None else shorten(str(value)) for value in words.dictionary.to_pylist()]
    return pa.array(cut, pa.large_string()).take(words.indices)
