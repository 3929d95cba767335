"""The packs of rsyslog and syslog-ng as a user has them: checked by their own programs, and sending on by TLS what they read."""

import gzip
import json
import subprocess
import time
from pathlib import Path

import pytest
from tests.evidence import DATA
from tests.fault import journald
from tests.loopback import certificate
from tests.servers.shippers import Place, put, read_entries_from_file, without_sending, write_rsyslog, write_syslog_ng
from tests.servers.syslog_servers import MISSING, can_run, program
from tests.syslog_double import SyslogDouble

from kata_audit.integrations.pack import Value, fill_in
from kata_audit.wire.syslog import header_of
from kata_audit.wiring import integration_file, integration_packs

pytestmark = pytest.mark.skipif(not can_run(), reason=MISSING)
CHECKS = {"rsyslog": ("rsyslogd", ["-N1"]), "syslog-ng": ("syslog-ng", ["-s", "--no-caps"])}
WRITE = {"rsyslog": write_rsyslog, "syslog-ng": write_syslog_ng}
each = pytest.mark.parametrize("name", CHECKS)


@each
def test_its_own_program_takes_it(name: str, tmp_path: Path) -> None:
    """Whole, with the usual places and with others; nothing is said against it."""
    pack, (file, options), public = integration_packs()[name], CHECKS[name], certificate(tmp_path, "localhost")[0]
    others: dict[str, Value] = {"host_files": ("/a.log", "/b.log"), "journal_transports": ("kernel",)}
    if name == "rsyslog":
        others["pod_files"] = ("/a/*/b.log", "/c.log")
    for values in ({}, others):
        here: dict[str, Value] = {"ca_file": str(public), "state_folder": str(tmp_path), **values}
        (tmp_path / "kata.conf").write_text(fill_in(pack, integration_file(pack, "kata.conf"), here))
        called = program(file)
        command = [*called.command, *options, "-f", str(tmp_path / "kata.conf")]
        done = subprocess.run(command, env=called.environment, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (0, "")
        assert "error" not in done.stderr.lower()
        assert "warning" not in done.stderr.lower()


@each
def test_what_it_reads_comes_to_a_receiver(name: str, tmp_path: Path) -> None:
    """Over TLS: a line as it stood, with how it came; an entry of the journal whole. What a pod of others prints stays there."""
    public, context = certificate(tmp_path, "localhost")
    entries = gzip.decompress((DATA / "captures" / "go-info.journal.json.gz").read_bytes()).splitlines()[:200]
    texts = ['time="x" level=info msg="a \\"quoted\\" ] text" sandbox=s', "plain\ttext  ", "änd password=hunter2hunter2"]
    double = SyslogDouble(context)
    with double.running() as port:
        values = {"syslog_host": "localhost", "syslog_port": str(port), "ca_file": str(public)}
        running = WRITE[name](tmp_path, **values)
        read_entries_from_file(name, tmp_path)
        put(tmp_path, Place.JOURNAL, entries)
        put(tmp_path, Place.HOST, [text.encode() for text in texts])
        put(tmp_path, Place.POD, [b"2026-11-23T06:27:19.5Z stderr F ours"])
        other = tmp_path / "pods" / "default_web_0" / "web"
        other.mkdir(parents=True)
        (other / "0.log").write_text("2026-11-23T06:27:19.5Z stderr F theirs\n")
        process = subprocess.Popen([str(part) for part in running.command], env=running.environment)
        try:
            double.wait_for(len(entries) + len(texts) + 1)
        finally:
            process.terminate()
            process.wait()

    found: dict[str, list[bytes]] = {}
    for message in double.messages:
        assert message.facility is not None
        found.setdefault(header_of(message)["kata@32473.transport"], []).append(message.text)
    assert found["host-file"] == [text.replace("hunter2hunter2", "*masked*").encode() for text in texts]
    assert found["cri"] == [b"2026-11-23T06:27:19.5Z stderr F ours"]
    paths = {header_of(one).get("kata@32473.path") for one in double.messages if one.text in found["host-file"]}
    assert paths == {f"{tmp_path}/host_files.log"}
    read = [json.loads(text) for text in found["journal-json"]]
    assert [one["_PID"] for one in read] == [json.loads(entry)["_PID"] for entry in entries]
    assert not any("log" in one or "kata_transport" in one for one in read)
    kept = [(one["MESSAGE"], json.loads(entry)["MESSAGE"]) for one, entry in zip(read, entries, strict=True)]
    assert sum(ours == was for ours, was in kept) >= len(entries) - 4


_IN_JOURNAL = 'mount --bind "$0/log" /var/log && mount --bind "$0/machine-id" /etc/machine-id && exec "$@"'


@pytest.mark.skipif(not journald.can_run(), reason="systemd-journald cannot run here; `make servers` installs it")
@each
def test_it_follows_a_real_journal_and_goes_on_where_it_stopped(name: str, tmp_path: Path) -> None:
    """Each entry once and in order, those among them that came while it was down."""
    theirs, ours = tmp_path / "journald", tmp_path / "pack"
    theirs.mkdir()
    ours.mkdir()
    running = WRITE[name](ours, ca_file="/dev/null", syslog_host="127.0.0.1", journal_transports="kata-none")
    without_sending(name, ours)
    command = ["unshare", "--mount", "sh", "-c", _IN_JOURNAL, str(theirs), *(str(part) for part in running.command)]

    def texts() -> list[str]:
        out = ours / "out.json"
        lines = out.read_text().rpartition("\n")[0].splitlines() if out.exists() else []
        return [json.loads(line)["kata_message"] for line in lines]

    def run_until(count: int) -> None:
        with subprocess.Popen(command, env=running.environment) as process:
            until = time.monotonic() + 60
            while sum(text.startswith("n ") for text in texts()) < count:
                assert process.poll() is None
                assert time.monotonic() < until, f"{len(texts())} came"
                time.sleep(0.1)
            process.terminate()

    with journald.Journald(theirs) as journal:
        journal.send(0, 300)
        run_until(300)
        journal.send(300, 500)
        run_until(500)

    assert [text for text in texts() if text.startswith("n ")] == [f"n {number}" for number in range(500)]
