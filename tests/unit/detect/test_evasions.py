"""Evasions: each rule catches other spellings of what it looks for, or its page says that it does not; no guest speaks for a host.

`tests/data/evasions/rules.toml` has a table for each rule. `forged` is what comes of the samples' lines in a guest's mouth:
`silent`, or a `claim`. `repeated` is what comes of them where a host's record repeats a tenant's words: `silent`, or `fires`
where the rule is about those words. A form (`command`, `path`, …) has a row for each kind of evasion: `caught`, or words of
the rule's page that own up to it.
"""

import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from tests.evasions import COMMANDS, TEXTS, command_variants, forged, repeated, text_variants

from kata_audit import wiring
from kata_audit.detect.mutation import with_parts
from kata_audit.detect.rule import Absence, Rule
from kata_audit.detect.sigma.reader import read_rules
from kata_audit.pipeline.rehearsal import try_out
from kata_audit.pipeline.samples import Sample, read_samples
from kata_audit.rules.files import rule_files, sample_files

TABLE: dict[str, dict[str, Any]] = tomllib.loads(
    (Path(__file__).parents[2] / "data" / "evasions" / "rules.toml").read_text()
)
EVERY = read_rules(rule_files())
NAMED = {rule.rule_id: rule for rule in EVERY if not rule.silent}
ABSENCES = {rule_id for rule_id, rule in NAMED.items() if isinstance(rule.when, Absence)}
CAUGHT = "caught"


@cache
def matches(rule_id: str) -> tuple[Sample, ...]:
    """Give the samples that a rule finds."""
    samples, _ = read_samples(sample_files()[rule_id], rule_id)
    return tuple(sample for sample in samples if sample.matches)


def variants(rule_id: str) -> Iterator[tuple[str, str, list[Sample]]]:
    """Give every form and kind that a rule's samples have, with the samples spelled so."""
    yield from (("command", kind, _of(rule_id, kind)) for kind in COMMANDS)
    for form, kinds in TEXTS.items():
        texts = TABLE[rule_id].get(form, {}).get("of", [])
        for kind, spell in kinds.items():
            yield form, kind, [each for text in texts for each in _with(rule_id, kind, text, spell(text))]
    for kind, (text, other) in TABLE[rule_id].get("disguise", {}).items():
        yield "disguise", kind, _with(rule_id, kind, text, other)


def _of(rule_id: str, kind: str) -> list[Sample]:
    return [each for sample in matches(rule_id) for each in command_variants(sample, kind)]


def _with(rule_id: str, kind: str, text: str, other: str) -> list[Sample]:
    return [each for sample in matches(rule_id) for each in text_variants(sample, kind, text, other)]


def missed(rule: Rule, samples: list[Sample]) -> list[str]:
    """Name the samples that a rule does not find."""
    found = try_out(with_parts(rule, EVERY), samples, wiring.derivation())
    pairs = zip(samples, found, strict=True)
    return [sample.name for sample, findings in pairs if not any(one.rule_id == rule.rule_id for one in findings)]


def test_every_rule_has_its_table() -> None:
    """No rule is left out, and no table is of a rule that is not."""
    assert sorted(TABLE) == sorted(NAMED)
    assert {row["forged"] for row in TABLE.values()} == {"silent", "claim"}
    assert {row["repeated"] for row in TABLE.values()} == {"silent", "fires"}


@pytest.mark.parametrize("rule_id", sorted(NAMED))
def test_other_spellings_are_caught_or_owned_up_to(rule_id: str) -> None:
    """A row for each kind that applies and no other; what is documented is on the page, and is really missed."""
    rule, table = NAMED[rule_id], TABLE[rule_id]
    told = {(form, kind): spelled for form, kind, spelled in variants(rule_id) if spelled}
    rows = {
        (form, kind): CAUGHT if form == "disguise" else says
        for form in ("command", *TEXTS, "disguise")
        for kind, says in table.get(form, {}).items()
        if kind != "of"
    }
    page = "\n".join(rule.about.evasions)
    lost = {key: missed(rule, spelled) for key, spelled in told.items()}

    assert set(rows) == set(told)
    assert {key: names for key, names in lost.items() if bool(names) == (rows[key] == CAUGHT)} == {}
    assert [says for says in rows.values() if says != CAUGHT and says not in page] == []


def said(mouth: Any) -> Iterator[tuple[str, list[Sample]]]:
    """Put the samples of all rules into one mouth after the other, as one log; those of an absence one by one too."""
    by_mouth: dict[str, list[Sample]] = {}
    for rule_id in sorted(NAMED):
        for sample in matches(rule_id):
            for each in mouth(sample):
                by_mouth.setdefault(each.name.rpartition(": ")[2], []).append(each)
    for name, samples in by_mouth.items():
        yield name, [samples[0]._replace(name=name, parts=tuple(part for each in samples for part in each.parts))]
    for rule_id in sorted(ABSENCES):
        yield rule_id, [each for sample in matches(rule_id) for each in mouth(sample)]


def fired(mouth: Any) -> dict[str, set[bool]]:
    """Give the rules that find something in samples that somebody says, and whether as claims."""
    found: dict[str, set[bool]] = {}
    for name, samples in said(mouth):
        rules = with_parts(NAMED[name], EVERY) if name in NAMED else EVERY
        for findings in try_out(rules, samples, wiring.derivation()):
            for one in findings:
                if one.rule_id in NAMED:
                    found.setdefault(one.rule_id, set()).add(one.claim)
    return found


def test_a_guest_that_says_a_hosts_lines_speaks_for_no_host() -> None:
    """Whatever lines a guest writes, and by whatever way, no finding rests on the host; rules of guests find claims."""
    found = fired(forged)

    assert [rule_id for rule_id, claims in found.items() if claims != {True}] == []
    assert sorted(found) == sorted(rule_id for rule_id, row in TABLE.items() if row["forged"] == "claim")


def test_words_that_a_host_repeats_are_not_the_hosts() -> None:
    """A command or a key that a host's record repeats makes no finding but of rules that are about such words."""
    found = fired(repeated)

    assert sorted(found) == sorted(rule_id for rule_id, row in TABLE.items() if row["repeated"] == "fires")
