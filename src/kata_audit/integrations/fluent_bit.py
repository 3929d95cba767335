"""The smallest change that makes an existing Fluent Bit read Kata's logs: lines added to its file, and none of it changed.

The classic format is read as Fluent Bit does: sections `[NAME]` with a key and a value a line, and commands with `@`.
"""

import fnmatch
import re
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from kata_audit.integrations.pack import Value

_SECTION: Final = re.compile(r"\s*\[(\w+)\]\s*")
_INCLUDE: Final = re.compile(r"\s*@INCLUDE\s+(\S+)\s*", re.IGNORECASE)
_SAFE_TAG: Final = re.compile(r"[\w.*-]+", re.ASCII)
_TAG: Final = "kata.journal"
_PARSERS: Final = "kata-parsers.conf"
_JOURNAL: Final = "kata-journal.conf"
_INCLUDED: Final = (
    _JOURNAL,
    "kata-inputs.conf",
    "kata-transport.conf",
    "kata-mask.conf",
    "kata-filters.conf",
    "kata-output.conf",
)


class Section(NamedTuple):
    """A section of a classic configuration.

    Attributes:
        name: Its name in capitals: SERVICE, INPUT, FILTER, OUTPUT.
        line: The line of its name, from 0.
        entries: The line, the key in small letters and the value of each entry.
    """

    name: str
    line: int
    entries: list[tuple[int, str, str]]

    def values(self, key: str) -> list[str]:
        """Give the values of a key, in their order."""
        return [value for _, name, value in self.entries if name == key]

    def value(self, key: str) -> str:
        """Give the last value of a key; nothing where it is not set."""
        return next(reversed(self.values(key)), "")


class Added(NamedTuple):
    """What came out.

    Attributes:
        text: The file with what was added; the same text where nothing is missing.
        notes: What a person should know: what was found, and what was left as it is.
    """

    text: str
    notes: tuple[str, ...]


def is_yaml(text: str) -> bool:
    """Say whether a configuration is in Fluent Bit's other format."""
    return re.search(r"^(service|pipeline|includes|parsers|env)\s*:", text, re.MULTILINE) is not None


def read_classic(text: str) -> list[Section]:
    """Read the sections of a classic configuration; what stands before the first is in none."""
    sections: list[Section] = []
    for number, line in enumerate(text.splitlines()):
        found = _SECTION.fullmatch(line)
        if found:
            sections.append(Section(found[1].upper(), number, []))
        elif sections and line.strip() and not line.lstrip().startswith(("#", "@")):
            key, *value = line.split(maxsplit=1)
            sections[-1].entries.append((number, key.lower(), "".join(value).strip()))
    return sections


def add_kata(text: str, values: Mapping[str, Value]) -> Added:
    """Add to a classic configuration what makes it read Kata's logs.

    Args:
        text: The file.
        values: The pack's values: which identifiers and transports of the journal are Kata's.

    Returns:
        The new text, and notes. Where an input reads the whole journal already, its records are taken from there.
    """
    sections = read_classic(text)
    lines = text.splitlines()
    there = {found[1].rpartition("/")[2] for line in lines if (found := _INCLUDE.fullmatch(line))}
    ours = _reading_all(sections)
    notes = _notes(sections, ours)
    tail = []
    needed = [name for name in _INCLUDED if name not in there and (ours is None or name != _JOURNAL)]
    if ours is not None and not any("rewrite_tag" in one.values("name") and _TAG in one.value("rule") for one in sections):
        tail += [*_from_input(ours, sections, values), ""]
    tail += [f"@INCLUDE {name}" for name in needed]
    at, parsers = _parsers(sections, lines)
    lines[at:at] = parsers
    if tail:
        lines += [
            *([""] if lines and lines[-1].strip() else []),
            "# Kata Containers: `kata-audit integrate fluent-bit`.",
            *tail,
        ]
    if not parsers and not tail:
        return Added(text, (*notes, "Nothing is missing."))
    return Added("\n".join(lines) + "\n", notes)


