"""Fluentd's Forward protocol: packed entries, their acknowledgement, and the handshake by a shared key.

Source: Fluentd, *Forward Protocol Specification v1.5* (PackedForward, CompressedPackedForward, EventTime, HELO, PING, PONG).
"""

import hashlib
import hmac
import math
import struct
import zlib
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

import msgpack

MAX_BYTES: Final = 64 * 1024 * 1024
"""Bytes of the entries of a message, unpacked, that are read at most."""
_SECOND: Final = 1_000_000_000
_EVENT_TIME: Final = 0


class ForwardError(ValueError):
    """Bytes that are no message of this protocol."""


class Entry(NamedTuple):
    """One event: nanoseconds since the Unix epoch, and what happened."""

    time_ns: int
    record: Mapping[str, Any]


class Message(NamedTuple):
    """Entries that are sent together; `chunk` is what their acknowledgement repeats, None where none is asked for."""

    tag: str
    entries: list[Entry]
    chunk: str | None


class Hello(NamedTuple):
    """What a server begins with: what the digests are made with.

    `auth` is what a password is digested with. Fluentd leaves it empty where it wants no user, and Fluent Bit never does.
    """

    nonce: bytes
    auth: bytes


def encode_message(tag: str, entries: Iterable[Entry], chunk: str, *, is_zipped: bool) -> bytes:
    """Spell entries as one message, of which an acknowledgement is asked."""
    packed = [msgpack.packb([_event_time(one.time_ns), one.record]) for one in entries]
    data, option = b"".join(packed), {"size": len(packed), "chunk": chunk}
    if is_zipped:
        zipper = zlib.compressobj(1, wbits=31)
        data, option["compressed"] = zipper.compress(data) + zipper.flush(), "gzip"
    return bytes(msgpack.packb([tag, data, option]))


def _event_time(time_ns: int) -> msgpack.ExtType:
    """Spell a time; its seconds have 32 bits, so that one outside is the nearest."""
    seconds, rest = divmod(min(max(time_ns, 0), 2**32 * _SECOND - 1), _SECOND)
    return msgpack.ExtType(_EVENT_TIME, struct.pack(">II", seconds, rest))


def decode_message(told: Any) -> Message:
    """Read a message in any of its modes, as unpacked: one event, a list of them, or packed ones, compressed or not.

    Texts that are no UTF-8 have surrogates in place of their bytes, as Python's `surrogateescape` makes them.

    Raises:
        ForwardError: It is none, or holds more than `MAX_BYTES`.
    """
    match told:
        case [str(tag), bytes() | str() as data, *rest] if _is_option(rest):
            option = rest[0] if rest else {}
            entries = _unpack(data if isinstance(data, bytes) else data.encode(errors="surrogateescape"), option)
        case [str(tag), list(events), *rest] if _is_option(rest):
            option, entries = rest[0] if rest else {}, [_entry_of(one) for one in events]
        case [str(tag), time, dict(record), *rest] if _is_option(rest):
            option, entries = rest[0] if rest else {}, [_entry_of([time, record])]
        case _:
            raise ForwardError("no message")
    chunk = (option or {}).get("chunk")
    return Message(tag, entries, chunk if isinstance(chunk, str) else None)


def _is_option(rest: list[Any]) -> bool:
    return not rest or (len(rest) == 1 and (rest[0] is None or isinstance(rest[0], dict)))


def _unpack(data: bytes, option: Mapping[str, Any] | None) -> list[Entry]:
    """Read packed entries."""
    if (option or {}).get("compressed") == "gzip":
        data = _unzip(data)
    unpacker = msgpack.Unpacker(max_buffer_size=MAX_BYTES, strict_map_key=False, unicode_errors="surrogateescape")
    entries, end = list[Entry](), 0
    try:
        unpacker.feed(data)
        for one in unpacker:
            entries.append(_entry_of(one))
            end = unpacker.tell()
    except (ValueError, TypeError, msgpack.UnpackException) as error:
        raise ForwardError("its entries are none") from error
    if end != len(data):
        raise ForwardError("its last entry is cut off")
    return entries


