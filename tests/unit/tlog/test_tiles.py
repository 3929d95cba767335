"""Tiles and entry bundles: no other bytes, widths or lengths than those of the format."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.tlog.trees import Tree

from kata_audit.errors import ConsistencyError, VerificationError
from kata_audit.tlog.merkle import hash_leaf, prove_inclusion, root_of
from kata_audit.tlog.tiles import (
    MAX_ENTRY_BYTES,
    TILE_WIDTH,
    entries_path,
    frame_entry,
    split_bundle,
    subtree_reader,
    tile_path,
    tile_root,
    tile_width,
)

LEAVES = [hash_leaf(b"%d" % index) for index in range(70_000)]


@pytest.mark.parametrize("width", [0, -1, 257])
def test_a_tile_has_a_width(width: int) -> None:
    """No path is spelled for a tile that cannot be."""
    with pytest.raises(ValueError, match="wide"):
        tile_path(0, 0, width)
    with pytest.raises(ValueError, match="wide"):
        entries_path(0, width)


def test_a_partial_tile_says_how_wide_it_is() -> None:
    """Only a full tile has a path without a width."""
    assert tile_path(1, 1234067, 17) == "tile/1/x001/x234/067.p/17"
    assert entries_path(1000, 255) == "tile/entries/x001/000.p/255"
    assert entries_path(1000, 256) == "tile/entries/x001/000"


@given(st.lists(st.binary(max_size=300), max_size=TILE_WIDTH))
def test_a_bundle_survives_a_round_trip(entries: list[bytes]) -> None:
    """Framed entries are split again as they were."""
    assert split_bundle(b"".join(map(frame_entry, entries))) == entries


@given(st.lists(st.binary(min_size=1, max_size=30), min_size=1, max_size=4), st.data())
def test_a_bundle_cut_short_is_refused(entries: list[bytes], data: st.DataObject) -> None:
    """A bundle that ends inside an entry is refused, wherever it was cut."""
    last = frame_entry(entries[-1])
    whole = b"".join(map(frame_entry, entries))
    cut = data.draw(st.integers(1, len(last) - 1))

    with pytest.raises(ConsistencyError):
        split_bundle(whole[:-cut])


@pytest.mark.parametrize("bad", [b"\x00", b"\x00\x01", b"\x00\x02a", frame_entry(b"a") + b"\x00", frame_entry(b"") * 257])
def test_other_bytes_are_no_bundle(bad: bytes) -> None:
    """Trailing bytes, lengths past the end and a 257th entry are refused."""
    with pytest.raises(ConsistencyError):
        split_bundle(bad)


def test_an_entry_has_a_limit() -> None:
    """The length of an entry fits its frame."""
    assert len(frame_entry(bytes(MAX_ENTRY_BYTES))) == MAX_ENTRY_BYTES + 2
    with pytest.raises(VerificationError):
        frame_entry(bytes(MAX_ENTRY_BYTES + 1))


@pytest.mark.parametrize("size", [0, 31, 33, 96, 8191, 8193, 16384])
def test_a_root_is_over_a_perfect_part_of_a_tile(size: int) -> None:
    """Bytes that are not 1, 2, 4 … 256 hashes have no root."""
    with pytest.raises(ConsistencyError):
        tile_root(bytes(size))


def test_a_tile_that_is_too_short_is_refused() -> None:
    """A tile of 8,191 bytes gives no proof."""
    tree = Tree(LEAVES[:512])
    read = subtree_reader(lambda level, number, width: tree.tile(level, number, width)[:8191] if level == 0 else b"")

    with pytest.raises(ConsistencyError):
        prove_inclusion(read, 254, 512)
    with pytest.raises(ConsistencyError):
        root_of(read, 0, 512)


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 70_000), st.data())
def test_a_proof_reads_few_tiles_of_the_log(size: int, data: st.DataObject) -> None:
    """A proof needs tiles that the log of that size has, and few of them: never the whole tree."""
    asked: set[tuple[int, int]] = set()
    tree = Tree(LEAVES[:size])

    def read_tile(level: int, number: int, width: int) -> bytes:
        assert width <= tile_width(level, number, size)
        asked.add((level, number))
        return tree.tile(level, number, width)

    prove_inclusion(subtree_reader(read_tile), data.draw(st.integers(0, size - 1)), size)

    assert len(asked) <= 2 * 3


def test_widths_follow_from_the_size() -> None:
    """A log of 70,000 entries has the widths of the format's example."""
    found = [tile_width(0, 273, 70_000), tile_width(1, 1, 70_000), tile_width(2, 0, 70_000), tile_width(0, 272, 70_000)]

    assert found == [112, 17, 1, 256]
    assert [tile_width(0, 274, 70_000), tile_width(3, 0, 70_000), tile_width(0, 0, 0)] == [0, 0, 0]
