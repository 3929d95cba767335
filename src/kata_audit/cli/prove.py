"""`kata-audit prove`."""

import os
import sys
from pathlib import Path

import click

from kata_audit.cli.asking import scope_of
from kata_audit.cli.options import example, namespace_option, store_option
from kata_audit.cli.terminal import say
from kata_audit.errors import StoreError, UsageError, VerificationError

_MOST_RECORDS = 1000
"""Records of one bundle: a stranger reads it in one sitting."""


@click.command("prove")
@click.argument("query", metavar="QUERY|ID")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Where to write the bundle; `-` is stdout.")
@namespace_option
@store_option
@example("prove 3 --out record-3.json", "prove 'pod:web-1 \"permission denied\"' --out denied.json")
def command(*, query: str, out: Path, namespaces: tuple[str, ...], store: Path) -> None:
    """Write a proof bundle of records.

    ID is a record's number, or its whole name `<origin>/<number>`; QUERY is as for `search`. Whoever has the log's public
    key checks the bundle offline, without this program and without the store.
    """
    from kata_audit import verify_bundle
    from kata_audit.wiring import prove_records

    data = prove_records(store, _numbers(query, namespaces, store))
    try:
        verdict = verify_bundle.verify(data)
    except verify_bundle.BundleNotVerifiedError as error:
        raise VerificationError(
            f"The store's own bundle does not verify: {error}.", where=str(store), hint="Run `kata-audit verify`."
        ) from error
    _write(out, data)
    word = "record" if len(verdict.records) == 1 else "records"
    say(f"{len(verdict.records):,} {word} of {verdict.origin}, under a log of {verdict.size:,} entries")
    say(f"key: {verdict.vkey}")


def _numbers(query: str, namespaces: tuple[str, ...], store: Path) -> list[int]:
    """Find the numbers of the records that are asked for."""
    from kata_audit.predicate.language import parse_query
    from kata_audit.predicate.tree import Compare, Op
    from kata_audit.store.reader import Order
    from kata_audit.wiring import reading

    with reading(store) as reader:
        number = query.removeprefix(f"{reader.status().origin}/")
        is_name = number.isdecimal() and number.isascii() and len(number) <= 19
        where = Compare("seq", Op.EQ, int(number)) if is_name else parse_query(query)
        batches = reader.scan(scope_of(namespaces), where, ["seq"], order=Order("seq"), limit=_MOST_RECORDS + 1)
        found = [seq for rows in batches for seq in rows["seq"].to_pylist()]
    if not found:
        raise UsageError("No sealed record that you may see is meant.", hint="`search` shows what there is.")
    if len(found) > _MOST_RECORDS:
        raise UsageError(f"More than {_MOST_RECORDS} records are meant.", hint="Ask for fewer.")
    return found


def _write(out: Path, data: bytes) -> None:
    if str(out) == "-":
        sys.stdout.write(data.decode("ascii"))
        return
    try:
        descriptor = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
    except OSError as error:
        raise StoreError(f"The bundle cannot be written: {error.strerror}.", where=str(out)) from error
