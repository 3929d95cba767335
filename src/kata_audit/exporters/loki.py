"""Loki: records as lines of few streams, pushed as JSON.

Loki drops an entry that it has already only while the first one lies in the block of its stream that is being written;
later it holds both, under one name. Of a request that it refuses it may have taken a part, and it seldom says which: only
an answer of 204 counts. Where an answer names a limit, the records that break it are known; else the request is sent in
halves, down to the record that is refused alone. While all goes well two requests go at the same time, each stream in one of
them, so that its entries keep their order.
"""

import gzip
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from kata_audit.clock import Clock
from kata_audit.errors import UsageError
from kata_audit.exporters.authorization import authorization
from kata_audit.exporters.export_settings import Export
from kata_audit.exporters.post import Answer, PostError, Session
from kata_audit.exporters.records import Receipt, Rejected
from kata_audit.schema.exported import Exported
from kata_audit.wire.loki import PUSH_PATH, TENANT_HEADER, Entry, Refusal, Why, decode_refusal, encode_push

_TAKEN: Final = 204
_BAD_REQUEST: Final = 400
_TOO_LARGE: Final = 413
_MANY: Final = 32
"""Requests after which what is done is told, so that somebody who waits for an end need not wait for all halves."""
_MANY_ENTRIES: Final = 250
"""Entries that are worth two requests at the same time, as long as Loki takes all."""
_LEVEL: Final = 1
"""How hard gzip tries: a sixth of the time of its default, for a tenth more bytes."""
_WHY: Final = {
    Why.TOO_OLD: "it is older than Loki takes, `reject_old_samples_max_age` there",
    Why.TOO_NEW: "its time lies in the future: the clock of its node is wrong",
    Why.TOO_FAR_BEHIND: "it is older than the newest of its stream by more than Loki takes, half of `max_chunk_age` there",
    Why.OUT_OF_ORDER: "it is older than the newest of its stream; set `unordered_writes` there",
    Why.LINE_TOO_LONG: "its line is longer than Loki takes, `max_line_size` there",
    Why.METADATA_TOO_LARGE: "its metadata are more bytes than Loki takes, `max_structured_metadata_size` there",
    Why.METADATA_TOO_MANY: "its metadata are more than Loki takes, `max_structured_metadata_entries_count` there",
}
_SETTING: Final = {
    Why.METADATA_OFF: "Loki takes no structured metadata; set `allow_structured_metadata` there, with schema v13",
    Why.LABELS_MISSING: "Loki asks for labels that are not ours; take this tenant out of `enforced_labels` there",
}
"""What is wrong with all records alike, and mended by a person: nothing is refused for it."""
_OTHER: Final = "Loki refused it with HTTP status 400"
_UNFIT: Final = "it is larger than a request may be there"
_CLOCK: Final = "Loki's clock is behind ours; set both by NTP"


class _Refused(NamedTuple):
    """What was refused: the numbers of entries and why, as far as known; and why it would be if it were sent alone."""

    known: Mapping[int, str]
    alone: str


