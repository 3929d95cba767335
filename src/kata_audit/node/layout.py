"""A node's Kata, class by class: which runtime, which files decide, and what each audit-relevant key comes out as."""

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from kata_audit.node.cri import Engine, Handler, find_engines
from kata_audit.node.keys import Keys, Release, Runtime
from kata_audit.node.merge import FIRST_WITH_DROP_INS, Loader, Merged, Place, drop_in_directory
from kata_audit.node.release import Found, find_release
from kata_audit.node.tree import Kind, Tree, UnreadableError, exists, read, resolve

DEFAULT: Final = "default"
"""The place of a value that no file sets."""
_PATH: Final = ("usr/local/sbin", "usr/local/bin", "usr/sbin", "usr/bin", "sbin", "bin")
_TYPE: Final = re.compile(r"io\.containerd\.(?P<name>[A-Za-z0-9.-]+)\.v(?P<version>\d+)")
_WRAPPED: Final = re.compile(rb"(?<![\w./-])(?P<binary>/[\w./-]*containerd-shim-kata-v2)\b")
_WRAPPED_FILE: Final = re.compile(rb"KATA_CONF_FILE=[\"']?(?P<file>/[\w./-]+)")
_RUST_NAME: Final = re.compile(r"-runtime-rs$|(?:^|-)dragonball$|(?:^|-)cloud-hypervisor$")
_ETC: Final = "etc/kata-containers"


class Setting(NamedTuple):
    """What a key comes out as.

    Args:
        value: The value in force.
        place: The file and line that decide; the path `default` where none does.
        known: Whether this release's code reads the key at all: a file may set one that it does not.
    """

    value: Any
    place: Place
    known: bool


class Shim(NamedTuple):
    """The binary that a handler starts.

    Args:
        in_path: Where the engine finds it on its search path; None where the handler names it.
        binary: The program behind links and wrappers; None where nothing is found.
        runtime: Which of the two it is.
        config_file: The configuration file that a wrapper names.
    """

    in_path: str | None
    binary: str | None
    runtime: Runtime
    config_file: str | None


class RuntimeClass(NamedTuple):
    """A handler with all that is known of it.

    Args:
        handler: The engine's side.
        shim: The binary.
        release: Which rules hold, and how that is known.
        config_path: The configuration file's path as the shim opens it; None where there is none.
        config_by: Who says so, for a person.
        base_file: The same after links; None where it leads nowhere.
        merged: What the runtime reads; None without a base file.
        drop_ins_read: Whether the release reads drop-ins.
        directory_exists: Whether the drop-in directory is there.
        present: Its entries, read or not.
        hypervisors: The hypervisor tables, the base file's first.
        effective: The audit-relevant keys; empty where it does not load.
        shared_with: Other handlers whose base file lies in the same directory.
    """

    handler: Handler
    shim: Shim
    release: Found
    config_path: str | None
    config_by: str
    base_file: str | None
    merged: Merged | None
    drop_ins_read: bool
    directory_exists: bool
    present: tuple[str, ...]
    hypervisors: tuple[str, ...]
    effective: Mapping[str, Setting]
    shared_with: tuple[str, ...]

    @property
    def directory(self) -> str | None:
        """The directory of the base file, whose `config.d` every class in it reads."""
        return None if self.base_file is None else self.base_file.rpartition("/")[0]

    @property
    def hypervisor(self) -> str | None:
        """The hypervisor whose table counts, the base file's first for the Go runtime; None where none is named."""
        if self.merged is None:
            return None
        return _in_force(self.merged, "hypervisor", self.shim.runtime).partition(".")[2] or None

    @property
    def loads(self) -> bool:
        """Whether the runtime gets through its configuration."""
        return self.merged is not None and self.merged.error is None


class Layout(NamedTuple):
    """What a node has: engines, classes, and files that could not be read (anything may stand in them)."""

    engines: tuple[Engine, ...]
    classes: tuple[RuntimeClass, ...]
    unreadable: Mapping[str, str]


def read_layout(tree: Tree, keys: Keys) -> Layout:
    """Read a node.

    Args:
        tree: Its files.
        keys: The table of Kata's keys.
    """
    engines = find_engines(tree)
    loader = Loader(tree, keys)
    shims = {handler.name: _shim(tree, handler) for handler in engines.handlers}
    releases = _releases(tree, loader, engines.handlers, shims)
    reading = _Reading(tree, loader, keys)
    classes = [
        _class(reading, handler, shims[handler.name], releases[_prefix(shims[handler.name])]) for handler in engines.handlers
    ]
    return Layout(engines.engines, tuple(_shared(classes)), engines.unreadable)


