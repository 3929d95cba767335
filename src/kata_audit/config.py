"""The configuration file: TOML to frozen values, and every mistake at once with its place.

Only what the product uses can be set. A key that nobody reads is a mistake, because a typing error must not silently turn a
setting off.
"""

import difflib
import ipaddress
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from typing import Any

from kata_audit.detect.alert_policy import AlertSettings
from kata_audit.detect.baseline_settings import WEEKS, BaselineSettings
from kata_audit.detect.sigma.lists import LISTS
from kata_audit.errors import ConfigError, InputMissingError, Problem, UsageError
from kata_audit.exporters.export_settings import Export, ExportKind, mistakes_of_export
from kata_audit.exporters.settings import Destination, DestinationKind, Network, mistakes_of
from kata_audit.predicate.language import parse_query
from kata_audit.receivers.kafka_settings import KafkaInput, mistakes_of_kafka
from kata_audit.receivers.receive_settings import Receive, ReceiveKind, mistakes_of_receive
from kata_audit.receivers.shipped import Fields
from kata_audit.schema.fieldset import FieldSetName
from kata_audit.schema.finding import Level
from kata_audit.schema.source import Transport
from kata_audit.wire.kafka import Sasl

_SYNTAX_PLACE = re.compile(r"(?P<what>.*) \(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\)", re.DOTALL)
_KEY = re.compile(r"""[ \t]*(?:([A-Za-z0-9_-]+)|"((?:[^"\\\n]|\\.)*)"|'([^'\n]*)')[ \t]*(\.?)""")
_SPACE = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")
_VALUE_PART = re.compile(
    r"\"{3}(?:[^\\]|\\.)*?\"{3,5}|'{3}.*?'{3,5}|\"(?:[^\"\\\n]|\\.)*\"|'[^'\n]*'|#[^\n]*|[\[\]{}]|\n|[^\"'#\[\]{}\n]+",
    re.DOTALL,
)
Place = tuple[str | int, ...]
"""Keys from the top to a value; a number counts the tables of a list."""
_MOST_SECONDS = 3600
_MOST_MINUTES = 525_600
_MOST_DAYS = 366
_MOST_RECORDS = 65_536
"""A cut is never larger (`docs/reference/on-disk-format.md`), so that its log entry and its memory stay small."""
_MOST_BYTES = 64 * 1024 * 1024
_MOST_SPOOL_BYTES = 1 << 50
_LAST_NUMBER = (1 << 32) - 2
"""The last port, and the last number of a guest, in a vsock address."""
DEFAULT_TENANT = "default"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,252}")
"""What a node or tenant may be called: it stands in records and in paths of queries."""
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """When a cut is closed: whichever limit is reached first. A cut is never later than `max_age_secs`."""

    max_age_secs: float = 5.0
    """Seconds that an acknowledged record waits at most to be sealed: search and timeline lag by as much."""
    max_records: int = _MOST_RECORDS
    """Records of one cut: one million records are sixteen cuts."""
    max_bytes: int = 12 * 1024 * 1024
    """Bytes of one cut, so that sealing it fits in memory."""


@dataclass(frozen=True, slots=True)
class FileInput:
    """One file to take in, `[[file]]`."""

    path: Path
    """The file, or a pattern of files (`*`, `?`, `[…]`); a relative path starts at the configuration file."""
    transport: Transport | None = None
    """Envelope of its records, and so who wrote them; left out, journal and CRI files say it themselves, others are bare."""
    tenant: str | None = None
    """Whose records they are; left out, the tenant of the whole configuration."""


@dataclass(frozen=True, slots=True)
class JournalInput:
    """One journal to follow, `[[journal]]`; without a key it is the system's."""

    directory: Path | None = None
    """Folder of journal files, where it is not the system's: what `journalctl --directory` takes."""
    namespace: str | None = None
    """Namespace of a unit with `LogNamespace=`: what `journalctl --namespace` takes."""
    tenant: str | None = None
    """Whose records they are; left out, the tenant of the whole configuration."""


