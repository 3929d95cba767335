"""How one alert looks: what it is, what it rests on, what was done about it, what to do, and how to prove it.

Every text of a log goes through `terminal.show`.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from kata_audit.cli.options import configured
from kata_audit.cli.terminal import wrap
from kata_audit.cli.times import rfc3339, span
from kata_audit.schema.alert import Muted, alert_fields
from kata_audit.schema.own import spell_time

if TYPE_CHECKING:
    from kata_audit.detect.alert_state import AlertState
    from kata_audit.detect.rule import Rule
    from kata_audit.pipeline.alert_evidence import Evidence, Quoted
    from kata_audit.schema.alert import Alert, Round

_LABEL = 10
_TEXT = 400
"""Characters that are shown of one record's text; `search` has all."""
_CLAIM = "CLAIM: it rests on a guest's text alone, and a guest can write anything"


def screen(alert: "Alert", state: "AlertState", evidence: "Evidence", *, width: int) -> Iterator[str]:
    """Draw an alert for a person."""
    rule = _rule_of(alert)
    yield from _part("Alert", f"{alert.alert_id}  {alert.level}  {alert.status}{_muted(alert, state)}", width)
    yield from _part("Rule", f"{alert.rule_id}: {alert.title} ({alert.maturity})", width)
    if alert.claim:
        yield from _part("", _CLAIM, width)
    about = {"node": alert.node, **alert.subject}
    yield from _part("About", ", ".join(f"{name} {value}" for name, value in about.items() if value), width)
    first, last = (rfc3339(ns, digits=3) for ns in (alert.first_ns, alert.last_ns))
    times = f"once, {first}" if alert.count == 1 else f"{alert.count:,} times, first {first}, last {last}"
    yield from _part("Seen", times, width)
    yield from _part("Group", _group(alert, state), width)
    for number, one in enumerate(alert.rounds):
        yield from _part("History" if not number else "", _told(one), width)
    yield ""
    for number, quoted in enumerate(evidence.records):
        yield from _part("Evidence" if not number else "", _quote(quoted), width)
    for name in evidence.absent:
        yield from _part("Absent", f"{name}: this store does not hold it (another log, or deleted since)", width)
    yield ""
    for number, step in enumerate(() if rule is None else rule.about.respond):
        yield from _part("Do" if not number else "", f"{number + 1}. {step}", width)
    if rule is not None and rule.digest != alert.rule_digest:
        yield from _part("", "The rule has changed since: these are the steps of the one that is here now.", width)
    yield from _part("Runbook", configured().alerts.runbook_url.replace("{rule_id}", alert.rule_id), width)
    yield ""
    yield from _proof(alert, evidence, width)


def group_screen(group_id: str, members: Sequence["Alert"], width: int) -> Iterator[str]:
    """Say what a group is, and what to do; its alerts are listed below."""
    rule = _rule_of(members[0])
    nodes = sorted({one.node for one in members})
    yield from _part("Group", f"{group_id}: one cause, {len(members)} alerts on {len(nodes)} nodes", width)
    yield from _part("Rule", f"{members[0].rule_id}: {members[0].title}", width)
    if members[0].claim:
        yield from _part("", _CLAIM, width)
    for number, step in enumerate(() if rule is None else rule.about.respond):
        yield from _part("Do" if not number else "", f"{number + 1}. {step}", width)
    yield ""


def _proof(alert: "Alert", evidence: "Evidence", width: int) -> Iterator[str]:
    """Say where its records stand in the log, and how a stranger gets a proof."""
    yield from _part("Log", evidence.log, width)
    numbers = evidence.numbers
    yield from _part("Records", ", ".join(map(str, numbers)), width)
    if evidence.root and all(number < evidence.sealed_to for number in numbers):
        covered = f"of {evidence.entries:,} entries covers them all, root {evidence.root}"
        yield from _part("Checkpoint", covered, width)
    yield f"{'Prove':{_LABEL}}  {prove_command(alert, evidence)}"


def prove_command(alert: "Alert", evidence: "Evidence") -> str:
    """Spell the command that writes a proof of an alert's records and findings."""
    query = " OR ".join(f"seq:{number}" for number in evidence.numbers)
    return f"kata-audit prove '{query}' --out alert-{alert.alert_id}.json"


