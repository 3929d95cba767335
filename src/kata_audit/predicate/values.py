"""Values of a query as typed conditions: one function for each kind of field."""

import re
from datetime import UTC, datetime, timedelta

import re2

from kata_audit.predicate.fields import SEVERITY_WORDS, Kind
from kata_audit.predicate.tree import And, Compare, Match, Not, Op, Predicate, Present, Syntax
from kata_audit.predicate.words import Quoting, Word

NANOSECONDS = 1_000_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIME = re.compile(
    r"(\d{4})-(\d\d)(?:-(\d\d)(?:[Tt_ ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?(Z|z|[+-]\d\d:\d\d)?)?)?",
)
_NAMED_GROUP = re.compile(r"(?<!\\)(?:\\\\)*\(\?<[A-Za-z_]")
_NUMBER = re.compile(r"-?[0-9]{1,20}")
_OPS = {":": Op.EQ, **{str(op): op for op in Op}}


class BadValueError(ValueError):
    """A value does not fit its field; the message is the sentence for the user."""


def condition_of(word: Word, field: str, kind: Kind) -> Predicate:
    """Make the condition that a word states on a field.

    Args:
        word: The word, with its operator and value as written.
        field: The field's own name.
        kind: What the field holds.

    Raises:
        BadValueError: The value does not fit the field.
    """
    op = _OPS[word.op]
    if word.op == ":" and word.quoting is Quoting.BARE and word.value == "*":
        return Present(field)
    if kind is Kind.TIME:
        return _time_condition(field, op, word)
    if kind is Kind.NUMBER:
        return Compare(field, op, _number(field, word))
    return _text_condition(field, op, word)


def _text_condition(field: str, op: Op, word: Word) -> Predicate:
    if word.quoting is Quoting.REGEX:
        return _patterned(field, op, Match(field, checked_regex(word.value), Syntax.REGEX))
    if word.quoting is Quoting.BARE and ("*" in word.value or "?" in word.value):
        return _patterned(field, op, Match(field, word.value, Syntax.WILDCARD))
    return Compare(field, op, word.value)


def _patterned(field: str, op: Op, match: Match) -> Predicate:
    if op is Op.EQ:
        return match
    if op is Op.NE:
        return And((Present(field), Not(match)))
    raise BadValueError("A pattern fits or it does not: use `:` or `!=`, or write the value in quotation marks.")


def checked_regex(pattern: str) -> str:
    """Give a regex back if RE2 reads it.

    Raises:
        BadValueError: It does not.
    """
    options = re2.Options()
    options.log_errors = False
    if _NAMED_GROUP.search(pattern):
        raise BadValueError("Name a group of a regex as `(?P<name>…)`: not every engine knows `(?<name>…)`.")
    try:
        re2.compile(pattern, options)
    except re2.error as error:
        raise BadValueError("The regex is not one of RE2, which has no back-references and no look-around.") from error
    return pattern


def _number(field: str, word: Word) -> int:
    if field == "severity_number" and word.value.lower() in SEVERITY_WORDS:
        return SEVERITY_WORDS[word.value.lower()]
    if _NUMBER.fullmatch(word.value) and word.quoting is not Quoting.REGEX:
        return int(word.value)
    words = " or one of " + ", ".join(SEVERITY_WORDS) if field == "severity_number" else ""
    raise BadValueError(f"`{field}` holds a number; write a whole number{words}.")


def _time_condition(field: str, op: Op, word: Word) -> Predicate:
    """A time written in part is its beginning; with `:` and `=` it is the whole day, month, minute or second."""
    start, end = _time_range(field, word)
    if end - start == 1 or op not in (Op.EQ, Op.NE):
        return Compare(field, op, start)
    inside = And((Compare(field, Op.GE, start), Compare(field, Op.LT, end)))
    return inside if op is Op.EQ else And((Present(field), Not(inside)))


def _time_range(field: str, word: Word) -> tuple[int, int]:
    found = _TIME.fullmatch(word.value) if word.quoting is not Quoting.REGEX else None
    if found is None:
        raise BadValueError(f"`{field}` holds a time; write it as 2026-11-24 or 2026-11-24T02:21:00Z.")
    year, month, day, hour, minute, second, fraction, zone = found.groups()
    try:
        moment = datetime(
            int(year), int(month), int(day or 1), int(hour or 0), int(minute or 0), int(second or 0), tzinfo=UTC
        )
        start = (moment - _EPOCH - _offset(zone)) // timedelta(seconds=1) * NANOSECONDS
        if day is None:
            after = moment.replace(year=moment.year + moment.month // 12, month=moment.month % 12 + 1)
            return start, start + (after - moment) // timedelta(seconds=1) * NANOSECONDS
    except (ValueError, OverflowError) as error:
        raise BadValueError(f"`{field}` holds a time, and there is no such day or hour.") from error
    if fraction is not None:
        start += int(fraction.ljust(9, "0"))
        return start, start + int(10 ** (9 - len(fraction)))
    width = 86_400 if hour is None else 60 if second is None else 1
    return start, start + width * NANOSECONDS


def _offset(zone: str | None) -> timedelta:
    if zone is None or zone in "Zz":
        return timedelta()
    hours, minutes = int(zone[1:3]), int(zone[4:6])
    if hours > 23 or minutes > 59:
        raise ValueError(zone)
    return timedelta(hours=hours, minutes=minutes) * (-1 if zone[0] == "-" else 1)
