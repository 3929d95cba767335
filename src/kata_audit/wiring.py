"""Where concrete things are named and put together; nobody else does.

Engines are imported inside the functions, so that a command loads only what it uses.
"""

import ctypes
import gc
import secrets
import socket
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import cache, partial
from importlib import resources
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from kata_audit.clock import SystemClock

if TYPE_CHECKING:
    from kata_audit.config import Config, RuleSettings
    from kata_audit.detect.alert_policy import AlertSettings
    from kata_audit.detect.baseline import Baselines
    from kata_audit.detect.rule import Rule
    from kata_audit.exporters.base import Exporter
    from kata_audit.exporters.settings import Destination
    from kata_audit.integrations.pack import Pack
    from kata_audit.node.apply import Act
    from kata_audit.node.canary_table import Table
    from kata_audit.node.check import Check
    from kata_audit.node.examine import Examination
    from kata_audit.node.plan import Plan
    from kata_audit.parse.catalog.matcher import Catalog
    from kata_audit.pipeline.alert_evidence import Evidence
    from kata_audit.pipeline.alerting import Alerting
    from kata_audit.pipeline.collect import Collector
    from kata_audit.pipeline.deliver import Deliverer
    from kata_audit.pipeline.derive import Derive
    from kata_audit.pipeline.ingest import Sealer
    from kata_audit.pipeline.rehearsal import Rehearsal
    from kata_audit.pipeline.rule_folder import Checked
    from kata_audit.pipeline.why_causes import Causes
    from kata_audit.receivers.base import Watch
    from kata_audit.receivers.file import FileReceiver, Place
    from kata_audit.schema.alert import Alert
    from kata_audit.store.fsck import Verdict
    from kata_audit.store.reader import Reader
    from kata_audit.store.writer import Writer

_COLLECT_AFTER = 20_000
"""New containers until Python looks for cycles among them."""
_LIVE_LATENESS_NS = 10_000_000_000
"""How long what happened elsewhere at the same moment is waited for, where records are judged as they come."""
_WHOLE_INPUT_NS = 1 << 62
"""Files come one after another and tell of the same time: their events are in order at the end alone."""
_TAKE_TRIES, _TAKE_SECS = 20, 0.1
"""How often a command looks whether the writer has taken in what it left; a collector does within a second."""
_NO_STORE_KEY = b"kata-audit without a store"
"""Tells files apart where no store has a key: nothing of it is kept."""


def default_node() -> str:
    """Name this machine where nobody named it: `local/<host name>`."""
    return f"local/{socket.gethostname() or 'node'}"


def writing(root: Path, *, node: str | None = None, create: bool = True) -> AbstractContextManager["Writer"]:
    """Open a store as its one writer, by the machine's clock; `node` goes into the name of a new log."""
    import pyarrow as pa

    from kata_audit.store.writer import open_writer

    pa.set_cpu_count(1)  # a collector is a guest on its node: one core, and no thread that holds memory of its own
    pa.set_io_thread_count(1)
    collect_seldom()
    return open_writer(root, clock=SystemClock(), node=node, create=create)


def collect_seldom() -> None:
    """Have Python look for cycles seldom: next to no row or record is in one, and looking takes a twentieth of the time."""
    gc.set_threshold(_COLLECT_AFTER)


@contextmanager
def reading(root: Path) -> Iterator["Reader"]:
    """Open a store for reading: its index learns what new segments say of pods, and API requests tell who asked."""
    from kata_audit.parse import actors
    from kata_audit.parse.link import link
    from kata_audit.store.reader import ActorJoin, open_reader

    join = ActorJoin(actors.REQUEST_COLUMNS, actors.ACT_COLUMNS, actors.read_requests, actors.name_actors, actors.REACH_NS)
    with open_reader(root, link=link, join=join) as reader:
        yield reader


