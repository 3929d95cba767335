"""What commands that run until they are told to stop share: being told, and telling how they are."""

import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from kata_audit.cli.terminal import progress
from kata_audit.errors import UsageError

_TELL_SECS = 5.0


class Stop:
    """Whether somebody asked the process to stop, by Ctrl-C or SIGTERM."""

    def __init__(self) -> None:
        self._asked = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask)

    def _ask(self, *_: object) -> None:
        self._asked = True

    def asked(self) -> bool:
        """Say whether it shall stop."""
        return self._asked


class Teller:
    """Tells the terminal, systemd and Prometheus how a service is.

    Args:
        sentence: How it is, in words.
        numbers: How it is, in numbers; see `telemetry.write_metrics`.
        metrics_file: Where the numbers go; None for nowhere.
    """

    def __init__(
        self,
        sentence: Callable[[], str],
        numbers: Callable[[], Mapping[str, tuple[str, str, float]]],
        metrics_file: Path | None,
    ) -> None:
        from kata_audit.telemetry import watchdog_secs

        self._sentence, self._numbers, self._path = sentence, numbers, metrics_file
        self._every = min(watchdog_secs() or _TELL_SECS, _TELL_SECS)
        self._next = 0.0
        self._has_written = False

    def tell(self, *, last: bool = False) -> None:
        """Tell, now and then.

        Raises:
            UsageError: The numbers cannot be written, and never could.
        """
        from kata_audit.telemetry import notify, write_metrics

        now = time.monotonic()
        if now < self._next and not last:
            return
        self._next = now + self._every
        sentence = self._sentence()
        progress(None if last else sentence)
        notify(f"WATCHDOG=1\nSTATUS={sentence}")
        if self._path is not None:
            try:
                write_metrics(self._path, self._numbers())
                self._has_written = True
            except OSError as error:
                if not self._has_written:
                    where = str(self._path)
                    raise UsageError(f"The metrics cannot be written: {error.strerror}.", where=where) from error
                # Later, a service goes on without them: the time among them grows old, and that is seen.
