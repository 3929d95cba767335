"""Sources that are there: an absence proves nothing where nobody would have told.

For each source that some absence needs, the hours are remembered in which it spoke, with the stream's clock when that hour's
first record came. So what a rule could see at a moment does not depend on where a log is cut.
"""

from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any, Final, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from kata_audit.detect.blindness import CONDITIONS
from kata_audit.detect.rule import Absence, Need, Rule
from kata_audit.predicate.rows import Columns, evaluate
from kata_audit.schema.record import RecordRows

_HOUR_NS: Final = 3_600_000_000_000
_REACH_HOURS: Final = 24
"""A source that has not spoken for so long is not there."""
_MOST_HOURS: Final = 20_000
"""Hours of one source: what waits for the end of an input may have happened two years before it."""
Hours: TypeAlias = Mapping[str, Mapping[int, int]]
"""Of each source by hour since the epoch: the stream's clock when it first spoke of that hour."""


class Sources:
    """What is known of the sources that absences need.

    Args:
        rules: All rules.
        hours: What was known.
        lateness_ns: How much later than its time a record may come and still count.
    """

    def __init__(self, rules: Iterable[Rule], hours: Hours, lateness_ns: int) -> None:
        groups = chain.from_iterable(rule.needs for rule in rules if isinstance(rule.when, Absence))
        self.needs = sorted(frozenset(chain.from_iterable(groups)))
        """The sources that some absence needs."""
        self._hours = {str(need): dict(hours.get(str(need), {})) for need in self.needs}
        self._lateness_ns = lateness_ns

    def note(self, rows: RecordRows, times: Any, clocks: Any) -> None:
        """Note who speaks in some records.

        Args:
            rows: The records, with the columns that `CONDITIONS` ask of.
            times: When each happened, nanoseconds since the epoch; null is never.
            clocks: The stream's clock at each.
        """
        by_hour = pa.table({"hour": pc.divide(times, _HOUR_NS), "clock": clocks})
        columns = Columns(rows)
        for need in self.needs:
            spoke = by_hour.filter(evaluate(CONDITIONS[need], columns))
            first = spoke.group_by("hour", use_threads=False).aggregate([("clock", "min")]).to_pydict()
            hours = self._hours[str(need)]
            for hour, clock in zip(first["hour"], first["clock_min"], strict=True):
                if hour is not None:
                    hours[hour] = min(clock, hours.get(hour, clock))

    def are_there(self, rule: Rule, at_ns: int) -> bool:
        """Say whether a rule had a source of each group that it needs, in the day before a moment."""
        return all(any(self._spoke(need, at_ns) for need in group) for group in rule.needs)

    def _spoke(self, need: Need, at_ns: int) -> bool:
        last, hours = at_ns // _HOUR_NS, self._hours[str(need)]
        reach = range(last - _REACH_HOURS, last + 1)
        return any(hours[hour] <= at_ns + self._lateness_ns for hour in reach if hour in hours)

    def hours(self, watermark_ns: int) -> Hours:
        """Give what is to be remembered where nothing before a time is asked any more."""
        first = watermark_ns // _HOUR_NS - _REACH_HOURS
        kept = {
            need: {hour: hours[hour] for hour in sorted(hours)[-_MOST_HOURS:] if hour >= first}
            for need, hours in self._hours.items()
        }
        return {need: hours for need, hours in kept.items() if hours}
