"""What the canary reads of a store: the records of one sandbox and its pod, and whether other sources spoke in its time."""

from typing import Final, NamedTuple

import pyarrow.compute as pc

from kata_audit.errors import UsageError
from kata_audit.node.canary import AROUND_NS, COLUMNS, HOST_CLOCK, SHIMS, Subject, Watch
from kata_audit.predicate.tree import Compare, Everything, OneOf, Op, Predicate, all_of
from kata_audit.schema.source import Origin
from kata_audit.store.reader import EVERYTHING_IN_SCOPE, Order, Reader

_HOST: Final = OneOf("origin", frozenset({str(Origin.HOST)}))
_BEGINS: Final = OneOf("event_name", frozenset({"config.loaded"}))
"""What both shims say at the beginning of each sandbox."""
_AROUND: Final = ("containerd", "crio", "runtime-go", "runtime-rs", "kubelet", "kube-apiserver")
"""Programs of which one record in the sandbox's time shows that their log is collected at all."""
_FEW: Final = 64
"""Records of each of them that are looked at: a shim's come by several ways."""


class Wanted(NamedTuple):
    """Whom a person asked for: a sandbox, or a pod (`NAMESPACE/POD`); neither is the newest sandbox."""

    sandbox: str | None = None
    pod: str | None = None


def read_store(watch: Watch, reader: Reader, wanted: Wanted) -> Subject:
    """Read what a store has of whom a person asked for.

    Args:
        watch: Takes the records.
        reader: The store.
        wanted: Whom to look for.

    Returns:
        Whom `watch` is to judge; one that the store does not know is given as it was named.

    Raises:
        UsageError: The name means several sandboxes.
        StoreError: The store cannot be read.
    """
    subject = _look_up(watch, reader, wanted)
    when = _time(reader, subject.sandbox_id)
    if subject.pod:
        for rows in reader.scan(EVERYTHING_IN_SCOPE, all_of(when, _of_pod(reader, subject)), COLUMNS):
            watch.add(rows.filter(pc.is_null(rows.column("sandbox_id"))))  # a sandbox's own are read above
    for component in _AROUND:
        heard = all_of(when, _HOST, OneOf("component", frozenset({component})))
        for rows in reader.scan(EVERYTHING_IN_SCOPE, heard, COLUMNS, limit=_FEW):
            watch.overhear(rows)
    return subject


def _look_up(watch: Watch, reader: Reader, wanted: Wanted) -> Subject:
    """Find whom a person asked for, and read the records of that sandbox."""
    namespace, _, pod = (wanted.pod or "").rpartition("/")
    named = Subject(wanted.sandbox, namespace, pod) if pod else Subject(wanted.sandbox, None, None)
    name = wanted.sandbox or wanted.pod
    sandbox = _newest(reader) if name is None else _resolve(reader, name)
    if sandbox is None:
        return named
    for rows in reader.scan(EVERYTHING_IN_SCOPE, _of(sandbox), COLUMNS):
        watch.add(rows)
    return Subject(sandbox, namespace, pod) if pod else watch.of_sandbox(sandbox)


def _newest(reader: Reader) -> str | None:
    """Give the sandbox that began last, as its shim says; else the one that a shim, or any host, spoke of last."""
    shims = OneOf("component", SHIMS)
    return next(filter(None, (_last(reader, all_of(_HOST, where)) for where in (_BEGINS, shims, Everything()))), None)


def _resolve(reader: Reader, name: str) -> str | None:
    """Give the newest sandbox that a name means; None where the store knows none."""
    try:
        found = reader.resolve(EVERYTHING_IN_SCOPE, name).sandboxes
    except UsageError as error:
        if error.problems:  # several things have this name
            raise
        return None
    of_them = all_of(_HOST, OneOf("sandbox_id", frozenset(found)))
    return _last(reader, all_of(of_them, _BEGINS)) or _last(reader, of_them) or found[0]


def _last(reader: Reader, where: Predicate) -> str | None:
    """Give the sandbox of the newest record that a condition holds of, by the host's clock."""
    by_host = all_of(where, OneOf("timestamp_basis", HOST_CLOCK))
    order = Order("timestamp", newest_first=True)
    for rows in reader.scan(EVERYTHING_IN_SCOPE, by_host, ("sandbox_id",), order=order):
        for sandbox in rows.column(0).drop_null().to_pylist():
            return str(sandbox)
    return None


def _time(reader: Reader, sandbox: str | None) -> Predicate:
    """Make the condition of being written in a sandbox's time."""
    where = all_of(_of(sandbox or ""), OneOf("timestamp_basis", HOST_CLOCK))
    orders = (Order("timestamp"), Order("timestamp", newest_first=True))
    found = [next(reader.scan(EVERYTHING_IN_SCOPE, where, ("timestamp",), order=one, limit=1), None) for one in orders]
    ends = [rows.column(0).cast("int64")[0].as_py() for rows in found if rows is not None]
    if not ends or None in ends:
        return Everything()
    return all_of(Compare("timestamp", Op.GE, min(ends) - AROUND_NS), Compare("timestamp", Op.LE, max(ends) + AROUND_NS))


def _of(sandbox: str) -> Predicate:
    return OneOf("sandbox_id", frozenset({sandbox}))


def _of_pod(reader: Reader, subject: Subject) -> Predicate:
    if not subject.namespace:
        return OneOf("k8s_pod", frozenset({subject.pod or ""}))
    return reader.of_pod(EVERYTHING_IN_SCOPE, subject.namespace, subject.pod or "")


def subject_of(watch: Watch, wanted: Wanted) -> Subject:
    """Find whom a person asked for among what was read.

    Raises:
        UsageError: The name means several sandboxes.
    """
    if wanted.sandbox is not None:
        return watch.of_sandbox(wanted.sandbox)
    if wanted.pod is not None:
        namespace, _, pod = wanted.pod.rpartition("/")
        return watch.of_pod(namespace, pod)
    return watch.newest()
