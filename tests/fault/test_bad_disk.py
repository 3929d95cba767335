"""A disk that is full or read-only, under the commands that a person types: a sentence, a next step, and nothing lost."""

import gzip
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.evidence import DATA, evidence
from tests.fault.oracle import examine

from kata_audit.schema.source import Transport
from kata_audit.store.layout import Layout
from kata_audit.store.log import read_checkpoint

CUTS = "[batch]\nmax_records = 250\nmax_bytes = 400000\nmax_age_secs = 0.05\n"
Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of our own, or a skip where we may not mount one."""
    path = tmp_path / "disk"
    path.mkdir()
    if not mount("-t", "tmpfs", "-o", "size=64m", "tmpfs", str(path)):
        pytest.skip("a disk of its own cannot be mounted here; tests/fault/test_failpoints.py refuses each act of the store")
    yield path
    subprocess.run(["umount", str(path)], check=True)


def mount(*arguments: str) -> bool:
    try:
        return subprocess.run(["mount", *arguments], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


@pytest.fixture
def run(tmp_path: Path) -> Command:
    """Run one command line as a process of its own; give its exit code, stdout and stderr."""
    (tmp_path / "config.toml").write_text(CUTS)
    environment = {**os.environ, "KATA_AUDIT_CONFIG": str(tmp_path / "config.toml")}
    environment.pop("KATA_AUDIT_KEYS", None)

    def start(*arguments: str) -> tuple[int, str, str]:
        command = [sys.executable, "-m", "kata_audit.cli.main", *arguments]
        done = subprocess.run(command, capture_output=True, check=False, env=environment, text=True)
        return done.returncode, done.stdout, done.stderr

    return start


def lines_of(text: str) -> list[str]:
    """Tell the parts of an error by the beginnings of its lines."""
    return [line.strip().split(" ", maxsplit=1)[0] for line in text.splitlines()]


# Sizes at which the room ends before the log begins, in the spool, in a segment, and in the log.
@pytest.mark.parametrize("size", ["16k", "80k", "300k", "700k"])
def test_a_full_disk_loses_nothing_and_room_is_all_it_takes(tmp_path: Path, disk: Path, run: Command, size: str) -> None:
    """Wherever the room ends, what was signed stays; with more room the same command line completes."""
    debug = gzip.decompress((DATA / "captures" / "go-debug.journal.json.gz").read_bytes())
    small, large = tmp_path / "small.json", tmp_path / "large.json"
    small.write_bytes(debug)
    large.write_bytes(debug * 7)
    root = disk / "trail"
    ingest = ("--store", str(root), "ingest", str(small), str(large))
    assert mount("-o", f"remount,size={size}", str(disk))

    code, _, err = run(*ingest)

    assert code == 4
    assert re.match(r"kata-audit: The store could not (be opened|append|write) [a-z ,]+: No space left on device\.\n", err)
    assert lines_of(err) == ["kata-audit:", "at:", "next:"]
    assert "Make room on this disk, then run the same command again; nothing that was acknowledged is lost." in err
    signed = read_checkpoint(Layout(root))
    if signed is not None:
        assert run("--store", str(root), "verify", "--deep")[0] == 0
        assert run("--store", str(root), "search", "", "--count")[0] == 0
    assert mount("-o", "remount,size=64m", str(disk))
    code, _, err = run(*ingest)
    assert code == 0
    assert re.fullmatch(r"(\d+ findings: .*\n)?", err)
    held = examine(root)
    told = [raw for raw in held.sealed.values() if b'"event":"detect.finding"' in raw]
    assert len(held.sealed) - len(told) == len(evidence(debug, Transport.JOURNAL_JSON)) * 8
    assert (held.waiting, held.lost) == ({}, set())
    assert run("--store", str(root), "verify", "--deep")[0] == 0


def test_a_read_only_disk_is_read_and_not_written(tmp_path: Path, disk: Path, run: Command) -> None:
    """Searching and verifying need no writing; ingest says what to do, and does it once it can."""
    log = tmp_path / "shim.log"
    log.write_text("one\n")
    root = str(disk / "trail")
    assert run("--store", root, "ingest", str(log))[0] == 0
    with log.open("a") as file:
        file.write("two\n")
    assert mount("-o", "remount,ro", str(disk))

    for store, place in ((root, f"{root}/lock"), (f"{disk}/new", f"{disk}/new")):
        code, out, err = run("--store", store, "ingest", str(log))
        assert (code, out) == (4, "")
        assert "Read-only file system." in err
        assert f"  at: {place}\n" in err
        assert "  next: Mount the disk writable, then run the same command again;" in err
    assert run("--store", root, "search", "", "--count") == (0, "1\n", "")
    assert run("--store", root, "verify", "--deep")[0] == 0
    assert run("--store", root, "status")[0] == 0
    assert mount("-o", "remount,rw", str(disk))
    assert (
        "1 records (bare) taken and sealed, behind the 4 bytes taken before" in run("--store", root, "ingest", str(log))[1]
    )


def test_output_that_finds_no_room_is_an_error(tmp_path: Path) -> None:
    """`parse > file` on a full disk does not end as if all had been written."""
    log = tmp_path / "shim.log"
    log.write_text("one\n")
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "kata_audit.cli.main", "parse", str(log)],
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )

    assert done.returncode == 5
    assert b"kata-audit: No space left on device.\n" in done.stderr
    assert b"  next: Make room for what is written, then run the same command again.\n" in done.stderr
