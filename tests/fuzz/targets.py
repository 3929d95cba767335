"""What is fuzzed: one function a parser, from arbitrary bytes to silence or a broken promise.

A parser of strangers' bytes either answers or refuses with its own error; it never crashes, and it never loses or invents
a byte. The functions here say what that means for each of them; `run.py` feeds them, and a test replays what it kept.
"""

import re
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress

import msgpack
import pyarrow as pa
import pyarrow.compute as pc
from tests.evidence import derive
from tests.unit.tlog import bundles

from kata_audit import verify_bundle
from kata_audit.detect.rule import Absence, Correlation
from kata_audit.detect.sigma.reader import examine_rules
from kata_audit.errors import CheckpointError, KataAuditError, QueryError
from kata_audit.parse.mask import mask
from kata_audit.parse.split import Held, finish, split
from kata_audit.predicate.language import parse_query
from kata_audit.predicate.rows import evaluate
from kata_audit.predicate.sql import print_sql
from kata_audit.receivers.forward import records_of
from kata_audit.receivers.http import RefusedError
from kata_audit.receivers.http_records import decode_body
from kata_audit.receivers.otlp_records import decode_otlp
from kata_audit.receivers.shipped import Declared, Fields, Shipped, spell
from kata_audit.receivers.syslog import message_of
from kata_audit.schema.cursor import parse_cursor
from kata_audit.schema.record import EVIDENCE_SCHEMA, RECORD_SCHEMA
from kata_audit.schema.source import Chunk, Source, Transport
from kata_audit.tlog.checkpoint import format_checkpoint, parse_checkpoint
from kata_audit.tlog.entry import decode_entry, encode_entry
from kata_audit.tlog.note import generate_signer, open_note, parse_signer, parse_verifier, sign_note
from kata_audit.tlog.tiles import split_bundle
from kata_audit.wire.forward import ForwardError
from kata_audit.wire.forward import decode_message as decode_forward
from kata_audit.wire.syslog import BOM, FrameDecoder, Grammar, decode_message, encode_message

_OBSERVED_NS = 1_795_500_000_000_000_000
_STREAM = "fuzz?1-2-aa"
_KEY = bytes(range(32))
_MARKER = re.compile(rb"\*masked:[a-z0-9-]+(?::[0-9a-f]{16})?\*")
_FIELD = re.compile(rb"[A-Z0-9_]{1,64}(?P<text>=[^\n]*)?\n")
SIGNER = generate_signer("example.org/log", _KEY)
TEXT = "example.org/log\n7\nq6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s=\n"
_PROVEN = {record["seq"]: record for batch in bundles.seal().records for record in batch}
NOTE = sign_note(TEXT, [SIGNER])
"""The one note that may open."""


def evidence_of(data: bytes, transport: Transport, cuts: list[int]) -> pa.RecordBatch:
    """Split bytes that come in chunks, and check that the frames tile them.

    Args:
        data: The stream.
        transport: Its envelope.
        cuts: Ascending places where one chunk ends and the next begins.
    """
    source = Source("file", "fuzz/node", "default", transport)
    held = Held()
    found = []
    chunk = Chunk(source, _STREAM, 0, b"", _OBSERVED_NS)
    for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
        chunk = Chunk(source, _STREAM, start, data[start:end], _OBSERVED_NS)
        held, rows = split(held, chunk)
        found.append(rows)
    found.append(finish(held, chunk))
    table = pa.Table.from_batches(found, EVIDENCE_SCHEMA).combine_chunks()
    rows = table.to_batches()[0] if table.num_rows else found[0]
    check_tiling(rows, data)
    return rows


def check_tiling(rows: pa.RecordBatch, data: bytes) -> None:
    """Law L1: the frames, in order, are the bytes; the cursors say where each stands."""
    raws = rows.column("raw").to_pylist()
    assert b"".join(raws) == data
    offset = 0
    for raw, text in zip(raws, rows.column("cursor").to_pylist(), strict=True):
        cursor = parse_cursor(text)
        assert raw
        assert cursor is not None
        assert (cursor.offset, cursor.length) == (offset, len(raw))
        offset = cursor.end


def _cut(data: bytes) -> tuple[bytes, list[int]]:
    """Take the places of chunks from the first bytes: their number, then each one's distance."""
    if not data:
        return b"", []
    count = data[0] % 8
    distances, rest = data[1 : 1 + count], data[1 + count :]
    cuts = [sum(distances[: index + 1]) for index in range(len(distances))]
    return rest, [place for place in cuts if place <= len(rest)]


