"""Rule files: what they may say, what is refused with its place, and how rules that speak of each other are read."""

import contextlib
import re
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.records import record_rows

from kata_audit.detect.rule import Absence, Correlation, CorrelationKind, Need, Rule
from kata_audit.detect.sigma import documents
from kata_audit.detect.sigma.reader import read_rules
from kata_audit.errors import RulesError
from kata_audit.predicate.rows import evaluate
from kata_audit.predicate.tree import Op
from kata_audit.schema.finding import Level, Maturity

BASE = """\
title: Base
id: 6a3a4c7e-6b1c-4f0e-9a51-0d6a4f1c0001
name: ka_001_base
status: test
level: high
logsource: {product: kata, service: cri}
detection:
  selection: {body: x}
  condition: selection
"""
OTHER = BASE.replace("0001", "0002").replace("ka_001_base", "KA-002").replace("body: x", "body: y") + (
    "kata: {group-by: [sandbox_id]}\n"
)
CORRELATION = """\
title: Correlation
id: 6a3a4c7e-6b1c-4f0e-9a51-0d6a4f1c0003
name: KA-003
status: stable
correlation:
  type: event_count
  rules: [ka_001_base]
  group-by: [sandbox_id]
  timespan: 10m
  condition: {gte: 3}
"""
ABSENCE = """\
title: Absence
id: 6a3a4c7e-6b1c-4f0e-9a51-0d6a4f1c0004
name: KA-004
absence: {trigger: ka_001_base, unless: [KA-002], group-by: [sandbox_id], before: 10m, after: 0s}
"""


def read(*texts: str, **lists: list[str]) -> dict[str, Rule]:
    """Read texts as files `f0.yml`, `f1.yml`, …; give the rules by name."""
    rules = read_rules([(f"f{number}.yml", text.encode()) for number, text in enumerate(texts)], lists)
    return {rule.rule_id: rule for rule in rules}


def problems(*texts: str) -> list[str]:
    """Give what is wrong with files."""
    with pytest.raises(RulesError) as caught:
        read(*texts)
    return [str(problem) for problem in caught.value.problems]


def test_a_rule_says_what_it_is() -> None:
    """The head and the `kata:` block become the rule's own words."""
    text = BASE.replace("ka_001_base", "KA-001") + (
        "description: |\n  Two\n  lines.\ntags: [attack.T1611]\nfalsepositives: [none]\nreferences: []\n"
        "kata:\n  needs: [[cri], [agent, runtime-rs]]\n  group-by: [k8s_pod]\n  respond: [look]\n"
    )
    rule = read(text)["KA-001"]

    assert (rule.level, rule.maturity, rule.silent, rule.place) == (Level.HIGH, Maturity.TEST, False, "f0.yml:1")
    assert rule.needs == (frozenset({Need.CRI}), frozenset({Need.AGENT, Need.RUNTIME_RS}))
    assert rule.group_by == ("k8s_pod",)
    assert (rule.about.title, rule.about.description) == ("Base", "Two lines.")
    assert (rule.about.tags, rule.about.respond) == (("attack.t1611",), ("look",))


def test_a_plain_sigma_rule_is_enough() -> None:
    """A rule of others has no name and no block of ours: its UUID names it, its `logsource` tells what it needs."""
    text = re.sub("name: .*\n|status: .*\n|level: .*\n", "", BASE)
    rule = read(text)["6a3a4c7e-6b1c-4f0e-9a51-0d6a4f1c0001"]

    assert (rule.level, rule.maturity, rule.silent) == (Level.MEDIUM, Maturity.EXPERIMENTAL, False)
    assert rule.needs == (frozenset({Need.CRI}),)
    assert rule.group_by == ("node", "sandbox_id")


def test_documents_of_one_file_and_of_several() -> None:
    """Parts may stand in the same file as what counts them, or in another, before it or after it."""
    together = read(f"{BASE}---\n{CORRELATION}")
    apart = read(CORRELATION, BASE)

    assert together["KA-003"].when == apart["KA-003"].when
    assert together["ka_001_base"].silent
    assert not together["KA-003"].silent
    assert together["KA-003"].place == "f0.yml:11"


