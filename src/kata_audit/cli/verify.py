"""`kata-audit verify`."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kata_audit.cli.options import example, store_option
from kata_audit.cli.output import json_line, output_option, write_lines
from kata_audit.cli.terminal import progress, show
from kata_audit.errors import BundleError, InputMissingError, UsageError, VerificationError

if TYPE_CHECKING:
    from kata_audit.store.fsck import Verdict

_MOST_BUNDLE_BYTES = 64 << 20


@click.command("verify")
@click.argument("path", type=click.Path(path_type=Path), required=False)
@click.option("--deep", is_flag=True, help="Work out every record's leaf too, not only the digests of files.")
@click.option("--vkey", help="The log's public key, got by another way.")
@store_option
@output_option(formats=("text", "json"))
@example("verify", "verify --deep /var/lib/kata-audit", 'verify record-3.json --vkey "$(cat trusted.vkey)"')
def command(*, path: Path | None, deep: bool, vkey: str | None, store: Path, form: str) -> None:
    """Verify a store or a proof bundle.

    PATH is a store's directory or a bundle; without it, the store. Exit code 0 says that the evidence verifies, 3 that it
    does not. A whole store that was put back is seen only against a checkpoint that you keep elsewhere.
    """
    target = path or store
    if path is not None and not target.exists():
        raise InputMissingError("There is nothing to verify.", where=str(target))
    if target.is_file():
        _verify_bundle(target, vkey, form)
    else:
        _verify_store(target, form, vkey, deep=deep)


def _verify_bundle(path: Path, vkey: str | None, form: str) -> None:
    """Run the stand-alone verifier's steps."""
    from kata_audit import verify_bundle

    with path.open("rb") as file:
        data = file.read(_MOST_BUNDLE_BYTES + 1)
    try:
        verdict = verify_bundle.verify(data, vkey)
    except verify_bundle.VkeyError as error:
        raise UsageError(f"--vkey: {error}.") from error
    except verify_bundle.BundleNotVerifiedError as error:
        raise BundleError(f"The bundle does not verify: {error}.", where=str(path)) from error
    numbers = [record.seq for record in verdict.records]
    if form == "json":
        facts = {"verified": True, "origin": verdict.origin, "entries": verdict.size, "vkey": verdict.vkey}
        write_lines([json_line(facts | {"vkey_given": verdict.is_key_given, "records": numbers})])
        return
    write_lines(f"ok  {step.number} {step.title}" for step in verdict.steps)
    listed = ", ".join(map(str, numbers[:20])) + (" …" if len(numbers) > 20 else "")
    word = "record" if len(numbers) == 1 else "records"
    write_lines([f"VERIFIED {word} {listed} of {show(verdict.origin)}", f"key: {show(verdict.vkey)}"])
    if not verdict.is_key_given:
        write_lines(["The key came with the bundle: compare it with one that you got by another way, or give --vkey."])


def _verify_store(root: Path, form: str, vkey: str | None, *, deep: bool) -> None:
    """Verify a store step by step, and name all that is wrong with its place."""
    from kata_audit.wiring import verify_store

    verdict = verify_store(root, deep=deep, vkey=vkey, tell=progress)
    progress(None)
    if form == "json":
        wrong = [trouble._asdict() for trouble in verdict.troubles]
        write_lines([json_line({"verified": not wrong, "deep": deep, **verdict._asdict(), "troubles": wrong})])
    else:
        write_lines(_sentences(verdict, root, deep=deep, vkey=vkey))
    if verdict.troubles:
        raise VerificationError(
            f"The store does not verify: {len(verdict.troubles)} problems.",
            where=str(root),
            hint="Keep the store as it is; a copy of a file whose digest is the one in the log can be put back.",
        )


def _sentences(verdict: "Verdict", root: Path, *, deep: bool, vkey: str | None) -> Iterator[str]:
    """Tell a verdict; paths are told from the store's directory on."""
    inside = f"{root}/"
    yield f"log      {show(verdict.origin)}, {verdict.size:,} entries, root {verdict.root[:16]}…"
    yield f"key      {show(verdict.vkey)}"
    if not vkey:
        yield "         the store's own: compare it with one kept elsewhere"
    depth = "every record read and derived again" if deep else "digests of files; --deep reads every record"
    yield f"files    {verdict.segments:,} live segments ({depth})"
    lost = f", {verdict.gaps:,} numbers declared lost" if verdict.gaps else ""
    yield f"records  sealed to seq {verdict.sealed_to:,}: {verdict.records:,} records{lost}"
    yield f"         {verdict.unsealed:,} acknowledged records unsealed, protected by checksums only"
    yield from (f"  note   {show(note.removeprefix(inside))}" for note in verdict.notes)
    where = None
    for trouble in verdict.troubles:
        if trouble.where != where:
            where = trouble.where
            yield f"WRONG    {show(where.removeprefix(inside))}"
        yield f"         {show(trouble.what)}"
    yield "DOES NOT VERIFY" if verdict.troubles else "VERIFIED"
