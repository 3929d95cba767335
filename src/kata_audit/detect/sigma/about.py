"""What a rule says of itself: Sigma's own keys, checked by pySigma, and the block `kata:`."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sigma.exceptions import SigmaError, SigmaIdentifierError, SigmaStatusError
from sigma.rule import SigmaLevel, SigmaRule

from kata_audit.detect.rule import About, Need
from kata_audit.detect.sigma.documents import Document
from kata_audit.detect.sigma.fields import checked_field
from kata_audit.detect.sigma.report import Report
from kata_audit.predicate.values import BadValueError
from kata_audit.schema.finding import Level, Maturity

SILENT: Final = re.compile(r"ka_\d{3,}_[a-z0-9_]+")
"""Name of a part that only other rules use."""
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_SIGMA_KEYS: Final = {
    "title": str,
    "id": str,
    "name": str,
    "status": str,
    "level": str,
    "description": str,
    "references": list,
    "tags": list,
    "falsepositives": list,
    "author": str,
    "license": str,
    "related": list,
    "fields": list,
    "scope": list,
    "taxonomy": str,
    "logsource": dict,
}
"""Keys whose kind pySigma takes for granted; others it checks itself."""
_OTHER_KEYS: Final = ("date", "modified", "detection", "correlation", "absence", "filter", "kata", "action")
_KATA_KEYS: Final = ("needs", "group-by", "respond", "controls", "evasions")


@dataclass(frozen=True, slots=True)
class Head:
    """What a document says of itself, whatever it looks for."""

    rule_id: str
    uuid: str
    level: Level
    maturity: Maturity
    needs: tuple[frozenset[Need], ...] | None
    group_by: tuple[str, ...] | None
    stands_alone: bool
    """It has a `kata:` block, and so makes findings even where another rule counts them."""
    about: About


def read_head(document: Document, report: Report) -> Head:
    """Read what a document says of itself; where it is wrong, the report says why, and a default stands in its place."""
    data = document.data
    _see_keys(document, report)
    usable = {
        key: value for key, value in data.items() if key not in _SIGMA_KEYS or isinstance(value, _SIGMA_KEYS[key] | None)
    }
    false_positives = _texts(document, ("falsepositives",), usable.pop("falsepositives", None), report)
    references = _texts(document, ("references",), usable.pop("references", None), report)
    stated, errors = SigmaRule.from_dict_common_params(usable, collect_errors=True)
    for error in errors:
        if isinstance(error, SigmaStatusError):
            continue  # told below, in one sentence for all that is not run
        message = "Every rule has an `id`: a UUID of its own." if isinstance(error, SigmaIdentifierError) else str(error)
        report.add(document, _place_of(error, data), f"{message.rstrip('.')}.")
    if data.get("id") is None:
        report.add(document, ("id",), "Every rule has an `id`: a UUID of its own.")
    name, level = stated["name"], stated["level"]
    if name is not None and not _NAME.fullmatch(name):
        report.add(document, ("name",), "A name is letters, digits and `._-`, at most 64 long.")
    kata = _kata(document, report)
    about = About(
        title=" ".join(str(stated["title"]).split()),
        description=" ".join((stated["description"] or "").split()),
        tags=tuple(f"{tag.namespace}.{tag.name}".lower() for tag in stated["tags"]),
        false_positives=false_positives,
        respond=kata.respond,
        controls=kata.controls,
        evasions=kata.evasions,
        references=references,
    )
    return Head(
        rule_id=name or str(stated["id"] or document.place()),
        uuid=str(stated["id"] or document.place()),
        level=Level(level.name.lower()) if isinstance(level, SigmaLevel) else Level.MEDIUM,
        maturity=_status(document, report),
        needs=kata.needs,
        group_by=kata.group_by,
        stands_alone=kata.stated,
        about=about,
    )


def _see_keys(document: Document, report: Report) -> None:
    for key, value in document.data.items():
        if key not in _SIGMA_KEYS and key not in _OTHER_KEYS:
            report.add(document, (key,), f"There is no key `{key}` in a rule.")
        elif value is not None and key in _SIGMA_KEYS and not isinstance(value, _SIGMA_KEYS[key]):
            report.add(document, (key,), f"`{key}` is {_KINDS[_SIGMA_KEYS[key]]}.")


_KINDS: Final[Mapping[type, str]] = {str: "a text; put it in quotation marks", list: "a list", dict: "a mapping"}
_ERROR_KEYS: Final = {
    "SigmaIdentifierError": "id",
    "SigmaNameError": "name",
    "SigmaTaxonomyError": "taxonomy",
    "SigmaRelatedError": "related",
    "SigmaLevelError": "level",
    "SigmaTagError": "tags",
    "SigmaValueError": "tags",
    "SigmaDateError": "date",
    "SigmaModifiedError": "modified",
    "SigmaTitleError": "title",
}


def _place_of(error: SigmaError, data: Mapping[str, Any]) -> tuple[str, ...]:
    key = _ERROR_KEYS.get(type(error).__name__)
    return (key,) if key is not None and key in data else ()


def _status(document: Document, report: Report) -> Maturity:
    status = document.data.get("status")
    if status is None:
        return Maturity.EXPERIMENTAL
    if status not in list(Maturity):
        report.add(document, ("status",), f"The status is one of {', '.join(Maturity)}; another rule is not run.")
        return Maturity.EXPERIMENTAL
    return Maturity(status)


@dataclass(frozen=True, slots=True)
class _Kata:
    stated: bool
    needs: tuple[frozenset[Need], ...] | None = None
    group_by: tuple[str, ...] | None = None
    respond: tuple[str, ...] = ()
    controls: tuple[str, ...] = ()
    evasions: tuple[str, ...] = ()


def _kata(document: Document, report: Report) -> _Kata:
    block = document.data.get("kata")
    if block is None:
        return _Kata(stated=False)
    if not isinstance(block, dict):
        report.add(document, ("kata",), "`kata` is a mapping.")
        return _Kata(stated=True)
    for key in block.keys() - set(_KATA_KEYS):
        report.add(document, ("kata", key), f"There is no key `{key}` in `kata`; there are {', '.join(_KATA_KEYS)}.")
    needs = _needs(document, block["needs"], report) if "needs" in block else None
    group_by = read_fields(document, ("kata", "group-by"), block["group-by"], report) if "group-by" in block else None
    respond, controls, evasions = (
        _texts(document, ("kata", key), block.get(key), report) for key in ("respond", "controls", "evasions")
    )
    return _Kata(True, needs, group_by, respond, controls, evasions)


def _texts(document: Document, path: tuple[str, ...], value: Any, report: Report) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        report.add(document, path, f"`{path[-1]}` is a list of texts.")
        return ()
    for place, item in enumerate(value):
        if not isinstance(item, str):
            report.add(document, (*path, place), f"`{path[-1]}` is a list of texts; put this one in quotation marks.")
    return tuple(" ".join(item.split()) for item in value if isinstance(item, str))


def _needs(document: Document, value: Any, report: Report) -> tuple[frozenset[Need], ...]:
    groups = value if isinstance(value, list) else [value]
    found = []
    for place, group in enumerate(groups):
        names = group if isinstance(group, list) else [group]
        unknown = [name for name in names if name not in list(Need)]
        if unknown or not names:
            report.add(document, ("kata", "needs", place), f"A need is one of {', '.join(Need)}, in groups of alternatives.")
        else:
            found.append(frozenset(map(Need, names)))
    return tuple(found)


def read_fields(
    document: Document,
    path: tuple[str, ...],
    value: Any,
    report: Report,
    check: Callable[[str], str] = checked_field,
) -> tuple[str, ...]:
    """Read a list of fields; what is wrong goes into the report.

    Args:
        document: Where it stands.
        path: The place in it.
        value: What stands there: one name or a list.
        report: Takes the problems.
        check: Gives a name back, or raises `BadValueError`.
    """
    names = value if isinstance(value, list) else [value]
    found = []
    for name in names:
        with report.noting(document, path):
            if not isinstance(name, str):
                raise BadValueError("A field is a text.")
            found.append(check(name))
    return tuple(found)
