"""The Merkle tree of RFC 6962: hashes, a growing root, and what a proof must show.

Sources: RFC 6962 section 2.1 (hashes, tree), RFC 9162 sections 2.1.3.2 and 2.1.4.2 (verification).
"""

from collections.abc import Callable, Sequence
from hashlib import sha256

from kata_audit.errors import ConsistencyError, InclusionError

HASH_BYTES = 32
EMPTY_ROOT = sha256(b"").digest()
_LEAF, NODE_PREFIX = b"\x00", b"\x01"

ReadRange = Callable[[int, int], bytes]
"""Gives the root of leaves `[start, end)`, a perfect subtree whose start is a multiple of its size."""


def hash_leaf(data: bytes) -> bytes:
    """Hash the data of one leaf: `SHA256(0x00 || data)`."""
    return sha256(_LEAF + data).digest()


def hash_node(left: bytes, right: bytes) -> bytes:
    """Hash two subtrees into their parent: `SHA256(0x01 || left || right)`."""
    return sha256(NODE_PREFIX + left + right).digest()


class Frontier:
    """The right edge of a growing tree: the roots of its perfect subtrees, largest first. Memory is logarithmic."""

    def __init__(self) -> None:
        self.size = 0
        self._roots: list[bytes] = []

    def append(self, leaf: bytes) -> None:
        """Add one leaf hash."""
        rest = self.size
        while rest & 1:
            leaf = hash_node(self._roots.pop(), leaf)
            rest >>= 1
        self._roots.append(leaf)
        self.size += 1

    def root(self) -> bytes:
        """Return the root of what was added; `EMPTY_ROOT` of nothing."""
        if not self._roots:
            return EMPTY_ROOT
        root = self._roots[-1]
        for left in reversed(self._roots[:-1]):
            root = hash_node(left, root)
        return root


def split_point(size: int) -> int:
    """Return the largest power of two below `size`, which is at least 2."""
    return 1 << ((size - 1).bit_length() - 1)


def root_of(read: ReadRange, start: int, end: int) -> bytes:
    """Work out the root of leaves `[start, end)` from perfect subtrees.

    Args:
        read: Gives roots of perfect subtrees.
        start: First leaf; a multiple of the smallest power of two that holds the range.
        end: Behind the last leaf.
    """
    size = end - start
    if size == 0:
        return EMPTY_ROOT
    if size & (size - 1) == 0:
        return read(start, end)
    middle = start + split_point(size)
    return hash_node(root_of(read, start, middle), root_of(read, middle, end))


def prove_inclusion(read: ReadRange, index: int, size: int) -> list[bytes]:
    """Make the inclusion proof of leaf `index` in the tree of `size` leaves: from leaf to root.

    Raises:
        InclusionError: There is no such leaf.
    """
    if not 0 <= index < size:
        raise InclusionError(f"there is no leaf {index} in a tree of {size}")
    proof: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + split_point(end - start)
        if index < middle:
            proof.append(root_of(read, middle, end))
            end = middle
        else:
            proof.append(root_of(read, start, middle))
            start = middle
    return proof[::-1]


def prove_consistency(read: ReadRange, old: int, new: int) -> list[bytes]:
    """Make the proof that the tree of `new` leaves begins with the tree of `old`.

    Raises:
        ConsistencyError: `old` is not between 1 and `new`.
    """
    if not 0 < old <= new:
        raise ConsistencyError(f"no proof leads from a tree of {old} leaves to one of {new}")
    proof: list[bytes] = []
    start, end, whole = 0, new, True
    while old != end:
        middle = start + split_point(end - start)
        if old <= middle:
            proof.append(root_of(read, middle, end))
            end = middle
        else:
            proof.append(root_of(read, start, middle))
            start, whole = middle, False
    if not whole:
        proof.append(root_of(read, start, end))
    return proof[::-1]


def verify_inclusion(index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes) -> None:
    """Hold an inclusion proof against a root.

    Args:
        index: The leaf's index.
        size: Leaves in the tree.
        leaf: The leaf's hash.
        proof: Hashes from leaf to root.
        root: The tree's root.

    Raises:
        InclusionError: The proof does not lead to the root.
    """
    if not 0 <= index < size:
        raise InclusionError(f"there is no leaf {index} in a tree of {size}")
    node, last, hashed = index, size - 1, leaf
    for sibling in proof:
        if len(sibling) != HASH_BYTES or last == 0:
            raise InclusionError(f"the proof of leaf {index} has a part too many or of a wrong length")
        if node & 1 or node == last:
            hashed = hash_node(sibling, hashed)
            while not node & 1 and node:
                node >>= 1
                last >>= 1
        else:
            hashed = hash_node(hashed, sibling)
        node >>= 1
        last >>= 1
    if last != 0 or hashed != root:
        raise InclusionError(
            f"leaf {index} is not under the root of {size} leaves: expected {root.hex()}, got {hashed.hex()}"
        )


def verify_consistency(old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> None:
    """Hold a consistency proof against two roots.

    Size 0 has no proof: whether an empty tree is acceptable is the caller's decision.

    Raises:
        ConsistencyError: The old tree is not the beginning of the new one.
    """
    if not 0 < old <= new:
        raise ConsistencyError(f"no proof leads from a tree of {old} leaves to one of {new}")
    if old == new:
        if proof or old_root != new_root:
            raise ConsistencyError(f"two different trees of {old} leaves")
        return
    path = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    if not proof or any(len(part) != HASH_BYTES for part in path):
        raise ConsistencyError("the consistency proof is empty or has a part of a wrong length")
    node, last = old - 1, new - 1
    while node & 1:
        node >>= 1
        last >>= 1
    first, second = path[0], path[0]
    for sibling in path[1:]:
        if last == 0:
            raise ConsistencyError("the consistency proof has a part too many")
        if node & 1 or node == last:
            first, second = hash_node(sibling, first), hash_node(sibling, second)
            while not node & 1 and node:
                node >>= 1
                last >>= 1
        else:
            second = hash_node(second, sibling)
        node >>= 1
        last >>= 1
    if last != 0 or first != old_root or second != new_root:
        raise ConsistencyError(f"the tree of {new} leaves does not begin with the tree of {old}")
