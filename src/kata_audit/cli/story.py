"""How a story looks: a head, then a line for each moment, in two lanes.

What the host wrote stands in the left lane; what a guest wrote stands indented behind a broken line and a `»`, because it
is a claim. Every text goes through `terminal.show`.
"""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from kata_audit.cli.terminal import fit, pad, paint, show, width_of
from kata_audit.cli.times import rfc3339, span
from kata_audit.pipeline.clocks import Jump, Skew
from kata_audit.pipeline.moments import OBSERVED, Act, Moment
from kata_audit.pipeline.timeline import Silence, Summary, Told
from kata_audit.schema.event import Confidence, Outcome
from kata_audit.schema.severity import DEBUG, ERROR, INFO, TEXT_OF, WARN
from kata_audit.schema.source import Origin

_NARROW = 80
"""Columns under which levels are one letter and components are short."""
_DAY_NS = 86_400_000_000_000
_SHORT_NS = 1_000_000
_LEVELS = ((ERROR, "red"), (WARN, "yellow"), (INFO, None))
_SHORT = {
    "runtime-go": "shim-go",
    "runtime-rs": "shim-rs",
    "guest-kernel": "kernel",
    "containerd": "ctrd",
    "cloud-hypervisor": "clh",
    "guest-components": "guest",
    "kube-apiserver": "api",
    "firecracker": "fc",
    "dragonball": "db",
    "stratovirt": "sv",
    "host-kernel": "hostk",
    "kata-monitor": "monitor",
    "kata-deploy": "deploy",
}
_ID_CHARACTERS = 12
_LONG_ID = re.compile(r"\b([0-9a-f]{12})[0-9a-f]{52}\b")
_GRPC = re.compile(r"rpc error: code = (\w+) desc = ")
_TRACE = "\n\nStack backtrace:"
"""Where an error of Rust's anyhow ends and its stack begins; the record itself has all of it."""
_TIMES = "\u00d7"
_UNSURE = "≈"
_BAD = frozenset({Outcome.FAILURE, Outcome.DENIED})
OTHER_TIME = "what there is of it is of another time; ask with other --since and --until"
"""What to do where a name is known, and the asked time holds nothing of it."""
_LEAST_WORDS = 12
"""Columns that are worth beginning what a record says, behind what was done."""
_SURE = frozenset({Confidence.STATED, Confidence.CERTAIN})
_UNORDERED = "of some records only a guest tells the time: ± is how far off it may be, ≈ that the order may be another"


class Look(NamedTuple):
    """What the picture is drawn on. A width of 0 cuts nothing."""

    width: int
    coloured: bool

    @property
    def is_narrow(self) -> bool:
        """Whether columns are few."""
        return 0 < self.width < _NARROW

    def paint(self, text: str, colour: str | None) -> str:
        """Colour a shown text where colour may be sent."""
        return paint(text, colour, coloured=self.coloured)


def head(name: str, summary: Summary, look: Look) -> Iterator[str]:
    """Say whose story it is, over which time, of which layers, and what is known to be missing."""
    if not summary.records:
        yield from labelled("Pod", name, look)
        yield from labelled("Time", f"no records: {OTHER_TIME}", look)
        return
    pairs = [("Pod", _pod(summary)), ("Sandbox", _most(summary, "sandbox_id", 4))]
    if (times := summary.range()) is not None:
        first, last = (rfc3339(ns, digits=3) for ns in times)
        pairs.append(("Time", f"{first} to {last}, {span(times[1] - times[0])}"))
    pairs.append(("Host", _layers(summary, host=True)))
    pairs.append(("Guest", _layers(summary, host=False)))
    pairs.extend(("Skew", text) for text in _skews(summary))
    if summary.guest_timed:
        pairs.append(("Clock", _UNORDERED))
    for label, text in pairs:
        yield from labelled(label, text, look)
    if summary.losses:
        count = f"{summary.lost:,} records" if summary.lost else "an unknown number of records"
        places = "one place" if summary.losses == 1 else f"{summary.losses} places"
        yield from labelled("Missing", f"{count} lost, as declared at {places} below", look, "red")
    yield ""


def story(moments: Iterable[Told], look: Look, *, headed: bool = True) -> Iterator[str]:
    """Draw what a story tells, a line each, with a rule where a day begins; `headed` also over the first."""
    day = sandbox = None
    for moment in moments:
        start = _start(moment)
        if day is None and not headed:
            day = start // _DAY_NS
        if day != start // _DAY_NS:
            day = start // _DAY_NS
            yield look.paint(f"──── {rfc3339(start)[:10]} UTC " + "─" * (max(look.width, 60) - 20), "dim")
        if isinstance(moment, Silence):
            yield _silence(moment, look)
            continue
        if isinstance(moment, Jump):
            yield _jump(moment, look)
            continue
        if sandbox is not None and moment.sandbox_id not in {None, sandbox}:
            yield look.paint(f"──── sandbox {show(str(moment.sandbox_id))[:_ID_CHARACTERS]}… ────", "dim")
        sandbox = moment.sandbox_id or sandbox
        yield _line(moment, look)


