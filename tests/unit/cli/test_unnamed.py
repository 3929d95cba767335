"""Why audit events have no actor is said after the records, on stderr."""

from pathlib import Path

import pytest
from tests.evidence import DATA

from kata_audit.cli import main

NODE_LOG, API_LOG = (str(DATA / "captures" / f"k8s-kata.{name}.log.gz") for name in ("containerd", "audit"))


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[str, str]:
    assert main.run(arguments) == 0
    printed = capsys.readouterr()
    return printed.out, printed.err


@pytest.fixture
def store(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    root = str(tmp_path / "s")
    run(capsys, "ingest", "--store", root, "--transport", "host-file", NODE_LOG)
    return root


def test_without_an_audit_log_the_reason_is_said(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    """And records stay data: nothing of it is on stdout."""
    out, err = run(capsys, "search", "action:exec", "--store", store, "--columns", "timestamp,actor", "-o", "csv")

    assert "no audit log of the API server of their time was taken in" in err
    assert "audit log" not in out


def test_with_one_the_rest_is_said_to_fit_no_request(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "ingest", "--store", store, "--transport", "host-file", API_LOG)

    out, err = run(
        capsys,
        "search",
        "action:exec AND component:containerd",
        "--store",
        store,
        "--columns",
        "timestamp,actor",
        "-o",
        "csv",
    )

    assert "alice" in out
    assert "no request in the API server's audit log fits" in err


def test_nothing_is_said_where_no_actor_was_asked_for(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    _, err = run(capsys, "search", "action:exec", "--store", store)

    assert "actor" not in err
