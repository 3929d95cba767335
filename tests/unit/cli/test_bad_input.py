"""Input as the worst person would send it: every byte is a record, memory is bounded, and an error is a sentence."""

import base64
import csv
import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.unit.cli.test_terminal import HOSTILE, is_visible

from kata_audit.cli import main
from kata_audit.parse.split import MAX_FRAME

METER = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024, file=sys.stderr)
sys.exit(code)
"""
"""Runs a command and says how many MiB it took at most; a process of its own, because a child begins with its parent's peak."""
MOST_MIB = 400
PROGRAM = [sys.executable, "-m", "kata_audit.cli.main"]
SANDBOX = "5f" * 32
ODD = {
    "invalid UTF-8": b"\xff\xfe bad \x80\n",
    "NUL": b"nul\x00in\n",
    "CR": b"cr\rin\r\n",
    "NEL": b"nel\xc2\x85in\n",
    "U+2028": "line\u2028paragraph\u2029in\n".encode(),
    "lone surrogate": b"lone \xed\xa0\x80 surrogate\n",
    "escaped lone surrogate": b'{"msg":"\\ud800","level":"INFO","ts":"2026-11-23T06:00:00Z","source":"agent","name":"kata-agent"}\n',
    "duplicate keys of JSON": b'{"msg":"a","msg":"b","level":"INFO","ts":"2026-11-23T06:00:00Z","ts":"2027-11-23T06:00:00Z"}\n',
    "duplicate keys of logfmt": b'time="2026-11-23T06:00:00Z" level=info level=error msg=x msg=y name=kata-runtime pid=1\n',
    "empty": b"\n",
    "only CR": b"\r\n",
    "brackets": b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}\n",
    "open brackets": b"[" * 100_000 + b"\n",
    "braces": b'{"a":' * 40_000 + b"1" + b"}" * 40_000 + b"\n",
    "after them": b'time="2026-11-23T06:00:00Z" level=info msg="understood again" name=kata-runtime pid=1\n',
    "no line end": b"end",
}


@pytest.fixture(autouse=True)
def _own_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "config.toml").touch()
    monkeypatch.setenv("KATA_AUDIT_STORE", str(tmp_path / "trail"))
    monkeypatch.setenv("KATA_AUDIT_CONFIG", str(tmp_path / "config.toml"))
    monkeypatch.delenv("KATA_AUDIT_KEYS", raising=False)


class Said(NamedTuple):
    """How a command line ended."""

    code: int
    out: str
    err: str


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """Run one command line in this process."""

    def start(*arguments: str) -> Said:
        code = main.run(arguments)
        said = capsys.readouterr()
        return Said(code, said.out, said.err)

    return start


