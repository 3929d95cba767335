r"""A notice in words, for every medium that people read: pager, chat, mail, ticket.

What a notice quotes was written by others. A chat would take `<!channel>` for a call to everybody, Markdown `[x](y)` for a
link, a mail `<b>` for HTML, and all of them `https://…` for something to press. So a character that any of these media acts
on is spelled as its number, as a terminal is shown it: one text that is safe everywhere, and no form for each medium that
could be forgotten.
"""

import re
from datetime import UTC, datetime
from typing import Final

from kata_audit.schema.notice import MAX_LABEL, MAX_SUMMARY, MAX_TITLE, NOTICE_LABELS, Notice, NoticeKind
from kata_audit.schema.visible import number, show

_ACTIVE: Final = re.compile(r"[<>&@\[\]`|*~\\]|(?<![0-9A-Za-z])_|_(?![0-9A-Za-z])|(?<=:)/(?=/)|(?i:(?<=www)\.)")
"""What HTML, Slack, Teams, Discord, Mattermost and Markdown act on; an underscore inside a word is a word's."""
_WORD: Final = {
    NoticeKind.FIRED: "New",
    NoticeKind.REPEATED: "Still there",
    NoticeKind.ESCALATED: "Nobody has acknowledged",
    NoticeKind.REOPENED: "Back again",
    NoticeKind.RESOLVED: "Over",
    NoticeKind.STORM: "Too many alerts",
    NoticeKind.HEARTBEAT: "Alive",
}
_NAMED: Final = 5
"""Names of records in a message; `kata-audit alerts show` has them all."""
_NS: Final = 1_000_000_000


def plain(text: str, limit: int) -> str:
    r"""Make text of others safe to send to any medium, on one line.

    Args:
        text: Anything.
        limit: Characters of it that are kept at most.

    Example:
        >>> plain("<!channel> see\nhttps://bad.example", 40)
        '\\x3c!channel\\x3e see\\x0ahttps:\\x2f/bad.example'
    """
    kept = text if len(text) <= limit else text[: limit - 1] + "…"
    return show(_ACTIVE.sub(lambda found: number(found[0]), kept))


def shown(text: str, limit: int) -> str:
    """Cut text of others to a length, and show what is not visible in it; for destinations that take structured values."""
    return show(text if len(text) <= limit else text[: limit - 1] + "…")


def instant(ns: int) -> str:
    """Spell a time as RFC 3339, UTC, to the millisecond."""
    return datetime.fromtimestamp(ns // _NS, UTC).strftime("%Y-%m-%dT%H:%M:%S") + f".{ns % _NS // 1_000_000:03d}Z"


def labels_of(notice: Notice) -> dict[str, str]:
    """Give the labels that a notice may have, each cut to its length and without a character that is not visible."""
    return {name: shown(notice.labels[name], MAX_LABEL) for name in NOTICE_LABELS if notice.labels.get(name)}


def title_of(notice: Notice) -> str:
    """Say it in one line."""
    claim = " (claimed by a guest)" if notice.claim else ""
    return f"{_WORD[notice.kind]}: {notice.level} {plain(notice.rule_id, MAX_LABEL)} {plain(notice.title, MAX_TITLE)}{claim}"


def body_of(notice: Notice) -> str:
    """Say the rest, a fact on each line."""
    lines = [plain(notice.summary, MAX_SUMMARY)]
    lines += [f"{name}: {plain(value, MAX_LABEL)}" for name, value in labels_of(notice).items()]
    lines.append(f"count: {notice.count}, since {instant(notice.starts_ns)}")
    if notice.ends_ns is not None:
        lines.append(f"ended: {instant(notice.ends_ns)}")
    if notice.evidence:
        more = f" and {len(notice.evidence) - _NAMED} more" if len(notice.evidence) > _NAMED else ""
        lines.append(f"evidence: {', '.join(plain(name, MAX_LABEL) for name in notice.evidence[:_NAMED])}{more}")
    if notice.runbook_url:
        lines.append(f"runbook: {shown(notice.runbook_url, MAX_SUMMARY)}")
    lines.append(f"alert: {plain(notice.alert_id, MAX_LABEL)}")
    return "\n".join(line for line in lines if line)
