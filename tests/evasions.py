"""Other spellings of what a rule looks for, and a host's lines in a guest's mouth.

Each kind of evasion makes of a sample that a rule finds others that mean the same to the program that reads them. A kind that
changes nothing in a sample gives none.
"""

import json
import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias
from urllib.parse import parse_qsl, urlencode

from kata_audit.pipeline.samples import Part, Sample

Arguments: TypeAlias = list[str]
_LONG: Final = "x" * 3000
_BOX: Final = "3f9d1c5a7b2e4d6f8091a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f7"
_PATH: Final = re.compile(r"(?<![\w:/.~-])(?!/dev/(?:tcp|udp)/)(/[\w.-]+)((?:/[\w.-]+)+)")
"""A path of two parts or more, that is no part of an address, and no connection that a shell makes of a name."""
_ADDRESS: Final = re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}\b")
_HOST: Final = re.compile(r"(?<=://)[a-z][\w.-]*[a-z]", re.ASCII)
_WITH_COMMAND: Final = re.compile(r"(?<=with command \[)(?P<command>.*)(?=\] and timeout)")
_RELAYED: Final = re.compile(r'(?<= vmconsole=)"(?:[^"\\]|\\.)*"')
_SPOKEN: Final = "process command: "


def _script(text: str) -> Arguments:
    return ["sh", "-c", text]


def _as_script(command: Arguments) -> str:
    """Give a command as a shell takes it; that of a shell with a script is the script."""
    return command[2] if len(command) == 3 and command[:2] == ["sh", "-c"] else shlex.join(command)


def _in_each(change: Callable[[str], str]) -> Callable[[Arguments], Arguments]:
    return lambda command: [change(each) for each in command]


def _paths(between: str) -> Callable[[str], str]:
    return lambda text: _PATH.sub(rf"\1{between}\2", text)


def _number(match: "re.Match[str]") -> str:
    value = 0
    for part in match[0].split("."):
        value = value * 256 + int(part)
    return str(value)


def _break_word(text: str) -> str:
    """Put an empty quotation into the longest word of a script."""
    word = max(re.findall(r"[A-Za-z]{3,}", text), key=len, default="")
    return text.replace(word, f"{word[:2]}''{word[2:]}") if word else text


COMMANDS: Final[Mapping[str, Callable[[Arguments], Arguments]]] = {
    "absolute-path": lambda command: command if command[0].startswith("/") else [f"/usr/bin/{command[0]}", *command[1:]],
    "other-folder": lambda command: command if command[0].startswith("/") else [f"./{command[0]}", *command[1:]],
    "script": lambda command: _script(_as_script(command)),
    "script-in-a-script": lambda command: _script(shlex.join(_script(_as_script(command)))),
    "padding": lambda command: _script(f"  \t {_as_script(command)}  "),
    "long-prefix": lambda command: _script(f": {_LONG}; {_as_script(command)}"),
    "quoted-words": lambda command: _script(" ".join(f'"{each}"' for each in command)) if len(command) < 3 else command,
    "line-ends": lambda command: _script(f"true\n{_as_script(command)}\ntrue"),
    "through-another-program": lambda command: ["env", *command],
    "doubled-slash": _in_each(_paths("/")),
    "dot-part": _in_each(_paths("/.")),
    "parent-part": _in_each(_paths("/x/..")),
    "host-in-capitals": _in_each(lambda text: _HOST.sub(lambda match: match[0].upper(), text)),
    "host-in-look-alikes": _in_each(lambda text: _HOST.sub(lambda match: _widened(match[0]), text)),
    "address-as-a-number": _in_each(lambda text: _ADDRESS.sub(_number, text)),
    "broken-word": lambda command: _script(_break_word(_as_script(command))),
}
"""Spellings of a command."""


def _widened(text: str) -> str:
    """Spell letters in their full-width forms, which names of hosts are folded from."""
    return "".join(chr(ord(each) + 0xFEE0) if each.isalpha() else each for each in text)


def _folded(path: str, between: str) -> str:
    head, _, tail = path.rstrip("/").rpartition("/")
    return f"{head}{between}/{tail}"


PATHS: Final[Mapping[str, Callable[[str], str]]] = {
    "doubled-slash": lambda path: _folded(path, "/"),
    "dot-part": lambda path: _folded(path, "/."),
    "parent-part": lambda path: _folded(path, "/x/.."),
    "leading-slashes": lambda path: f"//{path}",
}
"""Spellings of a path in a host's record."""

