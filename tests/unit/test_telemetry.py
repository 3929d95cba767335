"""systemd and Prometheus are told in their own forms, or nobody is."""

import socket
from pathlib import Path

import pytest

from kata_audit.telemetry import notify, watchdog_secs, write_metrics


def test_systemd_is_told_where_it_listens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))

        assert notify("READY=1")
        assert listening.recv(100) == b"READY=1"
    assert not notify("READY=1"), "nobody listens any more"
    for address in ("", "relative", str(tmp_path / "none")):
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        assert not notify("READY=1")


def test_an_abstract_socket_is_one_too(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind("\0kata-audit-test-notify")
        monkeypatch.setenv("NOTIFY_SOCKET", "@kata-audit-test-notify")

        assert notify("WATCHDOG=1")
        assert listening.recv(100) == b"WATCHDOG=1"


@pytest.mark.parametrize(("said", "secs"), [("", None), ("0", None), ("x", None), ("30000000", 15.0)])
def test_the_watchdog_is_fed_twice_as_often_as_it_looks(
    said: str, secs: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", said)

    assert watchdog_secs() == secs


def test_metrics_are_whole_or_not_there(tmp_path: Path) -> None:
    path = tmp_path / "kata-audit.prom"
    write_metrics(path, {"a_total": ("counter", "So many.", 3), "b_seconds": ("gauge", "When.", 1.5)})

    assert path.read_text() == (
        "# HELP a_total So many.\n# TYPE a_total counter\na_total 3\n"
        "# HELP b_seconds When.\n# TYPE b_seconds gauge\nb_seconds 1.500\n"
    )
    assert [one.name for one in tmp_path.iterdir()] == ["kata-audit.prom"]
    (tmp_path / ".kata-audit.prom.tmp").symlink_to(tmp_path / "victim")
    write_metrics(path, {})
    assert [one.name for one in tmp_path.iterdir()] == ["kata-audit.prom"], "a link that lay in wait is not followed"
    with pytest.raises(OSError, match="No such file"):
        write_metrics(tmp_path / "none" / "x.prom", {})
