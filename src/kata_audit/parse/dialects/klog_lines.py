r"""The first line of an error that klog breaks into lines: `\terror executing command in container: …`.

klog writes an error of several lines as `err=<`, its lines behind a tab, and ` >`; journald makes each a record of its own.
The first names exec and container, and is the only host record of an exec whose program is missing, at default log levels.
Whoever chose the error's text could have chosen such a line, too: it is of unknown origin, so it fills its own row and makes
no fact.

Source: k8s.io/klog v2 `internal/serialize` (`writeStringValue`); captures of containerd 2.4.2.
"""

import re
from collections.abc import Sequence
from typing import Any

from kata_audit.parse.about import About
from kata_audit.parse.dialects.base import Dialect, Scan
from kata_audit.schema.event import UNKNOWN_ACTOR, Action, ActorSource, Confidence, Outcome
from kata_audit.schema.record import RetentionClass
from kata_audit.schema.severity import ERROR
from kata_audit.schema.source import Origin

_LINE = re.compile(
    r"\t(error executing command in container: failed to exec in container: failed to start exec"
    r' "(?P<exec>[0-9a-f]{64})": cannot enter container (?P<container>[0-9a-f]{64}), with err'
    r" rpc error: code = (?P<code>[A-Za-z]++) desc = (?P<reason>.*+))",
    re.DOTALL,
)


def scan(texts: Sequence[str], guest: Sequence[bool]) -> Scan:
    """Read such lines; see `Dialect`. A guest's stay text."""
    matches = [
        None if is_guest else _LINE.fullmatch(text.rstrip("\r\n")) for text, is_guest in zip(texts, guest, strict=True)
    ]
    columns: dict[str, list[Any]] = {
        "body": [text if match is None else match[1] for text, match in zip(texts, matches, strict=True)]
    }
    said = {
        "severity_number": ERROR,
        "origin": Origin.UNKNOWN,
        "event_name": "exec.stream_failed",
        "action": Action.EXEC,
        "actor": UNKNOWN_ACTOR,
        "actor_source": ActorSource.NONE,
        "actor_confidence": Confidence.NONE,
        "stated_class": RetentionClass.AUDIT,
        "identity_basis": "text",
    }
    columns |= {name: [match and value for match in matches] for name, value in said.items()}
    columns |= {
        "outcome": [match and _outcome(match) for match in matches],
        "exec_id": [match and match["exec"] for match in matches],
        "container_id": [match and match["container"] for match in matches],
        "object": [match and match["container"] for match in matches],
    }
    attributes = [{} if match is None else {"grpc.code": match["code"], "reason": match["reason"]} for match in matches]
    return Scan(columns, attributes, [row for row, match in enumerate(matches) if match is None], None)


def _outcome(match: re.Match[str]) -> Outcome:
    """Tell a refusal by its code: the reason may quote the name of a program that spells one."""
    return Outcome.DENIED if match["code"] == "PermissionDenied" else Outcome.FAILURE


ABOUT = About(
    producer="containerd's stream, where an exec could not be started and the error has several lines.",
    versions="containerd 1.6 and later; captures of 2.4.2.",
    examples=(
        (
            "\terror executing command in container: failed to exec in container: failed to start exec"
            ' "39435da5458394d3cafc4a5b326f9a81443b5c3bc4027c5693aec230f4be2364": cannot enter container'
            " 47f1fc8f4ce3822f883a14449693f007ef180f569efee74765cde9009c041a40, with err rpc error: code = Internal desc ="
            " the file nosuchbinary was not found"
        ),
    ),
    holes=(
        "Whoever chose the error's text could have chosen such a line: its origin is unknown, and it makes no fact.",
        "The further lines, a backtrace for the most part, state nothing.",
    ),
    source="k8s.io/klog v2; containerd `internal/cri/server/container_exec.go`; captures.",
)
DIALECT = Dialect("klog-lines", r"\terror executing command in container: ", "\t", scan, ABOUT)
