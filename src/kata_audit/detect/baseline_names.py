"""Names that outlive what they name: the workload of a pod, a command without what varies in it, a message's template."""

import re
from collections.abc import Callable
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

_RANDOM: Final = "[bcdfghjklmnpqrstvwxz2456789]{5}"
"""What Kubernetes puts behind `generateName`."""
_ENDINGS: Final = (
    re.compile(rf"-[4-9bcdf]{{6,10}}-{_RANDOM}\Z"),  # Deployment: the ReplicaSet's hash, and the pod's own letters
    re.compile(rf"-\d{{7,10}}-{_RANDOM}\Z"),  # CronJob: the minute of its schedule
    re.compile(rf"-\d{{1,5}}-{_RANDOM}\Z"),  # Job with an index
    re.compile(rf"-{_RANDOM}\Z"),  # DaemonSet, Job
    re.compile(r"-\d{1,5}\Z"),  # StatefulSet
)
_HEX: Final = "[0-9A-Fa-f]"
# Each text fits in one way alone: a guest chooses it, and must not choose how long it is looked at.
_ID: Final = re.compile(rf"\b(?=[0-9A-Fa-f-]*\d)(?:{_HEX}{{8,}}(?:-{_HEX}{{4,}})*|{_HEX}{{4,7}}(?:-{_HEX}{{4,}})+)\b")
_DIGITS: Final = re.compile(r"\d+")
_MAX_COMMAND: Final = 300
_MAX_MESSAGE: Final = 400
_ANY_NUMBER: Final = "[0-9A-Fa-f]*[0-9][0-9A-Fa-f]*"


def workload_of(pod: str) -> str:
    """Name the workload of a pod: the pod's name without what its controller put behind its own.

    The first of these endings that fits is left out, and no other: hash and letters of a Deployment's pod, minute and
    letters of a CronJob's, index and letters or letters alone of a Job's or a DaemonSet's, number of a StatefulSet's. A name
    without any is a workload of its own. A rollout changes hash and letters, and so never the workload.

    Example:
        >>> workload_of("shop-api-7c6d8f5b9c-x2k9z"), workload_of("db-0"), workload_of("nightly-29401620-qwz4t")
        ('shop-api', 'db', 'nightly')
    """
    for ending in _ENDINGS:
        if (found := ending.search(pod)) is not None and found.start():
            return pod[: found.start()]
    return pod


def command_form(command: str) -> str:
    """Give the form of a command: numbers and ids become `*`, and what is behind 300 characters is left out.

    Example:
        >>> command_form('["cat", "/tmp/run-4711/0f3a9c2e-77aa-4c1b-9d61-0123456789ab"]')
        '["cat", "/tmp/run-*/*"]'
    """
    return _DIGITS.sub("*", _ID.sub("*", command[: 2 * _MAX_COMMAND]))[:_MAX_COMMAND]


def repository_of(image: str) -> str:
    """Give an image's repository: its name without tag and digest."""
    name = image.partition("@")[0]
    head, colon, tag = name.rpartition(":")
    return head if colon and "/" not in tag else name


def templates_of(event_names: Any, bodies: Any, outline: Callable[[str], str]) -> Any:
    """Name the template of each record: its event, or the outline of its message behind a `~`.

    Args:
        event_names: Texts, null where the message is no known one.
        bodies: The messages.
        outline: Gives the outline of a message; what holds a digit is no word to it.

    Returns:
        One text a record.
    """
    unnamed = pc.is_null(event_names)
    if not pc.any(unnamed).as_py():
        return event_names
    texts = pc.fill_null(pc.if_else(unnamed, pc.utf8_slice_codeunits(bodies, 0, _MAX_MESSAGE), None), "")
    # Messages that differ in numbers and ids alone have one outline: it is made once.
    alike = pc.replace_substring_regex(texts, _ANY_NUMBER, "0").dictionary_encode()
    outlines = pa.array([f"~{outline(text)}" for text in alike.dictionary.to_pylist()], pa.string())
    return pc.coalesce(event_names, outlines.take(alike.indices))
