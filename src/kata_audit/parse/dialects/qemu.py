r"""QEMU's standard error: `qemu-system-x86_64: -device vhost-vsock-pci,…: warning: text`.

Name, option and level may each be missing: `error_report()` writes the name and no level for an error, `warning: ` and
`info: ` for the rest; the option is the one that QEMU was reading. Old code prints `qemu: text` or bare text, an error's
second line has no name, and a machine that KVM cannot run is a dump of its registers. The body is option and text.

Source: QEMU `util/error-report.c`; captures of QEMU 7.2.
"""

import re
from collections.abc import Sequence
from typing import Any

from kata_audit.parse.about import About
from kata_audit.parse.dialects.base import Dialect, Scan
from kata_audit.parse.stderr import severity_of
from kata_audit.schema.record import Component
from kata_audit.schema.severity import ERROR, FATAL, INFO, WARN

_NAME = r"qemu(?:-[\w.-]{1,60})?"
_TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z"
_LINE = re.compile(
    rf"(?:({_TIME}) )?(?:({_NAME}): )?(?:(-[a-z][\w-]{{0,40}}(?: [^\n]*?)?): )?(?:(warning|info|error): )?(.*)", re.DOTALL
)
_ASSERTION = re.compile(r"([^\s:]{1,1024}):(\d{1,7}): (\w{1,255}): Assertion `")
_LEVELS = {"warning": WARN, "info": INFO, "error": ERROR}
_BARE_ERRORS = ("Could not access KVM kernel module: ", "KVM internal error. ", "KVM: entry failed, ")
"""What QEMU says of a failure without a name in front."""


def _severity(name: str | None, level: str | None, text: str) -> int | None:
    if level is not None:
        return _LEVELS[level]
    if name is not None or text.startswith(_BARE_ERRORS):
        return FATAL if _ASSERTION.match(text) else ERROR
    return severity_of(text)


def _attributes(name: str | None, option: str | None, text: str) -> dict[str, str]:
    stated = {}
    if name is not None and name != "qemu":
        stated["process.executable.name"] = name
    if option is not None:
        stated["process.command_args"] = option
    if "Assertion `" in text and (failed := _ASSERTION.match(text)):
        stated.update({"code.file.path": failed[1], "code.line.number": failed[2], "code.function.name": failed[3]})
    return stated


def scan(texts: Sequence[str], _guest: Sequence[bool]) -> Scan:
    """Read QEMU's lines; see `Dialect`."""
    times, severities, bodies, attributes = [], [], [], []
    for line in texts:
        match = _LINE.fullmatch(line.rstrip("\r\n"))
        time, name, option, level, text = match.groups() if match is not None else (None, None, None, None, line)
        times.append(time)
        severities.append(_severity(name, level, text))
        bodies.append(text if option is None else f"{option}: {text}")
        attributes.append(_attributes(name, option, text))
    columns: dict[str, list[Any]] = {
        "time": times,
        "severity_number": severities,
        "body": bodies,
        "component": [Component.QEMU] * len(texts),
    }
    return Scan(columns, attributes, [], None)


ABOUT = About(
    producer="QEMU on standard error: relayed by the Go shim (`subsystem=qemu qemuPid=`) and by runtime-rs (`qemu stderr:`),"
    " or in a file of its own.",
    versions="Captures of 7.2.22; other versions from the source.",
    examples=(
        (
            "qemu-system-x86_64: -device vhost-vsock-pci,guest-cid=4126: vhost-vsock: failed to open vhost device:"
            " No such file or directory"
        ),
        "qemu-system-x86_64: warning: TCG doesn't support requested feature: CPUID.01H:ECX.vmx [bit 5]",
        "qemu: could not load PC BIOS '/opt/kata/share/ovmf/OVMF-missing.fd'",
        "qemu-system-x86_64: ../../softmmu/vl.c:2590: qemu_machine_creation_done: Assertion `machine->cgs->ready' failed.",
    ),
    holes=(
        "There is no time but with `-msg timestamp=on`.",
        "A line without a name states no level; an error's second line is one.",
        "An option that holds a colon and a blank ends there.",
        "What the Go shim takes away of `warning: ` is put back from its level.",
    ),
    source="QEMU `util/error-report.c`; captures of 7.2.22.",
)
DIALECT = Dialect("qemu", r"qemu(?:-kvm|(?:-[a-z0-9]{1,20})?-system-[a-z0-9_]{1,20})?: ", "q", scan, ABOUT)