def fold_alerts(root: Path, settings: "AlertSettings") -> "Alerting":
    """Fold the findings and acts that a store has sealed, up to now.

    Raises:
        StoreError: There is no store, or it cannot be read.
        VerificationError: The log is not what its checkpoint says.
    """
    from kata_audit.detect.alert_records import SAID_KINDS
    from kata_audit.pipeline.alerting import Alerting
    from kata_audit.store.tail import Tail

    alerting, tail = Alerting(settings), Tail(root, SAID_KINDS, 0)
    while (step := tail.step()) is not None:
        alerting.fold(step.rows, 0)
    alerting.fold(None, SystemClock().now_ns())
    return alerting


def alert_evidence(root: Path, alert: "Alert") -> "Evidence":
    """Read the records that an alert rests on, and those of its findings, with what proves them."""
    from kata_audit.pipeline.alert_evidence import read_evidence
    from kata_audit.store.layout import Layout
    from kata_audit.store.log import read_checkpoint

    with reading(root) as reader:
        return read_evidence(reader, read_checkpoint(Layout(root)), alert)


def record(root: Path, kind: str, lines: Sequence[bytes], config: "Config") -> bool:
    """Record what a command did, as records of ours: by the writer that runs, or as the writer where none does.

    Args:
        root: The store, which must be there.
        kind: It ends the records' receiver, `kata-audit:<kind>`.
        lines: The records, spelled by `schema.own`, in order.
        config: Names the node and the tenant.

    Returns:
        Whether they are in the store by now; if not, they wait durably for the writer.

    Raises:
        StoreError: There is no store, or this user may not write to it.
    """
    from kata_audit.errors import StoreLockedError
    from kata_audit.store.inbox import is_waiting

    sent = leave_records(root, kind, lines, config)
    for _ in range(_TAKE_TRIES):
        with suppress(StoreLockedError), writing(root, create=False) as writer:
            sealer(writer, config, merges=False).seal_all()
        if not any(is_waiting(root, message_id) for message_id in sent):
            return True
        time.sleep(_TAKE_SECS)
    return False


def leave_records(root: Path, kind: str, lines: Sequence[bytes], config: "Config") -> list[str]:
    """Leave records of ours for the writer of a store, durably, and wait for nothing; see `record`.

    Returns:
        Ids of the messages that hold them.
    """
    from kata_audit.parse.mask import mask
    from kata_audit.schema.own import Said, own_rows
    from kata_audit.store.inbox import Message, leave

    now, node = SystemClock().now_ns(), config.node or default_node()
    rows, _ = mask(own_rows(kind, [Said(now + at, node, config.tenant, line) for at, line in enumerate(lines)]), None)
    masked = enumerate(rows.column("raw").to_pylist())  # people type secrets too
    sent = [Message(secrets.token_hex(16), now + at, kind, node, config.tenant, line) for at, line in masked]
    for message in sent:
        leave(root, message)
    return [message.message_id for message in sent]


def has_store(root: Path) -> bool:
    """Say whether there is a store at a place."""
    from kata_audit.store.layout import Layout, check_format

    return check_format(Layout(root))


def fingerprint_key(root: Path, writer: "Writer") -> bytes:
    """Give the key of the fingerprints of a store that is open for writing."""
    from kata_audit.store.durable import RealDisk
    from kata_audit.store.keys import load_or_create
    from kata_audit.store.layout import Layout

    return load_or_create(RealDisk(), Layout(root), writer.origin).fingerprint_key


def file_receiver(path: str, place: "Place", *, key: bytes = _NO_STORE_KEY, prompt: bool = False) -> "FileReceiver":
    """Open one file, or stdin for `-`, as a receiver; a prompt one hands on a pipe's lines as they come."""
    from kata_audit.receivers.file import FileReceiver

    return FileReceiver(path, place, clock=SystemClock(), key=key, prompt=prompt)


@cache
def catalog() -> "Catalog":
    """Read the known messages that the package holds."""
    from kata_audit.parse.catalog.entry import load_entries
    from kata_audit.parse.catalog.matcher import Catalog

    folder = resources.files("kata_audit.parse.catalog")
    files = {entry.name: entry.read_bytes() for entry in folder.iterdir() if entry.name.endswith(".toml")}
    return Catalog(load_entries(files))


