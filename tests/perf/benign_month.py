"""A simulated month of a benign fleet: what the shipped rules find, and how often somebody is woken.

    python tests/perf/benign_month.py --nodes 100 --days 30

Every line goes the whole way: split, masked, parsed, named, joined, judged by all shipped rules as on a live node, folded into
alerts. `tests/fleet.py` says what happens on the nodes, `docs/explanation/alert-load.md` what the numbers mean.
"""

import argparse
import pickle
import statistics
import sys
import time
from collections import Counter
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import pyarrow as pa

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.alert_load import ALL_RULES, DEFAULT, NOTHING_HELD_BACK, PAGING, Load, Month, fold, judge_node, shifts
from tests.fleet import ACCIDENTS, RATES, STARTS_US, FleetNode

from kata_audit.config import RuleSettings
from kata_audit.schema.finding import Level
from kata_audit.wiring import derivation, rules

_WEEK_NS = 7 * 86_400 * 1_000_000_000
_SETTINGS = {
    "as shipped": DEFAULT,
    "no shadow week": ALL_RULES,
    "nothing held back": NOTHING_HELD_BACK,
}


def month(number: int, days: int, seed: int, accidents: float) -> Month:
    """Judge one node."""
    pa.set_cpu_count(1)
    rates = RATES._replace(**{name: getattr(RATES, name) * accidents for name in ACCIDENTS})
    return judge_node(FleetNode(number, days=days, seed=seed, rates=rates), rules(RuleSettings()), derivation())


def judged(nodes: list[int], days: int, seed: int, accidents: float, processes: int) -> list[Month]:
    """Judge all nodes, in a few processes; say how it goes."""
    found: list[Month] = []
    began = time.perf_counter()
    with get_context("spawn").Pool(processes) as pool:
        for one in pool.imap_unordered(partial(month, days=days, seed=seed, accidents=accidents), nodes):
            found.append(one)
            total = sum(sum(each.records.values()) for each in found)
            print(f"{len(found)} of {len(nodes)}: {total:,} records, {time.perf_counter() - began:.0f} s", file=sys.stderr)
    return sorted(found, key=lambda one: one.node)


def report(months: list[Month], days: int) -> str:
    """Write everything that was counted."""
    components = sum((Counter(one.records) for one in months), Counter())
    lines = [f"{len(months)} nodes, {days} days, {sum(components.values()):,} records"]
    lines += [f"  {name:18} {count:>12,}" for name, count in components.most_common()]
    found = Counter((finding.rule_id, str(finding.level)) for one in months for finding in one.findings)
    nodes = Counter(rule for one in months for rule in {finding.rule_id for finding in one.findings})
    lines += ["", "findings told, by rule and level, and on how many nodes"]
    lines += [f"  {rule:8} {level:14} {count:>7,} {nodes[rule]:>5}" for (rule, level), count in sorted(found.items())]
    for name, settings in _SETTINGS.items():
        load = fold(months, settings, days)
        lines += ["", f"{name}: {sum(load.alerts.values()):,} alerts, {len(load.tickets()):,} tickets", *_pages(load, days)]
    return "\n".join(lines)


def _pages(load: Load, days: int) -> list[str]:
    pages = load.pages()
    counted = shifts(pages, days)
    later = shifts(load.pages(STARTS_US * 1000 + _WEEK_NS), days)[21:] if days > 7 else counted
    lines = [f"  pages {len(pages)} in {len(counted)} shifts; {_spread(counted)}; after the first week {_spread(later)}"]
    by_rule = Counter(one.rule_id for one in pages)
    levels = {rule: level for (rule, level) in load.alerts if level in PAGING}
    for rule, count in by_rule.most_common():
        share, budget = count / max(1, len(pages)), count / (2 * len(counted))
        lines.append(f"    {rule:8} {levels.get(rule, ''):9} {count:>5} {share:6.1%} of pages, {budget:6.1%} of two a shift")
    medium = Counter(one.rule_id for one in load.notices if one.level is Level.MEDIUM)
    lines.append("  tickets: " + ", ".join(f"{rule} {count}" for rule, count in medium.most_common()))
    return lines


def _spread(counted: list[int]) -> str:
    p95 = counted[min(len(counted) - 1, int(0.95 * len(counted)))]
    mean = statistics.mean(counted)
    return f"a shift: mean {mean:.2f}, median {statistics.median(counted):g}, p95 {p95}, most {counted[-1]}"


def main() -> None:
    """Judge, fold and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=100)
    parser.add_argument("--every", type=int, default=1, help="only each n-th node")
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--accidents", type=float, default=1.0, help="so many times the accidents of `tests/fleet.py`")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--keep", type=Path, help="keep the findings in this file")
    options = parser.parse_args()
    nodes = list(range(0, options.nodes, options.every))
    months = judged(nodes, options.days, options.seed, options.accidents, options.processes)
    if options.keep:
        options.keep.write_bytes(pickle.dumps(months))
    print(report(months, options.days))


if __name__ == "__main__":
    main()
