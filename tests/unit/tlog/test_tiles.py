"""Paths, bundles and entries as the specification spells them."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kata_audit.errors import ConsistencyError, VerificationError
from kata_audit.tlog.entry import decode_entry, encode_entry
from kata_audit.tlog.merkle import hash_leaf
from kata_audit.tlog.tiles import entries_path, frame_entry, split_bundle, subtree_reader, tile_path, tile_root, tile_width

CT_INPUTS = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657"]


@pytest.mark.parametrize(
    ("number", "path"),
    [(0, "000"), (255, "255"), (999, "999"), (1000, "x001/000"), (1234067, "x001/x234/067"), (999999999, "x999/x999/999")],
)
def test_numbers_in_paths(number: int, path: str) -> None:
    assert tile_path(0, number, 256) == f"tile/0/{path}"
    assert entries_path(number, 3) == f"tile/entries/{path}.p/3"


@pytest.mark.parametrize("width", [0, 257, -1])
def test_widths_that_no_tile_has(width: int) -> None:
    with pytest.raises(ValueError, match="wide"):
        tile_path(0, 0, width)


def test_widths_of_a_log_of_seventy_thousand() -> None:
    assert [tile_width(0, number, 70_000) for number in (0, 272, 273, 274)] == [256, 256, 112, 0]
    assert [tile_width(1, 0, 70_000), tile_width(1, 1, 70_000), tile_width(2, 0, 70_000), tile_width(3, 0, 70_000)] == [
        256,
        17,
        1,
        0,
    ]


def test_the_published_tile_and_bundle_of_seven_leaves() -> None:
    data = [bytes.fromhex(text) for text in CT_INPUTS]
    bundle = b"".join(frame_entry(entry) for entry in data)

    assert bundle.hex() == "0000000100000110000220210002303100044041424300085051525354555657"
    assert split_bundle(bundle) == data
    tile = b"".join(hash_leaf(entry) for entry in data)
    assert sha256(tile).hexdigest() == "ec88933a26b0c5a411a10c4afb43f254255423d6a269e8975a7fa0841434e577"


@given(st.lists(st.binary(max_size=300), max_size=256))
def test_bundles_round_trip(entries: list[bytes]) -> None:
    assert split_bundle(b"".join(frame_entry(entry) for entry in entries)) == entries


@pytest.mark.parametrize("bundle", [b"\x00", b"\x00\x01", b"\x00\x00\x00", b"\x00\x02a", b"\x00\x00" * 257])
def test_a_bundle_that_is_cut_or_too_long_is_refused(bundle: bytes) -> None:
    with pytest.raises(ConsistencyError):
        split_bundle(bundle)


def test_a_tile_that_is_cut_is_refused() -> None:
    with pytest.raises(ConsistencyError):
        tile_root(bytes(8191))
    with pytest.raises(ConsistencyError):
        tile_root(bytes(96))
    with pytest.raises(ConsistencyError):
        subtree_reader(lambda _level, _number, _width: bytes(8191))(128, 256)


def test_an_entry_that_is_too_long_is_refused() -> None:
    with pytest.raises(VerificationError):
        frame_entry(bytes(65_536))
    with pytest.raises(VerificationError):
        encode_entry({"t": "x" * 70_000})


@pytest.mark.parametrize(
    "data",
    [
        b'{"t":"x","t":"x"}', b'{"t":"x","a":1.5}', b'{"t": "x"}', b'{"t":"x","a":NaN}', b'{"t":"\\u0041"}', b'{"t":"\\ud800"}', b'["t"]',
        b'{"t":"x"}\n', b'{"u":"x"}', b'{"t":1}', b"", b"\xff", b'{"t":"x","a":18446744073709551616}', b'{"b":1,"a":2,"t":"x"}',
        b'{"t":"x","\xc3\xa9":1}', b"[" * 5000, b'{"t":"x","a":' + b"[" * 17 + b"]" * 17 + b"}",
    ],
)  # fmt: skip
def test_an_entry_that_is_spelled_otherwise_is_refused(data: bytes) -> None:
    with pytest.raises(VerificationError):
        decode_entry(data)


@given(
    st.dictionaries(
        st.text(st.characters(codec="ascii"), max_size=5),
        st.one_of(st.booleans(), st.integers(-(2**63), 2**64 - 1), st.text(st.characters(codec="utf-8"))),
    )
)
def test_entries_round_trip(content: dict[str, object]) -> None:
    entry = {**content, "t": "test"}

    assert decode_entry(encode_entry(entry)) == entry
