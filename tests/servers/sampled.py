"""Records of the rules' own samples and of a captured store, as they leave for another system, and what our rules find in them."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
from tests.evidence import derive
from tests.exports import source
from tests.stores import captured_store

from kata_audit.clock import ManualClock
from kata_audit.config import Config
from kata_audit.detect.mutation import with_parts
from kata_audit.detect.rule import Absence, Correlation, Rule
from kata_audit.parse.link import link
from kata_audit.pipeline.export_source import exported_columns, records_of
from kata_audit.pipeline.rehearsal import try_out
from kata_audit.pipeline.samples import Sample, read_samples, records_of_sample
from kata_audit.predicate.fields import ATTRIBUTE
from kata_audit.predicate.rows import evaluate
from kata_audit.predicate.tree import fields_of
from kata_audit.rules.files import sample_files
from kata_audit.schema.exported import Exported
from kata_audit.schema.fieldset import FieldSet, spell_record
from kata_audit.schema.record import RecordRows
from kata_audit.store.answers import EVERYTHING_IN_SCOPE, Order
from kata_audit.store.identity import fill
from kata_audit.store.known import KnownFacts
from kata_audit.wiring import reading, rules

_ODD = re.compile(r"[^A-Za-z0-9]")
RULES: dict[str, Rule] = {rule.rule_id: rule for rule in rules(Config().rules)}


class Sampled(NamedTuple):
    """One sample of a rule: the node that its records are of, its records, and whether a joined rule finds something in it."""

    rule_id: str
    node: str
    records: list[Exported]
    found: bool


class Held(NamedTuple):
    """What another system is given: samples, and a store's records; and for each rule on one record those that it holds for."""

    samples: list[Sampled]
    stored: list[Exported]
    holds: Mapping[str, frozenset[str]]

    @property
    def records(self) -> list[Exported]:
        """All records, in the order of their times."""
        every = [*self.stored, *(record for one in self.samples for record in one.records)]
        return sorted(every, key=lambda one: one.time_ns)


def held(folder: Path, fieldset: FieldSet, now_ns: int) -> Held:
    """Make the records, as if each had been read when it happened, and the last of each sample had happened now."""
    holds: dict[str, set[str]] = {rule_id: set() for rule_id, rule in RULES.items() if not is_joined(rule)}
    samples = list(_samples(fieldset, now_ns, holds))
    captured_store(folder, clock=ManualClock(now_ns))
    with source(folder).read(0) as parts:
        stored = [_spelled(fieldset, one.record, one.name) for part in parts for one in part.records]
    names = {one.seq: one.name for one in stored}
    with reading(folder) as reader:
        for rule_id, found in holds.items():
            when = RULES[rule_id].when
            assert not isinstance(when, Absence | Correlation)
            for rows in reader.scan(EVERYTHING_IN_SCOPE, when, ["seq"], order=Order("seq")):
                found |= {names[seq] for seq in rows.column("seq").to_pylist()}
    return Held(samples, stored, {rule_id: frozenset(found) for rule_id, found in holds.items()})


def is_joined(rule: Rule) -> bool:
    """Say whether a rule asks for more than one record."""
    return isinstance(rule.when, Correlation | Absence)


def is_mixed_up(one: Exported, rule_id: str) -> bool:
    """Say whether a record has an attribute whose name other systems do not tell from one that the rule asks for.

    Loki makes an underscore of a dot; in patterns on attributes OpenSearch takes a dot of a name for any character.
    """
    when = RULES[rule_id].when
    assert not isinstance(when, Absence | Correlation)
    asked = {field.removeprefix(ATTRIBUTE) for field in fields_of(when) if field.startswith(ATTRIBUTE)}
    alike = {_ODD.sub("_", key) for key in asked}
    return any(key not in asked and _ODD.sub("_", key) in alike for key in one.record.get("attributes", {}))


def _samples(fieldset: FieldSet, now_ns: int, holds: Mapping[str, set[str]]) -> Iterator[Sampled]:
    batches, names = [], []
    for file, data in sorted(sample_files().items()):
        rule = RULES[file.removesuffix(".jsonl")]
        samples = read_samples(data, file)[0]
        found = try_out(with_parts(rule, list(RULES.values())), samples, derive) if is_joined(rule) else [()] * len(samples)
        for number, (sample, findings) in enumerate(zip(samples, found, strict=True)):
            node = f"sample/{rule.rule_id.lower()}-{number}"
            rows = _joined(sample)
            batches.append(rows)
            names += [f"{node}/{at}" for at in range(rows.num_rows)]
            records = list(
                records_of(rows.select([name for name in exported_columns(raw=False) if name in rows.schema.names]))
            )
            shift = now_ns - max(_time(record) for record in records)
            spelled = [_spelled(fieldset, _moved(record, node, shift), f"{node}/{at}") for at, record in enumerate(records)]
            yield Sampled(rule.rule_id, node, spelled, any(one.rule_id == rule.rule_id for one in findings))
    (rows,) = pa.Table.from_batches(batches).combine_chunks().to_batches()
    for rule_id, there in holds.items():
        when = RULES[rule_id].when
        assert not isinstance(when, Absence | Correlation)
        there |= {name for name, is_one in zip(names, evaluate(when, rows).to_pylist(), strict=True) if is_one}


def _joined(sample: Sample) -> RecordRows:
    rows = records_of_sample(sample, derive)
    known = KnownFacts()
    known.learn(link(rows))
    return fill(rows, known, as_stated=True)


def _time(record: Mapping[str, Any]) -> int:
    return int(record.get("timestamp", record["observed_timestamp"]))


def _moved(record: Mapping[str, Any], node: str, shift: int) -> dict[str, Any]:
    time_ns = _time(record) + shift
    return {
        **record,
        "node": node,
        "observed_timestamp": time_ns,
        **({"timestamp": time_ns} if "timestamp" in record else {}),
    }


def _spelled(fieldset: FieldSet, record: Mapping[str, Any], name: str) -> Exported:
    return Exported(name, int(record["seq"]), _time(record), record, spell_record(fieldset, record, name))
