"""`kata-audit demo`: the product on a real capture, by the commands that a person would type."""

import os
import shlex
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import chdir, contextmanager
from importlib.resources import as_file, files
from pathlib import Path

import click

from kata_audit.cli.alert_lookup import folded
from kata_audit.cli.alerts import where_of
from kata_audit.cli.options import CONFIG_VARIABLE, STORE_VARIABLE, example
from kata_audit.cli.output import write_lines
from kata_audit.cli.terminal import is_coloured, paint, say
from kata_audit.errors import VerificationError

_POD = "payments/vault-0"
_RULE = "KA-008"
_DENIED = b"blocked by policy"
_HIDDEN = b"blockad by policy"
_REFUSED = 'pod:vault-0 ExecSync "blocked by policy"'
_EXEC = (b"ExecSync for", b"7c6eb301d9d2d530")
"""What the record of that exec holds: the host's own, of the container that refused it."""
_FORGED = 'receiver:"file:cri"'
_KEYS_VARIABLE = "KATA_AUDIT_KEYS"


@click.command("demo")
@example("demo", "demo | less -R")
def command() -> None:
    """Show the product on a real capture.

    Coverage, a pod's story with a denied exec, the alerts that came of it, a guest that forges a host's line, a verified
    store, one record proven to a stranger, and one altered byte that is named. Everything happens in a temporary folder.
    """
    with as_file(files("kata_audit") / "samples") as samples, tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        with chdir(samples), _surroundings(here / "trail"):
            _act(["node.journal.export.zst", *sorted(map(str, Path().glob("pods/*/*/*.log")))], here)


@contextmanager
def _surroundings(store: Path) -> Iterator[None]:
    """Name the demo's own store, and no keys or configuration of the person, for the length of a block."""
    names = (STORE_VARIABLE, CONFIG_VARIABLE, _KEYS_VARIABLE)
    before = {name: os.environ.pop(name, None) for name in names}
    empty = store.with_name("empty.toml")
    empty.touch()
    os.environ |= {STORE_VARIABLE: str(store), CONFIG_VARIABLE: str(empty)}
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def _act(logs: Sequence[str], here: Path) -> None:
    """Run the scenes one after the other."""
    _scene("Every line is understood, or says that it is not", "A node's journal and a container's log, as they are.")
    _run("parse", "--stats", *logs)
    _scene("Bytes become evidence", "Received, masked, made durable, sealed under a signed checkpoint.")
    _run("ingest", "--node", "lab/worker-a", *logs)
    _scene(f"The story of {_POD}", "Host on the left, the guest's claims behind `»`. Its policy denied an exec.")
    _run("timeline", _POD, "--severity", "warn")
    _scene("What the rules made of it", "Findings are records too; what rests on a guest's text alone is behind `»`.")
    _run("alerts", "list", "--level", "high")
    _scene("One alert, with its proof", "What it rests on, what to do, and the records that prove it.")
    _run("alerts", "show", _alert_of_pod(here / "trail"))
    _scene(
        "A guest forges a line of the host",
        "It printed a shim's error. Its origin follows the transport, not the text.",
    )
    _run("search", _FORGED, "--columns", "seq,origin,receiver,k8s_pod,body")
    _scene(
        "One record, proven to a stranger", "With one file and the public key, without this program and without the store."
    )
    _run("prove", _REFUSED, "--out", str(here / "denied.json"))
    _run("verify", str(here / "denied.json"))
    _scene("The whole store verifies", "Every leaf is hashed again, up to the signed checkpoint.")
    _run("verify", "--deep")
    _scene(
        "One byte is altered, and named",
        "One letter in the record of the denied exec. Its block and its number are named.",
    )
    _alter(here / "trail")
    try:
        _run("verify", "--deep")
    except VerificationError as error:
        sys.stdout.flush()
        say(f"kata-audit: {error.diagnostics()}")
        write_lines(["Exit code 3: the evidence does not verify."])


def _scene(title: str, sentence: str) -> None:
    coloured = is_coloured(sys.stdout)
    write_lines(["", paint(f"━━ {title} ━━", "bold", coloured=coloured), sentence])


def _run(*arguments: str) -> None:
    """Show a command line, and run it."""
    from kata_audit.cli.main import cli

    shown = shlex.join(Path(each).name if each.startswith("/") else each for each in arguments)
    write_lines([paint(f"$ kata-audit {shown}", "cyan", coloured=is_coloured(sys.stdout))])
    with cli.make_context("kata-audit", list(arguments)) as context:
        cli.invoke(context)


def _alert_of_pod(store: Path) -> str:
    """Give as much of an id as a person would type: of the alert of the denied exec."""
    alerts = folded(store).alerts.values()
    return next(one.alert_id[:6] for one in alerts if one.rule_id == _RULE and where_of(one) == _POD)


def _alter(store: Path) -> None:
    """Write the segment with the denied exec anew, with one letter of that record changed: a valid file, another past."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    for segment in sorted(store.glob("segments/*/*.parquet")):
        rows = pq.read_table(segment)
        texts = rows["raw"].to_pylist()
        found = next((row for row, text in enumerate(texts) if all(each in text for each in (*_EXEC, _DENIED))), None)
        if found is not None:
            texts[found] = texts[found].replace(_DENIED, _HIDDEN, 1)
            column = pa.array(texts, rows.schema.field("raw").type)
            changed = rows.set_column(rows.schema.get_field_index("raw"), rows.schema.field("raw"), column)
            footer = {key: value for key, value in pq.read_metadata(segment).metadata.items() if key != b"ARROW:schema"}
            segment.unlink()
            with pq.ParquetWriter(segment, changed.schema, compression="zstd") as writer:
                writer.write_table(changed)
                writer.add_key_value_metadata(footer)
            return
