"""What may be connected to: public addresses, and what the operator named."""

import ipaddress
import socket

import pytest

from kata_audit.exporters.address import ForbiddenAddressError, check_address, choose_address, is_allowed

PUBLIC = ["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "64:ff9b::5db8:d70e", "2002:5db8:d70e::1"]
INSIDE = [
    "127.0.0.1",
    "127.8.8.8",
    "0.0.0.0",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.2.1",
    "224.0.0.1",
    "255.255.255.255",
    "240.0.0.1",
    "::",
    "::1",
    "fe80::1",
    "fd00:ec2::254",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::a00:1",
    "64:ff9b:1:a9fe:a9:fe00:5db8:d70e",
    "fec0::1",
    "192.0.0.192",
    "2002:7f00:1::1",
    "2001:0:7f00:1::1",
    "::127.0.0.1",
]


@pytest.mark.parametrize("text", PUBLIC)
def test_a_public_address_is_allowed(text: str) -> None:
    """Pagers and chats are on the Internet."""
    assert is_allowed(ipaddress.ip_address(text), [])


@pytest.mark.parametrize("text", INSIDE)
def test_an_address_inside_is_refused(text: str) -> None:
    """Neither the machine, nor its network, nor a cloud's metadata, however it is spelled."""
    assert not is_allowed(ipaddress.ip_address(text), [])
    with pytest.raises(ForbiddenAddressError):
        check_address(text, [])


@pytest.mark.parametrize(
    ("text", "network"), [("127.0.0.1", "127.0.0.0/8"), ("10.1.2.3", "10.1.2.0/24"), ("fd00::7", "fd00::/16")]
)
def test_what_the_operator_named_is_allowed(text: str, network: str) -> None:
    """An Alertmanager of the cluster lies in a private network; its neighbours stay closed."""
    allowed = [ipaddress.ip_network(network)]

    assert is_allowed(ipaddress.ip_address(text), allowed)
    assert not is_allowed(ipaddress.ip_address("192.168.7.7"), allowed)


def test_a_named_network_is_reached_through_ipv6_too() -> None:
    """What lies inside decides, and it was named."""
    assert is_allowed(ipaddress.ip_address("::ffff:10.0.0.1"), [ipaddress.ip_network("10.0.0.0/8")])


def test_a_name_that_also_leads_inside_is_refused_whole() -> None:
    """Which of its addresses would be connected to is nobody's choice but the name server's."""
    found = [(socket.AF_INET, ("93.184.215.14", 443)), (socket.AF_INET, ("169.254.169.254", 443))]

    with pytest.raises(ForbiddenAddressError):
        choose_address(found, [])
    assert choose_address(found[:1], []) == "93.184.215.14"


def test_ipv4_comes_first_and_no_address_is_refused() -> None:
    """A zone is no part of an address."""
    found = [(socket.AF_INET6, ("2606:2800:21f:cb07:6820:80da:af6b:8b2c%3", 443)), (socket.AF_INET, ("93.184.215.14", 443))]

    assert choose_address(found, []) == "93.184.215.14"
    with pytest.raises(ForbiddenAddressError):
        choose_address([], [])
    with pytest.raises(ForbiddenAddressError):
        check_address("loopback", [])
