"""What an answer is made of: records of the sandbox, records of its pod that name no sandbox, and the guest's own files."""

import re
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, Final, NamedTuple

import pyarrow.compute as pc

from kata_audit.errors import UsageError
from kata_audit.pipeline.why import COLUMNS, HOST_CLOCK, Case, Verdict
from kata_audit.pipeline.why_blind import AROUND, LOST, Blind, Loss, blind
from kata_audit.pipeline.why_causes import Causes
from kata_audit.predicate.tree import (
    NOTHING,
    Compare,
    Match,
    Not,
    OneOf,
    Op,
    Predicate,
    Syntax,
    Text,
    all_of,
    any_of,
)
from kata_audit.schema.record import Component, RecordRows
from kata_audit.schema.source import Origin
from kata_audit.store.reader import Order, Reader, Scope

MOST: Final = 20
"""Sandboxes of one name that are judged; a pod that crashes in a loop has hundreds that failed alike."""
_LOSSES: Final = 64
_AROUND_NS: Final = 30_000_000_000
"""How long before and after its own records a sandbox's pod may be spoken of: the kubelet tries again every 10 to 30 s."""
_HEX_ID: Final = re.compile(r"[0-9a-f]{12,64}")
_SHORT: Final = 12
_OTHER_ATTEMPT: Final = any_of(
    Match("body", r"^RunPodSandbox for .* failed, error$", Syntax.REGEX),
    OneOf("component", frozenset({str(Component.KUBE_APISERVER)})),
)
"""A refused request that names no sandbox, or to make the pod, is of another attempt than the one that got this sandbox."""


class Answer(NamedTuple):
    """The verdict on one sandbox, and what it could not see."""

    verdict: Verdict
    blind: tuple[Blind, ...]


class Answers(NamedTuple):
    """Answers, the newest failed sandbox first; `sandboxes` counts all that the name means, also those not judged."""

    answers: tuple[Answer, ...]
    sandboxes: int


class _Window(NamedTuple):
    first_ns: int
    last_ns: int

    def predicate(self) -> Predicate:
        return all_of(
            Compare("timestamp", Op.GE, self.first_ns - _AROUND_NS), Compare("timestamp", Op.LE, self.last_ns + _AROUND_NS)
        )


class _Asked(NamedTuple):
    """A sandbox, what is asked of time, and the time of the sandbox."""

    sandbox: str
    when: Predicate
    window: _Window


def gather(reader: Reader, scope: Scope, causes: Causes, name: str, when: Predicate) -> Answers:
    """Answer for every sandbox that a name means, up to `MOST`, newest first.

    Args:
        reader: The store.
        scope: What the asker may see.
        causes: The table of causes.
        name: As `Reader.resolve()` takes it; also a pod that never got a sandbox.
        when: A condition on time.

    Raises:
        UsageError: Nothing has this name, or several things have.
    """
    try:
        sandboxes = reader.resolve(scope, name).sandboxes
    except UsageError as error:
        if error.problems:  # several things have this name
            raise
        alone = _answer_pod(reader, scope, causes, name, when)
        if alone is None:
            raise
        return Answers((alone,), 0)
    windows: dict[str, _Window] = {}
    for one in sandboxes:
        window = _window(reader, scope, all_of(_of(one), when))
        if window is not None:
            windows[one] = window
    newest = sorted(windows, key=lambda one: windows[one].first_ns, reverse=True)[:MOST]
    answers = [_answer(reader, scope, causes, _Asked(one, when, windows[one])) for one in newest]
    answers.sort(key=lambda one: not one.verdict.failed)
    return Answers(tuple(answers), len(sandboxes))


def _answer(reader: Reader, scope: Scope, causes: Causes, asked: _Asked) -> Answer:
    """Judge one sandbox by its records, its pod's in its time, and what lies in files named after it."""
    sandbox, when, window = asked
    around = all_of(when, window.predicate())
    named = _names(reader, scope, all_of(_of(sandbox), when))
    of_pod = all_of(around, _of_pod(reader, scope, named), Not(_OTHER_ATTEMPT))
    where = any_of(all_of(_of(sandbox), when), of_pod, _in_own_files(reader, sandbox))
    case = Case(causes, sandbox)
    for rows in reader.scan(scope, where, COLUMNS):
        case.add(_of_no_other(rows, sandbox))
    return _with_blind(reader, scope, case.verdict(), around)


def _answer_pod(reader: Reader, scope: Scope, causes: Causes, name: str, when: Predicate) -> Answer | None:
    """Judge a pod by the records that name it, where no fact names a sandbox of it; None where nothing names it."""
    namespace, _, pod = name.rpartition("/")
    where = all_of(when, _of_pod(reader, scope, {"k8s_pod": pod, "k8s_namespace": namespace}))
    case = Case(causes, None)
    for rows in reader.scan(scope, where, COLUMNS):
        case.add(rows)
    verdict = case.verdict()
    first_ns, last_ns = verdict.first_ns, verdict.last_ns
    if first_ns is None or last_ns is None:
        return None
    if not verdict.named:
        verdict = verdict._replace(named={"k8s_pod": pod, **({"k8s_namespace": namespace} if namespace else {})})
    return _with_blind(reader, scope, verdict, all_of(when, _Window(first_ns, last_ns).predicate()))


