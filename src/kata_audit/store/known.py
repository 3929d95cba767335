"""What detection knows of identities while records go by: facts in memory, bounded, and carried from cut to cut.

Readers of history ask the index. Who judges a record as it comes may join only what was stated up to it, must not wait for
an index, and must go on after a restart with what was known at the last cut.
"""

import json
import zlib
from collections.abc import Collection, Iterable
from itertools import islice

from kata_audit.schema.fact import FactKind, FactRows
from kata_audit.store.facts import Fact

_MOST = {FactKind.EXEC_CONTAINER: 4_096}
_MOST_OF_A_KIND = 8_192
"""A node runs some hundreds of pods at once; what was not stated anew for so many others is gone."""
_IGNORED = frozenset((FactKind.SOURCE_GAP,))
_VERSION = 1


class KnownFacts:
    """Facts as `identity.fill(…, as_stated=True)` asks for them: of each subject the earliest, of a process id every one."""

    def __init__(self, facts: Iterable[tuple[FactKind, Fact]] = ()) -> None:
        self._facts: dict[FactKind, dict[str, list[Fact]]] = {kind: {} for kind in FactKind if kind not in _IGNORED}
        for kind, fact in facts:
            self._facts[kind].setdefault(fact.subject, []).append(fact)

    def learn(self, facts: FactRows) -> None:
        """Take in what the records of a cut state."""
        for row in facts.sort_by([("seq", "ascending"), ("object", "ascending")]).to_pylist():
            kind = FactKind(row["kind"])
            if kind in _IGNORED:
                continue
            fact = Fact(row["subject"], row["object"], row["node"], row["boot_id"] or "", row["seq"])
            known = self._facts[kind].pop(fact.subject, [])
            if not known or kind is FactKind.PID_SANDBOX:
                known.append(fact)
            self._facts[kind][fact.subject] = known

    def settle(self) -> None:
        """Forget what no later record can ask for: who had a process id before, and what was stated too long ago."""
        for kind, subjects in self._facts.items():
            over = len(subjects) - _MOST.get(kind, _MOST_OF_A_KIND)
            for subject in list(islice(subjects, max(over, 0))):
                del subjects[subject]
        for facts in self._facts[FactKind.PID_SANDBOX].values():
            newest = {(fact.node, fact.boot_id): fact for fact in facts}
            facts[:] = newest.values()

    def of_subjects(self, kind: FactKind, subjects: Collection[str]) -> list[Fact]:
        """Give every known fact of a kind about some subjects."""
        known = self._facts[kind]
        return [fact for subject in subjects for fact in known.get(subject, ())]

    def of_objects(self, kind: FactKind, objects: Collection[str]) -> list[Fact]:
        """Give every known fact of a kind that leads to some objects."""
        wanted = frozenset(objects)
        return [fact for fact in self.every(kind) if fact.object in wanted]

    def every(self, kind: FactKind) -> list[Fact]:
        """Give every known fact of a kind."""
        return [fact for facts in self._facts[kind].values() for fact in facts]

    def to_bytes(self) -> bytes:
        """Spell what is known, for the state that a cut saves."""
        facts = {str(kind): [tuple(fact) for fact in self.every(kind)] for kind in self._facts}
        return zlib.compress(json.dumps({"v": _VERSION, "facts": facts}, separators=(",", ":")).encode(), 1)


def read_known(data: bytes) -> KnownFacts | None:
    """Read what `KnownFacts.to_bytes` spelled; None where it is something else."""
    try:
        value = json.loads(zlib.decompress(data))
        if value["v"] != _VERSION:
            return None
        return KnownFacts((FactKind(kind), Fact(*fact)) for kind, facts in value["facts"].items() for fact in facts)
    except (zlib.error, ValueError, KeyError, TypeError, AttributeError):
        return None
