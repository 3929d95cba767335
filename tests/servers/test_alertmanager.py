"""The real Alertmanager receives what we tell it, groups it, sends it on, and lets it end when we say so or say no more."""

import dataclasses
import json
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from tests.fault.delivering import Delivering, finding
from tests.loopback import LOOPBACK, Http
from tests.notices import NOTICE
from tests.servers.alertmanager import MISSING, Running, alertmanager, can_run

from kata_audit.clock import ManualClock
from kata_audit.exporters.alertmanager import KEEP_NS, Alertmanager
from kata_audit.exporters.base import Delivery
from kata_audit.exporters.settings import Destination, DestinationKind
from kata_audit.schema.act import ActKind, Verdict
from kata_audit.schema.finding import Level
from kata_audit.schema.notice import Notice, NoticeKind

pytestmark = pytest.mark.skipif(not can_run(), reason=MISSING)
SECOND = 1_000_000_000
PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "deliver-alerts.md"
CONFIG = """
route:
  receiver: hook
  group_by: [alertname, cluster]
  group_wait: 500ms
  group_interval: 1s
receivers:
  - name: hook
    webhook_configs: [{{url: "http://127.0.0.1:{port}/", send_resolved: true}}]
"""


def told(number: int, **changes: Any) -> Notice:
    """A notice of an alert of now."""
    began = time.time_ns() - SECOND
    labels = {"cluster": "prod", "node": f"worker-{number}", "k8s_pod": f"web-{number}"}
    return dataclasses.replace(NOTICE, alert_id=f"{number:016x}", labels=labels, starts_ns=began, time_ns=began, **changes)


def telling(server: Running, clock: ManualClock) -> Alertmanager:
    one = Destination("am", DestinationKind.ALERTMANAGER, url=server.url, allow=(LOOPBACK,), plaintext=True)
    return Alertmanager(one, clock)


def pages(hook: Http) -> list[dict[str, Any]]:
    """Read what it sent on."""
    return [json.loads(request.body) for request in hook.requests]


def newest(hook: Http) -> dict[str, dict[str, Any]]:
    """Read the newest message of each rule: a first one may have left before all its alerts had come."""
    return {page["groupLabels"]["alertname"]: page for page in pages(hook)}


def test_it_receives_groups_and_sends_on(tmp_path: Path) -> None:
    """Alerts of one rule and cluster come as one message, with our labels and annotations; told twice is told once."""
    notices = [told(1), told(2), told(3, rule_id="KA-031")]
    with Http().running() as hook, alertmanager(tmp_path / "am", CONFIG.format(port=hook.port)) as server:
        sender = telling(server, ManualClock(time.time_ns()))
        assert sender.export(notices) == sender.export(notices) == Delivery(3)
        server.wait_for(
            lambda: {rule: len(page["alerts"]) for rule, page in newest(hook).items()} == {"KA-008": 2, "KA-031": 1}
        )
        groups = {group["labels"]["alertname"]: len(group["alerts"]) for group in server.ask("alerts/groups")}
        known = server.alerts()

    assert groups == {"KA-008": 2, "KA-031": 1}
    assert len(known) == 3
    page = newest(hook)["KA-008"]
    assert page["commonLabels"] == {"alertname": "KA-008", "severity": "high", "cluster": "prod", "claim": "false"}
    assert page["commonAnnotations"]["runbook_url"] == "https://runbooks.example/KA-008"


