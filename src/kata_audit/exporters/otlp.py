"""OpenTelemetry's protocol for logs over HTTP, in JSON: one log record for each record.

A receiver that refuses some records says how many, not which. Then half of them are sent again, until a request is taken
as a whole, or one record is refused alone: what it had taken is there twice, with an equal attribute `log.record.uid`.
A record is refused for good only where the receiver takes another: one that takes none is itself what is wrong.
"""

import gzip
from collections.abc import Sequence
from typing import Final

from kata_audit.errors import UsageError
from kata_audit.exporters.authorization import authorization
from kata_audit.exporters.export_settings import Export
from kata_audit.exporters.post import LIMIT_SECS, Answer, PostError, Session
from kata_audit.exporters.records import Receipt, Rejected
from kata_audit.schema.exported import Exported
from kata_audit.wire import otlp

_CONTENT: Final = frozenset({400, 413, 422})
"""What was sent is to blame: sent again as it is, it is refused again."""


class Otlp:
    """Sends records to one receiver.

    Args:
        one: Its settings.
        limit_secs: How long a request may take.
    """

    def __init__(self, one: Export, *, limit_secs: float = LIMIT_SECS) -> None:
        assert one.url is not None
        self._one, self._url = one, url_of(one.url)
        self._session = Session(one, limit_secs=limit_secs)
        self._takes = False

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
        """Send all; of what is refused the first half, and so on, until some are taken or one is refused alone."""
        together = records
        while isinstance(told := self._ask(together), str) and len(together) > 1:
            together = together[: len(together) // 2]
        return self._alone(records, told) if isinstance(told, str) else told

    def _ask(self, records: Sequence[Exported]) -> Receipt | str:
        """Send one request; a text says that what it holds is refused for good, or some of it."""
        body = otlp.encode_logs(otlp.groups_of((one.record, one.document) for one in records))
        headers = {"Content-Type": "application/json", **({"Content-Encoding": "gzip"} if self._one.gzip else {})}
        sent = gzip.compress(body, 1) if self._one.gzip else body
        answer = self._session.request("POST", self._url, sent, headers | authorization(self._one))
        if answer.status in _CONTENT:
            return f"HTTP status {answer.status}"
        rejected = otlp.decode_reply(answer.body) if 200 <= answer.status < 300 else None
        if rejected is None:
            return Receipt(0, problem=_problem(answer), retry_after_secs=answer.retry_after_secs)
        if rejected:
            return "the request was taken, and the record rejected"
        self._takes = True
        return Receipt(len(records))

    def _alone(self, records: Sequence[Exported], why: str) -> Receipt:
        """Say whether the first record is to blame, or the receiver: then it takes none of those behind it either."""
        refused = [Rejected(0, f"the receiver refuses it ({why}); its own log says more")]
        at = 1
        while at < len(records):
            told = self._ask(records[at : at + 1])
            if isinstance(told, Receipt):
                return Receipt(1 + (at == 1), refused) if told.taken else told
            at *= 2
        if len(records) == 1 and self._takes:
            self._takes = False  # where it has just taken others, a record alone is to blame; the next one is not
            return Receipt(1, refused)
        return Receipt(
            0,
            problem=f"it refuses each record alone ({why}); its log says why, unless `url` leads elsewhere than to its logs",
        )


def url_of(url: str) -> str:
    """Give where requests go: `/v1/logs`, unless the URL names a path."""
    scheme, _, rest = url.partition("://")
    return url if rest.partition("/")[2] else f"{scheme}://{rest.rstrip('/')}{otlp.PATH}"


def _problem(answer: Answer) -> str:
    """Say what an answer means, and what to do about it."""
    if answer.status in (401, 403):
        return "it does not take the secret; put its token there, or its password with `user`"
    if answer.status in (404, 405):
        return "nothing takes logs there; give `url` the path of its OTLP/HTTP receiver, where that is not /v1/logs"
    if answer.status == 415:
        return "it does not take JSON; enable OTLP over HTTP with JSON there"
    if answer.status in (429, 502, 503, 504):
        return f"it is busy or not ready, HTTP status {answer.status}; look at its queues where this stays"
    if 300 <= answer.status < 400:
        return f"it answered with HTTP status {answer.status}; redirects are not followed, so give `url` as it is in the end"
    if 200 <= answer.status < 300:
        return "what answered is no OTLP receiver; look what `url` leads to"
    return f"it answered with HTTP status {answer.status}; look into its log"
