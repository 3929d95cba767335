"""The tree: one root however it is made, proofs that verify, and nothing else that does."""

import warnings

import pymerkle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.tlog.trees import Tree, recursive_root

from kata_audit.errors import ConsistencyError, InclusionError
from kata_audit.tlog.merkle import (
    Frontier,
    hash_leaf,
    prove_consistency,
    prove_inclusion,
    root_of,
    verify_consistency,
    verify_inclusion,
)

LEAVES = [hash_leaf(b"%d" % index) for index in range(1200)]
ROOTS = {size: recursive_root(LEAVES[:size]) for size in range(70)}


def tree(size: int) -> Tree:
    return Tree(LEAVES[:size])


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 1200))
def test_one_root_however_it_is_made(size: int) -> None:
    """Frontier, tiles and the recursive definition agree."""
    frontier = Frontier()
    for leaf in LEAVES[:size]:
        frontier.append(leaf)

    assert frontier.root() == root_of(tree(size).read, 0, size) == recursive_root(LEAVES[:size])


def test_every_proof_of_every_small_tree_verifies() -> None:
    """All inclusion and consistency proofs up to 69 leaves verify."""
    for size in range(1, 70):
        read = tree(size).read
        for index in range(size):
            verify_inclusion(index, size, LEAVES[index], prove_inclusion(read, index, size), ROOTS[size])
        for old in range(1, size + 1):
            verify_consistency(old, size, ROOTS[old], ROOTS[size], prove_consistency(read, old, size))


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 1200), st.data())
def test_an_independent_library_agrees(size: int, data: st.DataObject) -> None:
    """Roots are those of pymerkle, and proofs are made of the same hashes."""
    index = data.draw(st.integers(0, size - 1))
    old = data.draw(st.integers(1, size))
    other = pymerkle.InmemoryTree(algorithm="sha256")
    for number in range(size):
        other.append_entry(b"%d" % number)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        root, old_root = other.get_state(size), other.get_state(old)
        inclusion, consistency = other.prove_inclusion(index + 1, size), other.prove_consistency(old, size)
        read = tree(size).read
        ours = prove_inclusion(read, index, size)

        assert (root_of(read, 0, size), root_of(read, 0, old)) == (root, old_root)
        assert sorted([LEAVES[index], *ours]) == sorted(inclusion.path)
        verify_inclusion(index, size, LEAVES[index], ours, root)
        verify_consistency(old, size, old_root, root, prove_consistency(read, old, size))
        # It spells consistency in its own way, so its proof is held against our roots by its own verifier.
        pymerkle.verify_inclusion(LEAVES[index], root_of(read, 0, size), inclusion)
        pymerkle.verify_consistency(root_of(read, 0, old), root_of(read, 0, size), consistency)


@pytest.mark.parametrize("size", range(1, 10))
def test_no_flipped_bit_is_under_the_root(size: int) -> None:
    """Each single bit of leaf, proof and root matters."""
    for index in range(size):
        proof = prove_inclusion(tree(size).read, index, size)
        parts = [LEAVES[index], *proof, ROOTS[size]]
        for at, part in enumerate(parts):
            for bit in range(256):
                flipped = (int.from_bytes(part, "big") ^ (1 << bit)).to_bytes(32, "big")
                changed = [*parts[:at], flipped, *parts[at + 1 :]]
                with pytest.raises(InclusionError):
                    verify_inclusion(index, size, changed[0], changed[1:-1], changed[-1])


def test_wrong_inclusion_proofs_are_refused() -> None:
    """Wrong indices, sizes, lengths, orders and levels are refused."""
    read = tree(7).read
    proof, leaf, root = prove_inclusion(read, 2, 7), LEAVES[2], ROOTS[7]
    wrong = [
        (7, 7, leaf, proof),
        (-1, 7, leaf, proof),
        (0, 0, leaf, []),
        (2, 7, leaf, proof[:-1]),
        (2, 7, leaf, [*proof, proof[0]]),
        (2, 7, leaf, [proof[0], *proof]),
        (2, 7, leaf, [proof[0][:31], *proof[1:]]),
        (2, 7, leaf, [proof[0] + b"\0", *proof[1:]]),
        (2, 7, leaf, proof[::-1]),
        (3, 7, leaf, proof),
        (2, 9, leaf, proof),
        (2, 7, read(2, 4), proof),
        (1, 7, read(2, 4), proof[1:]),
        (0, 1, leaf, proof),
    ]
    for index, size, hashed, path in wrong:
        with pytest.raises(InclusionError):
            verify_inclusion(index, size, hashed, path, root)


def test_no_proof_of_what_is_not_there() -> None:
    """No proof is made of a leaf or a size that the tree does not have."""
    read = tree(7).read
    for index, size in ((7, 7), (0, 0), (-1, 7)):
        with pytest.raises(InclusionError):
            prove_inclusion(read, index, size)
    for old in (0, 8, -1):
        with pytest.raises(ConsistencyError):
            prove_consistency(read, old, 7)


def test_wrong_consistency_proofs_are_refused() -> None:
    """Wrong sizes, roots, proofs of other pairs and garbage are refused."""
    read = tree(7).read
    proof, old, new = prove_consistency(read, 3, 7), ROOTS[3], ROOTS[7]
    wrong = [
        (0, 7, ROOTS[0], new, []),
        (0, 7, ROOTS[0], new, proof),
        (8, 7, old, new, proof),
        (7, 7, old, new, []),
        (7, 7, new, new, proof),
        (3, 7, ROOTS[4], new, proof),
        (3, 7, old, ROOTS[6], proof),
        (3, 7, old, new, []),
        (3, 7, old, new, prove_consistency(read, 5, 7)),
        (3, 7, old, new, [bytes(32), *proof]),
        (3, 7, old, new, [*proof, bytes(32)]),
        (3, 7, old, new, [*proof[:-1], proof[-1][:31]]),
        (3, 7, old, new, proof[:-1]),
        (4, 7, ROOTS[4], new, []),
        (3, 6, old, ROOTS[6], proof),
    ]
    for first, second, first_root, second_root, path in wrong:
        with pytest.raises(ConsistencyError):
            verify_consistency(first, second, first_root, second_root, path)


def test_a_rewritten_log_has_no_consistency_proof() -> None:
    """A log in which one leaf was changed does not go on from any older one that had it."""
    changed = Tree([*LEAVES[:3], hash_leaf(b"other"), *LEAVES[4:20]])
    root = root_of(changed.read, 0, 20)
    for old in range(4, 20):
        with pytest.raises(ConsistencyError):
            verify_consistency(old, 20, ROOTS[old], root, prove_consistency(changed.read, old, 20))
    for old in range(1, 4):
        verify_consistency(old, 20, ROOTS[old], root, prove_consistency(changed.read, old, 20))
