"""journald's JSON: one object a line, as `journalctl -o json` prints it.

Source: systemd, "Journal JSON Format".
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from kata_audit.parse.about import About

_MAX_SLOW_BYTES = 1 << 20


def _first_of_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse an object that says one name twice: whoever wrote it is no journald."""
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a name comes twice")
    return fields


def _load_slowly(text: bytes) -> dict[str, Any] | None:
    """Load what the fast loader refused or what may hold a name twice; None where it is no object or has one twice."""
    if len(text) > _MAX_SLOW_BYTES:
        return None
    try:
        fields = json.loads(text, object_pairs_hook=_first_of_each)
    except (ValueError, RecursionError):
        return None
    return fields if isinstance(fields, dict) else None


def load_once_named(text: bytes) -> dict[str, Any] | None:
    """Load one JSON object whose writer is not trusted to name each field once.

    A name in a compact object follows `{` or `,`; an unescaped `,"` cannot stand inside a string unless a string ends in a
    comma. So one count tells nearly always that no name comes twice, and the rest is looked at slowly.

    Args:
        text: The object's text, with or without white space around it.

    Returns:
        The fields, or None where `text` is no JSON object or says one name twice.
    """
    fields = load_object(text)
    if fields is not None and (text.count(b',"') + 1 != len(fields) or b', "' in text):
        return _load_slowly(text)
    return fields


def load_object(text: bytes) -> dict[str, Any] | None:
    """Load one JSON object; None where `text` is none. Of a name that comes twice the last counts."""
    try:
        fields = orjson.loads(text)
    except orjson.JSONDecodeError:
        return _load_slowly(text)
    return fields if isinstance(fields, dict) else None


def each_object(texts: Iterable[bytes]) -> Iterator[dict[str, Any] | None]:
    """Load JSON objects as `load_object` does, one at a time: an object that is let go of leaves its memory to the next."""
    loads = orjson.loads
    for text in texts:
        try:
            fields = loads(text)
        except orjson.JSONDecodeError:
            fields = _load_slowly(text)
        yield fields if type(fields) is dict else None


ABOUT = About(
    producer="systemd-journald, as `journalctl -o json` prints it.",
    versions="systemd 252; the form is stable.",
    examples=(
        (
            '{"_RUNTIME_SCOPE":"system","_GID":"0","MESSAGE":"time=\\"2026-11-23T06:06:45.33253035'
            '3Z\\" level=info msg=\\"shm-size detected: 67108864\\" source=virtcontainers subsystem='
            'oci","PRIORITY":"6","SYSLOG_IDENTIFIER":"kata","SYSLOG_PID":"270","_CAP_EFFECTIVE":"'
            '1fbfcbeffff","SYSLOG_RAW":"<6>Nov 23 06:06:45 kata[270]: time=\\"2026-11-23T06:06:45.'
            '332530353Z\\" level=info msg=\\"shm-size detected: 67108864\\" source=virtcontainers su'
            'bsystem=oci\\n","__CURSOR":"s=2c288b95c37849bc925683f6ea4657fb;i=68;b=7b9c4d5e2f314c8'
            'a9a6e0d1c2b3a4f50;m=8a7ddfb8;t=660eb66033a4f;x=7f9cda1e85ebbb81","_COMM":"containerd'
            '-shim","_SOURCE_REALTIME_TIMESTAMP":"1795414005332546","_TRANSPORT":"syslog","SYSLOG'
            '_TIMESTAMP":"Nov 23 06:06:45 ","_CMDLINE":"/opt/kata/bin/containerd-shim-kata-v2 -na'
            'mespace k8s.io -address /run/containerd/containerd.sock -publish-binary \\"\\" -id b06'
            'c14f9467f8952a0ebe6f2bfdf106d0af701abc7031f950dc6c10ce6fad98f","__MONOTONIC_TIMESTAM'
            'P":"2323505080","_EXE":"/opt/kata/bin/containerd-shim-kata-v2","_MACHINE_ID":"4f6a0c'
            '2b9d1e4b7f8a3c5e6d7f809112","_BOOT_ID":"7b9c4d5e2f314c8a9a6e0d1c2b3a4f50","_SYSTEMD_'
            'SLICE":"system.slice","_HOSTNAME":"worker-a","__REALTIME_TIMESTAMP":"179541400533255'
            '9","_SYSTEMD_UNIT":"containerd.service","_UID":"0","_PID":"270","_SYSTEMD_CGROUP":"/'
            'system.slice/containerd.service"}'
        ),
    ),
    holes=(
        "A field longer than 4096 bytes is null unless `journalctl --all` was given: then there is no text.",
        "The journal's own fields say who wrote an entry; those without a leading underscore are the writer's word.",
    ),
    source='systemd, "Journal JSON Format"; captures.',
)
