"""Kafka: records as messages of one topic.

A message's value is the record's document, its header `kata-audit.name` the record's name, and its key the stream that the
record came from: a topic keeps the order of what has one key, so that each source stays in order over any number of
partitions. The broker's time of a message is that of its sending: by the record's own, retention would remove at once what
is exported late.

The producer is idempotent, so that what the library sends again is there once and in order. What is not confirmed in time
is taken back from the library, and the producer is given up: what comes after it then never stands before it. A batch of
small messages is kept so small that only a message that is too large alone is refused for its size.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, Final, NamedTuple, cast

import orjson
from confluent_kafka import KafkaError, Message, Producer

from kata_audit.exporters.export_settings import Export
from kata_audit.exporters.kafka_client import (
    LIMIT_SECS,
    LOST,
    Heard,
    KafkaProblemError,
    cause,
    check_brokers,
    meaning,
    meet,
    opened,
    secret_of,
    settings_of,
)
from kata_audit.exporters.records import Receipt, Rejected
from kata_audit.schema.cursor import parse_cursor
from kata_audit.schema.exported import Exported
from kata_audit.wire.kafka import brokers_of

DEFAULT_TOPIC: Final = "kata-audit"
NAME_HEADER: Final = "kata-audit.name"
"""The header that holds a record's name."""
_BATCH_BYTES: Final = 64 * 1024
"""Bytes of messages in one batch; a larger message has one of its own. Topics take 1 MiB where nobody says less."""
_SHRINK: Final = 4
_MOST_BYTES: Final = 1_000_000_000
"""What the library takes at most: how large a message may be, the topic says."""
_UNFIT: Final = "it is larger than its topic takes, `max.message.bytes` there"
_LAST_SECS: Final = 1.0


_TOO_LARGE: Final = "MSG_SIZE_TOO_LARGE"
_UNKNOWN: Final = object()


class _Message(NamedTuple):
    """A record as a message."""

    name: bytes
    key: bytes
    value: bytes


class Kafka:
    """Sends records to one topic.

    Args:
        one: Its settings.
        limit_secs: How long brokers may take to be found, and then to confirm.
    """

    def __init__(self, one: Export, *, limit_secs: float = LIMIT_SECS) -> None:
        self._one, self._topic, self._limit_secs = one, one.into or DEFAULT_TOPIC, limit_secs
        self._producer: Producer | None = None
        self._secret: str | None = None
        self._batch_bytes = _BATCH_BYTES

    def close(self) -> None:
        """Let the connections go, and forget what was not confirmed."""
        if self._producer is not None:
            producer, self._producer = self._producer, None
            try:
                producer.purge()
                producer.flush(_LAST_SECS)
                producer.close()
            except Exception:  # noqa: BLE001, S110 - the library raises here what it has told before
                pass

    def export(self, records: Sequence[Exported]) -> Receipt:
        """Hand records over; where a batch was too large for the topic, the rest goes in smaller ones."""
        rejected: list[Rejected] = []
        done = 0
        while done < len(records):
            messages = [_message(one) for one in records[done:]]
            try:
                fates = self._send(self._connected(), messages)
            except KafkaProblemError as error:
                self.close()
                return Receipt(done, rejected, str(error))
            sizes = [sum(map(len, message)) for message in messages]
            taken, unfit, wrong = _judge(fates, sizes, self._batch_bytes)
            rejected += [Rejected(done + at, _UNFIT) for at in unfit]
            done += taken
            if wrong is not None:
                told = LOST if wrong is _UNKNOWN else meaning(cast("KafkaError", wrong), to="Write")
                self.close()
                return Receipt(done, rejected, told)
            if done < len(records):
                self._batch_bytes = max(self._batch_bytes // _SHRINK, 1)
                self.close()
        return Receipt(done, rejected)

    def _connected(self) -> Producer:
        """Give the producer: the one there is, or a new one that has found the topic.

        Raises:
            KafkaProblemError: The secret cannot be had, or the topic not be found.
        """
        secret = secret_of(self._one)
        if self._producer is not None and secret != self._secret:
            self.close()
        if self._producer is None:
            assert self._one.url is not None
            check_brokers(brokers_of(self._one.url), self._one)
            heard = Heard()
            self._producer = opened(Producer, {**settings_of(self._one, secret, heard), **self._ways()})
            self._secret = secret
            meet(self._producer, self._one, self._topic, heard, to="Write", limit_secs=self._limit_secs)
        return self._producer

    def _ways(self) -> dict[str, Any]:
        """Say how messages are sent."""
        return {
            "enable.idempotence": True,
            "acks": "all",
            "message.timeout.ms": 0,  # we wait, and take back what is late
            "partitioner": "murmur2_random",  # that of Java's clients: equal keys, equal partitions
            "compression.codec": "gzip" if self._one.gzip else "none",
            "compression.level": 1,
            "linger.ms": 5,
            "batch.size": self._batch_bytes,
            "message.max.bytes": _MOST_BYTES,
            "queue.buffering.max.messages": 0,
            "queue.buffering.max.kbytes": 2_000_000,
        }

    def _send(self, producer: Producer, messages: Sequence[_Message]) -> list[object]:
        """Send messages, and wait for what becomes of them.

        Returns:
            For each None where it was taken, else an error; `_UNKNOWN` where nothing was told.

        Raises:
            KafkaProblemError: The library raised.
        """
        fates: list[object] = [_UNKNOWN] * len(messages)

        def note(at: int, error: KafkaError | None, _: Message) -> None:
            fates[at] = error  # no call here: after a fatal error the library calls this while it raises

        try:
            for at, one in enumerate(messages):
                producer.produce(
                    self._topic, one.value, one.key, headers=[(NAME_HEADER, one.name)], on_delivery=partial(note, at)
                )
            if producer.flush(self._limit_secs):
                producer.purge()
                producer.flush(_LAST_SECS)
        except Exception as error:
            raise KafkaProblemError(self._cause(error)) from error
        return fates

    def _cause(self, raised: BaseException) -> str:
        """Say why the library gave up; where it refuses messages for it, it says so when it is asked."""
        said = cause(raised, to="Write")
        if said is not LOST or self._producer is None:
            return said
        try:
            self._producer.poll(0)
        except Exception as error:  # noqa: BLE001 - that is the answer
            return cause(error, to="Write")
        return said


def _judge(fates: Sequence[object], sizes: Sequence[int], batch_bytes: int) -> tuple[int, list[int], object]:
    """Say how many are done with from the first on, which of them the topic never takes, and what is wrong with the next.

    Nothing is wrong, and not all are done with, where a batch of several was too large.
    """
    unfit: list[int] = []
    for at, fate in enumerate(fates):
        if fate is None:
            continue
        if fate is _UNKNOWN or cast("KafkaError", fate).name() != _TOO_LARGE:
            return at, unfit, fate
        if sizes[at] < batch_bytes:
            return at, unfit, None
        unfit.append(at)
    return len(fates), unfit, None


def _message(one: Exported) -> _Message:
    return _Message(one.name.encode(), _key(one), orjson.dumps(one.document))


def _key(one: Exported) -> bytes:
    """Name the stream a record came from: its node, and there the source as cursors name it.

    A redacted record has neither; the log it is in is its source.
    """
    cursor = parse_cursor(str(one.record.get("cursor", "")))
    stream = one.record.get("receiver", "") if cursor is None else cursor.stream
    return f"{one.record.get('node', one.name.rpartition('/')[0])} {stream}".encode()
