"""The known causes of failures: a table of data, how it is read, and when a record shows a cause.

The table is TOML. Its order is its precedence: what comes first explains what comes later, so that the innermost cause
stands before its consequences. `docs/reference/causes.md` is made of it.
"""

import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final, NamedTuple

from kata_audit.errors import CatalogError, Problem
from kata_audit.parse.error_chain import innermost
from kata_audit.schema.record import Component
from kata_audit.schema.source import Origin


class Layer(StrEnum):
    """Where a pod failed."""

    CONFIGURATION = "configuration"
    """A configuration file of Kata, or an annotation of the pod."""
    CRI = "cri"
    """containerd or CRI-O, before or around Kata."""
    SHIM = "shim"
    """The shim process: containerd-shim-kata-v2, Go or Rust."""
    HYPERVISOR = "hypervisor"
    """The virtual machine monitor, or the service that makes machines elsewhere."""
    VIRTIOFSD = "virtiofsd"
    """The daemon that shares files with the guest."""
    GUEST_KERNEL = "guest-kernel"
    """The kernel in the machine."""
    AGENT = "agent"
    """kata-agent in the machine."""
    POLICY = "policy"
    """The agent's policy refused it, or does not load."""
    IMAGE = "image"
    """The image of a container."""
    CONTAINER = "container"
    """The program in a container, or what was asked for it."""
    NETWORK = "network"
    """The network of the pod."""
    KUBERNETES = "kubernetes"
    """Admission, or the kubelet."""
    HOST = "host"
    """The node: a device, a module, memory."""
    NONE = "none"
    """Nothing failed."""


class Statement(NamedTuple):
    """What a record says, ready to be held against causes.

    `links` are the causes inside its error, outermost first; `exit_code` is None unless it says that a container's first
    process, or the sandbox, is over; `asked` says that somebody had asked for the end before.
    """

    seq: int
    timestamp_ns: int
    severity: int
    origin: str
    component: str | None
    event_name: str | None
    body: str
    links: tuple[str, ...]
    container_id: str | None
    exit_code: int | None
    asked: bool


class Test(NamedTuple):
    """One condition on one text of a record.

    Args:
        of: body, link (any link of the error), inner (its innermost text) or text (the body or any link).
        how: starts, contains or matches.
        texts: Any of these fits; regular expressions for matches.
        patterns: The expressions, compiled.
    """

    of: str
    how: str
    texts: tuple[str, ...]
    patterns: tuple[re.Pattern[str], ...]

    def holds(self, statement: Statement) -> bool:
        """Say whether a record fits."""
        if self.of == "inner":
            return bool(statement.links) and self._fits(innermost(statement.links))
        if self.of == "link":
            return any(map(self._fits, statement.links))
        return self._fits(statement.body) or (self.of == "text" and any(map(self._fits, statement.links)))

    def _fits(self, text: str) -> bool:
        if self.how == "starts":
            return text.startswith(self.texts)
        if self.how == "contains":
            return any(one in text for one in self.texts)
        return any(pattern.search(text) for pattern in self.patterns)


class Sign(NamedTuple):
    """What shows a cause: all of it must hold of one record. Empty parts hold of any."""

    components: frozenset[str]
    events: frozenset[str]
    tests: tuple[Test, ...]
    exit_codes: frozenset[int]
    exits: bool
    unasked: bool

    def holds(self, statement: Statement) -> bool:
        """Say whether a record shows it; a record of nobody known counts as containerd's, whose file names no writer."""
        if self.components and (statement.component or str(Component.CONTAINERD)) not in self.components:
            return False
        if self.unasked and statement.asked:
            return False
        if self.exits and not self._exits(statement.exit_code):
            return False
        if self.events and statement.event_name not in self.events:
            return False
        return all(test.holds(statement) for test in self.tests)

    def _exits(self, code: int | None) -> bool:
        return bool(code) and (not self.exit_codes or code in self.exit_codes)


class Cause(NamedTuple):
    """One known cause.

    Args:
        id: Its name, for good.
        layer: Where the failure lies.
        title: What happened, in a few words.
        signs: Any of these shows it.
        explains: Causes that the host sees only from outside, and that this one explains from within. Then lines of a guest
            show it too, and it counts only where one of those is there: a guest alone makes nothing fail.
        known: Whether it says why; else it is only what was seen of an unknown cause.
        meaning: What it comes from, one or two sentences.
        remedy: What to do.
        versions: Which releases behave so.
        source: Where the texts are from.
    """

    id: str
    layer: Layer
    title: str
    signs: tuple[Sign, ...]
    explains: tuple[str, ...]
    known: bool
    meaning: str
    remedy: str
    versions: str
    source: str

    def shows(self, statement: Statement) -> bool:
        """Say whether a record shows it."""
        if statement.origin != Origin.HOST and not self.explains:
            return False
        return any(sign.holds(statement) for sign in self.signs)


class Causes(NamedTuple):
    """The table: causes by precedence, and how bodies begin that say nothing of a failure in a normal life.

    `bare` and `events` are what a record without an error and an exit can show: most records show nothing of it, and are
    done with there.
    """

    causes: tuple[Cause, ...]
    noise: tuple[str, ...]
    bare: tuple[Test, ...]
    events: frozenset[str]

    def is_noise(self, body: str) -> bool:
        """Say whether a record means nothing by itself."""
        return body.startswith(self.noise) or not body

    def find(self, statement: Statement) -> int | None:
        """Give the precedence of the first cause that a record shows; None where it shows none, or is noise."""
        if self.is_noise(statement.body):
            return None
        says = statement.links or statement.exit_code or statement.event_name in self.events
        if not says and not any(test.holds(statement) for test in self.bare):
            return None
        return next((place for place, cause in enumerate(self.causes) if cause.shows(statement)), None)