@dataclass(frozen=True, slots=True)
class FifoInput:
    """Fifos of Firecracker to read, `[[fifo]]`."""

    path: Path = Path("/run/vc/firecracker/*/logs.fifo")
    """The fifo, or a pattern of fifos; each directory behind the pattern's fixed part must be root's alone."""
    tenant: str | None = None
    """Whose records they are; left out, the tenant of the whole configuration."""


@dataclass(frozen=True, slots=True)
class AgentInput:
    """Log ports of agents to read, `[[agent]]`."""

    path: Path = Path("/run/vc/firecracker/*/root/kata.hvsock")
    """The hypervisor's socket, or a pattern of them; each directory behind the pattern's fixed part must be root's alone."""
    cid: int | None = None
    """The guest's number in the kernel's vsock, in place of a socket."""
    port: int = 1025
    """The agent's log port: its `agent.log_vport`."""
    tenant: str | None = None
    """Whose records they are; left out, the tenant of the whole configuration."""


@dataclass(frozen=True, slots=True)
class RuleSettings:
    """Detection at this place, `[rules]`."""

    folder: Path | None = None
    """Folder of your own rules and filters, Sigma files `*.yml` in it and below it."""
    off: tuple[str, ...] = ()
    """Names of rules that make no findings here."""
    lists: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """What is allowed at this place, `[rules.lists]`: lists of texts; `docs/reference/rule-format.md` has their names."""


@dataclass(frozen=True, slots=True)
class Alerting(AlertSettings):
    """Alerts and who is told of them, `[alerts]`."""

    outbox: Path | None = None
    """Folder in which `alerts deliver` keeps what is to be told; left out, the store's name and `.outbox`."""
    heartbeat_secs: float = 60.0
    """How often destinations with `heartbeat` are told that delivery is alive."""
    heartbeat_stale_secs: float = 180.0
    """They are not told where nothing was sealed for so long: then whoever waits for it is to call."""
    destination: tuple[Destination, ...] = ()
    """Where notices go, `[[alerts.destination]]` each."""


@dataclass(frozen=True, slots=True)
class Config:
    """The whole configuration."""

    store: Path | None = None
    """Directory of the store; `--store` and `KATA_AUDIT_STORE` win."""
    node: str | None = None
    """`<cluster>/<node name>` of the machine whose logs these are; left out, `local/<host name>`."""
    tenant: str = DEFAULT_TENANT
    """Whose records they are."""
    batch: BatchLimits = field(default_factory=BatchLimits)
    """When a cut is closed, `[batch]`."""
    spool_max_bytes: int = 2 * 1024 * 1024 * 1024
    """Bytes that may wait to be sealed, as where the disk has no room for segments; then `collect` reads no more."""
    file: tuple[FileInput, ...] = ()
    """Files to take in, `[[file]]` each; `collect` follows them."""
    journal: tuple[JournalInput, ...] = ()
    """Journals that `collect` follows, `[[journal]]` each."""
    fifo: tuple[FifoInput, ...] = ()
    """Fifos that `collect` reads, `[[fifo]]` each."""
    agent: tuple[AgentInput, ...] = ()
    """Log ports of agents that `collect` reads, `[[agent]]` each."""
    rules: RuleSettings = field(default_factory=RuleSettings)
    """Detection, `[rules]`."""
    baseline: BaselineSettings = field(default_factory=BaselineSettings)
    """What is usual at this place, `[baseline]`."""
    alerts: Alerting = field(default_factory=Alerting)
    """Alerts, `[alerts]`."""
    export: tuple[Export, ...] = ()
    """Systems that records go to, `[[export]]` each."""
    receive: tuple[Receive, ...] = ()
    """Places where `collect` takes what other shippers send, `[[receive]]` each."""
    kafka: tuple[KafkaInput, ...] = ()
    """Topics of Kafka that `collect` reads, `[[kafka]]` each."""
    metrics_file: Path | None = None
    """File that `collect` writes its numbers to, for the textfile collector of Prometheus' node exporter."""


