"""`alerts` on a store made by the real ingest: what is listed, shown, and done about it is what the store says."""

import csv
import dataclasses
import io
import json
from pathlib import Path
from typing import Any

import pytest
from tests.evidence import derive
from tests.findings import FINDING, HOUR, own_rows

from kata_audit import verify_bundle, wiring
from kata_audit.cli import main
from kata_audit.clock import SystemClock
from kata_audit.pipeline.ingest import CutPolicy, Sealer
from kata_audit.schema.alert import ALERT_FIELDS
from kata_audit.schema.finding import FINDING_KIND, Finding, Level, Maturity, to_line
from kata_audit.store.writer import Writer
from kata_audit.wiring import writing

LINES = (
    'time="2026-11-23T06:06:46.123456789Z" level=info msg="starting containerd" revision=abc version=v2.4.2\n'
    'time="2026-11-23T06:06:47.123456789Z" level=error msg="the \\x1b]52;c;AAAA\\x07 moon \u202e is full"\n'
)


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """A store with two records of a host, that a command writes to by default."""
    root = tmp_path / "trail"
    (tmp_path / "config.toml").write_text(
        'node = "lab/worker"\n[alerts]\nrunbook_url = "https://runbooks.example/{rule_id}"\n'
    )
    monkeypatch.setenv("KATA_AUDIT_STORE", str(root))
    monkeypatch.setenv("KATA_AUDIT_CONFIG", str(tmp_path / "config.toml"))
    monkeypatch.delenv("KATA_AUDIT_KEYS", raising=False)
    monkeypatch.delenv("SUDO_USER", raising=False)
    (tmp_path / "containerd.log").write_text(LINES)
    assert main.run(["ingest", "--transport", "host-file", "--node", "lab/worker", str(tmp_path / "containerd.log")]) == 0
    capsys.readouterr()
    return root


def spool(root: Path, *findings: dict[str, Any]) -> list[Finding]:
    """Say findings as the judging does: records of ours through the one door, sealed."""
    with writing(root, create=False) as writer:
        said = [_finding(writer, number, change) for number, change in enumerate(findings)]
        now = SystemClock().now_ns() - HOUR
        for at, one in enumerate(said):
            writer.append(own_rows(FINDING_KIND, [to_line(one)], said_ns=now + at, node=one.node))
        seal(writer)
    return said


def seal(writer: Writer) -> None:
    Sealer(writer, CutPolicy(), derive, SystemClock(), after_seal=int).seal_all()


def _finding(writer: Writer, number: int, change: dict[str, Any]) -> Finding:
    records = (f"{writer.origin}/1", f"elsewhere/{number}")
    return dataclasses.replace(FINDING, **{"node": "lab/node", "records": records, "count": number + 1, **change})