def test_a_correlation_is_read_whole() -> None:
    """Every part of a correlation arrives."""
    text = CORRELATION.replace("event_count", "value_sum").replace("rules: [ka_001_base]", "rules: [ka_001_base, KA-002]")
    text = text.replace("[sandbox_id]", "[where, node]").replace("{gte: 3}", "{lt: 9, field: attributes.bytes}")
    text += "  aliases: {where: {ka_001_base: sandbox_id, KA-002: container_id}}\n"
    rules = read(BASE, OTHER, text)

    assert rules["KA-003"].when == Correlation(
        kind=CorrelationKind.VALUE_SUM,
        rules=("ka_001_base", "KA-002"),
        group_by=("where", "node"),
        window_ns=600_000_000_000,
        op=Op.LT,
        bound=9,
        value_field="attributes.bytes",
        aliases={"where": {"ka_001_base": "sandbox_id", "KA-002": "container_id"}},
    )
    assert rules["KA-003"].group_by == ("where", "node")
    assert not rules["KA-002"].silent


@pytest.mark.parametrize("condition", ["", "  condition: ka_001_base and KA_002\n", "  condition: {gte: 2}\n"])
def test_a_temporal_correlation_needs_all(condition: str) -> None:
    """Without a condition, with all names, or with their number: it is the same."""
    other = OTHER.replace("KA-002", "KA_002")
    text = CORRELATION.replace("event_count", "temporal_ordered").replace("  condition: {gte: 3}\n", condition)
    when = read(BASE, other, text.replace("[ka_001_base]", "[ka_001_base, KA_002]"))["KA-003"].when

    assert isinstance(when, Correlation)
    assert (when.kind, when.op, when.bound) == (CorrelationKind.TEMPORAL_ORDERED, Op.GE, 2)


def test_an_absence_is_read_whole() -> None:
    """Our own document."""
    assert read(BASE, OTHER, ABSENCE)["KA-004"].when == Absence(
        "ka_001_base", ("KA-002",), ("sandbox_id",), 600_000_000_000, 0
    )


def test_an_absence_may_wait_for_another_one() -> None:
    """For company that is told by other fields; a third storey is refused, and so is company that is an absence."""
    lower = ABSENCE.replace("KA-004", "ka_004_left").replace("c0004", "c0005")
    upper = ABSENCE.replace("ka_001_base", "ka_004_left").replace("[sandbox_id]", "[node]")

    found = read(BASE, OTHER, lower, upper)

    assert found["KA-004"].when == Absence("ka_004_left", ("KA-002",), ("node",), 600_000_000_000, 0)
    assert found["ka_004_left"].silent
    assert list(read(BASE, OTHER, upper, lower)) == ["ka_001_base", "KA-002", "KA-004", "ka_004_left"]
    assert found["KA-004"].digest != read(BASE, OTHER, lower.replace("10m", "9m"), upper)["KA-004"].digest
    third = upper.replace("KA-004", "KA-005").replace("c0004", "c0006").replace("ka_004_left", "KA-004")
    assert "`KA-004` is itself made of other rules;" in problems(BASE, OTHER, lower, upper, third)[0]
    company = (
        lower.replace("trigger: ka_001_base", "trigger: KA-002").replace("[KA-002]", "[KA-004]").replace("c0005", "c0007")
    )
    assert "`KA-004` is itself made of other rules;" in problems(BASE, OTHER, ABSENCE, company)[0]


def test_what_others_count_is_silent_unless_it_stands_alone() -> None:
    """As in Sigma, a counted rule makes no findings unless the correlation says `generate`; a rule of ours always does."""
    mine = BASE.replace("ka_001_base", "mine")
    text = CORRELATION.replace("ka_001_base", "mine")

    assert not read(mine)["mine"].silent
    assert read(mine, text)["mine"].silent
    assert not read(mine, text + "  generate: true\n")["mine"].silent
    assert not read(mine + "kata: {needs: [cri]}\n", text)["mine"].silent


