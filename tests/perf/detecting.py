"""How fast records are judged, as ratios in one run: `make bench`.

    python tests/perf/detecting.py --rounds 3

Records are those of the reference captures (else the simulator's), repeated with other ids until they fill cuts of 65,536.
Rules are the shipped ones and variants of them with other words, 200 and 500; a second set asks each row's text instead
(`body|contains`), which no catalogue thins. The other engine is pySigma's SQLite backend, as Zircolite uses it: events into a
table in memory, then a query a rule; it reads the same documents, and must find the same rows. One core.
"""

import argparse
import copy
import gzip
import os
import random
import re
import sqlite3
import statistics
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import re2
import yaml
from sigma.backends.sqlite.sqlite import sqliteBackend
from sigma.collection import SigmaCollection

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.conftest import corpus_directory
from tests.evidence import derive
from tests.perf.bench import CAPTURES, split_all
from tests.perf.volume import resident_mib
from tests.simulator import Node

from kata_audit.detect.engine import flush, judge
from kata_audit.detect.prefilter import Prefilter
from kata_audit.detect.rule import Absence, Correlation, CorrelationKind, Rule
from kata_audit.detect.ruleset import Ruleset
from kata_audit.detect.scan import scan_ahocorasick, scan_hyperscan
from kata_audit.detect.sigma.reader import read_rules
from kata_audit.detect.state import State
from kata_audit.predicate.rows import Columns
from kata_audit.predicate.tree import Compare, Op, fields_of
from kata_audit.schema.finding import Level
from kata_audit.wiring import catalog

_BACKEND: Any = sqliteBackend  # ships no type information
CUT = 65_536
RULES = Path(__file__).resolve().parents[2] / "src" / "kata_audit" / "rules"
_ID = re.compile(rb"[0-9a-f]{32,64}")
_TURN = bytes.maketrans(b"0123456789abcdef", b"123456789abcdef0")
_HOST = (
    "cri",
    "runtime",
    "runtime-go",
    "runtime-rs",
    "hypervisor",
    "journald",
    "host-kernel",
    "auditd",
    "api",
    "kata-audit",
)
_WORDS = ("origin", "component", "event_name", "outcome", "subsystem", "severity_text", "severity_number")
_EXPAND = re.compile(r"\|expand$")


class Sigma(NamedTuple):
    """One rule document, and as bytes for both readers."""

    document: dict[str, Any]
    text: bytes


def read_cuts(count: int, size: int, *, simulate: bool) -> list[pa.Table]:
    """Make cuts of records as they come: parsed from lines, the ids turned round in each repetition."""
    corpus = None if simulate else corpus_directory()
    if corpus is None:
        lines = list(Node(7).journal_json(records=min(20_000, size)))
    else:
        parts = [gzip.decompress((corpus / "captures" / name / "journal.json.gz").read_bytes()) for name in CAPTURES]
        lines = b"".join(parts).splitlines(keepends=True)
    tables: list[pa.Table] = []
    while sum(map(len, tables)) < count * size:
        tables += [pa.Table.from_batches([derive(rows)]) for rows in split_all(b"".join(lines))]
        lines = [_ID.sub(lambda found: found[0].translate(_TURN), line) for line in lines]
    every = pa.concat_tables(tables).combine_chunks()
    every = every.set_column(0, "seq", pa.array(range(len(every)), pa.uint64()))
    return [every.slice(at * size, size).combine_chunks() for at in range(count)]


def shipped() -> Iterator[dict[str, Any]]:
    """Read the shipped documents on records, their source written out as conditions, lists as a word that is not there."""
    for path in sorted(RULES.rglob("*.yml")):
        for document in yaml.safe_load_all(path.read_text()):
            if "detection" not in document or document["logsource"].get("service") == "tools":
                continue
            detection = _plain(document["detection"])
            service = document["logsource"].pop("service", None)
            source = {"origin": "host"} if service in _HOST else {"origin": "guest"} if service == "guest" else {}
            if service == "agent":
                source["component"] = "agent"
            if source:
                detection["_source"] = source
                detection["condition"] = f"_source and ({detection['condition']})"
            yield {**document, "detection": detection}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        named = {"on" if key is True else key: one for key, one in value.items()}  # YAML 1.1 reads `on` as a truth
        return {_EXPAND.sub("", key): "no-such-word" if _EXPAND.search(key) else _plain(one) for key, one in named.items()}
    return [_plain(one) for one in value] if isinstance(value, list) else value


