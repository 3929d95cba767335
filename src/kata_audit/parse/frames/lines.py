"""Lines: one record ends at each newline byte, and nowhere else.

CR, NUL, NEL and U+2028 are content. What follows the last newline is held until more arrives or the stream ends.
"""


def scan_lines(data: bytes, scanned: int, _limit: int) -> tuple[list[int], int]:
    """Find where records end in `data`.

    Args:
        data: Bytes that begin where a record begins.
        scanned: How many of them an earlier call has seen without finding an end.
        _limit: Not asked for: a line ends at its newline, however long it is.

    Returns:
        The end of each whole record (offsets into `data`, ascending) and how far `data` is scanned.
    """
    ends = []
    position = data.find(b"\n", scanned)
    while position >= 0:
        ends.append(position + 1)
        position = data.find(b"\n", position + 1)
    return ends, len(data)
