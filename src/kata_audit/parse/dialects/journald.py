r"""What systemd-journald says of itself: what its rate limit dropped, kernel messages it missed, what became of its files.

In the journal such an entry has `_TRANSPORT=driver`, which nobody else can set, `MESSAGE_ID`, and often the numbers as
fields; in text files the identifier `systemd-journald` tells. Read where the position names it.

Source: systemd `src/journal/journald-rate-limit.c`, `journald-server.c`, `journald-kmsg.c`; a capture of systemd 252.
"""

import re
from collections.abc import Sequence
from typing import Any

from kata_audit.parse.about import About
from kata_audit.parse.dialects.base import Dialect, Scan
from kata_audit.schema.record import Component

_COUNTED = re.compile(r"(?:Suppressed|Missed|Forwarding to syslog missed) (\d{1,18}) (?:kernel )?messages(?: from (.+))?")
_DAMAGED = re.compile(
    r"(?:Journal )?[Ff]ile (.{1,4096}?) (?:is )?(?:corrupted|uncleanly|has been deleted|was replaced|is from)"
)
_REMOVED = re.compile(r"Deleted (?:[a-z]{1,16} ){0,3}journal (.{1,4096}?) \([^()]{1,64}\)\.\Z")


def _stated(text: str) -> dict[str, str]:
    if match := _COUNTED.match(text):
        return {"count": match[1], **({"systemd.unit": match[2].rstrip(".")} if match[2] else {})}
    match = _DAMAGED.match(text) or _REMOVED.match(text)
    return {"file.path": match[1]} if match else {}


def scan(texts: Sequence[str], _guest: Sequence[bool]) -> Scan:
    """Read journald's messages; see `Dialect`."""
    columns: dict[str, list[Any]] = {"body": list(texts), "component": [Component.JOURNALD] * len(texts)}
    return Scan(columns, [_stated(text) for text in texts], [], None)


ABOUT = About(
    producer="systemd-journald, in the journal itself and in syslog files.",
    versions="systemd 230 to 258; `Suppressed` in a capture of 252, the others from its source, not seen in a capture.",
    examples=("Suppressed 173433 messages from containerd.service",),
    holes=(
        "What was suppressed is gone: a number and the unit is all that is left.",
        "Suppression is told when the next message of the unit passes; until then nothing shows it.",
    ),
    source="systemd `src/journal`; captures.",
)
DIALECT = Dialect("journald", None, "", scan, ABOUT)
