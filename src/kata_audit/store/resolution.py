"""Names of people to sandboxes: a pod, an id, the first characters of an id."""

from collections.abc import Callable, Collection
from typing import Final, NamedTuple, Protocol

from kata_audit.errors import Problem, UsageError
from kata_audit.schema.fact import FactKind
from kata_audit.store.facts import Fact, Facts, first_of_each

LEAST_PREFIX: Final = 4
"""Fewer characters of an id are a guess."""
SHOWN: Final = 20
"""So many candidates are listed."""
_OF_SANDBOX: Final = (
    FactKind.SANDBOX_POD,
    FactKind.SANDBOX_NAMESPACE,
    FactKind.SANDBOX_POD_UID,
    FactKind.SANDBOX_RUNTIME_CLASS,
)


class Resolution(NamedTuple):
    """The sandboxes that a name means, in order, and how it was understood.

    `how` is pod, pod uid, sandbox, container, sandbox prefix or container prefix.
    """

    sandboxes: tuple[str, ...]
    how: str


class Names(Facts, Protocol):
    """Facts, and ids that begin with some characters."""

    def subjects_like(self, kind: FactKind, start: str) -> list[Fact]:
        """Give every fact of a kind whose subject begins with a text."""
        ...

    def values_like(self, field: str, start: str) -> list[str]:
        """Give the stored values of a field that begin with a text."""
        ...


def find_sandboxes(name: str, names: Names, is_visible: Callable[[str], bool]) -> Resolution:
    """Find the sandboxes that a name means.

    Args:
        name: As `Reader.resolve()` takes it.
        names: What is known.
        is_visible: Says whether the asker may see a record of a sandbox.

    Raises:
        UsageError: Nothing has the name, or several things have.
    """
    for how, find in (("pod", _by_pod), ("pod uid", _by_uid), ("sandbox", _by_sandbox), ("container", _by_container)):
        seen = sorted(sandbox for sandbox in find(name, names) if is_visible(sandbox))
        if seen:
            if how == "pod":
                _check_one_pod(name, seen, names)
            return Resolution(tuple(seen), how)
    if len(name) >= LEAST_PREFIX:
        for how, find in (("sandbox prefix", _by_sandbox_prefix), ("container prefix", _by_container_prefix)):
            seen = sorted(sandbox for sandbox in find(name, names) if is_visible(sandbox))
            if len(seen) > 1:
                raise _several(seen, names)
            if seen:
                return Resolution(tuple(seen), how)
    raise UsageError(
        "No sandbox that you may see has this name.",
        hint=f"Name NAMESPACE/POD, a pod, or {LEAST_PREFIX} or more characters of an id; `search` finds any name.",
    )


def _by_pod(name: str, names: Names) -> set[str]:
    namespace, slash, pod = name.rpartition("/")
    subjects = {fact.subject for fact in names.of_objects(FactKind.SANDBOX_POD, [pod])}
    pods = first_of_each(names.of_subjects(FactKind.SANDBOX_POD, subjects))
    found = {sandbox for sandbox, of in pods.items() if of == pod}
    if slash:
        spaces = first_of_each(names.of_subjects(FactKind.SANDBOX_NAMESPACE, found))
        found = {sandbox for sandbox in found if spaces.get(sandbox) == namespace}
    return found


def _by_uid(name: str, names: Names) -> set[str]:
    return {fact.subject for fact in names.of_objects(FactKind.SANDBOX_POD_UID, [name])}


def _by_sandbox(name: str, names: Names) -> set[str]:
    if _of_others([name], names):
        return set()
    known = any(names.of_subjects(kind, [name]) for kind in _OF_SANDBOX)
    known = (
        known or bool(names.of_objects(FactKind.CONTAINER_SANDBOX, [name])) or name in names.values_like("sandbox_id", name)
    )
    return {name} if known else set()


def _by_container(name: str, names: Names) -> set[str]:
    return set(first_of_each(names.of_subjects(FactKind.CONTAINER_SANDBOX, [name])).values())


def _by_sandbox_prefix(name: str, names: Names) -> set[str]:
    told = {fact.subject for kind in _OF_SANDBOX for fact in names.subjects_like(kind, name)}
    found = told.union(names.values_like("sandbox_id", name))
    return found - _of_others(found, names)


def _of_others(ids: Collection[str], names: Names) -> set[str]:
    """Name the ids that are containers of another sandbox; a sandbox is its own pause container too."""
    return {fact.subject for fact in names.of_subjects(FactKind.CONTAINER_SANDBOX, ids) if fact.object != fact.subject}


def _by_container_prefix(name: str, names: Names) -> set[str]:
    return set(first_of_each(names.subjects_like(FactKind.CONTAINER_SANDBOX, name)).values())


def _labels(sandboxes: Collection[str], names: Names) -> dict[str, str]:
    """Name each sandbox's pod as `NAMESPACE/POD`, as far as it is known."""
    spaces = first_of_each(names.of_subjects(FactKind.SANDBOX_NAMESPACE, sandboxes))
    pods = first_of_each(names.of_subjects(FactKind.SANDBOX_POD, sandboxes))
    return {sandbox: f"{spaces.get(sandbox, '?')}/{pods.get(sandbox, '?')}" for sandbox in sandboxes}


def _check_one_pod(name: str, sandboxes: list[str], names: Names) -> None:
    """Refuse a pod's name that is in use in several namespaces; the sandboxes of one pod belong together."""
    if len(set(_labels(sandboxes, names).values())) > 1 and "/" not in name:
        raise _several(sandboxes, names)


def _several(sandboxes: list[str], names: Names) -> UsageError:
    labels = _labels(sandboxes, names)
    return UsageError(
        f"The name means {len(sandboxes)} sandboxes.",
        problems=[Problem(sandbox, f"of pod {labels[sandbox]}") for sandbox in sandboxes[:SHOWN]],
        hint="Name one of them by its id, or by NAMESPACE/POD.",
    )
