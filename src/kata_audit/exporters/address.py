"""Which addresses may be connected to: what a destination's name leads to is looked at before anything is sent there.

A name is resolved once, every address it has is checked, and the connection goes to an address that was checked: what the
name says a moment later does not matter. Without the operator's word nothing leads into the machine, its network, or the
service that hands out a cloud's credentials.
"""

import ipaddress
import socket
from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

from kata_audit.exporters.settings import Network

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
_METADATA: Final = frozenset({ipaddress.ip_address("168.63.129.16")})
"""Public addresses that a cloud answers to from inside; all others lie in ranges that are refused anyway.

Source: Azure's virtual public IP of a host node.
"""
_LOCAL: Final = tuple(map(ipaddress.ip_network, ("192.0.0.0/24", "64:ff9b:1::/48", "fec0::/10")))
"""Networks inside that not every Python calls so: 192.0.0.192 was a cloud's metadata service, and a translator's own network
may keep the IPv4 address elsewhere than at the end.

Source: RFC 6890, RFC 8215, RFC 3879.
"""
_TRANSLATED: Final = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("64:ff9b:1::/48"))
"""IPv6 that a network turns into the IPv4 address in its last four bytes: RFC 6052, RFC 8215."""


class ForbiddenAddressError(Exception):
    """A destination leads to where it may not. The text names no address: a name server's answer is nobody's business."""


def is_allowed(address: Address, allowed: Sequence[Network]) -> bool:
    """Say whether an address may be connected to.

    Args:
        address: The address, as resolved.
        allowed: Networks that the operator named for this destination.

    Example:
        >>> is_allowed(ipaddress.ip_address("::ffff:169.254.169.254"), [])
        False
    """
    return all(_is_one_allowed(one, allowed) for one in (address, *_inside(address)))


def _is_one_allowed(address: Address, allowed: Sequence[Network]) -> bool:
    if any(address.version == network.version and address in network for network in allowed):
        return True
    if any(address.version == network.version and address in network for network in _LOCAL):
        return False
    if isinstance(address, ipaddress.IPv6Address) and (address.ipv4_mapped or address.sixtofour or _is_translated(address)):
        return True  # what is inside decides
    return address.is_global and not address.is_multicast and not address.is_reserved and address not in _METADATA


def _inside(address: Address) -> Iterable[Address]:
    """Give the IPv4 addresses that an IPv6 address leads to."""
    if isinstance(address, ipaddress.IPv4Address):
        return []
    found = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if _is_translated(address):
        found.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return [one for one in found if one is not None]


def _is_translated(address: ipaddress.IPv6Address) -> bool:
    return any(address in network for network in _TRANSLATED)


def check_address(text: str, allowed: Sequence[Network]) -> Address:
    """Check one address as the resolver gave it, a zone behind `%` included.

    Raises:
        ForbiddenAddressError: It may not be connected to, or is no address.
    """
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError as error:
        raise ForbiddenAddressError("it leads to something that is no address") from error
    if not is_allowed(address, allowed):
        raise ForbiddenAddressError("it leads to an address that is private, or of this machine; `allow` names networks")
    return address


def choose_address(found: Iterable[tuple[int, tuple[object, ...]]], allowed: Sequence[Network]) -> str:
    """Choose the address to connect to among all that a name has, IPv4 first.

    Args:
        found: Family and socket address of each, as `getaddrinfo` gives them.
        allowed: Networks that the operator named.

    Raises:
        ForbiddenAddressError: One of them may not be connected to: a name that also leads astray is not trusted at all.
    """
    checked = [(family, check_address(str(address[0]), allowed)) for family, address in found]
    if not checked:
        raise ForbiddenAddressError("it has no address")
    return str(min(checked, key=lambda one: one[0] != socket.AF_INET)[1])
