"""L3, commitment: every acknowledged record is in exactly one batch, whatever is done in whatever order."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.fault.oracle import WIDTH, examine, text
from tests.unit.store.rows import batches, evidence

from kata_audit.clock import ManualClock
from kata_audit.store.writer import SeqRange, Writer, open_writer

CLOCK = ManualClock()


def feed(writer: Writer, first: int, count: int) -> SeqRange:
    return writer.append(evidence([text(number) for number in range(first, first + count)], offset=first * WIDTH))


def seal(writer: Writer, max_rows: int) -> None:
    found = writer.unsealed(max_rows=max_rows, max_bytes=64 << 20)
    assert found is not None
    cut, rows = found
    writer.seal(cut, batches(rows), derive="toy", states={})


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(acts=st.lists(st.tuples(st.sampled_from(["append", "seal", "reopen"]), st.integers(0, 6)), max_size=12))
def test_any_sequence_of_acts_keeps_every_record_once(
    tmp_path_factory: pytest.TempPathFactory, acts: list[tuple[str, int]]
) -> None:
    """Against a model that is two numbers: how many records there are, and how many of them are sealed."""
    root = tmp_path_factory.mktemp("any") / "store"
    total = sealed = 0
    opened = open_writer(root, clock=CLOCK)
    writer = opened.__enter__()
    for act, amount in acts:
        if act == "append":
            assert feed(writer, total, amount) == (total, total + amount)
            total += amount
        elif act == "seal" and total > sealed:
            seal(writer, amount + 1)
            sealed = min(sealed + amount + 1, total)
        elif act == "reopen":
            opened.__exit__(None, None, None)
            opened = open_writer(root, clock=CLOCK)
            writer = opened.__enter__()
        assert (writer.next_seq, writer.sealed_to) == (total, sealed)
    opened.__exit__(None, None, None)
    found = examine(root)
    held = found.sealed | found.waiting

    assert len(found.sealed) == sealed
    assert [held[seq] for seq in range(total)] == [text(number) for number in range(total)]
    assert found.lost == set()
