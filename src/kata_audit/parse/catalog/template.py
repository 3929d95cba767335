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
        "quoted": r'"[^"\\]*+(?:\\.[^"\\]*+)*+"',
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
        inner: The longest literal text behind the first hole; a message without it is another one.
        holes: Names of the holes, with their kinds.
        weight: Characters of literal text: of templates that fit one message the heaviest says most of it.
        tail: The hole that takes whatever follows; None where the message ends with the template.
        expression: Matches all before the tail; None where that is literal text alone.
    """

    text: str
    prefix: str
    inner: str
    holes: Mapping[str, str]
    weight: int
    tail: str | None
    expression: re.Pattern[str] | None

    def read(self, body: str) -> dict[str, str] | None:
        """Give what stands in the holes, unquoted; None where the message is another one."""
        if self.expression is None:
            if self.tail is None:
                return {} if body == self.text else None
            return {self.tail: body[len(self.prefix) :]} if body.startswith(self.prefix) else None
        match = self.expression.fullmatch(body) if self.tail is None else self.expression.match(body)
        if match is None:
            return None
        found = match.groupdict()
        for name, kind in self.holes.items():
            if kind in _QUOTED:
                found[name] = _unquote(found[name])
        if self.tail is not None:
            found[self.tail] = body[match.end() :]
        return found


def _unquote(value: str) -> str:
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
    literals: list[str] = []
    end = 0
    for hole in _HOLE.finditer(text):
        name, kind = hole.groups()
        if kind not in KINDS:
            raise ValueError(f"no kind of hole is called {kind}")
        if name in holes:
            raise ValueError(f"the hole {name} comes twice")
        if kind == "some" and "some" in holes.values():
            raise ValueError("only one hole may be of kind some")
        literals.append(text[end : hole.start()])
        holes[name] = kind
        end = hole.end()
    literals.append(text[end:])
    last = next(reversed(holes), None)
    tail = last if last is not None and holes[last] == "rest" and not literals[-1] else None
    inner = max(literals[1:], key=len, default="")
    weight = sum(map(len, literals))
    return Template(text, literals[0], inner, holes, weight, tail, _expression(literals, holes, tail))


def _expression(literals: list[str], holes: Mapping[str, str], tail: str | None) -> re.Pattern[str] | None:
    """Compile all before the tail; nothing where that is literal text alone."""
    matched = [(name, kind) for name, kind in holes.items() if name != tail]
    if not matched:
        return None
    parts = [re.escape(literals[0])]
    for (name, kind), literal in zip(matched, literals[1:], strict=False):
        parts.append(f"(?P<{name}>{KINDS[kind]}){re.escape(literal)}")
    return re.compile("".join(parts), re.DOTALL)
