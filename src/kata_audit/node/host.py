"""What the node's other programs are set to: journald, clocks, audit rules, forwarders, the API server.

Everything is read from files; nothing is asked of a running program. Where a setting cannot be told from files, it is None.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from kata_audit.node.ledger import Applied, find_applied
from kata_audit.node.tree import Kind, Tree, UnreadableError, exists, read, resolve
from kata_audit.receivers.pattern import FIRECRACKER_SOCKETS, is_of

SYSTEMD: Final = ("usr/lib/systemd", "usr/local/lib/systemd", "run/systemd", "etc/systemd")
"""Where systemd looks, weakest first. Source: systemd.unit(5), journald.conf(5)."""
_MASK: Final = "dev/null"
"""A link to it takes a file of a weaker directory away. Source: systemd.unit(5)."""
_ASSIGNED: Final = re.compile(r"\s*([A-Za-z][A-Za-z0-9]*)\s*=(.*)")


_SIZES: Final = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_SIZE: Final = re.compile(r"([0-9]{1,18})([KMGT]?)")


def read_size(text: str | None) -> int | None:
    """Read a number as systemd writes it, with K, M, G or T behind it; None for what is none.

    Example:
        >>> read_size("256K")
        262144
    """
    match = _SIZE.fullmatch((text or "").strip())
    return int(match[1]) * _SIZES[match[2]] if match else None


class Stated(NamedTuple):
    """A value with its place: the file and line that decide."""

    value: str
    path: str
    line: int


class Unit(NamedTuple):
    """The settings of one of systemd's configuration files, as merged, and the files that could not be read."""

    settings: Mapping[str, Stated]
    unreadable: Mapping[str, str]

    def get(self, name: str) -> str | None:
        """Give a value; None where no file sets it."""
        found = self.settings.get(name)
        return None if found is None else found.value


def read_systemd(tree: Tree, name: str, *, section: str) -> Unit:
    """Read one configuration of systemd: the main file that wins, then drop-ins of all directories in the order of names.

    Args:
        tree: The node's files.
        name: `journald.conf`, `timesyncd.conf`.
        section: The section that counts: `Journal`, `Time`.
    """
    settings: dict[str, Stated] = {}
    unreadable: dict[str, str] = {}
    mains = [f"{directory}/{name}" for directory in SYSTEMD if resolve(tree, f"{directory}/{name}").kind is not Kind.MISSING]
    drop_ins: dict[str, str] = {}
    for directory in SYSTEMD:
        for entry in _names(tree, f"{directory}/{name}.d", unreadable):
            if entry.endswith(".conf"):
                drop_ins[entry] = f"{directory}/{name}.d/{entry}"
    for path in [*mains[-1:], *(drop_ins[entry] for entry in sorted(drop_ins))]:
        text = _text(tree, path, unreadable)
        settings.update(_settings(text, path, section) if text is not None else {})
    return Unit(settings, unreadable)


def _settings(text: str, path: str, section: str) -> dict[str, Stated]:
    found: dict[str, Stated] = {}
    inside = False
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip()
        if stripped.startswith("["):
            inside = stripped == f"[{section}]"
        elif inside and not stripped.startswith(("#", ";")) and (assigned := _ASSIGNED.match(line)):
            found[assigned[1]] = Stated(assigned[2].strip(), path, number)
    return found


def _text(tree: Tree, path: str, unreadable: dict[str, str]) -> str | None:
    found = resolve(tree, path)
    if found.path == _MASK:
        return None
    try:
        return read(tree, path).decode("utf-8", "replace")
    except UnreadableError as error:
        if found.kind not in {Kind.MISSING, Kind.DIRECTORY}:
            unreadable[path] = str(error)
        return None


def _names(tree: Tree, path: str, unreadable: dict[str, str]) -> list[str]:
    found = resolve(tree, path)
    if found.kind is Kind.UNREADABLE:
        unreadable[path] = "cannot be read"
    if found.kind is not Kind.DIRECTORY:
        return []
    try:
        return tree.names(found.path)
    except UnreadableError as error:
        unreadable[path] = str(error)
        return []


_TIME_DAEMONS: Final = (
    (
        "chrony",
        ("etc/chrony/chrony.conf", "etc/chrony.conf"),
        re.compile(r"^[ \t]*(?:server|pool|peer|refclock)[ \t]+\S", re.MULTILINE),
    ),
    ("ntpd", ("etc/ntp.conf", "etc/ntpsec/ntp.conf"), re.compile(r"^[ \t]*(?:server|pool|peer)[ \t]+\S", re.MULTILINE)),
)


class Clock(NamedTuple):
    """Who keeps the node's time: a daemon, its file, and how many sources it has; no daemon where none is set up."""

    daemon: str | None
    path: str | None
    sources: int