def process(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Run one command line as a process of its own, and let it end as it does."""
    return subprocess.run([*PROGRAM, *arguments], capture_output=True, check=False)


def raw_of(row: dict[str, str]) -> bytes:
    return base64.b64decode(row["raw_b64"]) if "raw_b64" in row else row["raw"].encode()


def assert_printable(text: str) -> None:
    """See that a text is visible characters and line ends and nothing else."""
    assert all(is_visible(line) for line in text.split("\n"))


def measured(mebibytes: int, *arguments: str) -> tuple[int, int]:
    """Send one endless line to a command; return how many lines it printed and how many MiB it took at most."""
    command = [sys.executable, "-c", METER, *PROGRAM, *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stderr is not None
        feeding = threading.Thread(target=_feed, args=(child.stdin, mebibytes))
        feeding.start()
        printed = sum(1 for _ in child.stdout)
        feeding.join()
        peak = int(child.stderr.read())
    assert child.returncode == 0
    return printed, peak


def _feed(pipe: Any, mebibytes: int) -> None:
    data = b"x" * (1 << 20)
    for _ in range(mebibytes):
        pipe.write(data)
    pipe.close()


@pytest.mark.parametrize("mebibytes", [64, pytest.param(1024, marks=pytest.mark.torture)])
def test_a_line_without_end_is_records_in_bounded_memory(run: Callable[..., Said], mebibytes: int) -> None:
    """What a guest prints without a line end costs disk, not memory; it compresses to nothing, which is the worst case."""
    frames = mebibytes * (1 << 20) // MAX_FRAME
    parsed, parse_peak = measured(mebibytes, "parse", "-", "--columns", "cursor")
    _, ingest_peak = measured(mebibytes, "ingest", "-")
    _, verify_peak = measured(0, "verify", "--deep")
    peaks = {"parse": parse_peak, "ingest": ingest_peak, "verify": verify_peak}

    assert parsed == frames
    assert run("search", "", "--count").out.splitlines()[-1] == str(frames)
    assert max(peaks.values()) < MOST_MIB, peaks


def test_every_odd_byte_is_kept_and_none_is_sent(run: Callable[..., Said], tmp_path: Path) -> None:
    """Records hold the input's bytes exactly, through `parse` as through the store, and no form prints one raw."""
    log = tmp_path / "odd.log"
    log.write_bytes(b"".join(ODD.values()))
    rows = [json.loads(line) for line in run("parse", str(log)).out.splitlines()]
    assert run("ingest", str(log))[::2] == (0, "")
    found = [json.loads(line) for line in run("search", "", "-o", "jsonl").out.splitlines()]
    found.sort(key=lambda row: int(row["seq"]))

    assert [row["seq"] for row in found] == list(range(len(found)))
    assert b"".join(map(raw_of, rows)) == b"".join(map(raw_of, found)) == log.read_bytes()
    assert [row["parse_status"] for row in rows] == [row["parse_status"] for row in found]
    frames = [data[at : at + MAX_FRAME] for data in ODD.values() for at in range(0, len(data), MAX_FRAME)]
    assert list(map(raw_of, rows)) == frames
    assert rows[-2]["body"] == "understood again"
    for form in ("text", "json", "jsonl", "csv"):
        assert_printable(run("search", "", "-o", form).out)
        assert_printable(run("parse", str(log), "-o", form).out)
    assert_printable(process("parse", str(log)).stdout.decode())
    assert run("verify", "--deep").code == 0


def shim(stamp: str, text: str, **fields: object) -> bytes:
    """Write a journal entry of the shim, with the pod's sandbox."""
    message = f'time="{stamp}" level=warning msg={json.dumps(text)} name=containerd-shim-v2 pid=7 sandbox={SANDBOX} source=x'
    return entry(message, **fields)


def entry(message: object, **fields: object) -> bytes:
    fixed = {"__CURSOR": "s=1", "__REALTIME_TIMESTAMP": "1795413600000000", "_BOOT_ID": "b" * 32, "_PID": "7"}
    return json.dumps(fixed | {"SYSLOG_IDENTIFIER": "kata", "MESSAGE": message} | fields).encode() + b"\n"


def test_nothing_hostile_reaches_a_terminal(run: Callable[..., Said], tmp_path: Path) -> None:
    """Escapes, pictures, turned and hidden text and markup, in any field: every form of every command shows them."""
    log = tmp_path / "node.json"
    corpus = [
        *HOSTILE.values(),
        "<script>alert(1)</script>\x1b[2J",
        "\x1b]8;;file:///etc/passwd\x1b\\x",
        "\x9bPq#0\x9c\x9b2J",
    ]
    lines = []
    for text in corpus:
        lines.append(shim("2026-11-23T06:00:00Z", text))
        lines.append(shim("2026-11-23T06:00:00Z", "guest", SYSLOG_IDENTIFIER=text, EXTRA=text))
        lines.append(entry(list(f"raw {text}".encode("latin-1", "replace"))))
        guest = json.dumps({"msg": text, "level": "INFO", "ts": text, "source": "agent", "name": text, text: text})
        lines.append(
            shim("2026-11-23T06:00:00Z", "reading guest console").replace(b"source=x", b"vmconsole=" + guest.encode())
        )
        pod = f'RunPodSandbox for name:"{text}" uid:"u" namespace:"{text}" returns sandbox id "{SANDBOX}"'
        lines.append(
            entry(f'time="2026-11-23T06:00:02.0Z" level=info msg={json.dumps(pod)}', SYSLOG_IDENTIFIER="containerd")
        )
    log.write_bytes(b"".join(lines))
    assert run("ingest", str(log))[::2] == (0, "")

    for form in ("text", "json", "jsonl", "csv"):
        for verb in (("parse", str(log)), ("search", ""), ("timeline", SANDBOX[:8], "--debug-lines")):
            said = run(*verb, "-o", form)
            assert said.code == 0
            assert said.out
            assert_printable(said.out + said.err)
    assert_printable(process("search", "").stdout.decode())
    others: list[tuple[str, ...]] = [
        ("status",),
        ("parse", "--stats", str(log)),
        ("search", corpus[0]),
        ("timeline", corpus[1]),
    ]
    for arguments in others:
        said = run(*arguments)
        assert_printable(said.out + said.err)


def test_clocks_far_off_are_times_like_others(run: Callable[..., Said], tmp_path: Path) -> None:
    """A guest or a host with a wrong clock is found at the time it states, before 1970 and after 32 bits end."""
    log = tmp_path / "node.json"
    stamps = {"1969": "1969-12-31T23:59:58.5Z", "now": "2026-11-23T06:00:00Z", "2106": "2106-02-07T06:28:17Z"}
    log.write_bytes(b"".join(shim(stamp, text) for text, stamp in stamps.items()) + shim("9999-12-31T23:59:59Z", "beyond"))
    assert run("ingest", str(log)).code == 0

    def bodies(*arguments: str) -> list[list[str]]:
        asked = (run(*verb, *arguments, "-o", "csv", "--columns", "body") for verb in (("search", ""), ("timeline", "5f5f")))
        return [[row[0] for row in csv.reader(io.StringIO(said.out))][1:] for said in asked]

    assert bodies() == [["1969", "now", "beyond", "2106"]] * 2
    assert bodies("--until", "1970-01-01") == [["1969"]] * 2
    assert bodies("--since", "@-2", "--until", "@0") == [["1969"]] * 2
    assert bodies("--since", "2106-02-07T06:28:16Z") == [["2106"]] * 2
    assert bodies("--since", "9999-01-01") == bodies("--until", "0001-01-01") == [[]] * 2
    assert "1969-12-31T23:59:58.500000000Z" in run("search", "").out
    story = run("timeline", "5f5f").out
    assert "1969-12-31 UTC" in story
    assert "2106-02-07 UTC" in story
    for wrong in ("@nan", "@inf", "2026-13-01", "tomorrow ago"):
        said = run("search", "", "--since", wrong)
        assert said.code == 2
        assert f"'{wrong}' is no time; write" in said.err


@pytest.mark.parametrize("verb", ["parse", "ingest"])
def test_a_folder_is_no_file(run: Callable[..., Said], tmp_path: Path, verb: str) -> None:
    said = run(verb, str(tmp_path))

    assert said == (
        4,
        "",
        f"kata-audit: An input is a directory, not a file.\n  at: {tmp_path}\n  next: Name the files in it.\n",
    )


def test_the_store_is_no_file(run: Callable[..., Said], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x\n")
    for arguments in (("ingest", str(tmp_path / "file")), ("search", ""), ("status",)):
        said = run("--store", str(tmp_path / "file"), *arguments)
        assert said.code == 4
        assert f"  at: {tmp_path / 'file'}" in said.err
        assert "  next: " in said.err


def test_a_closed_pipe_ends_quietly(run: Callable[..., Said], tmp_path: Path) -> None:
    """`search '' | head -1`: whoever closed the pipe has what they wanted; nothing is said and the end is good."""
    log = tmp_path / "many.log"
    log.write_bytes(b"".join(b"line %06d\n" % number for number in range(20_000)))
    assert run("ingest", str(log)).code == 0
    for arguments in (("search", "", "--limit", "0"), ("search", "", "--limit", "0", "-o", "jsonl"), ("parse", str(log))):
        with subprocess.Popen([*PROGRAM, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
            assert child.stdout is not None
            assert child.stderr is not None
            assert child.stdout.readline()
            child.stdout.close()
            assert child.stderr.read() == b""
        assert child.returncode == 0


def test_a_store_of_another_version_is_left_alone(run: Callable[..., Said], tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("one\n")
    assert run("ingest", str(log)).code == 0
    mark = tmp_path / "trail" / "format"
    mark.write_text("kata-audit store 2\n")
    before = {path: path.read_bytes() for path in (tmp_path / "trail").rglob("*") if path.is_file()}

    sentence = "kata-audit: The store was written by another version of the format."
    for arguments in (
        ("ingest", str(log)),
        ("search", ""),
        ("timeline", "x"),
        ("status",),
        ("verify",),
        ("store", "compact"),
    ):
        said = run(*arguments)
        assert (said.code, said.out) == (4, "")
        assert said.err == f"{sentence}\n  at: {mark}\n  next: Open it with the version of kata-audit that wrote it.\n"
    assert {path: path.read_bytes() for path in (tmp_path / "trail").rglob("*") if path.is_file()} == before


def wait_for(done: Callable[[], object]) -> None:
    """Wait until something is there; the test's own time limit ends it else."""
    while not done():
        time.sleep(0.005)


def test_a_second_writer_is_refused_with_a_hint(run: Callable[..., Said], tmp_path: Path) -> None:
    """The first goes on undisturbed, and looking needs no leave."""
    log = tmp_path / "a.log"
    log.write_text("one\n")
    command = [*PROGRAM, "ingest", str(log), "-"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        wait_for(lambda: list((tmp_path / "trail" / "segments").rglob("*.parquet")))
        said = run("ingest", str(log))
        seen = run("search", "", "--count")
        out, _ = child.communicate(b"two\n")

    assert said.code == 4
    assert said.err.startswith(
        f"kata-audit: Another process is writing to this store.\n  at: {tmp_path / 'trail' / 'lock'}\n  next: Stop the running "
    )
    assert seen.code == 0
    assert (child.returncode, len(out.splitlines())) == (0, 2)
    assert run("search", "", "--count").out == "2\n"


def test_ctrl_c_loses_nothing_and_the_same_command_goes_on(run: Callable[..., Said], tmp_path: Path) -> None:
    """Interrupted between its first seal and its last: exit 130, one sentence, and the next run takes the rest once."""
    (tmp_path / "config.toml").write_text("[batch]\nmax_records = 1000\n")
    log = tmp_path / "many.log"
    log.write_bytes(b"".join(b"line %06d\n" % number for number in range(60_000)))
    with subprocess.Popen([*PROGRAM, "ingest", str(log)], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        wait_for(lambda: len(list((tmp_path / "trail" / "segments").rglob("*.parquet"))) >= 2)
        child.send_signal(signal.SIGINT)
        out, err = child.communicate()

    assert (child.returncode, out, err) == (130, b"", b"kata-audit: interrupted; what was acknowledged is kept\n")
    assert run("verify", "--deep").code == 0
    assert run("ingest", str(log)).code == 0
    rows = [
        json.loads(row) for row in run("search", "", "--limit", "0", "-o", "jsonl", "--columns", "seq,raw").out.splitlines()
    ]
    assert [row["raw"] for row in sorted(rows, key=lambda row: int(row["seq"]))] == [
        f"line {n:06d}\n" for n in range(60_000)
    ]
    assert run("verify", "--deep").code == 0


def test_ctrl_c_inside_a_library_is_no_defect(run: Callable[..., Said], capsys: pytest.CaptureFixture[str]) -> None:
    """A library in C that swallows the interruption ends the command by another error; what was pressed is still said."""
    keyboard = main.Keyboard()
    keyboard.pressed = True

    assert run("search", "").code == 4
    assert main.run(("search", ""), keyboard) == 130
    assert capsys.readouterr().err == "kata-audit: interrupted; what was acknowledged is kept\n"


@pytest.mark.torture
def test_ctrl_c_at_any_moment_is_never_a_defect(tmp_path: Path) -> None:
    """Interrupted anywhere between the import of Arrow and the end, the command says so or has ended well."""
    log = tmp_path / "many.log"
    log.write_bytes(b"".join(b"line %06d\n" % number for number in range(20_000)))
    (tmp_path / "config.toml").write_text("[batch]\nmax_records = 2000\n")
    chance = random.Random(130)
    ends: Counter[int] = Counter()
    for number in range(100):
        if number % 4 == 0:
            shutil.rmtree(tmp_path / "trail", ignore_errors=True)
        with subprocess.Popen([*PROGRAM, "ingest", str(log)], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
            time.sleep(chance.uniform(0.02, 1.2))
            child.send_signal(signal.SIGINT)
            _, err = child.communicate()
        ends[child.returncode] += 1
        # Before any of our code runs, the interpreter itself dies of the signal.
        expected = {130: b"kata-audit: interrupted; what was acknowledged is kept\n", 0: b""}
        assert child.returncode == -signal.SIGINT or err == expected[child.returncode]
    print(dict(ends))


def test_a_file_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    """Root may read everything: the command then runs without that leave."""
    without = [] if os.geteuid() else ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
    if without and shutil.which("setpriv") is None:
        pytest.skip("root reads every file, and setpriv, which takes that leave away, is not installed")
    log = tmp_path / "secret.log"
    log.write_text("one\n")
    log.chmod(0)
    for verb in ("parse", "ingest"):
        done = subprocess.run([*without, *PROGRAM, verb, str(log)], capture_output=True, check=False, text=True)

        assert (done.returncode, done.stdout) == (5, "")
        assert done.stderr.startswith(f"kata-audit: The input cannot be opened: Permission denied.\n  at: {log}\n  next: ")
