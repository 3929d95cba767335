"""Apprise speaks to real servers on loopback, and to no address that was not allowed.

Its other services are tested against the protocol, not the product: what Apprise makes of a notice is theirs.
"""

import dataclasses
import email
import gzip
import ipaddress
import json
import os
import socket
from contextlib import suppress
from pathlib import Path

import pytest
from tests.loopback import LOOPBACK, Http, Reply, Request, closed_port, mail_server
from tests.notices import NOTICE

from kata_audit.exporters import apprise, apprise_worker
from kata_audit.exporters.apprise import Apprise, has_apprise
from kata_audit.exporters.base import Delivery
from kata_audit.exporters.settings import Destination, DestinationKind

pytestmark = pytest.mark.skipif(not has_apprise(), reason="Apprise is not installed")


def service(folder: Path, url: str) -> Apprise:
    (folder / "url").write_text(url)
    one = Destination("chat", DestinationKind.APPRISE, secret_file=folder / "url", allow=(LOOPBACK,), plaintext=True)
    return Apprise(one)


def changed(sender: Apprise, **changes: object) -> Apprise:
    return Apprise(dataclasses.replace(sender._one, **changes))  # type: ignore[arg-type]


def test_a_notice_comes_whole(tmp_path: Path) -> None:
    """Title, text and how bad it is, over HTTP."""
    with Http().running() as server:
        delivery = service(tmp_path, f"json://127.0.0.1:{server.port}/in").export([NOTICE, NOTICE])
    (request,) = server.requests
    said = json.loads(request.body)

    assert delivery == Delivery(1)
    assert said["title"] == "New: high KA-008 A policy refused a request"
    assert said["message"].startswith("ExecProcessRequest was refused 3 times.\ncluster: prod\n")
    assert said["type"] == "failure"


@pytest.mark.parametrize("form", ["text", "html", "markdown"])
def test_a_mail_comes_and_quotes_nothing_that_acts(tmp_path: Path, form: str) -> None:
    """A real SMTP server takes it; no header and no tag comes from a log."""
    hostile = dataclasses.replace(NOTICE, title="x\r\nBcc: thief@bad.example", summary="<script>x()</script>\r\n.\r\nQUIT")
    with mail_server() as (port, mails):
        url = f"mailto://127.0.0.1:{port}?from=audit@example.org&to=sec@example.org&mode=insecure&format={form}"
        delivery = service(tmp_path, url).export([hostile])
    (raw,) = mails
    mail = email.message_from_bytes(raw)
    parts = (part.get_payload(decode=True) for part in mail.walk())
    text = b"".join(part for part in parts if isinstance(part, bytes)).decode()

    assert delivery == Delivery(1)
    assert mail["To"] == "sec@example.org"
    assert mail["Bcc"] is None
    assert "<script" not in text
    assert "\\x3cscript\\x3e" in text


def test_an_address_that_is_not_allowed_is_not_connected_to(tmp_path: Path) -> None:
    """Whatever the service does inside, Python asks before it connects."""
    with Http().running() as server:
        sender = service(tmp_path, f"json://localhost:{server.port}/")
        closed = changed(sender, allow=(ipaddress.ip_network("10.0.0.0/8"),))
        delivery = closed.export([NOTICE])

    assert server.requests == []
    assert delivery.taken == 0
    assert "private" in str(delivery.problem)


@pytest.mark.parametrize(
    ("family", "address"),
    [
        (socket.AF_INET, ("127.0.0.1", 80)),
        (socket.AF_INET, ("localhost", 80)),
        (socket.AF_INET6, ("::1", 80, 0, 0)),
        (socket.AF_INET6, ("::ffff:169.254.169.254", 80, 0, 0)),
        (socket.AF_UNIX, "/run/dbus/system_bus_socket"),
    ],
)
@pytest.mark.parametrize("event", ["socket.connect", "socket.sendto"])
def test_python_asks_before_it_connects(event: str, family: int, address: tuple[object, ...]) -> None:
    """The guard refuses what may not be, of any family, and lets all other events be."""
    guard = apprise_worker._Guard([])
    with socket.socket(family) as opened:
        with pytest.raises(OSError, match="it leads to"):
            guard(event, (opened, address))
        assert guard.refused is not None
        guard("socket.bind", (opened, address))
        guard(event, (opened, ("93.184.215.14", 443))) if family == socket.AF_INET else None
        guard("open", ("/etc/hostname", "r", 0))