def _of(sandbox: str) -> Predicate:
    return OneOf("sandbox_id", frozenset({sandbox}))


def _of_no_other(rows: RecordRows, sandbox: str) -> RecordRows:
    """Leave out records of other sandboxes. Asked of the store, that would be a condition on every sandbox there is."""
    whose = rows.column("sandbox_id")
    return rows.filter(pc.or_kleene(pc.is_null(whose), pc.equal(whose, sandbox)))


def _of_pod(reader: Reader, scope: Scope, named: Mapping[str, str]) -> Predicate:
    """Records that name the pod in their identity, and the kubelet's, whose texts do."""
    pod, namespace, uid = (named.get(column) for column in ("k8s_pod", "k8s_namespace", "k8s_pod_uid"))
    if not pod:
        return NOTHING
    texts = [Text(uid)] if uid else []
    texts += [Text(f'"{namespace}/{pod}"')] if namespace else []
    stated = reader.of_pod(scope, namespace, pod) if namespace else OneOf("k8s_pod", frozenset({pod}))
    own = [OneOf("k8s_pod_uid", frozenset({uid}))] if uid else []
    spoken = all_of(OneOf("component", frozenset({str(Component.KUBELET)})), any_of(*texts)) if texts else NOTHING
    return any_of(all_of(stated, *own), spoken)


def _in_own_files(reader: Reader, sandbox: str) -> Predicate:
    """A guest's lines from a console or log file whose path names the sandbox: they name none themselves."""
    if not _HEX_ID.fullmatch(sandbox) or not any(sandbox[:_SHORT] in one.source for one in reader.sources()):
        return NOTHING
    guest = Compare("origin", Op.EQ, str(Origin.GUEST))
    return all_of(guest, Match("cursor", f"*{sandbox[:_SHORT]}*", Syntax.WILDCARD))


def _window(reader: Reader, scope: Scope, where: Predicate) -> _Window | None:
    """Give the times of the first and the last record by the host's clock; where none carries that, by any.

    A guest sets its clock as it likes, and would bring records of other attempts into the answer (law L7).
    """
    by_host = all_of(where, OneOf("timestamp_basis", HOST_CLOCK))
    return _ends(reader, scope, by_host) or _ends(reader, scope, where)


def _ends(reader: Reader, scope: Scope, where: Predicate) -> _Window | None:
    """Give the times of the first and the last record."""
    ends = []
    for newest_first in (False, True):
        row = next(_values(reader, scope, where, ("timestamp",), limit=1, newest_first=newest_first), None)
        if row is None or row["timestamp"] is None:
            return None
        ends.append(row["timestamp"])
    return _Window(min(ends), max(ends))


def _names(reader: Reader, scope: Scope, where: Predicate) -> dict[str, str]:
    """Name the pod of a sandbox, as facts have it."""
    columns = ("k8s_pod", "k8s_namespace", "k8s_pod_uid")
    for row in _values(reader, scope, where, columns):
        if row["k8s_pod"]:
            return {column: value for column, value in row.items() if value}
    return {}


def _with_blind(reader: Reader, scope: Scope, verdict: Verdict, when: Predicate) -> Answer:
    """Look for what else is in the sources in this time."""
    columns = ("seq", "component", "body", "sandbox_id")
    around = frozenset(
        layer
        for layer, probe in AROUND.items()
        if next(_values(reader, scope, all_of(when, probe), ("seq",), limit=1), None)
    )
    found = _values(reader, scope, all_of(when, LOST), columns)
    whose = (row for row in found if verdict.sandbox_id is None or row["sandbox_id"] in (None, verdict.sandbox_id))
    losses = [Loss(row["seq"], row["component"] or "other", row["body"] or "") for row in islice(whose, _LOSSES)]
    return Answer(verdict, blind(verdict, around, losses))


def _values(
    reader: Reader,
    scope: Scope,
    where: Predicate,
    columns: tuple[str, ...],
    *,
    limit: int | None = None,
    newest_first: bool = False,
) -> Iterator[dict[str, Any]]:
    """Give rows as Python values, times as nanoseconds."""
    order = Order("timestamp", newest_first=newest_first)
    for rows in reader.scan(scope, where, columns, order=order, limit=limit):
        read = [rows.column(name) for name in columns]
        plain = [(one.cast("int64") if str(one.type).startswith("timestamp") else one).to_pylist() for one in read]
        for values in zip(*plain, strict=True):
            yield dict(zip(columns, values, strict=True))
