"""Correlations and absences on the stream pick what an independent sliding SQL picks of the whole, whatever the arrival."""

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.judged import SECOND, START, base

from kata_audit.detect.event import Event
from kata_audit.detect.rule import Absence, Correlation, CorrelationKind, Rule
from kata_audit.detect.ruleset import Ruleset
from kata_audit.detect.sources import Sources
from kata_audit.detect.state import State, from_bytes
from kata_audit.detect.stream import FOREVER, Stream
from kata_audit.predicate.tree import Everything, Op

LATENESS = 5 * SECOND
WINDOW = 10 * SECOND
BASES = ("ka_a", "ka_b", "ka_c")


class Heard(NamedTuple):
    """An event as the SQL sees it: its time, number, rule, group and value."""

    t: int
    seq: int
    rule: str
    g: str | None
    v: str | None


def correlation(kind: CorrelationKind, *rules: str, op: Op = Op.GE, bound: int = 3, value: str | None = None) -> Correlation:
    """Make a correlation by pod, which the second base rule calls otherwise."""
    aliases = {"pod": {"ka_a": "k8s_pod", "ka_b": "attributes.pod", "ka_c": "k8s_pod"}}
    return Correlation(kind, rules, ("pod",), WINDOW, op, bound, value, aliases)


RULES = [
    *(base(rule_id, Everything(), silent=True) for rule_id in BASES),
    base("KA-1", correlation(CorrelationKind.EVENT_COUNT, "ka_a", "ka_b")),
    base("KA-2", correlation(CorrelationKind.EVENT_COUNT, "ka_c", op=Op.EQ, bound=2)),
    base("KA-3", correlation(CorrelationKind.VALUE_COUNT, "ka_a", "ka_c", bound=2, value="attributes.v")),
    base("KA-4", correlation(CorrelationKind.VALUE_SUM, "ka_a", "ka_b", op=Op.GT, bound=9, value="attributes.v")),
    base("KA-5", correlation(CorrelationKind.TEMPORAL, *BASES)),
    base("KA-6", correlation(CorrelationKind.TEMPORAL_ORDERED, "ka_b", "ka_a", "ka_b")),
    base("KA-7", Absence("ka_a", ("ka_b", "ka_c"), ("pod",), 4 * SECOND, 3 * SECOND, {"pod": {"ka_a": "k8s_pod"}})),
    base("KA-8", Correlation(CorrelationKind.EVENT_COUNT, ("KA-5", "KA-7"), ("pod",), 3 * WINDOW, Op.GE, 2)),
    base("KA-9", correlation(CorrelationKind.EVENT_COUNT, "ka_a", op=Op.LT, bound=2)),
]
ABSENCE_ALIASES = {"ka_a": "k8s_pod", "ka_b": "pod", "ka_c": "pod"}


def event(heard: Heard) -> Event:
    """Make an event of a rule on records."""
    values = {"attributes.v": heard.v} if heard.v is not None else {}
    if heard.g is not None:
        values |= {"k8s_pod": heard.g, "attributes.pod": heard.g, "pod": heard.g}
    return Event(heard.rule, heard.t, heard.seq, heard.t, heard.t, (heard.seq,), False, "n", "t", values, {})


NUMERIC = "regexp_full_match(p.v, '-?[0-9]+(\\.[0-9]+)?')"
WITHIN = "p.g = e.g AND p.t > e.t - $window AND (p.t, p.seq, p.rule) <= (e.t, e.seq, e.rule)"
COUNTED = {
    "KA-1": ("count(*)", "true"),
    "KA-2": ("count(*)", "true"),
    "KA-3": ("count(DISTINCT p.v)", "p.v IS NOT NULL"),
    "KA-4": ("sum(p.v::DOUBLE)", NUMERIC),
    "KA-5": ("count(DISTINCT p.rule)", "true"),
    "KA-8": ("count(*)", "true"),
    "KA-9": ("count(*)", "true"),
}