def varied(document: dict[str, Any], draw: random.Random, events: Sequence[str], number: int) -> dict[str, Any]:
    """Make a variant: other texts in its values; where it asks of words alone, another event of the catalogue."""
    made = copy.deepcopy(document)
    asked = [key.partition("|")[0] for key in _keys(made["detection"])]
    by_words = all(field in _WORDS for field in asked)
    name = f"ka_{number}_part" if made["name"].startswith("ka_") else f"KA-{number}"
    made |= {"id": str(uuid.UUID(int=draw.getrandbits(128))), "name": name}

    def change(field: str, value: Any) -> Any:
        if isinstance(value, list):
            return [change(field, one) for one in value]
        name, _, modifier = field.partition("|")
        if not isinstance(value, str) or modifier in ("exists", "cidr", "fieldref"):
            return value
        if name == "event_name" and by_words and not modifier:
            return draw.choice(events)
        return value if name in _WORDS else f"{value.rstrip('*$')}{number % 89}"

    for selection in made["detection"].values():
        for item in selection if isinstance(selection, list) else [selection]:
            if isinstance(item, dict):
                item.update({field: change(field, value) for field, value in item.items()})
    return made


def _keys(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from value
        for one in value.values():
            yield from _keys(one)
    elif isinstance(value, list):
        for one in value:
            yield from _keys(one)


def texts(count: int, draw: random.Random) -> Iterator[dict[str, Any]]:
    """Write rules that ask of every row's text, most for words that occur nowhere, a few that do."""
    heard = ("oom", "denied", "unexpected", "no such file", "killed", "timed out")
    for number in range(count):
        word = heard[number % len(heard)] if number % 40 == 0 else f"{draw.choice(heard)} {draw.getrandbits(24):06x}"
        selection = {"body|contains": [word, f"{draw.getrandbits(24):06x} nsenter"], "component": ["containerd", "agent"]}
        yield {
            "title": f"Text {number}",
            "id": str(uuid.UUID(int=draw.getrandbits(128))),
            "name": f"KA-{2000 + number}",
            "status": "stable",
            "level": "low",
            "description": "A rule on texts.",
            "logsource": {"product": "kata"},
            "detection": {"words": selection, "condition": "words"},
            "falsepositives": ["None."],
            "kata": {"group-by": ["sandbox_id"], "respond": ["Look."], "needs": [["cri"]]},
        }


def spelled(documents: Iterator[dict[str, Any]], count: int) -> list[Sigma]:
    """Keep documents that both readers read, until there are enough."""
    kept: list[Sigma] = []
    while len(kept) < count:
        document = next(documents)
        text = yaml.safe_dump(document, sort_keys=False).encode()
        try:
            _BACKEND().convert(SigmaCollection.from_yaml(text.decode()))
            read_rules([("bench.yml", text)])
        except Exception as error:  # noqa: BLE001 - whatever one of them does not read is left out of both
            print(f"left out: {document['name']}: {type(error).__name__}", file=sys.stderr)
            continue
        kept.append(Sigma(document, text))
    return kept


def padded(events: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Give the shipped documents, then variants of them without end."""
    draw = random.Random(7)
    ready = list(shipped())
    print(f"{len(ready)} shipped documents on records", file=sys.stderr)
    yield from ready
    number = 1000
    while True:
        number += 1
        yield varied(draw.choice(ready), draw, events, number)


class Sqlite:
    """The other engine: queries made once, a new table for each cut."""

    def __init__(self, rules: Sequence[Sigma]) -> None:
        self._queries: list[str] = []
        fields: set[str] = set()
        for rule in rules:
            (query,) = _BACKEND().convert(SigmaCollection.from_yaml(rule.text.decode()))
            self._queries.append(query.replace("SELECT *", "SELECT rowid").replace("<TABLE_NAME>", "logs"))
            when = read_rules([("bench.yml", rule.text)])[0].when
            assert not isinstance(when, Correlation | Absence)
            fields |= set(fields_of(when))
        self._fields = sorted(fields)

    def judge(self, cut: pa.Table) -> set[tuple[int, int]]:
        """Put a cut into a table and ask every query of it; give rule and row of each hit."""
        columns = Columns(cut.to_batches()[0])
        values = [columns.column(field).to_pylist() for field in self._fields]
        with sqlite3.connect(":memory:") as connection:
            connection.create_function("regexp", 2, _regexp, deterministic=True)
            names = ", ".join(f'"{field}"' for field in self._fields)
            connection.execute(f"CREATE TABLE logs ({names})")
            marks = ", ".join("?" * len(self._fields))
            connection.executemany(f"INSERT INTO logs VALUES ({marks})", zip(*values, strict=True))
            return {(number, row - 1) for number, query in enumerate(self._queries) for (row,) in connection.execute(query)}


_COMPILED: dict[str, Any] = {}


def _regexp(pattern: str, value: str | None) -> bool:
    if value is None:
        return False
    if pattern not in _COMPILED:
        try:
            _COMPILED[pattern] = re.compile(pattern)
        except re.error:  # what RE2 alone reads
            _COMPILED[pattern] = re2.compile(pattern)
    return _COMPILED[pattern].search(str(value)) is not None


def ours(rules: Sequence[Sigma]) -> Ruleset:
    """Read the documents as the product does, each by itself, in their order."""
    return Ruleset([read_rules([("bench.yml", rule.text)])[0] for rule in rules], origin="bench")


def pairs(ruleset: Ruleset, rules: Sequence[Sigma], cut: pa.Table) -> set[tuple[int, int]]:
    """Give rule and row of each hit of ours."""
    number_of = {rule.document["name"]: number for number, rule in enumerate(rules)}
    held = ruleset.prefilter.holding(cut.to_batches()[0])
    return {(number_of[ruleset.base[number].rule_id], row) for number, rows in held for row in rows.to_pylist()}


def correlations(bases: Sequence[str]) -> list[Rule]:
    """Make five correlations over rules that hold most often, one of each kind."""
    kinds = [
        Correlation(CorrelationKind.EVENT_COUNT, tuple(bases[:2]), ("sandbox_id",), 300 * 10**9, Op.GE, 20),
        Correlation(CorrelationKind.VALUE_COUNT, tuple(bases[1:3]), ("node",), 300 * 10**9, Op.GE, 50, "sandbox_id"),
        Correlation(CorrelationKind.VALUE_SUM, tuple(bases[2:4]), ("sandbox_id",), 300 * 10**9, Op.GT, 10**9, "pid"),
        Correlation(CorrelationKind.TEMPORAL, tuple(bases[:3]), ("sandbox_id",), 300 * 10**9),
        Correlation(CorrelationKind.TEMPORAL_ORDERED, tuple(bases[3:6]), ("sandbox_id",), 300 * 10**9),
    ]
    return [made(f"KA-{3000 + number}", kind) for number, kind in enumerate(kinds)]


def made(rule_id: str, when: Any) -> Rule:
    """Make a rule of a condition."""
    from tests.judged import base

    return base(rule_id, when, group_by=("sandbox_id",), level=Level.LOW)


def timed(run: Callable[[], object]) -> float:
    """Give the seconds of processor time that something takes."""
    start = time.process_time()
    run()
    return time.process_time() - start


def judge_all(ruleset: Ruleset, cuts: Sequence[pa.Table]) -> int:
    """Judge cuts one after another, the state through its bytes' making as a cut's seal would; give the findings."""
    state, found = State(), 0
    for cut in cuts:
        state, findings = judge(ruleset, state, cut)
        state.to_bytes()
        found += len(findings)
    return found + len(flush(ruleset, state)[1])


def rounds(variants: Mapping[str, Callable[[], object]], count: int) -> dict[str, list[float]]:
    """Run every variant once a round."""
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    for number in range(count):
        for name, run in variants.items():
            seconds[name].append(timed(run))
        print(f"round {number + 1} of {count}", file=sys.stderr)
    return seconds


def million_keys(count: int) -> None:
    """Lead a correlation past a million groups, and tell the memory that it takes."""
    ruleset = Ruleset(
        [
            made("ka_1_any", Compare("origin", Op.EQ, "host")),
            made("KA-1", Correlation(CorrelationKind.EVENT_COUNT, ("ka_1_any",), ("container_id",), 3600 * 10**9, Op.GE, 3)),
        ],
        origin="bench",
    )
    from tests.judged import records

    state, told, step = State(), 0, min(20_000, count)
    before, peak, largest = resident_mib(os.getpid()) or 0.0, 0.0, 0
    start = time.process_time()
    for first in range(0, count, step):
        rows = [{"container_id": f"{at:064x}", "timestamp": 10**18 + at * 10**6} for at in range(first, first + step)]
        state, findings = judge(ruleset, state, records(rows, first=first))
        told += sum(one.rule_id == "KA-ENGINE-OVERFLOW" for one in findings)
        largest = max(largest, len(state.to_bytes()))
        peak = max(peak, resident_mib(os.getpid()) or 0.0)
    seconds = time.process_time() - start
    forgotten = {key.partition("#")[0]: one.total for key, one in state.forgotten.items()}
    print(
        f"{count:,} groups in {seconds:.0f} s: memory {before:.0f} to at most {peak:.0f} MiB, state at most "
        f"{largest / 1e6:.1f} MB, forgotten {forgotten}, told {told} times"
    )


def line(name: str, events: int, seconds: Sequence[float]) -> str:
    """Spell a rate and its spread."""
    median = statistics.median(seconds)
    spread = f"{min(seconds) / median - 1:+.0%} {max(seconds) / median - 1:+.0%}"
    return f"{name:46} {events / median:12,.0f} events/s {spread:>12}"


def ratio(one: Sequence[float], other: Sequence[float]) -> float:
    """Give how often one is as fast as the other, by the median of the rounds."""
    return statistics.median(b / a for a, b in zip(one, other, strict=True))


def compare(name: str, rules: Sequence[Sigma], more: Sequence[Sigma], cut: pa.Table, count: int) -> None:
    """Hold ours and the other engine against each other on one cut, and ours with more rules."""
    few, many, other = ours(rules), ours(more), Sqlite(rules)
    left, right = pairs(few, rules, cut), other.judge(cut)
    print(
        f"\n{name}: {len(rules)} rules, {len(cut):,} events; hits: ours {len(left):,}, SQLite {len(right):,}, "
        f"in one alone {len(left ^ right):,} (rules {sorted({rules[one[0]].document['name'] for one in left ^ right})[:5]})"
    )
    seconds = rounds(
        {
            "ours": lambda: judge_all(few, [cut]),
            "more": lambda: judge_all(many, [cut]),
            "sqlite": lambda: other.judge(cut),
        },
        count,
    )
    print(line(f"kata-audit, {len(rules)} rules", len(cut), seconds["ours"]))
    print(line(f"kata-audit, {len(more)} rules", len(cut), seconds["more"]))
    print(line(f"pySigma to SQLite, {len(rules)} rules", len(cut), seconds["sqlite"]))
    print(
        f"ours to SQLite {ratio(seconds['ours'], seconds['sqlite']):.1f}x, "
        f"{len(more)} rules at {ratio(seconds['more'], seconds['ours']):.2f} of the speed of {len(rules)}"
    )


def correlated(many: Sequence[Sigma], cuts: Sequence[pa.Table], count: int) -> None:
    """Judge by 100 rules with five correlations, and by all that is shipped."""
    few = [read_rules([("bench.yml", rule.text)])[0] for rule in many[:100]]
    alone = Ruleset(few, origin="bench")
    holding = alone.prefilter.holding(cuts[0].to_batches()[0])
    often = sorted(holding, key=lambda one: len(one[1]), reverse=True)[:8]
    bases = [alone.base[number].rule_id for number, _ in often] * 6
    print(f"\ncorrelations over {bases[:6]}, which hold for {[len(rows) for _, rows in often]} of {len(cuts[0]):,} events")
    with_five = Ruleset([*few, *correlations(bases)], origin="bench")
    files = [(str(path), path.read_bytes()) for path in sorted(RULES.rglob("*.yml"))]
    shipped_rules = read_rules(files)
    whole = Ruleset(shipped_rules, origin="bench")
    runs = {"five": lambda: judge_all(with_five, cuts), "shipped": lambda: judge_all(whole, cuts)}
    seconds = rounds(runs, count)
    events = sum(map(len, cuts))
    print(line("100 rules with 5 correlations", events, seconds["five"]))
    print(line(f"all {len(shipped_rules)} shipped rules and parts", events, seconds["shipped"]))


def scanners(rules: Sequence[Sigma], cut: pa.Table, count: int) -> None:
    """Hold the two scanners against each other."""
    when = [rule.when for rule in ours(rules).base if not isinstance(rule.when, Correlation | Absence)]
    rows = cut.to_batches()[0]
    made_of = {name: Prefilter(when, scan=scan) for name, scan in (("aho", scan_ahocorasick), ("hyper", scan_hyperscan))}
    found = {name: [(number, held.to_pylist()) for number, held in one.holding(rows)] for name, one in made_of.items()}
    seconds = rounds({name: partial(one.holding, rows) for name, one in made_of.items()}, count)
    print(f"prefilter alone, {len(when)} rules on texts; the same rows: {found['aho'] == found['hyper']}")
    print(line("Aho-Corasick", len(cut), seconds["aho"]))
    print(line("Hyperscan", len(cut), seconds["hyper"]))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--records", type=int, default=CUT, help="of a cut")
    parser.add_argument("--rules", type=int, nargs=2, default=(200, 500), metavar=("FEW", "MANY"))
    parser.add_argument("--keys", type=int, default=1_000_000)
    parser.add_argument("--simulate", action="store_true", help="on the simulator's output even where the captures are")
    parser.add_argument("--cpu", type=int, help="the processor to stay on; by default the last one that is allowed")
    options = parser.parse_args()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0)) if options.cpu is None else options.cpu})
    pa.set_cpu_count(1)
    few, many = options.rules
    cuts = read_cuts(2, options.records, simulate=options.simulate)
    events = sorted({entry.event for entry in catalog().entries})
    rules = spelled(padded(events), many)
    compare("shipped rules and variants", rules[:few], rules, cuts[0], options.rounds)
    words = spelled(texts(many, random.Random(3)), many)
    compare("rules on texts", words[:few], words, cuts[0], options.rounds)
    scanners(words[:few], cuts[0], options.rounds)
    correlated(rules, cuts, options.rounds)
    million_keys(options.keys)


if __name__ == "__main__":
    main()