def run(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    """Run `alerts …` and give what it printed; errors too where it is to fail."""
    got = main.run(["alerts", *arguments])
    out, err = capsys.readouterr()
    assert got == code, err
    return err if code else out


def listed(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run(capsys, "list", *arguments, "-o", "jsonl").splitlines()]


def test_alerts_are_listed_with_exactly_their_fields(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spool(store, {}, {"claim": True, "rule_id": "KA-009", "level": Level.CRITICAL, "subject": {"sandbox_id": "6b" * 32}})
    rows = listed(capsys)

    assert [tuple(row) for row in rows] == [ALERT_FIELDS] * 2
    assert [(row["rule_id"], row["claim"], row["status"]) for row in rows] == [
        ("KA-009", True, "open"),
        ("KA-008", False, "open"),
    ]
    assert rows[1] | {"alert_id": ""} == {
        "alert_id": "",
        "rule_id": "KA-008",
        "level": "high",
        "status": "open",
        "claim": False,
        "cluster": "lab",
        "node": "lab/node",
        "sandbox_id": "5a" * 32,
        "k8s_namespace": "shop",
        "k8s_pod": "web-1",
        "first_seen": "2026-11-18T11:06:40.000000000Z",
        "last_seen": "2026-11-18T11:06:40.000000005Z",
        "count": 1,
    }
    text = run(capsys, "list")
    assert "» A policy refused a request" in text
    assert "shop/web-1" in text
    assert next(csv.reader(io.StringIO(run(capsys, "list", "-o", "csv")))) == list(ALERT_FIELDS)
    assert json.loads(run(capsys, "list", "-o", "json")) == rows


def test_a_list_fits_the_terminal(store: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A narrow terminal is shown less of more; an id as it is shown is enough to ask for the alert."""
    spool(store, {})
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    shown = {}
    for width in (80, 120):
        monkeypatch.setenv("COLUMNS", str(width))
        head, row = shown[width] = run(capsys, "list").splitlines()
        assert max(map(len, (head, row))) <= width
        assert "A policy refused a req" in row

    assert "LAST_SEEN" in shown[120][0]
    assert "LAST_SEEN" not in shown[80][0]
    assert "KA-008" in run(capsys, "show", shown[80][1].split()[0])


def test_a_list_is_narrowed(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spool(
        store,
        {},
        {"rule_id": "KA-1", "level": Level.LOW, "subject": {"sandbox_id": "a"}},
        {"rule_id": "KA-2", "level": Level.INFORMATIONAL, "subject": {"sandbox_id": "b"}},
        {"rule_id": "KA-3", "maturity": Maturity.TEST, "subject": {"sandbox_id": "c"}},
        {"rule_id": "KA-4", "level": Level.MEDIUM, "subject": {"sandbox_id": "5a" * 32}},
    )
    ids = {row["rule_id"]: row["alert_id"] for row in listed(capsys, "--all")}
    run(capsys, "close", ids["KA-1"], "--verdict", "benign", "--reason", "known")

    assert set(ids) == {"KA-008", "KA-1", "KA-2", "KA-3", "KA-4"}
    for options, expected in (
        ((), ["KA-008", "KA-4"]),
        (("--shadow",), ["KA-3"]),
        (("--all",), ["KA-008", "KA-1", "KA-2", "KA-3", "KA-4"]),
        (("--level", "high"), ["KA-008"]),
        (("--all", "--rule", "KA-1", "--rule", "KA-2"), ["KA-1", "KA-2"]),
        (("--status", "closed"), ["KA-1"]),
        (("--status", "inhibited", "--status", "shadow"), ["KA-3", "KA-4"]),
    ):
        assert sorted(row["rule_id"] for row in listed(capsys, *options)) == expected, options
    assert main.run(["alerts", "list"]) == 0
    assert "1 more" in capsys.readouterr().err


def test_an_alert_is_shown_with_what_proves_it(store: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Evidence is shown and never sent; the command that it prints writes a bundle that verifies."""
    spool(store, {"claim": True})
    [row] = listed(capsys)
    text = run(capsys, "show", row["alert_id"][:6])
    shown = json.loads(run(capsys, "show", row["alert_id"], "-o", "json"))

    assert all(character.isprintable() or character == "\n" for character in text)
    assert "moon" in text
    assert "CLAIM" in text
    assert "elsewhere/0: this store does not hold it" in text
    assert "https://runbooks.example/KA-008" in text
    assert shown["evidence"][0]["body"] == "the \x1b]52;c;AAAA\x07 moon \u202e is full"
    assert (shown["proof"]["records"], shown["absent"]) == ([1, 2], ["elsewhere/0"])
    assert shown["proof"]["command"] in text
    assert f"of {shown['proof']['entries']} entries" in text
    assert shown["respond"]
    assert "1. " in text
    command, out = shown["proof"]["command"].split("'")[1], tmp_path / "proof.json"
    assert main.run(["prove", command, "--out", str(out)]) == 0
    assert [record.seq for record in verify_bundle.verify(out.read_bytes()).records] == [1, 2]


def test_a_person_handles_an_alert(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each act is a record of the store: who, when and why; and each shows in the alert."""
    spool(store, {})
    [alert] = listed(capsys)
    name = alert["alert_id"]
    said = run(capsys, "ack", name[:8], "--reason", "I look", "--as", "alice")
    assert said == f"alert {name}: acknowledged by alice\n"
    assert listed(capsys)[0]["status"] == "acknowledged"
    run(capsys, "close", name, "--verdict", "false-positive", "--reason", "a test", "--as", "alice")
    assert listed(capsys) == []
    run(capsys, "reopen", name, "--reason", "by mistake")
    run(capsys, "escalate", name, "--reason", "help")
    [history, now] = json.loads(run(capsys, "show", name, "-o", "json"))["history"]
    assert (history["acknowledged_by"], history["closed_by"], history["verdict"], history["reason"]) == (
        *("alice", "alice", "false-positive", "a test"),
    )
    assert "closed" not in now
    assert "acknowledged after" in run(capsys, "show", name)
    assert main.run(["search", "event:alert.act AND actor:alice", "-o", "jsonl", "--columns", "actor,object,outcome"]) == 0
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == [
        {"actor": "alice", "object": f"alert/{name}", "outcome": "success"}
    ] * 2
    [rule] = [json.loads(line) for line in run(capsys, "stats", "-o", "jsonl").splitlines()]
    assert (rule["rule_id"], rule["alerts"], rule["false_positive"], rule["precision"], rule["share"]) == (
        "KA-008",
        1,
        1,
        0.0,
        1.0,
    )
    assert rule["ack_secs"] >= 3600
    assert "KA-008" in run(capsys, "stats")


def test_one_cause_at_many_places_is_handled_as_one(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The id that a notice of the group has shows its alerts, and is acknowledged and closed for all of them."""
    spool(store, *({"node": f"lab/worker-{at}", "subject": {"sandbox_id": f"{at}" * 64}} for at in range(3)))
    [alert, *_] = listed(capsys)
    told = json.loads(run(capsys, "show", alert["alert_id"], "-o", "json"))["group"]
    group = told.split(":")[0]
    shown = run(capsys, "show", group)

    assert "3 alerts on 3 nodes" in shown
    assert all(row["alert_id"] in shown for row in listed(capsys))
    assert len(json.loads(run(capsys, "show", group, "-o", "json"))["alerts"]) == 3
    run(capsys, "ack", group, "--reason", "all of it")
    assert {row["status"] for row in listed(capsys)} == {"acknowledged"}
    run(capsys, "close", group, "--verdict", "benign", "--reason", "maintenance")
    assert listed(capsys) == []


def test_whose_act_it_is(store: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Root by `sudo` is who called it; an account that the system does not know has its number."""
    spool(store, {})
    [alert] = listed(capsys)
    monkeypatch.setattr("os.getuid", lambda: 0)
    monkeypatch.setenv("SUDO_USER", "alice")
    assert run(capsys, "ack", alert["alert_id"], "--reason", "x").endswith("by alice\n")
    monkeypatch.setattr("os.getuid", lambda: 4_000_000_000)
    assert run(capsys, "close", alert["alert_id"], "--verdict", "benign", "--reason", "x").endswith("by uid 4000000000\n")


def test_a_silence_has_an_owner_a_reason_and_an_end(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spool(store, {}, {"rule_id": "KA-1", "subject": {"sandbox_id": "a"}})
    [known] = [row["alert_id"] for row in listed(capsys) if row["rule_id"] == "KA-1"]
    run(capsys, "silence", "--match", "k8s_namespace=sh*", "--for", "2h", "--reason", "load test", "--as", "alice")
    run(capsys, "silence", known, "--for", "1 day", "--reason", "known")
    rows = [json.loads(line) for line in run(capsys, "silences", "-o", "jsonl").splitlines()]

    assert {row["status"] for row in listed(capsys, "--all")} == {"silenced"}
    assert listed(capsys) == []
    assert [(row["owner"] == "alice", row["reason"], row["matches"]) for row in rows] == [
        (True, "load test", {"k8s_namespace": "sh*"}),
        (False, "known", {"alert_id": known}),
    ]
    assert "by alice: load test" in run(
        capsys, "show", next(r["alert_id"] for r in listed(capsys, "--rule", "KA-008", "--all"))
    )
    run(capsys, "unsilence", rows[0]["silence_id"][:8], "--reason", "over")
    assert [row["rule_id"] for row in listed(capsys)] == ["KA-008"]
    assert len(run(capsys, "silences").splitlines()) == 2
    assert len(run(capsys, "silences", "--all").splitlines()) == 3


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("ack", "0000"), "there is no alert of this id"),
        (("ack", "ID"), "--reason: is missing"),
        (("close", "ID", "--reason", "x"), "--verdict: is missing"),
        (("silence", "--match", "node=a", "--reason", "x"), "--for or --until: is missing; a silence ends"),
        (("silence", "--match", "node=a", "--reason", "x", "--for", "200 days"), "90 days at most"),
        (("silence", "--match", "node=a", "--reason", "x", "--for", "soon"), "no length of time"),
        (("silence", "--match", "node=a", "--reason", "x", "--for", "2h", "--until", "tomorrow"), "has one end"),
        (("silence", "--match", "pod=a", "--reason", "x", "--for", "2h"), "nothing that an alert has"),
        (
            ("silence", "--match", "node", "--match", "level=a", "--match", "level=b", "--for", "2h"),
            "'node' is no FIELD=VALUE",
        ),
        (("silence", "--reason", "x", "--for", "2h"), "--match: is missing"),
        (("unsilence", "abcd", "--reason", "x"), "there is no silence of this id"),
        (("show", "zz"), "there is no alert of this id"),
    ],
)
def test_mistakes_are_named_with_the_next_step(
    store: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], said: str
) -> None:
    """All at once, with their place; and nothing is recorded."""
    spool(store, {})
    [alert] = listed(capsys)
    told = run(capsys, *[alert["alert_id"] if word == "ID" else word for word in arguments], code=2)

    assert said in told
    assert "next: " in told
    assert listed(capsys) == [alert]


def test_beside_a_running_writer_an_act_waits(
    store: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is durable at once, and in the store when the writer has taken it in."""
    monkeypatch.setattr(wiring, "_TAKE_SECS", 0)
    spool(store, {})
    [alert] = listed(capsys)
    with writing(store, create=False) as writer:
        assert main.run(["alerts", "ack", alert["alert_id"], "--reason", "I look"]) == 0
        assert "waits for the process that writes to this store" in capsys.readouterr().err
        assert listed(capsys)[0]["status"] == "open"
        seal(writer)
        assert listed(capsys)[0]["status"] == "acknowledged"


def test_a_store_without_findings_has_no_alerts(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert store.is_dir()
    assert listed(capsys, "--all") == []
    assert run(capsys, "silences", "--all", "-o", "json") == "[]\n"
    assert main.run(["alerts", "list", "--store", "/nowhere"]) == 4
