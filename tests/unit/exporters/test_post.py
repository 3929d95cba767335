"""One POST does no more than it says: the right address, no redirect, an end in time."""

import dataclasses
import ipaddress
import socket
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from tests.loopback import LOOPBACK, Http, Reply, certificate, closed_port

from kata_audit.exporters.post import Answer, PostError, Session, post
from kata_audit.exporters.settings import Destination, DestinationKind

HERE = Destination("here", DestinationKind.WEBHOOK, allow=(LOOPBACK,), plaintext=True)


def test_it_says_what_it_was_given_and_reads_the_answer() -> None:
    """Body and headers come as they were given, the status and the wait go back."""
    with Http().running() as server:
        server.reply = lambda _: Reply(429, {"Retry-After": "7"})
        answer = post(HERE, f"http://127.0.0.1:{server.port}/hook?a=1", b"body", {"X-Own": "1"})
    (request,) = server.requests

    assert answer == Answer(429, 7.0)
    assert (request.path, request.body, request.headers["X-Own"]) == ("/hook?a=1", b"body", "1")
    assert request.headers["Host"] == f"127.0.0.1:{server.port}"
    assert request.headers["Accept-Encoding"] == "identity"


@pytest.mark.parametrize(
    ("told", "date", "secs"),
    [
        ("7", "none", 7.0),
        ("99999999999999999999", "none", 3600.0),
        ("Wed, 25 Nov 2026 14:00:30 GMT", "Wed, 25 Nov 2026 14:00:00 GMT", 30.0),
        ("Wednesday, 25-Nov-26 14:00:30 GMT", "Wed, 25 Nov 2026 14:00:00 GMT", 30.0),
        ("Wed, 25 Nov 2026 13:00:00 GMT", "Wed, 25 Nov 2026 14:00:00 GMT", 0.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", "Wed, 25 Nov 2026 14:00:00 GMT", 3600.0),
        ("Wed, 25 Nov 2026 14:00:30 GMT", "none", None),
        ("Wed, 25 Nov 2026 14:00:30 -0000", "Wed, 25 Nov 2026 14:00:00 GMT", None),
        ("Wed, 99 Nov 99999 14:00:30 GMT", "Wed, 25 Nov 2026 14:00:00 GMT", None),
        ("-1", "none", None),
        ("soon", "none", None),
    ],
)
def test_it_waits_as_it_is_told(told: str, date: str, secs: float | None) -> None:
    """In seconds, or until a date, which is measured from the answer's own; never longer than an hour."""
    with Http().running() as server:
        server.reply = lambda _: Reply(503, {"Retry-After": told, "Date": date})
        assert post(HERE, f"http://127.0.0.1:{server.port}", b"", {}).retry_after_secs == secs


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.1", "0x7f000001", "2130706433", "localhost", "[::1]", "[::ffff:127.0.0.1]"]
)
def test_this_machine_is_refused_before_anything_is_sent(host: str) -> None:
    """However it is spelled, and whatever listens there."""
    with Http().running() as server, pytest.raises(PostError, match="private"):
        post(dataclasses.replace(HERE, allow=()), f"http://{host}:{server.port}/", b"", {})

    assert server.requests == []


