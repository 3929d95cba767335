"""`kata-audit node canary`."""

import sys
import time
from collections.abc import Collection, Iterator
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kata_audit.cli.inputs import STDIN, Inputs, input_options
from kata_audit.cli.options import example, store_option
from kata_audit.cli.output import json_lines, output_option, write_lines
from kata_audit.cli.terminal import is_coloured, pad, paint, say, show, terminal_width, wrap
from kata_audit.cli.times import rfc3339
from kata_audit.errors import Problem, UsageError

if TYPE_CHECKING:
    from kata_audit.node.canary import Finding, Subject, Verdict, Watch
    from kata_audit.node.canary_run import Asked
    from kata_audit.node.canary_store import Wanted

_COLOURS = {"fail": "red", "blind": "blue", "pass": "green"}
_INDENT, _LAYER = 6, 14
_AGAIN_SECS = 2
"""Between two looks for the records of our own pod."""
_IMAGE = "docker.io/library/busybox:stable"


def _run_options(function: Any) -> Any:
    """Add what makes a pod; the function gets it as `asked`, None where no pod is to be made."""

    @wraps(function)
    def with_run(
        *, run: bool, namespace: str, runtime_class: str | None, image: str, host: str | None, timeout: int, **rest: Any
    ) -> Any:
        from kata_audit.node.canary_run import Asked

        if run and runtime_class is None:
            raise UsageError("--run needs a runtime class of Kata.", hint="Say --runtime-class; `kubectl get runtimeclass`.")
        asked = Asked(namespace, runtime_class or "", image, host, timeout) if run else None
        return function(asked=asked, **rest)

    seconds = click.IntRange(min=1, max=3600)
    for decorate in (
        click.option(
            "--settle", type=seconds, default=30, show_default=True, help="With --run: seconds for records to come."
        ),
        click.option("--timeout", type=seconds, default=120, show_default=True, help="With --run: seconds to be ready."),
        click.option("--on", "host", metavar="HOST", help="With --run: the node, by its label kubernetes.io/hostname."),
        click.option("--image", default=_IMAGE, show_default=True, help="With --run: an image with `sleep` and `echo`."),
        click.option("--runtime-class", metavar="NAME", help="With --run: the runtime class of Kata."),
        click.option("--namespace", default="default", show_default=True, help="With --run: where the pod is made."),
        click.option(
            "--run", is_flag=True, help="Make a pod by kubectl, execute in it, delete it, and look at its records."
        ),
    ):
        with_run = decorate(with_run)
    return with_run


@click.command("canary")
@input_options
@click.option("--sandbox", metavar="ID", help="Look at this sandbox: its id, or 4 or more characters it begins with.")
@click.option("--pod", metavar="NS/NAME", help="Look at the newest sandbox of this pod.")
@click.option("--expect", "expected", multiple=True, metavar="LAYER", help="This layer must have spoken; may be repeated.")
@_run_options
@store_option
@output_option(formats=("text", "json", "jsonl"))
@example(
    "node canary",
    "node canary journal.json",
    "node canary --pod default/web-1 --expect kubelet -o json",
    "node canary --run --runtime-class kata-qemu --on worker-a",
)
def canary(
    *,
    inputs: Inputs,
    sandbox: str | None,
    pod: str | None,
    expected: tuple[str, ...],
    asked: "Asked | None",
    settle: int,
    store: Path,
    form: str,
) -> None:
    """Prove layer by layer that logs arrive, and name the layer whose logs did not.

    Looks at the newest sandbox of Kata in the store, or in FILEs (`-` is stdin), as `parse` reads them. PASS counts the
    records of a layer and names the first. FAIL says that the layer must have written, and nothing came. BLIND says that the
    layer may be silent as it is set up: nothing is proven. Ends with 1 where a layer failed.

    With --run it makes a pod of its own first, and looks until nothing fails or --settle is over.
    """
    from kata_audit.node.canary_store import Wanted

    _check(inputs, sandbox, pod, asked)
    _known_layers(expected)
    if asked is None:
        verdict = _look(inputs, store, Wanted(sandbox, pod), expected)
    else:
        verdict = _run(asked, inputs, store, expected, settle)
    _write(verdict, form)
    if verdict.has_failed:
        click.get_current_context().exit(1)


def _check(inputs: Inputs, sandbox: str | None, pod: str | None, asked: "Asked | None") -> None:
    """See that the options go together.

    Raises:
        UsageError: Names all that do not.
    """
    mistakes = (
        ("--pod", pod is not None and sandbox is not None, "--sandbox was given, too: name one of them"),
        ("--pod", pod is not None and not all(pod.partition("/")), "it names no namespace: say --pod NAMESPACE/NAME"),
        ("--run", asked is not None and (pod or sandbox) is not None, "its own pod is looked at: leave --pod and --sandbox"),
        ("--run", asked is not None and STDIN in inputs.paths, "stdin ends before the pod is made: name files, or a store"),
    )
    problems = [Problem(where, said) for where, holds, said in mistakes if holds]
    if problems:
        raise UsageError("What was asked for cannot be.", problems=problems)


def _known_layers(names: tuple[str, ...]) -> None:
    """See that every expected layer is one.

    Raises:
        UsageError: Names all that are not.
    """
    from kata_audit.wiring import canary_table

    known = [layer.id for layer in canary_table().layers]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise UsageError(f"No layer is called {', '.join(unknown)}.", hint=f"There are {', '.join(known)}.")


