"""TOML and YAML of a node's files: whoever wrote them, they are read in bounded time, or refused."""

import tomllib
from typing import Any, Final

import yaml

_MAX_DOTS: Final = 1000
"""Dots in one line of TOML. A dotted key costs the square of its length to read, and no program writes such a line."""
_MAX_DEPTH: Final = 64
"""Tables within tables: containerd's deepest has seven."""
_WHOLE: Final = range(-(1 << 63), 1 << 63)
"""Numbers that TOML has. Source: TOML 1.0, "Integer"."""
_MAX_YAML: Final = 256 << 10
"""Characters of a YAML document: it is read slowly, and an API server's audit policy has a few hundred lines."""


class DocumentError(Exception):
    """A text is not what it should be. Args: why, for a person."""


def parse_toml(text: str) -> dict[str, Any]:
    """Read TOML.

    Raises:
        DocumentError: It is none, or more than anybody writes.
    """
    if any(line.count(".") > _MAX_DOTS for line in text.split("\n")):
        raise DocumentError("a line has more dots than any program writes")
    try:
        stated = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # a number may be too long to read, which is no error of TOML's
        raise DocumentError("syntax error") from error
    _see_bounds(stated)
    return stated


def _see_bounds(stated: dict[str, Any]) -> None:
    level: list[Any] = [stated]
    for _ in range(_MAX_DEPTH):
        values = [inner for outer in level for inner in (outer.values() if isinstance(outer, dict) else outer)]
        if any(type(value) is int and value not in _WHOLE for value in values):
            raise DocumentError("syntax error")
        level = [value for value in values if isinstance(value, dict | list)]
        if not level:
            return
    raise DocumentError("tables stand deeper in each other than any program writes")


def parse_yaml(text: str) -> Any:
    """Read YAML: mappings, lists and texts. No tag means anything, so a number is its text, and an empty value is "".

    Raises:
        DocumentError: It is none, it is too long, or it names parts of itself, which multiply.
    """
    if len(text) > _MAX_YAML:
        raise DocumentError(f"is longer than {_MAX_YAML:,} characters")
    try:
        return yaml.load(text, Loader=_PlainLoader)  # noqa: S506 -- a loader that makes nothing but texts
    except (yaml.YAMLError, RecursionError) as error:
        raise DocumentError("syntax error") from error


class _PlainLoader(yaml.BaseLoader):
    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise DocumentError("names parts of itself")
        return super().compose_node(parent, index)
