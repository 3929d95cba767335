"""Rules and records for tests of detection."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from kata_audit.detect.rule import About, Condition, Rule
from kata_audit.schema.finding import Level, Maturity
from kata_audit.schema.record import RECORD_SCHEMA

SECOND = 1_000_000_000
HOUR = 3600 * SECOND
START = 1_795_500_000 * SECOND


def base(
    rule_id: str, when: Condition, *, group_by: tuple[str, ...] = (), silent: bool = False, level: Level = Level.HIGH
) -> Rule:
    """Make a rule; its digest is of what it says."""
    return Rule(
        rule_id=rule_id,
        digest=hashlib.sha256(f"{rule_id} {when!r}".encode()).hexdigest(),
        level=level,
        maturity=Maturity.STABLE,
        when=when,
        needs=(),
        group_by=group_by,
        silent=silent,
        about=About(f"{rule_id} title", "", (), (), (), (), (), ()),
        place="written in a test",
    )


def records(rows: Sequence[Mapping[str, Any]], *, first: int = 0) -> pa.Table:
    """Make records, numbered from `first`, a second apart, of the host where they state nothing else."""
    stated = [
        {
            "seq": first + at,
            "timestamp": START + (first + at) * SECOND,
            "observed_timestamp": START + (first + at) * SECOND,
            "timestamp_basis": "host",
            "origin": "host",
            "node": "lab/node",
            "tenant": "default",
            "receiver": "journald:journal-export",
            **row,
        }
        for at, row in enumerate(rows)
    ]
    columns = [_column([one.get(field.name) for one in stated], field.type) for field in RECORD_SCHEMA]
    return pa.Table.from_arrays(columns, schema=RECORD_SCHEMA)


def _column(values: list[Any], type_: Any) -> Any:
    if pa.types.is_timestamp(type_):
        return pa.array(values, pa.int64()).cast(type_)
    if pa.types.is_dictionary(type_):
        return pa.array(values, pa.string()).dictionary_encode().cast(type_)
    if pa.types.is_map(type_):
        return pa.array([list((value or {}).items()) for value in values], type_)
    return pa.array(values, type_)
