"""What rules hold for: a record, or the firing of a correlation; and what is remembered of one in a window."""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple, TypeAlias

from kata_audit.detect.rule import Absence, Correlation
from kata_audit.schema.finding import MAX_RECORDS

MAX_VALUE: Final = 512
"""Characters of a value that are kept: what a guest states must not fill the memory."""


Place: TypeAlias = tuple[str, ...]
"""Tenant, and the values of `group_by`."""


class Event(NamedTuple):
    """One thing that a rule holds for.

    `at_ns` is its place in the order of events, `time_ns` the time of its last record and `first_ns` of its first, all in
    nanoseconds. `records` are numbers of records in ascending order; `seq` is the last that came. `claim` tells that a guest
    wrote them all. `values` are what it states of the fields that its rule and those behind it ask for; `detail` is what its
    rule says besides.
    """

    rule_id: str
    at_ns: int
    seq: int
    first_ns: int
    time_ns: int
    records: tuple[int, ...]
    claim: bool
    node: str
    tenant: str
    values: Mapping[str, str]
    detail: Mapping[str, str]


class Mark(NamedTuple):
    """What is remembered of an event in a window."""

    at_ns: int
    first_ns: int
    time_ns: int
    records: tuple[int, ...]
    claim: bool


def mark(event: Event) -> Mark:
    """Keep of an event what a finding needs of it."""
    return Mark(event.at_ns, event.first_ns, event.time_ns, event.records, event.claim)


def shorten(value: str) -> str:
    """Cut a long value, keeping different ones different."""
    if len(value) <= MAX_VALUE:
        return value
    digest = hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    return f"{value[: MAX_VALUE - 33]}…{digest}"


def name_records(records: Iterable[int]) -> tuple[int, ...]:
    """Put numbers of records in order; of many, the first ones and the last."""
    found = sorted(set(records))
    return tuple(found if len(found) <= MAX_RECORDS else [*found[: MAX_RECORDS - 1], found[-1]])


def field_of(when: Correlation | Absence, rule_id: str, name: str) -> str:
    """Give the field that one rule's events are read by, for a name of `group_by`."""
    return when.aliases.get(name, {}).get(rule_id, name)


def key_of(when: Correlation | Absence, event: Event) -> Place | None:
    """Give the group of an event: None where it does not state a value of `group_by`. Tenants never meet."""
    values = [event.values.get(field_of(when, event.rule_id, name)) for name in when.group_by]
    stated = [value for value in values if value is not None]
    return (event.tenant, *stated) if len(stated) == len(values) else None
