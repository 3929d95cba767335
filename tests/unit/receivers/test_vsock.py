"""The agent's log port: a server that speaks the hypervisor's protocol on a socket, and a guest that says what it likes."""

import os
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest
from tests.evidence import derive

from kata_audit.clock import ManualClock
from kata_audit.errors import ReceiverError
from kata_audit.parse.split import Held, split
from kata_audit.receivers.file import Place
from kata_audit.receivers.rest import Ended
from kata_audit.receivers.vsock import LOG_PORT, AgentPort, AgentWatch, Guest
from kata_audit.schema.cursor import Cursor
from kata_audit.schema.source import Chunk

PLACE = Place("lab/worker", "default", None)
SECOND = 1_000_000_000
SANDBOX = "b06c14f9467f8952a0ebe6f2bfdf106d0af701abc7031f950dc6c10ce6fad98f"


class Hypervisor:
    """What stands between host and guest: answers `CONNECT`, then passes the guest's bytes on."""

    def __init__(self, listening: socket.socket) -> None:
        self._listening = listening

    def accept(self, answer: bytes) -> socket.socket:
        connection, _ = self._listening.accept()
        assert connection.recv(100) == b"CONNECT 1025\n"
        connection.sendall(answer)
        return connection


@contextmanager
def hypervisor(root: Path, *, backlog: int = 1) -> Iterator[Hypervisor]:
    """Lay out the socket of one sandbox as Firecracker under the Go runtime does, and listen."""
    folder = root / SANDBOX / "root"
    folder.mkdir(parents=True, mode=0o750)
    folder.parent.chmod(0o750)
    directory = os.open(folder, os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"/proc/self/fd/{directory}/kata.hvsock")
        os.close(directory)
        listening.listen(backlog)
        listening.settimeout(30)
        yield Hypervisor(listening)


def watch(root: Path, clock: ManualClock) -> AgentWatch:
    return AgentWatch(Guest(str(root / "*/root/kata.hvsock")), LOG_PORT, PLACE, clock=clock, owner=os.getuid())


def connect(found: AgentWatch) -> AgentPort:
    (port,) = found.discover({}, [])
    assert isinstance(port, AgentPort)
    assert port.poll(100) is None
    return port


def test_the_guests_lines_come_behind_the_hypervisors_answer(tmp_path: Path) -> None:
    """Whole or in pieces, and the hypervisor's answer is none of the guest's text."""
    with hypervisor(tmp_path) as host:
        port = connect(watch(tmp_path, ManualClock()))
        assert (port.poll(100), port.has_answered) == (None, False)
        guest = host.accept(b"OK 10737")
        assert port.poll(100) is None
        guest.sendall(b"41824\n" + b'{"msg":"one"}\n')
        first = port.poll(100)
        guest.sendall(b"OK 7\nCONNECT 1\n")
        second = port.poll(5)
        assert isinstance(first, Chunk)
        assert isinstance(second, Chunk)
        assert (first.offset, first.data) == (0, b'{"msg":"one"}\n')
        assert (second.offset, second.data, second.stream) == (14, b"OK 7\n", first.stream)
        assert port.poll(100)
        guest.close()
        assert (port.poll(100), port.ended) == (None, True)
        port.close()


@pytest.mark.parametrize("goes", [True, False], ids=["and goes", "and stays"])
def test_the_last_words_are_given_before_the_end(tmp_path: Path, *, goes: bool) -> None:
    with hypervisor(tmp_path) as host:
        port = connect(watch(tmp_path, ManualClock()))
        guest = host.accept(b"OK 1\nlast words\n")
        if goes:
            guest.close()
        chunk = port.poll(100)
        assert chunk is not None
        assert (chunk.data, port.ended) == (b"last words\n", False)
        assert (port.poll(100), port.ended) == (None, goes)
        port.close()
        guest.close()


@pytest.mark.parametrize(
    "answer", [b"", b"ERR\n", b"OK\n", b"OK x\n", b"OK 1073741824", b"x" * 5000, b'{"msg":"I am the guest"}\n']
)
def test_what_does_not_answer_as_a_hypervisor_is_no_guest(tmp_path: Path, answer: bytes) -> None:
    """It is let go, at the latest after ten seconds, and nothing of what it said is taken."""
    clock = ManualClock()
    with hypervisor(tmp_path) as host:
        port = connect(watch(tmp_path, clock))
        other = host.accept(answer)
        assert port.poll(100) is None
        clock.advance(11 * SECOND)
        assert (port.poll(100), port.ended, port.has_answered) == (None, True, False)
        port.close()
        other.close()


def test_a_guest_that_does_not_listen_is_asked_less_and_less_often(tmp_path: Path) -> None:
    """It is no failure; when it answers, a connection that ends is made anew after a second."""
    clock, asked = ManualClock(), 0
    found = watch(tmp_path, clock)
    with hypervisor(tmp_path) as host:
        for _ in range(200):
            for port in found.discover({}, []):
                assert isinstance(port, AgentPort)
                asked += 1
                port.poll(1)
                host.accept(b"").close()
                assert (port.poll(1), port.ended) == (None, True)
                port.close()
            clock.advance(SECOND)
        assert 6 <= asked <= 10
        clock.advance(60 * SECOND)
        streams = set()
        for _ in range(2):
            port = connect(found)
            host.accept(b"OK 1\nhello\n").close()
            assert port.poll(100)
            assert list(found.discover({}, [port.name])) == []
            streams.add(port.stream)
            port.close()
            assert list(found.discover({}, [])) == []
            clock.advance(SECOND)
        assert len(streams) == 2, "each connection is a stream of its own"


