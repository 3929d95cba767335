"""The only reader of time. Everything that needs the time is handed a `Clock`; pure rooms are handed numbers."""

import time
from typing import Protocol


class Clock(Protocol):
    """Something that knows the time."""

    def now_ns(self) -> int:
        """Return nanoseconds since the Unix epoch, UTC."""
        ...


class SystemClock:
    """The machine's clock."""

    def now_ns(self) -> int:
        """Return the machine's time in nanoseconds since the Unix epoch."""
        return time.time_ns()


class ManualClock:
    """A clock that stands still until told otherwise; for tests and demos.

    Args:
        start_ns: Nanoseconds since the Unix epoch that it shows at first.
    """

    def __init__(self, start_ns: int = 1_795_000_000_000_000_000) -> None:
        self._now_ns = start_ns

    def now_ns(self) -> int:
        """Return the time last set, in nanoseconds since the Unix epoch."""
        return self._now_ns

    def advance(self, ns: int) -> None:
        """Move the clock by `ns` nanoseconds; negative moves it back."""
        self._now_ns += ns