def test_a_redirect_is_not_followed(tmp_path: Path) -> None:
    """Not even where the URL asks for it."""
    with Http().running() as server:
        server.reply = lambda request: Reply(307, {"Location": "/second"}) if request.path != "/second" else Reply()
        service(tmp_path, f"json://127.0.0.1:{server.port}/first?redirect=yes").export([NOTICE])

    assert "/second" not in [request.path for request in server.requests]


def test_plain_text_must_be_allowed(tmp_path: Path) -> None:
    """A service without TLS takes the operator's word."""
    with Http().running() as server:
        sender = service(tmp_path, f"json://127.0.0.1:{server.port}/")
        delivery = changed(sender, plaintext=False).export([NOTICE])

    assert server.requests == []
    assert "plaintext" in str(delivery.problem)


@pytest.mark.parametrize("url", ["json://127.0.0.1:{port}/s3cret", "nosuch://s3cret", "s3cret", "mailto://s3cret"])
def test_a_failure_shows_no_secret(tmp_path: Path, url: str, capfd: pytest.CaptureFixture[str]) -> None:
    """The URL is a secret whole, and stands in no reason and no output."""
    delivery = service(tmp_path, url.format(port=closed_port())).export([NOTICE])
    out, err = capfd.readouterr()

    assert delivery.taken == 0
    assert delivery.problem
    assert "s3cret" not in delivery.problem + out + err


def worker_environment() -> set[str]:
    """Read the names in the environment of the worker that runs now."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            is_child = f"PPid:\t{os.getpid()}\n" in (process / "status").read_text()
            if is_child and b"apprise_worker" in (process / "cmdline").read_bytes():
                return {name.partition(b"=")[0].decode() for name in (process / "environ").read_bytes().split(b"\0") if name}
    return set()


def test_the_worker_gets_no_secret_of_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its environment holds what Python needs, and no proxy."""
    found: set[str] = set()

    def look(_: Request) -> Reply:
        found.update(worker_environment())
        return Reply()

    with Http().running() as server, Http().running() as proxy:
        server.reply = look
        monkeypatch.setenv("OTHER_SECRET", "x")
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        service(tmp_path, f"json://127.0.0.1:{server.port}/").export([NOTICE])

    assert (len(server.requests), len(proxy.requests)) == (1, 0)
    assert "PATH" in found
    assert found <= {*apprise._KEPT, "LC_CTYPE"}  # Python sets the latter itself


def test_an_answer_that_unpacks_without_end_takes_no_more_than_its_share_of_memory(tmp_path: Path) -> None:
    """A megabyte that is a gigabyte: the worker gives up, and nothing else on the node does."""
    packed = gzip.compress(bytes(1 << 26)) * 17
    with Http().running() as server:
        server.reply = lambda _: Reply(200, {"Content-Encoding": "gzip"}, packed)
        delivery = service(tmp_path, f"json://127.0.0.1:{server.port}/").export([NOTICE])

    assert len(server.requests) == 1
    assert delivery.taken == 0
    assert delivery.problem in (apprise_worker.NOT_SENT, "Apprise failed at it")


def test_a_service_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process is killed, and the reason is said."""
    monkeypatch.setattr(apprise, "LIMIT_SECS", 0.05)

    assert service(tmp_path, "json://127.0.0.1:9/").export([NOTICE]) == Delivery(
        0, problem="it took longer than 0.05 seconds"
    )
