r"""Regexes of RE2 as regexes of Lucene, which fit whole values, know no anchors, no word borders and no flags.

A pattern is read, spread into sequences in which anchors and borders stand by themselves, and written anew: what may stand
before and behind it is `.*`, an anchor takes that away, a word border becomes an intersection (`&`) of what stands on one
side with "begins with a word character" or its opposite. What is not read here raises, and is not guessed.

Source: the syntax page of RE2; Lucene's `org.apache.lucene.util.automaton.RegExp`, as OpenSearch and Elasticsearch use it.
"""

from dataclasses import dataclass
from itertools import product
from typing import Final, TypeAlias

from kata_audit.predicate.printing import CannotPrintError

MAX_LENGTH: Final = 1000
"""Characters of one regex that both products take, `index.max_regex_length`."""
_MAX_REPEAT: Final = 20
"""Times that something may be counted: each is a state of an automaton, whose making may take an effort of 10,000."""
_MAX_SEQUENCES: Final = 400
_WORD: Final = "0-9A-Za-z_"
_CLASSES: Final = {"d": "0-9", "s": "\t\n\f\r ", "w": _WORD}
_ESCAPES: Final = {"n": "\n", "r": "\r", "t": "\t", "f": "\f", "v": "\v", "a": "\a"}
_ANY: Final = ".*"


@dataclass(frozen=True, slots=True)
class One:
    """One character: of these (`0-9` for a range, members escaped as Lucene reads them), or of all others."""

    members: str
    is_denied: bool = False


@dataclass(frozen=True, slots=True)
class Border:
    """A place: `begin`, `end`, or `word`."""

    kind: str


@dataclass(frozen=True, slots=True)
class Repeat:
    """Something so many times; no `most` is any number."""

    node: "Node"
    least: int
    most: int | None


@dataclass(frozen=True, slots=True)
class Sequence:
    """One after another."""

    nodes: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """One of some."""

    nodes: tuple["Node", ...]


Node: TypeAlias = One | Border | Repeat | Sequence | Choice


def lucene_regexes(pattern: str) -> list[str]:
    r"""Write a regex of RE2, found anywhere, as regexes of Lucene of which one fits the whole value.

    Raises:
        CannotPrintError: It has what is not read here, counts too far, or is too long.

    Example:
        >>> lucene_regexes(r"^a\b|b$")
        ['a([^0-9A-Za-z_].*)?', '.*b']
    """
    reader = _Reader(pattern)
    tree = reader.choice(_Flags())
    if reader.at != len(pattern):
        raise CannotPrintError("its regex has a parenthesis too many")
    written = list(dict.fromkeys(_written(list(one)) for one in _spread(tree)))
    if any(len(one) > MAX_LENGTH for one in written):
        raise CannotPrintError(f"its regex would be longer than {MAX_LENGTH} characters there")
    return written


@dataclass(frozen=True, slots=True)
class _Flags:
    caseless: bool = False
    dot_all: bool = False


