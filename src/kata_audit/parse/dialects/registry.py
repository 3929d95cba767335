"""The dialects by name, and the signatures that route a text to its dialect.

A position that names its dialect decides; else the first character chooses the signatures that are tried. A text that no
signature claims is plain: it stands in `body` as it is.
"""

import re
from collections.abc import Mapping, Sequence

from kata_audit.parse.dialects import (
    auditd,
    cloud_hypervisor,
    env_logger,
    firecracker,
    host_kernel,
    journald,
    kernel,
    klog,
    klog_lines,
    kube_audit,
    kube_audit_legacy,
    kubectl_events,
    logrus,
    logrus_json,
    logrus_tty,
    nydusd,
    own,
    qemu,
    qmp,
    runtime_rs_text,
    rust_panic,
    slog_json,
    slog_term,
    stratovirt,
    systemd_console,
    tracing,
    virtiofsd,
)
from kata_audit.parse.dialects.base import Dialect

DIALECTS: dict[str, Dialect] = {
    dialect.name: dialect
    for dialect in (
        logrus.DIALECT,
        qmp.DIALECT,
        firecracker.DIALECT,
        stratovirt.DIALECT,
        cloud_hypervisor.DIALECT,
        kube_audit.DIALECT,
        logrus_json.DIALECT,
        slog_json.DIALECT,
        kube_audit_legacy.DIALECT,
        klog.DIALECT,
        klog_lines.DIALECT,
        kubectl_events.DIALECT,
        kernel.DIALECT,
        systemd_console.DIALECT,
        rust_panic.DIALECT,
        virtiofsd.DIALECT,
        nydusd.DIALECT,
        own.DIALECT,
        env_logger.DIALECT,
        tracing.DIALECT,
        slog_term.DIALECT,
        logrus_tty.DIALECT,
        qemu.DIALECT,
        auditd.DIALECT,
        host_kernel.DIALECT,
        journald.DIALECT,
        runtime_rs_text.DIALECT,
    )
}


class _Signatures:
    """The signatures of the dialects that a first character allows, as one expression."""

    def __init__(self, dialects: Sequence[Dialect]) -> None:
        self._names = [dialect.name for dialect in dialects]
        self._match = re.compile("|".join(f"({dialect.signature})" for dialect in dialects)).match

    def name_of(self, text: str) -> str | None:
        found = self._match(text)
        return self._names[found.lastindex - 1] if found is not None and found.lastindex is not None else None


def _by_start() -> Mapping[str, _Signatures]:
    starts = sorted({start for dialect in DIALECTS.values() for start in dialect.starts})
    signed = [dialect for dialect in DIALECTS.values() if dialect.signature is not None]
    return {start: _Signatures([dialect for dialect in signed if start in dialect.starts]) for start in starts}


_BY_START = _by_start()


def route(texts: Sequence[str], stated: Sequence[str | None] | None = None) -> dict[str | None, list[int]]:
    """Sort texts by dialect.

    Args:
        texts: What to sort.
        stated: The dialect that each text's position decides, None where it decides none.

    Returns:
        Positions of the texts by the name of their dialect, in order; under None those that have none.
    """
    routes: dict[str | None, list[int]] = {}
    by_start = _BY_START
    for position, text in enumerate(texts):
        name = stated[position] if stated is not None else None
        if name is None:
            signatures = by_start.get(text[:1])
            name = None if signatures is None else signatures.name_of(text)
        routes.setdefault(name, []).append(position)
    return routes