def load_config(path: Path) -> Config:
    """Read a configuration file.

    Args:
        path: The file.

    Returns:
        Its values; what it does not set has its default.

    Raises:
        InputMissingError: It cannot be read.
        ConfigError: It has mistakes; all of them are listed with path, line and column.
    """
    try:
        text = path.read_bytes().decode()
    except OSError as error:
        raise InputMissingError(f"The configuration cannot be read: {error.strerror}.", where=str(path)) from error
    except UnicodeDecodeError as error:
        raise ConfigError("The configuration is not UTF-8.", where=str(path)) from error
    return parse_config(text, name=str(path), folder=path.parent)


def parse_config(text: str, *, name: str, folder: Path = Path()) -> Config:
    """Read the text of a configuration; `name` is what problems call it, relative paths start at `folder`.

    Raises:
        ConfigError: All mistakes with `name:line:column`; a broken syntax hides the mistakes behind it.
    """
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _wrong([_syntax_problem(str(error), text, name)], name) from error
    reader = _Reader(name, find_places(text), folder)
    config = reader.table(Config, data, ())
    if reader.problems:
        raise _wrong(sorted(reader.problems, key=_place_order), name)
    assert isinstance(config, Config)
    return config


def find_places(text: str) -> dict[Place, tuple[int, int]]:
    """Find where each key of a valid TOML text stands, as line and column from 1. Keys of inline tables are left out."""
    places: dict[Place, tuple[int, int]] = {}
    counts: dict[Place, int] = {}
    table: Place = ()
    at = _skip_space(text, 0)
    while at < len(text):
        place = (text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at))
        if text[at] == "[":
            is_list = text.startswith("[[", at)
            keys, at = _keys(text, at + 1 + is_list)
            table = (*_numbered(keys[:-1], counts), keys[-1])
            if is_list:
                counts[table] = counts.get(table, -1) + 1
                places.setdefault(table, place)
            table = _numbered((keys[-1],), counts, table[:-1])
            places[table] = place
            at = text.index("]", at) + 1 + is_list
        else:
            keys, at = _keys(text, at)
            places[*table, *keys] = place
            at = _value_end(text, at + 1)
        at = _skip_space(text, at)
    return places


def _skip_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _keys(text: str, at: int) -> tuple[tuple[str, ...], int]:
    """Read a dotted key."""
    keys: list[str] = []
    while found := _KEY.match(text, at):
        at = found.end()
        keys.append(next(part for part in found.groups()[:3] if part is not None))
        if not found[4]:
            break
    return tuple(keys), at


def _numbered(keys: tuple[str, ...], counts: Mapping[Place, int], before: Place = ()) -> Place:
    """Put the number of the newest table behind each key that names a list of tables."""
    for key in keys:
        before = (*before, key)
        if before in counts:
            before = (*before, counts[before])
    return before


def _value_end(text: str, at: int) -> int:
    """Find the end of a value: the line end that stands in no string and no bracket."""
    depth = 0
    while found := _VALUE_PART.match(text, at):
        part = found.group()
        if part == "\n" and depth == 0:
            break
        depth += (part in {"[", "{"}) - (part in {"]", "}"})
        at = found.end()
    return at


def _wrong(problems: list[Problem], name: str) -> ConfigError:
    count = "one mistake" if len(problems) == 1 else f"{len(problems)} mistakes"
    return ConfigError(f"The configuration has {count}.", problems=problems, where=name)


def _place_order(problem: Problem) -> tuple[int, ...]:
    return tuple(int(part) for part in problem.where.split(":")[-2:])


def _syntax_problem(message: str, text: str, name: str) -> Problem:
    found = _SYNTAX_PLACE.fullmatch(message)
    what = (found["what"] if found else message).replace("\n", " ")
    line = int(found["line"]) if found and found["line"] else text.count("\n") + 1
    column = int(found["column"]) if found and found["column"] else 1
    return Problem(f"{name}:{line}:{column}", f"not TOML: {what}")


