"""Puts together what reads topics of Kafka, `[[kafka]]`."""

import importlib.util
from functools import partial
from typing import TYPE_CHECKING

from kata_audit.clock import SystemClock

if TYPE_CHECKING:
    from kata_audit.config import Config
    from kata_audit.receivers.kafka import KafkaWatch, Topic
    from kata_audit.receivers.kafka_settings import KafkaInput
    from kata_audit.receivers.shipped import Declared


def has_kafka() -> bool:
    """Say whether the client library is installed: it is the extra `kafka`."""
    return importlib.util.find_spec("confluent_kafka") is not None


def kafka_watches(config: "Config", node: str) -> "list[KafkaWatch]":
    """Give what the collector takes from the topics of a configuration.

    Args:
        config: The configuration.
        node: `<cluster>/<node name>` of records that say no node of their own.

    Raises:
        UsageError: Its client library is not installed.
    """
    from kata_audit.errors import Problem, UsageError
    from kata_audit.receivers.kafka import KafkaWatch, Reading
    from kata_audit.receivers.shipped import Declared

    if config.kafka and not has_kafka():
        problems = [Problem(one.name, "is a topic of Kafka") for one in config.kafka]
        hint = "Install it: pip install 'kata-audit[kafka]'."
        raise UsageError("Kafka's client library is not installed.", problems=problems, hint=hint)
    clock, watches = SystemClock(), list[KafkaWatch]()
    for one in config.kafka:
        reading = Reading(one.name, one.topic, one.tenant or config.tenant, clock=clock)
        declared = Declared(node.partition("/")[0], node, one.transport, one.evidence_of)
        watches.append(KafkaWatch(one.name, reading, partial(open_topic, one, declared), clock=clock))
    return watches


def open_topic(one: "KafkaInput", declared: "Declared") -> "Topic":
    """Find a topic.

    Args:
        one: Its settings.
        declared: What holds where no field of a record says otherwise.

    Raises:
        ReceiverError: It cannot be read.
    """
    from confluent_kafka import Consumer

    from kata_audit.errors import ReceiverError
    from kata_audit.exporters.kafka_client import (
        LIMIT_SECS,
        Heard,
        KafkaProblemError,
        check_brokers,
        keeps_out,
        meaning,
        meet,
        opened,
        secret_of,
        settings_of,
    )
    from kata_audit.receivers.kafka_topic import WAYS, BrokerTopic, Meanings, read_value
    from kata_audit.wire.kafka import brokers_of

    heard, name = Heard(), f"kafka-{one.name}"
    try:
        check_brokers(brokers_of(one.url), one)
        settings = {**settings_of(one, secret_of(one), heard), **WAYS, "group.id": one.group}
        consumer = opened(Consumer, settings)
        partitions = meet(consumer, one, one.topic, heard, to="Read", limit_secs=LIMIT_SECS)
    except KafkaProblemError as error:
        hint = "It is tried again by itself."
        raise ReceiverError(f"Kafka cannot be read: {error}.", where=name, hint=hint) from error
    read = partial(read_value, fields=one.fields, declared=declared)
    meanings = Meanings(partial(meaning, to="Read"), partial(keeps_out, one, heard))
    return BrokerTopic(name, consumer, partitions, one.topic, read=read, meanings=meanings)
