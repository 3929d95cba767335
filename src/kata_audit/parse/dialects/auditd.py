r"""The Linux audit system: `type=AVC msg=audit(1700000000.123:456): avc:  denied …`.

So auditd's log and syslog hold it. The kernel's log has numbers (`audit: type=1400 audit(…): …`); in the journal
(`_TRANSPORT=audit`) time and serial are fields and the text begins with the type (`AVC avc:  denied …`).

Records of one event carry one serial: they share a `fold_key`. A value that holds blanks, quotes or bytes beyond ASCII is
written in hex without quotes; only keys that hold text are decoded, for elsewhere hex is a number.

Source: Linux `kernel/audit.c` (`audit_log_untrustedstring`), `include/uapi/linux/audit.h`; audit-userspace,
"Audit message type" list; systemd `src/journal/journald-audit.c`.
"""

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import blake2b
from itertools import takewhile
from typing import Any

from kata_audit.parse.about import About
from kata_audit.parse.dialects.base import Dialect, Scan
from kata_audit.schema.record import Component

_HEADER = re.compile(
    r"(?:node=(?P<node>\S{1,255}) )?(?:audit: )?type=(?P<type>[A-Z][A-Z0-9_]{0,63}|UNKNOWN\[\d{1,6}\]|\d{1,6})"
    r" (?:msg=)?audit\((?P<seconds>\d{1,11})\.(?P<millis>\d{3}):(?P<serial>\d{1,20})\):(?: |\Z)"
)
_JOURNAL_HEADER = re.compile(r"(?P<type>[A-Z][A-Z0-9_]{1,63}|<audit-\d{1,6}>)(?: |\Z)")
_PAIR = re.compile(r"""(?<![^\s'])([A-Za-z0-9_\[\].-]++)=("[^"]*+"|'[^']*+'|[^\s']*+)""")
_HEX = re.compile(r"(?:[0-9A-F]{2})++\Z")
_TEXT_KEYS = frozenset(
    (
        "comm",
        "exe",
        "name",
        "cwd",
        "path",
        "cmd",
        "acct",
        "proctitle",
        "key",
        "data",
        "dir",
        "device",
        "watch",
        "new-chardev",
    )
)
_ARGUMENT = re.compile(r"a\d{1,5}\Z")
_ENRICHED = "\x1d"
"""Stands before what auditd adds in words: `UID="root" SYSCALL=execve`."""
_TYPES = {
    "1006": "LOGIN", "1100": "USER_AUTH", "1101": "USER_ACCT", "1103": "CRED_ACQ", "1104": "CRED_DISP",
    "1105": "USER_START", "1106": "USER_END", "1107": "USER_AVC", "1112": "USER_LOGIN", "1123": "USER_CMD",
    "1130": "SERVICE_START", "1131": "SERVICE_STOP", "1300": "SYSCALL", "1302": "PATH", "1305": "CONFIG_CHANGE",
    "1306": "SOCKADDR", "1307": "CWD", "1309": "EXECVE", "1318": "OBJ_PID", "1320": "EOE", "1325": "NETFILTER_CFG",
    "1326": "SECCOMP", "1327": "PROCTITLE", "1330": "KERN_MODULE", "1334": "BPF", "1400": "AVC", "1401": "SELINUX_ERR",
    "1403": "MAC_POLICY_LOAD", "1404": "MAC_STATUS", "1700": "ANOM_PROMISCUOUS", "1701": "ANOM_ABEND",
    "1702": "ANOM_LINK", "2000": "KERNEL",
}  # fmt: skip
"""Names of the numbers that the kernel's own log has. Source: Linux `include/uapi/linux/audit.h`."""


def _decoded(key: str, value: str, *, is_arguments: bool) -> str:
    """Take a value out of its quotes, or out of hex where its key holds text; arguments are apart by blanks, not NULs."""
    if value[:1] in "\"'" and len(value) > 1:
        return value[1:-1]
    text = key in _TEXT_KEYS or (is_arguments and _ARGUMENT.match(key) is not None)
    if text and _HEX.match(value):
        decoded = bytes.fromhex(value).decode("utf-8", "backslashreplace")
        return decoded.rstrip("\0").replace("\0", " ") if key == "proctitle" else decoded
    return value


