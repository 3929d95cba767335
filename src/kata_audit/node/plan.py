"""A plan: what a profile would change for each runtime class, as drop-ins, and what it refuses to touch.

A plan is held against the loader of that class before anybody writes it: a drop-in that the runtime would refuse is never
offered. Nothing here writes.
"""

import re
import tomllib
from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final, NamedTuple

from kata_audit.errors import UsageError
from kata_audit.node.check import spelled
from kata_audit.node.keys import Keys, Runtime
from kata_audit.node.layout import Layout, RuntimeClass
from kata_audit.node.merge import FIRST_WITH_DROP_INS, Loader, drop_in_directory
from kata_audit.node.overlay import DROP_IN, MARK, Overlay
from kata_audit.node.tree import Tree, UnreadableError, read

_MEASURED: Final = frozenset(("snp", "tdx", "sev", "se", "cca", "coco"))
"""Words in the name of a class whose guest is measured."""
_KERNEL_PARAMETERS: Final = "kernel_params"
_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
"""A key that TOML takes without quotes."""


class Profile(NamedTuple):
    """What a class is set to, for a kind of deployment.

    Args:
        name: As it is asked for.
        summary: One sentence.
        gives: What can be seen with it.
        costs: What it costs.
        refuses: What it does not allow.
        engine: The level that the container engine should have.
        settings: By runtime, table and key.
        journald: What journald should be set to, by key.
    """

    name: str
    summary: str
    gives: tuple[str, ...]
    costs: tuple[str, ...]
    refuses: tuple[str, ...]
    engine: str
    settings: Mapping[Runtime, Mapping[str, Mapping[str, Any]]]
    journald: Mapping[str, str]


class Change(NamedTuple):
    """One key that a plan changes: where it stands in Kata's files, what it is now, and what it will be."""

    table: str
    key: str
    before: Any
    after: Any


class ClassPlan(NamedTuple):
    """What a plan does to one class.

    Args:
        handler: Its name.
        path: The drop-in; None where nothing is written.
        text: Its whole content; None where nothing is written.
        changes: The keys that will come out otherwise.
        takes_effect: When.
        reaches: Every class that reads the same directory, this one among them.
        refused: Why nothing is offered; None where it is.
        measured: The guest's command line before and after, where it changes and the class is measured.
    """

    handler: str
    path: str | None
    text: str | None
    changes: tuple[Change, ...]
    takes_effect: str
    reaches: tuple[str, ...]
    refused: str | None
    measured: tuple[str, str] | None


class JournaldPlan(NamedTuple):
    """What a plan does to the node's journal.

    Args:
        path: The drop-in; None where nothing is written.
        text: Its whole content; None where nothing is written.
        changes: Each key with its value before, None where none is set, and after.
        takes_effect: When.
        refused: Why nothing is offered; None where it is.
    """

    path: str | None
    text: str | None
    changes: tuple[tuple[str, str | None, str], ...]
    takes_effect: str
    refused: str | None


class Plan(NamedTuple):
    """A profile's changes to all asked classes, and to the journal where that was asked for."""

    profile: Profile
    classes: tuple[ClassPlan, ...]
    journald: JournaldPlan | None = None


def load_profiles(text: bytes) -> tuple[Profile, ...]:
    """Read the profiles.

    Args:
        text: `profiles.toml`.
    """
    return tuple(
        Profile(
            stated["name"],
            stated["summary"],
            tuple(stated["gives"]),
            tuple(stated["costs"]),
            tuple(stated["refuses"]),
            stated["engine"],
            {runtime: stated.get(runtime, {}) for runtime in Runtime},
            stated["journald"],
        )
        for stated in tomllib.loads(text.decode())["profile"]
    )


