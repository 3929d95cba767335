"""`kata-audit verify`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from kata_audit.cli.options import example, store_option
from kata_audit.cli.output import json_line, output_option, write_lines
from kata_audit.cli.terminal import show
from kata_audit.errors import BundleError, InputMissingError, SegmentMismatchError, UsageError

_MOST_BUNDLE_BYTES = 64 << 20


@click.command("verify")
@click.argument("path", type=click.Path(path_type=Path), required=False)
@click.option("--deep", is_flag=True, help="Work out every record's leaf too, not only the digests of files.")
@click.option("--vkey", help="The log's public key, got by another way; for a bundle.")
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
        _verify_store(target, form, deep=deep)


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
    write_lines([f"VERIFIED records {listed} of {show(verdict.origin)}", f"key: {show(verdict.vkey)}"])
    if not verdict.is_key_given:
        write_lines(["The key came with the bundle: compare it with one that you got by another way, or give --vkey."])


def _verify_store(root: Path, form: str, *, deep: bool) -> None:
    """Verify the log, then every file, and name all that is wrong."""
    from kata_audit.wiring import verify_files, verify_log

    log = verify_log(root)
    checked = [file for file in verify_files(root, log, deep=deep) if file.problem is not None]
    wrong = [f"{file.name}: {file.problem}" for file in checked]
    facts = {name: value for name, value in log._asdict().items() if name != "live"}
    if form == "json":
        write_lines([json_line({"verified": not wrong, "deep": deep, **facts, "problems": wrong})])
    else:
        write_lines(_sentences(facts, len(log.live.files), wrong, deep=deep))
    if wrong:
        raise SegmentMismatchError(
            f"{len(wrong)} of {len(log.live.files)} files do not verify.",
            where=str(root),
            hint="Keep the store as it is; a copy of a file whose digest is the one in the log can be put back.",
        )


def _sentences(facts: dict[str, Any], files: int, wrong: list[str], *, deep: bool) -> Iterator[str]:
    yield f"log      {show(facts['origin'])}, {facts['entries']:,} entries under a signed checkpoint"
    yield f"key      {show(facts['vkey'])}"
    depth = "every leaf worked out" if deep else "digests of files; --deep works out every leaf"
    yield f"files    {files - len(wrong):,} of {files:,} are what the log committed to ({depth})"
    yield from (f"  WRONG  {show(line)}" for line in wrong)
    lost = f", {facts['lost']:,} numbers declared lost" if facts["lost"] else ""
    yield f"records  sealed to {facts['sealed_to']:,}: {facts['records']:,} records{lost}"
    yield "DOES NOT VERIFY" if wrong else "VERIFIED"