class _Reader:
    """Recursive descent over a pattern."""

    def __init__(self, pattern: str) -> None:
        self.pattern, self.at = pattern, 0

    def peek(self, ahead: int = 1) -> str:
        return self.pattern[self.at : self.at + ahead]

    def take(self) -> str:
        if self.at >= len(self.pattern):
            raise CannotPrintError("its regex ends too early")
        self.at += 1
        return self.pattern[self.at - 1]

    def choice(self, flags: _Flags) -> Node:
        found = [self.sequence(flags)]
        while self.peek() == "|":
            self.at += 1
            found.append(self.sequence(flags))
        return found[0] if len(found) == 1 else Choice(tuple(found))

    def sequence(self, flags: _Flags) -> Node:
        nodes: list[Node] = []
        while self.peek() not in ("", "|", ")"):
            if self.peek(2) == "(?" and self.pattern[self.at + 2 : self.at + 3] in "ims-":
                flags, inner = self.flags(flags)
                if inner is None:
                    continue
                nodes.append(self.repeated(inner))
            else:
                nodes.append(self.repeated(self.atom(flags)))
        return nodes[0] if len(nodes) == 1 else Sequence(tuple(nodes))

    def flags(self, flags: _Flags) -> tuple[_Flags, Node | None]:
        """Read `(?i)`, which holds to the end of the group, or `(?i:…)`."""
        self.at += 2
        caseless, dot_all, sign = flags.caseless, flags.dot_all, True
        while (char := self.take()) not in ":)":
            if char == "-":
                sign = False
            elif char == "i":
                caseless = sign
            elif char == "s":
                dot_all = sign
            else:
                raise CannotPrintError("its regex has flags that are not known there")
        made = _Flags(caseless, dot_all)
        return (made, None) if char == ")" else (flags, self.group(made))

    def group(self, flags: _Flags) -> Node:
        inner = self.choice(flags)
        if self.take() != ")":
            raise CannotPrintError("its regex has no end of a group")
        return inner

    def atom(self, flags: _Flags) -> Node:
        char = self.take()
        if char == "(":
            if self.peek() == "?":
                if self.peek(2) == "?:":
                    self.at += 2
                elif self.peek(3) == "?P<":
                    self.at = self.pattern.index(">", self.at) + 1
                else:
                    raise CannotPrintError("its regex has a group that is not known there")
            return self.group(flags)
        if char == "[":
            return self.one_of(flags)
        if char == ".":
            return One("", is_denied=True) if flags.dot_all else One("\n", is_denied=True)
        if char in "^$":
            return Border("begin" if char == "^" else "end")
        if char == "\\":
            return self.escape(flags)
        return _literal(char, flags)

    def escape(self, flags: _Flags) -> Node:
        char = self.take()
        if char in "Azb":
            return Border({"A": "begin", "z": "end", "b": "word"}[char])
        if char.lower() in _CLASSES:
            return One(_CLASSES[char.lower()], is_denied=char.isupper())
        return _literal(self.escaped(char), flags)

    def escaped(self, char: str) -> str:
        """Give the character that an escape stands for, the letter behind the backslash being read."""
        if char == "x":
            if self.peek() == "{":
                end = self.pattern.index("}", self.at)
                text, self.at = self.pattern[self.at + 1 : end], end + 1
            else:
                text, self.at = self.peek(2), self.at + 2
            return chr(int(text, 16))
        if char in _ESCAPES:
            return _ESCAPES[char]
        if char.isalnum():
            raise CannotPrintError("its regex has an escape that is not known there")
        return char

    def one_of(self, flags: _Flags) -> Node:
        """Read a class, `[^a-z]`."""
        is_denied = self.peek() == "^"
        self.at += is_denied
        members = ""
        while members == "" or self.peek() != "]":
            char = self.take()
            if char == "[" and self.peek() == ":":
                raise CannotPrintError("its regex has a class by name")
            if char == "\\":
                letter = self.take()
                if letter in "dsw":
                    members += _CLASSES[letter] if letter != "s" else "".join(map(_quoted, _CLASSES["s"]))
                    continue
                char = self.escaped(letter)
            if self.peek() == "-" and self.peek(2) != "-]":
                self.at += 1
                end = self.take()
                end = self.escaped(self.take()) if end == "\\" else end
                members += _range(char, end, flags)
            else:
                members += "".join(map(_quoted, _cases(char, flags)))
        self.at += 1
        return One(members, is_denied)

    def repeated(self, node: Node) -> Node:
        """Read what says how often; whether as few or as many as can be makes no difference to what fits."""
        while self.peek() and self.peek() in "*+?{":
            char = self.take()
            least, most = {"*": (0, None), "+": (1, None), "?": (0, 1)}.get(char, (0, None))
            if char == "{":
                end = self.pattern.index("}", self.at)
                first, comma, last = self.pattern[self.at : end].partition(",")
                least, most, self.at = int(first), (int(last) if last else None) if comma else int(first), end + 1
            if max(least, most or 0) > _MAX_REPEAT:
                raise CannotPrintError("its regex counts further than an automaton there may")
            if self.peek() == "?":
                self.at += 1
            node = Repeat(node, least, most)
        return node


def _cases(char: str, flags: _Flags) -> str:
    return char.lower() + char.upper() if flags.caseless and char.isascii() and char.isalpha() else char


def _literal(char: str, flags: _Flags) -> One:
    return One("".join(map(_quoted, _cases(char, flags))))


def _range(first: str, last: str, flags: _Flags) -> str:
    text = f"{_quoted(first)}-{_quoted(last)}"
    if flags.caseless and first.isalpha() and last.isalpha():
        return f"{first.lower()}-{last.lower()}{first.upper()}-{last.upper()}"
    return text


def _quoted(char: str) -> str:
    return char if char.isalnum() or not char.isascii() or not char.isprintable() or char == " " else f"\\{char}"


def _has_border(node: Node) -> bool:
    if isinstance(node, Repeat):
        return _has_border(node.node)
    return isinstance(node, Border) or (isinstance(node, Sequence | Choice) and any(map(_has_border, node.nodes)))


