"""A record as it leaves for another system."""

from collections.abc import Mapping
from typing import Any, NamedTuple


class Exported(NamedTuple):
    """One sealed record on its way out.

    Attributes:
        name: `<origin>/<seq>`, its name for ever: sent again, it has the same; `kata-audit prove` takes it.
        seq: Its number in the log.
        time_ns: When it happened, nanoseconds since the Unix epoch; when it was received, where it states no time.
        record: Its columns that are not null, by the schema's names: times in nanoseconds, `attributes` as a mapping.
        document: The same as the destination takes it: in the words of its field set, a mapping of values of JSON; for a
            destination whose exporter asks for another form, in that.
    """

    name: str
    seq: int
    time_ns: int
    record: Mapping[str, Any]
    document: Any
