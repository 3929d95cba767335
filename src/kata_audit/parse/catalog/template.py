r"""Templates of messages: literal text with holes, matched as a whole.

A hole is written `<name:kind>`; all else is literal, angle brackets too. A template that ends in a hole of kind `rest` takes
whatever follows; any other must match to the last character. Every kind is linear: no text makes a match slow.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from kata_audit.parse.texts import unquote_go, unquote_rust

_HOLE: Final = re.compile(r"<([a-z][a-z0-9_]*):([a-z]+)>")
KINDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "quoted": r'"(?:[^"\\]|\\.)*+"',
        "tick": r"'[^']*+'",
        "id": r"[0-9a-f]{64}",
        "hex": r"[0-9a-fA-F]++",
        "uuid": r"[0-9a-f-]{36}",
        "number": r"-?[0-9]++",
        "decimal": r"-?[0-9]++(?:\.[0-9]++)?",
        "word": r"[^\s\"]++",
        "name": r"[A-Za-z0-9_.-]++",
        "maybe": r"[A-Za-z0-9_.-]*+",
        "path": r"/[^\s\"]*+",
        "list": r"\[[^\]]*+\]",
        "field": r"[^,]*+",
        "line": r"[^\n]*+",
        "some": r".*?",
        "rest": r"[\s\S]*+",
    }
)
"""What a hole may hold. `some` is anything up to the literal behind it; at most one of it may stand in a template."""
_QUOTED: Final = frozenset({"quoted", "tick"})


class Template(NamedTuple):
    """A template, ready to match.

    Args:
        text: As it is written.
        prefix: The literal text before the first hole.
        holes: Names of the holes, with their kinds.
        expression: Matches the whole message; None where the template has no hole.
    """

    text: str
    prefix: str
    holes: Mapping[str, str]
    expression: re.Pattern[str] | None

    def read(self, body: str) -> dict[str, str] | None:
        """Give what stands in the holes, unquoted; None where the message is another one."""
        if self.expression is None:
            return {} if body == self.text else None
        match = self.expression.fullmatch(body)
        if match is None:
            return None
        return {name: _plain(value, self.holes[name]) for name, value in match.groupdict().items() if value is not None}


def _plain(value: str, kind: str) -> str:
    if kind not in _QUOTED:
        return value
    return value[1:-1] if "\\" not in value else unquote_rust(value[1:-1]) if "\\u{" in value else unquote_go(value)


def parse_template(text: str) -> Template:
    """Read a template.

    Raises:
        ValueError: A kind is unknown, a name comes twice, or `some` does.

    Example:
        >>> parse_template("pid is <pid:number>").read("pid is 7")
        {'pid': '7'}
    """
    holes: dict[str, str] = {}
    parts: list[str] = []
    end = 0
    for hole in _HOLE.finditer(text):
        name, kind = hole.groups()
        if kind not in KINDS:
            raise ValueError(f"no kind of hole is called {kind}")
        if name in holes:
            raise ValueError(f"the hole {name} comes twice")
        if kind == "some" and "some" in holes.values():
            raise ValueError("only one hole may be of kind some")
        parts += [re.escape(text[end : hole.start()]), f"(?P<{name}>{KINDS[kind]})"]
        holes[name] = kind
        end = hole.end()
    if not holes:
        return Template(text, text, holes, None)
    parts.append(re.escape(text[end:]))
    prefix = text[: _HOLE.search(text).start()]  # type: ignore[union-attr]  # there is a hole
    return Template(text, prefix, holes, re.compile("".join(parts), re.DOTALL))