def _spread(node: Node) -> list[tuple[Node, ...]]:
    """Give the sequences of which a node is one, borders standing in them and in no group."""
    if not _has_border(node):
        if isinstance(node, Choice):
            return [one for part in node.nodes for one in _spread(part)]
        return [node.nodes if isinstance(node, Sequence) else (node,)]
    if isinstance(node, Border):
        return [(node,)]
    if isinstance(node, Choice):
        return [one for part in node.nodes for one in _spread(part)]
    if isinstance(node, Repeat):
        if (node.least, node.most) != (0, 1):
            raise CannotPrintError("its regex repeats an anchor")
        return [(), *_spread(node.node)]
    assert isinstance(node, Sequence)
    each = [_spread(part) if _has_border(part) else [(part,)] for part in node.nodes]
    found = [tuple(part for parts in one for part in parts) for one in product(*each)]
    if len(found) > _MAX_SEQUENCES:
        raise CannotPrintError("its regex has too many alternatives beside anchors")
    return found


def _written(nodes: list[Node]) -> str:
    """Write one sequence, as what fits the whole value."""
    begin = bool(nodes) and nodes[0] == Border("begin")
    end = bool(nodes) and nodes[-1] == Border("end")
    inner = nodes[begin : len(nodes) - (end and len(nodes) > begin)]
    if any(isinstance(node, Border) and node.kind != "word" for node in inner):
        raise CannotPrintError("its regex has an anchor inside")
    parts: list[list[Node]] = [[]]
    for node in inner:
        if isinstance(node, Border):
            parts.append([])
        else:
            parts[-1].append(node)
    texts = ["".join(map(_text, part)) for part in parts]
    texts[0] = texts[0] if begin else _ANY + texts[0]
    texts[-1] = texts[-1] if end else texts[-1] + _ANY
    rest = texts[-1]
    for at in range(len(parts) - 2, -1, -1):
        if at and all(_may_be_empty(node) for node in parts[at]):
            raise CannotPrintError("its regex has word borders side by side")
        before = _edge(parts[at][-1]) if parts[at] else None
        behind = _edge(parts[at + 1][0]) if parts[at + 1] else None
        rest = _bordered(texts[at], rest, before=before, behind=behind)
    return rest


def _bordered(left: str, right: str, *, before: bool | None, behind: bool | None) -> str:
    """Join two texts at a word border; `before` and `behind` say whether a word character is there, where that is known."""
    ways = []
    if before is not False and behind is not True:
        word = left if before else f".*[{_WORD}]" if left == _ANY else f"(({left})&(.*[{_WORD}]))"
        other = right if behind is False else f"([^{_WORD}].*)?" if right == _ANY else f"(({right})&(([^{_WORD}].*)?))"
        ways.append(word + other)
    if before is not True and behind is not False:
        other = left if before is False else f"(.*[^{_WORD}])?" if left == _ANY else f"(({left})&((.*[^{_WORD}])?))"
        word = right if behind else f"[{_WORD}].*" if right == _ANY else f"(({right})&([{_WORD}].*))"
        ways.append(other + word)
    if not ways:
        raise CannotPrintError("its regex can never fit")
    return ways[0] if len(ways) == 1 else f"({'|'.join(ways)})"


def _edge(node: Node) -> bool | None:
    """Say whether a node is one word character, or one other; None where it may be either, or none."""
    if not isinstance(node, One) or node.is_denied or not node.members or len(node.members) > 2:
        return None
    return node.members[-1].isascii() and (node.members[-1].isalnum() or node.members[-1] == "_")


def _may_be_empty(node: Node) -> bool:
    if isinstance(node, Repeat):
        return node.least == 0 or _may_be_empty(node.node)
    if isinstance(node, Choice):
        return any(map(_may_be_empty, node.nodes))
    return isinstance(node, Sequence) and all(map(_may_be_empty, node.nodes))


def _text(node: Node) -> str:
    if isinstance(node, One):
        if not node.is_denied and (len(node.members) == 1 or (len(node.members) == 2 and node.members[0] == "\\")):
            return node.members
        return f"[{'^' if node.is_denied else ''}{node.members}]" if node.members else "."
    if isinstance(node, Sequence):
        return "".join(map(_text, node.nodes))
    if isinstance(node, Choice):
        return f"({'|'.join(_text(one) or '()' for one in node.nodes)})"
    assert isinstance(node, Repeat)
    inner = _text(node.node)
    inner = inner if isinstance(node.node, One) else f"({inner})"
    often = {(0, None): "*", (1, None): "+", (0, 1): "?"}.get((node.least, node.most))
    return inner + (often or f"{{{node.least},{'' if node.most is None else node.most}}}")
