"""Rules written as Sigma again: filters, lists and the `logsource` put into the detection, so that it stands for itself.

What it prints, `reader.py` reads as the same condition; other programs that read Sigma get all that the rule asks.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

from kata_audit.detect.rule import Absence, Correlation, Rule
from kata_audit.detect.sigma.fields import SMALL, VOCABULARIES
from kata_audit.predicate.pattern import escape
from kata_audit.predicate.tree import (
    And,
    Compare,
    Everything,
    InNetwork,
    InTime,
    Match,
    Not,
    Number,
    OneOf,
    Op,
    Or,
    Predicate,
    Present,
    Relation,
    SameAs,
    Syntax,
)

Item: TypeAlias = tuple[str, Any]
"""A field with its modifiers, and its value."""

_OPS: Final[Mapping[Op, str]] = {Op.LT: "lt", Op.LE: "lte", Op.GT: "gt", Op.GE: "gte"}
_BOUNDS: Final[Mapping[Op, str]] = {**_OPS, Op.EQ: "eq", Op.NE: "neq"}
_EVERY: Final[Item] = ("seq|exists", True)
"""Every record has a number."""
_SECONDS: Final = (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1))


class PrintError(Exception):
    """A rule says what Sigma cannot. Args: what, for a person."""


def print_rule(rule: Rule, rules: Mapping[str, Rule]) -> list[dict[str, Any]]:
    """Write a rule as Sigma documents: those of the rules that it counts, then its own.

    Args:
        rule: The rule.
        rules: All rules by name.

    Returns:
        Documents as plain values.

    Raises:
        PrintError: Sigma cannot say it: an absence, or a comparison that no Sigma rule makes.
    """
    head = {
        "title": rule.about.title,
        "name": rule.rule_id,
        "status": str(rule.maturity),
        "level": str(rule.level),
        **({"description": rule.about.description} if rule.about.description else {}),
        **({"tags": list(rule.about.tags)} if rule.about.tags else {}),
    }
    if isinstance(rule.when, Absence):
        raise PrintError("Sigma has no word for an event that does not come.")
    if isinstance(rule.when, Correlation):
        parts = [document for name in rule.when.rules for document in print_rule(rules[name], rules)]
        return [*parts, {**head, "correlation": _correlation(rule.when)}]
    return [{**head, "logsource": {"product": "kata"}, "detection": print_detection(rule.when)}]


def _correlation(when: Correlation) -> dict[str, Any]:
    unit, size = next((unit, size) for unit, size in _SECONDS if when.window_ns % (size * 1_000_000_000) == 0)
    block: dict[str, Any] = {
        "type": str(when.kind),
        "rules": list(when.rules),
        "group-by": list(when.group_by),
        "timespan": f"{when.window_ns // (size * 1_000_000_000)}{unit}",
    }
    if not str(when.kind).startswith("temporal"):
        block["condition"] = {_BOUNDS[when.op]: when.bound}
        if when.value_field is not None:
            block["condition"]["field"] = when.value_field
    if when.aliases:
        block["aliases"] = {alias: dict(mapping) for alias, mapping in when.aliases.items()}
    return block


def print_detection(where: Predicate) -> dict[str, Any]:
    """Write a condition as a `detection:` block.

    Raises:
        PrintError: Sigma cannot say it.
    """
    selections: dict[str, Any] = {}
    condition = _condition(where, selections, outer=True)
    return {**selections, "condition": condition}


def _condition(where: Predicate, selections: dict[str, Any], *, outer: bool = False) -> str:
    if isinstance(where, Not) and not isinstance(where.part, Present):
        return f"not {_condition(where.part, selections)}"
    if isinstance(where, And) and where.parts:
        joined = " and ".join(_parts(where.parts, selections))
    elif isinstance(where, Or) and where.parts:
        joined = " or ".join(_alternatives(where.parts, selections))
    else:
        return _named(where, selections)
    return joined if outer or " " not in joined else f"({joined})"


def _named(where: Predicate, selections: dict[str, Any]) -> str:
    if isinstance(where, Or):
        return f"not {_add(dict([_EVERY]), selections)}"
    return _add(dict([_EVERY if isinstance(where, And | Everything) else _item(where)]), selections)


def _add(selection: Any, selections: dict[str, Any]) -> str:
    for name, known in selections.items():
        if known == selection:
            return name
    name = f"s{len(selections) + 1}"
    selections[name] = selection
    return name


def _is_leaf(where: Predicate) -> bool:
    return not isinstance(where, And | Or) and (not isinstance(where, Not) or isinstance(where.part, Present))


def _parts(parts: Sequence[Predicate], selections: dict[str, Any]) -> Iterator[str]:
    """Put leaves on different fields into one selection."""
    together: dict[str, Any] = {}
    others: list[Predicate] = []
    for part in parts:
        if _is_leaf(part) and not isinstance(part, Everything) and (item := _item(part))[0] not in together:
            together[item[0]] = item[1]
        else:
            others.append(part)
    if together:
        yield _add(together, selections)
    for part in others:
        yield _condition(part, selections)


def _alternatives(parts: Sequence[Predicate], selections: dict[str, Any]) -> Iterator[str]:
    """Put values of one field into one list."""
    lists: dict[str, list[Any]] = {}
    others: list[Predicate] = []
    for part in parts:
        if _is_leaf(part) and not isinstance(part, Everything):
            key, value = _item(part)
            lists.setdefault(key, []).extend(value if isinstance(value, list) else [value])
        else:
            others.append(part)
    for key, values in lists.items():
        yield _add({key: values if len(values) > 1 else values[0]}, selections)
    for part in others:
        yield _condition(part, selections)


def _item(where: Predicate) -> Item:
    """Write one leaf."""
    if isinstance(where, Not) and isinstance(where.part, Present):
        return where.part.field, None
    if isinstance(where, Present):
        return f"{where.field}|exists", True
    if isinstance(where, OneOf):
        return _exact(where.field, sorted(where.values))
    if isinstance(where, Compare) and where.op is Op.EQ:
        return _exact(where.field, [where.value])
    if isinstance(where, Compare | Number) and where.op in _OPS and not isinstance(where.value, str):
        return f"{where.field}|{_OPS[where.op]}", where.value
    if isinstance(where, Match):
        if where.syntax is Syntax.REGEX:
            return f"{where.field}|re", where.pattern
        return f"{where.field}|cased" if where.cased else where.field, where.pattern
    if isinstance(where, InNetwork):
        return f"{where.field}|cidr", where.network
    if isinstance(where, InTime):
        return f"{where.field}|{where.part}", where.value
    if isinstance(where, SameAs):
        how = "" if where.how is Relation.EQUALS else f"|{where.how}"
        return f"{where.field}{'|cased' if where.cased else ''}|fieldref{how}", where.other
    raise PrintError("A comparison of texts by size, or one that no Sigma rule makes, cannot be written.")


def _exact(field: str, values: Sequence[Any]) -> Item:
    texts = [escape(value) if isinstance(value, str) else value for value in values]
    caseless = field in VOCABULARIES or field in SMALL or not any(_has_case(value) for value in values)
    return field if caseless else f"{field}|cased", texts if len(texts) > 1 else texts[0]


def _has_case(value: Any) -> bool:
    return isinstance(value, str) and any(char.isascii() and char.isalpha() for char in value)
