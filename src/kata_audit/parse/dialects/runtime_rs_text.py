"""runtime-rs as text: what is left of its journal records where only the message was kept, as in syslog files.

The message is there, its fields are not: neither level nor sandbox, and not whether the guest's agent wrote it. A console
line stands in `vm console: "…"`, and is the guest's. Read where the position names it: no text shows that it is one.

Source: Kata `src/runtime-rs`, captures of 4.1.0 printed with `journalctl -o short-iso`.
"""

from collections.abc import Sequence

from kata_audit.parse.dialects.base import About, Dialect, Inner, Scan
from kata_audit.parse.texts import unquote_rust
from kata_audit.schema.record import Component

_CONSOLE = 'vm console: "'


def scan(texts: Sequence[str], guest: Sequence[bool]) -> Scan:
    """Read messages; see `Dialect`."""
    rows = [row for row, text in enumerate(texts) if text.startswith(_CONSOLE) and text.endswith('"')]
    inner = Inner(rows, [unquote_rust(texts[row][len(_CONSOLE) : -1]) for row in rows], [True] * len(rows)) if rows else None
    components = [None if is_guest else Component.RUNTIME_RS for is_guest in guest]
    return Scan({"body": list(texts), "component": components}, [{} for _ in texts], [], inner)


ABOUT = About(
    producer="runtime-rs from 3.20, in syslog files and in what `journalctl` prints as text.",
    versions="Kata 3.20 to 4.1; real captures of 4.1.0.",
    examples=('get config path "/etc/kata-containers/runtime-rs/configuration-remote.toml"',),
    holes=(
        "Neither level, sandbox nor subsystem was kept: prefer the journal itself.",
        "Lines of the guest's agent that are no JSON cannot be told from the shim's own: all are of unknown origin.",
    ),
    source="Captures of 4.1.0.",
)
DIALECT = Dialect("runtime-rs-text", None, "", scan, ABOUT)
