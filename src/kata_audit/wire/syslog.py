r"""Syslog: messages of RFC 5424 and of the older kind, and the two ways in which a stream of bytes holds them.

A stream holds messages by octet counting, `<length> <message>`, which RFC 5425 asks for under TLS, or one message to a line.
Which of them it is the first bytes say, and it stays so for the whole connection: in a stream of lines a sender that has
somebody else's text in its messages could otherwise have a line end followed by a length swallow the messages of others.

Whatever comes is a message: what follows no grammar has its bytes and nothing else.

Source: RFC 5424 (messages), RFC 6587 3.4 (framing over TCP), RFC 5425 4.3 (framing under TLS), RFC 3164 4 (the older kind,
which describes what was seen rather than what is right).
"""

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from enum import IntEnum, StrEnum
from typing import Final, NamedTuple

MAX_MESSAGE_BYTES: Final = 256 * 1024
"""Bytes of a message that are held; a longer one comes in parts."""
BOM: Final = b"\xef\xbb\xbf"
"""What RFC 5424 has a text begin with that is UTF-8."""
_NIL: Final = "-"
_MOST_DIGITS: Final = 10
_SECOND: Final = 1_000_000_000


class Severity(IntEnum):
    """How bad. Source: RFC 5424, table 2."""

    EMERGENCY = 0
    ALERT = 1
    CRITICAL = 2
    ERROR = 3
    WARNING = 4
    NOTICE = 5
    INFO = 6
    DEBUG = 7


FACILITIES: Final = (
    *("kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp", "ntp"),
    *("audit", "alert", "clock", *(f"local{number}" for number in range(8))),
)
"""The name of each facility, by number, as syslog daemons spell them. Source: RFC 5424, table 1."""


class Grammar(StrEnum):
    """What a message was read by."""

    RFC5424 = "rfc5424"
    RFC3164 = "rfc3164"
    """The older kind, or what is left of it: a priority, and perhaps a time, a host and a tag."""
    NONE = "none"
    """No priority: the whole of it is text."""


class Framing(StrEnum):
    """How a stream holds messages."""

    OCTETS = "octets"
    """Each behind its length in bytes."""
    LINES = "lines"
    """Each ended by a line feed. A zero byte ends none: senders take line feeds out of what they send, and leave those."""


Structured = tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
"""Structured data: elements by their id, each with parameters by name; both may repeat, and the order is kept."""


class Message(NamedTuple):
    """One message.

    Attributes:
        facility: Who, a number below 24; None where it has no priority.
        severity: How bad; None where it has no priority.
        time_ns: When, nanoseconds since the Unix epoch; None where it does not say, or not of which year and zone.
        hostname: Where; None where it does not say, as for all that follow.
        app_name: What program.
        proc_id: Which process of it.
        msg_id: What kind of message.
        structured: Structured data.
        text: What it says, without a byte order mark; any bytes.
        grammar: What it was read by.
        stated: Its time as it stands there; None where it has none.
        raw: The message as it came, without framing; empty where it did not come from outside.
    """

    facility: int | None
    severity: int | None
    time_ns: int | None
    hostname: str | None
    app_name: str | None
    proc_id: str | None
    msg_id: str | None
    structured: Structured
    text: bytes
    grammar: Grammar = Grammar.RFC5424
    stated: str | None = None
    raw: bytes = b""


class Frame(NamedTuple):
    """A message as a stream held it, or a part of one that is longer than is held.

    Attributes:
        data: Its bytes, without framing.
        part: The how-manieth part it is, from 0.
        is_last: Whether it ends the message.
    """

    data: bytes
    part: int
    is_last: bool


# Writing