def _run(asked: "Asked", inputs: Inputs, store: Path, expected: tuple[str, ...], settle: int) -> "Verdict":
    """Make the pod, and look for its records until nothing fails or the time is over."""
    from kata_audit.node.canary_run import run_pod
    from kata_audit.node.canary_store import Wanted

    _check_store(inputs, store)
    ran = run_pod(asked, say)
    wanted, told = Wanted(None, f"{ran.namespace}/{ran.pod}"), ["asked", *(["executed"] if ran.marker else [])]
    until = time.monotonic() + settle
    while True:
        verdict = _look(inputs, store, wanted, expected, told=told, marker=ran.marker)
        if not verdict.has_failed or time.monotonic() + _AGAIN_SECS > until:
            return verdict
        time.sleep(_AGAIN_SECS)


def _check_store(inputs: Inputs, store: Path) -> None:
    """See that what will be looked at can be read, before a pod is made for it."""
    from kata_audit.wiring import reading

    if inputs.paths:
        inputs.places()
        return
    with reading(store):
        pass


def _look(
    inputs: Inputs,
    store: Path,
    wanted: "Wanted",
    expected: tuple[str, ...],
    *,
    told: Collection[str] = (),
    marker: str | None = None,
) -> "Verdict":
    """Read files where some were named, else the store, and judge."""
    from kata_audit.node.canary import Watch
    from kata_audit.node.canary_store import read_store, subject_of
    from kata_audit.wiring import canary_table, reading

    if inputs.paths:
        watch = Watch(canary_table(), marker=marker)
        _read_files(watch, inputs)
        return watch.judge(subject_of(watch, wanted), expected=expected, told=told)
    with reading(store) as reader:
        watch = Watch(canary_table(), store=reader.status().origin, marker=marker)
        subject = read_store(watch, reader, wanted)
    return watch.judge(subject, expected=expected, told=told)


def _read_files(watch: "Watch", inputs: Inputs) -> None:
    from kata_audit.pipeline.derive import records_of
    from kata_audit.wiring import derivation, file_receiver

    for path, place in inputs.places():
        with file_receiver(path, place) as receiver:
            for rows in records_of(receiver, key=None, derive=derivation()):
                watch.add(rows)


def _write(verdict: "Verdict", form: str) -> None:
    if form == "text":
        write_lines(_text(verdict))
    elif form == "json":
        write_lines(json_lines([_object(verdict)], "jsonl"))
    else:
        whose = _whose(verdict.subject)
        write_lines(json_lines(({**whose, **_finding(one)} for one in verdict.findings), "jsonl"))


def _object(verdict: "Verdict") -> dict[str, Any]:
    return {
        **_whose(verdict.subject),
        **({} if verdict.runtime_class is None else {"runtime_class": verdict.runtime_class}),
        "facts": list(verdict.facts),
        "undeclared": verdict.undeclared,
        "failed": verdict.has_failed,
        "layers": [_finding(one) for one in verdict.findings],
    }


def _whose(subject: "Subject") -> dict[str, Any]:
    names = {"sandbox_id": subject.sandbox_id, "k8s_namespace": subject.namespace, "k8s_pod": subject.pod}
    return {name: value for name, value in names.items() if value is not None}


def _finding(one: "Finding") -> dict[str, Any]:
    row = {
        "layer": one.layer,
        "status": str(one.status),
        "said": one.said,
        "next": one.next,
        "records": one.records,
        "first": None if one.first_ns is None else rfc3339(one.first_ns),
        "last": None if one.last_ns is None else rfc3339(one.last_ns),
        "record": one.record,
    }
    return {name: value for name, value in row.items() if value is not None}


def _text(verdict: "Verdict") -> Iterator[str]:
    coloured, width = is_coloured(sys.stdout), terminal_width()
    subject = verdict.subject
    whose = f"pod {subject.namespace}/{subject.pod}" if subject.pod else "pod not known"
    if subject.sandbox_id is None and not subject.pod:
        yield "No record of a sandbox is in the sources."
    else:
        yield from wrap(f"sandbox {subject.sandbox_id or 'none'}, {whose}", width, indent=0)
    yield from wrap(f"shown by its records: {', '.join(verdict.facts) or 'nothing'}", width, indent=0)
    yield ""
    for one in verdict.findings:
        status = paint(f"{one.status.upper():5}", _COLOURS[one.status], coloured=coloured)
        yield f"{status} {paint(pad(one.layer, _LAYER), 'bold', coloured=coloured)} {show(one.title)}"
        if one.records:
            yield from wrap(_evidence(one), width, indent=_INDENT)
        if one.status != "pass" or one.said != "Its records arrive.":
            yield from wrap(one.said, width, indent=_INDENT)
        if one.next is not None:
            yield from wrap(f"→ {one.next}", width, indent=_INDENT)
    if verdict.undeclared:
        yield ""
        yield from wrap(
            f"{verdict.undeclared:,} records came from files of which nobody declared who wrote them: they prove nothing; "
            "--transport declares them.",
            width,
            indent=0,
        )


def _evidence(one: "Finding") -> str:
    times = [rfc3339(ns, digits=3) for ns in (one.first_ns, one.last_ns) if ns is not None]
    return f"{one.records:,} records, {' to '.join(dict.fromkeys(times)) or 'without a time'}; first {one.record}"