class _Reader:
    """Reads tables into dataclasses and collects what is wrong."""

    def __init__(self, name: str, places: Mapping[Place, tuple[int, int]], folder: Path) -> None:
        self.problems: list[Problem] = []
        self._name, self._places, self._folder = name, places, folder

    def table(self, kind: type[Any], data: Mapping[str, Any], at: Place) -> Any:
        """Read one table; None when something in it is wrong."""
        before = len(self.problems)
        known: dict[str, Field[Any]] = {item.name: item for item in fields(kind)}
        for key in data.keys() - known.keys():
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean `{near[0]}`?" if near else f"known here: {', '.join(known)}"
            self._problem((*at, key), f"unknown key `{key}`; {hint}")
        for item in known.values():
            if item.name not in data and item.default is MISSING and item.default_factory is MISSING:
                self._problem(at, f"`{item.name}` is missing")
        values = {key: self._value(key, data[key], (*at, key)) for key in known if key in data}
        made = kind(**values) if len(self.problems) == before else None
        if kind in _MISTAKES:
            for where, message in _MISTAKES[kind](values, made):
                self._problem((*at, *where), message)
        return made if len(self.problems) == before else None

    def _value(self, key: str, value: Any, at: Place) -> Any:
        try:
            named = ".".join(part for part in at if isinstance(part, str))
            if named in _TABLES:
                return self.table(_TABLES[named], _expect(value, dict, f"a table `[{named}]`"), at)
            if named in _LISTED:
                tables = _expect(value, list, f"a list of tables `[[{named}]]`")
                each = [_expect(one, dict, f"a list of tables `[[{named}]]`") for one in tables]
                return tuple(self.table(_LISTED[named], one, (*at, place)) for place, one in enumerate(each))
            read = _READERS.get(named, _READERS[key])(value)
        except _ExpectedError as error:
            return self._problem(at, f"`{key}` must be {error}")
        return self._folder / read.expanduser() if isinstance(read, Path) else read

    def _problem(self, at: Place, message: str) -> None:
        known = next((at[:end] for end in range(len(at), 0, -1) if at[:end] in self._places), None)
        line, column = self._places[known] if known else (1, 1)
        self.problems.append(Problem(f"{self._name}:{line}:{column}", message))


class _ExpectedError(Exception):
    """A value is not what its key takes; the text says what would be."""


def _expect(value: Any, kind: type[Any], what: str) -> Any:
    if not isinstance(value, kind):
        raise _ExpectedError(what)
    return value


def _read_path(value: Any) -> Path:
    if not isinstance(value, str) or not value or "\0" in value:
        raise _ExpectedError("a path in quotes")
    return Path(value)


def _read_texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(text, str) and text for text in value):
        raise _ExpectedError("a list of texts in quotes")
    return tuple(value)


def _read_lists(value: Any) -> dict[str, tuple[str, ...]]:
    named = _expect(value, dict, "a table `[rules.lists]` of names and lists of texts")
    for name in named.keys() - LISTS.keys():
        near = difflib.get_close_matches(name, LISTS, n=1)
        hint = f"did you mean `{near[0]}`" if near else f"the lists are {', '.join(LISTS)}"
        raise _ExpectedError(f"of lists that rules name; there is no `{name}`; {hint}")
    return {name: _read_texts(texts) for name, texts in named.items()}


def _read_name(value: Any) -> str:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise _ExpectedError("a name of letters, digits and `._/-`, at most 253 long")
    return value


def _read_transport(value: Any) -> Transport:
    names = [str(transport) for transport in Transport]
    if value in names:
        return Transport(value)
    near = difflib.get_close_matches(str(value), names, n=1)
    raise _ExpectedError(f"a transport; did you mean `{near[0]}`?" if near else f"a transport: {', '.join(names)}")