URLS: Final[Mapping[str, Callable[[str], str]]] = {
    "query": lambda path: f"{path}?a=b",
    "fragment": lambda path: f"{path}#a",
    "absolute-form": lambda path: f"http://shim{path}",
    "doubled-slash": lambda path: f"/{path}",
    "trailing-slash": lambda path: f"{path}/",
}
"""Spellings of a path in a request."""

PARAMETERS: Final[Mapping[str, Callable[[str], str]]] = {
    "padding": lambda text: f"   {text}   ",
    "long-prefix": lambda text: f"x={_LONG} {text}",
    "given-twice": lambda text: f"{text} {text}",
    "behind-a-tab": lambda text: f"x\t{text}",
}
"""Spellings of a kernel's parameter."""

OPTIONS: Final[Mapping[str, Callable[[str], str]]] = {
    "joined": lambda text: re.sub(r"(--[\w-]+) (?!-)", r"\1=", text),
    "apart": lambda text: re.sub(r"(--[\w-]+)=", r"\1 ", text),
    "padding": lambda text: f"  {text}  ",
    "long-prefix": lambda text: f"--x {_LONG} {text}",
}
"""Spellings of a host program's option."""

TEXTS: Final[Mapping[str, Mapping[str, Callable[[str], str]]]] = {
    "path": PATHS,
    "url": URLS,
    "parameter": PARAMETERS,
    "option": OPTIONS,
}
"""Forms of texts that tenants or an intruder spell, and their spellings."""


def command_variants(sample: Sample, kind: str) -> Iterator[Sample]:
    """Spell the commands of a sample in another way.

    Args:
        sample: Any sample.
        kind: A key of `COMMANDS`.
    """
    yield from _changed(sample, kind, lambda line: _spell_command(line, COMMANDS[kind]))


def text_variants(sample: Sample, kind: str, text: str, other: str) -> Iterator[Sample]:
    """Write another text wherever a sample has one as a whole.

    Args:
        sample: Any sample.
        kind: What the new sample's name ends with.
        text: The text, as the source's program means it.
        other: What stands there instead.
    """
    yield from _changed(sample, kind, lambda line: _replace(line, text, other))


def _changed(sample: Sample, kind: str, change: Callable[[str], str]) -> Iterator[Sample]:
    parts = tuple(part._replace(lines=tuple(map(change, part.lines))) for part in sample.parts)
    if parts != sample.parts:
        yield sample._replace(name=f"{sample.name}: {kind}", parts=parts)


def _loaded(line: str) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _dumped(value: Mapping[str, Any]) -> str:
    """Write an object as the sources do, without spaces."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _replace(line: str, text: str, other: str) -> str:
    """Replace a text that stands as a whole, in every text of a JSON object or in a plain line."""
    value = _loaded(line)
    if value is None:
        return re.sub(rf"(?<![\w/.-]){re.escape(text)}(?![\w/.-])", lambda _: other, line)
    changed = {key: _replace(each, text, other) if isinstance(each, str) else each for key, each in value.items()}
    return line if changed == value else _dumped(changed)


def _spell_command(line: str, change: Callable[[Arguments], Arguments]) -> str:
    """Change the command in a line of an agent, of containerd, or of an API server, whichever it is."""
    value = _loaded(line)
    if value is None:
        line = _RELAYED.sub(lambda match: json.dumps(_spell_command(json.loads(match[0]), change), ensure_ascii=False), line)
        return _WITH_COMMAND.sub(lambda match: _as_go_tells(change(_from_go(match["command"]))), line)
    changed = value | dict(_spelled(value, change))
    return line if changed == value else _dumped(changed)


def _spelled(value: Mapping[str, Any], change: Callable[[Arguments], Arguments]) -> Iterator[tuple[str, str]]:
    """Give the fields of an object that hold a command, with the command changed."""
    if "command=" in str(value.get("requestURI")):
        yield "requestURI", _asked(value["requestURI"], change)
    if isinstance(value.get("MESSAGE"), str):
        yield "MESSAGE", _spell_command(value["MESSAGE"], change)
    said = value.get("msg")
    if isinstance(said, str) and said.startswith(_SPOKEN) and "\\u{" not in said:
        command = json.loads(said.removeprefix(_SPOKEN))
        yield "msg", _SPOKEN + json.dumps(change(command), ensure_ascii=False)


def _from_go(text: str) -> Arguments:
    """Part a command that containerd tells with spaces between; what follows `sh -c` is taken for its script."""
    words = json.loads(f'"{text}"').split(" ")
    return [*words[:2], " ".join(words[2:])] if words[:2] == ["sh", "-c"] else words


def _as_go_tells(command: Arguments) -> str:
    return json.dumps(" ".join(command), ensure_ascii=False)[1:-1]


def _asked(uri: str, change: Callable[[Arguments], Arguments]) -> str:
    path, _, query = uri.partition("?")
    asked = parse_qsl(query)
    command = [value for key, value in asked if key == "command"]
    changed = change(command)
    rest = [(key, value) for key, value in asked if key != "command"]
    return uri if changed == command else f"{path}?{urlencode([*(('command', each) for each in changed), *rest])}"


def forged(sample: Sample) -> Iterator[Sample]:
    """Put every line of a sample into a guest's mouth, in each way in which a guest's words reach a node."""
    yield from _said(sample, _MOUTHS)


def repeated(sample: Sample) -> Iterator[Sample]:
    """Put every line of a sample into what a host's record repeats of a tenant's words."""
    yield from _said(sample, _ECHOES)


def _said(sample: Sample, mouths: "Mapping[str, Callable[[Sequence[str]], Iterator[Part]]]") -> Iterator[Sample]:
    lines = [line for part in sample.parts for line in part.lines]
    words = [_words(line) for line in lines]
    for mouth, said in mouths.items():
        for each in (lines, words) if words != lines else (lines,):
            yield sample._replace(name=f"{sample.name}: {mouth}", parts=tuple(said(each)))


def _words(line: str) -> str:
    """Give what a journal's entry says, of any other line the line."""
    value = _loaded(line) or {}
    return value["MESSAGE"] if isinstance(value.get("MESSAGE"), str) else line


