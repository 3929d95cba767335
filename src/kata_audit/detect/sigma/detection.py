"""A `detection:` (or `filter:`) block as one condition: its selections by name, put together by the condition's words."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from pyparsing import ParseException
from sigma.conditions import (
    ConditionAND,
    ConditionIdentifier,
    ConditionNOT,
    ConditionOR,
    ConditionSelector,
    SigmaCondition,
)
from sigma.exceptions import SigmaError
from sigma.modifiers import SigmaExpandModifier, modifier_mapping
from sigma.rule import SigmaDetectionItem
from sigma.rule.detection import EmptySigmaDetections

from kata_audit.detect.sigma.documents import Document, Path
from kata_audit.detect.sigma.fields import checked_field
from kata_audit.detect.sigma.report import Report
from kata_audit.detect.sigma.values import Lists, condition_of, keyword_of
from kata_audit.predicate.tree import NOTHING, Compare, Everything, Not, OneOf, Op, Or, Predicate, all_of, any_of
from kata_audit.predicate.values import BadValueError, checked_regex

MAX_CONDITION: Final = 1000
"""Longest condition, in characters."""
MAX_NESTING: Final = 8
"""Deepest parentheses of a condition: reading them costs more with each."""
MAX_VALUES: Final = 2000
"""Most values of one field in one selection."""


@dataclass(frozen=True, slots=True)
class Detection:
    """A block while it is read.

    `root` is the key that it stands under; `lists` are the values that `expand` puts in.
    """

    document: Document
    root: str
    lists: Lists
    report: Report

    def add(self, path: Path, message: str) -> None:
        """Note a problem of a value below the block."""
        self.report.add(self.document, (self.root, *path), message)


def read_detection(block: Detection, others: frozenset[str] = frozenset()) -> Predicate:
    """Read a block.

    Args:
        block: The block.
        others: Keys in it that are no selections, beside `condition`.

    Returns:
        Its condition; what could not be read holds for no record, and is in the report.
    """
    definitions = block.document.data[block.root]
    if not isinstance(definitions, dict):
        block.add((), f"`{block.root}` is a mapping: names of selections, and `condition`.")
        return NOTHING
    selections = {
        name: _selection(block, (name,), definition)
        for name, definition in definitions.items()
        if name != "condition" and name not in others
    }
    conditions = definitions.get("condition")
    if conditions is None:
        block.add((), "A `condition` is missing: it says which selections must hold.")
        return NOTHING
    texts = conditions if isinstance(conditions, list) else [conditions]
    used: set[str] = set()
    before = len(block.report.problems)
    read = any_of(*(_condition(block, text, selections, used) for text in texts))
    understood = len(block.report.problems) == before
    for name in selections.keys() - used if understood else ():
        block.add((name,), f"No condition names the selection `{name}`.")
    return read


def _selection(block: Detection, at: Path, definition: Any) -> Predicate:
    """Read a selection: a mapping holds as a whole, a list of mappings where one of them does, other values are keywords."""
    if isinstance(definition, dict):
        if not definition:
            block.add(at, "The selection is empty.")
        return all_of(*(_item(block, (*at, key), key, value) for key, value in definition.items()))
    if isinstance(definition, list) and any(isinstance(part, dict | list) for part in definition):
        return any_of(*(_selection(block, (*at, place), part) for place, part in enumerate(definition)))
    if definition == []:
        block.add(at, "The selection is empty.")
        return NOTHING
    return _item(block, at, None, definition)


def _item(block: Detection, at: Path, key: str | None, value: Any) -> Predicate:
    """Read one field with its modifiers and values, or keywords."""
    values = value if isinstance(value, list) else [value]
    name, _, modifiers = (key or "").partition("|")
    with block.report.noting(block.document, (block.root, *at)):
        if len(values) > MAX_VALUES:
            raise BadValueError(f"The field has more than {MAX_VALUES} values.")
        if any(isinstance(part, dict | list) for part in values):
            raise BadValueError("A field has a value or a list of values, and no mapping.")
        for modifier in modifiers.split("|") if modifiers else ():
            if modifier not in modifier_mapping:
                raise BadValueError(f"There is no modifier `{modifier}`; there are {', '.join(sorted(modifier_mapping))}.")
            if modifier == "re":
                for part in values:
                    _see_regex(part)
        field = checked_field(name) if name else None
        return _linked(field, SigmaDetectionItem.from_mapping(key, value), block.lists)
    return NOTHING


def _see_regex(value: Any) -> None:
    if not isinstance(value, str):
        raise BadValueError("A regex is a text; put it in quotation marks.")
    checked_regex(value)  # before pySigma, whose engine writes of a bad one to stderr


def _linked(field: str | None, item: SigmaDetectionItem, lists: Lists) -> Predicate:
    if SigmaExpandModifier in item.modifiers and field is None:
        raise BadValueError("A list is put into the value of a field, not into a keyword.")
    if not item.value:
        raise BadValueError("The list of values is empty.")
    if field is None:
        parts = [keyword_of(value, item.modifiers, lists) for value in item.value]
    else:
        parts = [condition_of(field, value, item.modifiers, lists) for value in item.value]
    linked = all_of(*parts) if issubclass(item.value_linking, ConditionAND) else one_of(parts)
    return Not(linked) if item.negated else linked


def one_of(parts: list[Predicate]) -> Predicate:
    """Join conditions with Or; exact values of one field become one leaf, which every engine asks at once."""
    flat = [leaf for part in parts for leaf in (part.parts if isinstance(part, Or) else (part,))]
    exact = [leaf for leaf in flat if isinstance(leaf, Compare) and leaf.op is Op.EQ]
    if len(exact) < 2 or len({leaf.field for leaf in exact}) > 1:
        return any_of(*flat)
    values: Any = frozenset(leaf.value for leaf in exact)
    return any_of(OneOf(exact[0].field, values), *(leaf for leaf in flat if leaf not in exact))


def _condition(block: Detection, text: Any, selections: dict[str, Predicate], used: set[str]) -> Predicate:
    with block.report.noting(block.document, (block.root, "condition")):
        if not isinstance(text, str):
            raise BadValueError("A condition is a text, such as `selection and not filter`.")
        if len(text) > MAX_CONDITION or _depth(text) > MAX_NESTING:
            raise BadValueError(
                f"The condition is longer than {MAX_CONDITION} characters or nests deeper than {MAX_NESTING}."
            )
        named = EmptySigmaDetections(detections=dict.fromkeys(selections, _NO_DETECTION))
        return _folded(_parsed(text, named), named, selections, used)
    return NOTHING


_NO_DETECTION: Final[Any] = None
"""pySigma asks for the names of selections alone."""


def _parsed(text: str, named: EmptySigmaDetections) -> Any:
    try:
        return SigmaCondition(text, named).parse(postprocess=False)
    except RecursionError as error:
        raise BadValueError("The condition nests too deep.") from error
    except SigmaError as error:
        if not isinstance(error.__context__, ParseException):
            raise
        raise BadValueError(
            f"The condition cannot be read at its character {error.__context__.loc + 1}; it is made of names of selections, "
            "`and`, `or`, `not`, `1 of …`, `all of …`, and parentheses."
        ) from error


def _depth(text: str) -> int:
    depth = deepest = 0
    for char in text:
        depth += (char == "(") - (char == ")")
        deepest = max(deepest, depth)
    return deepest


def _folded(node: Any, named: EmptySigmaDetections, selections: dict[str, Predicate], used: set[str]) -> Predicate:
    if isinstance(node, ConditionIdentifier):
        if node.identifier not in selections:
            raise BadValueError(f"There is no selection `{node.identifier}`; there are {', '.join(selections) or 'none'}.")
        used.add(node.identifier)
        return selections[node.identifier]
    if isinstance(node, ConditionSelector):
        found = [part.identifier for part in node.resolve_referenced_detections(named)]
        if not found:
            raise BadValueError(f"No selection has a name like `{node.pattern}`.")
        used.update(found)
        chosen = [selections[name] for name in found]
        return all_of(*chosen) if issubclass(node.cond_class, ConditionAND) else any_of(*chosen)
    parts = [_folded(part, named, selections, used) for part in node.args]
    return _JOINED[type(node)](parts)


_JOINED: Final[dict[type[Any], Callable[[list[Predicate]], Predicate]]] = {
    ConditionAND: lambda parts: all_of(*parts),
    ConditionOR: lambda parts: Everything() if Everything() in parts else any_of(*parts),
    ConditionNOT: lambda parts: Not(parts[0]),
}
