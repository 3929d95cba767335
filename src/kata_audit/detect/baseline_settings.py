"""What may be configured of baselines: how long they learn, and how far from usual is unusual."""

from dataclasses import dataclass
from typing import Final

WEEKS: Final = 4
"""Past weeks that a rate is compared with."""


@dataclass(frozen=True, slots=True)
class BaselineSettings:
    """What is usual at this place, learned from its own past, `[baseline]`."""

    enabled: bool = True
    """Whether findings tell of what is unusual; nothing is told before it is learned."""
    learn_days: int = 7
    """Days on which a workload, a component or a source must have spoken before anything about it is told."""
    keep_days: int = 28
    """Days after which what did not come again is forgotten, and is new when it comes."""
    rate_weeks: int = 3
    """Past weeks, of the last four, in which the same hour of the week must have been seen before a rate is judged."""
    rate_score: float = 6.0
    """Robust deviations from the median at which a rate is unusual."""
    rate_difference: int = 30
    """Records an hour by which a rate must differ from the median, however many deviations that is."""
    silence_factor: float = 4.0
    """A source is silent after so many times its usual longest gap of a day."""
    silence_minutes: float = 30.0
    """And never before so many minutes."""