def test_a_filter_takes_records_away() -> None:
    """A filter is put into the rules that it names, or into all of its `logsource`; the rule's digest changes."""
    filtering = (
        "title: Not in prod\nid: 6a3a4c7e-6b1c-4f0e-9a51-0d6a4f1c0009\nlogsource: {product: kata, service: cri}\n"
        "filter:\n  rules: [KA-002]\n  selection: {k8s_namespace: prod}\n  condition: not selection\n"
    )
    before, after = read(BASE, OTHER), read(BASE, OTHER, filtering)
    when = after["KA-002"].when
    assert not isinstance(when, Correlation | Absence)
    rows = record_rows(
        *({"origin": "host", "component": "crio", "body": "y", "k8s_namespace": space} for space in ("prod", "dev"))
    )

    assert evaluate(when, rows).to_pylist() == [False, True]
    assert before["KA-002"].digest != after["KA-002"].digest
    assert before["ka_001_base"] == after["ka_001_base"]
    every = read(BASE, OTHER, filtering.replace("[KA-002]", "any"))
    assert every["ka_001_base"].digest != before["ka_001_base"].digest
    assert "KA-002" in read(BASE, OTHER, filtering.replace("service: cri", "service: agent").replace("[KA-002]", "any"))
    assert problems(BASE, OTHER, filtering.replace("service: cri", "service: agent"))[0].startswith("f2.yml:5: `rules` is")


def test_a_digest_commits_to_all_that_is_found() -> None:
    """The file, the lists that it names, and the rules that it counts; not what has nothing to do with it."""
    listed = BASE.replace("{body: x}", '{"body|expand": "%allowed_devices%"}')
    counted = read(BASE, CORRELATION)["KA-003"].digest

    assert read(listed)["ka_001_base"].digest != read(listed, allowed_devices=["a"])["ka_001_base"].digest
    assert read(listed)["ka_001_base"].digest == read(listed, allowed_hooks=["a"])["ka_001_base"].digest
    assert counted == read(CORRELATION, OTHER, BASE)["KA-003"].digest
    assert counted != read(BASE.replace("body: x", "body: z"), CORRELATION)["KA-003"].digest
    assert re.fullmatch("[0-9a-f]{64}", counted)


