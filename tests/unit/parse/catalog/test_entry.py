"""The files of the catalogue: read whole, or every mistake told with its place."""

import re

import pytest

from kata_audit.errors import CatalogError
from kata_audit.parse.catalog.entry import CLASSES, Entry, load_entries
from kata_audit.wiring import catalog

GOOD = b"""
component = "agent"
versions = "2.0 to 4.1"

[[event]]
id = "E084"
event = "exec.process"
template = "process command: <arguments:rest>"
level = "info"
class = "audit"
action = "exec"
object = "process.command_args"
facts = { "process.command_args" = "arguments | rust" }
when = [{ attribute = "eid", differs = "cid" }]
fold = "exec {cid} {eid}"
meaning = "A process is about to start."
"""


def mistakes(text: bytes) -> list[str]:
    with pytest.raises(CatalogError) as raised:
        load_entries({"a.toml": text})
    return [str(problem) for problem in raised.value.problems]


def test_an_entry_takes_what_the_file_says_for_all() -> None:
    (entry,) = load_entries({"agent.toml": GOOD})

    assert (entry.id, entry.event, entry.components, entry.versions) == ("E084", "exec.process", ("agent",), "2.0 to 4.1")
    assert (entry.retention, entry.action, entry.outcome, entry.seen) == ("audit", "exec", None, True)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (b'class = "audit"', b'class = "secret"', "`secret` is no class"),
        (b'event = "exec.process"', b'event = "exec"', "`exec` is no name of an event"),
        (b'event = "exec.process"', b'event = "magic.process"', "`magic.process` is no name of an event"),
        (b'id = "E084"\n', b"", "`id` is missing"),
        (b'meaning = "A process is about to start."', b"", "`meaning` is missing"),
        (b'template = "process command: <arguments:rest>"', b"", "`template` is missing"),
        (b"<arguments:rest>", b"<arguments:noise>", "no kind of hole is called noise"),
        (b'action = "exec"', b'action = "dance"', "`dance` is none of"),
        (b'component = "agent"', b'component = "somebody"', "`somebody` is none of"),
        (b'level = "info"', b'level = "info"\ncolour = "red"', "`colour` is not known"),
        (b"arguments | rust", b"arguments | magic", "no form is called magic"),
        (b'differs = "cid"', b'resembles = "cid"', "a condition names an `attribute` and one test"),
        (b'{ attribute = "eid", differs = "cid" }', b'{ attribute = "eid | magic", present = true }', "no form is called magic"),
    ],
)  # fmt: skip
def test_each_mistake_is_told_with_file_and_entry(old: bytes, new: bytes, told: str) -> None:
    assert old in GOOD
    (first, *_) = mistakes(GOOD.replace(old, new))

    assert told in first
    assert first.startswith("a.toml, event 1 (")


def test_all_mistakes_of_all_files_are_told_at_once() -> None:
    wrong = GOOD.replace(b'class = "audit"', b'class = "secret"').replace(b"<arguments:rest>", b"<arguments:noise>")

    with pytest.raises(CatalogError) as raised:
        load_entries({"a.toml": wrong, "b.toml": b"= no toml", "c.toml": b"\xff"})

    assert [problem.where.partition(",")[0] for problem in raised.value.problems] == ["a.toml", "a.toml", "b.toml", "c.toml"]


def test_an_id_stands_once() -> None:
    assert any("stands twice" in told for told in mistakes(GOOD + GOOD[GOOD.index(b"[[event]]") :]))


def entries() -> tuple[Entry, ...]:
    return catalog().entries


def test_all_messages_of_the_reference_catalogue_have_an_entry() -> None:
    """The reference counts 252; those left out are error texts inside other records, or other spellings of one here."""
    known = {entry.id for entry in entries()}
    inside_others = {"E019", "E131", "E134", "E136", "E143", "E249", "E250", "E251"}

    assert {f"E{number:03}" for number in range(1, 253)} - known <= inside_others


def test_every_entry_is_whole() -> None:
    for entry in entries():
        assert entry.event.partition(".")[0] in CLASSES
        assert entry.meaning.endswith(".")
        assert entry.versions
        assert entry.benign is None or entry.benign.endswith(".")


def test_no_audit_event_is_kept_as_debugging_only() -> None:
    assert [entry.id for entry in entries() if entry.action is not None and entry.retention == "debug"] == []


def test_no_template_looks_for_a_long_hole_from_many_places() -> None:
    """Behind `some`, which tries each place, a hole that may run to the end of the text would make matching quadratic."""
    for entry in entries():
        for template in entry.templates:
            kinds = list(template.holes.values())
            if "some" in kinds:
                assert not {"list", "line"} & set(kinds[kinds.index("some") + 1 :]), template.text


def test_no_hole_takes_what_must_follow_it() -> None:
    """Holes give nothing back: one that may hold the character behind it would leave its template without a match, ever."""
    greedy = {
        "word": r"[^\s\"]",
        "name": r"[A-Za-z0-9_.-]",
        "maybe": r"[A-Za-z0-9_.-]",
        "path": r"[^\s\"]",
        "hex": r"[0-9a-fA-F]",
    }
    for entry in entries():
        for template in entry.templates:
            for hole, kind in template.holes.items():
                behind = template.text.partition(f"<{hole}:{kind}>")[2][:1]
                if behind and kind in greedy:
                    assert re.match(greedy[kind], behind) is None, template.text