def _parsers(sections: Sequence[Section], lines: Sequence[str]) -> tuple[int, list[str]]:
    """Give the line where our parsers are to be named, and what names them; nothing where they are."""
    services = [one for one in sections if one.name == "SERVICE"]
    named = [(at, value) for one in services for at, key, value in one.entries if key == "parsers_file"]
    if any(value.rpartition("/")[2] == _PARSERS for _, value in named):
        return 0, []
    if not services:
        return 0, ["[SERVICE]", f"    Parsers_File {_PARSERS}", ""]
    last = named[-1][0] if named else max([services[0].line, *(at for at, _, _ in services[0].entries)])
    key = re.match(r"(\s*\S+\s+)\S", lines[last])
    if named and key:
        return last + 1, [f"{key[1]}{_PARSERS}"]
    indent = re.match(r"\s*", lines[last])
    return last + 1, [f"{(indent[0] if indent else '') or '    '}Parsers_File {_PARSERS}"]


def _journals(sections: Sequence[Section]) -> list[Section]:
    return [one for one in sections if one.name == "INPUT" and one.value("name").lower() == "systemd"]


def _reading_all(sections: Sequence[Section]) -> Section | None:
    """Find an input that reads the whole journal and keeps the names of its fields."""
    for one in _journals(sections):
        renames = any(one.value(key).lower() in {"on", "true", "yes"} for key in ("strip_underscores", "lowercase"))
        if not one.values("systemd_filter") and not renames and _SAFE_TAG.fullmatch(one.value("tag")):
            return one
    return None


def _from_input(ours: Section, sections: Sequence[Section], values: Mapping[str, Value]) -> list[str]:
    """Give the filter that gives Kata's entries of an input our tag.

    They stay under their own tag too, so that nothing of what was there changes; but where an output takes both, they would
    arrive twice there.
    """
    keep = "false" if any(_takes(one, _TAG) and _takes(one, ours.value("tag")) for one in sections) else "true"
    names, transports = ("|".join(re.escape(one).replace(r"\-", "-") for one in _each(values[key])) for key in _LISTS)
    return [
        "[FILTER]",
        "    Name   rewrite_tag",
        f"    Match  {ours.value('tag')}",
        f"    Rule   $SYSLOG_IDENTIFIER ^({names})$ {_TAG} {keep}",
        f"    Rule   $_TRANSPORT ^({transports})$ {_TAG} {keep}",
    ]


_LISTS: Final = ("journal_identifiers", "journal_transports")


def _each(value: Value) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else value


def _takes(section: Section, tag: str) -> bool:
    """Say whether an output takes records of a tag."""
    if section.name != "OUTPUT":
        return False
    pattern = section.value("match_regex")
    try:
        return bool(re.search(pattern, tag)) if pattern else fnmatch.fnmatchcase(tag, section.value("match"))
    except re.error:
        return False


def _notes(sections: Sequence[Section], ours: Section | None) -> tuple[str, ...]:
    notes = []
    if ours is not None:
        notes.append(
            f"Line {ours.line + 1} reads the whole journal: Kata's entries are taken from it, under the tag {_TAG}."
        )
    notes += [
        f"Line {one.line + 1} reads the journal too, as it is told: what Kata wrote may come twice, under two tags."
        for one in _journals(sections)
        if one is not ours
    ]
    notes += [
        f"Line {one.line + 1}, an output, takes Kata's records too."
        for one in sections
        if _takes(one, _TAG) and "kata" not in one.value("match")
    ]
    count = {name: sum(one.name == name for one in sections) for name in ("INPUT", "FILTER", "OUTPUT")}
    left = ", ".join(f"{number} of {name}" for name, number in count.items())
    return (*notes, f"Left as they are: {left}. Files that yours includes were not read.")
