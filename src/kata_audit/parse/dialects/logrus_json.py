r"""logrus as JSON: containerd with `[debug] format = "json"`, CRI-O with `--log-format json`, kata-runtime with the same.

One object a line: `time`, `level` in lower case, `msg`, and the keys that the text form has too, in alphabetical order, so
that `msg` is never the first; shims that write into containerd's stream stay text there.

Source: sirupsen/logrus `JSONFormatter`; containerd `log` package. Not seen in a capture.
"""

from collections.abc import Sequence
from typing import Any

from kata_audit.parse.about import About
from kata_audit.parse.dialects.base import Dialect, Scan
from kata_audit.parse.frames.journal_json import load_once_named
from kata_audit.parse.logrus_fields import component_of, identities_of
from kata_audit.parse.texts import json_text
from kata_audit.schema.severity import LOGRUS


def _load(texts: Sequence[str]) -> tuple[list[dict[str, str]], list[int]]:
    """Load each text; one that is no record of logrus is malformed and has no fields."""
    records: list[dict[str, str]] = []
    malformed = []
    for row, text in enumerate(texts):
        fields = load_once_named(text.strip().encode("utf-8", "surrogatepass"))
        if fields is None or not isinstance(fields.get("level"), str) or "time" not in fields:
            malformed.append(row)
            fields = {}
        records.append({str(key): json_text(value) for key, value in fields.items()})
    return records, malformed


def scan(texts: Sequence[str], guest: Sequence[bool]) -> Scan:
    """Read logrus objects; see `Dialect`."""
    records, malformed = _load(texts)
    broken = set(malformed)
    columns: dict[str, list[Any]] = {
        "time": [record.pop("time", None) for record in records],
        "severity_number": [LOGRUS.get(record.pop("level", "")) for record in records],
        "body": [text if row in broken else records[row].pop("msg", "") for row, text in enumerate(texts)],
        "component": [component_of(record, guest=is_guest) for record, is_guest in zip(records, guest, strict=True)],
        "subsystem": [record.pop("subsystem", None) for record in records],
        "pid": [record.pop("pid", None) for record in records],
        **identities_of(records),
    }
    return Scan(columns, records, malformed, None)


ABOUT = About(
    producer="containerd and CRI-O on stderr, and kata-runtime, where they are set to log JSON.",
    versions="containerd 1.5 to 2.4, CRI-O 1.20 on; not seen in a capture: written from logrus's source.",
    examples=(
        (
            '{"level":"info","msg":"StartContainer for'
            ' \\"4f6a0c2b9d1e4b7f8a3c5e6d7f8091124f6a0c2b9d1e4b7f8a3c5e6d7f809112\\" returns successfully",'
            '"time":"2026-11-23T06:11:31.587296252Z"}'
        ),
    ),
    holes=(
        "containerd's own records name no program: the envelope tells, or the file's name, or nobody.",
        "An object that says one key twice is malformed.",
    ),
    source="sirupsen/logrus `JSONFormatter`.",
)
DIALECT = Dialect(
    "logrus-json",
    r'\{(?! ?"msg")(?=[\s\S]*?"level": ?"(?:trace|debug|info|warning|error|fatal|panic)")(?=[\s\S]*?"time": ?")',
    "{",
    scan,
    ABOUT,
)
