"""`kata-audit alerts deliver`, killed with signal 9 anywhere: nobody is left untold, and what comes twice has the same name."""

import itertools
import json
import random
import signal
import time
from collections import defaultdict
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.fault.delivering import Delivering, finding
from tests.loopback import Http, Reply, Request

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
HOOK = """
[[alerts.destination]]
name = "{name}"
kind = "webhook"
url = "http://127.0.0.1:{port}/"
secret_env = "HOOK_SECRET"
allow = ["127.0.0.0/8"]
plaintext = true
{more}
"""


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_SECRET", SECRET)


def hook(server: Http, name: str, more: str = "") -> str:
    return HOOK.format(name=name, port=server.port, more=more)


def told(server: Http) -> list[dict[str, Any]]:
    """Read what came and was taken."""
    return [json.loads(request.body)["data"] for request in list(server.requests)]


def sandboxes(server: Http) -> list[int]:
    return [int(one["labels"]["sandbox_id"], 16) for one in told(server) if one["labels"].get("sandbox_id")]


def arrived(server: Http, count: int) -> bool:
    return len(server.requests) >= count


@pytest.mark.parametrize("kills", [6, pytest.param(100, marks=[pytest.mark.torture, pytest.mark.timeout(3600)])])
def test_nobody_is_left_untold_whenever_it_is_killed(tmp_path: Path, kills: int) -> None:
    """Findings come all the time, one destination fails now and then, and each alert is told under one name."""
    chance = random.Random(kills)
    numbers = itertools.count(1)
    with Http().running() as good, Http().running() as bad:
        taken: list[Request] = []
        refusals = [503, 200, 200]

        def keep(request: Request) -> Reply:
            reply = Reply(chance.choice(refusals))
            if reply.status == 200:
                taken.append(request)
            return reply

        bad.reply = keep
        one = Delivering(tmp_path, hook(good, "good") + hook(bad, "bad"))
        for _ in range(kills):
            with one.running():
                until = time.monotonic() + chance.uniform(0.2, 2.5)
                while time.monotonic() < until:
                    one.find(*(finding(next(numbers)) for _ in range(chance.randrange(1, 4))))
                    time.sleep(chance.uniform(0, 0.2))
                assert one.end(signal.SIGKILL)[0] == -signal.SIGKILL
        count = next(numbers) - 1
        refusals[:] = [200]
        assert one.once(120 + 10 * kills).returncode == 0
        by_sandbox: dict[int, set[str]] = defaultdict(set)
        for data in told(good):
            by_sandbox[int(data["labels"]["sandbox_id"], 16)].add(data["dedup_key"])
        at_bad = {int(json.loads(request.body)["data"]["labels"]["sandbox_id"], 16) for request in taken}

    assert set(by_sandbox) == at_bad == set(range(1, count + 1))
    assert [names for names in by_sandbox.values() if len(names) != 1] == []
    print(f"{kills} kills, {count} alerts, {len(told(good)) - count} told twice")


def test_an_orderly_end_tells_nothing_twice(tmp_path: Path) -> None:
    """SIGTERM ends it behind the attempt that it is in; what came meanwhile is told by the next one, in order."""
    with Http().running() as server:
        one = Delivering(tmp_path, hook(server, "hook"))
        for first in (1, 4, 7):
            with one.running():
                one.find(finding(first), finding(first + 1))
                one.wait_for(partial(arrived, server, first + 1))
                status, said = one.end(signal.SIGTERM if first != 4 else signal.SIGINT)
                assert status == 0, said
                one.find(finding(first + 2))
        assert one.once().returncode == 0

        assert sandboxes(server) == list(range(1, 10))


def test_a_dead_destination_holds_up_nobody(tmp_path: Path) -> None:
    """The other is told at once; a critical alert goes the second way; --once says who is behind."""
    with Http().running() as dead, Http().running() as alive, Http().running() as second:
        dead.reply = lambda _: Reply(503)
        more = 'second = "second"\nsecond_after_secs = 1'
        places = hook(dead, "dead", more) + hook(alive, "alive") + hook(second, "second", "standby = true")
        one = Delivering(tmp_path, places)
        with one.running():
            one.find(finding(1), finding(2, level="critical"))
            one.wait_for(lambda: sandboxes(alive) == [1, 2] and sandboxes(second) == [2])
            assert one.end()[0] == 0
        done = one.once()

    assert done.returncode == 5
    assert "dead: it answered with HTTP status 503" in done.stderr
    assert SECRET not in done.stderr


def test_a_heartbeat_comes_from_the_command(tmp_path: Path) -> None:
    """While the store is young."""
    with Http().running() as server:
        one = Delivering(tmp_path, hook(server, "watch", "heartbeat = true"), "heartbeat_secs = 0.2")
        one.find(finding(1, level="low"))
        with one.running():
            one.wait_for(lambda: len(server.requests) >= 3)

    assert {one["rule_id"] for one in told(server)} == {"heartbeat"}


def test_two_of_them_do_not_share_an_outbox(tmp_path: Path) -> None:
    """The second is refused, with a hint."""
    with Http().running() as server:
        one = Delivering(tmp_path, hook(server, "hook"))
        with one.running():
            one.find(finding(1))
            one.wait_for(lambda: len(server.requests) == 1)
            done = one.once()

    assert done.returncode == 4
    assert "Another process delivers" in done.stderr