def make_plan(
    tree: Tree, keys: Keys, layout: Layout, profile: Profile, *, classes: Collection[str] = (), confirmed: bool = False
) -> Plan:
    """Plan a profile.

    Args:
        tree: The node's files.
        keys: The table of Kata's keys.
        layout: The node.
        profile: What to set.
        classes: Only these handlers; all where none is named.
        confirmed: Change measured classes too.

    Raises:
        UsageError: A named handler does not exist.
    """
    known = [one.handler.name for one in layout.classes]
    unknown = [name for name in classes if name not in known]
    if unknown:
        raise UsageError(f"No handler is called {', '.join(unknown)}.", hint=f"There are {', '.join(known) or 'none'}.")
    asked = [one for one in layout.classes if not classes or one.handler.name in classes]
    loader = Loader(Overlay(tree, {}), keys)
    planning = _Planning(tree, keys, loader)
    return Plan(profile, tuple(_plan_class(planning, one, profile, confirmed=confirmed) for one in asked))


class _Planning(NamedTuple):
    tree: Tree
    keys: Keys
    loader: Loader


def _plan_class(planning: "_Planning", one: RuntimeClass, profile: Profile, *, confirmed: bool) -> ClassPlan:
    tree, keys, loader = planning
    name = one.handler.name
    reaches = tuple(sorted((name, *one.shared_with)))
    refused = _refusal(one, profile)
    changes = () if refused is not None else _changes(loader, one, profile.settings[one.shim.runtime], keys)
    measured = None if refused is not None else _measured(planning, one, changes)
    if measured is not None and not confirmed:
        refused = "its guest is measured, and its command line would change: attestation must know the new one first"
    if refused is not None or one.base_file is None:
        return ClassPlan(name, None, None, (), "", reaches, refused, measured)
    path = f"{drop_in_directory(one.base_file)}/{DROP_IN}"
    text = spell_drop_in(profile, changes)
    # An earlier profile's file stays in force where this one changes nothing: one that sets nothing takes its place.
    if not changes and (DROP_IN not in one.present or _holds(tree, path, text)):
        return ClassPlan(name, None, None, (), "", reaches, None, measured)
    refused = _refused_when_loaded(planning, one, path, text, changes)
    if refused is not None:
        return ClassPlan(name, None, None, (), "", reaches, refused, measured)
    return ClassPlan(name, path, text, changes, "next sandbox", reaches, None, measured)


def _refusal(one: RuntimeClass, profile: Profile) -> str | None:
    """Say why a class is not touched at all."""
    if one.base_file is None or one.merged is None:
        return "its configuration file was not found"
    if not one.loads:
        return f"it does not load: {one.merged.error}"
    if one.release.release < FIRST_WITH_DROP_INS[one.shim.runtime]:
        return f"release {one.release.release} reads no drop-ins: only `node check` can be had"
    if one.shared_with:
        others = ", ".join(one.shared_with)
        return f"{others} reads the same directory: give it a class of its own, with a directory of its own"
    if len(one.hypervisors) != 1:
        return "which hypervisor it runs is not settled"
    if profile.name == "development" and is_measured(one):
        return "its guest is confidential: the host must not see what it prints"
    return None


def is_measured(one: RuntimeClass) -> bool:
    """Say whether a class's guest is measured: by its name, or because its file says so."""
    confidential = any(
        values.get("confidential_guest") is True
        for table, values in (one.merged.tables.items() if one.merged else ())
        if table
    )
    return confidential or bool(_MEASURED & set(one.handler.name.split("-")))


def _changes(loader: Loader, one: RuntimeClass, wanted: Mapping[str, Mapping[str, Any]], keys: Keys) -> tuple[Change, ...]:
    """Give the keys that differ from what a class has without our own drop-in."""
    assert one.base_file is not None
    merged = loader.load(one.base_file, one.shim.runtime, one.release.release)
    changes = []
    for table, values in wanted.items():
        inner = f"{table}.{one.hypervisors[0]}" if table == "hypervisor" else "agent.kata" if table == "agent" else table
        held = merged.tables.get(inner, {})
        for key, value in values.items():
            audited = f"{table}.{key}"
            if not keys.is_read(audited, one.shim.runtime, one.release.release):
                continue
            default = next(one_key.defaults[one.shim.runtime] for one_key in keys.audited if one_key.name == audited)
            before = held.get(key, default)
            after = _with_parameters(str(before or ""), value) if key == _KERNEL_PARAMETERS else value
            if before != after:
                changes.append(Change(inner, key, before, after))
    return tuple(changes)


