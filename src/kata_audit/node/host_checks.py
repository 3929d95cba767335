"""Checks of the node around Kata: the journal, the engine's own log, clocks, audit rules, the API server."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Any, Final

from kata_audit.node.check import Answer, Evidence, Node, blind, failed, passed, warned
from kata_audit.node.document import DocumentError, parse_yaml
from kata_audit.node.host import API_SERVERS, CLOCK_PLACES, FORWARDER_PLACES, SYSTEMD, Stated, Unit, read_size
from kata_audit.node.keys import Release
from kata_audit.node.known_faults import FAULTS
from kata_audit.node.ledger import PATH as LEDGER

_JOURNAL: Final = "etc/systemd/journald.conf"
ENOUGH_LINE_BYTES: Final = 128 << 10
"""A record of the agent has been 127 kB long; journald cuts at 48 KiB. Source: captures of Kata 4.1.0."""
ENOUGH_BURST: Final = 100_000
"""Messages in thirty seconds: shims and engine share one budget, and a storm of one shim has been 173,433."""
LEVELS: Final = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")
_YES: Final = frozenset({"yes", "true", "on", "1"})
_WRITABLE: Final = 0o002
_READABLE: Final = 0o004
_JOURNALS: Final = (".journal", ".journal~")
_Run = Callable[[Node], Iterable[Answer]]
_VSOCK_CALLS: Final = (("socket", "a0"), ("connect", "saddr_fam"))
"""What sees a socket to a guest: `socket` with the family as its first argument, or `connect` by the address's family. The
first argument of `connect` is a file, not a family. Source: Linux `AF_VSOCK`; auditctl(8)."""
_WATCHED: Final = {
    "KN-100": ("etc/kata-containers", "opt/kata", "usr/share/defaults/kata-containers"),
    "KN-101": ("etc/containerd", "etc/crio", "var/lib/rancher", "etc/k0s"),
    "KN-102": ("etc/systemd/journald.conf", "etc/audit", "etc/rsyslog"),
    "KN-103": (
        "containerd-shim-kata",
        "kata-runtime",
        "kata-ctl",
        "kata-monitor",
        "qemu-system",
        "cloud-hypervisor",
        "firecracker",
    ),
    "KN-105": ("/dev/vhost-vsock", "/dev/kvm", "/dev/vfio"),
}


def _files_read(node: Node) -> Iterator[Answer]:
    unreadable = {**node.layout.unreadable, **node.host.unreadable}
    if not unreadable:
        yield passed("Every file that was looked for could be read.")
    for path, why in unreadable.items():
        yield blind(f"A file could not be read: it {why}.", Evidence(path, None, why))


def _classes_found(node: Node) -> Iterator[Answer]:
    if node.layout.classes:
        names = ", ".join(one.handler.name for one in node.layout.classes)
        yield passed(f"Handlers of Kata: {names}.")
    elif node.layout.engines:
        files = [Evidence(path, None, engine.distribution) for engine in node.layout.engines for path in engine.files]
        yield blind("An engine is set up, and no handler of it starts a Kata shim.", *files)
    else:
        yield blind("No engine was found where containerd, k3s, RKE2, k0s, microk8s or CRI-O keep their settings.")


_BECAME: Final = {"gone": "is gone", "changed": "holds something else", "unreadable": "cannot be read"}


def _still_there(node: Node) -> Iterator[Answer]:
    lost = [one for one in node.host.applied if one.state != "same"]
    for one in lost:
        evidence = Evidence(one.path, None, one.state)
        said = f"What `kata-audit node apply` wrote {_BECAME[one.state]}: /{one.path}."
        yield blind(said, evidence) if one.state == "unreadable" else failed(said, evidence)
    if not lost:
        count = len(node.host.applied)
        yield passed(f"Files that are as it wrote them: {count}." if count else "It wrote nothing on this node.")


def _engine_level(node: Node) -> Iterator[Answer]:
    for engine in node.layout.engines:
        evidence = Evidence(engine.files[-1], None, f"level = {engine.log_level or 'default'}")
        if engine.log_level in {"warn", "warning", "error", "fatal", "panic"}:
            yield failed(f"{engine.name} writes nothing at info: who asked for which pod is lost.", evidence)
        elif engine.log_level in {"debug", "trace"}:
            yield warned(
                f"{engine.name} is at {engine.log_level}: commands are written, and so are their secrets.", evidence
            )
        else:
            yield passed(f"{engine.name} writes at info.", evidence)


def _engine_log_place(node: Node) -> Iterator[Answer]:
    for engine in node.layout.engines:
        if engine.distribution in {"k3s", "rke2"}:
            path = f"var/lib/rancher/{engine.distribution}/agent/containerd/containerd.log"
            if any("containerd.log" in rotated for rotated in node.host.rotated):
                yield passed(
                    f"containerd writes a file of its own, which is rotated: /{path}.", Evidence(path, None, "own file")
                )
            else:
                yield warned(
                    f"containerd writes a file of its own, not to the journal: collect /{path}.",
                    Evidence(path, None, "own file"),
                )
        else:
            yield passed(f"{engine.name} writes to the journal.", Evidence(engine.files[0], None, engine.distribution))


def _engine_format(node: Node) -> Iterator[Answer]:
    for engine in node.layout.engines:
        if engine.log_format == "json":
            yield warned(
                "containerd writes JSON, and the shims' text among it.", Evidence(engine.files[-1], None, "format = json")
            )
        else:
            yield passed(f"{engine.name} writes the text that Kata's shims write.", Evidence(engine.files[0], None, "text"))


def _seen(run: _Run, said: str, *places: str) -> _Run:
    """Answer blind where a file below one of the places could not be read: anything may stand in it."""

    def asked(node: Node) -> Iterable[Answer]:
        hidden = [Evidence(path, None, why) for path, why in node.host.unreadable.items() if path.startswith(places)]
        return [blind(said, *hidden)] if hidden else run(node)

    return asked


def _journal(run: _Run) -> _Run:
    return _seen(run, "The journal's settings cannot be read.", *(f"{place}/journald.conf" for place in SYSTEMD))


def _audit(run: _Run) -> _Run:
    return _seen(run, "The audit rules cannot be read.", "etc/audit")


def _evidence(unit: Unit, name: str) -> Evidence:
    found = unit.settings.get(name)
    return (
        Evidence(_JOURNAL, None, f"{name} is not set")
        if found is None
        else Evidence(found.path, found.line, f"{name}={found.value}")
    )


def _persistent(node: Node) -> Iterator[Answer]:
    journald = node.host.journald
    storage = (journald.get("Storage") or "auto").lower()
    evidence = _evidence(journald, "Storage")
    if storage == "persistent" or (storage == "auto" and node.host.persistent_journal):
        yield passed("The journal outlives a reboot.", evidence)
    elif storage == "none":
        yield failed("The journal keeps nothing.", evidence)
    else:
        yield failed("The journal lies in memory: a reboot ends it.", evidence)


def _rate(node: Node) -> Iterator[Answer]:
    journald = node.host.journald
    burst, evidence = read_size(journald.get("RateLimitBurst")), _evidence(journald, "RateLimitBurst")
    interval = journald.get("RateLimitIntervalSec")
    if burst == 0 or (interval or "").strip() in {"0", "0s"}:
        yield passed("Nothing is suppressed.", evidence)
    elif burst is None or burst < ENOUGH_BURST:
        shown = f"{burst:,}" if burst is not None else "10,000, the default,"
        yield warned(f"{shown} messages of a unit in its interval, then silence: one storm hides its neighbours.", evidence)
    else:
        yield passed(f"{burst:,} messages of a unit in its interval.", evidence)


def _line_max(node: Node) -> Iterator[Answer]:
    size, evidence = read_size(node.host.journald.get("LineMax")), _evidence(node.host.journald, "LineMax")
    if size is None or size < ENOUGH_LINE_BYTES:
        yield warned("A longer line of the engine is cut in pieces: a container's specification is one.", evidence)
    else:
        yield passed("Lines of the engine stay whole.", evidence)


def _keeps(node: Node) -> Iterator[Answer]:
    journald = node.host.journald
    if journald.get("SystemMaxUse") or journald.get("SystemKeepFree"):
        yield passed("The journal's size is set.", _evidence(journald, "SystemMaxUse"))
    else:
        yield warned(
            "The journal takes a tenth of its disk, 4 GB at the most: what that keeps is chance.",
            _evidence(journald, "SystemMaxUse"),
        )


def _stored_level(node: Node) -> Iterator[Answer]:
    journald = node.host.journald
    level = (journald.get("MaxLevelStore") or "debug").lower()
    number = int(level[:3]) if level.isdecimal() else LEVELS.index(level) if level in LEVELS else len(LEVELS)
    if number < LEVELS.index("info"):
        yield failed("Records at info are not stored.", _evidence(journald, "MaxLevelStore"))
    else:
        yield passed("Records at info are stored.", _evidence(journald, "MaxLevelStore"))


def _switch(name: str, default: str, bad: str, good: str, *, wanted: bool) -> Callable[[Node], Iterator[Answer]]:
    def run(node: Node) -> Iterator[Answer]:
        on = (node.host.journald.get(name) or default).lower() in _YES
        evidence = _evidence(node.host.journald, name)
        yield passed(good, evidence) if on is wanted else warned(bad, evidence)

    return run


def _journal_closed(node: Node) -> Iterator[Answer]:
    modes = node.host.journal_modes
    # journald itself lets everybody list its directories, and keeps its files to a group.
    open_ones = [
        (path, mode) for path, mode in modes.items() if mode & _WRITABLE or (mode & _READABLE and path.endswith(_JOURNALS))
    ]
    evidence = [Evidence(path, None, f"mode {mode:04o}") for path, mode in (open_ones or [*modes.items()])[:4]]
    if not modes:
        yield blind("The journal's directory is not there.", Evidence("var/log/journal", None, "not there"))
    elif open_ones:
        yield failed("Anybody on the node may read the journal, or write what stands in it.", *evidence)
    elif any(path.endswith(_JOURNALS) for path in modes):
        yield passed("The journal is closed to others.", *evidence)
    else:
        yield blind("No file of the journal is there whose mode could tell.", *evidence)


def _copied(node: Node) -> Iterable[Answer]:
    if not node.host.forwarders:
        return _seen(_not_copied, "What may carry logs off the node cannot be read.", *FORWARDER_PLACES)(node)
    return [
        passed("Logs are carried off the node.", *(Evidence(path, None, program) for program, path in node.host.forwarders))
    ]


def _not_copied(_: Node) -> Iterator[Answer]:
    yield failed("Nothing was found that carries logs off the node: whoever owns it owns its history.")


def _clock(node: Node) -> Iterable[Answer]:
    clock = node.host.clock
    if clock.daemon is None:
        return _seen(_no_clock, "What may keep the clock right cannot be read.", *CLOCK_PLACES)(node)
    return [passed(f"{clock.daemon} keeps the clock right.", Evidence(clock.path or "", None, clock.daemon))]


def _no_clock(_: Node) -> Iterator[Answer]:
    yield failed("Nothing was found that keeps the clock right.")


def _clock_sources(node: Node) -> Iterator[Answer]:
    clock = node.host.clock
    evidence = Evidence(clock.path or "", None, f"{clock.sources} sources")
    if clock.daemon is None:
        yield blind("No time daemon was found.")
    elif clock.daemon == "systemd-timesyncd" and clock.sources == 0:
        yield blind("Its sources are compiled in, or come with the network.", evidence)
    elif clock.sources < 2:
        yield warned("One source of time cannot be held against another.", evidence)
    else:
        yield passed(f"{clock.sources} sources of time.", evidence)


def _auditd(node: Node) -> Iterator[Answer]:
    if node.host.has_auditd:
        yield passed("The audit daemon is set up.", Evidence("etc/audit", None, ""))
    else:
        yield warned("No audit daemon was found: changes of files and foreign programs are not seen.")


def _watches(check: str, said: str) -> Callable[[Node], Iterator[Answer]]:
    places = _WATCHED[check]

    def run(node: Node) -> Iterator[Answer]:
        if not node.host.has_auditd and not node.host.audit_rules:
            yield blind("There are no audit rules on this node.")
            return
        found = [rule for rule in node.host.audit_rules if any(place in rule.value for place in places)]
        if found:
            yield passed(f"{said} is watched.", *map(_rule, found[:4]))
        else:
            yield failed(
                f"{said} is not watched.", Evidence("etc/audit/rules.d", None, f"{len(node.host.audit_rules)} rules")
            )

    return run


def _rule(rule: Stated) -> Evidence:
    return Evidence(rule.path, rule.line, rule.value)


def _sees_vsock(words: list[str]) -> bool:
    calls = {call for option, names in pairwise(words) if option == "-S" for call in names.split(",")}
    fields = {value for option, value in pairwise(words) if option == "-F"}
    return any(call in calls and {f"{field}=40", f"{field}=0x28"} & fields for call, field in _VSOCK_CALLS)


def _vsock_watched(node: Node) -> Iterator[Answer]:
    rules = [rule for rule in node.host.audit_rules if _sees_vsock(rule.value.split())]
    if rules:
        yield passed("Programs that open sockets to guests are written.", *map(_rule, rules))
    elif not node.host.has_auditd and not node.host.audit_rules:
        yield blind("There are no audit rules on this node.")
    else:
        evidence = Evidence("etc/audit/rules.d", None, "no rule for family 40")
        yield failed("Nobody sees who else opens a socket to a guest.", evidence)


def _immutable(node: Node) -> Iterator[Answer]:
    if not node.host.audit_rules:
        yield blind("There are no audit rules on this node.")
    elif node.host.audit_rules[-1].value.split() == ["-e", "2"]:
        yield passed("Audit rules cannot be changed until a reboot.", _rule(node.host.audit_rules[-1]))
    else:
        yield warned("Audit rules can be taken away while the node runs.", _rule(node.host.audit_rules[-1]))


def _api(run: Callable[[Node], Iterable[Answer]]) -> Callable[[Node], Iterable[Answer]]:
    """Answer blind where no API server is started from this node."""

    def asked(node: Node) -> Iterable[Answer]:
        if node.host.api_audit.path is None:
            return _seen(_no_api, "How the API server is started cannot be read.", *API_SERVERS)(node)
        return run(node)

    return asked


def _no_api(_: Node) -> Iterator[Answer]:
    yield blind("The API server is not on this node: ask the same of the control plane.")


def _api_log(node: Node) -> Iterator[Answer]:
    api = node.host.api_audit
    evidence = Evidence(api.path or "", None, ", ".join(sorted(api.flags)) or "no audit flags")
    if "audit-log-path" in api.flags or "audit-webhook-config-file" in api.flags:
        yield passed("The API server writes an audit log.", evidence)
    else:
        yield failed("The API server writes no audit log: nobody will know who asked.", evidence)


def _policy_rules(node: Node) -> list[Mapping[str, Any]] | None:
    """Give the rules of the API server's audit policy; None where it cannot be read, or takes rules from elsewhere."""
    try:
        policy = parse_yaml(node.host.api_audit.policy or "")
    except DocumentError:
        return None
    rules = _list(policy.get("rules")) if isinstance(policy, dict) else None
    return None if rules is None or not all(isinstance(rule, dict) and "<<" not in rule for rule in rules) else rules


