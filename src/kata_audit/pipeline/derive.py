"""From evidence to records ready to seal: parse, and group by stream.

The one place that says what "derived" means: ingest seals with it, and `verify --deep` derives again with it and compares.
"""

from collections.abc import Callable, Iterator
from typing import TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from kata_audit.errors import ReceiverError
from kata_audit.parse.catalog.matcher import Catalog
from kata_audit.parse.mask import Open, mask_onward
from kata_audit.parse.split import Held, finish, split
from kata_audit.parse.waves import DERIVE_VERSION, parse
from kata_audit.receivers.base import Receiver
from kata_audit.schema.record import EvidenceRows, RecordRows
from kata_audit.schema.source import Chunk
from kata_audit.store.writer import Batch

__all__ = ["DERIVE_VERSION", "Derive", "batches", "derive", "evidence_of", "records_of"]


Derive: TypeAlias = Callable[[EvidenceRows], RecordRows]
"""Evidence to records: `derive` with its catalogue."""


def derive(evidence: EvidenceRows, *, catalog: Catalog) -> RecordRows:
    """Derive records from evidence: pure, one row per row, in order (L2).

    Args:
        evidence: Rows of `EVIDENCE_SCHEMA`, masked.
        catalog: The known messages.

    Returns:
        Rows of `RECORD_SCHEMA`; `batch` and `index` are null.
    """
    return parse(evidence, catalog)


def batches(records: RecordRows) -> Iterator[Batch]:
    """Group the records of one cut by stream, in seq order within each.

    Args:
        records: Rows of `RECORD_SCHEMA` in seq order.

    Returns:
        One batch per (tenant, retention class) that occurs: slices of one sorted copy, the only one that is held.
    """
    streams = pa.table({"tenant": records.column("tenant"), "class": records.column("class").cast(pa.string())})
    sizes = streams.group_by(["tenant", "class"], use_threads=False).aggregate([([], "count_all")]).to_pylist()
    # Stable: the records of a stream stay in their order.
    records = records.take(pc.sort_indices(streams, sort_keys=[("tenant", "ascending"), ("class", "ascending")]))
    start = 0
    for stream in sorted(sizes, key=lambda one: (one["tenant"], one["class"])):
        yield Batch(stream["tenant"], stream["class"], records.slice(start, stream["count_all"]))
        start += stream["count_all"]


def evidence_of(receiver: Receiver, *, start: int, key: bytes | None) -> Iterator[EvidenceRows]:
    """Cut and mask everything that a receiver gives, a chunk at a time.

    Args:
        receiver: Whose stream to read.
        start: The byte of the stream to begin at; a record begins there.
        key: Key of the fingerprints in masks; None leaves them out.

    Returns:
        Rows of `EVIDENCE_SCHEMA` with null `seq`, masked, in order (L1). A private key or a line that is not over waits for
        its end; where the stream breaks off, what waits comes out before the error does.

    Raises:
        ReceiverError: The outside world failed.
    """
    held, waiting = Held(offset=start), Open()
    last: Chunk | None = None
    stopped: BaseException | None = None
    chunks = receiver.receive(start)
    while True:
        try:
            chunk = next(chunks, None)
        except (ReceiverError, KeyboardInterrupt) as error:
            stopped = error  # what came before it is good, and goes out
            break
        if chunk is None:
            break
        held, rows = split(held, chunk)
        last = chunk
        waiting, ready = mask_onward(waiting, rows, key, in_line=held.group is not None)
        if ready.num_rows:
            yield ready
    if last is not None:
        rest = finish(held if stopped is None else Held(), last)
        if (ready := mask_onward(waiting, rest, key, in_line=False, ended=True)[1]).num_rows:
            yield ready
    if stopped is not None:
        raise stopped


def records_of(receiver: Receiver, *, key: bytes | None, derive: Derive) -> Iterator[RecordRows]:
    """Read a receiver's stream to records without a store: stateless, `seq` is null."""
    return (derive(rows) for rows in evidence_of(receiver, start=0, key=key))
