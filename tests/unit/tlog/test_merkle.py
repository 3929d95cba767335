"""Trees and proofs against the published vectors, an independent implementation, and everything that must fail."""

import itertools
import warnings
from collections.abc import Callable
from hashlib import sha256

import pymerkle
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kata_audit.errors import ConsistencyError, InclusionError
from kata_audit.tlog.leaf import batch_root
from kata_audit.tlog.merkle import (
    EMPTY_ROOT,
    Frontier,
    hash_leaf,
    hash_node,
    prove_consistency,
    prove_inclusion,
    root_of,
    verify_consistency,
    verify_inclusion,
)
from kata_audit.tlog.tiles import TILE_WIDTH, subtree_reader, tile_path, tile_root, tile_width

CT_INPUTS = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
CT_ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
DECIMAL_ROOTS = {
    1: "db3426e878068d28d269b6c87172322ce5372b65756d0789001d34835f601c03",
    2: "cb00989d94a569c0a678ae042b63dcd4625db96440517f37a6eb7976ea24ed4b",
    255: "32f85bcaa87d7bcd05728f09e9aeba350ba6a2f733830087f0597682848be5cb",
    256: "828515d033c19d8c901f37eccb8aed919667703486f8d2fff1cf7040321c5db1",
    257: "1eda049a4351d86f76252bd7ec0b7746ad75b7fa0316ad5f541dbda458a312c4",
    1000: "638afa98022925bacfddadb15ef22fd0199c1ac99c2973b6158243d13fce05c2",
    65536: "f025d06ed804859fd274a1bdacadd6e48ea87634aa91e1edb20143f9498cd02b",
    70000: "1a4cdfcb66374a0c0dcbef49acbd4976d13ee864fb3cb241fc943cad04f02f7e",
}
LEAVES = [hash_leaf(bytes.fromhex(data)) for data in CT_INPUTS]


def reader(leaves: list[bytes]) -> Callable[[int, int], bytes]:
    return lambda start, end: batch_root(b"".join(leaves[start:end]))


def root(leaves: list[bytes]) -> bytes:
    return batch_root(b"".join(leaves)) if leaves else EMPTY_ROOT