def _list(found: object) -> list[Any] | None:
    return found if isinstance(found, list) else None


def _levels_for(rules: list[Mapping[str, Any]], resource: str, group: str = "") -> Iterator[tuple[str, bool]]:
    """Give the levels at which requests for a resource may be written, in order, each with whether it is for all of them.

    Args:
        rules: Of a policy; the first that fits a request decides.
        resource: `pods/exec`.
        group: Its API group; "" for the core.
    """
    for rule in rules:
        if not _fits(rule, resource, group):
            continue
        limited = any(rule.get(key) for key in ("users", "userGroups", "namespaces", "nonResourceURLs", "verbs"))
        yield str(rule.get("level", "None")), not limited
        if not limited:
            return
    yield "None", True


def _fits(rule: Mapping[str, Any], resource: str, group: str) -> bool:
    groups = _list(rule.get("resources"))
    if not groups:
        return not rule.get("nonResourceURLs")
    whole, _, part = resource.partition("/")
    names = {resource, "*", f"{whole}/*", *([f"*/{part}"] if part else [])}
    return any(
        str(name) in names
        for one in groups
        if isinstance(one, dict) and (one.get("group") or "") == group
        for name in _list(one.get("resources")) or ["*"]
    )


def _level_for(rules: list[Mapping[str, Any]], resource: str) -> str:
    """Give the level at which a request for a resource of the core group is written, whoever makes it."""
    return next(level for level, of_all in _levels_for(rules, resource) if of_all)


