"""What Elasticsearch and OpenSearch answer to bulk requests, written from their references: each document is created once."""

import gzip
import json
from collections.abc import Callable
from typing import Any

from tests.loopback import Reply, Request

Verdict = Callable[[str, dict[str, Any]], tuple[int, str | None]]


def created(_: str, __: dict[str, Any]) -> tuple[int, str | None]:
    """Take every document."""
    return 201, None


class Bulk:
    """A server's memory: documents by id, templates, and how it decides."""

    def __init__(self, verdict: Verdict = created, *, most_bytes: int = 1 << 30) -> None:
        self.verdict, self.most_bytes = verdict, most_bytes
        self.documents: dict[str, dict[str, Any]] = {}
        self.templates: list[dict[str, Any]] = []
        self.takes_template: Callable[[dict[str, Any]], bool] = lambda _: True
        self.status: int | None = None
        self.requests = 0

    def reply(self, request: Request) -> Reply:
        """Answer one request."""
        if self.status is not None:
            return Reply(
                self.status, {}, json.dumps({"error": {"type": "security_exception"}, "status": self.status}).encode()
            )
        body = gzip.decompress(request.body) if request.headers.get("Content-Encoding") == "gzip" else request.body
        if request.path.startswith("/_index_template/"):
            asked = json.loads(body)
            if not self.takes_template(asked):
                return Reply(400, {}, b'{"error":{"type":"mapper_parsing_exception"}}')
            self.templates.append(asked)
            return Reply(200, {}, b'{"acknowledged":true}')
        assert request.path.startswith("/_bulk?")
        self.requests += 1
        if len(body) > self.most_bytes:
            return Reply(413)
        lines = [json.loads(line) for line in body.splitlines()]
        items = [self._item(act["create"], document) for act, document in zip(lines[::2], lines[1::2], strict=True)]
        return Reply(200, {}, json.dumps({"errors": True, "items": items}).encode())

    def _item(self, act: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
        name = act["_id"]
        status, error = (
            (409, "version_conflict_engine_exception") if name in self.documents else self.verdict(name, document)
        )
        if status == 201:
            self.documents[name] = document
        return {"create": {"status": status, **({} if error is None else {"error": {"type": error}})}}