def _shim(tree: Tree, handler: Handler) -> Shim:
    """Find the program that a handler starts: the one it names, else by its type's name on the search path."""
    if handler.runtime_path is not None:
        binary = handler.runtime_path.strip("/")
        return Shim(None, binary, _runtime_of(binary, handler.name), None)
    stated = _TYPE.fullmatch(handler.runtime_type or "")
    name = f"containerd-shim-{stated['name']}-v{stated['version']}" if stated else "containerd-shim-kata-v2"
    in_path = next((f"{folder}/{name}" for folder in _PATH if exists(tree, f"{folder}/{name}")), None)
    if in_path is None:
        return Shim(None, None, _runtime_of("", handler.name), None)
    binary = resolve(tree, in_path).path
    try:
        script = read(tree, binary)
    except UnreadableError:
        script = b""
    config_file = None
    if script.startswith(b"#!") and (wrapped := _WRAPPED.search(script)):
        named = _WRAPPED_FILE.search(script)
        config_file = named["file"].decode() if named else None
        binary = resolve(tree, wrapped["binary"].decode()).path
    return Shim(in_path, binary, _runtime_of(binary, handler.name), config_file)


def _runtime_of(binary: str, handler: str) -> Runtime:
    if binary:
        return Runtime.RUST if "runtime-rs" in binary else Runtime.GO
    return Runtime.RUST if _RUST_NAME.search(handler) else Runtime.GO


def _prefix(shim: Shim) -> str:
    """Give the directory that an installation lies under: `opt/kata`, `usr`."""
    folder = (shim.binary or "opt/kata/bin/").rpartition("/")[0].removesuffix("/bin").removesuffix("/runtime-rs")
    return "usr" if folder in {"usr/local", "", "bin", "sbin"} else folder


def _releases(tree: Tree, loader: Loader, handlers: tuple[Handler, ...], shims: Mapping[str, Shim]) -> Mapping[str, Found]:
    """Tell the release of each prefix, from all base files that its handlers name."""
    texts: dict[str, list[str]] = {}
    for handler in handlers:
        shim = shims[handler.name]
        named = texts.setdefault(_prefix(shim), [])
        path = handler.config_path or shim.config_file
        found = resolve(tree, path) if path else None
        if found is None or found.kind is not Kind.FILE:
            continue
        tables = loader.load(found.path, shim.runtime, Release(1, 0)).tables
        for table, values in tables.items():
            named.extend(key if table != "runtime" else f"runtime.{key} {key}" for key in values)
    return {prefix: find_release(tree, prefix, named) for prefix, named in texts.items()}


class _Reading(NamedTuple):
    tree: Tree
    loader: Loader
    keys: Keys


def _class(reading: _Reading, handler: Handler, shim: Shim, release: Found) -> RuntimeClass:
    tree, loader, keys = reading
    path, by = _config_path(tree, handler, shim, release.release)
    found = resolve(tree, path) if path else None
    base = found.path if found is not None and found.kind is Kind.FILE else None
    supported = release.release >= FIRST_WITH_DROP_INS[shim.runtime]
    merged = None if base is None else loader.load(base, shim.runtime, release.release)
    present = () if base is None else loader.entries(base)
    there = base is not None and resolve(tree, drop_in_directory(base)).kind is Kind.DIRECTORY
    hypervisors = () if merged is None else tuple(_inner(merged, "hypervisor"))
    effective = {} if merged is None or merged.error is not None else _effective(merged, keys, shim.runtime, release.release)
    return RuntimeClass(
        handler, shim, release, path, by, base, merged, supported, there, present, hypervisors, effective, shared_with=()
    )


def _config_path(tree: Tree, handler: Handler, shim: Shim, release: Release) -> tuple[str | None, str]:
    """Tell which configuration file a shim opens, and who says so."""
    if handler.config_path is not None:
        return handler.config_path, handler.file
    if shim.config_file is not None:
        return shim.config_file, f"{shim.in_path} sets KATA_CONF_FILE"
    searched = _searched(shim, release)
    first = next((path for path in searched if exists(tree, path)), None)
    return (None if first is None else f"/{first}"), f"default search: {', '.join(f'/{path}' for path in searched)}"