def true_at(connection: duckdb.DuckDBPyConnection, rule: Rule, events: Sequence[Heard]) -> list[Heard]:
    """Ask DuckDB at which events a correlation is true, by looking back from each over all of them."""
    assert isinstance(rule.when, Correlation)
    connection.execute("CREATE OR REPLACE TABLE ev (t BIGINT, seq BIGINT, rule VARCHAR, g VARCHAR, v VARCHAR)")
    if events:
        connection.executemany("INSERT INTO ev VALUES (?, ?, ?, ?, ?)", [list(one) for one in events])
    order = "ORDER BY e.t, e.seq, e.rule"
    if rule.when.kind is CorrelationKind.TEMPORAL_ORDERED:
        query = f"""SELECT DISTINCT e.* FROM ev e JOIN ev a ON a.g = e.g JOIN ev b ON b.g = e.g JOIN ev p ON p.g = e.g
            WHERE {WITHIN} AND a.t > e.t - $window AND a.rule = 'ka_b' AND b.rule = 'ka_a' AND p.rule = 'ka_b'
            AND (a.t, a.seq, a.rule) < (b.t, b.seq, b.rule) AND (b.t, b.seq, b.rule) < (p.t, p.seq, p.rule) {order}"""
        parameters: dict[str, Any] = {"window": rule.when.window_ns}
    else:
        counted, where = COUNTED[rule.rule_id]
        bound = 3 if rule.when.kind is CorrelationKind.TEMPORAL else rule.when.bound
        op = Op.GE if rule.when.kind is CorrelationKind.TEMPORAL else rule.when.op
        query = f"""SELECT e.* FROM ev e JOIN ev p ON {WITHIN} WHERE {where} AND {where.replace("p.", "e.")}
            GROUP BY ALL HAVING {counted} {op} $bound {order}"""
        parameters = {"window": rule.when.window_ns, "bound": bound}
    return [Heard(*row) for row in connection.execute(query, parameters).fetchall()]


def fired(rule: Rule, true: Iterable[Heard]) -> list[Heard]:
    """Leave out what is silent: until the window emptied of what the correlation fired on."""
    assert isinstance(rule.when, Correlation)
    silent: dict[str | None, int] = {}
    found = []
    for one in true:
        if one.t >= silent.get(one.g, 0):
            silent[one.g] = one.t + rule.when.window_ns
            found.append(one._replace(rule=rule.rule_id))
    return found


def absent(connection: duckdb.DuckDBPyConnection, rule: Rule, events: Sequence[Heard]) -> list[Heard]:
    """Ask DuckDB which events lack their company; their place in the order is the time at which that is known."""
    when = rule.when
    assert isinstance(when, Absence)
    connection.execute("CREATE OR REPLACE TABLE ev (t BIGINT, seq BIGINT, rule VARCHAR, g VARCHAR, v VARCHAR)")
    if events:
        connection.executemany("INSERT INTO ev VALUES (?, ?, ?, ?, ?)", [list(one) for one in events])
    query = """SELECT e.t + $after, e.seq, e.rule, e.g, e.v FROM ev e WHERE e.rule = 'ka_a' AND e.g IS NOT NULL AND NOT EXISTS
        (SELECT 1 FROM ev p WHERE p.g = e.g AND p.rule IN ('ka_b', 'ka_c') AND p.t BETWEEN e.t - $before AND e.t + $after)"""
    rows = connection.execute(query, {"before": when.before_ns, "after": when.after_ns}).fetchall()
    return [Heard(*row)._replace(rule=rule.rule_id) for row in rows]


def by_sql(events: Sequence[Heard]) -> dict[str, list[tuple[int, int, str | None]]]:
    """Say when, at which record and for which group each rule holds, as SQL over all events says it."""
    found: dict[str, list[Heard]] = {}
    with duckdb.connect() as connection:
        for rule in RULES:
            bases = rule.when.rules if isinstance(rule.when, Correlation) else ()
            own = [one for one in events if one.rule in bases]
            if rule.rule_id == "KA-8":
                own = [one for base_id in bases for one in found[base_id]]
            if isinstance(rule.when, Correlation):
                found[rule.rule_id] = fired(rule, true_at(connection, rule, own))
            elif isinstance(rule.when, Absence):
                found[rule.rule_id] = absent(connection, rule, events)
    return {rule_id: sorted((one.t, one.seq, one.g) for one in those) for rule_id, those in found.items() if those}