def read_clock(tree: Tree, unreadable: dict[str, str]) -> Clock:
    """Tell who keeps the node's time, as far as files say."""
    for daemon, paths, pattern in _TIME_DAEMONS:
        for path in paths:
            text = _text(tree, path, unreadable)
            if text is None:
                continue
            folder = path.rpartition("/")[0]
            more = [
                _text(tree, f"{folder}/{part}/{name}", unreadable) or ""
                for part in ("conf.d", "sources.d")
                for name in _names(tree, f"{folder}/{part}", unreadable)
            ]
            return Clock(daemon, path, sum(len(pattern.findall(part)) for part in [text, *more]))
    timesyncd = read_systemd(tree, "timesyncd.conf", section="Time")
    unreadable.update(timesyncd.unreadable)
    if exists(tree, "usr/lib/systemd/systemd-timesyncd") or timesyncd.settings:
        named = (timesyncd.get("NTP") or timesyncd.get("FallbackNTP") or "").split()
        return Clock("systemd-timesyncd", "etc/systemd/timesyncd.conf", len(named))
    return Clock(None, None, 0)


_FORWARDERS: Final[Sequence[tuple[str, str, re.Pattern[str]]]] = (
    ("rsyslog", "etc/rsyslog.conf", re.compile(r"omfwd|@@?[\w.\[]|omelasticsearch|omkafka|omrelp")),
    ("rsyslog", "etc/rsyslog.d", re.compile(r"omfwd|@@?[\w.\[]|omelasticsearch|omkafka|omrelp")),
    ("systemd-journal-upload", "etc/systemd/journal-upload.conf", re.compile(r"^[ \t]*URL[ \t]*=[ \t]*\S", re.MULTILINE)),
    ("fluent-bit", "etc/fluent-bit", re.compile(r"\boutputs?\b|\[OUTPUT\]", re.IGNORECASE)),
    ("fluentd", "etc/fluent", re.compile(r"<match")),
    ("vector", "etc/vector", re.compile(r"sinks")),
    ("promtail", "etc/promtail", re.compile(r"clients")),
    ("alloy", "etc/alloy", re.compile(r"loki\.write|otelcol\.exporter")),
    ("otel-collector", "etc/otelcol", re.compile(r"exporters")),
    ("otel-collector", "etc/otelcol-contrib", re.compile(r"exporters")),
    ("filebeat", "etc/filebeat", re.compile(r"^[ \t]*output\.", re.MULTILINE)),
    ("splunk-forwarder", "opt/splunkforwarder/etc/system/local/outputs.conf", re.compile(r"tcpout|httpout")),
    (
        "syslog-ng",
        "etc/syslog-ng",
        re.compile(r"destination\b(?:(?!destination\b).)*?(?:network|tcp|udp|syslog|http)\s*+\(", re.DOTALL),
    ),
    ("kata-audit", "etc/kata-audit/config.toml", re.compile(r"^[ \t]*\[", re.MULTILINE)),
)
"""Programs that carry logs off a node, where each is set up, and what shows that it has somewhere to send to."""
FORWARDER_PLACES: Final = tuple(place for _, place, _ in _FORWARDERS)
CLOCK_PLACES: Final = ("etc/chrony", "etc/ntp", "etc/systemd/timesyncd.conf")


def find_forwarders(tree: Tree, unreadable: dict[str, str]) -> list[tuple[str, str]]:
    """List the programs that carry logs off this node, each with the file that says so."""
    found: dict[str, str] = {}
    for program, place, pattern in _FORWARDERS:
        for path in _files(tree, place, unreadable):
            if program not in found and pattern.search(_text(tree, path, unreadable) or ""):
                found[program] = path
    return list(found.items())


_ASKED: Final = {Kind.FILE, Kind.UNREADABLE}


def _files(tree: Tree, place: str, unreadable: dict[str, str]) -> Iterator[str]:
    if resolve(tree, place).kind in _ASKED:
        yield place
    for name in _names(tree, place, unreadable)[:64]:
        if resolve(tree, f"{place}/{name}").kind in _ASKED:
            yield f"{place}/{name}"


def read_audit_rules(tree: Tree, unreadable: dict[str, str]) -> list[Stated]:
    """List the kernel's audit rules as they are loaded at the next boot, with their places."""
    paths = [
        f"etc/audit/rules.d/{name}" for name in _names(tree, "etc/audit/rules.d", unreadable) if name.endswith(".rules")
    ]
    rules = []
    for path in paths or ["etc/audit/audit.rules"]:
        for number, line in enumerate((_text(tree, path, unreadable) or "").splitlines(), start=1):
            if line.strip().startswith("-"):
                rules.append(Stated(line.strip(), path, number))
    return rules


