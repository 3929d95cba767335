"""What is new: a message of a component in a class of workload, a command or an image in a workload.

Hosts and guests are learned apart, so that nothing a guest says makes a host's message or command usual. What one guest may
add in a day is bounded; the rest of what it says is new to nobody.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from kata_audit.detect.baseline_names import command_form, repository_of, templates_of, workload_of
from kata_audit.detect.baseline_rows import DAY_NS, day_text, first_of_each, groups_of, number_of, text
from kata_audit.detect.baseline_rules import COMMAND, IMAGE, TEMPLATE, Kind
from kata_audit.detect.baseline_settings import BaselineSettings
from kata_audit.detect.baseline_shelf import Key, Place, Shelf, Shelved, Sight
from kata_audit.detect.event import shorten
from kata_audit.schema.record import RecordRows, RetentionClass
from kata_audit.schema.severity import INFO
from kata_audit.schema.source import Origin

EXEC_EVENTS: Final = ("exec.process", "exec.failed", "api.exec")
"""Events that state a command run in a running container, in `process.command_args`."""
_COMMAND: Final = "process.command_args"
_MESSAGE: Final = ("tenant", "k8s_namespace", "runtime_class", "component", "origin")
_POD: Final = ("tenant", "k8s_namespace", "k8s_pod")


class New(NamedTuple):
    """Something new at a row; without `detail`, there was no room to remember it."""

    at: int
    kind: Kind
    detail: Mapping[str, str] | None


class Novelty:
    """What is new while records go by.

    Args:
        messages: Messages by component and class of workload.
        workloads: Commands and images by workload.
        settings: How long is learned and kept.
        outline: Gives the outline of a message.
    """

    def __init__(
        self, messages: Shelved, workloads: Shelved, settings: BaselineSettings, outline: Callable[[str], str]
    ) -> None:
        self._settings, self._outline = settings, outline
        self._messages = Shelf(messages, settings.keep_days)
        self._workloads = Shelf(workloads, settings.keep_days)

    def take(self, rows: RecordRows, clocks: Any) -> Iterator[New]:
        """Look at records.

        Args:
            rows: The records, none of them ours, in order.
            clocks: The stream's clock at each, nanoseconds since the epoch; 0 before any.

        Yields:
            What is new; of the same row, message, command and image in no order.
        """
        days = pc.divide(clocks, DAY_NS)
        dated = pc.greater(days, 0)
        yield from self._new_messages(rows, days, dated)
        yield from self._new_in_workloads(rows, days, dated)

    def _new_messages(self, rows: RecordRows, days: Any, dated: Any) -> Iterator[New]:
        named = pc.is_valid(rows.column("event_name"))
        loud = pc.fill_null(pc.greater_equal(rows.column("severity_number"), INFO), False)
        apart = pc.fill_null(pc.not_equal(text(rows, "class"), str(RetentionClass.WORKLOAD)), True)
        wanted = pc.indices_nonzero(pc.and_(pc.and_(pc.or_(named, loud), apart), dated))
        some = rows.select((*_MESSAGE, "event_name", "body", "sandbox_id", "node")).take(wanted)
        template = templates_of(text(some, "event_name"), some.column("body").cast(pa.string()), self._outline)
        where, day, guests = [some.column(name) for name in _MESSAGE], days.take(wanted), _guests(some)
        places = number_of([*where, day])
        said = number_of([places, template])
        firsts = first_of_each(number_of([said, guests]))
        keys: dict[int, tuple[int, Key]] = {}
        known: set[int] = set()
        marks = (column.take(firsts).to_pylist() for column in (said, places, template, guests))
        for first, number, there, words, guest in zip(firsts.to_pylist(), *marks, strict=True):
            if number in known:
                continue
            if there not in keys:
                keys[there] = (day[first].as_py(), tuple(column[first].as_py() or "" for column in where))
            self._messages.begin(keys[there][0])
            key = keys[there][1]
            sight = self._messages.see(key, words, guest)
            if sight in (Sight.KNOWN, Sight.NEW):
                known.add(number)
            if sight in (Sight.NEW, Sight.OVERFLOWED):
                place = self._messages.place(key)
                yield from self._told(New(wanted[first].as_py(), TEMPLATE, _message(key, words, place)), sight, place)

    def _told(self, new: New, sight: Sight, place: Place | None) -> Iterator[New]:
        """Tell what is new in a place that has learned, and that something had no room."""
        if sight is Sight.OVERFLOWED:
            yield new._replace(detail=None)
        elif sight is Sight.NEW and place is not None:
            learned = place.days_before(place.last)
            if learned >= self._settings.learn_days:
                days = f"{learned} days from {day_text(place.since)} to {day_text(place.last - 1)}"
                yield new._replace(detail={**(new.detail or {}), "days": days})

    def _new_in_workloads(self, rows: RecordRows, days: Any, dated: Any) -> Iterator[New]:
        """Look for what is new in workloads: most records say of their pod nothing but that it is there."""
        in_pod = pc.and_(pc.is_valid(rows.column("k8s_namespace")), pc.is_valid(rows.column("k8s_pod")))
        wanted = pc.indices_nonzero(pc.and_(in_pod, dated))
        some = rows.select((*_POD, "image", "origin", "event_name", "sandbox_id", "node")).take(wanted)
        host = pc.equal(text(some, "origin"), str(Origin.HOST))
        columns = {name: some.column(name) for name in _POD}
        columns |= {
            "image": pc.if_else(host, some.column("image"), None),
            "command": _commands(rows).take(wanted),
            "guest": _guests(some),
            "day": days.take(wanted),
        }
        for group in groups_of(columns):
            tenant, namespace, pod, image, command, guest, day = group.values
            first = wanted[group.first].as_py()
            self._workloads.begin(day)
            key = (tenant, namespace, workload_of(pod))
            place = self._workloads.place(key)
            if command is not None:
                yield from self._new_command(key, command, guest, first)
            if image is not None:
                yield from self._new_image(key, image, first)
            elif place is None and command is None and self._workloads.see(key, "") is Sight.OVERFLOWED:
                yield New(first, IMAGE, None)

    def _new_command(self, key: Key, command: str, guest: str | None, at: int) -> Iterator[New]:
        form, workload = command_form(command), f"{key[1]}/{key[2]}"
        detail = {
            "expected": f"a command that was run in workload {workload} before",
            "seen": f"the command {shorten(form)}",
            "workload": workload,
        }
        sight = self._workloads.see(key, f"{'guest' if guest is not None else 'host'} command {form}", guest)
        yield from self._told(New(at, COMMAND, detail), sight, self._workloads.place(key))

    def _new_image(self, key: Key, image: str, at: int) -> Iterator[New]:
        sight = self._workloads.see(key, f"image {image}")
        is_new = self._workloads.see(key, f"repository {repository_of(image)}") is Sight.NEW
        what = "of a repository that is new here" if is_new else "another tag or digest of a known repository"
        workload = f"{key[1]}/{key[2]}"
        detail = {
            "expected": f"an image that workload {workload} ran before",
            "seen": f"the image {shorten(image)}, {what}",
            "workload": workload,
        }
        yield from self._told(New(at, IMAGE, detail), sight, self._workloads.place(key))

    def shelved(self) -> tuple[Shelved, Shelved]:
        """Give what is to be remembered of messages, and of workloads."""
        return self._messages.shelved(), self._workloads.shelved()


def _commands(rows: RecordRows) -> Any:
    """Give the command that each record states to have been run in a running container; null for most."""
    is_exec = pc.fill_null(pc.is_in(text(rows, "event_name"), pa.array(EXEC_EVENTS)), False)
    if not pc.any(is_exec).as_py():
        return pa.nulls(rows.num_rows, pa.string())
    stated = rows.column("attributes").filter(is_exec)
    commands = pc.map_lookup(stated, pa.scalar(_COMMAND), "first")
    return pc.replace_with_mask(pa.nulls(rows.num_rows, pa.string()), is_exec, commands)


def _message(where: Key, template: str, place: Place | None) -> dict[str, str]:
    _, namespace, runtime_class, component, _ = where
    parts = [f"component {component or 'unknown'}"]
    parts += [f"runtime class {runtime_class}"] if runtime_class else []
    parts += [f"namespace {namespace}"] if namespace else []
    known = len(place.things) - 1 if place is not None else 0
    return {
        "expected": f"one of {known} known messages of {', '.join(parts)}",
        "seen": f"the message: {template[1:]}" if template.startswith("~") else f"the event {template}",
    }


def _guests(rows: RecordRows) -> Any:
    """Give for a guest's record its sandbox, or its node where that is not known; null for a host's."""
    where = pc.coalesce(rows.column("sandbox_id"), rows.column("node"), pa.scalar(""))
    return pc.if_else(pc.equal(text(rows, "origin"), str(Origin.HOST)), None, where)