def _read_seconds(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= _MOST_SECONDS:
        raise _ExpectedError(f"a number of seconds over 0, at most {_MOST_SECONDS}")
    return float(value)


def _read_count(most: int) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
            raise _ExpectedError(f"a whole number from 1 to {most}")
        return value

    return read


def _read_span(most: float) -> Callable[[Any], float]:
    def read(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
            raise _ExpectedError(f"a number from 0 to {most:g}")
        return float(value)

    return read


def _read_wait(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 1 <= value <= _MOST_MINUTES:
        raise _ExpectedError(f"a number of minutes from 1 to {_MOST_MINUTES}")
    return float(value)


def _read_word(kinds: type[StrEnum]) -> Callable[[Any], StrEnum]:
    def read(value: Any) -> StrEnum:
        names = [str(kind) for kind in kinds]
        if value not in names:
            raise _ExpectedError(f"one of {', '.join(names)}")
        return kinds(value)

    return read


def _read_text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise _ExpectedError("a text in quotes")
    return value


def _read_variable(value: Any) -> str:
    if not isinstance(value, str) or not _VARIABLE.fullmatch(value):
        raise _ExpectedError("the name of an environment variable")
    return value


def _read_yes(value: Any) -> bool:
    if not isinstance(value, bool):
        raise _ExpectedError("true or false")
    return value


def _read_networks(value: Any) -> tuple[Network, ...]:
    try:
        return tuple(ipaddress.ip_network(text) for text in _read_texts(value))
    except ValueError as error:
        raise _ExpectedError("a list of networks as CIDR, such as `10.1.0.0/16`") from error


def _mistakes_of_export(_: Mapping[str, Any], one: Export | None) -> Iterator[tuple[Place, str]]:
    if one is None:
        return
    yield from (((key,), message) for key, message in mistakes_of_export(one))
    try:
        parse_query(one.query)
    except UsageError as error:
        yield ("query",), f"`query` is none: {error.message}"


def _keyed(
    mistakes: Callable[[Any], Iterator[tuple[str, str]]],
) -> Callable[[Mapping[str, Any], Any], Iterator[tuple[Place, str]]]:
    return lambda _, one: (((key,), message) for key, message in ([] if one is None else mistakes(one)))


def _mistakes_of_all(values: Mapping[str, Any], _: Config | None) -> Iterator[tuple[Place, str]]:
    for key in ("export", "receive", "kafka"):
        names = [None if one is None else one.name for one in values.get(key) or ()]
        for at, name in enumerate(names):
            if name is not None and name in names[:at]:
                yield (key, at, "name"), f"there is another {key} `{name}`"


def _mistakes_of_alerting(values: Mapping[str, Any], _: Alerting | None) -> Iterator[tuple[Place, str]]:
    each: Sequence[Destination | None] = values.get("destination") or ()  # None: it has mistakes of its own
    names = [None if one is None else one.name for one in each]
    for at, one in enumerate(each):
        if one is not None and one.name in names[:at]:
            yield ("destination", at, "name"), f"there is another destination `{one.name}`"
        if one is not None and one.second is not None and one.second not in names and None not in names:
            yield ("destination", at, "second"), f"there is no destination `{one.second}`"


def _mistakes_of_baseline(_: Mapping[str, Any], one: BaselineSettings | None) -> Iterator[tuple[Place, str]]:
    if one is not None and one.learn_days > one.keep_days:
        yield ("learn_days",), f"what is kept for {one.keep_days} days is never learned in {one.learn_days}"


_TABLES: dict[str, type[Any]] = {
    "batch": BatchLimits,
    "rules": RuleSettings,
    "baseline": BaselineSettings,
    "alerts": Alerting,
}
"""What stands in each table."""
_LISTED: dict[str, type[Any]] = {
    "file": FileInput,
    "journal": JournalInput,
    "fifo": FifoInput,
    "agent": AgentInput,
    "alerts.destination": Destination,
    "export": Export,
    "receive": Receive,
    "kafka": KafkaInput,
}
"""What stands in each list of tables."""
_MISTAKES: dict[type[Any], Callable[[Mapping[str, Any], Any], Iterable[tuple[Place, str]]]] = {
    Config: _mistakes_of_all,
    Destination: _keyed(mistakes_of),
    Export: _mistakes_of_export,
    Receive: _keyed(mistakes_of_receive),
    KafkaInput: _keyed(mistakes_of_kafka),
    Alerting: _mistakes_of_alerting,
    BaselineSettings: _mistakes_of_baseline,
}
"""What is wrong with values that are right one by one, and at which key; the table is None where one is not."""
_READERS: dict[str, Callable[[Any], Any]] = {
    "store": _read_path,
    "path": _read_path,
    "directory": _read_path,
    "metrics_file": _read_path,
    "folder": _read_path,
    "off": _read_texts,
    "lists": _read_lists,
    "namespace": _read_name,
    "node": _read_name,
    "tenant": _read_name,
    "transport": _read_transport,
    "max_age_secs": _read_seconds,
    "max_records": _read_count(_MOST_RECORDS),
    "max_bytes": _read_count(_MOST_BYTES),
    "spool_max_bytes": _read_count(_MOST_SPOOL_BYTES),
    "cid": _read_count(_LAST_NUMBER),
    "port": _read_count(_LAST_NUMBER),
    "outbox": _read_path,
    "shadow_days": _read_span(3650),
    "reopen_hours": _read_span(8760),
    "repeat_hours": _read_span(8760),
    "inhibit_minutes": _read_span(_MOST_MINUTES),
    "group_nodes": _read_count(_MOST_RECORDS),
    "group_alerts": _read_count(_MOST_RECORDS),
    "group_minutes": _read_span(_MOST_MINUTES),
    "storm_rule": _read_count(_MOST_RECORDS),
    "storm_all": _read_count(_MOST_RECORDS),
    "escalate_critical_minutes": _read_wait,
    "escalate_high_minutes": _read_wait,
    "escalate_medium_minutes": _read_wait,
    "escalate_low_minutes": _read_wait,
    "runbook_url": _read_text,
    "heartbeat_secs": _read_seconds,
    "heartbeat_stale_secs": _read_seconds,
    "name": _read_name,
    "kind": _read_word(DestinationKind),
    "url": _read_text,
    "secret_file": _read_path,
    "secret_env": _read_variable,
    "ca_file": _read_path,
    "allow": _read_networks,
    "plaintext": _read_yes,
    "min_level": _read_word(Level),
    "heartbeat": _read_yes,
    "standby": _read_yes,
    "second": _read_name,
    "second_after_secs": _read_seconds,
    "enabled": _read_yes,
    "learn_days": _read_count(_MOST_DAYS),
    "keep_days": _read_count(_MOST_DAYS),
    "rate_weeks": _read_count(WEEKS),
    "rate_score": _read_span(1000),
    "rate_difference": _read_count(_MOST_RECORDS),
    "silence_factor": _read_span(1000),
    "silence_minutes": _read_wait,
    "export.kind": _read_word(ExportKind),
    "fields": _read_word(FieldSetName),
    "receive.kind": _read_word(ReceiveKind),
    "listen": _read_text,
    "topic": _read_text,
    "group": _read_name,
    "evidence_of": _read_texts,
    **{f"{one}_field": _read_text for one in Fields._fields},
    "certificate_file": _read_path,
    "key_file": _read_path,
    "client_ca_file": _read_path,
    "query": _read_text,
    "raw": _read_yes,
    "evidence": _read_yes,
    "backlog": _read_yes,
    "into": _read_name,
    "user": _read_text,
    "sasl": _read_word(Sasl),
    "gzip": _read_yes,
    "dead_letters_max_bytes": _read_count(_MOST_SPOOL_BYTES),
}
"""How the value of each key is read; a key means the same wherever it stands, but for those that name their table."""
