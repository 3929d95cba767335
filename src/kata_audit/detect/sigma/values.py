"""Values of a Sigma detection as conditions on a field: one function for each kind that pySigma makes of them."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from sigma.modifiers import (
    SigmaCaseSensitiveModifier,
    SigmaEndswithModifier,
    SigmaModifier,
    SigmaStartswithModifier,
)
from sigma.types import (
    CompareOperators,
    Placeholder,
    SigmaBool,
    SigmaCasedString,
    SigmaCIDRExpression,
    SigmaCompareExpression,
    SigmaExists,
    SigmaExpansion,
    SigmaFieldReference,
    SigmaNull,
    SigmaNumber,
    SigmaRegularExpression,
    SigmaRegularExpressionFlag,
    SigmaString,
    SigmaTimestampPart,
    SigmaType,
    SpecialChars,
)

from kata_audit.detect.sigma.fields import SMALL, VOCABULARIES, checked_field
from kata_audit.detect.sigma.lists import LISTS, MAX_EXPANSIONS
from kata_audit.predicate.fields import Kind, fit, kind_of
from kata_audit.predicate.pattern import escape
from kata_audit.predicate.tree import (
    Compare,
    InNetwork,
    InTime,
    Match,
    Not,
    Number,
    Op,
    Predicate,
    Present,
    Relation,
    SameAs,
    Syntax,
    TimePart,
    any_of,
)
from kata_audit.predicate.values import BadValueError, checked_regex

MAX_REGEX: Final = 4096
"""Longest regex, in characters."""
_OPS: Final = {
    CompareOperators.LT: Op.LT,
    CompareOperators.LTE: Op.LE,
    CompareOperators.GT: Op.GT,
    CompareOperators.GTE: Op.GE,
    CompareOperators.NEQ: Op.NE,
}
_FLAGS: Final = {
    SigmaRegularExpressionFlag.IGNORECASE: "i",
    SigmaRegularExpressionFlag.MULTILINE: "m",
    SigmaRegularExpressionFlag.DOTALL: "s",
}
_WILD: Final = {SpecialChars.WILDCARD_MULTI: "*", SpecialChars.WILDCARD_SINGLE: "?"}
_TIME_RANGES: Final = {
    TimePart.MINUTE: range(60),
    TimePart.HOUR: range(24),
    TimePart.DAY: range(1, 32),
    TimePart.WEEK: range(1, 54),
    TimePart.MONTH: range(1, 13),
    TimePart.YEAR: range(1678, 2262),
}
Modifiers = Sequence[type[SigmaModifier[Any, Any]]]
Lists = Mapping[str, Sequence[str]]
"""The values of each list that the configuration fills."""


def condition_of(field: str, value: SigmaType, modifiers: Modifiers, lists: Lists) -> Predicate:
    """Make the condition that one value states on a field.

    Args:
        field: Name of a field of the fixed list.
        value: The value, as the modifiers left it.
        modifiers: The modifiers that were put on it.
        lists: Values of the lists that `expand` names.

    Raises:
        BadValueError: The value does not fit the field, or cannot be expressed.
    """
    if isinstance(value, SigmaExpansion):
        return any_of(*(condition_of(field, part, modifiers, lists) for part in value.values))
    if isinstance(value, SigmaFieldReference):
        return _reference(field, value, modifiers)
    if isinstance(value, SigmaRegularExpression):
        return _regex(field, value, modifiers)
    for kind, make in _MAKERS:
        if isinstance(value, kind):
            return make(field, value)
    if isinstance(value, SigmaString):
        return any_of(*(_text(field, parts, cased=isinstance(value, SigmaCasedString)) for parts in expand(value, lists)))
    raise BadValueError("A value of this kind cannot be expressed.")


def keyword_of(value: SigmaType, modifiers: Modifiers, lists: Lists) -> Predicate:
    """Make the condition of a keyword: it stands anywhere in `body`.

    Raises:
        BadValueError: It is no text and no regex, or cannot be expressed.
    """
    if isinstance(value, SigmaNumber) and type(value) is SigmaNumber:
        value = SigmaString(str(value))
    if isinstance(value, SigmaExpansion):
        return any_of(*(keyword_of(part, modifiers, lists) for part in value.values))
    if isinstance(value, SigmaRegularExpression):
        return condition_of("body", value, modifiers, lists)
    if not isinstance(value, SigmaString):
        raise BadValueError("A keyword is a text; name the field that holds another value.")
    anywhere = SpecialChars.WILDCARD_MULTI
    cased = isinstance(value, SigmaCasedString)
    parts = ([anywhere, *parts, anywhere] for parts in expand(value, lists))
    return any_of(*(_text("body", part, cased=cased) for part in parts))


def expand(value: SigmaString, lists: Lists) -> list[list[str | SpecialChars]]:
    """Put the values of lists in the places of their names.

    Returns:
        The parts of each text that results: none where a list is empty.

    Raises:
        BadValueError: A list has no such name, or too many texts result.
    """
    results: list[list[str | SpecialChars]] = [[]]
    for part in value.s:
        choices: list[list[str | SpecialChars]]
        if isinstance(part, Placeholder):
            if part.name not in LISTS:
                raise BadValueError(f"There is no list `{part.name}`; the lists are {', '.join(LISTS)}.")
            choices = [_plain(SigmaString(text)) for text in lists.get(part.name, ())]
        else:
            choices = [[part]]
        if len(results) * len(choices) > MAX_EXPANSIONS:
            raise BadValueError(f"The value becomes more than {MAX_EXPANSIONS} values; shorten the list or split the rule.")
        results = [[*begun, *choice] for begun in results for choice in choices]
    return results


def _plain(value: SigmaString) -> list[str | SpecialChars]:
    return [part for part in value.s if not isinstance(part, Placeholder)]


def _text(field: str, parts: list[str | SpecialChars], *, cased: bool) -> Predicate:
    kind = kind_of(field)
    if kind is Kind.NUMBER:
        raise BadValueError(f"`{field}` holds a number; write one without quotation marks.")
    if kind is Kind.TIME:
        raise BadValueError(f"`{field}` holds a time; ask for a part of it, such as `{field}|hour: 3`.")
    if not any(isinstance(part, SpecialChars) for part in parts):
        text = "".join(str(part) for part in parts)
        if field in VOCABULARIES:
            return Compare(field, Op.EQ, _word(field, text))
        if field in SMALL:
            return Compare(field, Op.EQ, text.lower())
        if cased or not any(char.isascii() and char.isalpha() for char in text):
            return Compare(field, Op.EQ, text)
    if parts and all(part is SpecialChars.WILDCARD_MULTI for part in parts):
        return Present(field)
    pattern = "".join(escape(part) if isinstance(part, str) else _WILD[part] for part in parts)
    return Match(field, pattern, Syntax.WILDCARD, cased)


def _word(field: str, text: str) -> str:
    known = {word.lower(): word for word in VOCABULARIES[field]}
    if text.lower() not in known:
        raise BadValueError(f"`{field}` is never `{text}`; it is one of {', '.join(sorted(known.values()))}.")
    return known[text.lower()]


def _number(field: str, value: Any) -> Predicate:
    kind, number = kind_of(field), value.number
    if kind is Kind.TIME:
        raise BadValueError(f"`{field}` holds a time; ask for a part of it, such as `{field}|hour: 3`.")
    if kind is not Kind.NUMBER:
        return Compare(field, Op.EQ, str(number))
    if not isinstance(number, int):
        raise BadValueError(f"`{field}` holds whole numbers.")
    condition = Compare(field, Op.EQ, number)
    if fit(condition) != condition:
        raise BadValueError(f"`{field}` never holds the number {number}.")
    return condition


def _compare(field: str, value: Any) -> Predicate:
    kind, op, number = kind_of(field), _OPS[value.op], value.number.number
    if kind is Kind.TIME:
        raise BadValueError(f"`{field}` holds a time; ask for a part of it, such as `{field}|hour: 3`.")
    if kind is not Kind.NUMBER:
        return Number(field, op, number)
    whole = math.ceil(number) if op in (Op.LT, Op.GE) else math.floor(number)
    return Compare(field, op, whole)


def _bool(field: str, value: Any) -> Predicate:
    if kind_of(field) is not Kind.TEXT:
        raise BadValueError(f"`{field}` is never true or false.")
    return Match(field, "true" if value.boolean else "false", Syntax.WILDCARD, cased=False)


def _time_part(field: str, value: Any) -> Predicate:
    part = TimePart(value.timestamp_part.name.lower())
    if kind_of(field) is not Kind.TIME:
        raise BadValueError(f"`{field}` holds no time; `{part}` is asked of `timestamp`.")
    if value.number not in _TIME_RANGES[part]:
        raise BadValueError(f"There is no {part} {value.number}.")
    return InTime(field, part, value.number)


def _network(field: str, value: Any) -> Predicate:
    if kind_of(field) is not Kind.TEXT:
        raise BadValueError(f"`{field}` never holds an address.")
    return InNetwork(field, str(value.network))


_MAKERS: Final[tuple[tuple[type[SigmaType], Callable[[str, Any], Predicate]], ...]] = (
    (SigmaTimestampPart, _time_part),
    (SigmaNumber, _number),
    (SigmaCompareExpression, _compare),
    (SigmaBool, _bool),
    (SigmaNull, lambda field, _: Not(Present(field))),
    (SigmaExists, lambda field, value: Present(field) if value.exists else Not(Present(field))),
    (SigmaCIDRExpression, _network),
)
"""Kinds whose condition the field and the value decide; a time's part is a number too, and so stands first."""


