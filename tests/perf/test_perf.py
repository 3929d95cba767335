"""The measuring tools measure: they run on a little, and their arithmetic is right. Nothing here is timed."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.perf.bench import table
from tests.perf.volume import Memory, resident_mib

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
