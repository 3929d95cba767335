"""The record's leaf commits to all of a record's evidence, hides it behind its salt, and sits under its batch's root."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.tlog.bundles import evidence_rows, record
from tests.unit.tlog.trees import recursive_root

from kata_audit.errors import InclusionError
from kata_audit.tlog.leaf import (
    BLOCK_RECORDS,
    batch_proof,
    batch_root,
    block_roots,
    canonical,
    fold_blocks,
    hash_leaves,
    make_salts,
)
from kata_audit.tlog.merkle import hash_leaf, verify_inclusion

TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
RECORDS = st.fixed_dictionaries(
    {
        "seq": st.integers(0, 2**64 - 1),
        "observed_unix_nano": st.integers(-(2**63), 2**63 - 1),
        "node": TEXT,
        "receiver": TEXT,
        "cursor": TEXT,
        "raw": st.binary(max_size=40),
    }
)
LEAVES = [hash_leaf(b"%d" % index) for index in range(1100)]


def uncanonical(data: bytes) -> dict[str, Any]:
    """Read `canon` back, by its description."""
    fields, at = [], 16
    while at < len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        fields.append(data[at + 4 : at + 4 + length])
        at += 4 + length
    node, receiver, cursor, raw = fields
    numbers = {
        "seq": int.from_bytes(data[:8], "big"),
        "observed_unix_nano": int.from_bytes(data[8:16], "big", signed=True),
    }
    return {**numbers, "node": node.decode(), "receiver": receiver.decode(), "cursor": cursor.decode(), "raw": raw}


@given(st.lists(RECORDS, max_size=6))
def test_two_records_never_have_one_spelling(records: list[dict[str, Any]]) -> None:
    """All of a record's evidence can be read back from what the leaf commits to."""
    assert [uncanonical(canon) for canon in canonical(evidence_rows(records))] == records


@given(RECORDS, RECORDS)
def test_a_leaf_follows_from_record_and_salt(one: dict[str, Any], other: dict[str, Any]) -> None:
    """Another record or another salt has another leaf."""
    salts = make_salts(bytes(32), 2)
    same_salt = salts[:16] * 2
    pair = hash_leaves(evidence_rows([one, other]), same_salt)
    twice = hash_leaves(evidence_rows([one, one]), salts)

    assert (pair[:32] == pair[32:]) == (one == other)
    assert twice[:32] != twice[32:]


def test_leaves_do_not_depend_on_the_batch() -> None:
    """A batch that is hashed in pieces has the same leaves, also where more texts occur than are remembered."""
    records = [{**record(seq), "node": f"lab/{seq}"} for seq in range(700)]
    salts = make_salts(bytes(32), 700)
    whole = hash_leaves(evidence_rows(records), salts)
    pieces = [hash_leaves(evidence_rows(records[at : at + 90]), salts[at * 16 : (at + 90) * 16]) for at in range(0, 700, 90)]

    assert b"".join(pieces) == whole
    assert hash_leaves(evidence_rows(records).slice(100, 50), salts[1600:2400]) == whole[3200:4800]


@pytest.mark.parametrize("salts", [b"", bytes(16), bytes(31), bytes(48)])
def test_each_row_has_one_salt(salts: bytes) -> None:
    """More or fewer salts than rows are refused."""
    with pytest.raises(ValueError, match="salts"):
        hash_leaves(evidence_rows([record(0), record(1)]), salts)


def test_salts_are_one_stream() -> None:
    """The first salts of a longer batch are those of a shorter one, and no two are equal."""
    salts = make_salts(bytes(32), 1000)

    assert make_salts(bytes(32), 10) == salts[:160]
    assert len({salts[at : at + 16] for at in range(0, len(salts), 16)}) == 1000
    assert make_salts(bytes(31) + b"\x01", 1) != salts[:16]


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 1100), st.data())
def test_blocks_fold_into_the_root(size: int, data: st.DataObject) -> None:
    """256 is a power of two, so the root over the blocks is the root over the leaves; each record has a proof."""
    leaves = b"".join(LEAVES[:size])
    index = data.draw(st.integers(0, size - 1))
    blocks = block_roots(leaves)

    assert len(blocks) == -(-size // BLOCK_RECORDS)
    assert fold_blocks(blocks) == batch_root(leaves) == recursive_root(LEAVES[:size])
    verify_inclusion(index, size, LEAVES[index], batch_proof(leaves, index), batch_root(leaves))


@pytest.mark.parametrize("leaves", [b"", bytes(31), bytes(33)])
def test_no_root_without_leaves(leaves: bytes) -> None:
    """An empty batch or a part of a leaf has no root."""
    with pytest.raises(ValueError, match="leaves"):
        batch_root(leaves)


@pytest.mark.parametrize("index", [-1, 3])
def test_no_proof_beyond_the_batch(index: int) -> None:
    """A record that is not there has no proof."""
    with pytest.raises(InclusionError):
        batch_proof(b"".join(LEAVES[:3]), index)