def _changed(old: str, new: str, text: str = BASE) -> str:
    assert old in text
    return text.replace(old, new)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (_changed("body: x", "bdy: x"), "f0.yml:8: There is no field `bdy`; did you mean `body`?"),
        (_changed("body: x", "pod: x"), "f0.yml:8: There is no field `pod`; rules name columns, and this one is `k8s_pod`."),
        (_changed("body: x", "attributes: x"), "f0.yml:8: There is no field `attributes`;"),
        (_changed("body: x", "body|contain: x"), "f0.yml:8: There is no modifier `contain`;"),
        (_changed("body: x", "body: {x: 1}"), "f0.yml:8: A field has a value or a list of values, and no mapping."),
        (_changed("body: x", "body: []"), "f0.yml:8: The list of values is empty."),
        (_changed("{body: x}", "{}"), "f0.yml:8: The selection is empty."),
        (_changed("{body: x}", "[]"), "f0.yml:8: The selection is empty."),
        (_changed("body: x", "pid: x"), "f0.yml:8: `pid` holds a number;"),
        (_changed("body: x", "pid: 1.5"), "f0.yml:8: `pid` holds whole numbers."),
        (_changed("body: x", "severity_number: [9, 256]"), "f0.yml:8: `severity_number` never holds the number 256."),
        (_changed("body: x", "pid: true"), "f0.yml:8: `pid` is never true or false."),
        (_changed("body: x", "timestamp: x"), "f0.yml:8: `timestamp` holds a time;"),
        (_changed("body: x", "timestamp|gte: 5"), "f0.yml:8: `timestamp` holds a time;"),
        (_changed("body: x", "timestamp|hour: 24"), "f0.yml:8: There is no hour 24."),
        (_changed("body: x", "body|hour: 2"), "f0.yml:8: `body` holds no time;"),
        (_changed("body: x", "body|cidr: 10.0.0.1/8"), "f0.yml:8: Invalid CIDR expression: 10.0.0.1/8 has host bits set."),
        (_changed("body: x", "pid|cidr: 10.0.0.0/8"), "f0.yml:8: `pid` never holds an address."),
        (_changed("body: x", "body|re: '(?=x)'"), "f0.yml:8: The regex is not one of RE2,"),
        (_changed("body: x", "body|re: '(?<n>x)'"), "f0.yml:8: Name a group of a regex as"),
        (_changed("body: x", "body|re: 5"), "f0.yml:8: A regex is a text;"),
        (_changed("body: x", f"body|re: '{'x' * 5000}'"), "f0.yml:8: The regex is longer than 4,096 characters."),
        (_changed("body: x", "pid|re: 'x'"), "f0.yml:8: `pid` holds no text"),
        (_changed("body: x", "body|contains: 5"), "f0.yml:8: Modifier SigmaContainsModifier incompatible"),
        (_changed("body: x", "body|gt: x"), "f0.yml:8: Modifier SigmaGreaterThanModifier incompatible"),
        (_changed("body: x", "body|base64: 'a*'"), "f0.yml:8: Base64 encoding of strings with wildcards is not allowed."),
        (_changed("body: x", "body|fieldref: pid"), "f0.yml:8: `pid` is no text;"),
        (_changed("body: x", "body|fieldref: nix"), "f0.yml:8: There is no field `nix`;"),
        (_changed("body: x", "body|expand: '%nix%'"), "f0.yml:8: There is no list `nix`;"),
        (_changed("body: x", "body|re|expand: '%allowed_devices%'"), "f0.yml:8: A list cannot be put into a regex;"),
        (_changed("body: x", "'|expand': '%allowed_devices%'"), "f0.yml:8: A list is put into the value of a field,"),
        (_changed("body: x", "component: qem"), "f0.yml:8: `component` is never `qem`; it is one of agent,"),
        (_changed("body: x", "body: 2026-02-01"), "f0.yml:8: Unsupported type:"),
        (_changed("{body: x}", "null"), "f0.yml:8: A keyword is a text;"),
        (_changed("condition: selection", "condition: selektion"), "f0.yml:9: There is no selection `selektion`;"),
        (_changed("condition: selection", "condition: 1 of x*"), "f0.yml:9: No selection has a name like `x*`."),
        (
            _changed("condition: selection", "condition: selection and"),
            "f0.yml:9: The condition cannot be read at its character 14;",
        ),
        (_changed("condition: selection", "condition: 5"), "f0.yml:9: A condition is a text,"),
        (_changed("condition: selection", "condition: selection | count() > 5"), "f0.yml:9: The pipe syntax"),
        (_changed("condition: selection", f"condition: {'(' * 9}selection{')' * 9}"), "f0.yml:9: The condition is longer"),
        (_changed("condition: selection", f"condition: {'not ' * 240}selection"), "f0.yml:9: The condition nests too deep."),
        (_changed("  condition: selection\n", ""), "f0.yml:7: A `condition` is missing"),
        (_changed("condition: selection", "unused: {body: y}\n  condition: selection"), "f0.yml:9: No condition names"),
        (_changed("product: kata, service: cri", "product: windows"), "f0.yml:6: The product is `kata`:"),
        (_changed("product: kata, ", ""), "f0.yml:6: The product is `kata`:"),
        (_changed("service: cri", "service: crio"), "f0.yml:6: There is no such service; it is one of cri,"),
        (_changed("service: cri", "category: process"), "f0.yml:6: Records of Kata have no category;"),
        (_changed("logsource: {product: kata, service: cri}\n", ""), "f0.yml:1: A `logsource` is missing;"),
        (_changed("id: 6a3a4c7e-6b1c-4f0e-9a51-0d6a4f1c0001\n", ""), "f0.yml:1: Every rule has an `id`"),
        (_changed("id: 6a3a4c7e-6b1c-4f0e-9a51-0d6a4f1c0001", "id: 5"), "f0.yml:2: `id` is a text;"),
        (_changed("id: 6a3a4c7e-6b1c-4f0e-9a51-0d6a4f1c0001", "id: x"), "f0.yml:2: Every rule has an `id`"),
        (_changed("name: ka_001_base", "name: a/b"), "f0.yml:3: A name is letters,"),
        (_changed("status: test", "status: deprecated"), "f0.yml:4: The status is one of"),
        (_changed("level: high", "level: hi"), "f0.yml:5: 'hi' is not a valid Sigma rule level."),
        (_changed("level: high", "levle: high"), "f0.yml:5: There is no key `levle` in a rule."),
        (_changed("title: Base\n", ""), "f0.yml:1: Sigma rule must have a title."),
        (_changed("level: high", "level: high\ntags: [x]"), "f0.yml:6: Sigma tag must start with namespace"),
        (_changed("level: high", "level: high\nkata: {need: [cri]}"), "f0.yml:6: There is no key `need` in `kata`;"),
        (_changed("level: high", "level: high\nkata: {needs: [syslog]}"), "f0.yml:6: A need is one of cri,"),
        (_changed("level: high", "level: high\nkata: {respond: look}"), "f0.yml:6: `respond` is a list of texts."),
        (_changed("level: high", "level: high\nkata: {group-by: [podname]}"), "f0.yml:6: There is no field `podname`;"),
        (_changed("level: high", "level: high\naction: global"), "f0.yml:6: Actions of collections are not run;"),
        (_changed("level: high", "level: high\nabsence: {}"), "f0.yml:1: A document has one of"),
        (_changed("level: high", "level: high\nlevel: low"), "f0.yml:6: The key `level` stands here twice."),
        (_changed("level: high", "level: &a high"), ""),
        (_changed("level: high", "level: high\ndescription: *a"), "f0.yml:6: "),
        (_changed("level: high", "level: high\n<<: {a: b}"), "f0.yml:6: A key is a plain word."),
        (_changed("level: high", "level: !!python/name:os.system high"), "f0.yml:5: A value is a text,"),
        (_changed("level: high", "date: 2026-02-31"), "f0.yml:5: There is no such number or day;"),
        (_changed("level: high", f"date: {'9' * 5000}"), "f0.yml:5: There is no such number or day;"),
        (_changed("level: high", 'description: "\\uD800"'), "f0.yml:5: "),
        (_changed("level: high", "description: " + "[" * 30 + "]" * 30), "f0.yml:5: Values stand deeper than 24"),
        (_changed("level: high", "level: [high"), "f0.yml:6: Not YAML: "),
        (_changed("level: high", "level: \x01"), "f0.yml:1: Not YAML: "),
        ("- a\n- b\n", "f0.yml:1: A rule is a mapping"),
        ("---\n".join(["a: b\n"] * 201), "has more than 200 documents."),
        ("#" * (256 << 10) + "\n", "f0.yml:1: The file is longer than 262,144 bytes."),
    ],
)
def test_a_mistake_has_its_place(text: str, told: str) -> None:
    """What cannot be read or expressed is refused with file, line and reason; nothing else is told."""
    if not told:
        assert read(text)
        return
    found = problems(text)

    assert told in found[0]
    assert len(found) == 1 or told.endswith("documents.")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (_changed("[ka_001_base]", "[nix]", CORRELATION), "f2.yml:7: There is no rule `nix`."),
        (_changed("[ka_001_base]", "[KA-003]", CORRELATION), "f2.yml:7: `KA-003` is itself made of other rules;"),
        (_changed("[ka_001_base]", "[ka_001_base, ka_001_base]", CORRELATION), "f2.yml:7: A rule is named twice."),
        (_changed("event_count", "value_avg", CORRELATION), "f2.yml:6: Correlations of this type are not run;"),
        (_changed("event_count", "value_count", CORRELATION), "f2.yml:5: Value count correlation rule without field"),
        (_changed("{gte: 3}", "{gte: 3, field: body}", CORRELATION), "f2.yml:10: `event_count` counts events"),
        (_changed("{gte: 3}", "{gte: 1.5}", CORRELATION), "f2.yml:10: The bound is a whole number."),
        (_changed("{gte: 3}", "{}", CORRELATION), "f2.yml:5: Sigma correlation condition must have exactly one"),
        (_changed("event_count", "temporal", CORRELATION), "f2.yml:10: A temporal correlation needs all"),
        (_changed("[sandbox_id]", "[sandbox]", CORRELATION), "f2.yml:8: There is no field `sandbox`;"),
        (_changed("10m", "10x", CORRELATION), "f2.yml:5: Timespan '10x' is invalid."),
        (_changed("10m", "8d", CORRELATION), "f2.yml:9: The time is longer than seven days"),
        (_changed("  timespan: 10m\n", "", CORRELATION), "f2.yml:5: Sigma correlation rule without timespan."),
        (CORRELATION + "  aliases: {a: {nix: body}}\n", "f2.yml:11: There is no rule `nix`."),
        (CORRELATION + "  aliases: {a: {KA-002: body}}\n", "f2.yml:11: The alias has no field for ka_001_base."),
        (CORRELATION + "  colour: red\n", "f2.yml:11: There is no key `colour` in `correlation`;"),
        (_changed("ka_001_base", "[ka_001_base, KA-002]", ABSENCE), "f2.yml:4: An absence has one trigger."),
        (_changed("[KA-002]", "[]", ABSENCE), "f2.yml:4: `unless` names at least one rule."),
        (_changed("10m", "0s", ABSENCE), "f2.yml:4: Say how long before or after"),
        (_changed("10m", "soon", ABSENCE), "f2.yml:4: A time is a number and its unit"),
        (_changed("KA-004", "KA-002", ABSENCE), "f2.yml:3: The name `KA-002` is taken already, at f1.yml:3."),
        (_changed("c0004", "c0002", ABSENCE), "f2.yml:2: The id `6a3a4c7e-6b1c-4f0e-9a51-0d6a4f1c0002` is taken already"),
    ],
)
def test_a_mistake_of_a_companion_has_its_place(text: str, told: str) -> None:
    """The same for rules that speak of others."""
    found = problems(BASE, OTHER, text)

    assert told in found[0]