def stream_of(state: State) -> Stream:
    """Go on with a stream where a state left it."""
    ruleset = Ruleset(RULES, origin="o")
    return Stream(ruleset, state.stream, Sources(ruleset.rules.values(), state.sources, LATENESS))


def by_stream(arrivals: Sequence[Heard], restart: Callable[[], bool]) -> dict[str, list[tuple[int, int, str | None]]]:
    """Say the same as the stream does, the events as they arrive, its memory through bytes now and then."""
    state = State()
    stream = stream_of(state)
    heard: list[Event] = []
    clock = 0

    def hear(some: Iterable[object]) -> None:
        heard.extend(one for one in some if isinstance(one, Event))

    for one in arrivals:
        clock = max(clock, one.t)
        hear(stream.advance(clock - LATENESS))
        hear(stream.add(event(one)))
        if restart():
            state = from_bytes(State(stream=stream.memory()).to_bytes())
            stream = stream_of(state)
    hear(stream.advance(FOREVER))
    assert stream.memory().late == 0
    found: dict[str, list[tuple[int, int, str | None]]] = {}
    for fired_one in heard:
        group = fired_one.values.get("pod")
        found.setdefault(fired_one.rule_id, []).append((fired_one.at_ns, fired_one.seq, group))
    assert [one.at_ns for one in heard] == sorted(one.at_ns for one in heard)
    return {rule_id: sorted(those, key=lambda key: (*key[:2], key[2] or "")) for rule_id, those in found.items()}


STEPS = st.tuples(
    st.integers(0, 4).map(lambda half: half * SECOND // 2),
    st.sampled_from(BASES),
    st.sampled_from(["api", "db", "api", None]),
    st.sampled_from(["1", "2", "-3", "4.5", "x", None, "7"]),
    st.integers(0, LATENESS - 1),
)


def arrived(steps: Sequence[tuple[int, str, str | None, str | None, int]]) -> list[Heard]:
    """Put events in the order of their arrival, each later than its time by less than the lateness; number them so."""
    t, found = START, []
    for wait, rule, group, value, delay in steps:
        t += wait
        found.append((t + delay, Heard(t, 0, rule, group, value)))
    found.sort(key=lambda one: one[0])
    return [one._replace(seq=number) for number, (_, one) in enumerate(found)]


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=st.lists(STEPS, max_size=60), seed=st.integers(0, 1000))
def test_the_stream_holds_for_what_sql_holds_for(steps: Any, seed: int) -> None:
    """No order of arrival within the lateness, and no restart, makes a difference."""
    arrivals = arrived(steps)
    draw = random.Random(seed)

    assert by_stream(arrivals, lambda: draw.random() < 0.2) == by_sql(arrivals)


@pytest.mark.torture
@settings(max_examples=5000, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=st.lists(STEPS, max_size=120), seed=st.integers(0, 1000))
def test_the_stream_holds_for_what_sql_holds_for_long(steps: Any, seed: int) -> None:
    """The same, for hours."""
    arrivals = arrived(steps)
    draw = random.Random(seed)

    assert by_stream(arrivals, lambda: draw.random() < 0.2) == by_sql(arrivals)


def test_the_comparison_is_not_of_nothing() -> None:
    """A fixed life makes every rule fire, on both sides alike."""
    draw = random.Random(7)
    steps = [
        (draw.choice((0, 1, 2, 3, 9)) * SECOND // 2, draw.choice(BASES), draw.choice(("api", "db")), draw.choice("1279"), 0)
        for _ in range(400)
    ]
    found = by_stream(arrived(steps), lambda: False)
    counts: Mapping[str, int] = {rule_id: len(those) for rule_id, those in found.items()}

    assert set(counts) == {rule.rule_id for rule in RULES} - set(BASES)
    assert min(counts.values()) >= 3
    assert found == by_sql(arrived(steps))
