"""`kata-audit node canary`."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kata_audit.cli.inputs import Inputs, input_options
from kata_audit.cli.options import example, store_option
from kata_audit.cli.output import json_lines, output_option, write_lines
from kata_audit.cli.terminal import is_coloured, pad, paint, show, terminal_width, wrap
from kata_audit.cli.times import rfc3339
from kata_audit.errors import UsageError

if TYPE_CHECKING:
    from kata_audit.node.canary import Finding, Subject, Verdict, Watch
    from kata_audit.node.canary_store import Wanted

_COLOURS = {"fail": "red", "blind": "blue", "pass": "green"}
_INDENT, _LAYER = 6, 14


@click.command("canary")
@input_options
@click.option("--sandbox", metavar="ID", help="Look at this sandbox: its id, or 4 or more characters it begins with.")
@click.option("--pod", metavar="NS/NAME", help="Look at the newest sandbox of this pod.")
@click.option("--expect", "expected", multiple=True, metavar="LAYER", help="This layer must have spoken; may be repeated.")
@store_option
@output_option(formats=("text", "json", "jsonl"))
@example("node canary", "node canary journal.json", "node canary --pod default/web-1 --expect kubelet -o json")
def canary(
    *,
    inputs: Inputs,
    sandbox: str | None,
    pod: str | None,
    expected: tuple[str, ...],
    store: Path,
    form: str,
) -> None:
    """Prove layer by layer that logs arrive, and name the layer whose logs did not.

    Looks at the newest sandbox of Kata in the store, or in FILEs (`-` is stdin), as `parse` reads them. PASS counts the
    records of a layer and names the first. FAIL says that the layer must have written, and nothing came. BLIND says that the
    layer may be silent as it is set up: nothing is proven. Ends with 1 where a layer failed.
    """
    from kata_audit.node.canary_store import Wanted

    if sandbox is not None and pod is not None:
        raise UsageError("Both --sandbox and --pod were given.", hint="Name one of them.")
    if pod is not None and not all(pod.partition("/")):
        raise UsageError("--pod names no namespace.", hint="Say --pod NAMESPACE/NAME.")
    _known_layers(expected)
    verdict = _look(inputs, store, Wanted(sandbox, pod), expected)
    _write(verdict, form)
    if verdict.has_failed:
        click.get_current_context().exit(1)


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


def _look(inputs: Inputs, store: Path, wanted: "Wanted", expected: tuple[str, ...]) -> "Verdict":
    """Read files where some were named, else the store, and judge."""
    from kata_audit.node.canary import Watch
    from kata_audit.node.canary_store import read_store, subject_of
    from kata_audit.wiring import canary_table, reading

    if inputs.paths:
        watch = Watch(canary_table())
        _read_files(watch, inputs)
        return watch.judge(subject_of(watch, wanted), expected=expected)
    with reading(store) as reader:
        watch = Watch(canary_table(), store=reader.status().origin)
        subject = read_store(watch, reader, wanted)
    return watch.judge(subject, expected=expected)


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