def _splitter(transport: Transport) -> Callable[[bytes], None]:
    def fuzz(data: bytes) -> None:
        """Any chunking gives the same frames, and they tile the bytes."""
        stream, cuts = _cut(data)
        assert evidence_of(stream, transport, cuts).equals(evidence_of(stream, transport, []))

    return fuzz


def _transport_and_stream(data: bytes) -> tuple[Transport, bytes]:
    transports = list(Transport)
    return transports[data[0] % len(transports)] if data else Transport.BARE, data[1:]


def fuzz_mask(data: bytes) -> None:
    """Law L2 for masks: rows, order and every other column stay, and so does all text between the marks."""
    transport, stream = _transport_and_stream(data)
    rows = evidence_of(stream, transport, [])
    masked, _ = mask(rows, _KEY)
    assert masked.schema == rows.schema
    assert masked.num_rows == rows.num_rows
    for name in rows.schema.names:
        assert name == "raw" or masked.column(name).equals(rows.column(name))
    for raw, raw_masked in zip(rows.column("raw").to_pylist(), masked.column("raw").to_pylist(), strict=True):
        pieces = export_pieces(raw) if transport is Transport.JOURNAL_EXPORT else [raw]
        for before, after in zip(pieces, export_pieces(raw_masked, len(pieces)), strict=True):
            check_text_between_marks(before, after)


def export_pieces(block: bytes, most: int = sys.maxsize) -> list[bytes]:
    """Take a block of the export format apart: a binary field's name and value stand alone, without its length.

    Masks change that length with the value. What is no field, or is behind `most` pieces, is the last piece.
    """
    pieces: list[bytes] = []
    while len(pieces) + 1 < most and (line := _FIELD.match(block)):
        rest = block[line.end() :]
        if line["text"]:
            pieces.append(line[0])
            block = rest
            continue
        end = 8 + int.from_bytes(rest[:8], "little")
        if rest[end : end + 1] != b"\n":
            break
        pieces += [line[0], rest[8:end]]
        block = rest[end + 1 :]
    return [*pieces, block]


def check_text_between_marks(before: bytes, after: bytes) -> None:
    """What is no mark stood there before, in the same order, from the beginning to the end."""
    parts = _MARKER.split(after)
    assert before.startswith(parts[0])
    assert before.endswith(parts[-1])
    place = 0
    for part in parts:
        found = before.find(part, place)
        assert found >= 0
        place = found + len(part)


def fuzz_derive(data: bytes) -> None:
    """Law L2 for parsing: one record a row, evidence untouched, the same twice."""
    transport, stream = _transport_and_stream(data)
    rows = evidence_of(stream, transport, [])
    records = derive(rows)
    assert records.schema == RECORD_SCHEMA
    assert records.num_rows == rows.num_rows
    records.validate(full=True)
    for name in EVIDENCE_SCHEMA.names:
        assert records.column(name).equals(rows.column(name))
    assert derive(rows).equals(records)
    _check_origin(records, transport)


def _check_origin(records: pa.RecordBatch, transport: Transport) -> None:
    """Law L7: what comes from a guest's transport is the guest's, whatever it says."""
    if transport in (Transport.CONSOLE, Transport.CRI) and records.num_rows:
        assert pc.unique(records.column("origin").cast(pa.string())).to_pylist() == ["guest"]


_NO_ROWS = pa.RecordBatch.from_pylist([], schema=RECORD_SCHEMA)


def fuzz_query(data: bytes) -> None:
    """A query is a condition that both engines take, or a mistake that is told."""
    try:
        where = parse_query(data.decode("utf-8", "replace"))
    except QueryError:
        return
    assert len(evaluate(where, _NO_ROWS)) == 0
    print_sql(where)


def fuzz_rules(data: bytes) -> None:
    """A rule file is rules that can be asked of records, or mistakes that have their lines."""
    rules, problems = examine_rules([("rules.yml", data)])
    assert all(re.fullmatch(r"rules\.yml:\d+", problem.where) for problem in problems)
    for rule in rules:
        if not isinstance(rule.when, Correlation | Absence):
            assert len(evaluate(rule.when, _NO_ROWS)) == 0
            print_sql(rule.when)


def fuzz_note(data: bytes) -> None:
    """Only the one text that was signed opens, whatever stands around its signature."""
    try:
        text = open_note(data, [SIGNER.verifier])
    except CheckpointError:
        return
    assert text == TEXT