def _regex(field: str, value: SigmaRegularExpression, modifiers: Modifiers) -> Predicate:
    if kind_of(field) in (Kind.NUMBER, Kind.TIME):
        raise BadValueError(f"`{field}` holds no text that a regex could be found in.")
    parts = list(value.regexp.s)
    if any(isinstance(part, Placeholder) for part in parts):
        raise BadValueError("A list cannot be put into a regex; write one value for each, or use `contains`.")
    pattern = "".join(_spell(parts))
    if len(pattern) > MAX_REGEX:
        raise BadValueError(f"The regex is longer than {MAX_REGEX:,} characters.")
    flags = "".join(sorted(_FLAGS[flag] for flag in value.flags))
    pattern = f"(?{flags}:{pattern})" if flags else pattern
    if SigmaStartswithModifier in modifiers:
        pattern = rf"\A(?:{pattern})"
    if SigmaEndswithModifier in modifiers:
        pattern = rf"(?:{pattern})\z"
    return Match(field, checked_regex(pattern), Syntax.REGEX)


def _spell(parts: Sequence[Any]) -> Iterator[str]:
    for part in parts:
        yield part if isinstance(part, str) else _WILD[part]


def _reference(field: str, value: SigmaFieldReference, modifiers: Modifiers) -> Predicate:
    other = checked_field(value.field)
    for name in (field, other):
        if kind_of(name) in (Kind.NUMBER, Kind.TIME):
            raise BadValueError(f"`{name}` is no text; only texts of two fields can be compared.")
    how = {
        (False, False): Relation.EQUALS,
        (True, True): Relation.CONTAINS,
        (True, False): Relation.STARTSWITH,
        (False, True): Relation.ENDSWITH,
    }[value.starts_with, value.ends_with]
    return SameAs(field, other, how, SigmaCaseSensitiveModifier in modifiers)