def _start(told: Told) -> int:
    if isinstance(told, Silence):
        return told.from_ns
    return told.at_ns if isinstance(told, Jump) else told.timestamp_ns


def _jump(jump: Jump, look: Look) -> str:
    """Draw the setting of a guest's clock; it lies between two records, of which the later one gives the time."""
    way = "ahead" if jump.size_ns > 0 else "back"
    text = f" ⋮ guest clock set {way} by {span(abs(jump.size_ns))} [{show(jump.sandbox_id)[:_ID_CHARACTERS]}]"
    return look.paint(fit(rfc3339(jump.at_ns, digits=3)[11:23] + text, look.width), "yellow")


def _silence(silence: Silence, look: Look) -> str:
    return look.paint(pad("", 12) + f" ⋮ silence of {span(silence.to_ns - silence.from_ns)}", "dim")


def _line(moment: Moment, look: Look) -> str:
    """Draw one moment: time, level, lane, component, what it says, and how often."""
    level = TEXT_OF.get(moment.severity or 0, "-")[: 1 if look.is_narrow else 5]
    colour = "red" if moment.lost is not None else _colour(moment)
    component = show(_SHORT.get(moment.component, moment.component) if look.is_narrow else moment.component)
    lane = "┊ »" if moment.is_claim else "│"
    mark = _UNSURE if moment.is_unordered else " "
    left = f"{rfc3339(moment.timestamp_ns, digits=3)[11:23]}{mark}{pad(level, 1 if look.is_narrow else 5)} "
    names = pad(f"{lane} {component}", 11 if look.is_narrow else 17)
    tail = _tail(moment)
    room = look.width - width_of(left) - width_of(names) - 2 - width_of(tail) if look.width else 0
    text = _text(moment, max(room, 8) if look.width else 0)
    gap = " " * max(room - width_of(text), 0) if tail else ""
    said = look.paint(text, colour or ("cyan" if moment.is_claim else None))
    shown = look.paint(left, colour or "dim")
    end = f"{gap}{look.paint(tail, 'dim')}" if tail else ""
    return f"{shown}{look.paint(names, 'cyan' if moment.is_claim else 'dim')} {said}{end}".rstrip()


def _colour(moment: Moment) -> str | None:
    if moment.severity is not None and moment.severity <= DEBUG:
        return "dim"
    return next((colour for least, colour in _LEVELS if (moment.severity or 0) >= least), None)


