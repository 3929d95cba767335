"""A collector as Splunk's documentation describes it, in memory: it checks tokens and channels, acknowledges, and misbehaves."""

import gzip
from collections.abc import Callable
from threading import Lock
from urllib.parse import parse_qs, urlsplit

from kata_audit.wire import hec
from tests.loopback import Reply, Request


class HecDouble:
    """Answers as a collector does. `events` is what an indexer has; what is not yet indexed is lost by `restart`.

    Args:
        acks: Whether its token has indexer acknowledgement.
        token: The token that it knows.
    """

    def __init__(self, *, acks: bool = True, token: str = "t0ken") -> None:
        self.acks, self.token = acks, token
        self.indexes: set[str | None] = {None, "kata"}
        self.events: list[hec.HecEvent] = []
        self.refuse: Callable[[hec.HecEvent], hec.Code | None] = lambda _: None
        self.fault: Callable[[Request], Reply | None] = lambda _: None
        self.polls_until_indexed = 1
        self._waiting: dict[tuple[str, int], list[hec.HecEvent]] = {}
        self._polls: dict[tuple[str, int], int] = {}
        self._next = 0
        self._lock = Lock()

    def restart(self) -> None:
        """Lose what was taken and is not indexed."""
        with self._lock:
            self._waiting.clear()
            self._polls.clear()

    def reply(self, request: Request) -> Reply:
        """Answer one request; several may come at once."""
        with self._lock:
            return self.fault(request) or self._checked(request)

    def _checked(self, request: Request) -> Reply:
        given = request.headers.get("Authorization")
        if given is None:
            return self._say(401, hec.Reply(hec.Code.TOKEN_REQUIRED))
        if given != f"Splunk {self.token}":
            return self._say(403, hec.Reply(hec.Code.INVALID_TOKEN))
        parts = urlsplit(request.path)
        channel = request.headers.get(hec.CHANNEL_HEADER) or parse_qs(parts.query).get("channel", [None])[0]
        if self.acks and channel is None:
            return self._say(400, hec.Reply(hec.Code.CHANNEL_MISSING))
        if parts.path == hec.ACK_PATH:
            return self._acknowledged(channel or "", request.body)
        assert parts.path == hec.EVENT_PATH
        zipped = request.headers.get("Content-Encoding") == "gzip"
        return self._taken(channel or "", gzip.decompress(request.body) if zipped else request.body)

    def _taken(self, channel: str, body: bytes) -> Reply:
        taken: list[hec.HecEvent] = []
        code: hec.Code | None = None
        for one in hec.decode_events(body):
            code = hec.Code.INCORRECT_INDEX if one.into not in self.indexes else self.refuse(one)
            if code is not None:
                break
            taken.append(one)
        if code is hec.Code.INCORRECT_INDEX:
            return self._say(400, hec.Reply(code, invalid_at=len(taken)))
        self._next += 1
        if self.acks:
            self._waiting[channel, self._next] = taken
        else:
            self.events += taken
        if code is not None:
            return self._say(400, hec.Reply(code, invalid_at=len(taken)))
        return self._say(200, hec.Reply(hec.Code.SUCCESS, ack_id=self._next if self.acks else None))

    def _acknowledged(self, channel: str, body: bytes) -> Reply:
        if not self.acks:
            return self._say(400, hec.Reply(hec.Code.ACK_DISABLED))
        said = {}
        for one in hec.decode_ack_query(body) or ():
            key = (channel, one)
            self._polls[key] = self._polls.get(key, 0) + 1
            said[one] = key in self._waiting and self._polls[key] >= self.polls_until_indexed
            if said[one]:  # an answer is given once, as the real one does
                self.events += self._waiting.pop(key)
        return Reply(200, body=hec.encode_acks(said))

    @staticmethod
    def _say(status: int, reply: hec.Reply) -> Reply:
        return Reply(status, body=hec.encode_reply(reply))
