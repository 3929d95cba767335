"""Splunk, by its HTTP Event Collector (HEC): one event for each record.

Where the token has indexer acknowledgement, a record counts as taken when an indexer says that it is on its disk; without
it, when the collector answers 200. Nothing of the protocol makes a second sending harmless, so that a record which is sent
again is there twice: the indexed field `kata_name` is equal, and `dedup kata_name` leaves one.
"""

import gzip
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Final

from kata_audit.errors import UsageError
from kata_audit.exporters.authorization import with_scheme
from kata_audit.exporters.export_settings import Export
from kata_audit.exporters.post import Answer, PostError, Session
from kata_audit.exporters.records import Receipt, Rejected
from kata_audit.schema.exported import Exported
from kata_audit.wire import hec

ACK_SECS: Final = 60.0
"""How long we ask whether records are indexed, before they are sent again."""
_REST_SECS: Final = (0.05, 2.0)
"""How long we wait between two questions: at first, and at most; each wait is twice the one before."""
_INDEXED: Final = {"kata_sandbox": "sandbox_id", "kata_pod": "k8s_pod", "kata_event": "event_name", "kata_origin": "origin"}
"""What is indexed beside the record's name, so that `tstats` can count by it: few words, or what every hunt begins with."""
_OF_ONE_EVENT: Final[Mapping[int, str]] = {
    hec.Code.INVALID_DATA_FORMAT: "Splunk does not take its form",
    hec.Code.EVENT_REQUIRED: "Splunk says that it holds no event",
    hec.Code.EVENT_BLANK: "Splunk says that its event is empty",
    hec.Code.INDEXED_FIELDS: "Splunk does not take its indexed fields",
}
_TOKEN: Final = "put the token of an HTTP Event Collector input into its secret"  # noqa: S105 - a sentence
_BY_CODE: Final[Mapping[int, str]] = {
    hec.Code.TOKEN_DISABLED: "its token is disabled there; enable it under HTTP Event Collector, or use another",
    hec.Code.TOKEN_REQUIRED: f"it wants a token; {_TOKEN}",
    hec.Code.INVALID_AUTHORIZATION: f"it does not take the token's form; {_TOKEN}",
    hec.Code.INVALID_TOKEN: f"it does not know the token; {_TOKEN}",
    hec.Code.INCORRECT_INDEX: "the token may not write into that index, or there is none; allow it there, or mend `into`",
    hec.Code.INTERNAL_ERROR: "it failed inside; look into its splunkd.log",
    hec.Code.BUSY: "it is busy; look at its indexing queues where this stays",
    hec.Code.CHANNEL_MISSING: "it wants a channel and got none; look for a proxy that drops X-Splunk-Request-Channel",
    hec.Code.INVALID_CHANNEL: "it does not take the channel; look for a proxy that alters X-Splunk-Request-Channel",
    hec.Code.ACK_DISABLED: "acknowledgement was switched off while it was asked for; the records are sent again",
}