def _with_parameters(before: str, added: Sequence[str]) -> str:
    """Put parameters behind those that are there; one of the same name is replaced."""
    names = {parameter.partition("=")[0] for parameter in added}
    kept = [word for word in before.split() if word.partition("=")[0] not in names or word in added]
    return " ".join([*kept, *(parameter for parameter in added if parameter not in kept)])


def _measured(planning: "_Planning", one: RuntimeClass, changes: Sequence[Change]) -> tuple[str, str] | None:
    """Give a measured guest's command line now and then; None where it stays, or nothing measures it."""
    if not is_measured(one) or one.base_file is None or one.merged is None:
        return None
    table = f"hypervisor.{one.hypervisors[0]}"
    without_ours = planning.loader.load(one.base_file, one.shim.runtime, one.release.release)
    now, rest = (str(merged.tables.get(table, {}).get(_KERNEL_PARAMETERS, "")) for merged in (one.merged, without_ours))
    then = next((str(change.after) for change in changes if change.key == _KERNEL_PARAMETERS), rest)
    return None if now == then else (now, then)


def _holds(tree: Tree, path: str, text: str) -> bool:
    try:
        return read(tree, path) == text.encode()
    except UnreadableError:
        return False


def is_installed(path: str) -> bool:
    """Say whether kata-deploy lays out what stands at a path: below `opt/kata` or `opt/kata-<suffix>`, at any prefix."""
    return any(above == "opt" and (name == "kata" or name.startswith("kata-")) for above, name in pairwise(path.split("/")))


def spell_drop_in(profile: Profile, changes: Sequence[Change]) -> str:
    """Spell a drop-in: a head that says whose it is, and each table once."""
    lines = [f"{MARK}for the profile {profile.name}. `kata-audit node revert` takes it away."]
    for table in dict.fromkeys(change.table for change in changes):
        lines += ["", f"[{'.'.join(map(_spell_key, table.split('.', 1)))}]"]
        lines += [f"{_spell_key(change.key)} = {_spell(change.after)}" for change in changes if change.table == table]
    return "\n".join(lines) + "\n"


def _spell_key(key: str) -> str:
    return key if _BARE.fullmatch(key) else f'"{escape(key)}"'


def _spell(value: Any) -> str:
    return f'"{escape(value)}"' if isinstance(value, str) else spelled(value)


def escape(text: str) -> str:
    r"""Spell a text for the inside of TOML's quotes, in plain ASCII.

    Example:
        >>> escape('a"b\n')
        'a\\"b\\U0000000a'
    """
    return "".join(
        f"\\{character}" if character in '"\\' else character if " " <= character <= "~" else f"\\U{ord(character):08x}"
        for character in text
    )


def _refused_when_loaded(
    planning: "_Planning", one: RuntimeClass, path: str, text: str, changes: Sequence[Change]
) -> str | None:
    """Load the class with the drop-in in place; say why it would not do what it should."""
    assert one.base_file is not None
    with_it = Loader(Overlay(planning.tree, {path: text.encode()}), planning.keys)
    merged = with_it.load(one.base_file, one.shim.runtime, one.release.release)
    if merged.error is not None:
        return f"its runtime would refuse the drop-in: {merged.error}"
    for change in changes:
        place = merged.places[change.table, change.key]
        if place.path != path:
            return f"{place.path} is read behind the drop-in and sets {change.key}: change it there"
        if merged.tables[change.table][change.key] != change.after:
            return f"{change.key} would not come out as planned"
    return None
