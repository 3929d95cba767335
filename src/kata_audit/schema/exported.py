"""A record as it leaves for another system."""

from collections.abc import Mapping
from typing import Any, NamedTuple


class Exported(NamedTuple):
    """One sealed record on its way out.

    Attributes:
        name: `<origin>/<seq>`, its name for ever: sent again, it has the same; `kata-audit prove --id` takes it.
        seq: Its number in the log.
        time_ns: When it happened, nanoseconds since the Unix epoch; when it was received, where it states no time.
        record: Its columns that are not null, by the schema's names: times in nanoseconds, `attributes` as a mapping.
        document: The same in the words of the destination's field set, as values of JSON.
    """

    name: str
    seq: int
    time_ns: int
    record: Mapping[str, Any]
    document: Mapping[str, Any]
