"""`collect` as a process of its own: it follows, tells, stops when it is told to, and loads no engine that it does not need."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kata_audit.cli import main

COMMAND = [sys.executable, "-m", "kata_audit.cli.main", "collect"]
LINES = "".join(
    f'time="2026-11-23T06:07:28.9Z" level=info msg="n {number}" name=containerd-shim-v2\n' for number in range(50)
)


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A configuration that follows one pattern of files."""
    (tmp_path / "config.toml").write_text(
        'store = "store"\nnode = "lab/worker"\nmetrics_file = "metrics.prom"\n'
        '[[file]]\npath = "logs/*.log"\ntransport = "host-file"\n'
    )
    (tmp_path / "logs").mkdir()
    return {**os.environ, "KATA_AUDIT_CONFIG": str(tmp_path / "config.toml")}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_when_it_is_told_to_and_all_is_sealed(number: int, tmp_path: Path, environment: dict[str, str]) -> None:
    """The numbers for Prometheus are written to the end, and `search` finds what was followed."""
    (tmp_path / "logs" / "a.log").write_text(LINES)
    with subprocess.Popen(COMMAND, env=environment, stderr=subprocess.PIPE, text=True) as process:
        until = time.monotonic() + 60
        while not (tmp_path / "metrics.prom").exists() and time.monotonic() < until:
            time.sleep(0.05)
        process.send_signal(number)
        _, said = process.communicate(timeout=60)

    assert process.returncode == 0
    assert said.splitlines()[-1] == "52 records are durable and sealed."
    assert "kata_audit_collected_records_total 52\n" in (tmp_path / "metrics.prom").read_text()
    done = subprocess.run(
        [*COMMAND[:-1], "--store", str(tmp_path / "store"), "search", "component:kata-audit", "-o", "jsonl", "--columns", "event_name"],
        env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == '{"event_name":"collect.started"}\n{"event_name":"collect.stopped"}\n'


def test_a_second_one_is_refused(tmp_path: Path, environment: dict[str, str]) -> None:
    with subprocess.Popen(COMMAND, env=environment, stderr=subprocess.DEVNULL) as process:
        until = time.monotonic() + 60
        while not (tmp_path / "metrics.prom").exists() and time.monotonic() < until:
            time.sleep(0.05)
        second = subprocess.run(COMMAND, env=environment, capture_output=True, text=True, check=False)
        process.terminate()

    assert second.returncode == 4
    assert "Another process is writing to this store" in second.stderr


def test_metrics_that_cannot_be_written_are_a_mistake_with_its_place(tmp_path: Path, environment: dict[str, str]) -> None:
    done = subprocess.run(
        [*COMMAND, "--metrics-file", str(tmp_path / "none" / "x.prom")],
        env=environment, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip

    assert done.returncode == 2
    assert str(tmp_path / "none" / "x.prom") in done.stderr


def test_metrics_that_fail_later_stop_nothing(tmp_path: Path, environment: dict[str, str]) -> None:
    """What is watched over goes on where the watching breaks."""
    metrics = tmp_path / "m" / "x.prom"
    metrics.parent.mkdir()
    with subprocess.Popen([*COMMAND, "--metrics-file", str(metrics)], env=environment, stderr=subprocess.PIPE) as process:
        until = time.monotonic() + 60
        while not metrics.exists() and time.monotonic() < until:
            time.sleep(0.05)
        metrics.unlink()
        metrics.parent.rmdir()
        (tmp_path / "logs" / "a.log").write_text(LINES)
        time.sleep(6)
        process.terminate()
        _, said = process.communicate(timeout=60)

    assert (process.returncode, said.splitlines()[-1]) == (0, b"52 records are durable and sealed.")


def test_no_engine_of_the_reader_is_loaded(tmp_path: Path, environment: dict[str, str]) -> None:
    """A collector is a guest on its node."""
    (tmp_path / "logs" / "a.log").write_text(LINES)
    text = (
        "import sys; from pathlib import Path; from kata_audit.config import load_config; from kata_audit.wiring import collecting\n"
        f"config = load_config(Path({str(tmp_path / 'config.toml')!r}))\n"
        "with collecting(config.store, config) as collector:\n"
        "    print(collector.step()); collector.finish()\n"
        "print([name for name in ('duckdb', 'sqlite3', 'fastapi') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True, env=environment)

    assert done.stdout == "51\n[]\n"


def test_the_configuration_is_checked_as_a_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Journals and files are lists of tables, and every mistake has its place."""
    path = tmp_path / "config.toml"
    path.write_text('metrics_file = 7\n[[journal]]\ndirectory = ""\nnamespac = "x"\n[[journal]]\nnamespace = "a b"\n')

    assert main.run(["config", "check", str(path)]) == 2
    said = capsys.readouterr().err
    assert [line for line in (f"{path}:1:1", f"{path}:3:1", f"{path}:4:1", f"{path}:6:1") if line not in said] == []
    assert "did you mean `namespace`" in said