def fuzz_keys(data: bytes) -> None:
    """A key's text is read or refused; one that is read is spelled the same way again."""
    text = data.decode("utf-8", "replace")
    with suppress(ValueError):
        assert parse_verifier(text).vkey == text
    with suppress(ValueError):
        assert parse_signer(text).spell() == text


def fuzz_checkpoint(data: bytes) -> None:
    """A checkpoint's text is read or refused; what is read is written as the same text."""
    text = data.decode("utf-8", "replace")
    try:
        checkpoint = parse_checkpoint(text)
    except CheckpointError:
        return
    assert parse_checkpoint(format_checkpoint(checkpoint)) == checkpoint
    assert text.startswith(format_checkpoint(checkpoint))


def fuzz_entry(data: bytes) -> None:
    """A log entry is read or refused; only the canonical spelling is read."""
    try:
        entry = decode_entry(data)
    except KataAuditError:
        return
    assert encode_entry(entry) == data


def fuzz_tile(data: bytes) -> None:
    """An entry bundle is cut into its entries or refused."""
    try:
        entries = split_bundle(data)
    except KataAuditError:
        return
    assert b"".join(len(one).to_bytes(2, "big") + one for one in entries) == data


def fuzz_bundle(data: bytes) -> None:
    """Under the log's key only records that the log holds are shown, whatever else stands in the file."""
    try:
        verdict = verify_bundle.verify(data, bundles.SIGNER.vkey)
    except verify_bundle.BundleNotVerifiedError:
        return
    assert verdict.records
    for shown in verdict.records:
        assert shown._asdict() == _PROVEN[shown.seq]


def fuzz_syslog(data: bytes) -> None:
    """Any chunking gives the same messages; each is read, keeps its bytes, and what was read is spelled and read again."""
    stream, cuts = _cut(data)
    frames, whole = [], FrameDecoder(max_bytes=64)
    decoder = FrameDecoder(max_bytes=64)
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        frames += decoder.feed(stream[start:end])
    assert frames + decoder.finish() == whole.feed(stream) + whole.finish()
    for frame in frames:
        message = decode_message(frame.data)
        assert message.raw == frame.data
        assert frame.data.rstrip(b"\r\n").endswith(message.text)
        again = decode_message(encode_message(message))
        assert again.hostname == message.hostname or message.grammar is not Grammar.RFC5424
        assert again.text == message.text.removeprefix(BOM)


def _received(data: bytes, kind: int) -> Sequence[Shipped]:
    """Read a body of one of the protocols that receivers speak; none where it is refused."""
    with suppress(RefusedError, ForwardError, ValueError, TypeError, msgpack.UnpackException):
        match kind:
            case 0:
                return decode_body(None, data, "").records
            case 1:
                return decode_otlp(data, "application/json").records
            case 2:
                return decode_otlp(data, "application/x-protobuf").records
            case 3:
                return [message_of(data)]
            case _:
                unpacked = msgpack.unpackb(data, strict_map_key=False, unicode_errors="surrogateescape")
                return records_of(decode_forward(unpacked))
    return ()


def fuzz_shipped(data: bytes) -> None:
    """What other shippers send is refused or becomes lines: one for each record, whatever its fields say."""
    choice, body = data[:2].ljust(2, b"\0"), data[2:]
    transport = [None, *(one for one in Transport if one is not Transport.JOURNAL_EXPORT)][choice[0] // 5 % len(Transport)]
    fields = (
        Fields(text="log", message="MESSAGE", path="a.b", node="node") if choice[1] % 2 else Fields(transport="transport")
    )
    for record in _received(body, choice[0] % 5):
        line = spell(record, fields, Declared("lab", "lab/here", transport))
        assert line.data.endswith(b"\n")
        assert line.data.count(b"\n") == 1
        assert re.fullmatch(r"lab/[A-Za-z0-9._-]{1,252}", line.node)
        assert transport in (None, line.transport)


TARGETS: dict[str, Callable[[bytes], None]] = {
    **{f"split-{transport}": _splitter(transport) for transport in Transport},
    "mask": fuzz_mask,
    "derive": fuzz_derive,
    "query": fuzz_query,
    "rules": fuzz_rules,
    "note": fuzz_note,
    "keys": fuzz_keys,
    "checkpoint": fuzz_checkpoint,
    "entry": fuzz_entry,
    "tile": fuzz_tile,
    "bundle": fuzz_bundle,
    "syslog": fuzz_syslog,
    "shipped": fuzz_shipped,
}
"""Every target by name."""
