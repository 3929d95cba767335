"""A notice as an object of JSON, for webhooks and files. `docs/reference/notices.md` describes it."""

import json
from typing import Any

from kata_audit.exporters.text import instant, labels_of, shown
from kata_audit.schema.notice import MAX_EVIDENCE, MAX_LABEL, MAX_SUMMARY, MAX_TITLE, Notice


def spell_notice(notice: Notice) -> bytes:
    """Spell a notice on one line of JSON, without a line end: its type, when it was made, and its data."""
    value = {"type": f"alert.{notice.kind}", "timestamp": instant(notice.time_ns), "data": data_of(notice)}
    return json.dumps(value, ensure_ascii=True, separators=(",", ":")).encode()


def data_of(notice: Notice) -> dict[str, Any]:
    """Give what a notice says as values of JSON; text of others is cut, and what is not visible in it is shown."""
    return {
        "dedup_key": notice.dedup_key,
        "alert_id": shown(notice.alert_id, MAX_LABEL),
        "rule_id": shown(notice.rule_id, MAX_LABEL),
        "level": str(notice.level),
        "title": shown(notice.title, MAX_TITLE),
        "claim": notice.claim,
        "labels": labels_of(notice),
        "summary": shown(notice.summary, MAX_SUMMARY),
        "runbook_url": shown(notice.runbook_url, MAX_SUMMARY),
        "evidence": [shown(name, MAX_LABEL) for name in notice.evidence[:MAX_EVIDENCE]],
        "starts_at": instant(notice.starts_ns),
        "ends_at": None if notice.ends_ns is None else instant(notice.ends_ns),
        "count": notice.count,
    }
