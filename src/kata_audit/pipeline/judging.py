"""Judging: each cut goes past the rules before it is sealed, and what they find is durable before the cut is.

A crash anywhere judges the same records again from the state of the last sealed cut, and finds the same: what the log holds
already is not said twice. So a finding is in the log exactly once, and never later than the records it rests on by more than
a cut. What time or the end of an input decided, with no cut to save that it did, is remembered by name until it is decided
again.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from kata_audit.clock import Clock
from kata_audit.detect import baseline
from kata_audit.detect.baseline import Baselines, Learned, compare
from kata_audit.detect.engine import judge
from kata_audit.detect.ordering import MAX_LATE_NS
from kata_audit.detect.ruleset import Ruleset
from kata_audit.detect.state import State, from_bytes
from kata_audit.parse.link import link
from kata_audit.schema.finding import FINDING_KIND, Finding, to_line
from kata_audit.schema.own import Said, own_rows
from kata_audit.schema.record import RECORD_SCHEMA, EvidenceRows, RecordRows
from kata_audit.schema.source import OWN_RECEIVER
from kata_audit.store.identity import fill
from kata_audit.store.known import KnownFacts, read_known
from kata_audit.store.writer import Writer

_IDLE_NS: Final = 1_000_000_000
_STATE, _KNOWN, _LEARNED, _AHEAD = "detect", "known", "baselines", "ahead"
_MOST_AHEAD: Final = 10_000
"""Findings that are remembered to be in the log; a rule that was changed meanwhile never finds its own again."""
_NOTHING: Final = RECORD_SCHEMA.empty_table()


class Judge:
    """Judges the cuts of one writer, in order.

    Args:
        ruleset: The rules; how long they wait for what comes late.
        writer: Where findings go; its saved states say how far judging was.
        clock: For the passing of time where nothing comes.
        live: Whether time passes by itself. An input with an end has passed when `flush` says so, and not before.
        baselines: What is compared with what was usual; None for nothing.

    Attributes:
        told: How many findings became durable by it.
    """

    def __init__(
        self, ruleset: Ruleset, writer: Writer, clock: Clock, *, live: bool, baselines: Baselines | None = None
    ) -> None:
        self._ruleset, self._writer, self._clock, self._live = ruleset, writer, clock, live
        saved = writer.states()
        self._state = _saved_state(saved.get(_STATE))
        self._known = read_known(saved.get(_KNOWN, b"")) or KnownFacts()
        self._next: State | None = None
        self._baselines = baselines
        self._learned = self._next_learned = _saved_baselines(saved.get(_LEARNED))
        # Findings in the log that the state at hand is to find yet.
        self._ahead = dict.fromkeys(saved.get(_AHEAD, b"").decode().split()) | _spooled_findings(writer.waiting())
        self._found: dict[str, None] = {}
        self._judged_ns = clock.now_ns()
        self._said_ns = 0
        self._has_begun = False
        self.told = 0

    def judge(self, records: RecordRows) -> Mapping[str, bytes]:
        """Judge a cut, and make its findings durable.

        Args:
            records: The cut's records, in order of `seq`.

        Returns:
            What the cut must save; `settle` once it is sealed.

        Raises:
            StoreError: The findings cannot be written; the same cut may be judged again.
        """
        if not self._live and not self._has_begun and _begins_long_before(records, self._state):
            self._state = self._state.renewed()
        self._has_begun = True
        self._known.learn(link(records))
        filled = fill(records, self._known, as_stated=True)
        self._judged_ns = self._clock.now_ns()
        rows = pa.Table.from_batches([filled])
        self._next, findings = judge(self._ruleset, self._state, rows)
        if self._baselines is not None:
            self._next_learned, unusual = compare(self._baselines, self._learned, rows)
            findings += unusual
        self._tell(findings)
        self._found = dict.fromkeys(finding.finding_id for finding in findings)
        ahead = [name for name in self._ahead if name not in self._found]
        self._known.settle()
        return {
            _AHEAD: " ".join(ahead[-_MOST_AHEAD:]).encode(),
            _STATE: self._next.to_bytes(),
            _KNOWN: self._known.to_bytes(),
            _LEARNED: self._next_learned.to_bytes(),
        }

    def settle(self) -> None:
        """Go on from the cut that was judged last: it is sealed."""
        assert self._next is not None
        self._state, self._next, self._learned = self._next, None, self._next_learned
        self._forget(self._found)

    def pass_time(self) -> int:
        """Judge what only time decides, where no record has come for a while; give how many findings became durable.

        Raises:
            StoreError: The findings cannot be written; the same is judged again later.
        """
        now, lateness = self._clock.now_ns(), self._ruleset.lateness_ns
        if not self._live or now - self._judged_ns < max(_IDLE_NS, lateness):
            return 0
        self._judged_ns = now
        return self._settle_quietly(judge(self._ruleset, self._state, _NOTHING, now - lateness))

    def flush(self) -> int:
        """Judge what waited for the end of the input; give how many findings became durable.

        What may still find its company later than the newest record waits for the next input.

        Raises:
            StoreError: The findings cannot be written.
        """
        return self._settle_quietly(judge(self._ruleset, self._state, _NOTHING, self._state.clock_ns))

    def _settle_quietly(self, judged: tuple[State, Sequence[Finding]]) -> int:
        """Go on from what no cut saves: judged again after a crash, it finds the same."""
        state, findings = judged
        self._tell(findings)
        self._state = state
        self._forget(finding.finding_id for finding in findings)
        return len(findings)

    def _forget(self, found: Iterable[str]) -> None:
        """Let go of findings that the state at hand will not find again."""
        for name in found:
            self._ahead.pop(name, None)

    def _tell(self, findings: Iterable[Finding]) -> None:
        """Make findings durable, but those that are so already."""
        new = {finding.finding_id: finding for finding in findings if finding.finding_id not in self._ahead}
        said = []
        for finding in new.values():
            self._said_ns = max(self._clock.now_ns(), self._said_ns + 1)
            said.append(Said(self._said_ns, finding.node, finding.tenant, to_line(finding)))
        if said:
            self._writer.append(own_rows(FINDING_KIND, said))
        self._ahead.update(dict.fromkeys(new))
        self.told += len(new)


def _begins_long_before(records: RecordRows, state: State) -> bool:
    """Say whether the first record of an input is older by far than what was put in order: it tells of another time."""
    times = records.column("timestamp").cast(pa.int64()).drop_null()
    return len(times) > 0 and times[0].as_py() < state.stream.watermark_ns - MAX_LATE_NS


def _saved_state(data: bytes | None) -> State:
    """Read the state that the last cut saved; none, or one of another version, is judging anew."""
    try:
        return State() if data is None else from_bytes(data)
    except ValueError:
        return State()


def _saved_baselines(data: bytes | None) -> Learned:
    """Read what the last cut had learned; none, or that of another version, is learning anew."""
    try:
        return Learned() if data is None else baseline.from_bytes(data)
    except ValueError:
        return Learned()


def _spooled_findings(waiting: Iterable[EvidenceRows]) -> dict[str, None]:
    """Name the findings that are durable and not sealed."""
    receiver = f"{OWN_RECEIVER}:{FINDING_KIND}"
    names: dict[str, None] = {}
    for rows in waiting:
        for line in rows.filter(pc.equal(rows.column("receiver"), receiver)).column("raw").to_pylist():
            names[json.loads(line)["attributes"]["finding.id"]] = None
    return names
