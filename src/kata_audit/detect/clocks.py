"""Clocks of detection: when a record happened, and what time the stream has reached, which no guest can turn."""

from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from kata_audit.schema.record import RecordRows

_HOST_CLOCKS: Final = ("host", "journal")
"""Bases of times that the stream's clock goes by: a guest's own clock never turns it."""


def record_times(rows: RecordRows) -> Any:
    """Give when each record happened, never later than it came, in nanoseconds since the epoch; null is never."""
    return pc.min_element_wise(rows.column("timestamp").cast(pa.int64()), rows.column("observed_timestamp").cast(pa.int64()))


def host_times(rows: RecordRows, times: Any) -> Any:
    """Give the times that a host's clock stated; 0 for others."""
    basis = rows.column("timestamp_basis").cast(pa.string())
    stated = pc.fill_null(pc.is_in(basis, pa.array(_HOST_CLOCKS)), False)
    return pc.fill_null(pc.if_else(stated, times, None), 0)


def stream_clocks(rows: RecordRows, times: Any, before_ns: int) -> Any:
    """Give the stream's clock at each record: the latest time so far that a host record stated and that was not to come.

    Args:
        rows: The records.
        times: When each happened.
        before_ns: The clock before them.
    """
    return pc.cumulative_max(host_times(rows, times), start=before_ns)
