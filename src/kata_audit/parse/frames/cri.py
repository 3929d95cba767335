"""Container log files as the kubelet has them written: `<time> <stream> <tags> <text>`.

A text longer than 16 KiB comes as lines tagged P (partial) and one tagged F (full) at the end.

Source: Kubernetes CRI, `runtime/v1` logging format (kubernetes/design-proposals, "Container log format"); containerd
`pkg/cri/io/logger.go`.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import unquote

from kata_audit.parse.about import About

_LINE = re.compile(
    rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)) (stdout|stderr) ([PF])(?::[^ ]*)? (.*)", re.DOTALL
)
_POD_LOG_PATH = re.compile(r"(?:^|/)([^/_]+)_([^/_]+)_([0-9a-f-]{32,36})/([^/]+)/\d+\.log(?:[.-][^/]*)?$")
_MAX_JOINED = 1 << 20


class CriLine(NamedTuple):
    """One line of a container log: time as written, `stdout` or `stderr`, whether more is to come, and the text."""

    time: str
    stream: str
    partial: bool
    text: bytes


class PodLog(NamedTuple):
    """What the kubelet's path of a container log states."""

    k8s_namespace: str
    k8s_pod: str
    k8s_pod_uid: str
    k8s_container: str


def read_lines(raws: Sequence[bytes]) -> list[CriLine | None]:
    """Read container log lines; None where a frame is none."""
    lines: list[CriLine | None] = []
    for raw in raws:
        match = _LINE.fullmatch(raw[:-1] if raw.endswith(b"\n") else raw)
        if match is None:
            lines.append(None)
            continue
        time, stream, tag, text = match.groups()
        lines.append(CriLine(time.decode(), stream.decode(), tag == b"P", text))
    return lines


def join_partials(
    lines: Sequence[CriLine | None], places: Sequence[tuple[str, str]]
) -> tuple[list[bytes | None], list[str | None]]:
    """Join partial lines of one file and stream.

    Args:
        lines: Lines in order.
        places: Of each line, the file it is from and its cursor.

    Returns:
        Per line, the whole text it ends (None for a partial one) and the group of its pieces (None where alone).
    """
    open_groups: dict[tuple[str, str], tuple[str, list[bytes]]] = {}
    texts: list[bytes | None] = []
    groups: list[str | None] = []
    for line, (file, cursor) in zip(lines, places, strict=True):
        if line is None:
            texts.append(None)
            groups.append(None)
            continue
        key = (file, line.stream)
        if line.partial:
            group, pieces = open_groups.setdefault(key, (cursor, []))
            if sum(map(len, pieces)) < _MAX_JOINED:
                pieces.append(line.text)
            texts.append(None)
            groups.append(group)
            continue
        group_or_none, pieces = open_groups.pop(key, (None, []))
        texts.append(b"".join([*pieces, line.text]))
        groups.append(group_or_none)
    return texts, groups


def read_path(stream: str) -> PodLog | None:
    """Read a pod's identity from its log's path, the kubelet's choice: `<namespace>_<pod>_<uid>/<container>/<n>.log`.

    Args:
        stream: The stream part of a cursor: `<path>?<file identity>`, the path percent-encoded.
    """
    match = _POD_LOG_PATH.search(unquote(stream.partition("?")[0]))
    return PodLog(*match.groups()) if match else None


ABOUT = About(
    producer="The kubelet's container log files below /var/log/pods, written by containerd or CRI-O.",
    versions="Kubernetes 1.14 and later; captures of containerd 2.4.2.",
    examples=(
        (
            '2026-11-23T06:08:38.659831816Z stdout F time="2026-11-23T05:00:00.000000000Z" level='
            'error msg="Cannot start VM" error="fake" name=containerd-shim-v2 pid=1 sandbox=deadb'
            "eef source=virtcontainers subsystem=sandbox"
        ),
    ),
    holes=(
        "All behind the tags is a container's own output: it may look like any record, and stays a claim of the guest.",
        "Only the path names the pod: in a file that was copied elsewhere nothing does.",
    ),
    source='Kubernetes CRI, "Container log format"; captures.',
)