def rules(settings: "RuleSettings") -> "tuple[Rule, ...]":
    """Read the rules that run at a place: those of the package, and those of its own folder.

    Raises:
        RulesError: They have mistakes, or a rule that is to be off does not exist.
        InputMissingError: The folder cannot be read.
    """
    from kata_audit.detect.baseline_rules import KINDS
    from kata_audit.detect.sigma.reader import read_rules
    from kata_audit.pipeline.rule_folder import read_folder, switch_off
    from kata_audit.rules.files import rule_files

    own = read_folder(settings.folder) if settings.folder else []
    return switch_off(read_rules([*rule_files(), *own], settings.lists), set(settings.off) - KINDS.keys())


def check_rules(files: Sequence[Path], settings: "RuleSettings") -> "Checked":
    """Check rule files beside the rules of the package; without files, those of the configured folder.

    Raises:
        RulesError: With every mistake.
        InputMissingError: A file cannot be read.
    """
    from kata_audit.parse import api_audit, losses
    from kata_audit.pipeline import rule_folder
    from kata_audit.rules.files import rule_files, sample_files

    own = [(str(path), rule_folder.read_file(path)) for path in files]
    if settings.folder and not files:
        own = rule_folder.read_folder(settings.folder)
    events = {entry.event for entry in catalog().entries} | api_audit.EVENTS.keys() | losses.EVENTS.keys()
    shipped = rule_folder.Shipped(rule_files(), sample_files())
    return rule_folder.check(own, shipped, settings.lists, events, only_own=bool(files))


def rules_named(names: Collection[str], settings: "RuleSettings") -> "tuple[Rule, ...]":
    """Give the named rules with all parts that they rest on; without names, all that run at a place.

    Raises:
        RulesError: There is no such rule, or rules have mistakes.
    """
    from kata_audit.detect.mutation import with_parts
    from kata_audit.errors import RulesError

    every = rules(settings)
    unknown = sorted(set(names) - {rule.rule_id for rule in every})
    if unknown:
        raise RulesError(f"There is no rule {', '.join(unknown)}.", hint="`kata-audit rules list` has all.")
    chosen = {part.rule_id: part for rule in every if rule.rule_id in names for part in with_parts(rule, every)}
    return tuple(chosen.values()) if names else every


def rehearsals(names: Collection[str], settings: "RuleSettings", *, mutate: bool) -> "Iterator[Rehearsal]":
    """Try rules on their samples, one after another.

    Args:
        names: The rules; none are all.
        settings: Those of the place.
        mutate: Whether their conditions are changed too.

    Raises:
        RulesError: There is no such rule, or rules or samples have mistakes.
    """
    from kata_audit.errors import RulesError
    from kata_audit.pipeline.rehearsal import rehearse
    from kata_audit.pipeline.rule_folder import gather_samples, read_folder
    from kata_audit.pipeline.samples import read_samples
    from kata_audit.rules.files import sample_files

    every = rules_named(names, settings)
    own = {name for name, _ in (read_folder(settings.folder) if settings.folder else ())}
    files = gather_samples(every, own, sample_files())
    for rule in every:
        if rule.silent or (names and rule.rule_id not in names):
            continue
        samples, problems = read_samples(files.get(rule.rule_id, b""), f"{rule.rule_id}.jsonl")
        if problems:
            raise RulesError("Samples have mistakes.", problems=problems)
        yield rehearse(rule, every, samples, derivation(), mutate=mutate)


def derivation() -> "Derive":
    """Give what makes records of evidence, with all known messages."""
    from kata_audit.pipeline.derive import derive

    return partial(derive, catalog=catalog())


@cache
def node_checks() -> "tuple[Check, ...]":
    """Read the table of checks that the package holds."""
    from kata_audit.node.examine import load_checks

    return load_checks(resources.files("kata_audit.node").joinpath("checks.toml").read_bytes())


def examine_node(root: Path, *, only: Collection[str] = (), without: Collection[str] = ()) -> "Examination":
    """Examine the node whose files lie below a root."""
    from kata_audit.node.examine import examine
    from kata_audit.node.keys import load_keys
    from kata_audit.node.tree import open_tree

    keys = load_keys(resources.files("kata_audit.node").joinpath("keys.toml").read_bytes())
    return examine(open_tree(root), keys, node_checks(), only=only, without=without)