def _policy(judge: Callable[[list[Mapping[str, Any]], Evidence], Iterator[Answer]]) -> Callable[[Node], Iterator[Answer]]:
    def run(node: Node) -> Iterator[Answer]:
        rules = _policy_rules(node)
        path = node.host.api_audit.policy_path
        if rules is None:
            yield blind("The audit policy cannot be read.", Evidence(path or node.host.api_audit.path or "", None, "policy"))
        else:
            yield from judge(rules, Evidence(path or "", None, f"{len(rules)} rules"))

    return run


@_policy
def _policy_covers(rules: list[Mapping[str, Any]], evidence: Evidence) -> Iterator[Answer]:
    missing = [name for name in ("pods/exec", "pods/attach", "pods/portforward") if _level_for(rules, name) == "None"]
    if missing:
        yield failed(f"The policy leaves out {', '.join(missing)}.", evidence)
    else:
        yield passed("The policy writes who runs commands, attaches and forwards ports.", evidence)


@_policy
def _policy_spares(rules: list[Mapping[str, Any]], evidence: Evidence) -> Iterator[Answer]:
    leaky = [
        name
        for name, group in (("secrets", ""), ("configmaps", ""), ("tokenreviews", "authentication.k8s.io"))
        if {"Request", "RequestResponse"} & {level for level, _ in _levels_for(rules, name, group)}
    ]
    if leaky:
        yield failed(f"The audit log holds the bodies of {', '.join(leaky)}: secrets and tokens in clear.", evidence)
    else:
        yield passed("The audit log holds no bodies of secrets and tokens.", evidence)