def _fields(kind: str, rest: str) -> dict[str, str]:
    """Read the pairs of a record, those within `msg='…'` too; of a key that comes twice the first is kept."""
    fields: dict[str, str] = {}
    is_arguments = kind == "EXECVE"
    for key, value in _PAIR.findall(rest):
        if key == "msg" and value[:1] == "'":
            for inner_key, inner in _PAIR.findall(value[1:-1]):
                fields.setdefault(inner_key, _decoded(inner_key, inner, is_arguments=False))
            continue
        fields.setdefault(key, _decoded(key, value, is_arguments=is_arguments))
    if is_arguments:
        names = [*takewhile(fields.__contains__, (f"a{number}" for number in range(len(fields))))]
        if fields.get("argc") == str(len(names)):
            fields["process.command_args"] = json.dumps([fields.pop(name) for name in names], ensure_ascii=False)
    return fields


def fold_key(seconds: str, millis: str, serial: str) -> int:
    """Give what the records of one audit event share, in whichever log they stand.

    Args:
        seconds: Of its time, since 1970.
        millis: Three digits.
        serial: Its number in the kernel.
    """
    digest = blake2b(f"audit {int(seconds)}.{millis}:{int(serial)}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big")


def scan(texts: Sequence[str], _guest: Sequence[bool]) -> Scan:
    """Read audit records; see `Dialect`."""
    rows: list[dict[str, Any]] = []
    attributes: list[dict[str, str]] = []
    malformed: list[int] = []
    for row, text in enumerate(texts):
        head = _HEADER.match(text)
        match = head or _JOURNAL_HEADER.match(text)
        if match is None:
            malformed.append(row)
            attributes.append({})
            rows.append({"body": text})
            continue
        kind = match["type"].removeprefix("<audit-").rstrip(">")
        kind = _TYPES.get(kind, kind)
        body = text[match.end() :].rstrip("\n")
        plain, _, enriched = body.partition(_ENRICHED)
        fields = _fields(kind, plain)
        said = {key: value for key, value in fields.items() if key != "pid"}
        said |= {f"audit.{key.lower()}": _decoded("", value, is_arguments=False) for key, value in _PAIR.findall(enriched)}
        said["audit.type"] = kind
        time, fold = None, None
        if head is not None:
            said["audit.serial"] = head["serial"]
            said |= {"host.name": head["node"]} if head["node"] else {}
            time = f"{datetime.fromtimestamp(int(head['seconds']), UTC):%Y-%m-%dT%H:%M:%S}.{head['millis']}Z"
            fold = fold_key(head["seconds"], head["millis"], head["serial"])
        attributes.append(said)
        rows.append({"body": body, "time": time, "subsystem": kind, "pid": fields.get("pid"), "fold_key": fold})
    columns: dict[str, list[Any]] = {
        name: [stated.get(name) for stated in rows] for name in ("body", "time", "subsystem", "pid", "fold_key")
    }
    columns["component"] = [Component.AUDITD] * len(texts)
    return Scan(columns, attributes, malformed, None)


ABOUT = About(
    producer="The kernel's audit system: /var/log/audit/audit.log, audisp's syslog lines, the journal, the kernel's log.",
    versions="Linux 4.19 to 6.18 and audit 2.8 to 4; not seen in a capture: written from the format's documentation.",
    examples=(
        (
            'type=AVC msg=audit(1700000000.123:456): avc:  denied  { read } for  pid=4242 comm="virtiofsd" name="shadow"'
            ' dev="dm-0" ino=131 scontext=system_u:system_r:container_kvm_t:s0:c1,c2'
            " tcontext=system_u:object_r:shadow_t:s0 tclass=file permissive=0"
        ),
        ('type=EXECVE msg=audit(1700000000.123:457): argc=3 a0="sh" a1="-c" a2=636174202F6574632F686F73746E616D65'),
    ),
    holes=(
        "`pid` is that of the process that is spoken of.",
        "Arguments too long for one record come in pieces (`a1[0]=`): they stay as written.",
        "A record of an event does not say how many records the event has; `EOE` ends it.",
    ),
    source="Linux and audit-userspace documentation.",
)
DIALECT = Dialect(
    "auditd", r"(?:node=\S{1,255} |audit: )?type=(?:[A-Z][A-Z0-9_]{0,63}|UNKNOWN\[\d{1,6}\]|\d{1,6}) (?:msg=)?audit\(",
    "nta", scan, ABOUT,
)  # fmt: skip
