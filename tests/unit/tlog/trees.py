"""A tree in tiles, in memory, and the recursive definition beside it: what the tests of the log share."""

from collections.abc import Sequence

from kata_audit.tlog.merkle import EMPTY_ROOT, HASH_BYTES, hash_node
from kata_audit.tlog.tiles import TILE_WIDTH, subtree_reader, tile_root, tile_width


def recursive_root(leaves: Sequence[bytes]) -> bytes:
    """Work out a root by RFC 6962's definition, word for word."""
    if not leaves:
        return EMPTY_ROOT
    if len(leaves) == 1:
        return leaves[0]
    middle = 1
    while middle * 2 < len(leaves):
        middle *= 2
    return hash_node(recursive_root(leaves[:middle]), recursive_root(leaves[middle:]))


class Tree:
    """Leaf hashes laid out in tiles, each level made of the full tiles below."""

    def __init__(self, leaves: Sequence[bytes]) -> None:
        self.size = len(leaves)
        self.levels: list[bytes] = [b"".join(leaves)]
        step = TILE_WIDTH * HASH_BYTES
        while len(self.levels[-1]) >= step:
            below = self.levels[-1]
            full = range(0, len(below) - len(below) % step, step)
            self.levels.append(b"".join(tile_root(below[start : start + step]) for start in full))
        self.read = subtree_reader(self.tile)

    def tile(self, level: int, number: int, width: int) -> bytes:
        """Give a tile as the disk would, at least as wide as asked for where it is that wide."""
        assert 1 <= width <= TILE_WIDTH
        start = number * TILE_WIDTH * HASH_BYTES
        return self.levels[level][start : start + TILE_WIDTH * HASH_BYTES]

    def stored(self) -> dict[tuple[int, int, int], bytes]:
        """List every tile of the log: (level, number, width) and bytes."""
        found = {}
        for level in range(len(self.levels)):
            number = 0
            while width := tile_width(level, number, self.size):
                found[level, number, width] = self.tile(level, number, width)
                number += 1
        return found