def encode_message(one: Message) -> bytes:
    r"""Spell a message by RFC 5424, without framing.

    What a header may not hold becomes `?`, and what is too long for it is cut: fields are printable ASCII. Text is sent
    without a byte order mark: receivers keep it in the text, where it is in everybody's way.

    Example:
        >>> encode_message(Message(13, 5, 0, "w1", "kata", None, None, (("a@1", (("b", 'say "]"'),)),), b"hello"))
        b'<109>1 1970-01-01T00:00:00.000000Z w1 kata - - [a@1 b="say \\"\\]\\""] hello'
    """
    priority = (one.facility or 0) * 8 + (Severity.NOTICE if one.severity is None else one.severity)
    time = _NIL if one.time_ns is None else spell_time(one.time_ns)
    header = (
        f"<{priority}>1 {time} {_spell(one.hostname, 255)} {_spell(one.app_name, 48)} {_spell(one.proc_id, 128)} "
        f"{_spell(one.msg_id, 32)} {spell_structured(one.structured)}"
    )
    return header.encode() + (b" " + one.text if one.text else b"")


def spell_time(time_ns: int) -> str:
    """Spell a time in UTC with microseconds, which are all that RFC 5424 has; `-` for one that no calendar has."""
    try:
        time = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=time_ns // 1000)
    except OverflowError:
        return _NIL
    return time.strftime("%Y-%m-%dT%H:%M:%S.%fZ").rjust(27, "0")


def spell_structured(structured: Structured) -> str:
    """Spell structured data; `-` where there is none."""
    if not structured:
        return _NIL
    made = []
    for element, parameters in structured:
        pairs = "".join(f' {_name(name)}="{escape(value)}"' for name, value in parameters)
        made.append(f"[{_name(element)}{pairs}]")
    return "".join(made)


def escape(value: str) -> str:
    """Spell the value of a parameter: before a quote, a backslash and a closing bracket stands a backslash."""
    return _ESCAPED.sub(r"\\\g<0>", value.encode("utf-8", "replace").decode())


def encode_frames(messages: Iterable[bytes], framing: Framing = Framing.OCTETS) -> bytes:
    """Put messages into a stream; where lines hold them, a line end in one becomes a space."""
    if framing is Framing.OCTETS:
        return b"".join(b"%d %b" % (len(one), one) for one in messages)
    return b"".join(one.translate(_NO_LINE_END) + b"\n" for one in messages)


_ESCAPED: Final = re.compile(r'["\\\]]')
_NO_NAME: Final = re.compile(r'[^!-~]|[="\]]')
_UNPRINTABLE: Final = re.compile(r"[^!-~]")
_NO_LINE_END: Final = bytes.maketrans(b"\n", b" ")


def _name(text: str) -> str:
    return _NO_NAME.sub("?", text)[:32] or "?"


def _spell(text: str | None, longest: int) -> str:
    return _UNPRINTABLE.sub("?", text)[:longest] if text else _NIL


# Reading


