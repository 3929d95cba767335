"""The dialects by name, and the one combined signature that routes a text to its dialect.

A text that no signature claims is plain: it stands in `body` as it is.
"""

import re
from collections.abc import Sequence

from kata_audit.parse.dialects import logrus, slog_json
from kata_audit.parse.dialects.base import Dialect

DIALECTS: dict[str, Dialect] = {dialect.name: dialect for dialect in (logrus.DIALECT, slog_json.DIALECT)}

_BY_GROUP = dict(enumerate(DIALECTS, start=1))
_SIGNATURE = re.compile("|".join(f"({dialect.signature})" for dialect in DIALECTS.values()))


def route(texts: Sequence[str]) -> dict[str | None, list[int]]:
    """Sort texts by dialect.

    Returns:
        Positions of the texts by the name of their dialect, in order; under None those that have none.
    """
    routes: dict[str | None, list[int]] = {}
    for position, text in enumerate(texts):
        match = _SIGNATURE.match(text)
        name = _BY_GROUP[match.lastindex] if match is not None and match.lastindex is not None else None
        routes.setdefault(name, []).append(position)
    return routes