API_SERVERS: Final = (
    "etc/kubernetes/manifests/kube-apiserver.yaml",
    "etc/rancher/k3s/config.yaml",
    "etc/rancher/rke2/config.yaml",
    "var/lib/rancher/rke2/agent/pod-manifests/kube-apiserver.yaml",
    "var/snap/microk8s/current/args/kube-apiserver",
    "etc/k0s/k0s.yaml",
)
_FLAG: Final = re.compile(r"(?<![a-z-])(?:--)?(audit-[a-z-]++)\s*+[=:]\s*+[\"']?([^\s\"',]+)")


class ApiAudit(NamedTuple):
    """How the API server on this node writes its audit log.

    Args:
        path: The file that starts the server; None where this node has none.
        flags: Its audit flags by name.
        policy: The text of its policy; None where it has none or it cannot be read.
        policy_path: Where the policy lies.
    """

    path: str | None
    flags: Mapping[str, str]
    policy: str | None
    policy_path: str | None


def read_api_audit(tree: Tree, unreadable: dict[str, str]) -> ApiAudit:
    """Read how the API server on this node, if there is one, writes its audit log."""
    for path in API_SERVERS:
        text = _text(tree, path, unreadable)
        if text is None:
            continue
        flags = dict(_FLAG.findall(text))
        if not flags and "manifests" not in path:
            continue  # an agent's file, or a server that was told nothing
        policy_path = flags.get("audit-policy-file")
        policy = _text(tree, policy_path, unreadable) if policy_path else None
        return ApiAudit(path, flags, policy, policy_path)
    return ApiAudit(None, {}, None, None)


class Host(NamedTuple):
    """All that is known of a node beside Kata."""

    journald: Unit
    persistent_journal: bool
    journal_modes: Mapping[str, int]
    """Permission bits of the journal's directories and files, its own directory first; empty where it is not there."""
    clock: Clock
    forwarders: Sequence[tuple[str, str]]
    audit_rules: Sequence[Stated]
    has_auditd: bool
    api_audit: ApiAudit
    rotated: Sequence[str]
    """Log files of the engine that a logrotate file names."""
    unreadable: Mapping[str, str]
    """Files that are there and could not be read, with why: anything may stand in them."""
    applied: Sequence[Applied]
    """What we wrote on this node ourselves, and what became of it."""
    reads_log_ports: bool
    """Whether a collector of ours is set up to read the log ports of agents in Firecracker."""


def read_host(tree: Tree) -> Host:
    """Read a node's other programs."""
    journald = read_systemd(tree, "journald.conf", section="Journal")
    unreadable = dict(journald.unreadable)
    return Host(
        journald=journald,
        persistent_journal=resolve(tree, "var/log/journal").kind is Kind.DIRECTORY,
        journal_modes=_journal_modes(tree, unreadable),
        clock=read_clock(tree, unreadable),
        forwarders=find_forwarders(tree, unreadable),
        audit_rules=read_audit_rules(tree, unreadable),
        has_auditd=exists(tree, "usr/sbin/auditd") or exists(tree, "sbin/auditd") or exists(tree, "etc/audit/auditd.conf"),
        api_audit=read_api_audit(tree, unreadable),
        rotated=_rotated(tree, unreadable),
        unreadable=unreadable,
        applied=find_applied(tree, unreadable),
        reads_log_ports=_reads_log_ports(tree, unreadable),
    )


def _journal_modes(tree: Tree, unreadable: dict[str, str]) -> dict[str, int]:
    root = resolve(tree, "var/log/journal").path
    machines = [f"{root}/{name}" for name in _names(tree, root, unreadable)]
    files = [f"{machine}/{name}" for machine in machines for name in _names(tree, machine, unreadable)]
    modes = {path: tree.mode(path) for path in [root, *machines, *files] if tree.kind(path) in {Kind.DIRECTORY, Kind.FILE}}
    return {path: mode for path, mode in modes.items() if mode is not None}


def _rotated(tree: Tree, unreadable: dict[str, str]) -> list[str]:
    texts = [
        _text(tree, f"etc/logrotate.d/{name}", unreadable) or "" for name in _names(tree, "etc/logrotate.d", unreadable)
    ]
    return [path for text in texts for path in re.findall(r"/var/\S+", text)]


_OURS: Final = "etc/kata-audit/config.toml"
_A_SOCKET: Final = FIRECRACKER_SOCKETS.replace("*", "0" * 64)


def _reads_log_ports(tree: Tree, unreadable: dict[str, str]) -> bool:
    """Say whether `[[agent]]` of our configuration names Firecracker's sockets; one with mistakes names none."""
    try:
        tables = tomllib.loads(_text(tree, _OURS, unreadable) or "").get("agent")
    except (tomllib.TOMLDecodeError, RecursionError):
        return False
    return isinstance(tables, list) and any(
        isinstance(one, dict) and "cid" not in one and is_of(_A_SOCKET, str(one.get("path", FIRECRACKER_SOCKETS)))
        for one in tables
    )
