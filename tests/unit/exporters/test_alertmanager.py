"""What Alertmanager is told, held against a server that keeps it; `tests/servers` holds it against the real one."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from tests.loopback import LOOPBACK, Http, Reply
from tests.notices import NOTICE

from kata_audit.clock import ManualClock
from kata_audit.exporters.alertmanager import Alertmanager, alert_of
from kata_audit.exporters.base import Delivery
from kata_audit.exporters.settings import Destination, DestinationKind
from kata_audit.schema.notice import Notice, NoticeKind


def many(number: int) -> Notice:
    return dataclasses.replace(NOTICE, alert_id=f"{number:016x}")


NOW = NOTICE.starts_ns + 10_000_000_000


def telling(port: int, **more: Any) -> Alertmanager:
    one = Destination(
        "am", DestinationKind.ALERTMANAGER, url=f"http://127.0.0.1:{port}/", allow=(LOOPBACK,), plaintext=True, **more
    )
    return Alertmanager(one, ManualClock(NOW))


def test_an_alert_is_spelled_as_alertmanager_has_it() -> None:
    """Labels that stay, annotations that may change, a start that stays and an end that moves on."""
    assert alert_of(NOTICE, NOW) == {
        "labels": {
            "alertname": "KA-008",
            "severity": "high",
            "cluster": "prod",
            "node": "worker-1",
            "alert_id": "9f86d081884c7d65",
            "claim": "false",
        },
        "annotations": {
            "title": "A policy refused a request",
            "summary": "ExecProcessRequest was refused 3 times.",
            "runbook_url": "https://runbooks.example/KA-008",
            "evidence": "prod/17, prod/19",
            "count": "3",
        },
        "startsAt": "2026-11-18T11:06:40.000Z",
        "endsAt": "2026-11-18T11:11:50.000Z",
    }


@pytest.mark.parametrize("kind", [kind for kind in NoticeKind if kind is not NoticeKind.HEARTBEAT])
def test_labels_and_start_stay_while_an_alert_lives(kind: NoticeKind) -> None:
    """Whatever happens to it, Alertmanager knows it for the same."""
    later = dataclasses.replace(NOTICE, kind=kind, count=99, summary="Other words.", time_ns=NOW, ends_ns=None)
    first, second = alert_of(NOTICE, NOW), alert_of(later, NOW + 60_000_000_000)

    assert (second["labels"], second["startsAt"]) == (first["labels"], first["startsAt"])
    assert second["endsAt"] > first["endsAt"]


def test_an_alert_that_is_over_says_so() -> None:
    """Its end is the end that it had, never before its start."""
    over = dataclasses.replace(NOTICE, kind=NoticeKind.RESOLVED, ends_ns=NOTICE.starts_ns)

    assert alert_of(over, NOW)["endsAt"] == "2026-11-18T11:06:40.001Z"


def test_an_alert_of_a_clock_that_was_put_back_is_none_of_the_future() -> None:
    """It would be refused for good, or stay until the clock has come there again."""
    early = NOTICE.starts_ns - 3_600_000_000_000
    alive = alert_of(NOTICE, early)
    over = alert_of(dataclasses.replace(NOTICE, kind=NoticeKind.RESOLVED, ends_ns=early), early)

    assert (alive["startsAt"], alive["endsAt"]) == ("2026-11-18T10:06:40.000Z", "2026-11-18T10:11:40.000Z")
    assert (over["startsAt"], over["endsAt"]) == ("2026-11-18T10:06:40.000Z", "2026-11-18T10:06:40.001Z")


def test_a_heartbeat_is_an_alert_that_never_ends() -> None:
    """Alertmanager sends it on to whoever calls when it stops."""
    alive = alert_of(dataclasses.replace(NOTICE, kind=NoticeKind.HEARTBEAT, alert_id="heartbeat", evidence=()), NOW)

    assert alive["labels"] == {
        "alertname": "KataAuditHeartbeat",
        "severity": "none",
        "cluster": "prod",
        "node": "worker-1",
    }


def test_many_go_together_and_the_token_with_them(tmp_path: Path) -> None:
    """One POST for up to sixty-four; the rest comes next."""
    token = tmp_path / "token"
    token.write_text("t0ken\n")
    with Http().running() as server:
        delivery = telling(server.port, secret_file=token).export([many(number) for number in range(100)])
    (request,) = server.requests

    assert delivery == Delivery(64)
    assert request.path == "/api/v2/alerts"
    assert request.headers["Authorization"] == "Bearer t0ken"
    assert len(json.loads(request.body)) == 64


@pytest.mark.parametrize("secret", ["s3cret\nX-Other: 1", "s3cret of old", "\ufeffs3cret", "s3cr\u00e9t", "s3\x00cret"])
def test_a_token_that_is_none_is_said_and_not_shown(tmp_path: Path, secret: str) -> None:
    """Two lines, a blank, the mark of an editor: nothing is sent, and whoever wrote it is told."""
    token = tmp_path / "token"
    token.write_text(secret)
    with Http().running() as server:
        delivery = telling(server.port, secret_file=token).export([NOTICE])

    assert delivery == Delivery(0, problem="The secret of `am` is no Bearer token.")
    assert server.requests == []


def test_refreshing_tells_all_of_them() -> None:
    """However many POSTs that takes; it stops where one fails."""
    with Http().running() as server:
        assert telling(server.port).refresh([NOTICE] * 100, NOW) == Delivery(100)
        assert [len(json.loads(request.body)) for request in server.requests] == [64, 36]
        server.reply = lambda _: Reply(500)
        assert telling(server.port).refresh([NOTICE] * 100, NOW) == Delivery(0, 0, "it answered with HTTP status 500")


def test_what_a_log_says_is_made_plain() -> None:
    """Templates of Alertmanager put annotations and labels into chats and mails as they are."""
    hostile = dataclasses.replace(NOTICE, summary="<!channel> [x](https://bad.example)\n", labels={"k8s_pod": "<b>"})
    alert = alert_of(hostile, NOW)

    assert alert["annotations"]["summary"] == "\\x3c!channel\\x3e \\x5bx\\x5d(https:\\x2f/bad.example)\\x0a"
    assert alert["labels"]["k8s_pod"] == "\\x3cb\\x3e"


def test_of_one_alert_the_newest_is_told() -> None:
    """Opened and closed before it was told: it is over."""
    over = dataclasses.replace(NOTICE, kind=NoticeKind.RESOLVED, ends_ns=NOTICE.starts_ns + 1_000_000_000)
    with Http().running() as server:
        delivery = telling(server.port).export([NOTICE, over])

    assert delivery == Delivery(2)
    assert [one["endsAt"] for one in json.loads(server.requests[0].body)] == ["2026-11-18T11:06:41.000Z"]


def test_one_that_is_refused_takes_no_other_with_it() -> None:
    """Each goes alone then."""
    with Http().running() as server:
        server.reply = lambda request: Reply(400 if b"KA-666" in request.body else 200)
        notices = [dataclasses.replace(many(0), rule_id="KA-666"), many(1), many(2)]

        assert telling(server.port).export(notices) == Delivery(1, 1, "it refused the content with HTTP status 400")
        assert telling(server.port).export(notices[1:]) == Delivery(2)
