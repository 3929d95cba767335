"""Rule files become rules: every file is read whole, and every problem of every file is reported together."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from kata_audit.detect.rule import Absence, Condition, Correlation, Rule
from kata_audit.detect.sigma.about import SILENT, Head, read_head
from kata_audit.detect.sigma.companions import Bases, read_absence, read_correlation, references_of
from kata_audit.detect.sigma.detection import Detection, read_detection
from kata_audit.detect.sigma.documents import Document, read_documents
from kata_audit.detect.sigma.lists import LISTS
from kata_audit.detect.sigma.logsources import NEEDS, LogsourceError, condition_of
from kata_audit.detect.sigma.report import Report
from kata_audit.detect.sigma.values import Lists
from kata_audit.errors import Problem, RulesError
from kata_audit.predicate.tree import NOTHING, Predicate, all_of, simplify

_KINDS: Final = ("detection", "correlation", "absence", "filter")
_GROUP_BY: Final = ("node", "sandbox_id")
"""What tells alerts of a rule apart that does not say it."""
_EMPTY: Final[Lists] = {}


def read_rules(files: Sequence[tuple[str, bytes]], lists: Lists = _EMPTY) -> tuple[Rule, ...]:
    """Read rule files.

    Args:
        files: Name and bytes of each; the name is what problems call it.
        lists: Values of the lists that rules name by `expand`, see `lists.py`; what is not given is empty.

    Returns:
        The rules, in order of files and documents; filters are put into the rules that they speak of.

    Raises:
        RulesError: With every problem of every file, each with file, line and reason.
    """
    rules, problems = examine_rules(files, lists)
    if problems:
        raise mistakes(problems)
    return rules


def examine_rules(files: Sequence[tuple[str, bytes]], lists: Lists = _EMPTY) -> tuple[tuple[Rule, ...], list[Problem]]:
    """Read rule files as `read_rules` does, and give what could be read beside what is wrong."""
    report = Report()
    read: list[tuple[Document, Head]] = []
    for file, content in files:
        documents, problems = read_documents(file, content)
        report.problems += problems
        read += [(document, read_head(document, report)) for document in documents if _has_one_kind(document, report)]
    rules = _Reader(read, lists, report).rules()
    return rules, report.sorted()


def mistakes(problems: Sequence[Problem]) -> RulesError:
    """Make one error of all problems."""
    count = "one mistake" if len(problems) == 1 else f"{len(problems)} mistakes"
    return RulesError(f"The rules have {count}.", problems=problems)


def _has_one_kind(document: Document, report: Report) -> bool:
    kinds = [kind for kind in _KINDS if kind in document.data]
    if "action" in document.data:
        report.add(document, ("action",), "Actions of collections are not run; write each rule out.")
        return False
    if len(kinds) != 1:
        report.add(document, (), f"A document has one of {', '.join(f'`{kind}`' for kind in _KINDS)}.")
        return False
    return True


class _Reader:
    """Turns documents into rules, knowing all of them."""

    def __init__(self, read: list[tuple[Document, Head]], lists: Lists, report: Report) -> None:
        self._read = read
        self._lists = lists
        self._report = report
        self._see_unique()
        ids = {name: head.rule_id for _, head in read for name in (head.rule_id, head.uuid)}
        events = frozenset(head.rule_id for document, head in read if "detection" in document.data)
        absences = frozenset(
            head.rule_id
            for document, head in read
            if "absence" in document.data and all(ids.get(name) in events for name in references_of(document)[0])
        )
        self._bases = Bases(ids, events, absences)
        self._used, self._generated = self._references()

    def _see_unique(self) -> None:
        seen: dict[str, str] = {}
        for document, head in self._read:
            for key, name in (("name", head.rule_id), ("id", head.uuid)):
                if name in seen and not (key == "id" and head.rule_id == head.uuid):
                    self._report.add(document, (key,), f"The {key} `{name}` is taken already, at {seen[name]}.")
                seen.setdefault(name, document.place(key))

    def _references(self) -> tuple[set[str], set[str]]:
        used: set[str] = set()
        generated: set[str] = set()
        for document, _ in self._read:
            names, generates = references_of(document)
            found = {self._bases.ids[name] for name in names if name in self._bases.ids}
            used |= found
            if generates:
                generated |= found
        return used, generated

    def rules(self) -> tuple[Rule, ...]:
        """Read every document: rules on single events, what filters leave of them, rules over those, and over these."""
        known = {
            head.rule_id: self._rule(document, head, self._detection(document, "detection"), self._lists_in(document))
            for document, head in self._read
            if "detection" in document.data
        }
        for document, _ in self._read:
            if "filter" in document.data:
                self._filter(document, known)
        for is_lower in (True, False):
            over = [one for one in self._read if one[1].rule_id not in self._bases.events]
            those = [one for one in over if (one[1].rule_id in self._bases.absences) is is_lower]
            read = (self._companion(document, head, known) for document, head in those)
            known |= {rule.rule_id: rule for rule in read if rule is not None}
        return tuple(known[head.rule_id] for _, head in self._read if head.rule_id in known)

    def _companion(self, document: Document, head: Head, known: Mapping[str, Rule]) -> Rule | None:
        when: Correlation | Absence | None = None
        names: tuple[str, ...] = ()
        if "correlation" in document.data:
            when = read_correlation(document, self._bases, self._report)
            names = when.rules if when is not None else ()
        elif "absence" in document.data:
            when = read_absence(document, self._bases, self._report)
            names = (when.trigger, *when.unless) if when is not None else ()
        return (
            self._rule(document, head, when, [known[name].digest.encode() for name in names if name in known])
            if when
            else None
        )

    def _rule(self, document: Document, head: Head, when: Condition, outside: list[bytes]) -> Rule:
        stated_by = when.group_by if isinstance(when, Correlation | Absence) else _GROUP_BY
        return Rule(
            rule_id=head.rule_id,
            digest=_digest(document, head.rule_id.encode(), *outside),
            level=head.level,
            maturity=head.maturity,
            when=when,
            needs=NEEDS.get(_service(document) or "", ()) if head.needs is None else head.needs,
            group_by=stated_by if head.group_by is None else head.group_by,
            silent=self._is_silent(head),
            about=replace(head.about, lists=_lists_of(document)),
            place=document.place(),
        )

    def _is_silent(self, head: Head) -> bool:
        if SILENT.fullmatch(head.rule_id):
            return True
        return not head.stands_alone and head.rule_id in self._used - self._generated

    def _detection(self, document: Document, root: str) -> Predicate:
        logsource = document.data.get("logsource")
        block = Detection(document, root, self._lists, self._report)
        detection = read_detection(block, frozenset({"rules"}) if root == "filter" else frozenset())
        try:
            asked = condition_of(logsource)
        except LogsourceError as error:
            self._report.add(document, ("logsource",), str(error))
            return NOTHING
        return detection if root == "filter" else simplify(all_of(asked, detection))

    def _filter(self, document: Document, events: dict[str, Rule]) -> None:
        """Put a filter into the rules that it speaks of: those that it names, of its own `logsource`."""
        where = self._detection(document, "filter")
        block = document.data["filter"]
        stated = block.get("rules") if isinstance(block, dict) else None
        names = stated if isinstance(stated, list) else [stated]
        service = _service(document)
        within = {head.rule_id for other, head in self._read if service in (None, _service(other))} & events.keys()
        targets = {self._bases.ids.get(name) if isinstance(name, str) else None for name in names}
        if stated == "any":
            targets = {*within}
        elif not names or not targets <= within:
            self._report.add(
                document, ("filter", "rules"), "`rules` is `any`, or names rules with a `detection` of this `logsource`."
            )
        for rule_id in within & targets:
            rule = events[rule_id]
            assert not isinstance(rule.when, Correlation | Absence)
            digest = _digest(document, rule.digest.encode(), *self._lists_in(document))
            events[rule_id] = replace(rule, when=simplify(all_of(rule.when, where)), digest=digest)

    def _lists_in(self, document: Document) -> list[bytes]:
        """Spell the filled lists that a document names: they are part of what it finds."""
        filled = (name for name in _lists_of(document) if name in self._lists)
        return [f"{name}={list(self._lists[name])!r}".encode() for name in filled]


def _service(document: Document) -> str | None:
    logsource = document.data.get("logsource")
    service = logsource.get("service") if isinstance(logsource, dict) else None
    return service if isinstance(service, str) else None


def _lists_of(document: Document) -> tuple[str, ...]:
    text = repr(document.data)
    return tuple(name for name in sorted(LISTS) if f"%{name}%" in text)


def _digest(document: Document, *others: bytes) -> str:
    """Commit to all that decides what a rule finds: its file's bytes, its id, and what it takes from outside of its file."""
    parts = b"".join(len(part).to_bytes(4, "big") + part for part in others)
    return hashlib.sha256(document.file_digest + parts).hexdigest()
