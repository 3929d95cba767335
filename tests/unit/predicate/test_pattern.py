"""Patterns and networks as RE2: each fits what it says, by an opinion of its own."""

import ipaddress
import re

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from kata_audit.predicate.network import network_regex
from kata_audit.predicate.pattern import Wild, escape, pieces_of, prefix_of, regex_of
from kata_audit.predicate.tree import Match, Syntax

TEXTS = st.text("aAkK*?\\[]%.\u212a\0\n", max_size=8)


@given(text=TEXTS, other=TEXTS)
def test_an_escaped_text_fits_itself_alone(text: str, other: str) -> None:
    """`escape` and the reader of patterns are opposites."""
    found = re2.search(regex_of(Match("body", escape(text), Syntax.WILDCARD)), other)

    assert (found is not None) == (text == other)


@given(pattern=TEXTS, value=TEXTS)
def test_case_is_that_of_a_to_z(pattern: str, value: str) -> None:
    """Without case, both sides are compared with A to Z put to small letters, and nothing else."""

    def lower(text: str) -> str:
        return re.sub("[A-Z]", lambda found: found[0].lower(), text)

    folded = re2.search(regex_of(Match("body", pattern, Syntax.WILDCARD, cased=False)), value)
    cased = re2.search(regex_of(Match("body", lower(pattern), Syntax.WILDCARD)), lower(value))

    assert (folded is None) == (cased is None)


def test_pieces_and_prefix() -> None:
    """A backslash escapes the wildcards and itself; runs of `*` are one."""
    assert pieces_of(r"a\*b\\**?\n\\") == (r"a*b" + "\\", Wild.ANY, Wild.ONE, r"\n" + "\\")
    assert pieces_of("a\\") == ("a\\",)
    assert prefix_of(Match("body", r"a\*b*c", Syntax.WILDCARD)) == "a*b"
    assert prefix_of(Match("body", "a*", Syntax.WILDCARD, cased=False)) == ""
    assert prefix_of(Match("body", "*a", Syntax.WILDCARD)) == ""


def _addresses() -> st.SearchStrategy[str]:
    groups = st.lists(st.sampled_from(["0", "00", "1", "fd00", "FDff", "0fff", "ffff", "::", "10.0.0.1", ""]), max_size=9)
    spelled = groups.map(lambda parts: ":".join(parts).replace(":::", "::").replace(":::", "::"))
    real = st.ip_addresses().map(str) | st.ip_addresses(v=6).map(lambda address: address.exploded.upper())
    return (
        spelled | real | st.sampled_from(["fe80::1%eth0", "fe80::1%", "1.2.3", "1.2.3.04", "1.2.3.256", "::1 ", "::1.2.3.4"])
    )


@given(address=_addresses(), bits=st.integers(0, 128), base=st.ip_addresses() | st.just(ipaddress.ip_address("fd00::")))
def test_a_network_is_the_standard_librarys(
    address: str, bits: int, base: ipaddress.IPv4Address | ipaddress.IPv6Address
) -> None:
    """A text is in a network exactly where `ipaddress` reads it and says so, however it is written."""
    network = ipaddress.ip_network((int(base) if base.version == 4 else base, min(bits, base.max_prefixlen)), strict=False)
    expected = False
    try:
        parsed = ipaddress.ip_address(address)
        expected = parsed.version == network.version and parsed in network
    except ValueError:
        pass

    assert (re2.search(network_regex(str(network)), address) is not None) == expected


@given(address=st.ip_addresses(), bits=st.integers(0, 128), short=st.booleans())
def test_an_address_is_in_its_own_network(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address, bits: int, *, short: bool
) -> None:
    """Every address, short or long, fits each network that it lies in."""
    network = ipaddress.ip_network((address, min(bits, address.max_prefixlen)), strict=False)

    assert re2.search(network_regex(str(network)), address.compressed if short else address.exploded)


@pytest.mark.parametrize("network", ["10.0.0.1/8", "10.0.0.0/33", "host", "", "10.0.0.0/8/8"])
def test_what_is_no_network_is_refused(network: str) -> None:
    """A typing mistake never becomes a pattern."""
    with pytest.raises(ValueError, match=r".*"):
        network_regex(network)