def _unzip(data: bytes) -> bytes:
    """Unpack one or more members of gzip, as far as they may go."""
    plain = bytearray()
    while data:
        member = zlib.decompressobj(wbits=31)
        try:
            plain += member.decompress(data, MAX_BYTES - len(plain) + 1)
        except zlib.error as error:
            raise ForwardError("its entries are no gzip") from error
        if len(plain) > MAX_BYTES or not member.eof:
            raise ForwardError("its entries are too large, or cut off")
        data = member.unused_data
    return bytes(plain)


def _entry_of(told: Any) -> Entry:
    """Read an entry; Fluent Bit may give metadata beside its time, which are not asked for."""
    match told:
        case [[time, dict()] | time, dict(record)]:
            pass
        case _:
            raise ForwardError("an entry is none")
    match time:
        case msgpack.ExtType(code=0, data=bytes(data)) if len(data) == 8:
            seconds, rest = struct.unpack(">II", data)
            return Entry(seconds * _SECOND + rest, record)
        case bool():
            raise ForwardError("a time is none")
        case int() | float() if math.isfinite(time):
            return Entry(int(time * _SECOND), record)
    raise ForwardError("a time is none")


def encode_ack(chunk: str) -> bytes:
    """Acknowledge a message."""
    return bytes(msgpack.packb({"ack": chunk}))


def decode_ack(told: Any) -> str | None:
    """Read which message is acknowledged; None where it is no acknowledgement."""
    chunk = told.get("ack") if isinstance(told, dict) else None
    return chunk if isinstance(chunk, str) else None


def encode_hello(hello: Hello) -> bytes:
    """Begin the handshake, as a server."""
    return bytes(msgpack.packb(["HELO", {"nonce": hello.nonce, "auth": hello.auth, "keepalive": True}]))


def decode_hello(told: Any) -> Hello:
    """Read how a server begins.

    Raises:
        ForwardError: It begins otherwise.
    """
    match told:
        case ["HELO", dict(options)]:
            nonce, auth = (_bytes(options.get(name, b"")) for name in ("nonce", "auth"))
            if nonce is not None and auth is not None:
                return Hello(nonce, auth)
    raise ForwardError("no HELO")


def _bytes(value: Any) -> bytes | None:
    return value.encode(errors="surrogateescape") if isinstance(value, str) else value if isinstance(value, bytes) else None


def digest(salt: bytes, host: str, nonce: bytes, key: str) -> str:
    """Prove that the key is known, without saying it: SHA-512 in hexadecimal, of either side's host name."""
    return hashlib.sha512(salt + host.encode() + nonce + key.encode()).hexdigest()


def encode_ping(hello: Hello, host: str, salt: bytes, key: str) -> bytes:
    """Answer a server's beginning, as a client without a user; Fluent Bit takes a salt only where it is marked as text."""
    return bytes(msgpack.packb(["PING", host, salt.decode(), digest(salt, host, hello.nonce, key), "", ""]))


def check_ping(told: Any, hello: Hello, key: str) -> bytes | None:
    """Give the salt of a client that knows the key; None for any other."""
    match told:
        case ["PING", str(host), salt, str(proof), _, _] if (given := _bytes(salt)) is not None:
            known = hmac.compare_digest(proof.encode(), digest(given, host, hello.nonce, key).encode())
            return given if known else None
    return None


def encode_pong(hello: Hello, host: str, salt: bytes | None, key: str) -> bytes:
    """End the handshake, as a server; without a salt, the client is refused."""
    if salt is None:
        return bytes(msgpack.packb(["PONG", False, "shared_key mismatch", "", ""]))
    return bytes(msgpack.packb(["PONG", True, "", host, digest(salt, host, hello.nonce, key)]))


def check_pong(told: Any, hello: Hello, salt: bytes, key: str) -> bool:
    """Say whether a server let us in, and knows the key itself.

    Raises:
        ForwardError: It is no end of a handshake.
    """
    match told:
        case ["PONG", bool(is_in), _, str(host), str(proof)]:
            return is_in and hmac.compare_digest(proof.encode(), digest(salt, host, hello.nonce, key).encode())
    raise ForwardError("no PONG")
