"""Rules converted for other log systems, by converters of their vendors in an environment of their own: best effort.

What such a query cannot keep of a rule is stated beside it.
"""

import json
import shlex
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple
from uuid import UUID

from kata_audit.detect.rule import Correlation, CorrelationKind, Rule
from kata_audit.detect.sigma.printer import PrintError, print_rule
from kata_audit.errors import InputMissingError, ReceiverError
from kata_audit.pipeline import convert_apart

TARGETS: Final[Mapping[str, str]] = {
    "splunk": "pysigma-backend-splunk",
    "elasticsearch": "pysigma-backend-elasticsearch",
    "opensearch": "pysigma-backend-opensearch",
    "loki": "pysigma-backend-loki",
}
"""Each target, and the package of its converter."""
_OLDER: Final = "pysigma<2"
"""What the converters declare that they need."""
_PATIENCE: Final = 300.0
"""Seconds that the converter may take for all rules."""
_COMMON: Final[Mapping[str, tuple[str, ...]]] = {
    "splunk": (),
    "elasticsearch": ("Case counts or not as the field's mapping says.",),
    "opensearch": ("Case counts or not as the field's mapping says.",),
    "loki": ("The stream is any job, its lines read as logfmt: put your own selector and parser there.",),
}
_WINDOWS: Final[Mapping[str, str]] = {
    "splunk": "Time is cut into windows that stand still; events on both sides of a border are not counted together.",
    "loki": "The window ends when the query is run; it must be run at least that often.",
}


class Converted(NamedTuple):
    """What became of one rule: queries, or why there are none; and what they do not keep."""

    rule_id: str
    queries: tuple[str, ...]
    losses: tuple[str, ...]
    error: str | None


def convert(chosen: Sequence[Rule], rules: Mapping[str, Rule], target: str, environment: Path) -> list[Converted]:
    """Convert rules.

    Args:
        chosen: The rules.
        rules: All rules by name: some count others.
        target: One of `TARGETS`.
        environment: The converters' environment.

    Returns:
        What became of each, in order.

    Raises:
        InputMissingError: There is no such environment, or it lacks the target's converter; with the command that makes it.
        ReceiverError: The converter ended without an answer.
    """
    python = environment / "bin" / "python"
    if not python.is_file():
        raise _missing("Conversion needs an environment of its own, which is not there.", environment, target)
    documents: dict[str, list[dict[str, Any]]] = {}
    errors: dict[str, str] = {}
    for rule in chosen:
        try:
            documents[rule.rule_id] = _documents(rule, rules)
        except PrintError as error:
            errors[rule.rule_id] = str(error)
    answers = dict(zip(documents, _ask(python, target, list(documents.values()), environment), strict=True))
    return [
        _converted(rule, target, answers.get(rule.rule_id, {}), errors.get(rule.rule_id), documents.get(rule.rule_id, []))
        for rule in chosen
    ]


def _missing(message: str, environment: Path, target: str) -> InputMissingError:
    folder, pip = shlex.quote(str(environment)), shlex.quote(str(environment / "bin" / "pip"))
    return InputMissingError(
        message,
        where=str(environment),
        hint=f"python3 -m venv {folder} && {pip} install '{_OLDER}' {TARGETS[target]}",
    )


def _documents(rule: Rule, rules: Mapping[str, Rule]) -> list[dict[str, Any]]:
    documents = print_rule(rule, rules)
    for number, document in enumerate(documents, 1):
        document["id"] = str(UUID(int=number))
    return documents


def _ask(python: Path, target: str, rules: list[list[dict[str, Any]]], environment: Path) -> list[dict[str, Any]]:
    request = json.dumps({"target": target, "rules": [[_loosened(one) for one in documents] for documents in rules]})
    command = [str(python), "-I", str(convert_apart.__file__)]
    try:
        done = subprocess.run(command, input=request, capture_output=True, text=True, timeout=_PATIENCE, check=True)  # noqa: S603
        answer = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise ReceiverError("The converter ended without an answer.", where=str(python)) from error
    if "missing" in answer:
        raise _missing("The environment lacks the converter.", environment, target)
    found: list[dict[str, Any]] = answer["rules"]
    return found


def _loosened(value: Any) -> Any:
    """Take `cased` away: converters refuse it. That is a loss, and is stated."""
    if isinstance(value, dict):
        return {key.replace("|cased", ""): _loosened(inner) for key, inner in value.items()}
    return [_loosened(inner) for inner in value] if isinstance(value, list) else value


def _converted(
    rule: Rule, target: str, answer: Mapping[str, Any], error: str | None, documents: list[dict[str, Any]]
) -> Converted:
    queries = tuple(answer.get("queries", ()))
    losses = tuple(_losses(rule, target, repr(documents))) if queries else ()
    return Converted(rule.rule_id, queries, losses, error or answer.get("error"))


def _losses(rule: Rule, target: str, text: str) -> Iterator[str]:
    yield "Fields have the names of kata-audit's records, and the records must have been exported so."
    yield from _COMMON[target]
    if "|cased'" in text:
        yield "The rule compares with case somewhere; the query may not."
    if "|re'" in text:
        yield f"A regex of the rule is one of RE2, found anywhere; here it is one of {target}."
    if "|lt" in text or "|gt" in text:
        yield "Texts that are no numbers may compare as numbers."
    if isinstance(rule.when, Correlation):
        yield "Copies of one record count as several events."
        if target in _WINDOWS:
            yield _WINDOWS[target]
        if rule.when.kind is CorrelationKind.TEMPORAL_ORDERED:
            yield "The order of events may not be kept."
