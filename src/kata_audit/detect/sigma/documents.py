"""The YAML of a rule file as plain values with their lines.

A rule file may be anybody's. It is read in bounded time: it has a greatest size and depth, nothing in it may refer to
another part of it, and only plain values are made.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import yaml

from kata_audit.errors import Problem

MAX_BYTES: Final = 256 << 10
"""A rule file is at most so long; the longest of ours has a few kilobytes."""
MAX_DEPTH: Final = 24
MAX_DOCUMENTS: Final = 200

Path: TypeAlias = tuple[str | int, ...]
"""Keys and places in lists, from a document's top to a value."""


class DocumentError(Exception):
    """A text is no YAML that may stand in a rule file. Args: line, and why, for a person."""

    def __init__(self, line: int, why: str) -> None:
        super().__init__(f"line {line}: {why}")
        self.line = line
        self.why = why


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a rule file."""

    file: str
    """The file's name in messages."""
    file_digest: bytes
    """SHA-256 of the file's bytes."""
    data: dict[str, Any]
    lines: dict[Path, int]

    def place(self, *path: str | int) -> str:
        """Name the place of a value, or of the nearest thing around it that has a line: `file:line`."""
        line = next(self.lines[path[:end]] for end in range(len(path), -1, -1) if path[:end] in self.lines)
        return f"{self.file}:{line}"


def read_documents(file: str, content: bytes) -> tuple[list[Document], list[Problem]]:
    """Read all documents of a file.

    Args:
        file: What messages call it.
        content: Its bytes.

    Returns:
        Its documents that are mappings, and what is wrong with it.
    """
    try:
        return _documents(file, content)
    except DocumentError as error:
        return [], [Problem(f"{file}:{error.line}", error.why)]


def _documents(file: str, content: bytes) -> tuple[list[Document], list[Problem]]:
    if len(content) > MAX_BYTES:
        raise DocumentError(1, f"The file is longer than {MAX_BYTES:,} bytes.")
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise DocumentError(content.count(b"\n", 0, error.start) + 1, "The file is not UTF-8.") from error
    digest = hashlib.sha256(content).digest()
    documents, problems = [], []
    for root in _nodes(text):
        lines: dict[Path, int] = {(): root.start_mark.line + 1}
        if isinstance(root, yaml.ScalarNode) and not root.value:
            continue  # an empty document, as behind a last `---`
        if not isinstance(root, yaml.MappingNode):
            problems.append(Problem(f"{file}:{lines[()]}", "A rule is a mapping of keys to values."))
            continue
        documents.append(Document(file, digest, _value(root, (), lines), lines))
    return documents, problems


def _nodes(text: str) -> list[yaml.Node]:
    try:
        _see_bounds(yaml.parse(text, Loader=yaml.CSafeLoader))
        return [node for node in yaml.compose_all(text, Loader=yaml.CSafeLoader) if node is not None]
    except yaml.reader.ReaderError as error:
        raise DocumentError(1, f"Not YAML: {error.reason}.") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise DocumentError(mark.line + 1 if mark else 1, f"Not YAML: {error.problem or error.context}.") from error


def _see_bounds(events: Iterator[yaml.Event]) -> None:
    depth = documents = 0
    for event in events:
        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, yaml.AliasEvent):
            raise DocumentError(line, "A rule may not refer to another part of its file; write the value out.")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        documents += isinstance(event, yaml.DocumentStartEvent)
        if depth > MAX_DEPTH:
            raise DocumentError(line, f"Values stand deeper than {MAX_DEPTH} in each other.")
        if documents > MAX_DOCUMENTS:
            raise DocumentError(line, f"The file has more than {MAX_DOCUMENTS} documents.")


_SCALARS: Final = yaml.constructor.SafeConstructor()
_PLAIN: Final = {f"tag:yaml.org,2002:{kind}" for kind in ("str", "int", "float", "bool", "null", "timestamp")}


def _value(node: yaml.Node, at: Path, lines: dict[Path, int]) -> Any:
    lines.setdefault(at, node.start_mark.line + 1)
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, (*at, place), lines) for place, item in enumerate(node.value)]
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, at, lines)
    if node.tag not in _PLAIN:
        raise DocumentError(lines[at], "A value is a text, a number, true, false or null.")
    try:
        return _unicode(_SCALARS.construct_object(node))
    except UnicodeEncodeError as error:
        raise DocumentError(lines[at], "The text is not Unicode: half of a pair of surrogates stands alone.") from error
    except ValueError as error:  # such as the 31st of a February, or a number too long to read
        raise DocumentError(lines[at], "There is no such number or day; put a text in quotation marks.") from error
    finally:
        _SCALARS.constructed_objects.clear()


def _unicode(value: Any) -> Any:
    if isinstance(value, str):
        value.encode()
    return value


def _mapping(node: yaml.MappingNode, at: Path, lines: dict[Path, int]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode) or key.tag == "tag:yaml.org,2002:merge":
            raise DocumentError(line, "A key is a plain word.")
        if key.value in found:
            raise DocumentError(line, f"The key `{key.value}` stands here twice.")
        lines[*at, key.value] = line
        found[key.value] = _value(value, (*at, key.value), lines)
    return found
