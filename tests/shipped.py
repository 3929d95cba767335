"""What a shipper made of a line, compared with what the line says: by truth read by hand, and by our own reading."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from kata_audit.schema.source import Transport
from tests.evidence import column, derive, evidence

LEVELS = {
    **dict.fromkeys(("trce", "trace"), "trace"),
    **dict.fromkeys(("debg", "debug"), "debug"),
    "info": "info",
    **dict.fromkeys(("warn", "warning"), "warning"),
    **dict.fromkeys(("erro", "error"), "error"),
    **dict.fromkeys(("crit", "critical", "fatal", "panic"), "critical"),
}
"""One word for each level, whatever a dialect calls it."""
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:?\d\d)?")


def level(text: Any) -> str | None:
    """Give the one word for a level; None where it is none."""
    return LEVELS.get(str(text).lower())


def nanoseconds(text: Any) -> int | None:
    """Read a time in RFC 3339, in UTC where it names no zone; None where it is none."""
    found = _TIME.fullmatch(str(text))
    if not found:
        return None
    zone = "+00:00" if found[3] in {None, "Z"} else found[3]
    return int(datetime.fromisoformat(found[1] + zone).timestamp()) * 10**9 + int((found[2] or "0").ljust(9, "0")[:9])


def answers(record: Mapping[str, Any], expected: Mapping[str, Any]) -> dict[str, bool]:
    """Say of each field that a line has by its truth whether a shipper's record has it right."""
    times = [nanoseconds(record.get(name)) for name in ("inner_ts", "time", "cri_time", "record_time")]
    pids = [str(record.get(name)) for name in ("inner_pid", "pid", "_PID")]
    containers = [record.get(name) for name in ("container", "inner_cid", "inner_container-id")]
    found = {
        "message": (record.get("kata_message") or "") == expected["message"],
        "level": level(record.get("kata_level")) == expected["level"],
        "timestamp": nanoseconds(expected.get("timestamp")) in times,
        "pid": str(expected.get("pid")) in pids,
        "sandbox": record.get("kata_sandbox") == expected.get("sandbox_id"),
        "container": expected.get("container_id") in containers,
    }
    has = {"message": True, "sandbox": expected.get("sandbox_id"), "container": expected.get("container_id")}
    return {name: holds for name, holds in found.items() if has.get(name, expected.get(name))}


def our_reading(data: bytes, transport: Transport) -> list[dict[str, Any]]:
    """Read lines as we do, into the fields that shippers' packs make."""
    rows = derive(evidence(data, transport))
    columns = [column(rows, name) for name in ("body", "severity_text", "sandbox_id")]
    names = ("kata_message", "kata_level", "kata_sandbox")
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]
