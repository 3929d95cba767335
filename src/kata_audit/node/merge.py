"""One runtime class's configuration as its runtime reads it: the base file, then every drop-in, by that release's rules.

The two runtimes merge alike and refuse differently; each rule here was seen by running the loader of the release.

Source: Kata's loaders, `src/runtime/pkg/katautils/config.go` and `src/libs/kata-types/src/config/drop_in.rs`, 2.5 to 4.1.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from kata_audit.node.document import DocumentError, parse_toml
from kata_audit.node.keys import Keys, Release, Runtime
from kata_audit.node.tree import Kind, Tree, UnreadableError, read, resolve

DROP_IN_DIRECTORY: Final = "config.d"
"""Beside the base file, after its links are followed. The name is the same in both runtimes."""
FIRST_WITH_DROP_INS: Final = {Runtime.GO: Release(2, 5), Runtime.RUST: Release(3, 0)}
_STRICT_AGENT: Final = Release(3, 29)
"""From here on runtime-rs refuses unknown keys of `[agent.*]`."""
_GO_NEW_PARSER: Final = Release(3, 27)
"""The Go runtime's TOML reader before it refused a byte order mark."""
_NAMED_TABLES: Final = ("hypervisor", "agent")
_TABLES: Final = {*_NAMED_TABLES, "runtime", "factory", "image"}
_BOM: Final = b"\xef\xbb\xbf"
_HEADER: Final = re.compile(r"\s*\[([^\[\]]+)\]\s*(?:#.*)?$")
_ASSIGNED: Final = re.compile(r"\s*([A-Za-z0-9_-]+)\s*=")


class Place(NamedTuple):
    """Which file decides a value, and the line in it where that can be told."""

    path: str
    line: int | None


class Merged(NamedTuple):
    """What a runtime holds after it has read everything.

    Args:
        tables: Values by `<table>.<name>` (`runtime` has no name) and key, as merged.
        places: Where each came from, by the same two names.
        error: The first thing that stops every sandbox of the class; None where it loads.
        warnings: What is read past.
        drop_ins: Entries of the drop-in directory, in the order in which they are read.
    """

    tables: Mapping[str, Mapping[str, Any]]
    places: Mapping[tuple[str, str], Place]
    error: str | None
    warnings: tuple[str, ...]
    drop_ins: tuple[str, ...]


class _File(NamedTuple):
    path: str
    tables: Mapping[str, Mapping[str, Any]]
    lines: Mapping[tuple[str, str], int]
    strange: tuple[str, ...]


class _RefusedError(Exception):
    """The loader gives up. Args: the file and why."""


