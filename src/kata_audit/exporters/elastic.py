"""Elasticsearch and OpenSearch: records as documents of a data stream, by the bulk API.

A document's id is the record's name, so that one that is sent again is there once. The first request of a process puts the
index template; where the server knows no data streams, the documents go into a plain index of the same name. Documents have
no order there but that of their times and numbers, so that some requests go at the same time.
"""

import gzip
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple
from urllib.parse import quote

import orjson

from kata_audit.errors import UsageError
from kata_audit.exporters.authorization import authorization, with_scheme
from kata_audit.exporters.elastic_template import ATTRIBUTES, template
from kata_audit.exporters.export_settings import Export, ExportKind
from kata_audit.exporters.post import Answer, PostError, Session
from kata_audit.exporters.records import Receipt, Rejected
from kata_audit.schema.exported import Exported
from kata_audit.schema.own import spell_time
from kata_audit.wire.bulk import BULK_PATH, FILTER, Item, decode_answer, decode_error, encode_bulk

DEFAULT_INDEX: Final = "logs-kata-default"
_TIME: Final = "@timestamp"
"""What a document of a data stream must have."""
_LEVEL: Final = 1
"""How hard gzip tries."""
_LIMIT_SECS: Final = 60.0
_LANES: Final = 4
"""Requests at the same time: the server works on each in a thread of its own."""
_LEAST: Final = 250
"""Documents that are not worth a second request."""
_TOO_LARGE: Final = 413
_SHARD_LIMIT: Final = "timeout=30s"
"""A bulk request waits for every shard that it writes to: so long, by its own clock, that it can still say so."""
_MAX_ANSWER_BYTES: Final = 16 << 20
_LONGEST_VALUE: Final = 8_000
"""Characters of an attribute in OpenSearch, whose terms hold 32,766 bytes, the attribute's name among them."""
_ATTRIBUTES: Final = tuple(path for name in ATTRIBUTES for path in (name.split("."), [name]))
"""Where attributes stand: in an object, or under a name with a dot."""
_THERE: Final = 409
"""A document of that id is there already: the record was sent before."""
_CONTENT: Final = frozenset({"mapper_parsing_exception", "document_parsing_exception", "strict_dynamic_mapping_exception"})
"""What is wrong with one document alone, and with no other."""
FLAT: Final = {ExportKind.ELASTICSEARCH: "flattened", ExportKind.OPENSEARCH: "flat_object"}
"""The field type that takes any keys without making fields."""
_WORDS: Final = {
    "cluster_block_exception": (
        "writing is blocked there: most often its disk is full (flood stage), or the index is read-only or closed; "
        "make room, then take `index.blocks` away"
    ),
    "i_o_exception": "it cannot write: most often its disk is full; make room there",
    "unavailable_shards_exception": (
        "the index is not ready there: it is starting, or its disk is full; look at `_cluster/health`, and make room"
    ),
    "shard_not_found_exception": (
        "a shard of the index is not there: it is starting, or its disk is full; look at `_cluster/health`, and make room"
    ),
    "master_not_discovered_exception": (
        "its nodes have no master: they are starting, or a disk is full; look at `_cluster/health`, and make room"
    ),
    "es_rejected_execution_exception": "it is busy and its queue is full; it is given time",
    "rejected_execution_exception": "it is busy and its queue is full; it is given time",
    "circuit_breaking_exception": "it has no memory for this request; lower `max_bytes`, or give it more memory",
    "security_exception": (
        "this user or key may not do it; allow it `create_doc` and `auto_configure` there, and `manage_index_templates`"
    ),
    "index_not_found_exception": "the index is not there and may not be made; make it, or allow `auto_create_index`",
    "illegal_argument_exception": "it takes no document into `into`; is that an alias without a write index?",
}


class _Way(NamedTuple):
    """A way to keep records there: the field type of their attributes, and whether there is a data stream."""

    attributes: str | None
    is_stream: bool