def plan_node(root: Path, profile: str, *, classes: Collection[str] = (), confirmed: bool = False) -> "Plan":
    """Plan a profile for the node whose files lie below a root; for its journal too, where no classes are named."""
    from kata_audit.node.journald import plan_journald
    from kata_audit.node.keys import load_keys
    from kata_audit.node.layout import read_layout
    from kata_audit.node.plan import load_profiles, make_plan
    from kata_audit.node.tree import open_tree

    package = resources.files("kata_audit.node")
    keys, tree = load_keys(package.joinpath("keys.toml").read_bytes()), open_tree(root)
    chosen = next(one for one in load_profiles(package.joinpath("profiles.toml").read_bytes()) if one.name == profile)
    made = make_plan(tree, keys, read_layout(tree, keys), chosen, classes=classes, confirmed=confirmed)
    return made if classes else made._replace(journald=plan_journald(tree, chosen))


def apply_node(
    root: Path, profile: str, *, classes: Collection[str] = (), confirmed: bool = False, unmanaged: bool = False
) -> "list[Act]":
    """Write a profile's drop-ins to a node.

    Raises:
        UsageError: An installer keeps the node's files, and would delete ours.
    """
    from kata_audit.errors import UsageError
    from kata_audit.node.apply import apply_plan
    from kata_audit.node.plan import is_installed

    plan = plan_node(root, profile, classes=classes, confirmed=confirmed)
    managed = [one.handler for one in plan.classes if one.path is not None and is_installed(one.path)]
    if managed and not unmanaged:
        raise UsageError(
            f"kata-deploy lays out {', '.join(managed)}, and its clean-up deletes what is written there.",
            hint="Give it `kata-audit node plan -o helm-values`, or say --unmanaged.",
        )
    return apply_plan(root, plan)


def revert_changes(root: Path) -> "list[Act]":
    """Take our drop-ins away from a node."""
    from kata_audit.node import journald
    from kata_audit.node.apply import revert_node
    from kata_audit.node.keys import load_keys
    from kata_audit.node.layout import read_layout
    from kata_audit.node.merge import drop_in_directory
    from kata_audit.node.overlay import DROP_IN
    from kata_audit.node.tree import open_tree

    keys = load_keys(resources.files("kata_audit.node").joinpath("keys.toml").read_bytes())
    tree = open_tree(root)
    places = {
        f"{drop_in_directory(one.base_file)}/{DROP_IN}": one.handler.name
        for one in read_layout(tree, keys).classes
        if one.base_file is not None
    }
    journal = [(journald.NAME, journald.PATH)] if journald.has_settings(tree) else []
    return revert_node(root, [*((handler, path) for path, handler in places.items()), *journal])


def sealer(writer: "Writer", config: "Config", *, live: bool = False, merges: bool = True) -> "Sealer":
    """Make what seals the cuts of a writer.

    Args:
        writer: The store's one writer.
        config: When cuts close, and the rules that they go past.
        live: Whether records are judged as they come; else what comes in order only at the end is.
        merges: Whether segments are merged after each cut; somebody else does it otherwise.
    """
    from kata_audit.detect.ruleset import Ruleset
    from kata_audit.pipeline.ingest import CutPolicy, Sealer
    from kata_audit.pipeline.judging import Judge

    limits = config.batch
    policy = CutPolicy(max_records=limits.max_records, max_bytes=limits.max_bytes, max_age_secs=limits.max_age_secs)
    lateness = _LIVE_LATENESS_NS if live else _WHOLE_INPUT_NS
    ruleset = Ruleset(rules(config.rules), origin=writer.origin, lateness_ns=lateness)

    def tend() -> None:
        if merges:
            writer.compact()
        _give_memory_back()

    judge = Judge(ruleset, writer, SystemClock(), live=live, baselines=_baselines(config, writer.origin))
    return Sealer(writer, policy, derivation(), SystemClock(), after_seal=tend, judge=judge)