def _api_limits(node: Node) -> Iterator[Answer]:
    api = node.host.api_audit
    missing = [flag for flag in ("audit-log-maxage", "audit-log-maxbackup", "audit-log-maxsize") if flag not in api.flags]
    evidence = Evidence(api.path or "", None, ", ".join(f"{name}={value}" for name, value in sorted(api.flags.items())))
    if "audit-log-path" not in api.flags:
        yield blind("The API server writes no audit file.", evidence)
    elif missing:
        yield warned(f"The audit file grows without end: {', '.join(missing)} is not set.", evidence)
    else:
        yield passed("The audit file is rotated and kept.", evidence)


def _known_faults(node: Node) -> Iterator[Answer]:
    for one in node.layout.classes:
        release, name = one.release.release, one.handler.name
        open_ones = [fault for fault in FAULTS if fault.applies(release, str(one.shim.runtime))]
        if not open_ones:
            yield passed(f"No known fault of its runtime is open at {release}.", subject=name)
            continue
        named = ", ".join(f"{fault.id} (fixed in {fault.fixed})" for fault in open_ones)
        where = Evidence(one.release.why if one.release.exact else "", None, str(release))
        if one.release.exact:
            yield failed(f"Known faults are open: {named}.", where, subject=name)
        else:
            yield blind(f"Its release is at least {release}; these may be open: {named}.", where, subject=name)


