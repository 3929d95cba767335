"""Tiles and entry bundles: how a log lies in files, and proofs out of them without the whole tree.

Source: C2SP tlog-tiles 0.1.0.
"""

from collections.abc import Callable

from kata_audit.errors import ConsistencyError, VerificationError
from kata_audit.tlog.merkle import HASH_BYTES, hash_node

TILE_WIDTH = 256
"""Hashes in a full tile, and entries in a full bundle."""
TILE_HEIGHT = 8
MAX_ENTRY_BYTES = 65_535
_LENGTH_BYTES = 2

ReadTile = Callable[[int, int, int], bytes]
"""Gives the bytes of the tile (level, number) of at least the given width."""


def _number_path(number: int) -> str:
    """Spell a tile's number in groups of three digits, all but the last after an `x`."""
    groups = [f"{number % 1000:03d}"]
    while number >= 1000:
        number //= 1000
        groups.append(f"x{number % 1000:03d}")
    return "/".join(reversed(groups))


def _with_width(path: str, width: int) -> str:
    if not 1 <= width <= TILE_WIDTH:
        raise ValueError(f"a tile is 1 to {TILE_WIDTH} wide, not {width}")
    return path if width == TILE_WIDTH else f"{path}.p/{width}"


def tile_path(level: int, number: int, width: int) -> str:
    """Spell the path of a tile below the log's folder.

    Example:
        >>> tile_path(0, 1234067, 256)
        'tile/0/x001/x234/067'
    """
    return _with_width(f"tile/{level}/{_number_path(number)}", width)


def entries_path(number: int, width: int) -> str:
    """Spell the path of an entry bundle below the log's folder.

    Example:
        >>> entries_path(0, 7)
        'tile/entries/000.p/7'
    """
    return _with_width(f"tile/entries/{_number_path(number)}", width)


def tile_width(level: int, number: int, size: int) -> int:
    """Return how wide tile (level, number) is in a log of `size` entries; 0 where there is none."""
    return max(0, min(TILE_WIDTH, (size >> (TILE_HEIGHT * level)) - number * TILE_WIDTH))


def frame_entry(entry: bytes) -> bytes:
    """Frame one entry for its bundle: big-endian uint16 length, then the entry.

    Raises:
        VerificationError: The entry is longer than 65,535 bytes.

    Example:
        >>> frame_entry(b"kata").hex()
        '00046b617461'
    """
    if len(entry) > MAX_ENTRY_BYTES:
        raise VerificationError(f"a log entry has at most {MAX_ENTRY_BYTES} bytes, not {len(entry)}")
    return len(entry).to_bytes(_LENGTH_BYTES, "big") + entry


def split_bundle(bundle: bytes) -> list[bytes]:
    """Cut an entry bundle into its entries; see `frame_entry()` for the inverse.

    Raises:
        ConsistencyError: The bundle ends inside an entry or holds more than 256.
    """
    entries: list[bytes] = []
    position = 0
    while position < len(bundle):
        start = position + _LENGTH_BYTES
        position = start + int.from_bytes(bundle[position:start], "big")
        if start > len(bundle) or position > len(bundle):
            raise ConsistencyError(f"an entry bundle ends inside its entry {len(entries)}")
        entries.append(bundle[start:position])
    if len(entries) > TILE_WIDTH:
        raise ConsistencyError(f"an entry bundle holds {len(entries)} entries, {TILE_WIDTH} at most were expected")
    return entries


def tile_root(tile: bytes) -> bytes:
    """Return the root over the hashes of a perfect part of a tile: 1, 2, 4 … 256 of them.

    Raises:
        ConsistencyError: The part is not of such a width.
    """
    count, rest = divmod(len(tile), HASH_BYTES)
    if rest or count < 1 or count & (count - 1) or count > TILE_WIDTH:
        raise ConsistencyError(f"{len(tile)} bytes of a tile are no perfect subtree")
    hashes = [tile[start : start + HASH_BYTES] for start in range(0, len(tile), HASH_BYTES)]
    while len(hashes) > 1:
        hashes = [hash_node(hashes[at], hashes[at + 1]) for at in range(0, len(hashes), 2)]
    return hashes[0]


def subtree_reader(read_tile: ReadTile) -> Callable[[int, int], bytes]:
    """Make a reader of perfect subtrees out of a reader of tiles, for `merkle.prove_inclusion()` and its siblings.

    Args:
        read_tile: Gives a tile's bytes, at least as wide as asked for.

    Returns:
        A function of a perfect subtree's `[start, end)` that gives its root.

    Raises:
        ConsistencyError: (From the function.) A tile is too short.
    """

    def read(start: int, end: int) -> bytes:
        height = (end - start).bit_length() - 1
        level = min(height // TILE_HEIGHT, 7)
        width = 1 << (height - level * TILE_HEIGHT)
        index = start >> (TILE_HEIGHT * level)
        number, first = divmod(index, TILE_WIDTH)
        tile = read_tile(level, number, first + width)
        part = tile[first * HASH_BYTES : (first + width) * HASH_BYTES]
        if len(part) != width * HASH_BYTES:
            raise ConsistencyError(
                f"tile {level}/{number} holds {len(tile)} bytes, {(first + width) * HASH_BYTES} were expected"
            )
        return tile_root(part)

    return read
