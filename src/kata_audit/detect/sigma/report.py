"""What is wrong with rule files, gathered until everything was read."""

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from sigma.exceptions import SigmaError

from kata_audit.detect.sigma.documents import Document
from kata_audit.errors import Problem
from kata_audit.predicate.values import BadValueError


class Report:
    """The problems found so far."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def add(self, document: Document, path: Sequence[str | int], message: str) -> None:
        """Note a problem of a value, or of the nearest thing around it that has a line."""
        self.problems.append(Problem(document.place(*path), message))

    def noting(self, document: Document, path: Sequence[str | int]) -> "Noting":
        """Do something with a value, and note why it cannot be done, where it cannot."""
        return Noting(self, document, path)

    def sorted(self) -> list[Problem]:
        """Give each problem once, in order of files and lines."""
        return sorted(dict.fromkeys(self.problems), key=_order)


class Noting:
    """A block whose `BadValueError` or `SigmaError` becomes a problem of the report."""

    def __init__(self, report: Report, document: Document, path: Sequence[str | int]) -> None:
        self._report, self._document, self._path = report, document, path

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> bool:
        if not isinstance(error, BadValueError | SigmaError):
            return False
        message = str(error)
        self._report.add(self._document, self._path, message if message.endswith((".", "?")) else f"{message}.")
        return True


def _order(problem: Problem) -> tuple[str, int]:
    file, _, line = problem.where.rpartition(":")
    return file, int(line)