def _searched(shim: Shim, release: Release) -> tuple[str, ...]:
    """List the files that a runtime tries when nobody names one, in order."""
    if shim.runtime is Runtime.GO:
        return (f"{_ETC}/configuration.toml", f"{_prefix(shim)}/share/defaults/kata-containers/configuration.toml")
    if release < Release(3, 3):
        return (f"{_ETC}/configuration.toml", "usr/share/defaults/kata-containers/configuration.toml")
    places = (_ETC, "usr/share/defaults/kata-containers", "opt/kata/share/defaults/kata-containers")
    return tuple(f"{place}/runtime-rs/configuration.toml" for place in places)


def _inner(merged: Merged, table: str) -> list[str]:
    return [name.partition(".")[2] for name in merged.tables if name.startswith(f"{table}.")]


def _in_force(merged: Merged, table: str, runtime: Runtime) -> str:
    """Name the table that counts: the one that runtime-rs is told to take, else the base file's."""
    if table == "runtime":
        return table
    named = _inner(merged, table)
    chosen = merged.tables.get("runtime", {}).get(f"{table}_name") if runtime is Runtime.RUST else None
    return f"{table}.{chosen if chosen in named else named[0]}" if named else table


def _effective(merged: Merged, keys: Keys, runtime: Runtime, release: Release) -> dict[str, Setting]:
    settings = {}
    for key in keys.audited:
        table, _, name = key.name.partition(".")
        inner = _in_force(merged, table, runtime)
        known = keys.is_read(key.name, runtime, release)
        place = merged.places.get((inner, name))
        if place is not None:
            settings[key.name] = Setting(merged.tables[inner][name], place, known)
        elif known:
            settings[key.name] = Setting(key.defaults[runtime], Place(DEFAULT, None), known)
    return settings


def _shared(classes: list[RuntimeClass]) -> list[RuntimeClass]:
    return [
        one._replace(
            shared_with=tuple(
                other.handler.name
                for other in classes
                if other is not one and one.directory is not None and other.directory == one.directory
            )
        )
        for one in classes
    ]


def described(one: RuntimeClass) -> dict[str, Any]:
    """Describe a class as data: the shape of `node check -o json` under `handlers`."""
    told: dict[str, Any] = {
        "handler": one.handler.name,
        "runtime": str(one.shim.runtime),
        "runtime_path": one.handler.runtime_path,
        "runtime_type": one.handler.runtime_type,
    }
    if one.shim.in_path is not None:
        told["shim_in_path"] = one.shim.in_path
        if one.shim.binary not in {None, one.shim.in_path}:
            told["shim_binary"] = one.shim.binary
    told |= {"config_path": one.config_path, "config_by": one.config_by, "base_file": one.base_file}
    if one.base_file is None or one.merged is None:
        told |= {"loads": False, "error": "base file missing or its link leaves the tree"}
        return told | {"shared_with": list(one.shared_with)}
    told |= {
        "directory": one.directory,
        "drop_in_dir": drop_in_directory(one.base_file),
        "drop_ins_supported": one.drop_ins_read,
        "drop_in_dir_exists": one.directory_exists,
        "drop_ins": list(one.merged.drop_ins),
    }
    if one.present and not one.drop_ins_read:
        told["drop_ins_ignored"] = list(one.present)
    told["loads"] = one.loads
    if one.merged.error is not None:
        told["error"] = one.merged.error
    if one.merged.warnings:
        told["warnings"] = list(one.merged.warnings)
    if len(one.hypervisors) > 1 and one.shim.runtime is Runtime.GO:
        told |= {"hypervisor_tables": list(one.hypervisors), "hypervisor_choice": "random per sandbox (map order)"}
    told["hypervisor"] = one.hypervisor
    if one.loads:
        told["effective"] = {name: _setting(setting) for name, setting in one.effective.items()}
        told["lines"] = {name: s.place.line for name, s in one.effective.items() if s.place.line is not None}
    return told | {"shared_with": list(one.shared_with)}


def _setting(setting: Setting) -> dict[str, Any]:
    told = {"value": setting.value, "from": setting.place.path}
    return told if setting.known else {**told, "known": False}
