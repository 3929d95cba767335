"""A Loki in memory that speaks its push API and refuses in its own sentences, for what a real one is not made to do."""

import gzip
import threading
from collections.abc import Callable, Sequence

from kata_audit.exporters.loki import Loki
from kata_audit.exporters.loki_entry import entry_of
from kata_audit.exporters.records import Receipt
from kata_audit.schema.exported import Exported
from kata_audit.wire.loki import Entry, decode_push
from tests.loopback import Reply, Request

Fault = Callable[[int, list[Entry]], Reply | None]


class ToLoki(Loki):
    """Our exporter, for tests that hand over records whose documents are not entries yet."""

    def export(self, records: Sequence[Exported]) -> Receipt:
        """Make entries, as reading does, and hand over."""
        return super().export([one._replace(document=entry_of(one)) for one in records])


class LokiDouble:
    """Takes what it has not; `refuses` gives the sentence for an entry that it does not take, `fault` answers instead.

    As the real one, it takes what it can of a request that it refuses, and drops an entry that it has already.
    """

    def __init__(self) -> None:
        self.held: dict[tuple[object, ...], Entry] = {}
        self.again = 0
        self.asked = 0
        self.refuses: Callable[[Entry], str | None] = lambda _: None
        self.fault: Fault = lambda _number, _entries: None
        self._lock = threading.Lock()

    def reply(self, request: Request) -> Reply:
        """Answer a push."""
        packed = request.headers.get("Content-Encoding") == "gzip"
        entries = decode_push(gzip.decompress(request.body) if packed else request.body)
        with self._lock:
            self.asked += 1
            if (fault := self.fault(self.asked, entries)) is not None:
                return fault
            sentences = set()
            for one in entries:
                if (sentence := self.refuses(one)) is not None:
                    sentences.add(sentence)
                    continue
                key = (one.labels, one.time_ns, one.line, tuple(sorted(one.metadata.items())))
                self.again += key in self.held
                self.held[key] = one
        return Reply(400, body="; ".join(sorted(sentences)).encode()) if sentences else Reply(204)

    def names(self) -> list[str]:
        """List the records that it holds."""
        return [one.metadata["log_record_uid"] for one in self.held.values()]
