"""Kata's configuration keys: who reads which, from which release on.

The table is data (`keys.toml`); `wiring` reads it.
"""

import tomllib
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final, NamedTuple


class Runtime(StrEnum):
    """Kata's two runtimes; each has keys and rules of its own."""

    GO = "go"
    RUST = "rust"


class Release(NamedTuple):
    """A release of Kata, as far as rules differ: two numbers."""

    major: int
    minor: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


_MAX_DIGITS: Final = 6
"""A part of a release that has more is none, and may be too long to be a number at all."""


def parse_release(text: str) -> Release | None:
    """Read the release out of a version; None where it is none.

    Example:
        >>> parse_release("3.27.0")
        Release(major=3, minor=27)
    """
    parts = text.strip().split(".")
    if len(parts) < 2 or not all(part.isdecimal() and len(part) <= _MAX_DIGITS for part in parts[:2]):
        return None
    return Release(int(parts[0]), int(parts[1]))


class Key(NamedTuple):
    """One key that decides what a node logs.

    Args:
        name: `<table>.<key>`, where table is hypervisor, agent or runtime.
        type: bool, int, number, string, list or table.
        since: The first release that reads it, by runtime.
        defaults: What the code takes where no file sets it, by runtime; None where the code computes it.
    """

    name: str
    type: str
    since: Mapping[Runtime, Release]
    defaults: Mapping[Runtime, Any]


class Keys(NamedTuple):
    """The whole table.

    Args:
        audited: The keys that are reported, in order.
        types: Of each runtime and table, the type of every key that some release reads.
    """

    audited: tuple[Key, ...]
    types: Mapping[tuple[Runtime, str], Mapping[str, str]]

    def is_read(self, name: str, runtime: Runtime, release: Release) -> bool:
        """Say whether a release's code reads an audited key."""
        since = next((key.since.get(runtime) for key in self.audited if key.name == name), None)
        return since is not None and since <= release


def load_keys(text: bytes) -> Keys:
    """Read the table.

    Args:
        text: `keys.toml`.
    """
    found = tomllib.loads(text.decode())
    audited = tuple(_key(stated) for stated in found["key"])
    types: dict[tuple[Runtime, str], dict[str, str]] = {}
    for runtime in Runtime:
        for table, by_type in found[runtime].items():
            types[runtime, table] = {name: kind for kind, names in by_type.items() for name in names}
        for key in audited:
            table, _, name = key.name.partition(".")
            if runtime in key.since:
                types[runtime, table][name] = key.type
    return Keys(audited, types)


def _key(stated: Mapping[str, Any]) -> Key:
    since = {runtime: release for runtime in Runtime if (release := parse_release(stated.get(runtime, ""))) is not None}
    default = stated.get("default")
    return Key(
        stated["name"],
        stated["type"],
        since,
        {Runtime.GO: default, Runtime.RUST: stated.get("default_rust", default)},
    )
