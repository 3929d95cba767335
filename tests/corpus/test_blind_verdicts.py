"""What `node check` says a node is blind to, against what the logs of a node with that very configuration hold.

The nodes are put together again from their own files. Of each run, the journal and containerd's log are what reached the
host; the agents' own files, which stayed in the guests, are not among them.
"""

import json
import tarfile
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest
from tests.captures import read_log
from tests.conftest import corpus_directory
from tests.corpus.test_execs import POLICY, called
from tests.evidence import column
from tests.unit.node.trees import plant

from kata_audit.node.check import Status
from kata_audit.node.examine import Examination
from kata_audit.node.layout import RuntimeClass
from kata_audit.schema.source import Transport
from kata_audit.wiring import examine_node

pytestmark = [pytest.mark.corpus, pytest.mark.usefixtures("corpus")]

CAPTURES = (corpus_directory() or Path()) / "captures"
PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "what-each-source-shows.md"
QUESTIONS: Final = {"who": "KN-001", "what": "KN-002", "denied": "KN-003", "why": "KN-004", "guest": "KN-005"}
COLUMNS: Final = ("origin", "actor", "action", "outcome", "sandbox_id", "container_id", "severity_text", "attributes")
PASS, WARN, BLIND = Status.PASS, Status.WARN, Status.BLIND
ANSWERS: Final = {
    "go-info": {"who": BLIND, "what": BLIND, "denied": PASS, "why": PASS, "guest": BLIND},
    "go-debug": {"who": BLIND, "what": PASS, "denied": PASS, "why": PASS, "guest": WARN},
    "go-stock-remote": {"who": BLIND, "what": PASS, "denied": PASS, "why": PASS, "guest": WARN},
    "rs-remote-info": {"who": BLIND, "what": WARN, "denied": PASS, "why": PASS, "guest": WARN},
    "rs-remote2-info": {"who": BLIND, "what": WARN, "denied": PASS, "why": PASS, "guest": WARN},
}
"""The answers for the class `kata-remote`, in which every sandbox of these runs that came up was started."""


class Held(NamedTuple):
    """What the logs of a node hold.

    Args:
        who: Records that name a user.
        what: Containers and command lines of execs.
        denied: How often an exec was refused, by container.
        why: Sandboxes of which a failure is told.
        guest: Records of guests.
        debug: Records of the host at debug.
    """

    who: int
    what: frozenset[tuple[str, str]]
    denied: Counter[str]
    why: frozenset[str]
    guest: int
    debug: int


@cache
def held(run: str) -> Held:
    """Read what reached the host in a run; what both logs tell counts as one."""
    journal = logged(run, "journal.export.gz", Transport.JOURNAL_EXPORT)
    engine = logged(run, "containerd.log.gz", Transport.HOST_FILE)
    return Held(
        journal.who + engine.who,
        journal.what | engine.what,
        journal.denied | engine.denied,
        journal.why | engine.why,
        journal.guest + engine.guest,
        journal.debug + engine.debug,
    )


def logged(run: str, name: str, transport: Transport) -> Held:
    records = read_log(CAPTURES / run / name, transport).records()
    rows = [dict(zip(COLUMNS, row, strict=True)) for row in zip(*(column(records, one) for one in COLUMNS), strict=True)]
    execs = [{**row, **dict(row["attributes"] or [])} for row in rows if row["action"] == "exec"]
    return Held(
        sum(row["actor"] not in {None, "unknown"} for row in rows),
        frozenset((str(container(row)), line) for row in execs if (line := command_line(row)) is not None),
        Counter(str(container(row)) for row in execs if row["outcome"] == "denied"),
        frozenset(str(row["sandbox_id"]) for row in rows if row["outcome"] in {"failure", "denied"}),
        sum(row["origin"] == "guest" for row in rows),
        sum(row["origin"] == "host" and str(row["severity_text"]).lower() == "debug" for row in rows),
    )


def container(row: dict[str, Any]) -> object:
    return row.get("container.id") or row["container_id"]


def command_line(row: dict[str, Any]) -> str | None:
    """Spell a command as containerd does: words with a blank between them."""
    if argv := row.get("process.command_args"):
        return " ".join(json.loads(argv))
    return row.get("process.command_line")


@cache
def packed(name: str) -> dict[str, str]:
    """Unpack the kept files of a node."""
    with tarfile.open(CAPTURES / "configs" / f"{name}.tar.gz") as archive:
        members = ((member.name, archive.extractfile(member)) for member in archive if member.isfile())
        return {path: data.read().decode() for path, data in members if data is not None}


def node(run: str, root: Path) -> Examination:
    """Put the node of a run together, and examine it."""
    return examine_node(plant(root, {"opt/kata/VERSION": "4.1.0", **(rust_files() if run[:2] == "rs" else go_files(run))}))


def rust_files() -> dict[str, str]:
    files = {path.removeprefix("configs/"): text for path, text in packed("rs-worker-b").items()}
    engine = files.pop("containerd-config.toml")
    return {"etc/containerd/config.toml": engine, **{f"etc/kata-containers/runtime-rs/{k}": v for k, v in files.items()}}