class FrameDecoder:
    """Takes a stream apart, however it is cut. It holds little more than `max_bytes` of it, and refuses nothing.

    Args:
        framing: How the stream holds messages; None to tell it by its first bytes.
        max_bytes: Bytes of a message that are held; a longer one comes in parts.
    """

    def __init__(self, framing: Framing | None = None, max_bytes: int = MAX_MESSAGE_BYTES) -> None:
        self.framing, self._max_bytes = framing, max_bytes
        self._held = bytearray()
        self._at = 0
        """Where in the held bytes the next message begins, or goes on."""
        self._left: int | None = None
        """Bytes that a counted message still has; None outside of one."""
        self._part = self._looked = 0
        """Parts of the message that were given, and where no line end stands before."""

    def feed(self, data: bytes) -> list[Frame]:
        """Take what came next; give the messages that are whole with it, and parts of long ones."""
        self._held += data
        return self._frames(is_end=False)

    def finish(self) -> list[Frame]:
        """Give what the stream ended in: a line without its end, a message of which less came than its length says."""
        return self._frames(is_end=True)

    def _frames(self, *, is_end: bool) -> list[Frame]:
        frames = []
        while (frame := self._next(is_end=is_end)) is not None:
            frames.append(frame)
        del self._held[: self._at]
        self._looked, self._at = max(self._looked - self._at, 0), 0
        return frames

    def _next(self, *, is_end: bool) -> Frame | None:
        if self._left is None and self._part == 0 and not self._begin(is_end=is_end):
            return None
        return self._line(is_end=is_end) if self._left is None else self._counted(self._left, is_end=is_end)

    def _begin(self, *, is_end: bool) -> bool:
        """Come to where a message begins, and learn how it is framed; say whether that can be told yet."""
        found = _BETWEEN.match(self._held, self._at)
        self._at = self._looked = self._at if found is None else found.end()
        if self._at == len(self._held):
            return False
        if self.framing is Framing.LINES:
            return True
        if count := _COUNT.match(self._held, self._at):
            self.framing, self._left = Framing.OCTETS, int(count[1])
            self._at = count.end() - 1
            return True
        if not is_end and _BEGUN_COUNT.fullmatch(self._held, self._at):
            return False
        self.framing = self.framing or Framing.LINES  # a stream of counts that lost one goes on behind the next line end
        return True

    def _counted(self, left: int, *, is_end: bool) -> Frame | None:
        there = len(self._held) - self._at
        if left > self._max_bytes and there >= self._max_bytes:
            self._left = left - self._max_bytes
            return self._give(self._max_bytes, is_last=False)
        if there < left and not is_end:
            return None
        self._left = None
        return self._give(min(there, left), is_last=True)

    def _line(self, *, is_end: bool) -> Frame | None:
        end = self._held.find(b"\n", max(self._looked, self._at))
        self._looked = len(self._held) if end < 0 else end
        length = (len(self._held) if end < 0 else end) - self._at
        if length > self._max_bytes:
            return self._give(self._max_bytes, is_last=False)
        if end < 0 and not is_end:
            return None
        return self._give(length, is_last=True)

    def _give(self, length: int, *, is_last: bool) -> Frame:
        frame = Frame(bytes(self._held[self._at : self._at + length]), self._part, is_last)
        self._at += length
        self._part = 0 if is_last else self._part + 1
        return frame


_BETWEEN: Final = re.compile(rb"[\r\n]+")
_COUNT: Final = re.compile(rb"([1-9][0-9]{0,9}) <")
"""A length, and the first byte of a message: no line that begins with a number is taken for one."""
_BEGUN_COUNT: Final = re.compile(rb"[1-9][0-9]{0,9} ?")


def decode_message(raw: bytes) -> Message:
    """Read a message, of whatever kind; what cannot be read stays in its text.

    Args:
        raw: The message without framing; it may be anything.
    """
    body = raw.rstrip(b"\r\n")
    found = _PRIORITY.match(body)
    if found is None or int(found[1]) >= 8 * len(FACILITIES):
        return Message(None, None, None, None, None, None, None, (), body, Grammar.NONE, None, raw)
    facility, severity = divmod(int(found[1]), 8)
    header = _RFC5424.match(body, found.end())
    if header is None:
        return _decode_older(body, found.end(), raw)._replace(facility=facility, severity=severity)
    time, *words = (None if word == b"-" else _text(word) for word in header.groups())
    hostname, app_name, proc_id, msg_id = words
    structured, text = _decode_structured(body, header.end())
    return Message(
        *(facility, severity, _nanoseconds(time), hostname, app_name, proc_id, msg_id, structured),
        *(text.removeprefix(BOM), Grammar.RFC5424, time, raw),
    )


def header_of(message: Message) -> dict[str, str]:
    """Give what a message says of itself beside its text, by name; nothing for what it does not say.

    Structured data are there as `<id>.<name>`. Of a name that comes again the first counts.

    Example:
        >>> header_of(decode_message(b'<109>1 - w1 kata - - [a@1 b="c"] hello'))
        {'facility': 'audit', 'severity': 'notice', 'hostname': 'w1', 'app_name': 'kata', 'a@1.b': 'c'}
    """
    words = {
        "facility": None if message.facility is None else FACILITIES[message.facility],
        "severity": None if message.severity is None else Severity(message.severity).name.lower(),
        "timestamp": message.stated,
        "hostname": message.hostname,
        "app_name": message.app_name,
        "proc_id": message.proc_id,
        "msg_id": message.msg_id,
    }
    made = {name: text for name, text in words.items() if text is not None}
    for element, parameters in message.structured:
        for name, value in parameters:
            made.setdefault(f"{element}.{name}", value)
    return made


