"""Against the reference captures: what every program says at info and above has a name, and its names are right."""

import re
from collections import Counter
from functools import cache
from pathlib import Path

import pytest
from tests.captures import logs, runs
from tests.conftest import corpus_directory
from tests.evidence import column

from kata_audit.schema.severity import INFO
from kata_audit.wiring import catalog

pytestmark = [pytest.mark.corpus, pytest.mark.usefixtures("corpus")]

CORPUS = corpus_directory()
RUNS = runs(CORPUS / "captures") if CORPUS else ["absent"]
LEAST = {
    "runtime-go": 0.97, "runtime-rs": 0.97, "agent": 0.97, "containerd": 0.95, "virtiofsd": 0.97, "qemu": 0.97, "cloud-hypervisor": 0.95,
    "kata-monitor": 0.97, "kubelet": 0.9, "journald": 0.97,
}  # fmt: skip
"""The least share of a program's records at info and above that have a name."""
RELAYS = {"E101", "E230", "E236"}
"""Relays: the line inside is what the record says, and has the name."""
KERNEL_ENDS = re.compile(
    r"Kernel panic|invoked oom-killer|oom-kill:|Killed process|: segfault at |traps: |kernel BUG|I/O error|reboot: |sysrq: |Kernel command line"
)


class Measured:
    """What one run shows: records and named ones by component, what has no name, and which entries occur."""

    def __init__(self, folder: Path) -> None:
        self.all: Counter[str] = Counter()
        self.named: Counter[str] = Counter()
        self.unnamed: Counter[tuple[str, str]] = Counter()
        self.entries: Counter[str] = Counter()
        self.strays: list[str] = []
        self.kernel_ends = 0
        self.copies: set[int] = set()
        for log in logs(folder):
            self.take(log.records())

    def take(self, records: object) -> None:
        """Count the records of a log; of a copy that was counted nothing."""
        names = ("component", "origin", "severity_number", "event_name", "body", "copy_key", "dialect", "attributes")
        identities = {
            f"column:{name}": column(records, name) for name in ("container_id", "sandbox_id", "exec_id", "subsystem")
        }
        for row, (component, origin, severity, event, body, copy, dialect, attributes) in enumerate(
            zip(*(column(records, name) for name in names), strict=True)
        ):
            text = body or ""
            if copy is not None and copy in self.copies:
                continue
            self.copies.add(copy)
            known = dict(attributes or []) | {name: values[row] for name, values in identities.items()}
            if event is not None:
                found = (
                    catalog().find(component, text, known.get)
                    if component
                    else catalog().find_unstated(dialect or "", text, known.get)[0]
                )
                self.entries[found[0].id if found else ""] += 1
                if (
                    origin == "guest"
                    and found
                    and not {"agent", "guest-kernel", "cloud-hypervisor"} & set(found[0].components)
                ):
                    self.strays.append(text)
            elif component == "guest-kernel" and KERNEL_ENDS.search(text):
                self.strays.append(text)
            self.kernel_ends += component == "guest-kernel" and KERNEL_ENDS.search(text) is not None
            if component is None or severity is None or severity < INFO:
                continue
            self.all[component] += 1
            self.named[component] += event is not None
            if event is None:
                self.unnamed[component, text[:80]] += 1


@cache
def measured(run: str) -> Measured:
    assert CORPUS is not None
    return Measured(CORPUS / "captures" / run)


@pytest.mark.parametrize("run", RUNS)
def test_no_guest_is_named_like_a_host_and_no_end_of_a_kernel_is_nameless(run: str) -> None:
    assert measured(run).strays == []


@pytest.mark.parametrize("run", RUNS)
def test_the_programs_of_a_run_are_named(run: str) -> None:
    """In each run by itself, where it has at least 200 records of a program, so that no large run hides a small one."""
    one = measured(run)

    assert {
        component: one.named[component] / total
        for component, total in one.all.items()
        if total >= 200 and one.named[component] < LEAST.get(component, 0) * total
    } == {}


def test_nearly_all_that_is_said_at_info_and_above_has_a_name() -> None:
    """Denominators: records with a component at info and above; copies count once, a relayed record as the innermost."""
    total: Counter[str] = Counter()
    named: Counter[str] = Counter()
    unnamed: Counter[tuple[str, str]] = Counter()
    for run in RUNS:
        total += measured(run).all
        named += measured(run).named
        unnamed += measured(run).unnamed
    for component, count in total.most_common():
        print(f"{component:18} {named[component]:6} of {count:6} named: {named[component] / count:.2%}")
    for (component, text), count in unnamed.most_common(12):
        print(f"  {count:4} {component}: {text!r}")

    assert set(LEAST) <= set(total)
    assert {component for component, least in LEAST.items() if named[component] < least * total[component]} == set()


def test_entries_that_say_they_were_seen_were_seen() -> None:
    """`seen` is a fact of the captures, not a hope."""
    seen = sum((measured(run).entries for run in RUNS), Counter())
    claimed = {entry.id for entry in catalog().entries if entry.seen}

    assert claimed - set(seen) - RELAYS == set()


def test_the_captures_hold_ends_of_kernels() -> None:
    """Panics, kills and power-offs, so that none being nameless means something."""
    assert sum(measured(run).kernel_ends for run in RUNS) >= 30
