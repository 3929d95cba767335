"""A receiver can tell that a webhook is ours, unaltered and fresh."""

import base64
import dataclasses
import json
from pathlib import Path

import pytest
from tests.loopback import LOOPBACK, Http, Reply
from tests.notices import NOTICE

from kata_audit.clock import ManualClock
from kata_audit.exporters.base import Delivery
from kata_audit.exporters.settings import Destination, DestinationKind
from kata_audit.exporters.webhook import SecretError, Webhook, sign, signing_keys

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = f"whsec_{base64.b64encode(bytes(range(32))).decode()}"


def hook(port: int, secret_file: Path) -> Webhook:
    url = f"http://127.0.0.1:{port}/alerts"
    one = Destination("hook", DestinationKind.WEBHOOK, url=url, secret_file=secret_file, allow=(LOOPBACK,), plaintext=True)
    return Webhook(one, ManualClock(1_795_000_000_000_000_000))


def test_the_signature_is_that_of_the_specification() -> None:
    """The test vector that libraries of Standard Webhooks are held to."""
    headers = sign(signing_keys(SECRET), "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')

    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_a_real_server_gets_what_was_signed(tmp_path: Path) -> None:
    """Id, time and body that came make the signature that came; the id is the notice's own."""
    secret = tmp_path / "secret"
    secret.write_text(f"{SECRET}\n{OTHER}\n")
    with Http().running() as server:
        delivery = hook(server.port, secret).export([NOTICE, NOTICE])
    (request,) = server.requests
    again = sign(signing_keys(f"{SECRET} {OTHER}"), NOTICE.dedup_key, 1_795_000_000, request.body)

    assert delivery == Delivery(1)
    assert {name: request.headers[name] for name in again} == again
    assert len(again["webhook-signature"].split()) == 2
    assert request.headers["Content-Type"] == "application/json"
    assert json.loads(request.body)["data"]["dedup_key"] == NOTICE.dedup_key


@pytest.mark.parametrize(
    ("status", "delivery"),
    [
        (204, Delivery(1)),
        (400, Delivery(1, 1, "it refused the content with HTTP status 400")),
        (401, Delivery(0, 0, "it answered with HTTP status 401")),
        (301, Delivery(0, 0, "it answered with HTTP status 301; redirects are not followed")),
        (503, Delivery(0, 0, "it answered with HTTP status 503")),
    ],
)
def test_an_answer_decides_whether_it_comes_again(tmp_path: Path, status: int, delivery: Delivery) -> None:
    """Only a plain refusal of the content ends it; all else waits for better days."""
    secret = tmp_path / "secret"
    secret.write_text(SECRET)
    with Http().running() as server:
        server.reply = lambda _: Reply(status, {"Location": "/"} if status == 301 else {})

        assert hook(server.port, secret).export([NOTICE]) == delivery


@pytest.mark.parametrize("secret", ["", "short", "whsec_", "whsec_c2hvcnQ=", SECRET[6:], f"{SECRET}\nwhsec_*"])
def test_a_bad_secret_sends_nothing(tmp_path: Path, secret: str) -> None:
    """It is said, and not shown."""
    file = tmp_path / "secret"
    file.write_text(secret)
    with Http().running() as server:
        delivery = hook(server.port, file).export([NOTICE])

    assert server.requests == []
    assert delivery.taken == 0
    assert delivery.problem is not None
    assert "secret" in delivery.problem
    assert not any(line in delivery.problem for line in secret.split() if line != "whsec_")


def test_a_secret_that_is_gone_waits(tmp_path: Path) -> None:
    """Whoever puts it back needs no restart."""
    with Http().running() as server:
        one = hook(server.port, tmp_path / "secret")
        first = one.export([NOTICE])
        (tmp_path / "secret").write_text(SECRET)

        assert first == Delivery(0, problem="The secret of `hook` cannot be read: No such file or directory.")
        assert one.export([NOTICE]) == Delivery(1)


def test_keys_are_read_a_line_each() -> None:
    """While a secret is replaced, both sign."""
    assert len(signing_keys(f"  {SECRET}\n\n{OTHER} ")) == 2
    with pytest.raises(SecretError):
        signing_keys(" \n")


def test_a_claim_is_marked(tmp_path: Path) -> None:
    """What only a guest says is said to be a claim."""
    (tmp_path / "secret").write_text(SECRET)
    with Http().running() as server:
        hook(server.port, tmp_path / "secret").export([dataclasses.replace(NOTICE, claim=True)])

    assert json.loads(server.requests[0].body)["data"]["claim"] is True