_PRIORITY: Final = re.compile(rb"<([0-9]{1,3})>")
_WORD: Final = rb" ([!-~]{1,255})"
_RFC5424: Final = re.compile(rb"[1-9][0-9]{0,2} (-|[0-9][!-~]{0,63})" + _WORD * 4 + rb"(?: |$)")
_ELEMENT: Final = re.compile(
    rb'\[([!#-<>-\\^-~]{1,255}+)((?: ++[!#-<>-\\^-~]{1,255}+="[^"\\]*+(?:\\.[^"\\]*+)*+")*+) *+\]', re.DOTALL
)
_PARAMETER: Final = re.compile(rb' ++([!#-<>-\\^-~]{1,255}+)="([^"\\]*+(?:\\.[^"\\]*+)*+)"', re.DOTALL)
_BACKSLASH: Final = re.compile(r'\\(["\\\]])')
_STATED: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt]([0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,9})[0-9]*)?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_OLDER_TIME: Final = re.compile(
    rb"[*.]?((?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [ 0-9][0-9](?: [0-9]{4})? "
    rb"[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?|[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9:.]{8,18}(?:[Zz]|[+-][0-9:]{5})):? ++"
)
_OLDER_HOST: Final = re.compile(rb"([^\x00-\x20\[\]]{1,255}+)(?<!:) ++")
_OLDER_TAG: Final = re.compile(rb"([^\x00-\x20\[\]:]{1,128}+)(?:\[([^\x00-\x20\[\]]{1,128}+)\])?:(?: |$)")


def _decode_structured(body: bytes, at: int) -> tuple[Structured, bytes]:
    """Read structured data and the text behind; data that break their grammar are text."""
    if body[at : at + 1] == b"-" and body[at + 1 : at + 2] in (b" ", b""):
        return (), body[at + 2 :]
    elements, end = [], at
    while found := _ELEMENT.match(body, end):
        parameters = ((_text(name), _BACKSLASH.sub(r"\1", _text(value))) for name, value in _PARAMETER.findall(found[2]))
        elements.append((_text(found[1]), tuple(parameters)))
        end = found.end()
    if not elements or body[end : end + 1] not in (b" ", b""):
        return (), body[at:]
    return tuple(elements), body[end + 1 :]


def _decode_older(body: bytes, at: int, raw: bytes) -> Message:
    """Read what stands behind the priority of the older kind: a time, a host, a tag; each of them may be missing."""
    time = host = None
    if found := _OLDER_TIME.match(body, at):
        time, at = _text(found[1]), found.end()
        if (named := _OLDER_HOST.match(body, at)) and not _OLDER_TAG.match(body, at):
            host, at = _text(named[1]), named.end()
    tag = pid = None
    if found := _OLDER_TAG.match(body, at):
        tag, pid, at = _text(found[1]), None if found[2] is None else _text(found[2]), found.end()
    return Message(
        *(None, None, _nanoseconds(time), host, tag, pid, None, ()),
        *(body[at:].removeprefix(BOM), Grammar.RFC3164, time, raw),
    )


def _text(word: bytes) -> str:
    return word.decode("utf-8", "backslashreplace")


def _nanoseconds(stated: str | None) -> int | None:
    """Read a time that says its year and zone; None for another, and for one that is no time."""
    found = None if stated is None else _STATED.fullmatch(stated)
    if found is None:
        return None
    day, time, fraction, zone = found.groups()
    try:
        read = datetime.fromisoformat(f"{day}T{time}{'+00:00' if zone in 'Zz' else zone}")
    except ValueError:
        return None
    passed = read - datetime(1970, 1, 1, tzinfo=UTC)
    return (passed.days * 86_400 + passed.seconds) * _SECOND + int((fraction or "0").ljust(9, "0"))