class Splunk:
    """Sends records to one collector.

    Args:
        one: Its settings.
        ack_secs: How long we ask whether records are indexed.
    """

    def __init__(self, one: Export, *, ack_secs: float = ACK_SECS) -> None:
        assert one.url is not None
        self._one, self._url, self._ack_secs = one, one.url.rstrip("/"), ack_secs
        self._session = Session(one)
        self._channel = str(uuid.uuid4())
        self._is_plain = False

    def export(self, records: Sequence[Exported]) -> Receipt:
        """Hand all records over, in order."""
        try:
            return self._export(records)
        except (PostError, UsageError) as error:
            return Receipt(0, problem=str(error))

    def close(self) -> None:
        """Let the connection go."""
        self._session.close()

    def _export(self, records: Sequence[Exported]) -> Receipt:
        body = hec.encode_events(event_of(one, self._one.into) for one in records)
        answer = self._request(hec.EVENT_PATH, gzip.compress(body, 1) if self._one.gzip else body, is_zipped=self._one.gzip)
        reply = hec.decode_reply(answer.body)
        if answer.status == 413:
            return self._export_less(records)
        if reply is None or answer.status != 200 or reply.code != hec.Code.SUCCESS:
            return self._refused(records, answer, reply)
        if reply.ack_id is None:
            self._is_plain = True
            return Receipt(len(records))
        self._is_plain = False
        return self._confirmed(reply.ack_id, len(records))

    def _export_less(self, records: Sequence[Exported]) -> Receipt:
        """Send half of what is too large for it; a record that is too large alone is refused."""
        if len(records) == 1:
            return Receipt(1, [Rejected(0, "Splunk says that it is too large")])
        return self._export(records[: len(records) // 2])

    def _refused(self, records: Sequence[Exported], answer: Answer, reply: hec.Reply | None) -> Receipt:
        at = None if reply is None else reply.invalid_at
        reason = None if reply is None else _OF_ONE_EVENT.get(reply.code)
        if answer.status != 400 or at is None or reason is None or at >= len(records):
            return Receipt(0, problem=_problem(answer, reply), retry_after_secs=answer.retry_after_secs)
        if at and not self._is_plain:  # those before it were taken, and no number says how to ask for them
            return self._export(records[:at])
        return Receipt(at + 1, [Rejected(at, reason)])

    def _confirmed(self, ack_id: int, count: int) -> Receipt:
        """Ask until the records are indexed."""
        path = f"{hec.ACK_PATH}?channel={self._channel}"
        end, rest = time.monotonic() + self._ack_secs, _REST_SECS[0]
        while True:
            answer = self._request(path, hec.encode_ack_query([ack_id]), is_zipped=False)
            acks = hec.decode_acks(answer.body) if answer.status == 200 else None
            if acks is None:
                problem = _problem(answer, hec.decode_reply(answer.body))
                return Receipt(0, problem=problem, retry_after_secs=answer.retry_after_secs)
            if acks.get(ack_id):
                return Receipt(count)
            if time.monotonic() >= end:
                problem = f"it did not index the records within {self._ack_secs:g} seconds; look at its indexing queues"
                return Receipt(0, problem=problem)
            time.sleep(rest)
            rest = min(rest * 2, _REST_SECS[1])

    def _request(self, path: str, body: bytes, *, is_zipped: bool) -> Answer:
        headers = {"Content-Type": "application/json", hec.CHANNEL_HEADER: self._channel}
        headers |= {"Content-Encoding": "gzip"} if is_zipped else {}
        return self._session.request("POST", f"{self._url}{path}", body, headers | with_scheme("Splunk", self._one))


def event_of(one: Exported, index: str | None) -> hec.HecEvent:
    """Spell a record as an event: where it happened, what it was read from, and what form it has, from the record itself."""
    record = one.record
    indexed = {name: str(record[column]) for name, column in _INDEXED.items() if column in record}
    return hec.HecEvent(
        one.document,
        one.time_ns,
        str(record.get("node", "")).rpartition("/")[2] or None,
        record.get("receiver"),
        f"kata:{record.get('component', 'other')}",
        index,
        {"kata_name": one.name, **indexed},
    )


def _problem(answer: Answer, reply: hec.Reply | None) -> str:
    """Say what an answer means, and what to do about it."""
    if reply is not None and reply.code in _BY_CODE:
        return _BY_CODE[reply.code]
    if answer.status in (401, 403):
        return f"it does not take the token; {_TOKEN}"
    if answer.status == 404:
        return "nothing answers as HTTP Event Collector there; give `url` without a path, with the collector's port"
    if answer.status in (429, 503):
        return _BY_CODE[hec.Code.BUSY]
    if 300 <= answer.status < 400:
        return f"it answered with HTTP status {answer.status}; redirects are not followed, so give `url` as it is in the end"
    if answer.status == 200:
        return "what answered is no HTTP Event Collector; look what `url` leads to"
    return f"it answered with HTTP status {answer.status}; look into its splunkd.log"
