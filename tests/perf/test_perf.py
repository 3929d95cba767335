"""The measuring tools measure: they run on a little, and their arithmetic is right. Nothing here is timed."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.perf.bench import table
from tests.perf.outage import Arriving, Spooled, syslog_line
from tests.perf.volume import Memory, resident_mib
from tests.simulator import Node
from tests.unit.store.rows import evidence

from kata_audit.clock import ManualClock
from kata_audit.store.writer import open_writer

HERE = Path(__file__).parent
GROWTH = re.compile(r"growth from the second to the last ([+-][0-9.]+)%")


def test_the_table_gives_the_median_and_the_ratio_of_each_round() -> None:
    """A round that was slow for all does not change the ratio."""
    drawn = table({"orjson.loads alone": [1.0, 2.0, 10.0], "half as fast": [2.0, 4.0, 20.0]}, records=1_000, size=4_000_000)

    assert drawn.splitlines()[2].split() == ["half", "as", "fast", "250", "1.0", "-50%", "+400%", "0.500"]


def test_growth_leaves_the_warming_up_out() -> None:
    assert Memory([10.0, 100.0, 100.0, 110.0]).growth == pytest.approx(0.1)
    assert Memory([10.0, 100.0, 40.0, 100.0]).growth == 0


def test_resident_memory_is_read_and_an_ended_process_has_none() -> None:
    mine = resident_mib(os.getpid())
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait()

    assert mine is not None
    assert mine > 10
    assert resident_mib(ended.pid) is None


def test_the_bench_runs_every_variant() -> None:
    """A signature that moved would show here, not months later."""
    done = subprocess.run(
        [sys.executable, HERE / "bench.py", "--simulate", "--records", "300", "--rounds", "1"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert "ingest: bytes to sealed" in done.stdout


def test_the_bench_of_detection_runs_every_variant() -> None:
    """And both engines find the same rows."""
    little = ("--simulate", "--records", "400", "--rounds", "1", "--rules", "100", "120", "--keys", "500")
    done = subprocess.run([sys.executable, HERE / "detecting.py", *little], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert done.stdout.count("in one alone 0 ") == 2
    assert "the same rows: True" in done.stdout
    assert "500 groups in" in done.stdout


@pytest.mark.torture
def test_memory_is_flat_over_ten_million_records(tmp_path: Path) -> None:
    """The last quarter needs no more memory than the second did, but for a tenth."""
    done = subprocess.run(
        [sys.executable, HERE / "volume.py", "--folder", str(tmp_path)], capture_output=True, text=True, check=False
    )
    print(done.stdout)

    assert done.returncode == 0, done.stderr
    growth = GROWTH.search(done.stdout)
    assert growth is not None
    assert float(growth[1]) < 10


def test_the_load_on_a_collector_is_measured() -> None:
    """Every record that was written is durable."""
    command = [sys.executable, str(HERE / "collecting.py"), "--rate", "500", "--secs", "2"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert re.match(r"(\d[\d,]*) records sent, \1 durable", done.stdout)


def test_what_an_outage_delays_is_seen_from_the_outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A record is timed where its number says so; each one is counted, also over a file that is thrown away meanwhile."""
    lines = [syslog_line(entry)[1] for entry in Node(7).journal_json(150)]
    with open_writer(tmp_path / "store", clock=ManualClock(), node="lab/outage") as writer:
        writer.append(evidence(lines))
        spooled = Spooled(tmp_path / "store" / "spool")
        assert len(spooled.look()) == 2
        assert spooled.look() == []
    path = tmp_path / "near"
    arriving = Arriving(path, spooled)
    monkeypatch.setattr("tests.perf.outage._KEEP_BYTES", 0)

    path.write_text("".join(f'{{"log.record.uid":"a/b/{seq}"}}\n' for seq in range(120)) + '{"log.record.uid":"a/b/120')
    assert len(arriving.look()) == 2
    with path.open("a") as file:
        assert arriving.look() == []
        file.write('"}\n')
    assert arriving.look() == []
    path.write_text('{"log.record.uid":"a/b/7"}\n')
    arriving.look()
    arriving.close()
    assert (arriving.newest, bytes(arriving.counts[:122])) == (121, bytes([1] * 7 + [2] + [1] * 113 + [0]))


def test_an_entry_of_the_journal_is_written_as_syslog_does() -> None:
    entry = b'{"__REALTIME_TIMESTAMP":"1795631134191964","SYSLOG_IDENTIFIER":"kata","_PID":"7","MESSAGE":"%s"}'

    when = b"2026-11-25T18:25:34.191964+00:00"
    assert syslog_line(entry % b"text") == (1795631134191964, when + b" worker-7 kata[7]: text\n")
    assert syslog_line(entry % b"two\\nlines") == (1795631134191964, b"")


def test_what_receivers_take_is_measured() -> None:
    """Each kind takes what it is sent, and answers for it."""
    command = [sys.executable, str(HERE / "receiving.py"), "--records", "300", "--together", "100"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()[1:]] == ["file", "http", "otlp", "forward", "syslog"]
