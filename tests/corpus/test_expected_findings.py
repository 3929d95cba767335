"""The shipped rules over the reference captures: what must be found in each scenario is, and clean lives stay quiet.

`expected_findings.jsonl` says for each scenario which rules must speak from what the host has (`host`), from the agents'
lines where the journal has them (`journal`), and from the agents' own files, which stay in the guests (`archive`).
"""

import json
from collections.abc import Iterable
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from tests.captures import Log, logs
from tests.conftest import corpus_directory

from kata_audit.detect.engine import flush, judge
from kata_audit.detect.ruleset import Ruleset
from kata_audit.detect.sigma.reader import read_rules
from kata_audit.detect.state import State
from kata_audit.parse.link import link
from kata_audit.rules.files import rule_files
from kata_audit.schema.finding import Finding, Level
from kata_audit.schema.record import RecordRows
from kata_audit.schema.source import Transport
from kata_audit.store.identity import fill
from kata_audit.store.known import KnownFacts

pytestmark = [pytest.mark.corpus, pytest.mark.usefixtures("corpus")]

CAPTURES = (corpus_directory() or Path()) / "captures"
EXPECTED: Final = [
    json.loads(line) for line in (Path(__file__).parent / "expected_findings.jsonl").read_bytes().splitlines()
]
CLEAN: Final = "clean"
LOUD: Final = (Level.MEDIUM, Level.HIGH, Level.CRITICAL)
_SECOND: Final = 1_000_000_000
_GRACE_NS: Final = 2 * _SECOND


class Scenario(NamedTuple):
    """One scenario: what was done when, in which sandboxes, and what must be found."""

    run: str
    name: str
    kind: str
    first_ns: int
    last_ns: int
    sandboxes: frozenset[str]
    host: frozenset[str]
    archive: frozenset[str]


def scenarios() -> dict[str, list[Scenario]]:
    """Give the scenarios of each run."""
    expected = {(one["run"], one["scenario"]): one for one in EXPECTED}
    found: dict[str, list[Scenario]] = {}
    for line in (CAPTURES / "scenarios.jsonl").read_bytes().splitlines():
        told = json.loads(line)
        row = expected.get((told["run"], told["scenario"]), {"kind": CLEAN, "host": [], "journal": [], "archive": []})
        found.setdefault(told["run"], []).append(
            Scenario(
                told["run"],
                told["scenario"],
                row["kind"],
                _nanoseconds(told["start"]),
                _nanoseconds(told["end"]),
                frozenset(told["sandboxes"]),
                frozenset((*row["host"], *row["journal"])),
                frozenset(row["archive"]),
            )
        )
    return found


def _nanoseconds(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1e6) * 1000


@cache
def judged(run: str, *, with_archive: bool) -> tuple[Finding, ...]:
    """Judge a run's logs: the host's, then what stayed in the guests."""
    every = sorted(logs(CAPTURES / run), key=_is_archive)
    ruleset = Ruleset(read_rules(rule_files()), origin=run, lateness_ns=1 << 62)
    state, known, first, found = State(), KnownFacts(), 0, list[Finding]()
    for log in every:
        rows = log.records()
        if not rows.num_rows or (_is_archive(log) and not with_archive):
            continue
        if _is_archive(log) or run not in RUNS:
            rows = _of_sandbox(rows, log, run)
        rows = rows.set_column(0, "seq", pa.array(range(first, first + rows.num_rows), pa.uint64()))
        first += rows.num_rows
        known.learn(link(rows))
        state, findings = judge(ruleset, state, pa.Table.from_batches([fill(rows, known, as_stated=True)]))
        known.settle()
        found += findings
    return (*found, *flush(ruleset, state)[1])


def _is_archive(log: Log) -> bool:
    """Say whether a log is one that a test read inside a guest's machine: no host has it."""
    return log.name.startswith("agent-") and log.transport is Transport.CONSOLE


def _of_sandbox(rows: RecordRows, log: Log, run: str) -> RecordRows:
    """Give a guest's own file the sandbox that its name tells; a machine that no shim started is one too."""
    named = log.name.removeprefix("agent-").partition(".")[0]
    every = {sandbox for one in RUNS.get(run, ()) for sandbox in one.sandboxes}
    sandbox = next((one for one in every if one.startswith(named)), None if every else run)
    at = rows.schema.get_field_index("sandbox_id")
    return rows.set_column(at, "sandbox_id", pc.fill_null(rows.column(at), sandbox)) if sandbox else rows


def of_scenario(one: Scenario, findings: Iterable[Finding]) -> list[Finding]:
    """Give the findings on a scenario's sandboxes, and those of its time that name none."""
    later = [other.first_ns for other in RUNS[one.run] if other.first_ns > one.first_ns]
    last = min([one.last_ns + _GRACE_NS, *later])
    return [
        finding
        for finding in findings
        if finding.subject.get("sandbox_id", finding.subject.get("container_id")) in one.sandboxes
        or ("sandbox_id" not in finding.subject and one.first_ns <= finding.time_ns < last)
    ]


def missing(run: str) -> list[str]:
    """Name the expected rules of a run that find nothing in their scenario, which may have been played several times."""
    lacks: set[str] = set()
    for name in {one.name for one in RUNS[run] if one.kind != CLEAN}:
        played = [one for one in RUNS[run] if one.name == name]
        for wanted, with_archive in ((played[0].host, False), (played[0].archive, True)):
            findings = judged(run, with_archive=with_archive) if wanted else ()
            told = {finding.rule_id for one in played for finding in of_scenario(one, findings)}
            lacks.update(f"{name}: {rule_id}" for rule_id in wanted - told)
    return sorted(lacks)


def loud(run: str) -> list[str]:
    """Name what is found above low in the clean lives of a run, beyond what may be found there."""
    over: set[str] = set()
    for one in (one for one in RUNS[run] if one.kind == CLEAN):
        found = of_scenario(one, judged(run, with_archive=True))
        told = {finding.rule_id for finding in found if finding.level in LOUD} - one.host - one.archive
        over.update(f"{one.name}: {rule_id}" for rule_id in told)
    return sorted(over)


RUNS: Final = scenarios() if CAPTURES.is_dir() else {}


@pytest.mark.parametrize("run", sorted(RUNS))
def test_every_expected_rule_speaks(run: str) -> None:
    """Of each scenario, whose sources are there: the host's alone, and with what stayed in the guests."""
    assert missing(run) == []


@pytest.mark.parametrize("run", sorted(RUNS))
def test_clean_lives_are_quiet(run: str) -> None:
    """Nothing above low, but for records that were really lost and shims that really died."""
    assert loud(run) == []


@pytest.mark.parametrize("one", [one for one in EXPECTED if one["scenario"] is None], ids=lambda one: one["run"])
def test_guests_alone_are_judged_too(one: dict[str, Any]) -> None:
    """Machines that no shim started: their consoles and agents say enough for these rules, all of them claims."""
    found = judged(one["run"], with_archive=True)

    assert set(one["journal"]) <= {finding.rule_id for finding in found}
    assert all(finding.claim for finding in found if finding.rule_id in one["journal"])
