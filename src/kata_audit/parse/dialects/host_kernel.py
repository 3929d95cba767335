r"""The host's kernel: `dmesg`, kern.log, `/dev/kmsg`, and what journald received from it (`_TRANSPORT=kernel`).

A line may begin with its priority `<N>`, with `dmesg`'s words (`kern  :info  : `), with the time since boot in brackets,
with a wall clock (`dmesg -T`, `--time-format iso`), or be a record of `/dev/kmsg` (`6,339,5140900,-;text`); in the journal
only the text is left. Read where the position names it, since a guest's kernel writes the same.

Programs write to the kernel's log too: runtime-rs leaves the text of its panics there, systemd its first messages.

Source: Linux `Documentation/ABI/testing/dev-kmsg`, `mm/oom_kill.c` (`dump_oom_victim`); util-linux `dmesg`; captures of
runtime-rs 4.1.0 (kmsg.txt).
"""

import re
from collections.abc import Sequence
from typing import Any

from kata_audit.parse.about import About
from kata_audit.parse.dialects.base import Dialect, Inner, Scan
from kata_audit.schema.record import Component
from kata_audit.schema.severity import SYSLOG_PRIORITY

_RECORD = re.compile(r"(?P<priority>\d{1,4}),\d{1,20},(?P<micros>\d{1,20}),[^;\n]{0,64};")
_LINE = re.compile(
    r"(?:<(?P<priority>\d{1,4})>)?"
    r"(?:(?P<facility>[a-z0-9]{2,8}) *: ?(?P<level>emerg|alert|crit|err|warn|notice|info|debug) *: )?"
    r"(?:\[ {0,8}(?P<elapsed>\d{1,12}\.\d{6})\] ?"
    r"|\[(?P<local>(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4})\] ?"
    r"|(?P<day>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d),(?P<micros>\d{6})(?P<zone>[+-]\d\d:\d\d) )?"
    r"(?:\[ {0,11}(?P<caller>[TC]\d{1,10})\] ?)?"
)
_LEVELS = {"emerg": "0", "alert": "1", "crit": "2", "err": "3", "warn": "4", "notice": "5", "info": "6", "debug": "7"}
_AUDIT = re.compile(r"audit: (?=type=\d{1,6} audit\()")
_JOURNALD = re.compile(r"systemd-journald\[\d{1,10}\]: ")
_OOM = "oom-kill:constraint="
_OOM_KEYS = {
    "oom_memcg": "oom.memcg",
    "task_memcg": "oom.task_memcg",
    "task": "process.executable.name",
    "pid": "oom.pid",
    "uid": "oom.uid",
}
_KILLED = re.compile(
    r"(?:Out of memory|Memory cgroup out of memory): Killed process (?P<pid>\d{1,10}) \((?P<name>[^)]{0,64})\)"
)
_SEGFAULT = re.compile(r"(?P<name>[^\[\]:]{1,64})\[(?P<pid>\d{1,10})\]: segfault at ")
_SANDBOX = re.compile(
    r"(?:/kata_overhead/|/pod[0-9a-f_-]{32,36}(?:\.slice)?/(?:cri-containerd-|crio-|kata_)?)(?P<sandbox>[0-9a-f]{64})\b"
)
_PANIC = "A panic occurred at "
"""What runtime-rs writes to the kernel's log before it aborts."""


def scan(texts: Sequence[str], guest: Sequence[bool]) -> Scan:
    """Read kernel lines; see `Dialect`."""
    columns: dict[str, list[Any]] = {
        name: [] for name in ("time", "severity_number", "body", "component", "sandbox_id", "identity_basis")
    }
    attributes: list[dict[str, str]] = []
    relayed: list[tuple[int, str, str]] = []
    for row, text in enumerate(texts):
        match = _RECORD.match(text) or _LINE.match(text)
        stated = match.groupdict() if match is not None else {}
        body = text[match.end() if match is not None else 0 :]
        said = _said(stated)
        sandbox = _read_body(body, said)
        if (found := _relayed(body)) is not None:
            relayed.append((row, *found))
        attributes.append(said)
        columns["time"].append(f"{stated['day']}.{stated['micros']}{stated['zone']}" if stated.get("day") else None)
        columns["severity_number"].append(_severity(stated))
        columns["body"].append(body)
        columns["component"].append(Component.RUNTIME_RS if body.startswith(_PANIC) else Component.HOST_KERNEL)
        columns["sandbox_id"].append(sandbox)
        columns["identity_basis"].append("cgroup" if sandbox else None)
    rows = [row for row, _, _ in relayed]
    inner = Inner(rows, [text for _, text, _ in relayed], [guest[row] for row in rows], [name for _, _, name in relayed])
    return Scan(columns, attributes, [], inner if rows else None)


def _said(stated: dict[str, str | None]) -> dict[str, str]:
    """Give what stands before the text and is no column."""
    said = {
        name: value
        for name, key in (("elapsed", "elapsed"), ("time.local", "local"), ("kernel.caller", "caller"))
        if (value := stated.get(key)) is not None
    }
    micros = stated.get("micros")
    if micros is not None and not stated.get("day"):
        said["elapsed"] = f"{int(micros) // 1_000_000}.{int(micros) % 1_000_000:06}"
    return said


def _severity(stated: dict[str, str | None]) -> int | None:
    level, priority = stated.get("level"), stated.get("priority")
    number = _LEVELS[level] if level else str(int(priority) & 7) if priority else ""
    return SYSLOG_PRIORITY.get(number)


def _read_body(body: str, said: dict[str, str]) -> str | None:
    """Add what a message states of a process to `said`; give the sandbox whose memory ran out, if it is one's."""
    if body.startswith(_OOM):
        pairs = dict(pair.partition("=")[::2] for pair in body[len("oom-kill:") :].split(",") if "=" in pair)
        said |= {name: pairs[key] for key, name in _OOM_KEYS.items() if key in pairs}
        match = _SANDBOX.search(pairs.get("task_memcg", ""))
        return match["sandbox"] if match else None
    match = _KILLED.match(body) or (_SEGFAULT.match(body) if "]: segfault at " in body[:96] else None)
    if match is not None:
        said["process.executable.name"] = match["name"]
        said["process.pid"] = match["pid"]
    return None


def _relayed(body: str) -> tuple[str, str] | None:
    """Find the audit record or the message of journald that the kernel's log holds: its text and its dialect."""
    if _AUDIT.match(body):
        return body, "auditd"
    program = _JOURNALD.match(body)
    return (body[program.end() :], "journald") if program is not None else None


ABOUT = About(
    producer="The host's kernel: in the journal, in kern.log, in `dmesg`'s output, in copies of `/dev/kmsg`.",
    versions="Linux 4.19 to 6.18, util-linux 2.30 on; captures hold runtime-rs's panic texts and raw kmsg lines, the other"
    " forms were not seen in a capture.",
    examples=(
        "<46>systemd-journald[58]: Received client request to sync journal.",
        (
            "A panic occurred at src/libs/kata-types/src/annotations/mod.rs:913: called `Result::unwrap()` on an `Err`"
            " value: decoding initdata annotation failed"
        ),
    ),
    holes=(
        "`dmesg -T` works its clock out from the time since boot and names no zone: it stands in `time.local`.",
        "Only root of the host writes to the kernel's log, but any of its programs may: such a text is a program's word.",
        "Further lines of a panic that runtime-rs left there do not say whose they are.",
    ),
    source="Linux, util-linux and Kata sources; captures of 4.1.0.",
)
DIALECT = Dialect("host-kernel", None, "", scan, ABOUT)
