"""Field sets: a record in the words of another system, from a table that is data.

Each table is a file of `fieldsets/`: for each column what it is called there, how it is spelled, and which value there means
which value here; and what kinds of records have besides, such as the class of an event. A column that the table does not
name goes under the table's own prefix, so that nothing is lost. The tables generate `docs/reference/field-sets.md`.
"""

import tomllib
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final, NamedTuple, TypeAlias

from kata_audit.schema.own import spell_time
from kata_audit.schema.record import COLUMNS

_SECOND: Final = 1_000_000_000
_KEYS: Final = frozenset({"from", "to", "form", "values", "when"})
_MOST_PLANS: Final = 4096
ANY: Final = "*"
"""Any value, in a condition of a table."""


class FieldSetName(StrEnum):
    """Whose words."""

    OTEL = "otel"
    """OpenTelemetry: its log data model and semantic conventions."""
    ECS = "ecs"
    """The Elastic Common Schema."""
    OCSF = "ocsf"
    """The Open Cybersecurity Schema Framework."""
    CIM = "cim"
    """Splunk's Common Information Model."""


When = Mapping[str, frozenset[str]]
"""A condition: each column has one of these texts; the word `*` stands for any value."""


class Field(NamedTuple):
    """One row of a table.

    Attributes:
        column: The column of a record; `name` is the record's name.
        to: What it is called there; dots make objects where the table is nested.
        form: How its value is spelled: a key of `FORMS`.
        values: What its values are there; one that is not listed stays as it is.
        when: Which values of which columns the record must have for the row to hold; empty for always.
    """

    column: str
    to: str
    form: str
    values: Mapping[str, Any]
    when: When


class Case(NamedTuple):
    """What a kind of record has besides: of the cases of a table, the first that holds counts.

    Attributes:
        when: Which values of which columns a record of this kind has; empty for any record.
        then: What it has, by name.
    """

    when: When
    then: Mapping[str, Any]


class FieldSet(NamedTuple):
    """One table.

    Attributes:
        title: Name and version of what it follows.
        nested: Whether dots in names make objects.
        rest: What a column that has no row is called: this, a dot, and the column's name.
        constants: What every record has, by name.
        otherwise: What a record has, by name, where nothing else gives it.
        cases: What kinds of records have; none gives a name that a row or constant gives.
        fields: The rows, by column; a column may have several, and goes under `rest` where none of them holds.
        asked: The columns that conditions ask for, each with the words that one of them names.
        plans: How records are spelled, by their shape: worked out once for all records of a shape, it changes no answer.
    """

    title: str
    nested: bool
    rest: str
    constants: Mapping[str, Any]
    otherwise: Mapping[str, Any]
    cases: tuple[Case, ...]
    fields: Mapping[str, tuple[Field, ...]]
    asked: tuple[tuple[str, frozenset[str]], ...]
    plans: "dict[_Shape, _Plan]"


_Shape: TypeAlias = tuple[str | None, ...]
"""What decides which rows hold: a record's columns in their order, and its words that conditions ask for."""
_Tree: TypeAlias = "tuple[tuple[str, int | _Tree], ...]"
"""An object: each key with the number of its value's cell, or with an object."""


class _Step(NamedTuple):
    """A cell of a record: the column it is made of, how it is spelled (None: as it is), and what its values are there."""

    cell: int
    column: str
    form: Callable[[Any], Any] | None
    values: Mapping[str, Any]


class _Plan(NamedTuple):
    """How records of one shape are spelled: cells as they are before the record is looked at, steps, and the object."""

    cells: Sequence[Any]
    steps: Sequence[_Step]
    tree: _Tree


FORMS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "same": lambda value: value,
    "text": str,
    "lower": lambda value: str(value).lower(),
    "rfc3339": spell_time,
    "milliseconds": lambda ns: ns // 1_000_000,
    "seconds": lambda ns: ns / _SECOND,
    "nanoseconds": str,
}
"""How values are spelled. Nanoseconds are a text, as in OTLP's JSON: they are more than a double holds."""