class Elastic:
    """Sends records to one Elasticsearch or OpenSearch.

    Args:
        one: Its settings.
    """

    def __init__(self, one: Export) -> None:
        assert one.url is not None
        self._one, self._url, self._index = one, one.url.rstrip("/"), one.into or DEFAULT_INDEX
        self._session = Session(one, limit_secs=_LIMIT_SECS, max_answer_bytes=_MAX_ANSWER_BYTES)
        self._is_ready = False
        self._room = one.max_records

    def close(self) -> None:
        """Let the connection go."""
        self._session.close()

    def export(self, records: Sequence[Exported]) -> Receipt:
        """Hand records over; a smaller request is made of what is too large for one."""
        try:
            headers = self._headers()
            problem = None if self._is_ready else self._prepare(headers)
            if problem is not None:
                return Receipt(0, problem=problem)
            return self._send(records, headers)
        except UsageError as error:
            return Receipt(0, problem=str(error))
        except PostError as error:
            return Receipt(0, problem=str(error))

    def _headers(self) -> dict[str, str]:
        """Give who we are: a user with a password, or an API key.

        Raises:
            UsageError: The secret cannot be had.
        """
        return authorization(self._one) if self._one.user is not None else with_scheme("ApiKey", self._one)

    def _prepare(self, headers: Mapping[str, str]) -> str | None:
        """Put the template, in the best way that the server takes; give what keeps it from being put."""
        flat = FLAT[self._one.kind]
        url = f"{self._url}/_index_template/kata-audit-{quote(self._index, safe='')}"
        for way in (_Way(flat, True), _Way(None, True), _Way(flat, False), _Way(None, False)):
            body = orjson.dumps(template(self._index, attributes=way.attributes, is_stream=way.is_stream))
            answer = self._session.request("PUT", url, body, {"Content-Type": "application/json", **headers})
            if 200 <= answer.status < 300:
                self._is_ready = True
                return None
            if answer.status != 400:
                return _problem(answer)
        return "it takes no index template of ours; is it Elasticsearch 7.8, OpenSearch 1 or newer?"

    def _send(self, records: Sequence[Exported], headers: Mapping[str, str]) -> Receipt:
        """Send some requests at the same time, each no larger than one may be there, which is known when one was refused.

        What a later request holds may be there although an earlier one failed: sent again, it is there once.
        """
        while True:
            size = min(self._room, len(records), max(-(-len(records) // _LANES), _LEAST))
            parts = [records[at : at + size] for at in range(0, min(len(records), size * _LANES), size)]
            answers = self._ask(parts, headers)
            if size == 1 or not any(isinstance(one, Answer) and one.status == _TOO_LARGE for one in answers):
                break
            self._room = size // 2
        done, rejected = 0, list[Rejected]()
        for part, answer in zip(parts, answers, strict=True):
            receipt = _judged(len(part), answer)
            rejected += (Rejected(done + one.at, one.reason) for one in receipt.rejected)
            done += receipt.taken
            if receipt.taken < len(part):
                return receipt._replace(taken=done, rejected=tuple(rejected))
        self._room = min(self._room * 2, self._one.max_records)
        return Receipt(done, tuple(rejected))

    def _fitting(self, document: Mapping[str, Any]) -> Mapping[str, Any]:
        """Cut attributes that OpenSearch would refuse the whole record for: who writes a long one could hide in it."""
        if self._one.kind is not ExportKind.OPENSEARCH:
            return document
        for path in _ATTRIBUTES:
            document = _cut(document, path)
        return document

    def _ask(self, parts: Sequence[Sequence[Exported]], headers: Mapping[str, str]) -> list[Answer | PostError]:
        packed = {"Content-Encoding": "gzip"} if self._one.gzip else {}
        return self._session.request_each(
            "POST",
            f"{self._url}{BULK_PATH}?{FILTER}&{_SHARD_LIMIT}",
            [self._body(part) for part in parts],
            {"Content-Type": "application/x-ndjson", **packed, **headers},
        )

    def _body(self, records: Sequence[Exported]) -> bytes:
        body = encode_bulk(self._index, ((one.name, self._fitting(_timed(one))) for one in records))
        return gzip.compress(body, _LEVEL, mtime=0) if self._one.gzip else body


def _cut(document: Mapping[str, Any], path: Sequence[str]) -> Mapping[str, Any]:
    """Cut the texts below a path where one is too long; else give the document itself."""
    inner = document.get(path[0])
    if not isinstance(inner, Mapping):
        return document
    if len(path) > 1:
        changed = _cut(inner, path[1:])
        return document if changed is inner else {**document, path[0]: changed}
    if all(len(value) <= _LONGEST_VALUE for value in inner.values()):
        return document
    cut = {name: value if len(value) <= _LONGEST_VALUE else f"{value[:_LONGEST_VALUE]}…" for name, value in inner.items()}
    return {**document, path[0]: cut}


def _timed(one: Exported) -> Mapping[str, Any]:
    """Give a record the time that a data stream asks for, where its field set has another word for it."""
    return one.document if _TIME in one.document else {_TIME: spell_time(one.time_ns), **one.document}


def _judged(count: int, answer: Answer | PostError) -> Receipt:
    """Say what came of a request of so many documents."""
    if isinstance(answer, PostError):
        return Receipt(0, problem=str(answer))
    if answer.status == _TOO_LARGE:
        return Receipt(1, [Rejected(0, "it is larger than a request may be there, `http.max_content_length`")])
    if not 200 <= answer.status < 300:
        return Receipt(0, problem=_problem(answer), retry_after_secs=answer.retry_after_secs)
    items = decode_answer(answer.body, count)
    if items is None:
        return Receipt(0, problem="its answer is none of the bulk API; is `url` that of Elasticsearch or OpenSearch?")
    return _receipt(items)


def _receipt(items: Sequence[Item]) -> Receipt:
    """Turn what became of each document into what is done with: all before the first that may be taken later."""
    rejected: list[Rejected] = []
    for at, item in enumerate(items):
        if 200 <= item.status < 300 or item.status == _THERE:
            continue
        if item.status == 400 and item.error in _CONTENT:
            rejected.append(Rejected(at, f"its fields do not fit the index ({item.error})"))
            continue
        return Receipt(at, rejected, _meaning(item.status, item.error))
    return Receipt(len(items), rejected)


def _problem(answer: Answer) -> str:
    if answer.status == 401:
        return "it does not let us in (HTTP status 401); check `user` and the secret"
    if 300 <= answer.status < 400:
        return f"it answered with HTTP status {answer.status}; redirects are not followed: name in `url` where it is"
    return _meaning(answer.status, decode_error(answer.body))


def _meaning(status: int, error: str | None) -> str:
    word = f", {error}" if error else ""
    told = _WORDS.get(error or "", "it is given time" if status in (429, 502, 503, 504) else "its own log says why")
    return f"{told} (status {status}{word})"
