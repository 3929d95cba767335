"""`kata-audit alerts deliver`: what a person who sets it up sees; `tests/fault/test_kill_deliver.py` runs it for long."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.fault.delivering import MANY, finding
from tests.findings import own_rows
from tests.loopback import Http, Reply

from kata_audit import wiring
from kata_audit.cli.main import run
from kata_audit.clock import SystemClock
from kata_audit.pipeline.ingest import CutPolicy, Sealer
from kata_audit.schema.finding import FINDING_KIND, to_line
from kata_audit.store.writer import open_writer

HOOK = """
[[alerts.destination]]
name = "{name}"
kind = "webhook"
url = "http://127.0.0.1:{port}/"
secret_env = "HOOK_SECRET"
allow = ["127.0.0.0/8"]
plaintext = true
"""
FILE = """
[[alerts.destination]]
name = "file"
kind = "file"
path = "alerts.jsonl"
"""
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture(autouse=True)
def own_signals() -> Iterator[None]:
    """The command listens to signals of its process, which is the tests'."""
    kept = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a store of one finding, and a configuration to write."""
    monkeypatch.setenv("KATA_AUDIT_CONFIG", str(tmp_path / "config.toml"))
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    monkeypatch.delenv("KATA_AUDIT_KEYS", raising=False)
    monkeypatch.delenv("KATA_AUDIT_STORE", raising=False)
    clock = SystemClock()
    with open_writer(tmp_path / "store", clock=clock, node="lab/worker") as writer:
        rows = own_rows(FINDING_KIND, [to_line(finding(1))], said_ns=clock.now_ns())
        writer.append(rows)
        Sealer(writer, CutPolicy(), wiring.derivation(), clock, int).seal_all()
    return tmp_path


def configure(folder: Path, *destinations: str) -> None:
    text = f'store = "{folder / "store"}"\n[alerts]\n{MANY}' + "".join(destinations)
    (folder / "config.toml").write_text(text)


def test_once_tells_and_keeps_what_was_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The second time there is nothing to tell."""
    configure(folder, FILE)

    assert (run(["alerts", "deliver", "--once"]), run(["alerts", "deliver", "--once"])) == (0, 0)
    (line,) = (folder / "alerts.jsonl").read_text().splitlines()
    assert json.loads(line)["data"]["labels"]["k8s_pod"] == "web-1"
    assert capsys.readouterr().err == "1 notices were taken, 0 wait.\n" * 2
    assert (folder / "store.outbox").is_dir()


def test_once_names_who_is_behind(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With what is wrong, and never with a secret."""
    with Http().running() as server:
        server.reply = lambda _: Reply(503)
        configure(folder, HOOK.format(name="hook", port=server.port), FILE)

        assert run(["alerts", "deliver", "--once"]) == 5
    said = capsys.readouterr().err
    assert "Not every destination has taken everything." in said
    assert "hook: it answered with HTTP status 503" in said
    assert SECRET[6:] not in said
    assert (folder / "alerts.jsonl").exists()


def test_trying_says_how_it_went(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A line for each destination; the alert that is none is over at once, and no real one is touched."""
    with Http().running() as good, Http().running() as bad:
        bad.reply = lambda _: Reply(401)
        configure(folder, HOOK.format(name="good", port=good.port), HOOK.format(name="bad", port=bad.port))

        assert run(["alerts", "deliver", "--try"]) == 5
    assert capsys.readouterr().out == "good: took it\nbad: it answered with HTTP status 401\n"
    kinds = [json.loads(request.body)["type"] for request in good.requests]
    assert kinds == ["alert.fired", "alert.resolved"]
    assert not (folder / "store.outbox").exists()


def test_nobody_to_tell_is_a_mistake(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It says where to name somebody."""
    configure(folder)

    assert run(["alerts", "deliver"]) == 2
    assert "[[alerts.destination]]" in capsys.readouterr().err
    assert run(["alerts", "deliver", "--once", "--try"]) == 2


def test_apprise_that_is_missing_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """All destinations that need it, and how it is installed."""
    service = '[[alerts.destination]]\nname = "{}"\nkind = "apprise"\nsecret_env = "X"\n'
    configure(folder, service.format("pager"), service.format("chat"))
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)

    assert run(["alerts", "deliver", "--once"]) == 2
    said = capsys.readouterr().err
    assert "pager: is of kind `apprise`" in said
    assert "chat: is of kind `apprise`" in said
    assert "pip install 'kata-audit[notify]'" in said


def test_no_store_is_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With exit code 4."""
    configure(folder, FILE)

    assert run(["alerts", "deliver", "--once", "--store", str(folder / "gone")]) == 4
    assert "There is no store here." in capsys.readouterr().err