class Loader:
    """Reads classes of one tree.

    Args:
        tree: The node's files.
        keys: The table of keys.
    """

    def __init__(self, tree: Tree, keys: Keys) -> None:
        self._tree = tree
        self._keys = keys

    def load(self, base: str, runtime: Runtime, release: Release) -> Merged:
        """Read a base file and its drop-ins.

        Args:
            base: The base file, links followed.
            runtime: Who reads it.
            release: Whose rules hold.
        """
        names, refused = self._entries(base) if release >= FIRST_WITH_DROP_INS[runtime] else ([], None)
        tables: dict[str, dict[str, Any]] = {}
        places: dict[tuple[str, str], Place] = {}
        warnings: list[str] = []
        try:
            self._add(self._base(base, runtime, release), tables, places)
            for name in names:
                found = self._drop_in(f"{drop_in_directory(base)}/{name}", runtime, release, warnings)
                self._add(found, tables, places)
        except _RefusedError as error:
            return Merged(tables, places, str(error), (), tuple(names))
        return Merged(tables, places, refused, tuple(warnings), tuple(names))

    def entries(self, base: str) -> tuple[str, ...]:
        """Name the drop-ins beside a base file in their order, whether anybody reads them or not."""
        return tuple(self._entries(base)[0])

    def _entries(self, base: str) -> tuple[list[str], str | None]:
        directory = resolve(self._tree, drop_in_directory(base))
        if directory.kind is Kind.MISSING and not directory.through_link:
            return [], None
        if directory.kind is not Kind.DIRECTORY:
            return [], f"{drop_in_directory(base)}: is no directory"
        try:
            return self._tree.names(directory.path), None
        except UnreadableError as error:
            return [], f"{drop_in_directory(base)}: {error}"

    @staticmethod
    def _add(file: _File, tables: dict[str, dict[str, Any]], places: dict[tuple[str, str], Place]) -> None:
        for table, values in file.tables.items():
            held = tables.setdefault(table, {})
            for key, value in values.items():
                old = held.get(key)
                held[key] = {**old, **value} if isinstance(old, dict) and isinstance(value, dict) else value
                places[table, key] = Place(file.path, file.lines.get((table, key)))

    def _base(self, path: str, runtime: Runtime, release: Release) -> _File:
        file = self._parse(path, runtime, release)
        for table, key, expected in self._known(file, runtime):
            if expected is None:
                if runtime is Runtime.RUST and release >= _STRICT_AGENT and table.startswith("agent."):
                    raise _RefusedError(f"{path}: unknown key {table}.{key}")
            elif not _fits(file.tables[table][key], expected):
                raise _RefusedError(f"{path}: {table}.{key}: wrong type")
        return file

    def _drop_in(self, path: str, runtime: Runtime, release: Release, warnings: list[str]) -> _File:
        folder, _, name = path.rpartition("/")
        kind = self._tree.kind(f"{resolve(self._tree, folder).path}/{name}")
        if kind is Kind.LINK and runtime is Runtime.RUST:
            raise _RefusedError(f"{path}: symbolic link refused")
        file = self._parse(path, runtime, release)
        for table, key, expected in self._known(file, runtime):
            strict = (
                table.startswith(_NAMED_TABLES)
                if runtime is Runtime.GO
                else table.startswith("agent.") and release >= _STRICT_AGENT
            )
            if expected is not None and not _fits(file.tables[table][key], expected):
                raise _RefusedError(f"{path}: {table}.{key}: wrong type")
            if expected is None and strict:
                raise _RefusedError(f"{path}: unknown key {table}.{key}")
            if expected is None:
                warnings.append(f"{path}: {table}.{key} not known (ignored)")
        warnings.extend(f"{path}: table {table} not known (ignored)" for table in file.strange)
        return file

    def _known(self, file: _File, runtime: Runtime) -> Iterable[tuple[str, str, str | None]]:
        """Give each key of the tables that are decoded strictly, with the type it must have; None for an unknown one."""
        for table, values in file.tables.items():
            types = self._keys.types.get((runtime, table.partition(".")[0]))
            if types is not None:
                yield from ((table, key, types.get(_spelled(key, table, runtime))) for key in values)

    def _parse(self, path: str, runtime: Runtime, release: Release) -> _File:
        try:
            data = read(self._tree, path)
        except UnreadableError as error:
            raise _RefusedError(f"{path}: {error}") from error
        try:
            text = _decoded(data, runtime, release)
            stated = parse_toml(text)
        except UnicodeDecodeError as error:
            raise _RefusedError(f"{path}: syntax error") from error
        except DocumentError as error:
            raise _RefusedError(f"{path}: {error}") from error
        tables: dict[str, Mapping[str, Any]] = {}
        strange = []
        for name, value in stated.items():
            if name not in _TABLES:
                strange.append(name)
            elif not isinstance(value, dict):
                raise _RefusedError(f"{path}: {name}: wrong type")
            elif name in _NAMED_TABLES:
                tables.update(_named(path, name, value))
            else:
                tables[name] = value
        return _File(path, tables, line_numbers(text), tuple(strange))


def drop_in_directory(base: str) -> str:
    """Give the drop-in directory of a base file."""
    return f"{base.rpartition('/')[0]}/{DROP_IN_DIRECTORY}"


def _named(path: str, name: str, value: Mapping[str, Any]) -> Iterable[tuple[str, Mapping[str, Any]]]:
    for inner, values in value.items():
        if not isinstance(values, dict):
            raise _RefusedError(f"{path}: {name}.{inner}: wrong type")
        yield f"{name}.{inner}", values


def _spelled(key: str, table: str, runtime: Runtime) -> str:
    """Go's reader takes keys of the base and of `[runtime]` in any case; nobody writes them so, but a check must not err."""
    return key.lower() if runtime is Runtime.GO and table == "runtime" else key


def _decoded(data: bytes, runtime: Runtime, release: Release) -> str:
    """Read a file's bytes as its loader does: a byte order mark and strange bytes in comments are judged differently."""
    if runtime is Runtime.RUST or release >= _GO_NEW_PARSER:
        return data.removeprefix(_BOM).decode()
    if data.startswith(_BOM):
        raise DocumentError("syntax error")
    return data.decode("utf-8", "replace")


def _fits(value: Any, expected: str) -> bool:
    """Say whether a value has a type: whole numbers are no booleans, and the other way round."""
    if expected == "bool":
        return isinstance(value, bool)
    if expected == "int":
        return type(value) is int
    if expected == "number":
        return type(value) in {int, float}
    if expected == "list":
        return isinstance(value, list) and all(isinstance(item, str | dict) for item in value)
    return isinstance(value, dict if expected == "table" else str)


def line_numbers(text: str) -> dict[tuple[str, str], int]:
    r"""Tell on which line each key of each table is set; the last where one is set twice. Lines of long strings may mislead.

    Example:
        >>> line_numbers("[runtime]\nenable_debug = true\n")
        {('runtime', 'enable_debug'): 2}
    """
    table = ""
    found: dict[tuple[str, str], int] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        if header := _HEADER.match(line):
            table = "".join(header[1].replace('"', "").split())
        elif assigned := _ASSIGNED.match(line):
            found[table, assigned[1]] = number
    return found