def read_fieldset(data: bytes) -> FieldSet:
    """Read a table.

    Raises:
        ValueError: It is none; the text says where. The tables are the product's own, so that this is a defect.
    """
    table = tomllib.loads(data.decode())
    known = {column.name for column in COLUMNS} | {"name"}
    fields: dict[str, tuple[Field, ...]] = {}
    for row in table["field"]:
        one = Field(row["from"], row["to"], row.get("form", "same"), row.get("values", {}), _when(row))
        if one.column not in known or one.form not in FORMS or row.keys() - _KEYS or one.when.keys() - known:
            raise ValueError(f"no row of a field set: {row}")
        fields[one.column] = (*fields.get(one.column, ()), one)
    cases = tuple(Case(_when(one), one["then"]) for one in table.get("case", ()))
    if wrong := sorted({column for one in cases for column in one.when} - known):
        raise ValueError(f"no columns of a case of a field set: {wrong}")
    constants, otherwise = table.get("constants", {}), table.get("otherwise", {})
    conditions = [*(one.when for one in cases), *(row.when for rows in fields.values() for row in rows)]
    columns = sorted({column for when in conditions for column in when})
    asked = tuple((column, frozenset().union(*(when.get(column, ()) for when in conditions))) for column in columns)
    made = FieldSet(table["title"], table["nested"], table["rest"], constants, otherwise, cases, fields, asked, {})
    names = names_of(made)
    if made.nested and any(one.startswith(f"{other}.") for one in names for other in names):
        raise ValueError("a name of a field set is a value and an object")
    return made


def names_of(fieldset: FieldSet) -> frozenset[str]:
    """Give every name that a table speaks of; what a record has under the table's prefix is not among them."""
    rows = {row.to for rows in fieldset.fields.values() for row in rows}
    return frozenset(rows.union(fieldset.constants, fieldset.otherwise, *(one.then for one in fieldset.cases)))


def spell_record(fieldset: FieldSet, record: Mapping[str, Any], name: str | None) -> dict[str, Any]:
    """Spell one record.

    Args:
        fieldset: In whose words.
        record: Its columns that are not null: times in nanoseconds, `attributes` as a mapping.
        name: `<origin>/<seq>`; None where it has none.

    Returns:
        What is JSON, in objects where the field set is nested; equal for equal records.
    """
    known = record if name is None else {**record, "name": name}
    shape = (*known, *[word if (word := known.get(column)) in words else None for column, words in fieldset.asked])
    plan = fieldset.plans.get(shape)
    if plan is None:
        if len(fieldset.plans) >= _MOST_PLANS:  # whoever writes records cannot make us remember without end
            fieldset.plans.clear()
        plan = fieldset.plans[shape] = _planned(fieldset, known)
    cells = list(plan.cells)
    for cell, column, form, values in plan.steps:
        value = known[column] if form is None else form(known[column])
        cells[cell] = values.get(value, value) if values and isinstance(value, str) else value
    return _built(plan.tree, cells)


def _planned(fieldset: FieldSet, known: Mapping[str, Any]) -> _Plan:
    """Work out how records of the shape of one are spelled: of what gives a name, what comes last counts."""
    case = next((one.then for one in fieldset.cases if _holds(one.when, known)), {})
    first: dict[str, Any] = {**fieldset.otherwise, **fieldset.constants, **case}
    cells = {name: at for at, name in enumerate(first)}
    steps: dict[int, _Step] = {}
    for column in known:
        rows = [row for row in fieldset.fields.get(column, ()) if not row.when or _holds(row.when, known)]
        if not rows:
            form = FORMS["rfc3339"] if column.endswith("timestamp") else None
            cell = cells.setdefault(f"{fieldset.rest}.{column}", len(cells))
            steps[cell] = _Step(cell, column, form, {})
        for row in rows:
            cell = cells.setdefault(row.to, len(cells))
            steps[cell] = _Step(cell, column, None if row.form == "same" else FORMS[row.form], row.values)
    values = [*first.values(), *[None] * (len(cells) - len(first))]
    return _Plan(values, tuple(steps.values()), _tree(_nest(cells) if fieldset.nested else cells))


def _tree(cells: Mapping[str, Any]) -> _Tree:
    return tuple((key, _tree(at) if isinstance(at, dict) else at) for key, at in cells.items())


def _built(tree: _Tree, cells: Sequence[Any]) -> dict[str, Any]:
    return {key: cells[at] if isinstance(at, int) else _built(at, cells) for key, at in tree}


def _when(row: Mapping[str, Any]) -> When:
    return {column: frozenset(words) for column, words in row.get("when", {}).items()}


def _holds(when: When, record: Mapping[str, Any]) -> bool:
    return all(column in record and (ANY in words or record[column] in words) for column, words in when.items())


def _nest(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Make objects of dotted names."""
    nested: dict[str, Any] = {}
    for name, value in flat.items():
        at, keys = nested, name.split(".")
        for key in keys[:-1]:
            at = at.setdefault(key, {})
        at[keys[-1]] = value
    return nested


def name_in(fieldset: FieldSet, column: str) -> str | None:
    """Give what a column is called in a field set where its value stays as it is; None where it is nowhere so.

    Example:
        >>> name_in(FieldSet("", False, "kata", {}, {}, (), {}), "object")
        'kata.object'
    """
    rows = fieldset.fields.get(column)
    if rows is None:
        return f"{fieldset.rest}.{column}"
    return next((row.to for row in rows if row.form == "same" and not row.values and not row.when), None)
