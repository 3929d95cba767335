r"""Go's `%+v` and `%#v`, and the text form of its protobuf messages.

`{Name:eth0 Tags:[a b]}`, `types.Volume{Path:"/x"}`, `id:"…" exit_status:137 exited_at:{seconds:1}`.
Bounded like the reader of Rust's values. `%+v` quotes nothing: a value with blanks in it cannot be told from two, so only
values that hold none are right; entries of the catalogue take ids, numbers and quoted text.

Source: Go `fmt` (`printValue`), `google.golang.org/protobuf/encoding/prototext`.
"""

import re
from typing import Any, Final

from kata_audit.parse.texts import unquote_go

MAX_TEXT: Final = 256 * 1024
MAX_DEPTH: Final = 64
_TOKEN: Final = re.compile(
    r"""
    \s*(?:
      ("[^"\\]*+(?:\\.[^"\\]*+)*+")                      # text
    | (&?(?:[\w.*/-]*+(?:\[[\w.*]*+\][\w.*/-]*+)?)[{\[])   # what opens a struct, a map or a list
    | ([\]}])                                              # what closes one
    | ([A-Za-z_][\w.-]*+)(?=:)                             # a name
    | ([^\s"\[\]{},]++)                                   # anything else
    )(?:\s*,)?""",
    re.DOTALL | re.VERBOSE,
)


class _StrangeError(Exception):
    """The text is no such value."""


def read_go(text: str) -> Any:
    """Read a value, or the fields of a message without braces around it.

    Returns:
        A struct, a map or a message as a dict, a list as a list, quoted text unquoted, all else as it is written. None where
        the text is no value.

    Example:
        >>> read_go('container_id:"ab"  exit_status:137  exited_at:{seconds:1}')
        {'container_id': 'ab', 'exit_status': '137', 'exited_at': {'seconds': '1'}}
    """
    if len(text) > MAX_TEXT:
        return None
    try:
        found = _Reader(text).members(None, 0)
    except _StrangeError:
        return None
    return found[0] if isinstance(found, list) and len(found) == 1 else found or None


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def members(self, closing: str | None, depth: int) -> Any:
        """Read up to the closing mark: a dict where names stand before values, else a list."""
        if depth > MAX_DEPTH:
            raise _StrangeError
        fields: dict[str, Any] = {}
        items: list[Any] = []
        while True:
            match = _TOKEN.match(self._text, self._at)
            if match is None or match[3]:
                self._end(match, closing)
                return fields or items
            self._at = match.end()
            if match[4]:
                fields.setdefault(match[4], self._value(depth))
            else:
                items.append(self._read(match, depth))

    def _end(self, match: re.Match[str] | None, closing: str | None) -> None:
        if match is None:
            if closing is not None or self._text[self._at :].strip():
                raise _StrangeError
            return
        if match[3] != closing:
            raise _StrangeError
        self._at = match.end()

    def _value(self, depth: int) -> Any:
        self._at += 1  # the colon that the name was seen before
        match = _TOKEN.match(self._text, self._at)
        if match is None or match[3] or (self._text[self._at : self._at + 1].isspace() and match[4]):
            return None  # nothing stands there: `Name: Next:1`
        self._at = match.end()
        return self._read(match, depth) if not match[4] else match[4]

    def _read(self, match: re.Match[str], depth: int) -> Any:
        if match[1]:
            return unquote_go(match[1])
        if match[2]:
            return self.members("}" if match[2].endswith("{") else "]", depth + 1)
        return match[5]