def go_files(run: str) -> dict[str, str]:
    """Give the Go node's files, which were kept at debug; at its defaults each of its switches was off."""
    files = {f"etc/{path}": text for path, text in packed("go-worker-a-etc").items()}
    if run == "go-stock-remote":
        at = "etc/kata-containers/configuration-{}.toml"
        files[at.format("remote")] = files[at.format("stock")]
    if run != "go-info":
        return files
    return {
        path: text.replace("level = 'debug'", "level = 'info'").replace("enable_debug = true", "enable_debug = false")
        for path, text in files.items()
    }


def of_class(examination: Examination, handler: str) -> RuntimeClass:
    return next(one for one in examination.node.layout.classes if one.handler.name == handler)


def answers(examination: Examination, handler: str) -> dict[str, Status]:
    """Give the answers of a class to the five questions."""
    told = {one.check.id: one.answer.status for one in examination.findings if one.answer.subject == handler}
    return {question: told[check] for question, check in QUESTIONS.items()}


@pytest.mark.parametrize("run", ANSWERS)
def test_a_node_is_blind_to_what_its_logs_do_not_hold_and_to_nothing_else(run: str, tmp_path: Path) -> None:
    """A pass holds for everything of its kind that was really done; what no file of the node decides is a warning."""
    logs, told = held(run), answers(node(run, tmp_path), "kata-remote")
    commands = {(call.container, " ".join(json.loads(call.argv or "[]"))) for _, call in called(run)}
    refused = Counter(call.container for scenario, call in called(run) if scenario in POLICY)
    never_up = {one["sandbox_id"] for one in identities(run) if not one["started"]}
    nothing = {"who": logs.who == 0, "what": not logs.what & commands, "guest": logs.guest == 0}
    everything = {"what": commands <= logs.what, "denied": logs.denied == refused, "why": never_up <= logs.why}

    assert told == ANSWERS[run]
    assert [question for question, status in told.items() if status is BLIND and not nothing[question]] == []
    assert [question for question, status in told.items() if status is PASS and not everything[question]] == []


@pytest.mark.parametrize(
    ("run", "row"),
    [
        ("go-info", "Go runtime | as shipped"),
        ("go-debug", "Go runtime | debug everywhere"),
        ("rs-remote-info", "runtime-rs, agent's lines arriving | as shipped"),
        ("rs-remote2-info", "runtime-rs, agent's lines arriving, a second run | as shipped"),
    ],
)
def test_the_page_tells_how_many_commands_reached_the_host(run: str, row: str) -> None:
    truth = Counter((call.container, " ".join(json.loads(call.argv or "[]"))) for _, call in called(run))
    known = sum(count for command, count in truth.items() if command in held(run).what)

    assert f"| {row} | {truth.total()} | {known} |\n" in PAGE.read_text()


@cache
def identities(run: str) -> list[dict[str, Any]]:
    known = [json.loads(line) for line in (CAPTURES / "identities.jsonl").read_text().splitlines()]
    return [one for one in known if one["run"] == run]


@pytest.mark.parametrize("run", ANSWERS)
def test_the_switches_of_a_node_are_those_of_its_run(run: str, tmp_path: Path) -> None:
    """Where debug is on, records at debug are there; where it is off, none is."""
    examination = node(run, tmp_path)
    one = of_class(examination, "kata-remote")
    switches = [one.effective[f"{table}.enable_debug"].value for table in ("hypervisor", "agent", "runtime")]
    level = examination.node.layout.engines[0].log_level

    assert one.hypervisor == "remote"
    assert (switches, level) in [([True] * 3, "debug"), ([False] * 3, "info")]
    assert (held(run).debug > 0) is (level == "debug")


def test_two_nodes_with_the_same_settings_hear_their_guests_and_do_not(tmp_path: Path) -> None:
    """So no file tells: the machines of a remote hypervisor are set up elsewhere, and one driver offers no console."""
    one, other = (of_class(node(run, tmp_path / run), "kata-remote") for run in ("go-debug", "go-stock-remote"))

    assert {k: v.value for k, v in one.effective.items()} == {k: v.value for k, v in other.effective.items()}
    assert (held("go-debug").guest > 0, held("go-stock-remote").guest) == (True, 0)


def test_a_remote_guest_was_heard_though_nothing_on_its_node_opens_the_log_port(tmp_path: Path) -> None:
    """And of two runs of one node, one holds most commands and the other, which says how much it dropped, holds none."""
    parameters = str(of_class(node("rs-remote-info", tmp_path), "kata-remote").effective["hypervisor.kernel_params"].value)
    first, second = (
        {(call.container, " ".join(json.loads(call.argv or "[]"))) for _, call in called(run)} & held(run).what
        for run in ("rs-remote-info", "rs-remote2-info")
    )

    assert "agent.log_vport" not in parameters
    assert held("rs-remote-info").guest > 0
    assert (len(first) > 0, len(second)) == (True, 0)


@pytest.mark.parametrize("run", ["go-info", "go-debug", "rs-badconfig-info"])
def test_why_nothing_of_a_broken_class_starts_is_no_blind_spot(run: str, tmp_path: Path) -> None:
    """The engine writes the cause at each try, whichever file of Kata is wrong or missing."""
    examination = node(run, tmp_path)
    broken = {one.handler.name for one in examination.node.layout.classes if not one.loads}
    tried = [one for one in identities(run) if one["handler"] in broken]

    assert tried != []
    assert [one["handler"] for one in tried if one["started"] or one["sandbox_id"] not in held(run).why] == []
    assert [one["handler"] for one in tried if answers(examination, one["handler"])["why"] is BLIND] == []
