"""Networks as RE2: the address of a network in each form that it may be written in, for every engine alike.

Forms of IPv4 are four decimal numbers without leading zeros; forms of IPv6 are those of RFC 4291, section 2.2: groups of up
to four hex digits, `::` for one or more groups of zeros, the last two groups as an IPv4 address; and a zone behind `%`
(RFC 4007, section 11), which names no part of the address.
"""

import ipaddress
from collections.abc import Iterator
from functools import lru_cache
from typing import TypeAlias

_Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
_GROUPS = 8
_ANY_GROUP = "[0-9A-Fa-f]{1,4}"


@lru_cache(maxsize=1024)
def network_regex(network: str) -> str:
    r"""Spell a network as RE2 that fits its addresses as whole values.

    Args:
        network: `10.0.0.0/8`, `fd00::/8`, or a single address.

    Raises:
        ValueError: It is no network, or has bits set behind its prefix.

    Example:
        >>> network_regex("10.1.0.0/16")
        '\\A(?:10\\.1\\.(?:[0-9]|[1-9][0-9]|1[0-9]{2}|2[0-4][0-9]|25[0-5])\\.(?:[0-9]|[1-9][0-9]|1[0-9]{2}|2[0-4][0-9]|25[0-5]))\\z'
    """
    parsed: _Network = ipaddress.ip_network(network)
    if isinstance(parsed, ipaddress.IPv4Network):
        return rf"\A(?:{_v4(_ranges(parsed, 8))})\z"
    return rf"\A(?:{'|'.join(_v6(_ranges(parsed, 16)))})(?:%[^%/]+)?\z"


def _ranges(network: _Network, bits: int) -> list[tuple[int, int]]:
    """Give for each number of an address, `bits` wide, its least and greatest value in the network."""
    size = network.max_prefixlen
    low, high = int(network.network_address), int(network.broadcast_address)
    mask = (1 << bits) - 1
    return [(low >> at & mask, high >> at & mask) for at in range(size - bits, -1, -bits)]


def _v4(ranges: list[tuple[int, int]]) -> str:
    return r"\.".join(_octet(low, high) for low, high in ranges)


def _octet(low: int, high: int) -> str:
    if (low, high) == (0, 255):
        return "(?:[0-9]|[1-9][0-9]|1[0-9]{2}|2[0-4][0-9]|25[0-5])"
    return str(low) if low == high else "(?:" + "|".join(map(str, range(low, high + 1))) + ")"


def _v6(ranges: list[tuple[int, int]]) -> Iterator[str]:
    """Give each form: eight groups, or fewer around `::`; the last two groups in hex, or as an IPv4 address."""
    groups = [_group(low, high) for low, high in ranges]
    tail = _v4([part for low, high in ranges[6:] for part in ((low >> 8, high >> 8), _low_octet(low, high))])
    for last, count in ((groups[6:], 2), ([tail], 1)):
        written = groups[:6] + last
        yield ":".join(written)
        for begin in range(_GROUPS):
            for end in range(begin + 1, _GROUPS + 1):
                inside = end <= _GROUPS - 2 or count == 2
                if inside and all(low == 0 for low, _ in ranges[begin:end]):
                    yield ":".join(written[:begin]) + "::" + ":".join(written[end:])


def _low_octet(low: int, high: int) -> tuple[int, int]:
    return (low & 255, high & 255) if low >> 8 == high >> 8 else (0, 255)


def _group(low: int, high: int) -> str:
    if (low, high) == (0, 0xFFFF):
        return _ANY_GROUP
    return "(?:" + "|".join(_hex(low, high)) + ")"


def _hex(low: int, high: int) -> Iterator[str]:
    """Spell a group: a range here is a prefix of bits, so it is some numbers of one digit before digits that are free."""
    free = 0
    while high - low + 1 >= 1 << 4 * (free + 1):
        free += 1
    first, last, digits = low >> 4 * free, high >> 4 * free, 4 - free
    for length in range(1, 5):  # leading zeros may be left out
        yield from _shorter(first, last, digits, free, length)


def _shorter(first: int, last: int, digits: int, free: int, length: int) -> Iterator[str]:
    """Spell with `length` digits each number whose leading zeros allow for it."""
    dropped = 4 - length
    if dropped >= digits:  # all of the fixed digits are left out: they must be zeros
        if first == 0:
            yield f"[0-9A-Fa-f]{{{length}}}"
        return
    heads = [f"{number:0{digits}x}" for number in range(first, last + 1)]
    kept = [head[dropped:] for head in heads if not head[:dropped].strip("0")]
    if kept:
        rest = f"[0-9A-Fa-f]{{{free}}}" if free else ""
        yield "(?:" + "|".join(map(_any_case, kept)) + ")" + rest


def _any_case(digits: str) -> str:
    return "".join(f"[{char}{char.upper()}]" if char.isalpha() else char for char in digits)