def test_all_mistakes_of_all_files_come_together() -> None:
    """One run tells everything, in order of files and lines, and rules that speak of a broken one are not told of too."""
    found = problems(_changed("{body: x}", "\n    bdy: x\n    pid: y"), _changed("high", "hi", OTHER), CORRELATION)

    assert [problem.partition(": ")[0] for problem in found] == ["f0.yml:9", "f0.yml:10", "f1.yml:5"]


def test_a_bomb_of_anchors_is_refused_at_once() -> None:
    """References multiply; none is followed."""
    lines = ["a0: &a0 [x, x]", *(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 60))]

    assert problems("\n".join(lines)) == ["f0.yml:2: A rule may not refer to another part of its file; write the value out."]


def test_a_value_grows_to_a_bound() -> None:
    """A list in a list of lists cannot grow without end."""
    text = BASE.replace("{body: x}", '{"body|expand": "%allowed_devices%%allowed_devices%"}')

    with pytest.raises(RulesError, match=r"one mistake"):
        read(text, allowed_devices=[f"image-{n}" for n in range(40)])
    assert read(text, allowed_devices=["a", "b"])


_WORDS = st.sampled_from(
    ["body", "pid", "timestamp", "condition", "selection", "x", "detection", "level", "high", "1", "null", "kata", "%a%", ""]
) | st.text(max_size=6)
_SCALARS: st.SearchStrategy[Any] = st.one_of(
    _WORDS, st.none(), st.booleans(), st.integers(), st.floats(), st.dates(), st.binary(max_size=3)
)
_KEYS = _WORDS | st.builds(
    lambda field, *modifiers: "|".join([field, *modifiers]),
    st.sampled_from(["body", "pid", "timestamp", "attributes.a", ""]),
    *[
        st.sampled_from(
            ["re", "contains", "all", "cidr", "base64offset", "windash", "expand", "lt", "fieldref", "exists", "i"]
        )
    ]
    * 2,
)
_VALUES = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=3), max_leaves=8
)