def _baselines(config: "Config", origin: str) -> "Baselines | None":
    """Give what records are compared with beside the rules, where that is wanted."""
    from kata_audit.detect.baseline import Baselines
    from kata_audit.parse.outline import outline

    return Baselines(config.baseline, origin, outline, config.rules.off) if config.baseline.enabled else None


@contextmanager
def collecting(root: Path, config: "Config", *, always_journal: bool = False) -> Iterator["Collector"]:
    """Open a store for following the sources of a configuration; without any, the system's journal."""
    from kata_audit.pipeline.collect import Collector
    from kata_audit.pipeline.own import OwnRecords
    from kata_audit.pipeline.shedding import Holding
    from kata_audit.wiring_receive import receiving

    clock, node = SystemClock(), config.node or default_node()
    wake = Event()
    with writing(root, node=node) as writer, receiving(config, node, wake) as inlets:
        key = fingerprint_key(root, writer)
        watches = [*_watches(config, node, key, always_journal=always_journal), *inlets]
        own = OwnRecords("collect", node=node, tenant=config.tenant, clock=clock)
        own.say("collect.started", "INFO", "The collector has started.")
        yield Collector(
            watches,
            writer,
            sealer(writer, config, live=True, merges=False),
            own,
            clock=clock,
            key=key,
            holding=Holding(derivation()),
            wake=wake,
            spool_bytes=config.spool_max_bytes,
        )


def _watches(config: "Config", node: str, key: bytes, *, always_journal: bool) -> "list[Watch]":
    """Make what finds the sources of a configuration; without any, the system's journal."""
    from kata_audit.config import JournalInput
    from kata_audit.receivers.fifo import FifoWatch
    from kata_audit.receivers.file import Place
    from kata_audit.receivers.follow import FileWatch
    from kata_audit.receivers.journal import JournalWatch
    from kata_audit.receivers.vsock import AgentWatch, Guest

    clock = SystemClock()
    is_named = bool(config.file or config.fifo or config.agent or config.receive or config.kafka)
    watches: list[Watch] = []
    for journal in config.journal or ((JournalInput(),) if always_journal or not is_named else ()):
        chosen = [f"--directory={journal.directory}"] if journal.directory else []
        chosen += [f"--namespace={journal.namespace}"] if journal.namespace else []
        watches.append(JournalWatch(chosen, Place(node, journal.tenant or config.tenant, None), clock=clock))
    for file in config.file:
        place = Place(node, file.tenant or config.tenant, file.transport)
        watches.append(FileWatch(str(file.path.absolute()), place, clock=clock, key=key))
    for fifo in config.fifo:
        place = Place(node, fifo.tenant or config.tenant, None)
        watches.append(FifoWatch(str(fifo.path.absolute()), place, clock=clock))
    for agent in config.agent:
        place = Place(node, agent.tenant or config.tenant, None)
        watches.append(AgentWatch(Guest(str(agent.path.absolute()), number=agent.cid), agent.port, place, clock=clock))
    return watches