def _by_console(lines: Sequence[str]) -> Iterator[Part]:
    yield Part("console", None, tuple(lines))


def _by_container(lines: Sequence[str]) -> Iterator[Part]:
    said = tuple(f"2026-11-23T06:07:28.{at:09d}Z stdout F {line}" for at, line in enumerate(_flat(lines)))
    yield Part("cri", None, said)


def _by_agent(lines: Sequence[str]) -> Iterator[Part]:
    frame = {"level": "INFO", "ts": "2026-11-23T06:07:28.000000001Z", "source": "agent", "name": "kata-agent"}
    rest = {"subsystem": "rpc", "pid": "1", "version": "0.1.0"}
    yield Part("console", None, tuple(json.dumps({"msg": line} | frame | rest) for line in lines))


def _by_go_shim(lines: Sequence[str]) -> Iterator[Part]:
    head = 'time="2026-11-23T06:07:28.904412345Z" level=debug msg="reading guest console" console-protocol=unix'
    tail = f"name=containerd-shim-v2 pid=319 sandbox={_BOX} source=virtcontainers subsystem=sandbox"
    yield Part("host-file", None, tuple(f"{head} {tail} vmconsole={json.dumps(line)}" for line in lines))


_ENTRY: Final = {
    "_TRANSPORT": "journal",
    "_PID": "3000",
    "_COMM": "containerd-shim",
    "SYSLOG_IDENTIFIER": "kata",
    "NAME": "kata-runtime",
    "SOURCE": _BOX,
    "__REALTIME_TIMESTAMP": "1795420800000000",
    "__CURSOR": "s=1",
}


def _by_runtime_rs(lines: Sequence[str]) -> Iterator[Part]:
    entry = _ENTRY | {"SUBSYSTEM": "agent", "PRIORITY": "6"}
    yield Part("journal-json", None, tuple(json.dumps(entry | {"MESSAGE": line}) for line in lines))


def _by_engine(lines: Sequence[str]) -> Iterator[Part]:
    head = 'time="2026-11-23T06:07:28.904412345Z" level=debug msg='
    said = (f'ExecSync for "{_BOX}" with command [echo {line}] and timeout 10 (s)' for line in lines)
    yield Part("host-file", None, tuple(head + json.dumps(each, ensure_ascii=False) for each in said))


def _by_warning(lines: Sequence[str]) -> Iterator[Part]:
    entry = _ENTRY | {"SUBSYSTEM": "root", "PRIORITY": "4"}
    yield Part(
        "journal-json", None, tuple(json.dumps(entry | {"MESSAGE": f"Annotation {line} not enabled"}) for line in lines)
    )


def _flat(lines: Sequence[str]) -> Iterator[str]:
    for line in lines:
        yield from line.splitlines()


_MOUTHS: Final[Mapping[str, Callable[[Sequence[str]], Iterator[Part]]]] = {
    "console": _by_console,
    "container output": _by_container,
    "agent": _by_agent,
    "console that the Go shim relays": _by_go_shim,
    "agent's log that runtime-rs relays": _by_runtime_rs,
}
_ECHOES: Final[Mapping[str, Callable[[Sequence[str]], Iterator[Part]]]] = {
    "command that containerd tells": _by_engine,
    "annotation that runtime-rs warns of": _by_warning,
}