class Tiles:
    """A log's tiles in memory, as the writer would lay them."""

    def __init__(self, leaves: list[bytes]) -> None:
        self.files: dict[str, bytes] = {}
        self.size = len(leaves)
        level, hashes = 0, leaves
        while hashes:
            for number in range(-(-len(hashes) // TILE_WIDTH)):
                part = hashes[number * TILE_WIDTH : (number + 1) * TILE_WIDTH]
                self.files[tile_path(level, number, len(part))] = b"".join(part)
            full = len(hashes) // TILE_WIDTH
            hashes = [tile_root(b"".join(hashes[at * TILE_WIDTH : (at + 1) * TILE_WIDTH])) for at in range(full)]
            level += 1

    def read(self, level: int, number: int, _width: int) -> bytes:
        return self.files[tile_path(level, number, tile_width(level, number, self.size))]


@pytest.fixture(scope="module")
def seventy_thousand() -> tuple[list[bytes], Tiles]:
    leaves = [hash_leaf(str(number).encode()) for number in range(70_000)]
    return leaves, Tiles(leaves)


def test_published_hashes() -> None:
    assert hash_leaf(b"L123456").hex() == "395aa064aa4c29f7010acfe3f25db9485bbd4b91897b6ad7ad547639252b4d56"
    assert hash_node(b"N123", b"N456").hex() == "aa217fe888e47007fa15edab33c2b492a722cb106c64667fc2b044444de66bbb"


def test_published_roots_grow_with_the_frontier() -> None:
    frontier = Frontier()
    roots = [frontier.root().hex()]
    for leaf in LEAVES:
        frontier.append(leaf)
        roots.append(frontier.root().hex())

    assert roots == CT_ROOTS
    assert [root(LEAVES[:size]).hex() for size in range(9)] == CT_ROOTS


def test_published_proofs_of_seven_leaves() -> None:
    read = reader(LEAVES)
    a, b, c = read(0, 2), read(2, 4), read(0, 4)
    e, g = read(4, 6), hash_node(read(4, 6), LEAVES[6])
    first = LEAVES

    assert [prove_inclusion(read, index, 7) for index in range(7)] == [
        [first[1], b, g], [first[0], b, g], [first[3], a, g], [first[2], a, g], [first[5], first[6], c], [first[4], first[6], c], [e, c],
    ]  # fmt: skip
    assert [prove_consistency(read, old, 7) for old in range(1, 8)] == [
        [first[1], b, g], [b, g], [first[2], first[3], a, g], [g], [first[4], first[5], first[6], c], [e, first[6], c], [],
    ]  # fmt: skip
    assert prove_consistency(read, 6, 8) == [e, read(6, 8), c]


def test_roots_and_proofs_out_of_the_tiles_of_a_large_log(seventy_thousand: tuple[list[bytes], Tiles]) -> None:
    leaves, tiles = seventy_thousand
    read = subtree_reader(tiles.read)
    frontier = Frontier()
    for number, leaf in enumerate(leaves, start=1):
        frontier.append(leaf)
        if number in DECIMAL_ROOTS:
            assert frontier.root().hex() == DECIMAL_ROOTS[number]
            assert root_of(read, 0, number).hex() == DECIMAL_ROOTS[number]
    joined = {index: sha256(b"".join(prove_inclusion(read, index, 70_000))).hexdigest() for index in (0, 65_535, 69_999)}

    assert joined == {
        0: "834e90bf94e0793f400559c4912e0ea1e6265be0e53eb0ef946aceac71f62881",
        65_535: "f28ab759f69c32d0a5668eb3e45b21dd05ae827916cd894222a106d20f8f61d8",
        69_999: "06840adeb9aef6246e85c1dd08b547ca4a0b6f7c20da6a20ceed1be00bebfe4c",
    }
    proof = prove_consistency(read, 257, 70_000)
    assert sha256(b"".join(proof)).hexdigest() == "cd1f1b65d42cb77a52296e05094bb824fbad15fb6f19c4010e864bcb9d9c8f7c"
    verify_consistency(257, 70_000, frontier_root(leaves[:257]), frontier.root(), proof)


def frontier_root(leaves: list[bytes]) -> bytes:
    frontier = Frontier()
    for leaf in leaves:
        frontier.append(leaf)
    return frontier.root()


@pytest.mark.parametrize("path_and_digest", [
    ("tile/0/000", "b9704a8bfbee2c61185ceb38904a49f3f703c81e194b5b2ccdc254c2bdaaa62b"),
    ("tile/0/273.p/112", "4d21244557c976993a9a89bf928a46b5a876585228df279878239fd84489e5a5"),
    ("tile/1/000", "ea7b038bc73489c89c31a27ac355aaca65a4ed73f0dd7484e68deb29d30f10a2"),
    ("tile/1/001.p/17", "adfaca2731630fe7944a4b98a0f98ef3e98685eafda09e6f81070218fb759ce4"),
])  # fmt: skip
def test_published_tiles_of_a_large_log(
    seventy_thousand: tuple[list[bytes], Tiles], path_and_digest: tuple[str, str]
) -> None:
    path, digest = path_and_digest
    files = seventy_thousand[1].files

    assert sha256(files[path]).hexdigest() == digest
    assert files["tile/2/000.p/1"].hex() == DECIMAL_ROOTS[65536]


@given(st.integers(1, 200), st.data())
def test_an_independent_implementation_agrees(size: int, data: st.DataObject) -> None:
    entries = [str(number).encode() for number in range(size)]
    leaves = [hash_leaf(entry) for entry in entries]
    index, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        theirs = pymerkle.InmemoryTree(algorithm="sha256")
        for entry in entries:
            theirs.append_entry(entry)
        roots = {part: theirs.get_root(part) for part in (old, size)}
        inclusion, consistency = theirs.prove_inclusion(index + 1, size), theirs.prove_consistency(old, size)

    read = reader(leaves)
    assert roots == {part: root(leaves[:part]) for part in (old, size)}
    verify_inclusion(index, size, leaves[index], prove_inclusion(read, index, size), roots[size])
    verify_consistency(old, size, roots[old], roots[size], prove_consistency(read, old, size))
    their_path = [bytes.fromhex(part) for part in inclusion.serialize()["path"]]
    assert their_path[1:] == prove_inclusion(read, index, size)
    assert {inclusion.compute_root(), consistency.compute_root()} == {roots[size]}
    assert consistency.retrieve_prior_state() == roots[old]


def test_no_single_bit_of_an_inclusion_proof_may_change() -> None:
    for size in range(1, 10):
        leaves = [hash_leaf(bytes([number])) for number in range(size)]
        top = root(leaves)
        for index in range(size):
            proof = prove_inclusion(reader(leaves), index, size)
            verify_inclusion(index, size, leaves[index], proof, top)
            for part, bit in itertools.product(range(-2, len(proof)), range(0, 256, 17)):
                parts = {-2: leaves[index], -1: top, **dict(enumerate(proof))}
                changed = bytearray(parts[part])
                changed[bit // 8] ^= 1 << bit % 8
                parts[part] = bytes(changed)
                with pytest.raises(InclusionError):
                    verify_inclusion(index, size, parts[-2], [parts[at] for at in range(len(proof))], parts[-1])


@pytest.mark.parametrize("change", ["index", "size", "short", "long", "narrow", "wide", "swapped", "empty tree"])
def test_an_inclusion_proof_that_is_not_one_is_refused(change: str) -> None:
    read, top = reader(LEAVES[:7]), root(LEAVES[:7])
    index, size, leaf, proof = 2, 7, LEAVES[2], prove_inclusion(read, 2, 7)
    cases = {
        "index": (7, size, leaf, proof),
        "size": (index, 3, leaf, proof),
        "short": (index, size, leaf, proof[:-1]),
        "long": (index, size, leaf, [*proof, proof[-1]]),
        "narrow": (index, size, leaf, [proof[0][:31], *proof[1:]]),
        "wide": (index, size, leaf, [proof[0] + b"\0", *proof[1:]]),
        "swapped": (index, size, leaf, [proof[1], proof[0], *proof[2:]]),
        "empty tree": (0, 0, leaf, []),
    }

    with pytest.raises(InclusionError):
        verify_inclusion(*cases[change], top)


@pytest.mark.parametrize(
    "change", ["zero", "backwards", "other roots", "proof of nothing", "first root", "other pair", "garbage"]
)
def test_a_consistency_proof_that_is_not_one_is_refused(change: str) -> None:
    read = reader(LEAVES[:7])
    three, six, seven = root(LEAVES[:3]), root(LEAVES[:6]), root(LEAVES[:7])
    proof = prove_consistency(read, 3, 7)
    cases = {
        "zero": (0, 7, EMPTY_ROOT, seven, []),
        "backwards": (7, 3, seven, three, proof),
        "other roots": (7, 7, seven, six, []),
        "proof of nothing": (7, 7, seven, seven, proof),
        "first root": (3, 7, six, seven, proof),
        "other pair": (3, 7, three, seven, prove_consistency(read, 6, 7)),
        "garbage": (3, 7, three, seven, [*proof, proof[0]]),
    }

    verify_consistency(3, 7, three, seven, proof)
    with pytest.raises(ConsistencyError):
        verify_consistency(*cases[change])
