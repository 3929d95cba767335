"""How fast `collect` takes what other shippers send, beside the same lines from a file, in one run.

    python tests/perf/receiving.py --records 50000

Each kind fills a new store in this process, as the command does, rules and sealing included, from another process that sends
by one connection and waits for each answer: a thousand records each (`--together`). Syslog has no answers: there it counts
when a record is durable, as for the file. The lines are those of a Go runtime at debug level, again and again. Processor time is that of
the collector alone, until all is sealed. Read the ratios to the file: the rates are the machine's.
"""

import argparse
import gzip
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import cycle, islice
from pathlib import Path
from threading import Event
from typing import Final, NamedTuple

import httpx
import orjson

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.evidence import DATA
from tests.loopback import closed_port

from kata_audit.clock import SystemClock
from kata_audit.config import Config
from kata_audit.pipeline.collect import Collector, run
from kata_audit.pipeline.own import OwnRecords
from kata_audit.pipeline.shedding import Holding
from kata_audit.receivers.base import Watch
from kata_audit.receivers.file import Place
from kata_audit.receivers.follow import FileWatch
from kata_audit.receivers.receive_settings import Receive, ReceiveKind
from kata_audit.schema.source import Transport
from kata_audit.wire import forward, otlp, syslog
from kata_audit.wiring import derivation, sealer, writing
from kata_audit.wiring_receive import receiving

FILE: Final = "file"
KINDS: Final = (FILE, ReceiveKind.HTTP, ReceiveKind.OTLP, ReceiveKind.FORWARD, ReceiveKind.SYSLOG)
_TEXT: Final = {ReceiveKind.OTLP: "body", ReceiveKind.SYSLOG: "message"}
_KEY: Final = bytes(range(32))
_NODE: Final = "lab/load"
_NOW_NS: Final = 1_795_617_069_000_000_000
_TYPES: Final = {ReceiveKind.HTTP: "application/x-ndjson", ReceiveKind.OTLP: "application/json"}


class Took(NamedTuple):
    """How long until the last record was answered for, and the collector's processor time until all was sealed."""

    secs: float
    cpu_secs: float


def lines(records: int) -> Iterator[bytes]:
    """Give lines of a Go runtime, those that its capture holds, again and again."""
    entries = gzip.decompress((DATA / "captures" / "go-debug.journal.json.gz").read_bytes()).splitlines()
    messages = (orjson.loads(one).get("MESSAGE") for one in entries)
    texts = [one.encode() for one in messages if isinstance(one, str) and one.startswith("time=") and "\n" not in one]
    return islice(cycle(texts), records)


def _body(kind: str, texts: Sequence[bytes], number: int) -> bytes:
    """Spell what is sent together."""
    match kind:
        case ReceiveKind.HTTP:
            return b"".join(orjson.dumps({"log": one.decode()}) + b"\n" for one in texts)
        case ReceiveKind.OTLP:
            return otlp.encode_logs([otlp.Group({}, [otlp.Log({}, _NOW_NS, body=one.decode()) for one in texts])])
        case ReceiveKind.FORWARD:
            entries = [forward.Entry(_NOW_NS, {"log": one.decode()}) for one in texts]
            return forward.encode_message("kata", entries, str(number), is_zipped=False)
        case ReceiveKind.SYSLOG:
            told = (syslog.Message(1, 6, _NOW_NS, "w1", "kata", None, None, (), one) for one in texts)
            return syslog.encode_frames(map(syslog.encode_message, told))
    return b"".join(one + b"\n" for one in texts)


def send(kind: str, place: str, records: int, together: int) -> None:
    """Send; the other process. It says when it is ready, waits for a line, and ends when all is answered for."""
    texts = list(lines(records))
    bodies = [_body(kind, texts[at : at + together], at) for at in range(0, records, together)]
    print("ready", flush=True)
    sys.stdin.readline()
    _SEND[kind](place, bodies)


def _write(place: str, bodies: Sequence[bytes]) -> None:
    with Path(place).open("ab", buffering=0) as file:
        file.writelines(bodies)


def _post(place: str, bodies: Sequence[bytes]) -> None:
    kind, _, port = place.partition(":")
    path = otlp.PATH if kind == ReceiveKind.OTLP else "/"
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=60) as client:
        for body in bodies:
            client.post(path, content=body, headers={"Content-Type": _TYPES[ReceiveKind(kind)]}).raise_for_status()