def _give_memory_back() -> None:
    """Hand the C library's free memory back to the system: it keeps what one large cut needed, for ever; glibc only."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def prove_records(root: Path, seqs: Collection[int]) -> bytes:
    """Make the proof bundle of records of a store."""
    from kata_audit.store import prove

    return prove.prove_records(root, seqs)


def verify_store(root: Path, *, deep: bool, vkey: str | None, tell: Callable[[str], None]) -> "Verdict":
    """Verify a store from its bytes; deep, derive its records again too."""
    from kata_audit.store.fsck import fsck

    if not deep:
        return fsck(root, deep=False, vkey=vkey, tell=tell)
    from kata_audit.pipeline.derive import DERIVE_VERSION

    return fsck(root, deep=True, vkey=vkey, derive=derivation(), derive_version=DERIVE_VERSION, tell=tell)


@cache
def causes() -> "Causes":
    """Read the known causes of failures that the package holds."""
    from kata_audit.pipeline.why_causes import load_causes

    return load_causes((resources.files("kata_audit") / "causes.toml").read_bytes())


@cache
def canary_table() -> "Table":
    """Read what the canary knows, which the package holds."""
    from kata_audit.node.canary_table import load_table

    return load_table(resources.files("kata_audit.node").joinpath("canary.toml").read_bytes())


def integration_packs() -> "dict[str, Pack]":
    """Read what there is for other systems, by name."""
    from kata_audit.integrations.pack import read_packs

    return read_packs(resources.files("kata_audit.integrations").joinpath("packs.toml").read_bytes())


def integration_file(pack: "Pack", name: str) -> str:
    """Read a file of a pack, as it is kept."""
    return resources.files("kata_audit.integrations").joinpath("packs", pack.name, name).read_text("utf-8")


def exporters(config: "Config") -> "list[tuple[Destination, Exporter]]":
    """Give what hands notices to each configured destination.

    Raises:
        UsageError: None is configured, or one needs a package that is not installed; all of them are named.
    """
    from kata_audit.errors import Problem, UsageError
    from kata_audit.exporters.alertmanager import Alertmanager
    from kata_audit.exporters.apprise import Apprise, has_apprise
    from kata_audit.exporters.file import LineFile, Stdout
    from kata_audit.exporters.settings import DestinationKind
    from kata_audit.exporters.webhook import Webhook

    clock, each = SystemClock(), config.alerts.destination
    if not each:
        hint = "Name one in the configuration, `[[alerts.destination]]`; docs/how-to/deliver-alerts.md shows how."
        raise UsageError("Nobody is to be told of alerts: no destination is configured.", hint=hint)
    without = [one for one in each if one.kind is DestinationKind.APPRISE and not has_apprise()]
    if without:
        problems = [Problem(one.name, "is of kind `apprise`") for one in without]
        hint = "Install it: pip install 'kata-audit[notify]'."
        raise UsageError("Apprise is not installed.", problems=problems, hint=hint)
    make: dict[DestinationKind, Callable[[Destination], Exporter]] = {
        DestinationKind.ALERTMANAGER: lambda one: Alertmanager(one, clock),
        DestinationKind.WEBHOOK: lambda one: Webhook(one, clock),
        DestinationKind.APPRISE: Apprise,
        DestinationKind.FILE: LineFile,
        DestinationKind.STDOUT: lambda _: Stdout(),
    }
    return [(one, make[one.kind](one)) for one in each]


@contextmanager
def delivering(root: Path, config: "Config", tell: Callable[[str], None]) -> Iterator["Deliverer"]:
    """Open the outbox of a store, to deliver from it to the configured destinations.

    Raises:
        UsageError: No destination is configured, or one cannot be used.
        StoreError: The store cannot be read, or the outbox cannot be written.
    """
    import random

    from kata_audit.detect.alert_records import SAID_KINDS
    from kata_audit.pipeline.alerting import Alerting
    from kata_audit.pipeline.deliver import Beat, Deliverer
    from kata_audit.store.outbox import default_outbox, open_outbox
    from kata_audit.store.tail import Tail

    alerts = config.alerts
    beat = Beat(int(alerts.heartbeat_secs * 1e9), int(alerts.heartbeat_stale_secs * 1e9), config.node or default_node())
    destinations = exporters(config)
    with open_outbox(alerts.outbox or default_outbox(root)) as outbox:
        yield Deliverer(
            lambda after: Tail(root, SAID_KINDS, after),
            outbox,
            Alerting(alerts, forgets=True),
            destinations,
            beat=beat,
            clock=SystemClock(),
            chance=random.Random(),  # noqa: S311 - spreads retries
            tell=tell,
        )


def try_destinations(config: "Config") -> "dict[str, str | None]":
    """Tell each destination of an alert that is none, and that it is over; give what was wrong, by name.

    Raises:
        UsageError: No destination is configured, or one cannot be used.
    """
    from kata_audit.pipeline.delivery_notices import trial

    told = trial(config.node or default_node(), SystemClock().now_ns())
    found: dict[str, str | None] = {}
    for one, exporter in exporters(config):
        problems = (exporter.export([notice]).problem for notice in told)
        found[one.name] = next((problem for problem in problems if problem is not None), None)
    return found
