"""The bulk API of Elasticsearch and OpenSearch: documents as lines of JSON, and an answer for each.

Every document is created under an id of its own, never indexed over another: one that is there already is a conflict, and
harmless.

Source: Elasticsearch reference, "Bulk API"; OpenSearch documentation, "Bulk".
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

import orjson

BULK_PATH: Final = "/_bulk"
FILTER: Final = "filter_path=errors,items.*.status,items.*.error.type"
"""What of the answer is asked for: what became of each document, without what it said of it."""
_CREATE: Final = "create"
_WORD: Final = re.compile(r"[a-z_]{1,64}", re.ASCII)


class Item(NamedTuple):
    """What became of one document: a status of HTTP, and the server's word for the error; None where there is none."""

    status: int
    error: str | None


def encode_bulk(index: str, documents: Iterable[tuple[str, Mapping[str, Any]]]) -> bytes:
    """Spell a request.

    Args:
        index: The data stream or index.
        documents: Each with its id.
    """
    lines: list[bytes] = []
    for name, document in documents:
        lines += (orjson.dumps({_CREATE: {"_index": index, "_id": name}}), orjson.dumps(document))
    return b"\n".join((*lines, b""))


def decode_answer(body: bytes, count: int) -> list[Item] | None:
    """Read an answer to a request of so many documents; None where it is none, or does not speak of each."""
    try:
        items = orjson.loads(body)["items"]
        found = [_item(one) for one in items]
    except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError, ValueError):
        return None
    return found if len(found) == count else None


def decode_error(body: bytes) -> str | None:
    """Read the kind of error of an answer that is about the whole request, in the server's word."""
    try:
        return _word(orjson.loads(body)["error"]["type"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return None


def _item(one: Mapping[str, Any]) -> Item:
    (what,) = one.values()
    status = what["status"]
    if not isinstance(status, int):
        raise TypeError
    return Item(status, _word(what["error"]["type"]) if "error" in what else None)


def _word(text: object) -> str | None:
    """Take a word of the server only where it is one: what it quotes of a document never gets through."""
    return text if isinstance(text, str) and _WORD.fullmatch(text) else None
