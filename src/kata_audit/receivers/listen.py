"""A listener: one thread with its own event loop that takes connections and hands what they bring to the inlet.

Nothing that a peer does stops it: connections are counted, what they send is limited in size and time, and one that breaks a
rule is closed alone. Nothing is answered for before it is durable.
"""

import asyncio
import ipaddress
import ssl
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager, suppress
from threading import Event, Thread
from typing import Any, Final, NamedTuple, Protocol, Self

from kata_audit.errors import ReceiverError, UsageError
from kata_audit.receivers.inlet import Inlet
from kata_audit.receivers.receive_settings import Network, Receive, read_listen
from kata_audit.receivers.shipped import Declared, Shipped, spell

MOST_CONNECTIONS: Final = 256
SHARE_BYTES: Final = 64 << 20
ANSWER_SECS: Final = 30.0
"""How long a sender waits for the disk until it is told to try again later."""
_STRANGER: Final = "its address is not among those that may send"
_LOOK_SECS: Final = 0.02
_START_SECS: Final = 10.0


class DroppedError(Exception):
    """A connection is not to go on; the text says why, for tests and nobody else."""


class UnwelcomeError(DroppedError):
    """A peer may not send here; the text says why, in our words, and is told with its address."""


class Take(Protocol):
    """What hands records to the inlet and waits until they are durable."""

    async def __call__(self, read: Callable[[], Sequence[Shipped]]) -> bool:
        """Read records when there is room for them, and say whether they became durable; what `read` raises goes on."""
        ...


class Share:
    """Bytes that all connections of a listener may hold together while they are being read."""

    def __init__(self, most: int = SHARE_BYTES) -> None:
        self.left = most

    @contextmanager
    def begin(self) -> Iterator["Portion"]:
        """Hold bytes of one connection; at its end they are given back."""
        portion = Portion(self)
        try:
            yield portion
        finally:
            portion.give(portion.size)


class Portion:
    """What one connection holds."""

    def __init__(self, share: Share) -> None:
        self._share, self.size = share, 0

    def add(self, size: int) -> None:
        """Hold more.

        Raises:
            DroppedError: All connections together hold too much.
        """
        self.size += size
        self._share.left -= size
        if self._share.left < 0:
            raise DroppedError("too much is being sent at once")

    def give(self, size: int) -> None:
        """Hold less."""
        self.size -= size
        self._share.left += size


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter, Take], Coroutine[Any, Any, None]]
"""Speaks one protocol on one connection until it ends."""


class Datagrams(NamedTuple):
    """Speaks a protocol without connections: `read` gives the record of one datagram."""

    read: Callable[[bytes], Shipped]


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, take: Callable[[bytes, object], None]) -> None:
        self._take = take

    def datagram_received(self, data: bytes, addr: object) -> None:
        self._take(data, addr)


def _nobody_waits() -> None:
    """Answer nobody: a datagram's sender does not listen."""