def _go_runtime(node: Node) -> Iterator[Answer]:
    for one in node.layout.classes:
        if one.release.release >= Release(4, 0):
            old = str(one.shim.runtime) == "go"
            said = "The Go runtime is deprecated since 4.0." if old else "It is the runtime that is developed."
            yield (warned if old else passed)(said, subject=one.handler.name)


JUDGES: Final[Mapping[str, Callable[[Node], Iterable[Answer]]]] = {
    "KN-006": _files_read,
    "KN-007": _classes_found,
    "KN-018": _known_faults,
    "KN-019": _go_runtime,
    "KN-030": _engine_level,
    "KN-031": _engine_log_place,
    "KN-032": _engine_format,
    "KN-008": _seen(_still_there, "What was written on this node cannot be told.", LEDGER),
    "KN-070": _journal(_persistent),
    "KN-071": _journal(_rate),
    "KN-072": _journal(_line_max),
    "KN-073": _journal(_keeps),
    "KN-074": _journal(_stored_level),
    "KN-075": _journal(_switch("Seal", "yes", "The journal is not sealed.", "The journal may be sealed.", wanted=True)),
    "KN-076": _journal(
        _switch("ReadKMsg", "yes", "The kernel's messages do not come.", "The kernel's messages come.", wanted=True)
    ),
    "KN-077": _journal(
        _switch("ForwardToSyslog", "no", "Every record is written twice.", "Records are written once.", wanted=False)
    ),
    "KN-078": _journal_closed,
    "KN-080": _copied,
    "KN-090": _clock,
    "KN-091": _clock_sources,
    "KN-099": _audit(_auditd),
    "KN-100": _audit(_watches("KN-100", "Kata's configuration")),
    "KN-101": _audit(_watches("KN-101", "The engine's configuration")),
    "KN-102": _audit(_watches("KN-102", "The configuration of logging")),
    "KN-103": _audit(_watches("KN-103", "The running of Kata's programs")),
    "KN-104": _audit(_vsock_watched),
    "KN-105": _audit(_watches("KN-105", "The opening of virtualisation devices")),
    "KN-106": _audit(_immutable),
    "KN-110": _api(_api_log),
    "KN-111": _api(_policy_covers),
    "KN-112": _api(_policy_spares),
    "KN-113": _api(_api_limits),
}
"""What answers each check of the node."""
