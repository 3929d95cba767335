"""Every exec of the driven runs, against what each source shows of it: containerd alone, the journal alone, with the agents."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.captures import Log, agents, read_log
from tests.conftest import corpus_directory
from tests.evidence import column

from kata_audit.schema.source import Transport

pytestmark = [pytest.mark.corpus, pytest.mark.usefixtures("corpus")]

CAPTURES = (corpus_directory() or Path()) / "captures"
RUNS = ["go-info", "go-debug", "go-debug2", "rs-remote-info", "rs-remote2-info"]
POLICY = {"s05_policy_exec", "policy-deny-exec"}
"""Scenarios whose execs the guest's policy refuses."""


class Exec(NamedTuple):
    """What a source shows of one exec; what was really called has no outcome."""

    container: str
    argv: str | None
    outcome: str | None
    moment: object = None


class Shown(NamedTuple):
    """The execs that each source of a run shows."""

    containerd: list[Exec]
    journal: list[Exec]
    agents: list[Exec]


@cache
def called(run: str) -> list[tuple[str, Exec]]:
    """Give what was really called, with its scenario."""
    scenarios = [json.loads(line) for line in (CAPTURES / "scenarios.jsonl").read_text().splitlines()]
    return [
        (one["scenario"], Exec(call["container_id"], spelled(call["argv"]), None))
        for one in scenarios
        if one["run"] == run
        for call in one.get("execs") or ()
    ]


def spelled(argv: Iterable[Any]) -> str:
    """Spell a command as records do; a number in front is the driver's flag for a terminal."""
    return json.dumps([word for word in argv if isinstance(word, str)], ensure_ascii=False, separators=(",", ":"))


def execs(log: Log) -> list[Exec]:
    """Give the audit events of execs that a log shows."""
    records = log.records()
    names = ("action", "outcome", "container_id", "attributes", "fold_key")
    found = []
    for row, (action, outcome, container, attributes, fold) in enumerate(
        zip(*(column(records, name) for name in names), strict=True)
    ):
        if action == "exec":
            said = dict(attributes or [])
            argv = said.get("process.command_args")
            found.append(Exec(said.get("container.id") or container, argv, outcome, (log.name, fold or row)))
    return found


@cache
def shown(run: str) -> Shown:
    folder = CAPTURES / run
    return Shown(
        execs(read_log(folder / "containerd.log.gz", Transport.HOST_FILE)),
        execs(read_log(folder / "journal.export.gz", Transport.JOURNAL_EXPORT)),
        [one for log in agents(folder / "agents.tar.gz") for one in execs(log)],
    )


def with_argv(found: list[Exec]) -> Counter[tuple[str, str | None]]:
    """Count by container and command, records of one moment once."""
    return Counter((one.container, one.argv) for one in {one.moment: one for one in found if one.argv is not None}.values())


def moments(found: list[Exec]) -> Counter[str]:
    """Count the moments of each container."""
    return Counter(container for container, _ in {(one.container, one.moment) for one in found})


def covered(run: str, *sources: list[Exec]) -> int:
    """Count calls that some record of these sources may stand for: no more in a container than were called there."""
    there = Counter(call.container for _, call in called(run))
    seen: defaultdict[str, int] = defaultdict(int)
    for source in sources:
        for container, count in moments(source).items():
            seen[container] = max(seen[container], count)
    return sum(min(count, seen[container]) for container, count in there.items())


@pytest.mark.parametrize("run", RUNS)
def test_what_the_agents_saw_has_the_very_command(run: str) -> None:
    """And none is invented: every exec in an agent's log was called, in that container, as often."""
    truth = Counter((call.container, call.argv) for _, call in called(run))
    seen = with_argv(shown(run).agents)

    assert seen - truth == Counter()
    assert seen.total() > 0


@pytest.mark.parametrize("run", RUNS)
def test_no_exec_is_lost_where_all_sources_are_at_hand(run: str) -> None:
    """A call is in the agent's log with its command, or containerd says that it failed or was refused: nothing is nowhere."""
    truth = Counter((call.container, call.argv) for _, call in called(run))
    unseen = Counter(container for container, _ in (truth - with_argv(shown(run).agents)).elements())
    failed = moments([one for one in shown(run).containerd + shown(run).journal if one.outcome in {"failure", "denied"}])

    assert {container: count for container, count in unseen.items() if failed[container] < count} == {}


@pytest.mark.parametrize("run", RUNS)
def test_only_what_the_policy_refused_is_denied(run: str) -> None:
    """By containerd: neither shim nor agent tells; a program called like a refusal, which these runs have, is none."""
    refused = Counter(call.container for scenario, call in called(run) if scenario in POLICY)
    denied = [one for one in shown(run).containerd if one.outcome == "denied"]

    assert moments(denied) == refused
    assert not [one for one in shown(run).agents if one.outcome == "denied"]


def test_what_each_source_shows() -> None:
    """Print the table that says why the agents' logs are worth collecting."""
    print(
        f"{'run':16} {'called':>6} {'containerd':>10} {'journal':>8} {'+ agents':>8} {'all':>5} {'command known':>13} {'without agents':>14}"
    )
    for run in RUNS:
        one = shown(run)
        truth = Counter((call.container, call.argv) for _, call in called(run))
        commands = {
            name: (truth & with_argv(source)).total()
            for name, source in (("with", [*one.journal, *one.agents]), ("without", [*one.journal, *one.containerd]))
        }
        counts = (covered(run, one.containerd), covered(run, one.journal), covered(run, one.journal, one.agents))
        total = covered(run, one.containerd, one.journal, one.agents)
        print(
            f"{run:16} {truth.total():6} {counts[0]:10} {counts[1]:8} {counts[2]:8} {total:5} {commands['with']:13} {commands['without']:14}"
        )

        assert total == truth.total()
        assert counts[0] <= counts[2]
        assert commands["without"] <= commands["with"]