def _part(label: str, text: str, width: int) -> Iterator[str]:
    """Write a part: its label, and its text over as many lines as it needs; a part without text is left out."""
    if not text:
        return
    indent = _LABEL + 2
    lines = wrap(text, width, indent=indent)
    yield f"{label:{_LABEL}}  {next(lines)[indent:]}"
    yield from lines


def _rule_of(alert: "Alert") -> "Rule | None":
    from kata_audit import wiring

    return next((rule for rule in wiring.rules(configured().rules) if rule.rule_id == alert.rule_id), None)


def _muted(alert: "Alert", state: "AlertState") -> str:
    """Say why people are not told, where they are not."""
    if alert.is_closed or alert.muted is None:
        return ""
    if alert.muted is Muted.SILENCED and alert.muted_by in state.silences:
        silence = state.silences[alert.muted_by]
        return f" until {rfc3339(silence.until_ns, digits=0)} by {silence.owner}: {silence.reason}"
    if alert.muted is Muted.INHIBITED:
        return f" by alert {alert.muted_by} of the same sandbox"
    return {
        Muted.SHADOW: ": its rule is not trusted here yet, and calls nobody",
        Muted.CAPPED: ", in a storm: it was counted, and nobody was told",
    }.get(alert.muted, "")


def _group(alert: "Alert", state: "AlertState") -> str:
    group = state.groups.get(alert.group_id)
    if group is None:
        return ""
    return f"{group.group_id}: {len(group.members)} alerts on {len(group.nodes)} nodes: {', '.join(group.nodes)}"


def _told(one: "Round") -> str:
    """Tell of one time that it was open."""
    parts = [f"opened {rfc3339(one.opened_ns, digits=0)}"]
    if one.acked_ns is not None:
        parts.append(f"acknowledged after {span(one.acked_ns - one.opened_ns)} by {one.acked_by}")
    if one.closed_ns is not None:
        parts.append(f"closed after {span(one.closed_ns - one.opened_ns)} by {one.closed_by} as {one.verdict}: {one.reason}")
    return ", ".join(parts)


def _quote(quoted: "Quoted") -> str:
    time = "without a time" if quoted.timestamp_ns is None else rfc3339(quoted.timestamp_ns, digits=6)
    text = quoted.text if len(quoted.text) <= _TEXT else f"{quoted.text[:_TEXT]}…"
    return f"{quoted.seq}  {time}  {'» ' if quoted.is_claim else ''}{quoted.component}: {text}"


def object_of(alert: "Alert", state: "AlertState", evidence: "Evidence") -> dict[str, Any]:
    """Give all of an alert as one object."""
    rule = _rule_of(alert)
    return {
        **alert_fields(alert),
        "title": alert.title,
        "rule_digest": alert.rule_digest,
        "maturity": str(alert.maturity),
        "subject": dict(alert.subject),
        "muted_by": alert.muted_by,
        "group": _group(alert, state),
        "history": [_spelled(one) for one in alert.rounds],
        "evidence": [_spelled_record(quoted) for quoted in evidence.records],
        "absent": evidence.absent,
        "respond": [] if rule is None else list(rule.about.respond),
        "proof": {
            "log": evidence.log,
            "records": evidence.numbers,
            "entries": evidence.entries,
            "root": evidence.root,
            "sealed_to": evidence.sealed_to,
            "command": prove_command(alert, evidence),
        },
    }


def _spelled_record(quoted: "Quoted") -> dict[str, Any]:
    time = {} if quoted.timestamp_ns is None else {"timestamp": spell_time(quoted.timestamp_ns)}
    texts = {"event_name": quoted.event_name, "body": quoted.text}
    said = {"origin": quoted.origin, "component": quoted.component, "claim": quoted.is_claim}
    return {"seq": quoted.seq, **time, **said, **texts}


def _spelled(one: "Round") -> dict[str, str]:
    times = {"opened": one.opened_ns, "told": one.told_ns, "acknowledged": one.acked_ns, "closed": one.closed_ns}
    words = {
        "acknowledged_by": one.acked_by,
        "closed_by": one.closed_by,
        "verdict": str(one.verdict or ""),
        "reason": one.reason,
    }
    return {
        **{name: spell_time(ns) for name, ns in times.items() if ns is not None},
        **{name: word for name, word in words.items() if word},
    }
