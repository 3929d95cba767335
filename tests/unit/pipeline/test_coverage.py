"""Coverage counts what was understood and named, tells what was not, and adds up what sources say they lost."""

import json

import pytest
from tests.evidence import derive, evidence

from kata_audit.pipeline import coverage as module
from kata_audit.pipeline.coverage import Coverage, Lost, Part, Unnamed
from kata_audit.schema.record import RecordRows
from kata_audit.schema.source import Transport

SANDBOX = "5f" * 32
DROPPED = "slog-async: logger dropped messages due to channel overflow"
SHIM = f" name=containerd-shim-v2 pid=7 sandbox={SANDBOX} source=virtcontainers"


def rows(text: str, transport: Transport = Transport.HOST_FILE) -> RecordRows:
    return derive(evidence(text.encode(), transport))


def shim(words: str) -> str:
    return f'time="2026-11-23T06:00:01.5Z" level=info msg="{words}"{SHIM}\n'


def runtime_rs(subsystem: str, count: int) -> str:
    fields = {"_TRANSPORT": "journal", "NAME": "kata-runtime", "SOURCE": SANDBOX, "SUBSYSTEM": subsystem, "PRIORITY": "3"}
    always = {"__CURSOR": "s", "__REALTIME_TIMESTAMP": "1795413600000000", "_BOOT_ID": "b", "SYSLOG_IDENTIFIER": "kata"}
    return json.dumps({**always, **fields, "MESSAGE": DROPPED, "COUNT": str(count)}) + "\n"


def test_records_are_counted_by_who_wrote_them() -> None:
    """All, understood, named; in any batches."""
    coverage = Coverage()
    for text in (shim("Sandbox is started") * 2, shim("never heard of 12 such"), "plain\n"):
        coverage.add(rows(text))

    assert (coverage.records, coverage.parsed, coverage.named) == (4, 3, 2)
    assert list(coverage.parts()) == [Part("runtime-go", "host", 3, 3, 2), Part("-", "host", 1, 0, 0)]
    assert coverage.unnamed() == [Unnamed("-", "plain", 1), Unnamed("runtime-go", "never heard of * such", 1)]


def test_messages_that_differ_in_content_only_are_one() -> None:
    """The most frequent ten are told."""
    coverage = Coverage()
    coverage.add(rows("".join(shim(f"strange thing {number}") for number in range(20))))
    letters = "abcdefghijklmnopqrst"
    coverage.add(rows("".join(shim(f"odd {letter}{letter}") for letter in letters)))

    assert coverage.unnamed()[0] == Unnamed("runtime-go", "strange thing *", 20)
    assert len(coverage.unnamed()) == 10


def test_no_words_of_a_workload_are_told() -> None:
    """Output of containers, and text that nobody declared, is counted and not shown."""
    coverage = Coverage()
    coverage.add(rows("2026-11-23T06:00:01Z stdout F my secret diary\n", Transport.CRI))
    coverage.add(rows("my secret diary\n", Transport.BARE))

    assert {one.message for one in coverage.unnamed()} == {"(text of nobody known: not shown)"}


def test_losses_are_added_up_and_claims_apart() -> None:
    """Each statement counts, copies of one record once, and a guest's word stands for itself."""
    coverage = Coverage()
    coverage.add(
        rows(runtime_rs("service", 69) + runtime_rs("service", 69) + runtime_rs("agent", 5), Transport.JOURNAL_JSON)
    )
    lost = shim("Failed to read guest console logs").replace(SHIM, f' error="bufio.Scanner: token too long"{SHIM}')
    coverage.add(rows(lost * 2))

    assert coverage.losses() == [
        Lost(f"runtime-rs {SANDBOX}", "loghealth.records_dropped", False, 138, 2, 0),
        Lost(f"console {SANDBOX}", "loghealth.console_lost", False, 0, 1, 1),
        Lost(f"agent {SANDBOX}", "loghealth.records_dropped", True, 5, 1, 0),
    ]
    assert json.loads(json.dumps(coverage.to_object()))["losses"][0]["records"] == 138


def test_memory_is_bounded_whatever_the_messages() -> None:
    """Of a hundred thousand different messages few are kept, and the frequent one is among them."""
    coverage = Coverage()
    words = [f"{first}{second}" for first in "abcdefghij" for second in "abcdefghijklmnopqrstuvwxyz"]
    for first in words[:60]:
        text = "".join(shim(f"{first} {second}") for second in words) + shim("again and again") * 40
        coverage.add(rows(text))

    assert coverage.records == 60 * (260 + 40)
    assert coverage.unnamed()[0] == Unnamed("runtime-go", "again and again", 2400)
    assert len(coverage._outlines) <= 4096


def test_memory_is_bounded_whatever_the_losses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of too many sources the later ones are one, of too many copies the later ones count; no loss is left out."""
    monkeypatch.setattr(module, "_MAX_SOURCES", 4)
    monkeypatch.setattr(module, "_MAX_COPIES", 3)
    coverage = Coverage()
    lost = shim("Failed to read guest console logs").replace(SHIM, f' error="bufio.Scanner: token too long"{SHIM}')
    coverage.add(rows("".join(lost.replace(SANDBOX, f"{number:064x}") for number in range(9))))

    found = coverage.losses()
    assert len(found) == 5
    assert sum(one.statements for one in found) == 9
    assert {one.source: one.statements for one in found}["(other sources)"] == 5
    assert len(coverage._copies) == 3
