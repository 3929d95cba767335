"""Facts as readers ask for them: what is known of a subject, and who is known under a name.

Of several facts that name one thing differently the earliest holds. A process id is the exception: it names another sandbox
from each fact on, and the first of them reaches back to the boot's beginning.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable
from typing import NamedTuple, Protocol

from kata_audit.schema.fact import FactKind, FactRows


class Fact(NamedTuple):
    """One fact of a known kind; an unknown boot is empty."""

    subject: str
    object: str
    node: str
    boot_id: str
    seq: int


class Facts(Protocol):
    """Something that knows facts."""

    def of_subjects(self, kind: FactKind, subjects: Collection[str]) -> list[Fact]:
        """Give every fact of a kind about some subjects."""
        ...

    def of_objects(self, kind: FactKind, objects: Collection[str]) -> list[Fact]:
        """Give every fact of a kind that leads to some objects."""
        ...

    def every(self, kind: FactKind) -> list[Fact]:
        """Give every fact of a kind."""
        ...


class FactTable:
    """Facts in memory.

    Args:
        batches: Rows of `FACT_SCHEMA`.
    """

    def __init__(self, batches: Iterable[FactRows] = ()) -> None:
        self._facts: dict[str, list[Fact]] = defaultdict(list)
        for batch in batches:
            for row in batch.to_pylist():
                fact = Fact(row["subject"], row["object"], row["node"], row["boot_id"] or "", row["seq"])
                self._facts[row["kind"]].append(fact)

    def of_subjects(self, kind: FactKind, subjects: Collection[str]) -> list[Fact]:
        """Give every fact of a kind about some subjects."""
        wanted = frozenset(subjects)
        return [fact for fact in self._facts[kind] if fact.subject in wanted]

    def of_objects(self, kind: FactKind, objects: Collection[str]) -> list[Fact]:
        """Give every fact of a kind that leads to some objects."""
        wanted = frozenset(objects)
        return [fact for fact in self._facts[kind] if fact.object in wanted]

    def every(self, kind: FactKind) -> list[Fact]:
        """Give every fact of a kind."""
        return list(self._facts[kind])


def first_of_each(facts: Iterable[Fact]) -> dict[str, str]:
    """Give each subject's object, by its earliest fact.

    Example:
        >>> first_of_each([Fact("s", "late", "n", "", 9), Fact("s", "early", "n", "", 2)])
        {'s': 'early'}
    """
    return {subject: fact.object for subject, fact in earliest_of_each(facts).items()}


def earliest_of_each(facts: Iterable[Fact]) -> dict[str, Fact]:
    """Give each subject's earliest fact."""
    named: dict[str, Fact] = {}
    for fact in facts:
        known = named.get(fact.subject)
        if known is None or (fact.seq, fact.object) < (known.seq, known.object):
            named[fact.subject] = fact
    return named


class Tenure(NamedTuple):
    """A process id of one node and boot that is a sandbox's for `first <= seq < end`; no end is None."""

    node: str
    boot_id: str
    pid: str
    first: int
    end: int | None
    sandbox: str


def tenures(facts: Iterable[Fact], *, reach_back: bool = True) -> list[Tenure]:
    """Turn facts on process ids into who had them when; pass every fact of each pid.

    Args:
        facts: The facts.
        reach_back: Whether the first statement on a process id holds for what was written before it too.
    """
    told: dict[tuple[str, str, str], list[tuple[int, str]]] = defaultdict(list)
    for fact in facts:
        told[fact.node, fact.boot_id, fact.subject].append((fact.seq, fact.object))
    found = []
    for (node, boot_id, pid), statements in told.items():
        changes: list[tuple[int, str]] = []
        for seq, sandbox in sorted(statements):
            if not changes or changes[-1][1] != sandbox:
                changes.append((seq, sandbox))
        ends = [seq for seq, _ in changes[1:]] + [None]
        for number, (seq, sandbox) in enumerate(changes):
            found.append(Tenure(node, boot_id, pid, seq if number or not reach_back else 0, ends[number], sandbox))
    return found
