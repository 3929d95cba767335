"""What detection knows: only what was stated up to a record, however its log was cut, and not without bound."""

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.store.test_reader_identity import BOOT, NODE, any_facts, any_rows, known, records

from kata_audit.schema.fact import FACT_SCHEMA, FactKind, FactRows
from kata_audit.store.facts import Fact, FactTable
from kata_audit.store.identity import fill
from kata_audit.store.known import KnownFacts, read_known


def as_rows(facts: FactTable) -> FactRows:
    """Give facts as `link()` does."""
    told = [{"kind": str(kind), **fact._asdict()} for kind in FactKind for fact in facts.every(kind)]
    return pa.RecordBatch.from_pylist(told, schema=FACT_SCHEMA)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(rows=any_rows(), facts=any_facts())
def test_a_record_is_joined_to_what_was_stated_up_to_it(rows: pa.RecordBatch, facts: FactTable) -> None:
    """Held against each row alone, joined to the facts of that moment."""
    told = as_rows(facts)
    alone = [
        fill(rows.slice(at, 1), FactTable([told.filter(pc.less_equal(told["seq"], rows["seq"][at]))]))
        for at in range(rows.num_rows)
    ]

    assert [one.to_pylist()[0] for one in alone] == fill(rows, facts, as_stated=True).to_pylist()


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(rows=any_rows(), facts=any_facts(), ends=st.sets(st.integers(1, 10), max_size=4))
def test_where_a_log_is_cut_names_nobody_otherwise(rows: pa.RecordBatch, facts: FactTable, ends: set[int]) -> None:
    """Each cut learns its own facts, and the next one begins from what the last one saved."""
    told, kept, filled, first = as_rows(facts), KnownFacts(), [], 0
    for end in [*sorted(ends), 11]:
        kept.learn(told.filter(pc.and_(pc.greater_equal(told["seq"], first), pc.less(told["seq"], end))))
        filled += fill(rows.slice(first, end - first), kept, as_stated=True).to_pylist()
        kept.settle()
        restored = read_known(kept.to_bytes())
        assert restored is not None
        kept, first = restored, end

    assert filled == fill(rows, facts, as_stated=True).to_pylist()


def test_what_was_stated_too_long_ago_is_forgotten() -> None:
    """Twenty thousand sandboxes name their pods; the newest thousands are kept, and the one that was named anew."""
    kept = KnownFacts()
    kept.learn(as_rows(known((FactKind.SANDBOX_POD, "again", "old", 0))))
    for start in range(0, 20_000, 5_000):
        told = [(FactKind.SANDBOX_POD, f"s{seq}", "api", seq + 1) for seq in range(start, start + 5_000)]
        kept.learn(as_rows(known(*told, (FactKind.SANDBOX_POD, "again", "new", start + 1))))
        kept.settle()

    assert len(kept.every(FactKind.SANDBOX_POD)) == 8_192
    assert kept.of_subjects(FactKind.SANDBOX_POD, ["s0", "s19999", "again"]) == [
        Fact("s19999", "api", NODE, BOOT, 20_000),
        Fact("again", "old", NODE, BOOT, 0),
    ]


@pytest.mark.parametrize("data", [b"", b"x", KnownFacts().to_bytes()[:-1]])
def test_what_is_no_state_is_refused(data: bytes) -> None:
    """A damaged state is told from an empty one."""
    assert read_known(data) is None


def test_facts_lead_from_objects_too() -> None:
    """The protocol of facts is whole."""
    kept = KnownFacts()
    kept.learn(as_rows(known((FactKind.SANDBOX_POD, "s1", "api", 0), (FactKind.SANDBOX_POD, "s2", "web", 1))))

    assert [fact.subject for fact in kept.of_objects(FactKind.SANDBOX_POD, ["web"])] == ["s2"]
    assert fill(records({"sandbox_id": "s2", "seq": 1}), kept, as_stated=True)["k8s_pod"].to_pylist() == ["web"]