def test_it_ends_when_we_say_so(tmp_path: Path) -> None:
    """Its message says that it is over."""
    first = told(1)
    over = dataclasses.replace(first, kind=NoticeKind.RESOLVED, ends_ns=first.starts_ns + SECOND // 2)
    with Http().running() as hook, alertmanager(tmp_path / "am", CONFIG.format(port=hook.port)) as server:
        sender = telling(server, ManualClock(time.time_ns()))
        sender.export([first])
        server.wait_for(lambda: len(pages(hook)) >= 1)
        sender.export([over])
        server.wait_for(lambda: any(page["status"] == "resolved" for page in pages(hook)))

        assert server.alerts() == []


def test_it_ends_by_itself_where_we_say_no_more(tmp_path: Path) -> None:
    """A sender that is gone leaves no alert for ever; one that tells again keeps it, through a restart of Alertmanager."""
    gone, kept = told(1), told(2)
    with Http().running() as hook:
        config = CONFIG.format(port=hook.port)
        with alertmanager(tmp_path / "am", config) as server:
            port = int(server.url.rpartition(":")[2])
            old = ManualClock(time.time_ns() - KEEP_NS + 3 * SECOND)
            telling(server, old).export([gone, kept])
            server.wait_for(lambda: len(server.alerts()) == 2)
            telling(server, old).refresh([kept], time.time_ns())
            server.wait_for(lambda: [alert["labels"]["node"] for alert in server.alerts()] == ["worker-2"])
        with alertmanager(tmp_path / "am", config, port) as server:
            assert telling(server, old).refresh([kept], time.time_ns()) == Delivery(1)

            assert [alert["labels"]["node"] for alert in server.alerts()] == ["worker-2"]


def test_findings_of_a_store_come_as_groups(tmp_path: Path) -> None:
    """The whole way: findings that were sealed, the command, Alertmanager; and a person who closes an alert ends it there."""
    with Http().running() as hook, alertmanager(tmp_path / "am", CONFIG.format(port=hook.port)) as server:
        place = f'[[alerts.destination]]\nname = "am"\nkind = "alertmanager"\nurl = "{server.url}"\n'
        one = Delivering(tmp_path, place + 'allow = ["127.0.0.0/8"]\nplaintext = true\nheartbeat = true\n')
        with one.running():
            one.find(finding(1, node="lab/a"), finding(2, node="lab/b"), finding(3, rule_id="KA-031", level=Level.CRITICAL))
            server.wait_for(lambda: len(server.alerts()) == 4)
            found = {group["labels"]["alertname"]: group["alerts"] for group in server.ask("alerts/groups")}
            assert {name: len(alerts) for name, alerts in found.items()} == {
                "KA-008": 2,
                "KA-031": 1,
                "KataAuditHeartbeat": 1,
            }
            (worst,) = found["KA-031"]
            assert worst["labels"]["severity"] == "critical"
            assert worst["labels"]["k8s_pod"] == "web-3"
            # What is over before its page was sent is never sent on.
            server.wait_for(lambda: any(page["commonLabels"]["alertname"] == "KA-031" for page in pages(hook)))
            one.act(ActKind.CLOSE, worst["labels"]["alert_id"], verdict=Verdict.TRUE_POSITIVE)
            server.wait_for(lambda: "KA-031" not in [alert["labels"]["alertname"] for alert in server.alerts()])
            server.wait_for(lambda: any(page["status"] == "resolved" for page in pages(hook)))
            assert one.end()[0] == 0


def test_nobody_there_is_tried_again(tmp_path: Path) -> None:
    """It is told of it once it is there."""
    with Http().running() as hook:
        config = CONFIG.format(port=hook.port)
        with alertmanager(tmp_path / "am", config) as server:
            port = int(server.url.rpartition(":")[2])
        sender = telling(server, ManualClock(time.time_ns()))
        assert sender.export([told(1)]) == Delivery(0, problem="it cannot be connected to")
        with alertmanager(tmp_path / "am", config, port) as server:
            assert sender.export([told(1)]) == Delivery(1)


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        ("severity=critical claim=false", "on-call"),
        ("severity=high claim=false", "on-call"),
        ("severity=critical claim=true", "review"),
        ("severity=medium claim=false", "review"),
        ("alertname=KataAuditHeartbeat severity=none", "dead-man"),
    ],
)
def test_the_page_shows_a_configuration_that_routes_our_labels(tmp_path: Path, labels: str, receiver: str) -> None:
    """Alertmanager's own tool takes it, and finds the way of each."""
    shown = re.search(r"^```yaml\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert shown is not None
    assert shutil.which("amtool") is not None
    config = tmp_path / "am.yml"
    config.write_text(shown[1])
    checked = subprocess.run(["amtool", "check-config", config], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    command = ["amtool", "config", "routes", "test", f"--config.file={config}", *labels.split()]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.stdout.strip() == receiver, done.stderr
