"""Real syslog servers of a test's own, on loopback, each with its own folder: rsyslog and syslog-ng."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.loopback import closed_port

from kata_audit.wire.syslog import FrameDecoder, Framing, Message, decode_message

_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
_FOLDER = _CACHE / "kata-audit" / "servers" / "syslog"
_RSYSLOG = """
global(workDirectory="{folder}" maxMessageSize="8k" shutdown.queue.doublesize="off"
    DefaultNetstreamDriverCAFile="{folder}/ca.pem"
    DefaultNetstreamDriverCertFile="{folder}/ca.pem"
    DefaultNetstreamDriverKeyFile="{folder}/server.pem")
main_queue(queue.type="LinkedList" queue.filename="main" queue.saveOnShutdown="on" queue.timeoutShutdown="10000")
module(load="imtcp" StreamDriver.Name="{driver}" StreamDriver.Mode="1" {auth})
input(type="imtcp" address="127.0.0.1" port="{port}" ruleset="kata")
ruleset(name="kata") {{ action(type="omfile" file="{folder}/out.log" template="RSYSLOG_SyslogProtocol23Format") }}
"""
_SYSLOG_NG = """@version: 3.38
options {{ keep-hostname(yes); stats-freq(0); frac-digits(6); }};
source s_kata {{ syslog(ip("127.0.0.1") port({port}) transport("tls")
    tls(key-file("{folder}/server.pem") cert-file("{folder}/ca.pem") ca-file("{folder}/ca.pem") peer-verify({auth}))); }};
destination d_kata {{ file("{folder}/out.log" flags(syslog-protocol)); }};
log {{ source(s_kata); destination(d_kata); flags(flow-control); }};
"""
MISSING = "rsyslog and syslog-ng are not here; `make servers` fetches them"


class Program(NamedTuple):
    """A program of the cache's folder or of the PATH: how it is called, and with what environment."""

    command: Sequence[str]
    environment: Mapping[str, str]


def program_file(name: str) -> Path:
    """Say where a program is, or where `make servers` would put it."""
    here = _FOLDER / "usr" / "sbin" / name
    known = None if here.exists() else shutil.which(name)
    return here if known is None else Path(known)


def can_run() -> bool:
    """Say whether both are here."""
    return program_file("rsyslogd").exists() and program_file("syslog-ng").exists()


def program(name: str) -> Program:
    """Give how `rsyslogd` or `syslog-ng` is called, its modules included."""
    path = program_file(name)
    assert path.exists(), MISSING
    if not path.is_relative_to(_FOLDER):
        return Program([str(path)], os.environ)
    folders = [*_FOLDER.glob("usr/lib/syslog-ng"), *_FOLDER.glob("usr/lib/*-linux-*"), *_FOLDER.glob("lib/*-linux-*")]
    modules = _FOLDER.glob("usr/lib/syslog-ng/3.*" if name == "syslog-ng" else "usr/lib/*/rsyslog")
    option = "--module-path" if name == "syslog-ng" else "-M"
    libraries = ":".join(str(folder) for folder in folders)
    return Program([str(path), option, str(next(modules))], {**os.environ, "LD_LIBRARY_PATH": libraries})


class Server(NamedTuple):
    """What a server is started with; its folder holds `ca.pem` and `server.pem`, and gets its state and `out.log`."""

    kind: str
    """`rsyslog-gtls`, `rsyslog-ossl` or `syslog-ng`."""
    folder: Path
    port: int
    asks: bool = False
    """Whether it asks for a certificate, one that `ca.pem` has signed."""

    def messages(self) -> list[Message]:
        """List what it wrote."""
        out = self.folder / "out.log"
        decoder = FrameDecoder(Framing.LINES)
        frames = [*decoder.feed(out.read_bytes() if out.exists() else b""), *decoder.finish()]
        return [decode_message(one.data) for one in frames]

    def names(self) -> list[str]:
        """List the records that it wrote, by their names."""
        return [dict(one.structured[0][1])["name"] for one in self.messages()]

    def wait_for(self, count: int, secs: float = 60) -> list[Message]:
        """Wait until it has written so many messages; give them."""
        until = time.monotonic() + secs
        while len(found := self.messages()) < count:
            assert time.monotonic() < until, f"{len(found)} of {count} came: {(self.folder / 'log').read_text()[-2000:]}"
            time.sleep(0.05)
        return found

    @contextmanager
    def running(self) -> Iterator["Server"]:
        """Run it until the block ends; then it is asked to stop, and its queues are empty or saved."""
        process = self.start()
        try:
            yield self
        finally:
            self.stop(process)

    def start(self) -> "subprocess.Popen[bytes]":
        """Start it, and wait until it listens."""
        name, _, driver = self.kind.partition("-") if self.kind != "syslog-ng" else ("syslog-ng", "", "")
        folder, config = self.folder, self.folder / "server.conf"
        if name == "rsyslog":
            auth = 'StreamDriver.AuthMode="x509/certvalid"' if self.asks else 'StreamDriver.AuthMode="anon"'
            config.write_text(_RSYSLOG.format(folder=folder, driver=driver, auth=auth, port=self.port))
            called, options = program("rsyslogd"), ["-n", "-f", str(config), "-i", str(folder / "pid")]
        else:
            auth = "required-trusted" if self.asks else "optional-untrusted"
            config.write_text(_SYSLOG_NG.format(folder=folder, auth=auth, port=self.port))
            called, options = program("syslog-ng"), ["-F", "-e", "--no-caps", "-f", str(config)]
            options += ["-R", str(folder / "state"), "-p", str(folder / "pid"), "-c", str(folder / "control")]
        with (folder / "log").open("ab") as log:
            process = subprocess.Popen([*called.command, *options], env=called.environment, stdout=log, stderr=log)
        until = time.monotonic() + 30
        while not _is_open(self.port):
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < until, "it does not listen"
            time.sleep(0.05)
        return process

    def stop(self, process: "subprocess.Popen[bytes]") -> None:
        """Ask it to stop, and wait until it has."""
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(60)
        finally:
            process.kill()
            process.wait()


def server(kind: str, folder: Path, *, asks: bool = False) -> Server:
    """Give a server with a port of its own."""
    return Server(kind, folder, closed_port(), asks)


def _is_open(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), 1):
            return True
    except OSError:
        return False
