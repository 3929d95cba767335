r"""What kata-audit says itself: one JSON object a record, in a form of its own.

`{"time":"…","event":"collect.lost","severity":"WARN","message":"…","attributes":{"…":"…"}}`. The receiver's name makes it
ours, never the text: the same words from anywhere else are nobody's.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from kata_audit.parse.about import About
from kata_audit.parse.dialects.base import Dialect, Scan
from kata_audit.parse.frames.journal_json import load_once_named
from kata_audit.schema.event import UNKNOWN_ACTOR, Action, ActorSource, Confidence, Outcome
from kata_audit.schema.finding import FINDING_EVENT, subject_of
from kata_audit.schema.record import IDENTITY_COLUMNS, Component
from kata_audit.schema.severity import NUMBER_OF
from kata_audit.schema.source import OWN_DIALECT


def _load(text: str) -> Mapping[str, Any] | None:
    record = load_once_named(text.encode("utf-8", "surrogatepass"))
    if record is None or not isinstance(record.get("attributes"), dict):
        return None
    stated = (*record["attributes"].values(), *(record.get(key) for key in ("time", "event", "severity", "message")))
    return record if all(type(value) is str for value in stated) else None


def scan(texts: Sequence[str], guest: Sequence[bool]) -> Scan:
    """Read records of ours; see `Dialect`. What a guest says so is text."""
    records = [None if is_guest else _load(text) for text, is_guest in zip(texts, guest, strict=True)]
    read = [_columns(record, text) for record, text in zip(records, texts, strict=True)]
    columns: dict[str, list[Any]] = {name: [one.get(name) for one in read] for name in _COLUMNS}
    attributes = [
        {} if record is None else {key: value for key, value in record["attributes"].items() if key not in _WHO}
        for record in records
    ]
    return Scan(columns, attributes, [row for row, record in enumerate(records) if record is None], None)


_WHO = frozenset(("action", "object", "outcome", "actor"))
_COLUMNS = (
    *("time", "severity_number", "body", "component", "event_name"),
    *("action", "object", "outcome", "actor", "actor_source", "actor_confidence"),
    *IDENTITY_COLUMNS,
)


def _columns(record: Mapping[str, Any] | None, text: str) -> dict[str, Any]:
    """Give the columns of one record; what is none is its text."""
    if record is None:
        return {"body": text}
    said = record["attributes"]
    found = {
        "time": record["time"],
        "severity_number": NUMBER_OF.get(record["severity"]),
        "body": record["message"],
        "component": Component.KATA_AUDIT,
        "event_name": record["event"],
    }
    if record["event"] == FINDING_EVENT:
        return found | _identities(said)
    if said.get("action") not in set(Action):
        return found
    outcome = said.get("outcome")
    return found | {
        "action": Action(said["action"]),
        "object": said.get("object"),
        "outcome": Outcome(outcome) if outcome in set(Outcome) else Outcome.UNKNOWN,
        "actor": said.get("actor", UNKNOWN_ACTOR),
        "actor_source": ActorSource.HOST if "actor" in said else ActorSource.NONE,
        "actor_confidence": Confidence.STATED if "actor" in said else Confidence.NONE,
    }


def _identities(said: Mapping[str, str]) -> dict[str, str]:
    """Give the identities of what a finding is about: it repeats what the records it rests on state, or are joined with."""
    about = subject_of(said)
    found = {name: about[name] for name in IDENTITY_COLUMNS if name in about and name != "identity_basis"}
    return found | {"identity_basis": "finding"} if found else {}


ABOUT = About(
    producer="kata-audit itself, under a receiver `kata-audit:<kind>` that nothing else can have.",
    versions="This one.",
    examples=(
        (
            '{"time":"2026-11-23T06:07:28.903288Z","event":"collect.lost","severity":"WARN","message":"Records were removed'
            ' at their source before they were read.","attributes":{"source":"journald?system","log.records.lost":"12",'
            '"action":"lose-records","object":"journald?system"}}'
        ),
        (
            '{"time":"2026-11-18T11:06:40.000000005Z","event":"detect.finding","severity":"ERROR","message":"A policy'
            ' refused a request","attributes":{"finding.id":"41210c776f2b9eea673ddeeb1b842c83","finding.rule_id":"KA-008",'
            '"finding.rule_digest":"abababababababababababababababababababababababababababababababab","finding.title":"A'
            ' policy refused a request","finding.level":"high","finding.maturity":"stable","finding.claim":"false",'
            '"finding.first_ns":"1795000000000000000","finding.time_ns":"1795000000000000005","finding.count":"2",'
            '"finding.records":"kata-audit/lab/node/00112233/4,kata-audit/lab/node/00112233/9","finding.group_by":'
            '"sandbox_id","finding.subject.k8s_namespace":"shop","finding.subject.k8s_pod":"web-1","finding.subject.sandbox'
            '_id":"5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a","finding.detail.expected":"none"}}'
        ),
        (
            '{"time":"2026-11-18T11:06:40.000000009Z","event":"alert.act","severity":"INFO","message":"Alert'
            ' a1a1a1a1a1a1a1a1 was acknowledged.","attributes":{"act.id":"0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f",'
            '"act.kind":"ack","act.time_ns":'
            '"1795000000000000009","act.user":"root","act.as":"","act.reason":"I look at it.","act.target":'
            '"a1a1a1a1a1a1a1a1","act.verdict":"","act.until_ns":"","action":"update","object":"alert/a1a1a1a1a1a1a1a1",'
            '"outcome":"success","actor":"root"}}'
        ),
    ),
    holes=("None: the form is ours.",),
    source="kata-audit `parse/dialects/own.py`.",
)
DIALECT = Dialect(OWN_DIALECT, None, "", scan, ABOUT)
