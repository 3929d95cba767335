r"""systemd on a console: `[  OK  ] Started …`, `         Starting …`, `unit.service: …`, `systemd[1]: …`.

The word in brackets is how a job ended; a line without one says that a job began. Colours mark words and are taken out.
Where a line is too wide systemd cuts out its middle and writes `…`.

Source: systemd `src/core/job.c` (`job_done_messages`, `job_emit_done_message`), `src/core/manager.c` (status lines),
`src/core/main.c` and `src/shared/machine-id-setup.c` (sentences).
"""

import re
from collections.abc import Sequence
from typing import Any

from kata_audit.parse.about import About
from kata_audit.parse.dialects.base import Dialect, Scan
from kata_audit.parse.terminal import without_sequences
from kata_audit.schema.record import Component
from kata_audit.schema.severity import ERROR, INFO, WARN

_LEVELS = {
    "INFO": INFO,
    "FAILED": ERROR,
    "TIME": ERROR,
    "DEPEND": WARN,
    "ASSERT": WARN,
    "UNSUPP": WARN,
    "WARN": WARN,
}
"""The level at which systemd logs each ending of a job, by the word that the console shows. `OK` and `SKIP` state none."""

_COLOUR = r"(?:\x1b\[[0-9;]{0,16}m)?"
_WORD = r"(?: *(?:OK|INFO|FAILED|TIME|DEPEND|ASSERT|UNSUPP|WARN|SKIP) *| *\*{1,3} *)"
_BEGUN = (
    r"Starting|Stopping|Mounting|Unmounting|Expecting device|Reloading|Restarting|Activating swap|Deactivating swap"
    r"|Reexecuting"
)
_UNIT = r"[\w@:.\\-]{1,255}\.(?:service|socket|target|mount|automount|swap|timer|path|slice|scope|device)"
_PROGRAM = r"systemd(?:-[a-z]{1,20}){0,4}\[\d{1,10}\]: "
_SENTENCES = (
    r"Detected (?:virtualization|confidential virtualization|architecture|first boot)[^\n]{0,64}\."
    r"|Running in initrd\.|Running in initial RAM disk\."
    r"|(?:Hostname set to|Set hostname to) <[^>\n]{1,255}>\."
    r"|Initializing machine ID from [^\n]{1,64}\.|Installed transient /etc/machine-id file\."
    r"|Queued start job for default target [^\n]{1,255}\."
    r"|Startup finished in [0-9][^\n]{1,255}\."
    r"|See 'systemctl status [^'\n]{1,255}' for details\."
    r"|cgroup compatibility translation between legacy and unified hierarchy settings activated\.[^\n]{0,255}"
    r"|Freezing execution\."
)
"""What systemd's first process says without a unit or a word in brackets."""
_LINE = re.compile(
    rf"\[(?P<word>{_WORD})\] (?P<ended>.*)"
    rf"| {{9}}(?P<begun>(?:{_BEGUN}) .*)"
    r"|(?P<program>systemd(?:-[a-z]{1,20}){0,4})\[(?P<pid>\d{1,10})\]: (?P<said>.*)"
    rf"|(?P<unit>{_UNIT}): (?P<of_unit>.*)"
    r"|(?P<running>systemd \d{2,4}[^ ]* (?:\([^)]*\) )?running in system mode.*)"
    rf"|(?P<sentence>{_SENTENCES})",
    re.DOTALL,
)


def scan(texts: Sequence[str], guest: Sequence[bool]) -> Scan:
    """Read systemd's console lines; see `Dialect`."""
    malformed, severities, bodies, subsystems, pids = [], [], [], [], []
    attributes: list[dict[str, str]] = []
    for row, text in enumerate(texts):
        line = without_sequences(text).rstrip("\r\n")
        match = _LINE.fullmatch(line)
        found = match.groupdict() if match is not None else {}
        if match is None:
            malformed.append(row)
        word = (found.get("word") or "").strip(" *")
        attributes.append({"systemd.status": word} if word else {})
        severities.append(_LEVELS.get(word))
        ended = found.get("ended") or found.get("begun") or found.get("said")
        bodies.append(line if ended is None else ended)
        subsystems.append(found.get("program") or found.get("unit"))
        pids.append(found.get("pid"))
    broken = set(malformed)
    columns: dict[str, list[Any]] = {
        "severity_number": severities,
        "body": bodies,
        "component": [
            Component.GUEST_SYSTEMD if is_guest and row not in broken else None for row, is_guest in enumerate(guest)
        ],
        "subsystem": subsystems,
        "pid": pids,
    }
    return Scan(columns, attributes, malformed, None)


ABOUT = About(
    producer="systemd as the guest's first process, on the guest's console.",
    versions="systemd 247 to 257. Not seen in a capture of ours, whose guests have the agent as first process; lines of"
    " public logs with systemd 255 were read.",
    examples=(
        "[\x1b[0;32m  OK  \x1b[0m] Started \x1b[0;1;39mkata-agent.service\x1b[0m - Kata Containers Agent.",
        "[\x1b[0;1;31mFAILED\x1b[0m] Failed to start \x1b[0;1;39mchronyd.service\x1b[0m - NTP client/server.",
        "         Starting kata-agent.service - Kata Containers Agent...",
        "systemd[1]: Detected virtualization kvm.",
        "kata-agent.service: Main process exited, code=exited, status=1/FAILURE",
        "Startup finished in 497ms (kernel) + 718ms (userspace) = 1.216s.",
    ),
    holes=(
        "Lines without a unit or a word in brackets are known where they are sentences of its start-up; others are plain.",
        "Names cut with `…` cannot be made whole.",
        "At a position that is no guest's no component is told: the host has a systemd too.",
    ),
    source="systemd `src/core/job.c`, `src/core/manager.c`.",
)
DIALECT = Dialect(
    "systemd-console",
    rf"{_COLOUR}(?:\[{_COLOUR}{_WORD}{_COLOUR}\] | {{9}}(?:{_BEGUN}) |{_PROGRAM}|{_UNIT}: "
    r"|systemd \d{2,4}[^ ]{0,60} (?:\([^)]*\) )?running in system mode"
    rf"|(?:{_SENTENCES})\r?\Z)",
    "[ \x1babcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
    scan,
    ABOUT,
)