def _bare(causes: Sequence[Cause]) -> tuple[Test, ...]:
    """Join the tests of bodies by kind, so that a record is held against few; each sign that needs no error has one."""
    signs = [sign for cause in causes for sign in cause.signs]
    tests = [sign.tests for sign in signs if not sign.exits and not any(test.of in {"link", "inner"} for test in sign.tests)]
    ones = [each[0] for each in tests if each]
    joined = []
    for how in ("starts", "contains", "matches"):
        texts = tuple(text for one in ones if one.how == how for text in one.texts)
        patterns = tuple(pattern for one in ones if one.how == how for pattern in one.patterns)
        joined.append(Test("body", how, texts, patterns))
    return tuple(joined)


_KEYS: Final = frozenset({"id", "layer", "title", "any", "explains", "known", "meaning", "remedy", "versions", "source"})
_TESTS: Final = {
    f"{of}_{how}": (of, how) for of in ("body", "link", "inner", "text") for how in ("starts", "contains", "matches")
}
_SIGN_KEYS: Final = frozenset({"component", "event", "exit", "unasked", *_TESTS})
_Tell = Callable[[str], object]


def load_causes(data: bytes) -> Causes:
    """Read the table of causes.

    Args:
        data: The text of the table, TOML.

    Raises:
        CatalogError: Names every mistake with its cause.
    """
    try:
        stated = tomllib.loads(data.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        problem = Problem("the table of causes", f"is no TOML: {error}")
        raise CatalogError("The table of causes cannot be read.", problems=[problem]) from error
    problems: list[Problem] = []
    causes: list[Cause] = []
    for number, one in enumerate(stated.get("cause", []), start=1):
        mistakes: list[str] = []
        cause = _cause(one, mistakes.append)
        problems += [Problem(f"cause {number} ({one.get('id', 'no id')})", mistake) for mistake in mistakes]
        causes += [] if cause is None else [cause]
    names = [cause.id for cause in causes]
    problems += [Problem(name, "stands twice") for name in sorted({name for name in names if names.count(name) > 1})]
    problems += [
        Problem(cause.id, f"explains `{other}`, which is none")
        for cause in causes
        for other in cause.explains
        if other not in names
    ]
    noise = stated.get("noise", [])
    if not all(isinstance(text, str) and text for text in noise):
        problems.append(Problem("noise", "is a list of texts that are not empty"))
    problems += [Problem(key, "is not known") for key in sorted(stated.keys() - {"cause", "noise"})]
    if problems:
        raise CatalogError("The table of causes has mistakes.", problems=problems)
    events = frozenset(event for cause in causes for sign in cause.signs for event in sign.events)
    return Causes(tuple(causes), tuple(noise), _bare(causes), events)


def _cause(stated: Mapping[str, Any], tell: _Tell) -> Cause | None:
    """Read one cause; tell every mistake in it."""
    for key in sorted(stated.keys() - _KEYS):
        tell(f"`{key}` is not known")
    for key in ("id", "title", "meaning", "remedy", "versions", "source"):
        if not isinstance(stated.get(key), str) or not stated[key]:
            tell(f"`{key}` is missing")
    if not isinstance(stated.get("known", True), bool):
        tell("`known` is true or false")
    layer = stated.get("layer")
    if layer not in set(Layer) - {Layer.NONE}:
        tell(f"`{layer}` is no layer: {', '.join(one for one in Layer if one != Layer.NONE)}")
    signs = [sign for one in stated.get("any", []) if (sign := _sign(one, tell)) is not None]
    if not signs:
        tell("`any` lists no sign")
    if not signs or layer not in set(Layer):
        return None
    texts = {key: str(stated.get(key, "")) for key in ("id", "title", "meaning", "remedy", "versions", "source")}
    explains = _listed(stated.get("explains", []))
    return Cause(layer=Layer(layer), signs=tuple(signs), explains=explains, known=bool(stated.get("known", True)), **texts)


def _sign(stated: Any, tell: _Tell) -> Sign | None:
    """Read one sign; it must ask for something that a record says."""
    if not isinstance(stated, Mapping) or not stated:
        tell("a sign is a table of conditions")
        return None
    for key in sorted(stated.keys() - _SIGN_KEYS):
        tell(f"a sign has no `{key}`")
    components = _listed(stated.get("component", []))
    for name in components:
        if name not in set(Component):
            tell(f"`{name}` is no component")
    codes = stated.get("exit", [])
    if codes != "any" and not (isinstance(codes, list) and all(isinstance(code, int) and code > 0 for code in codes)):
        tell('`exit` is "any" or a list of exit codes above 0')
        codes = []
    tests = tuple(test for key in _TESTS if key in stated and (test := _test(key, stated[key], tell)) is not None)
    events = frozenset(_listed(stated.get("event", [])))
    if not tests and not codes and not events:
        tell("a sign asks for a text, an event or an exit")
    exit_codes = frozenset() if codes == "any" else frozenset(codes)
    return Sign(frozenset(components), events, tests, exit_codes, bool(codes), bool(stated.get("unasked", False)))


def _test(key: str, value: Any, tell: _Tell) -> Test | None:
    texts = _listed(value)
    if not texts or not all(texts):
        tell(f"`{key}` is empty")
        return None
    of, how = _TESTS[key]
    try:
        patterns = tuple(map(re.compile, texts)) if how == "matches" else ()
    except re.error as error:
        tell(f"`{key}`: {error}")
        return None
    return Test(of, how, texts, patterns)


def _listed(value: Any) -> tuple[str, ...]:
    listed: Sequence[Any] = value if isinstance(value, list) else [value]
    return tuple(map(str, listed))