def _text(moment: Moment, room: int) -> str:
    """Say what the record says: its body, which container, where that is another than the sandbox, and how it went.

    What does not fit is cut: of the body its end, of an error its beginning, because the cause stands last. A room of 0 cuts
    nothing.
    """
    said = moment.body or "(no text)"
    if moment.lost is not None:
        return fit(f"RECORDS LOST{f' ({moment.lost:,})' if moment.lost else ''}: {said}", room)
    if moment.container_id and moment.container_id != moment.sandbox_id:
        said += f" [{moment.container or moment.container_id[:_ID_CHARACTERS]}]"
    how = " ".join(f"{name}={value.partition(_TRACE)[0].rstrip()}" for name, value in moment.details)
    act, who = _act(moment.act, moment) if moment.act is not None else ("", "")
    act, who, said, how = (_GRPC.sub(r"\1: ", _LONG_ID.sub("\\1…", text)) for text in (act, who, said, how))
    whole = f"{f'{act}{who} · ' if act else ''}{said}{f' {how}' if how else ''}"
    if not room or width_of(show(whole)) <= room:
        return fit(whole, room)
    if not act:
        return _cut(said, how, room) if how else fit(said, room)
    least = min(room // 3, width_of(show(act)))
    act = fit(act, max(room - width_of(show(who)), least))
    if room - width_of(act + show(who)) < _LEAST_WORDS:
        return fit(act + who, room)
    if how and moment.act is not None and moment.act.outcome in _BAD:
        return _caused(f"{show(act + who)} ·", how, room)
    return fit(f"{act}{who} · {said}", room)


def _cut(said: str, how: str, room: int) -> str:
    """Cut both what a record says and how it went: of the first the end, of the second the beginning."""
    first = fit(said, max(room * 2 // 5, room - width_of(show(how)) - 1))
    return _caused(first, how, room)


def _caused(shown: str, how: str, room: int) -> str:
    """Put behind a shown text how it went, as much of its end as there is room for."""
    left = room - width_of(shown) - 1
    how = show(how)
    if width_of(how) <= left:
        return f"{shown} {how}"
    name, _, value = how.partition("=")
    return f"{shown} {name}=…{_end_of(value, max(left - width_of(name) - 2, 1))}"


def _act(act: Act, moment: Moment) -> tuple[str, str]:
    """Say what was done to what, and by whom and how it went: `exec ["cat","/etc/shadow"]` and ` by alice: denied`."""
    known = {moment.container_id: moment.container or act.object, moment.sandbox_id: ""}
    said, who = f"{act.action} {known.get(act.object, act.object)}".rstrip(), ""
    if act.actor is not None:
        who = f" by {act.actor}" + ("" if act.confidence in _SURE else "?")
    return said, who if act.outcome == Outcome.UNKNOWN else f"{who}: {act.outcome}"


def _end_of(text: str, width: int) -> str:
    """Give as much of the end of a shown text as `width` columns hold."""
    at = len(text)
    while at and width >= (step := width_of(text[at - 1])):
        width, at = width - step, at - 1
    return text[at:]


def _tail(moment: Moment) -> str:
    """Say how well the time is known, and how often: copies with a times sign, equal records behind with a plus."""
    known = "" if moment.band_ns == 0 else f" {_band(moment)}"
    once = moment.steps * (1 + moment.repeats)
    copies = f" {_TIMES}{moment.copies // once}" if moment.copies > once else ""
    copies += f" {moment.steps} steps" if moment.steps > 1 else ""
    if not moment.repeats:
        return known + copies
    length = moment.last_ns - moment.timestamp_ns
    return f"{known}{copies} +{moment.repeats:,} equal" + (f" in {span(length)}" if length >= _SHORT_NS else "")


def _band(moment: Moment) -> str:
    if moment.basis == OBSERVED:
        return OBSERVED
    return "±?" if moment.band_ns is None else f"±{span(moment.band_ns)}"


def _pod(summary: Summary) -> str:
    pod = _most(summary, "k8s_pod") or "(no host record names it)"
    namespace = _most(summary, "k8s_namespace")
    parts = [f"{namespace}/{pod}" if namespace else pod]
    parts += [f"uid {uid}" for uid in [_most(summary, "k8s_pod_uid", 2)] if uid]
    parts += [f"runtime {kind}" for kind in [_most(summary, "runtime_class")] if kind]
    return ", ".join(parts)


def _most(summary: Summary, column: str, count: int = 1) -> str:
    """Name the values of a column that are stated most."""
    stated = summary.named.get(column)
    if not stated:
        return ""
    more = f" and {len(stated) - count} more" if len(stated) > count else ""
    return ", ".join(value for value, _ in stated.most_common(count)) + more


def _layers(summary: Summary, *, host: bool) -> str:
    layers = [(n, component) for (origin, component), n in summary.layers.items() if (origin == Origin.HOST) == host]
    said = ", ".join(f"{component} {n:,}" for n, component in sorted(layers, reverse=True))
    errors = sum(n for origin, n in summary.errors.items() if (origin == Origin.HOST) == host)
    parts = [said] if said else ["no records"] if host else ["no records: what happened inside is not visible here"]
    parts += [f"errors {errors:,}"] if errors else []
    parts += ["all of it claims"] if said and not host else []
    parts += [f"copies folded {summary.copies:,}"] if host and summary.copies else []
    return "; ".join(parts)


def _skews(summary: Summary) -> Iterator[str]:
    """Say how far each guest's clock is off, and since when, where it was set."""
    known = summary.clocks.known()
    for sandbox, clock in sorted(known.items()):
        whose = f"{sandbox[:_ID_CHARACTERS]}: " if len(known) > 1 else ""
        jumps = clock.jumps()
        for at, skew in enumerate(clock.skews()):
            since = f"from {rfc3339(jumps[at - 1].at_ns, digits=3)[11:]} on " if at else ""
            yield f"{whose}{since}{_skew(skew)}"
        if not clock.skews():
            yield f"{whose}guest clock set {len(jumps)} times: no time of it can be placed"


def _skew(skew: Skew) -> str:
    side = "behind" if skew.low_ns >= 0 else "ahead of"
    return f"guest clock {span(abs(skew.low_ns))} {side} the host's (±{span(skew.band_ns)}, {skew.records:,} records)"


def labelled(label: str, text: str, look: Look, colour: str | None = None) -> Iterator[str]:
    """Write a labelled text over as many lines as it needs."""
    room = max(look.width - 9, 20) if look.width else 6 * len(text) + 1
    line, first = "", True
    words = [word[at : at + room] for word in show(text).split(" ") for at in range(0, len(word), room)]
    for word in [*words, ""]:
        if word and (not line or width_of(line) + 1 + width_of(word) <= room):
            line = f"{line} {word}" if line else word
            continue
        yield f"{look.paint(pad(label if first else '', 9), 'bold')}{look.paint(line, colour)}"
        line, first = word, False
