"""The whole error tree, and nothing else.

Three roads, never mixed: bad data is rows with a `parse_status`; user mistakes are collected and reported together as one
`UsageError`; a broken promise is one of the typed exceptions below. Each family has one exit code, and the page
`docs/reference/errors.md` is generated from this file.
"""

from collections.abc import Sequence
from typing import ClassVar, NamedTuple


class Problem(NamedTuple):
    """One mistake of a user, with its place."""

    where: str
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.message}"


class KataAuditError(Exception):
    """Any error that leaves a room of ours: one sentence, its place and the next step.

    Args:
        message: What went wrong, one sentence, never with bytes of a log.
        where: The place: a path, an option, a position in a query.
        hint: The next step for a person.
    """

    exit_code: ClassVar[int] = 70

    def __init__(self, message: str, *, where: str | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.hint = hint

    def diagnostics(self) -> str:
        """Spell the error for a person: what, where, next step, a line each."""
        lines = [self.message]
        if self.where is not None:
            lines.append(f"  at: {self.where}")
        if self.hint is not None:
            lines.append(f"  next: {self.hint}")
        return "\n".join(lines)


class UsageError(KataAuditError):
    """The user asked for something that cannot be: all mistakes at once, each with its place."""

    exit_code = 2

    def __init__(
        self,
        message: str,
        *,
        problems: Sequence[Problem] = (),
        where: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, where=where, hint=hint)
        self.problems = tuple(problems)

    def diagnostics(self) -> str:
        """Spell the error with every problem on its own line."""
        return "\n".join([super().diagnostics(), *(f"  - {problem}" for problem in self.problems)])


class ConfigError(UsageError):
    """The configuration has mistakes."""


class CatalogError(UsageError):
    """The catalogue of known messages has mistakes."""


class RulesError(UsageError):
    """Detection rules have mistakes, or say what cannot be expressed."""


class QueryError(UsageError):
    """A search query does not parse, or names a field that does not exist."""


class VerificationError(KataAuditError):
    """The evidence does not verify: expected against got, with the index or path."""

    exit_code = 3


class CheckpointError(VerificationError):
    """A signed note or checkpoint is malformed, unknown or badly signed."""


class InclusionError(VerificationError):
    """An inclusion proof does not lead to the root."""


class ConsistencyError(VerificationError):
    """Two checkpoints are not of one growing log."""


class SegmentMismatchError(VerificationError):
    """A segment's bytes, records or roots are not what the log committed to."""


class BundleError(VerificationError):
    """A proof bundle is malformed or does not verify."""


class StoreError(KataAuditError):
    """The store cannot do what was asked: missing, damaged, full, read-only."""

    exit_code = 4


class StoreLockedError(StoreError):
    """Another writer holds the store."""


class LayoutVersionError(StoreError):
    """The store was written by another version of the format."""


class StoreStoppedError(StoreError):
    """A write or fsync failed, and the writer stopped: nothing after it was promised."""


class IndexDamagedError(StoreError):
    """The index is damaged; it holds no evidence and can be removed at any time."""


class ReceiverError(KataAuditError):
    """An input cannot be read."""

    exit_code = 5


class InputMissingError(ReceiverError):
    """An input that was named does not exist or is no file."""

    exit_code = 4


class ExporterError(KataAuditError):
    """A destination does not take what it is handed."""

    exit_code = 5


class ClusterError(KataAuditError):
    """A cluster cannot be asked, or refuses what was asked of it."""

    exit_code = 5