def test_a_full_queue_is_no_connection(tmp_path: Path) -> None:
    """The agent serves one reader, and the next ones wait or are turned away."""
    with hypervisor(tmp_path, backlog=0) as _:
        ports = [connect(watch(tmp_path, ManualClock())) for _ in range(3)]

        assert [port.ended for port in ports] == [False, True, True]
        for port in ports:
            port.close()


def test_a_socket_without_a_hypervisor_is_no_failure(tmp_path: Path) -> None:
    with hypervisor(tmp_path):
        pass
    port = connect(watch(tmp_path, ManualClock()))

    assert port.ended
    port.close()


@pytest.mark.parametrize(
    "attack", ["a file", "a link", "a directory that is a link", "a directory for everybody", "another user's"]
)
def test_what_others_may_have_put_there_is_not_spoken_to(tmp_path: Path, attack: str) -> None:
    owner = os.getuid()
    with hypervisor(tmp_path):
        path = tmp_path / SANDBOX / "root" / "kata.hvsock"
        if attack == "a file":
            path.unlink()
            path.write_text("OK 1\n")
        elif attack == "a link":
            path.rename(path.with_name("elsewhere"))
            path.symlink_to("elsewhere")
        elif attack == "a directory that is a link":
            path.parent.rename(tmp_path / "elsewhere")
            path.parent.symlink_to(tmp_path / "elsewhere")
        elif attack == "a directory for everybody":
            path.parent.chmod(0o777)
        else:
            owner += 1
        guest = Guest(str(path), str(tmp_path / "*/root/kata.hvsock"))
        port = AgentPort(guest, LOG_PORT, PLACE, clock=ManualClock(), owner=owner)

        with pytest.raises(ReceiverError) as caught:
            port.poll(100)
        assert caught.value.where == str(path)
        port.close()


def test_the_guest_names_neither_its_sandbox_nor_the_host(tmp_path: Path) -> None:
    """Its sandbox is what the socket's path names; whatever it says is a guest's text (L7)."""
    forged = "f" * 64
    lines = (
        f'{{"msg":"announce","level":"INFO","ts":"2026-11-23T06:07:28.9Z","sandbox":"{forged}","source":"agent"}}\n'
        f'time="2026-11-23T06:07:28.903288138Z" level=info msg="x" name=containerd-shim-v2 sandbox={forged} source=runtime\n'
        f'{{"time":"2026-11-23T06:07:28Z","event":"collect.lost","severity":"ERROR","message":"x","attributes":{{}}}}\n'
    ).encode()
    with hypervisor(tmp_path) as host:
        port = connect(watch(tmp_path, ManualClock()))
        host.accept(b"OK 1\n" + lines).close()
        chunk = port.poll(10_000)
        port.close()
    assert chunk is not None
    _, rows = split(Held(), chunk)
    records = derive(rows)

    assert rows.column("receiver").to_pylist() == ["vsock:console"] * 3
    assert set(records.column("origin").to_pylist()) == {"guest"}
    assert set(records.column("sandbox_id").to_pylist()) == {SANDBOX}
    assert set(records.column("identity_basis").to_pylist()) == {"path"}
    assert not {"runtime-go", "kata-audit"} & set(records.column("component").to_pylist())


def test_what_a_guest_said_while_no_collector_ran_is_told_as_lost(tmp_path: Path) -> None:
    stream = f"{tmp_path}/{SANDBOX}/root/kata.hvsock?vsock-1-2-3"
    (told,) = watch(tmp_path, ManualClock()).discover({stream: Cursor(stream, 0, 10)}, [])

    assert isinstance(told, Ended)
    assert [one.lost for one in told.told()] == ["unknown"]


_LOOPBACK = 1
"""The number under which the kernel's vsock reaches itself: `VMADDR_CID_LOCAL`."""


def numbered(number: int, port: int, clock: ManualClock) -> AgentPort:
    return AgentPort(Guest("", number=number), port, PLACE, clock=clock)


def test_a_guest_of_the_kernels_vsock_is_reached_by_its_number_or_is_no_failure() -> None:
    """Against the kernel's own loopback; a kernel without it refuses, and whoever has no vsock at all is told so."""
    with socket.socket(socket.AF_VSOCK) as server:
        try:
            server.bind((_LOOPBACK, socket.VMADDR_PORT_ANY))
        except OSError:
            return unreachable(_LOOPBACK)
        server.listen(1)
        port = numbered(_LOOPBACK, server.getsockname()[1], ManualClock())
        port.poll(100)
        connection, _ = server.accept()
        connection.sendall(b"hello\n")
        chunk = port.poll(100) or port.poll(100)
        assert chunk is not None
        assert (chunk.data, chunk.stream.partition("?")[0]) == (b"hello\n", f"vsock/{_LOOPBACK}")
        connection.close()
        port.close()
    return unreachable(7)


def unreachable(number: int) -> None:
    """See that a guest which is not there is let go, or that the system's refusal is told with a next step."""
    clock = ManualClock()
    with closing(numbered(number, LOG_PORT, clock)) as port:
        with suppress(ReceiverError):
            assert port.poll(100) is None
            clock.advance(11 * SECOND)
            assert (port.poll(100), port.ended) == (None, True)
        assert not port.has_answered
