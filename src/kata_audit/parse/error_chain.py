r"""The causes inside an error text, outermost first.

Errors of Kata are nested in each other and quoted again at each step: containerd's `rpc error: code = … desc = …` holds a
chain of Go wraps (`a: b: c`), which holds the Rust Debug form of an anyhow error, with its `Caused by:` list and its
backtrace, inside a ttrpc status. What a person wants is the innermost text; all before it only says whose hands it went
through.

Sources: captures of Kata 4.1.0 under containerd 2.4 (Go shim and runtime-rs); gRPC's `status.Error`; anyhow 1 (`Debug`).
"""

import re
from typing import Final

LONGEST: Final = 16_384
"""Characters that are read of one error; causes stand before the backtrace, which is what makes errors long."""
MOST_LINKS: Final = 24
"""Links that are kept of one error: the outermost and, of more, the innermost."""
DEEPEST: Final = 8
"""Levels of quoting that are taken off; each hop of an error adds at most one."""
_ESCAPED: Final = re.compile(r'\\(\\|"|n|t|r)')
_PLAIN: Final = {"\\": "\\", '"': '"', "n": "\n", "t": "\t", "r": ""}
_BACKTRACE: Final = re.compile(r'\n[ \t"]*(?:[Ss]tack backtrace:|0: [\w<]\S*::)')
_WRAPPERS: Final = re.compile(
    r'rpc error: code = \w+ desc = |\bOthers\("|(?<=rpc status: )Status \{ code: \w+, message: |", details: \[[^\n]*'
)
"""What transports put around an error: gRPC, ttrpc's `Error::Others`, and the Debug form of its status."""
_LIST: Final = re.compile(r"\n[ \t]*Caused by:[ \t]*(?=\n)")
_NUMBERED: Final = re.compile(r"\n {3,}(?=\d{1,3}: )")
_NUMBER: Final = re.compile(r"^\s*\d{1,3}: ")
_BETWEEN: Final = re.compile(r'"[^"\n]*"|`[^`\n]*`|\{[^{}\n]*\}|(: |, (?:with )?err )(?=\S)')
"""A quoted text, a Debug form, or what stands between two links of a chain: Go's colon, or the shims' words for an error."""
_BARE: Final = re.compile(
    r"(?i)^(?:no such file or directory|file not found|entity not found|not found|permission denied|operation not permitted|"
    r"connection (?:refused|reset by peer)|broken pipe|eof|early eof|closed|timed out|timeout|file exists|invalid argument|"
    r"device or resource busy|read-only file system|inappropriate ioctl for device|no space left on device|"
    r"[a-z -]*\(os error \d+\)|context (?:deadline exceeded|canceled)|connect|exit status \d+)\.?$"
)
"""What says nothing without the link before it: the operating system's word for what went wrong."""
_LEADING: Final = re.compile(
    r'(?:(?:^|\W)(?:error|invalid (?:type|value)|unknown type)|\(last key "[^"\n]{1,200}"\)|'
    r"parsing annotation for \S{1,200})$"
)
"""What a link ends in that needs the one behind it, and the other way round."""
_PAIR: Final = 2
_WORDS: Final = 3
"""Fewer words than these, the system's own not counted, say nothing by themselves."""


def read_chain(text: str) -> tuple[str, ...]:
    r"""Read the links of an error, outermost first.

    Args:
        text: An error as a record states it, quoted to any depth; hostile texts included.

    Returns:
        At most `MOST_LINKS` texts of one line each, without codes of transports, numbers and backtraces; none is empty.

    Example:
        >>> read_chain('rpc error: code = Unknown desc = failed to create shim task: ttrpc: closed')
        ('failed to create shim task', 'ttrpc', 'closed')
    """
    plain = _WRAPPERS.sub("", _without_trace(_unquoted(text[:LONGEST])))
    head, *lists = _LIST.split(plain)
    links = _wraps(head)
    for listed in lists:
        for one in _NUMBERED.split(listed):
            links += _wraps(_NUMBER.sub("", one.strip("\n")))
    if len(links) > MOST_LINKS:
        links = [links[0], *links[1 - MOST_LINKS :]]
    return tuple(links)


def innermost(links: tuple[str, ...]) -> str:
    """Give the innermost text that says something by itself, with what stands behind it.

    Example:
        >>> innermost(("failed to create shim task", "stat /dev/vhost-vsock", "no such file or directory"))
        'stat /dev/vhost-vsock: no such file or directory'
    """
    first, words = len(links), 0
    while first > 0 and (words < _WORDS or _LEADING.search(links[first - 1])):
        first -= 1
        words += 0 if _BARE.match(links[first]) else len(links[first].split())
    return ": ".join(links[first:])


def _unquoted(text: str) -> str:
    """Take levels of quoting off, as long as there are any; the backtrace goes as soon as it shows."""
    for _ in range(DEEPEST):
        if "\\" not in text:
            break
        plain = _without_trace(_ESCAPED.sub(lambda found: _PLAIN[found[1]], text))
        if plain == text:
            break
        text = plain
    return text


def _without_trace(text: str) -> str:
    found = _BACKTRACE.search(text)
    return text[: found.start()] if found else text


def _wraps(text: str) -> list[str]:
    """Cut a chain of Go at its colons, but not inside quotes, and make each link one line."""
    cuts = [0]
    for found in _BETWEEN.finditer(text):
        if found[1]:
            cuts += [found.start(), found.end()]
    cuts.append(len(text))
    links = (" ".join(text[start:end].split()) for start, end in zip(cuts[::2], cuts[1::2], strict=True))
    return [link for one in links if (link := _trimmed(one))]


def _trimmed(link: str) -> str:
    """Take off the quotes and brackets that are left of what stood around a link."""
    link = link.strip()
    if link.count('"') % 2 or (link[:1] == '"' == link[-1:] and link.count('"') == _PAIR):
        link = link.strip(' "')
    return link.rstrip(" )}") if link.count("(") < link.count(")") or link.count("{") < link.count("}") else link