def test_the_address_that_was_checked_is_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name server that answers otherwise the second time is not asked a second time."""
    asked = []

    def rebinding(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        return [(2, 1, 6, "", ("127.0.0.1" if len(asked) == 1 else "127.0.0.2", port))]

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    with Http().running() as server:
        post(HERE, f"http://hook.example:{server.port}/", b"", {})

    assert [request.headers["Host"] for request in server.requests] == [f"hook.example:{server.port}"]
    assert asked[0] == "hook.example"
    assert all(host == "127.0.0.1" for host in asked[1:])


def test_a_redirect_is_an_answer_like_any_other() -> None:
    """It is not followed."""
    with Http().running() as server:
        server.reply = lambda _: Reply(302, {"Location": "/elsewhere"})
        answer = post(HERE, f"http://127.0.0.1:{server.port}/", b"", {})

    assert answer.status == 302
    assert len(server.requests) == 1


def test_plain_text_must_be_allowed() -> None:
    """http without `plaintext`, and any other scheme, is refused."""
    with Http().running() as server:
        for url in (f"http://127.0.0.1:{server.port}/", "ftp://127.0.0.1/", "file:///etc/hostname"):
            with pytest.raises(PostError, match="https"):
                post(dataclasses.replace(HERE, plaintext=False), url, b"", {})

    assert server.requests == []


def test_an_answer_without_end_is_cut_off() -> None:
    """A byte now and then, for ever: the limit is on the whole."""
    with Http().running() as server:
        server.reply = lambda _: Reply(200, {}, b"x" * 10_000, drip_secs=0.05)
        with pytest.raises(PostError, match="longer than"):
            post(HERE, f"http://127.0.0.1:{server.port}/", b"", {}, limit_secs=0.5)

    assert len(server.requests) == 1


def test_an_answer_is_not_read_to_its_end() -> None:
    """A gigabyte of answer costs 64 KiB."""
    with Http().running() as server:
        server.reply = lambda _: Reply(200, {}, b"x" * (8 << 20))

        assert post(HERE, f"http://127.0.0.1:{server.port}/", b"", {}) == Answer(200, None, b"x" * (64 << 10))


def test_nobody_there_is_said() -> None:
    """The reason is in words of ours."""
    with pytest.raises(PostError, match="cannot be connected to"):
        post(HERE, f"http://127.0.0.1:{closed_port()}/", b"", {})
    with pytest.raises(PostError, match="name is not known"):
        post(HERE, "http://nowhere.invalid/", b"", {})
    with pytest.raises(PostError, match="name is not known"):
        post(HERE, f"http://{'a' * 64}.invalid/", b"", {})


def test_a_name_server_that_is_silent_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's resolver cannot be stopped, and the limit is on the whole."""
    is_over, in_time = Event(), []
    asked = Event()

    def silent(_host: str, port: int, **_: Any) -> list[Any]:
        in_time.append(is_over.wait(20))
        asked.set()
        return [(2, 1, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", silent)
    with pytest.raises(PostError, match="longer than"):
        post(HERE, "http://hook.example/", b"", {}, limit_secs=0.1)
    is_over.set()

    assert asked.wait(20)
    assert in_time == [True]


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """They would connect where we may not."""
    with Http().running() as server, Http().running() as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{proxy.port}")
        post(HERE, f"http://127.0.0.1:{server.port}/", b"", {})

    assert (len(server.requests), len(proxy.requests)) == (1, 0)


def test_a_certificate_is_checked_against_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection goes to an address, and the certificate must be the name's."""

    def found(_host: str, port: int, **_: Any) -> list[Any]:
        return [(2, 1, 6, "", ("127.0.0.1", port))]

    ca, context = certificate(tmp_path, "hook.example")
    trusting = dataclasses.replace(HERE, plaintext=False, ca_file=ca)
    monkeypatch.setattr(socket, "getaddrinfo", found)
    with Http(context).running() as server:
        assert post(trusting, f"https://hook.example:{server.port}/", b"x", {}) == Answer(200, None)
        with pytest.raises(PostError, match="certificate is not trusted"):
            post(trusting, f"https://other.example:{server.port}/", b"x", {})
        with pytest.raises(PostError, match="certificate is not trusted"):
            post(dataclasses.replace(trusting, ca_file=None), f"https://hook.example:{server.port}/", b"x", {})
    with pytest.raises(PostError, match="`ca_file` cannot be read"):
        post(dataclasses.replace(trusting, ca_file=tmp_path / "gone"), "https://hook.example/", b"x", {})

    assert [request.body for request in server.requests] == [b"x"]


def test_a_named_network_opens_no_other() -> None:
    """`allow` is about where, not about anything."""
    elsewhere = dataclasses.replace(HERE, allow=(ipaddress.ip_network("10.0.0.0/8"),))

    with pytest.raises(PostError, match="private"):
        post(elsewhere, "http://127.0.0.1:9/", b"", {})


def test_a_session_goes_on_after_one_request_failed() -> None:
    """It asks again over a new connection, tells the destination nothing that the destination told it, and gives the answer."""
    with Http().running() as server, Session(HERE, limit_secs=0.5) as session:
        url = f"http://127.0.0.1:{server.port}/"
        server.reply = lambda _: Reply(200, {"Set-Cookie": "a=b"}, b"yes")
        assert session.request("POST", url, b"1", {}) == Answer(200, None, b"yes")
        server.reply = lambda _: Reply(200, {}, b"x" * 100, drip_secs=0.1)
        with pytest.raises(PostError, match="longer than"):
            session.request("PUT", url, b"2", {})
        server.reply = lambda _: Reply(200, {}, b"again")
        assert session.request("GET", url, b"", {}).body == b"again"

    assert [request.body for request in server.requests] == [b"1", b"2", b""]
    assert not any("Cookie" in request.headers for request in server.requests)