@settings(max_examples=300, deadline=None)
@given(
    path=st.lists(st.sampled_from(list(yaml.safe_load(BASE))), min_size=1, max_size=2, unique=True),
    value=_VALUES,
    detection=st.dictionaries(_KEYS, _VALUES, max_size=3),
)
def test_hostile_values_are_rules_or_mistakes(path: list[str], value: Any, detection: dict[str, Any]) -> None:
    """Whatever stands in a file, it is read or refused as a user's mistake."""
    document = yaml.safe_load(BASE)
    document["detection"]["selection"] = detection
    for key in path:
        document[key] = value
    for companion in (BASE, CORRELATION.replace("[sandbox_id]", yaml.safe_dump(value, default_flow_style=True)[:50])):
        text = yaml.safe_dump(document, allow_unicode=True) + "---\n" + companion
        with contextlib.suppress(RulesError):
            read(text)


@settings(max_examples=300, deadline=None)
@given(content=st.binary(max_size=60) | st.text("{}[]&*!|>-:? \n\t'\"%@`#a1\0\x85\u2028\ufeff", max_size=60).map(str.encode))
def test_hostile_bytes_are_documents_or_mistakes(content: bytes) -> None:
    """No bytes bring the reader down."""
    found, wrong = documents.read_documents("f.yml", content)

    assert all(document.lines for document in found)
    assert all(problem.where.startswith("f.yml:") for problem in wrong)
