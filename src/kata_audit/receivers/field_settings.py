"""Which fields of other shippers' records carry what, as the configuration says it of a receiver or a topic."""

from collections.abc import Iterator
from dataclasses import dataclass

from kata_audit.receivers.shipped import Fields
from kata_audit.schema.source import Transport


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldSettings:
    """What is said of records, however they come."""

    tenant: str | None = None
    """Whose records they are; left out, the tenant of the whole configuration."""
    transport: Transport | None = None
    """How the lines of all records once came; left out, a field says it, or they are bare and of unknown origin."""
    text_field: str = ""
    """Field that holds the line; left out, the whole record is the line. Dots lead into maps."""
    message_field: str = ""
    """Field that holds the message of an entry of the journal whose other fields are the record's own."""
    transport_field: str = ""
    """Field that holds the line's transport, by the names that `transport` takes, or `journal`."""
    identifier_field: str = ""
    """Field that holds the program's syslog identifier, for entries of the journal whose own field was lost."""
    path_field: str = ""
    """Field that holds the path of the file that the line was read from."""
    cursor_field: str = ""
    """Field that holds what the source calls the record; by it a listener knows what it was sent twice."""
    node_field: str = ""
    """Field that holds the name of the node; left out, they are of the collector's node."""
    time_field: str = ""
    """Field that holds the record's time, in seconds since 1970 or as RFC 3339; of Forward and OTLP it is not asked."""

    evidence_of: tuple[str, ...] = ()
    """Nodes whose records, exported with `evidence`, are taken as what they were there, such as `lab/*`: whoever may send
    here is believed to be any of them. Left out, nobody is."""

    @property
    def fields(self) -> Fields:
        """Which fields of a record carry what."""
        return Fields(*(getattr(self, f"{name}_field") for name in Fields._fields))


def mistakes_of_fields(one: FieldSettings) -> Iterator[tuple[str, str]]:
    """Say what cannot be said of records: the key, and why."""
    if one.transport is not None and one.transport_field:
        yield "transport_field", "`transport` says it of all records already; name one of the two"
    if one.transport is Transport.JOURNAL_EXPORT:
        yield "transport", "entries of the journal come as records here; say `journal-json`"
    is_entry = one.transport is Transport.JOURNAL_JSON or (one.transport is None and bool(one.transport_field))
    for key, name in (("identifier_field", one.identifier_field), ("message_field", one.message_field)):
        if name and not is_entry:
            yield key, f"`{key}` is for entries of the journal: transport `journal-json`"