class Listener:
    """Takes connections of one receiver.

    Args:
        one: The receiver.
        declared: What holds for all its records.
        inlet: Takes the lines.
        serve: Speaks its protocol.
        answer_secs: How long a sender waits for the disk.

    Attributes:
        port: Where it listens, once it was started.
    """

    def __init__(
        self, one: Receive, declared: Declared, inlet: Inlet, serve: Serve | Datagrams, *, answer_secs: float = ANSWER_SECS
    ) -> None:
        self._one, self._declared, self._inlet, self._serve, self._answer_secs = one, declared, inlet, serve, answer_secs
        self._fields = one.fields
        self._thread = Thread(target=self._run, name=f"receive {one.name}", daemon=True)
        self._ready, self._problem = Event(), ""
        self._tasks: set[asyncio.Task[None]] = set()
        self._turn = asyncio.Lock()
        self.port = 0

    def __enter__(self) -> Self:
        """Begin to listen.

        Raises:
            ReceiverError: It cannot listen there, or its certificate cannot be read.
        """
        self._trust = trust_of(self._one)
        self._loop = asyncio.new_event_loop()
        self._thread.start()
        self._ready.wait(_START_SECS)
        if self._problem or not self.port:
            self._thread.join(_START_SECS)
            hint = "Choose another `listen` address, or stop who has it."
            raise ReceiverError(f"It cannot listen there: {self._problem}.", where=self._one.listen, hint=hint)
        return self

    def __exit__(self, *_: object) -> None:
        """End all connections; who was not answered sends again."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_START_SECS)

    def _run(self) -> None:
        """Run the loop until it is stopped; the thread's body."""
        try:
            close = self._loop.run_until_complete(self._listen())
        except OSError as error:
            self._problem = error.strerror or "unknown"
            self._loop.close()
            self._ready.set()
            return
        self._ready.set()
        self._loop.run_forever()
        close()
        ending = set(self._tasks)
        for task in ending:
            task.cancel()
        if ending:
            self._loop.run_until_complete(asyncio.wait(ending, timeout=_START_SECS))
        self._loop.run_until_complete(asyncio.sleep(0))  # sockets that were closed are given back in the next turn
        self._loop.close()

    async def _listen(self) -> Callable[[], None]:
        """Begin to listen, and give what ends it."""
        address = read_listen(self._one.listen)
        assert address is not None, "config.py looks at it"
        if isinstance(self._serve, Datagrams):
            read = self._serve.read
            transport, _ = await self._loop.create_datagram_endpoint(
                lambda: _Datagrams(lambda data, peer: self._datagram(read, data, peer)), local_addr=address
            )
            self.port = transport.get_extra_info("sockname")[1]
            return transport.close
        server = await asyncio.start_server(self._connected, address.host, address.port, ssl=self._trust)
        self.port = server.sockets[0].getsockname()[1]
        return server.close

    def _datagram(self, read: Callable[[bytes], Shipped], data: bytes, peer: object) -> None:
        """Take a datagram where there is room; nobody keeps it otherwise, so what is dropped is counted."""
        if not is_allowed(peer, self._one.allow):
            self._inlet.refuse(_name_of(peer), _STRANGER)
            return
        if self._inlet.has_room:
            self._inlet.offer([spell(read(data), self._fields, self._declared)], _nobody_waits)
        else:
            self._inlet.lose()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task, peer = asyncio.current_task(), writer.get_extra_info("peername")
        assert task is not None
        try:
            if len(self._tasks) >= MOST_CONNECTIONS:
                return
            self._look_at(peer)
            self._tasks.add(task)
            assert not isinstance(self._serve, Datagrams)
            await self._serve(reader, writer, self._take)
        except UnwelcomeError as error:
            self._inlet.refuse(_name_of(peer), str(error))
        except UsageError:
            self._inlet.refuse(_name_of(peer), "the secret that it must show cannot be read here")
        except (
            DroppedError,
            OSError,
            asyncio.IncompleteReadError,
            asyncio.LimitOverrunError,
            TimeoutError,
            asyncio.CancelledError,
        ):
            pass  # that connection has ended; what it was not answered for comes again
        except Exception as error:  # noqa: BLE001 - a defect ends one connection, and prints nothing of what came
            self._inlet.refuse(_name_of(peer), f"this is a defect of ours: {type(error).__name__}")
        finally:
            self._tasks.discard(task)
            with suppress(OSError):
                writer.close()

    def _look_at(self, peer: object) -> None:
        """Let nobody in whose address may not send."""
        if not is_allowed(peer, self._one.allow):
            raise UnwelcomeError(_STRANGER)

    async def _take(self, read: Callable[[], Sequence[Shipped]]) -> bool:
        """Offer records as lines, and wait until they are durable; one sender at a time holds records in memory."""
        loop = asyncio.get_running_loop()
        durable = loop.create_future()

        def done() -> None:
            with suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(_settle, durable)

        try:
            async with asyncio.timeout(self._answer_secs):
                async with self._turn:
                    while not self._inlet.has_room:  # noqa: ASYNC110 - a thread makes room, not this loop
                        await asyncio.sleep(_LOOK_SECS)
                    lines = [spell(one, self._fields, self._declared) for one in read()]
                    self._inlet.offer(lines, done)
                    del lines
                await durable
        except TimeoutError:
            return False
        return True


def _name_of(peer: object) -> str:
    """Give a peer's address as the kernel has it."""
    return str(peer[0]) if isinstance(peer, tuple) else "unknown"


def _settle(durable: "asyncio.Future[None]") -> None:
    if not durable.done():
        durable.set_result(None)


def is_allowed(peer: object, allowed: Sequence[Network]) -> bool:
    """Say whether a peer's address lies in one of the networks; without networks all do."""
    if not allowed:
        return True
    address = ipaddress.ip_address(str(peer[0]).partition("%")[0]) if isinstance(peer, tuple) else None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address is not None and any(address.version == one.version and address in one for one in allowed)


def trust_of(one: Receive) -> ssl.SSLContext | None:
    """Make what speaks TLS for a receiver; None where it speaks plaintext.

    Raises:
        ReceiverError: Certificate or key cannot be read.
    """
    if one.certificate_file is None:
        return None
    try:
        trust = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        trust.load_cert_chain(one.certificate_file, one.key_file)
        if one.client_ca_file is not None:
            trust.load_verify_locations(one.client_ca_file)
            trust.verify_mode = ssl.CERT_REQUIRED
    except (OSError, ssl.SSLError) as error:
        hint = "Name PEM files that this user can read, and the key that belongs to the certificate."
        raise ReceiverError("Certificate or key cannot be read.", where=f"receive {one.name}", hint=hint) from error
    return trust
