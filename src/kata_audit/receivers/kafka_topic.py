"""A topic of real brokers, open for reading."""

from collections.abc import Callable, Mapping, Sequence
from threading import Thread
from typing import Final, NamedTuple

from confluent_kafka import TIMESTAMP_CREATE_TIME, Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka import Message as Taken

from kata_audit.errors import ReceiverError
from kata_audit.receivers.kafka import Message, Span
from kata_audit.receivers.shipped import Declared, Fields, Line, Shipped, spell
from kata_audit.wire.ndjson import decode_records

_ASK_SECS: Final = 10.0
_GROUP_SECS: Final = 3.0
_CLOSE_SECS: Final = 2.0
_HINT: Final = "Reading goes on by itself."
_MILLISECOND: Final = 1_000_000
_NO_GROUP: Final = "GROUP_AUTHORIZATION_FAILED"
_REMOVED: Final = "_AUTO_OFFSET_RESET"
WAYS: Final = {
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "auto.offset.reset": "error",
    "enable.partition.eof": False,
    "queued.max.messages.kbytes": 16 * 1024,
    "fetch.max.bytes": 8 << 20,
    "fetch.wait.max.ms": 100,
}
"""How the client library reads: it keeps no position, and holds few bytes."""


class Meanings(NamedTuple):
    """What a client's errors mean: that of a message, and what is known to keep us from the brokers."""

    of: Callable[[KafkaError], str]
    why: Callable[[], str | None]


class BrokerTopic:
    """A topic that a consumer has found.

    Args:
        name: What it is called in messages.
        consumer: The consumer, assigned to nothing.
        partitions: The numbers of its partitions.
        topic: The topic.
        read: Turns the value of a message, and its time in nanoseconds where it has one, into lines.
        meanings: What its errors mean.

    Raises:
        ReceiverError: The brokers do not say what the partitions hold.
    """

    def __init__(
        self,
        name: str,
        consumer: Consumer,
        partitions: Sequence[int],
        topic: str,
        *,
        read: Callable[[bytes, int | None], list[Line]],
        meanings: Meanings,
    ) -> None:
        self._name, self._consumer, self._topic, self._read, self._meanings = name, consumer, topic, read, meanings
        self._failure: KafkaError | None = None
        try:
            self.spans = self._look(partitions)
        except KafkaException as error:
            raise self._failed(error.args[0]) from error

    def _look(self, partitions: Sequence[int]) -> Mapping[int, Span]:
        places = [TopicPartition(self._topic, number) for number in partitions]
        committed, spans = self._told(places), {}
        for place in places:
            first, end = self._consumer.get_watermark_offsets(place, timeout=_ASK_SECS)
            spans[place.partition] = Span(first, end, committed.get(place.partition, 0))
        return spans

    def _told(self, places: list[TopicPartition]) -> Mapping[int, int]:
        """Give what the brokers were told is durable; nothing where we may not use the group: it only counts losses."""
        try:
            return {one.partition: max(one.offset, 0) for one in self._consumer.committed(places, timeout=_GROUP_SECS)}
        except KafkaException:
            return {}

    def start(self, offsets: Mapping[int, int]) -> None:
        """Say from which offset each partition is read."""
        self._consumer.assign([TopicPartition(self._topic, number, offset) for number, offset in offsets.items()])

    def take(self, most: int) -> Sequence[Message]:
        """Give messages that have come.

        Raises:
            ReceiverError: It cannot be read any more.
        """
        if self._failure is not None:
            raise self._failed(self._failure)
        found: list[Message] = []
        for taken in self._consumer.consume(most, timeout=0):
            error = taken.error()
            if error is not None and error.name() == _NO_GROUP:
                continue  # reading needs none: the brokers do not learn how far we are, and that is all
            self._failure = error
            if error is not None:
                break
            found.append(self._message(taken))
        why = None if found else self._meanings.why()
        if why is not None:
            raise ReceiverError(f"Kafka cannot be read: {why}.", where=self._name, hint=_HINT)
        return found

    def _message(self, taken: Taken) -> Message:
        kind, millis = taken.timestamp()
        value, partition, offset = taken.value(), taken.partition(), taken.offset()
        assert partition is not None
        assert offset is not None
        data = value.encode() if isinstance(value, str) else value or b""
        return Message(partition, offset, self._read(data, millis * _MILLISECOND if kind == TIMESTAMP_CREATE_TIME else None))

    def _failed(self, error: KafkaError) -> ReceiverError:
        told = "messages were removed there before they were read" if error.name() == _REMOVED else self._meanings.of(error)
        return ReceiverError(f"Kafka cannot be read: {told}.", where=self._name, hint=_HINT)

    def commit(self, offsets: Mapping[int, int]) -> None:
        """Tell the brokers how far each partition is durable; it does not matter whether they learn it."""
        places = [TopicPartition(self._topic, number, offset) for number, offset in offsets.items()]
        try:
            self._consumer.commit(offsets=places, asynchronous=True)
        except KafkaException:
            return

    def close(self) -> None:
        """Let the connections go; without a broker the library takes most of a minute for it, which nobody waits for."""
        closing = Thread(target=self._consumer.close, name="kafka-close", daemon=True)
        closing.start()
        closing.join(_CLOSE_SECS)


def read_value(value: bytes, time_ns: int | None, fields: Fields, declared: Declared) -> list[Line]:
    """Turn the value of a message into lines.

    Args:
        value: JSON, an object a line or an array of them; what is none is a line as it stands.
        time_ns: When the message says that it was made; not asked for where a field says it.
        fields: Which fields of a record carry what.
        declared: What holds where no field says otherwise.
    """
    time_ns = None if fields.time else time_ns
    return [spell(Shipped(one.values, one.line, time_ns), fields, declared) for one in decode_records(value)]