class Loki:
    """Pushes records to one Loki; their documents are entries.

    Args:
        one: Its settings.
        clock: Tells a record whose time is to come from a Loki whose clock is behind.
    """

    def __init__(self, one: Export, clock: Clock) -> None:
        assert one.url is not None
        self._one, self._clock = one, clock
        self._url = one.url.rstrip("/") + PUSH_PATH
        self._session = Session(one)
        self._room = one.max_records
        self._is_calm = True

    def close(self) -> None:
        """Let the connection go."""
        self._session.close()

    def export(self, records: Sequence[Exported]) -> Receipt:
        """Hand records over; what is refused is found in halves."""
        try:
            headers = self._headers()
        except UsageError as error:
            return Receipt(0, problem=str(error))
        entries: list[Entry] = [one.document for one in records]
        if self._is_calm and len(entries) >= _MANY_ENTRIES:
            receipt = self._send_lanes(entries, headers)
            if receipt is not None:
                return receipt
        refused: dict[int, str] = {}
        parts, done, asked = [range(len(records))], 0, 0
        while parts and (asked < _MANY or not done):
            part = parts.pop()
            alive = [at for at in part if at not in refused]
            if len(alive) > self._room:
                parts += _halves(part)
                continue
            if alive:
                asked += 1
                answer = self._ask([entries[at] for at in alive], headers)
                verdict = self._judge(answer, [entries[at] for at in alive]) if isinstance(answer, Answer) else answer
                if isinstance(verdict, str):
                    wait = answer.retry_after_secs if isinstance(answer, Answer) else None
                    return Receipt(done, _rejected(refused, done), verdict, wait)
                if verdict is not None:
                    refused |= {alive[at]: why for at, why in verdict.known.items()}
                    if not verdict.known and len(alive) == 1:
                        refused[alive[0]] = verdict.alone
                    parts += [part] if verdict.known or len(alive) == 1 else _halves(part)
                    continue
            done = part.stop
        self._is_calm = done == len(records) and self._room == self._one.max_records
        return Receipt(done, _rejected(refused, done))

    def _send_lanes(self, entries: Sequence[Entry], headers: Mapping[str, str]) -> Receipt | None:
        """Send two requests at the same time, each stream in one of them; None where Loki refuses some of it for good.

        Where one fails, what the other brought is not done with either: it is sent again, and Loki drops most such entries.
        """
        answers = self._session.request_each("POST", self._url, [self._body(lane) for lane in _lanes(entries)], headers)
        self._is_calm = False
        for answer in answers:
            if not isinstance(answer, Answer):
                return Receipt(0, problem=str(answer))
            if answer.status not in (_TAKEN, _BAD_REQUEST, _TOO_LARGE):
                verdict = self._judge(answer, entries)
                assert isinstance(verdict, str)
                return Receipt(0, (), verdict, answer.retry_after_secs)
        self._is_calm = all(isinstance(answer, Answer) and answer.status == _TAKEN for answer in answers)
        return Receipt(len(entries)) if self._is_calm else None

    def _headers(self) -> dict[str, str]:
        """Give the headers of a request.

        Raises:
            UsageError: The secret cannot be had.
        """
        tenant = {} if self._one.into is None else {TENANT_HEADER: self._one.into}
        packed = {"Content-Encoding": "gzip"} if self._one.gzip else {}
        return {"Content-Type": "application/json", **packed, **tenant, **authorization(self._one)}

    def _ask(self, entries: Sequence[Entry], headers: Mapping[str, str]) -> Answer | str:
        try:
            return self._session.request("POST", self._url, self._body(entries), headers)
        except PostError as error:
            return str(error)

    def _body(self, entries: Sequence[Entry]) -> bytes:
        body = encode_push(entries)
        return gzip.compress(body, _LEVEL, mtime=0) if self._one.gzip else body

    def _judge(self, answer: Answer, entries: Sequence[Entry]) -> _Refused | str | None:
        """Say what an answer means: nothing where all was taken, which were refused, or what keeps all from being taken."""
        status = answer.status
        if status == _TAKEN:
            if len(entries) >= self._room:
                self._room = min(self._room * 2, self._one.max_records)
            return None
        if status == _TOO_LARGE:
            self._room = max(len(entries) // 2, 1)
            return _Refused({}, _UNFIT)
        if status == _BAD_REQUEST:
            return self._refusal(decode_refusal(answer.body), entries)
        if status == 429:
            self._room = max(len(entries) // 2, 1)  # one that is more than the burst is never taken whole
        return _problem(status, decode_refusal(answer.body).why)

    def _refusal(self, refusal: Refusal, entries: Sequence[Entry]) -> _Refused | str:
        for setting, problem in _SETTING.items():
            if setting in refusal.why:
                return problem
        known = {}
        for at, entry in enumerate(entries):
            if refusal.oldest_ns is not None and entry.time_ns < refusal.oldest_ns:
                known[at] = _WHY[Why.TOO_OLD]
            elif refusal.longest_line is not None and len(entry.line.encode()) > refusal.longest_line:
                known[at] = _WHY[Why.LINE_TOO_LONG]
        alone = next((text for why, text in _WHY.items() if why in refusal.why), _OTHER)
        if Why.TOO_NEW in refusal.why and len(entries) == 1 and entries[0].time_ns <= self._clock.now_ns():
            return _CLOCK
        return _Refused(known, alone)


def _lanes(entries: Sequence[Entry]) -> list[list[Entry]]:
    """Share entries between two requests, about evenly and each in its order; a stream is in one of them."""
    counts = Counter(one.labels for one in entries)
    lanes: tuple[list[Entry], list[Entry]] = ([], [])
    lane_of: dict[tuple[tuple[str, str], ...], int] = {}
    sizes = [0, 0]
    for labels, count in counts.most_common():
        lane = lane_of[labels] = sizes.index(min(sizes))
        sizes[lane] += count
    for one in entries:
        lanes[lane_of[one.labels]].append(one)
    return [lane for lane in lanes if lane]


def _halves(part: range) -> list[range]:
    """Cut in two, the first on top; what is refused already may lie anywhere in it."""
    middle = len(part) // 2
    return [part[middle:], part[:middle]]


def _rejected(refused: Mapping[int, str], done: int) -> tuple[Rejected, ...]:
    return tuple(Rejected(at, refused[at]) for at in sorted(refused) if at < done)


def _problem(status: int, why: frozenset[Why]) -> str:
    """Say what an answer means that takes nothing and refuses nothing, and what to do."""
    if Why.TOO_MANY_STREAMS in why:
        return "Loki has as many streams as it may; raise `max_global_streams_per_user` there"
    if status in (401, 403):
        return (
            f"Loki does not let us in (HTTP status {status}); check `secret_file` or `secret_env`, `user`, and `into`, "
            "which names the tenant where it has several"
        )
    if status == 404:
        return f"Loki's push API is not at `url`; name what stands before {PUSH_PATH}"
    if status == 429:
        return (
            "Loki takes no more for now (HTTP status 429); where it goes on, raise `ingestion_rate_mb` or "
            "`per_stream_rate_limit` there"
        )
    if status >= 500:
        return f"Loki failed (HTTP status {status}); its own log says why: a full disk there, or parts that are not ready"
    if 300 <= status < 400:
        return f"it answered with HTTP status {status}; redirects are not followed: name in `url` where it is"
    return f"it answered with HTTP status {status}, which takes nothing; is it Loki, and is ingestion blocked there?"
