"""Facts: what an entry takes out of a message, and in which form it becomes an attribute.

A source is `name`, or `name | form`: the name of a hole, an attribute, or `column:<name>`; forms are the functions below.
"""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final

import orjson

from kata_audit.parse.dumps.go_struct import read_go
from kata_audit.parse.dumps.rust_debug import read_rust

_MAX_FACT: Final = 16 * 1024
"""Bytes of one fact; a longer one is left out: the record itself has all of it."""


def _json_list(values: Any) -> str | None:
    """Spell a list of texts as JSON, as OTel writes `process.command_args`."""
    if not isinstance(values, list) or not all(isinstance(item, str) for item in values):
        return None
    return orjson.dumps([item.encode("utf-8", "replace").decode() for item in values]).decode()


def _at(value: Any, path: list[str]) -> str | None:
    """Go down a read value by names; what stands there as text."""
    for name in path:
        if isinstance(value, list) and name.isdecimal() and int(name) < len(value):
            value = value[int(name)]
        elif isinstance(value, dict) and name in value:
            value = value[name]
        else:
            return None
    if isinstance(value, list):
        return _json_list(value)
    return value if isinstance(value, str) else None


def _rust(text: str, path: str) -> str | None:
    return _at(read_rust(text), path.split("/") if path else [])


def _go(text: str, path: str) -> str | None:
    return _at(read_go(text), path.split("/") if path else [])


def _first_line(text: str, _: str) -> str | None:
    return text.partition("\n")[0]


def _words(text: str, separator: str) -> str | None:
    return _json_list(text.split(separator or None))


def _after(text: str, mark: str) -> str | None:
    return text.partition(mark)[2] or None


def _before(text: str, mark: str) -> str | None:
    return text.partition(mark)[0].strip() or None


_WRAPPED: Final = re.compile(
    r"(?:rpc error: code = [A-Za-z]{1,32} desc = "
    r"|error executing command in container: "
    r'|failed to [a-z ]{1,40}(?:"[0-9a-f]{64}")?: '
    r"|cannot enter container [0-9a-f]{64}, with err )++"
)
_REFUSED: Final = re.compile(r"[\\\"]{1,64}([A-Z][A-Za-z]{2,63}Request) is blocked by policy\b")
_RUST_ANSWER: Final = re.compile(r'(?:Others\()?[\\"]{1,64}failed to handle message ')
_STATUS: Final = "rpc status: Status { code: "
_STATUS_DENIED: Final = f"{_STATUS}PERMISSION_DENIED, message: "


def _policy_endpoint(text: str, _: str) -> str | None:
    """Give the request that the guest's policy refused.

    Only where the shims and containerd put the answer of the agent, under its code: the name of a program, which stands
    behind other words of the agent, may spell the same.
    """
    wrapped = _WRAPPED.match(text)
    at = wrapped.end() if wrapped is not None else 0
    if _RUST_ANSWER.match(text, at):
        at = text.find(_STATUS, at)
        found = _REFUSED.match(text, at + len(_STATUS_DENIED)) if text.startswith(_STATUS_DENIED, max(at, 0)) else None
    else:
        found = _REFUSED.match(text, at) if "code = PermissionDenied desc" in text[:at] else None
    return found[1] if found else None


_EXIT_STATUS: Final = re.compile(r"\bexit_status:([0-9]{1,10})\b")
_ENTERED: Final = re.compile(r"cannot enter container ([0-9a-f]{64}), with err")


def _exit_status(text: str, _: str) -> str | None:
    """Give the code of a task event; protobuf leaves out a code of 0."""
    found = _EXIT_STATUS.search(text)
    return found[1] if found else "0"


def _entered_container(text: str, _: str) -> str | None:
    found = _ENTERED.search(text)
    return found[1] if found else None


_FORMS: Final[Mapping[str, Callable[[str, str], str | None]]] = {
    "rust": _rust,
    "go": _go,
    "first_line": _first_line,
    "words": _words,
    "after": _after,
    "before": _before,
    "policy_endpoint": _policy_endpoint,
    "exit_status": _exit_status,
    "entered_container": _entered_container,
}


@lru_cache(maxsize=2048)
def _parsed(source: str) -> tuple[str, str, str, Callable[[str, str], str | None] | None]:
    """Give a source's name, kind and argument, and what its kind does."""
    name, _, form = (part.strip() for part in source.partition("|"))
    kind, _, argument = form.partition(" ")
    return name, kind, argument, _FORMS.get(kind)


def check_source(source: str) -> str | None:
    """Say what is wrong with a source; None where nothing is."""
    _, kind, _, _ = _parsed(source)
    return None if not kind or kind in _FORMS else f"no form is called {kind}"


def take(source: str, look_up: Callable[[str], str | None]) -> str | None:
    """Take one fact.

    Args:
        source: Where it is from.
        look_up: Gives what stands under a name.

    Returns:
        The fact; None where there is none, or where it is too long.
    """
    found = seek(source, look_up)
    return found if found and len(found) <= _MAX_FACT else None


def seek(source: str, look_up: Callable[[str], str | None]) -> str | None:
    """Give what stands at a source, however long."""
    name, _, argument, form = _parsed(source)
    value = look_up(name)
    return form(value, argument) if form is not None and value is not None else value