def _forward(place: str, bodies: Sequence[bytes]) -> None:
    with socket.create_connection(("127.0.0.1", int(place.partition(":")[2])), timeout=60) as peer:
        for body in bodies:
            peer.sendall(body)
            if not peer.recv(1024):
                raise SystemExit("it was not acknowledged")


def _stream(place: str, bodies: Sequence[bytes]) -> None:
    with socket.create_connection(("127.0.0.1", int(place.partition(":")[2])), timeout=60) as peer:
        for body in bodies:
            peer.sendall(body)


_SEND: Final[dict[str, Callable[[str, Sequence[bytes]], None]]] = {
    FILE: _write,
    ReceiveKind.HTTP: _post,
    ReceiveKind.OTLP: _post,
    ReceiveKind.FORWARD: _forward,
    ReceiveKind.SYSLOG: _stream,
}


def collect(kind: str, folder: Path, records: int, together: int) -> Took:
    """Take records of one kind into a new store."""
    port, wake, path = closed_port(), Event(), folder / "shim.log"
    place = str(path) if kind == FILE else f"{kind}:{port}"
    command = [sys.executable, __file__, "--send", kind, place, "--records", str(records), "--together", str(together)]
    if kind == FILE:
        path.touch()
        whose = Place(_NODE, "default", Transport.HOST_FILE)
        return _collect([FileWatch(str(path), whose, clock=SystemClock(), key=_KEY)], wake, folder, command, records)
    text = _TEXT.get(ReceiveKind(kind), "log")
    one = Receive("load", ReceiveKind(kind), f"127.0.0.1:{port}", transport=Transport.HOST_FILE, text_field=text)
    with receiving(Config(receive=(one,)), _NODE, wake) as watches:
        return _collect(watches, wake, folder, command, records)


def _collect(watches: Sequence[Watch], wake: Event, folder: Path, command: Sequence[str], records: int) -> Took:
    """Collect what the command sends, until all is durable and it has ended."""
    clock = SystemClock()
    with (
        writing(folder / "store", node=_NODE) as writer,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as sender,
    ):
        own = OwnRecords("collect", node=_NODE, tenant="default", clock=clock)
        seals = sealer(writer, Config(), live=True, merges=False)
        collector = Collector(watches, writer, seals, own, clock=clock, key=_KEY, holding=Holding(derivation()), wake=wake)
        assert sender.stdin is not None
        assert sender.stdout is not None
        sender.stdout.readline()
        collector.step()
        began, used, took = time.monotonic(), time.process_time(), 0.0
        sender.stdin.write("go\n")
        sender.stdin.flush()

        def stopped() -> bool:
            nonlocal took
            if collector.counts.records < records:
                if sender.poll():
                    raise SystemExit(f"the sender ended early, with {sender.returncode}")
                return False
            took = took or time.monotonic() - began
            return sender.poll() is not None

        run(collector, stopped=stopped, rest=lambda: collector.rest(0.1), told=lambda: None)
        used = time.process_time() - used
        if sender.returncode:
            raise SystemExit(f"the sender ended with {sender.returncode}")
    return Took(took, used)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=50_000)
    parser.add_argument("--together", type=int, default=1_000, help="records that are sent at once")
    parser.add_argument("--kinds", nargs="*", choices=KINDS, default=KINDS)
    parser.add_argument("--rounds", type=int, default=1, help="the best one of each counts")
    parser.add_argument("--send", nargs=2, metavar=("KIND", "PLACE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.send:
        kind, place = options.send
        send(kind, place, options.records, options.together)
        return
    best: dict[str, Took] = {}
    for _ in range(options.rounds):
        for kind in options.kinds:
            with tempfile.TemporaryDirectory(prefix="kata-audit-receiving-") as folder:
                took = collect(kind, Path(folder), options.records, options.together)
            best[kind] = Took(*map(min, took, best.get(kind, took)))
    base = next(iter(best.values()))
    print(f"{'':8} {'records/s':>10} {'of ' + next(iter(best)):>8} {'CPU µs':>7} {'times':>6}")
    for kind, one in best.items():
        rate, cost = options.records / one.secs, one.cpu_secs / options.records * 1e6
        print(f"{kind:8} {rate:10,.0f} {base.secs / one.secs:8.2f} {cost:7.0f} {one.cpu_secs / base.cpu_secs:6.2f}")


if __name__ == "__main__":
    main()
