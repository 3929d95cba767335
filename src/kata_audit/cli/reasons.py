"""How an answer of `why` looks: one screen, the failure first, then where it shows, what to do, and what cannot be seen.

Every text of a log goes through `terminal.show`.
"""

import re
from collections.abc import Iterator

from kata_audit.cli.story import OTHER_TIME, Look, labelled
from kata_audit.cli.terminal import fit, pad
from kata_audit.cli.times import rfc3339
from kata_audit.pipeline.why import Other, Quote, Verdict
from kata_audit.pipeline.why_blind import Blind
from kata_audit.pipeline.why_gather import Answers

_ALSO = 6
"""Further errors that are shown; json has all."""
_TEXT, _LINKS = 400, 300
"""Characters that are shown of the first record's text, and of the way that its error took; json has all."""
_LABEL = 9
_LONG_ID = re.compile(r"\b([0-9a-f]{12})[0-9a-f]{52}\b")


def screen(name: str, found: Answers, look: Look) -> Iterator[str]:
    """Draw the answer for a name: the newest failed sandbox in full, and how many others there are."""
    if not found.answers:
        yield from labelled("Failed", f"nothing is known: {OTHER_TIME}", look)
        return
    verdict, blind = found.answers[0]
    yield from labelled("Pod", _pod(name, verdict), look)
    yield from labelled("Sandbox", _sandbox(verdict, found), look)
    if verdict.first_ns is not None and verdict.last_ns is not None:
        ends = (rfc3339(ns, digits=3) for ns in (verdict.first_ns, verdict.last_ns))
        yield from labelled("Time", f"{' to '.join(ends)}, {_count(verdict.records)}", look)
    yield ""
    yield from _failure(verdict, look)
    yield from _also(verdict, look)
    yield from _blind(blind, look)


def _failure(verdict: Verdict, look: Look) -> Iterator[str]:
    """Say what failed, which record shows it, and what is known of it."""
    cause, first = verdict.cause, verdict.first
    if cause is None or first is None:
        yield from labelled("Failed", "nothing: no record of the host says that anything failed", look, "green")
        return
    unknown = "" if cause.known else "; the cause is not known"
    claim = ", as the guest claims" if first.is_claim else ""
    yield from labelled("Failed", f"{verdict.layer}: {cause.title}{claim}{unknown}", look, "red")
    yield from labelled("First", _place(first), look)
    yield from labelled(
        "", f"{'» ' if first.is_claim else ''}{_cut(first.text, _TEXT)}", look, "cyan" if first.is_claim else "yellow"
    )
    if way := _way(first):
        yield from labelled("Through", _cut(way, _LINKS), look, "dim")
    if verdict.outside:
        seen, quote = verdict.outside
        yield from labelled("Host", f"{seen.title} (record {quote.seq}, {quote.component}: {_short(quote.text)})", look)
    yield from labelled("Why", cause.meaning, look)
    yield from labelled("Do", cause.remedy, look, "bold")
    yield from labelled("Known", f"{cause.id}: {cause.versions}", look, "dim")


def _way(quote: Quote) -> str:
    """Say through whose hands an error went, outermost first, without the links that its text is made of."""
    own = next((at for at in range(len(quote.links)) if quote.text.endswith(": ".join(quote.links[at:]))), len(quote.links))
    return " > ".join(map(_short, quote.links[:own]))


def _also(verdict: Verdict, look: Look) -> Iterator[str]:
    """List further errors, a line each."""
    if not verdict.also:
        return
    yield ""
    for at, other in enumerate(verdict.also[:_ALSO]):
        yield look.paint(pad("Also" if not at else "", _LABEL), "bold") + look.paint(_line(other, look), "dim")
    more = len(verdict.also) - _ALSO + verdict.more
    if more > 0:
        yield from labelled("", f"and {more} more kinds of errors: -o json lists them, `timeline` tells all", look, "dim")


def _line(other: Other, look: Look) -> str:
    quote = other.first
    times = f" \u00d7{other.times}" if other.times > 1 else ""
    lane = "» " if quote.is_claim else ""
    text = f"{rfc3339(quote.timestamp_ns, digits=3)[11:23]} {lane}{quote.component}{times}: {_short(quote.text)}"
    return fit(text, look.width - _LABEL if look.width else 0)


def _blind(blind: tuple[Blind, ...], look: Look) -> Iterator[str]:
    """List what could not be seen."""
    if not blind:
        return
    yield ""
    for at, one in enumerate(blind):
        yield from labelled("Blind" if not at else "", f"{one.layer}: {one.reason}", look, "dim")


def _place(quote: Quote) -> str:
    return f"record {quote.seq}, {rfc3339(quote.timestamp_ns, digits=6)}, {quote.component}"


def _short(text: str) -> str:
    """Cut long ids to what a person compares."""
    return _LONG_ID.sub("\\1…", text)


def _cut(text: str, most: int) -> str:
    """Cut a long text too, so that the answer stays on one screen."""
    text = _short(text)
    return text if len(text) <= most else f"{text[:most]}…"


def _count(records: int) -> str:
    return "1 record" if records == 1 else f"{records:,} records"


def _pod(name: str, verdict: Verdict) -> str:
    named = verdict.named
    if "k8s_pod" not in named:
        return f"{name} (no host record names its pod)"
    pod = f"{named['k8s_namespace']}/{named['k8s_pod']}" if "k8s_namespace" in named else named["k8s_pod"]
    uid = [f"uid {named['k8s_pod_uid']}"] if "k8s_pod_uid" in named else []
    runtime = [f"runtime {named['runtime_class']}"] if "runtime_class" in named else []
    return ", ".join([pod, *uid, *runtime])


def _sandbox(verdict: Verdict, found: Answers) -> str:
    """Name the sandbox, and say how many others the name means and how many of them failed."""
    if verdict.sandbox_id is None:
        return "none: no record names one"
    if found.sandboxes <= 1:
        return verdict.sandbox_id
    judged, failed = len(found.answers), sum(one.verdict.failed for one in found.answers)
    judged_only = f" of the newest {judged}" if judged < found.sandboxes else ""
    which = "the newest failed one" if verdict.failed else "the newest"
    return f"{verdict.sandbox_id}, {which} of {found.sandboxes}; {failed}{judged_only} failed"
