"""An examination in the forms that other programs read: our own JSON, JUnit, SARIF, OCSF Compliance Findings.

Source: SARIF 2.1.0 (OASIS); the JUnit XML that CI systems agree on; OCSF 1.3, class 2003.
"""

import os
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote
from xml.etree.ElementTree import Element, SubElement, tostring

from kata_audit import __version__
from kata_audit.node.check import NODE, Answer, Check, Evidence, Severity, Status
from kata_audit.node.examine import Examination, Finding
from kata_audit.node.layout import described

_URI: Final = "https://github.com/kata-audit/kata-audit"
_SARIF_LEVELS: Final = {
    Severity.CRITICAL: "error",
    Severity.HIGH: "error",
    Severity.MEDIUM: "warning",
    Severity.LOW: "note",
    Severity.INFO: "note",
}
_OCSF_SEVERITY: Final = {
    Severity.INFO: 1,
    Severity.LOW: 2,
    Severity.MEDIUM: 3,
    Severity.HIGH: 4,
    Severity.CRITICAL: 5,
}
_OCSF_STATUS: Final = {
    Status.PASS: (1, "Pass"),
    Status.WARN: (2, "Warning"),
    Status.FAIL: (3, "Fail"),
    Status.BLIND: (0, "Unknown"),
}


def summary(examination: Examination) -> dict[str, int]:
    """Count the answers by status."""
    return {str(status): sum(one.answer.status is status for one in examination.findings) for status in Status}


def as_objects(examination: Examination) -> dict[str, Any]:
    """Give the whole as data: engines, handlers with their effective settings, and all answers."""
    layout = examination.node.layout
    return {
        "summary": summary(examination),
        "engines": [engine._asdict() for engine in layout.engines],
        "handlers": [described(one) for one in layout.classes],
        "unreadable": dict(layout.unreadable),
        "findings": [finding_object(one) for one in examination.findings],
    }


def finding_object(finding: Finding) -> dict[str, Any]:
    """Give one answer with its check."""
    check, answer = finding
    return {
        "check": check.id,
        "title": check.title,
        "subject": answer.subject,
        "status": str(answer.status),
        "severity": str(check.severity),
        "said": answer.said,
        "evidence": [_place(one) for one in answer.evidence],
        "why": check.why,
        "remedy": check.remedy,
        "controls": list(check.controls),
    }


def _place(evidence: Evidence) -> dict[str, Any]:
    told: dict[str, Any] = {"path": evidence.path, "text": evidence.text}
    return told if evidence.line is None else {**told, "line": evidence.line}


def as_junit(examination: Examination) -> bytes:
    """Give JUnit XML: a suite for the node and each class, a case for each check. WARN passes, BLIND is skipped."""
    suites = Element("testsuites", name="kata-audit node check")
    by_subject: dict[str, list[Finding]] = {}
    for finding in examination.findings:
        by_subject.setdefault(finding.answer.subject, []).append(finding)
    for subject, findings in by_subject.items():
        count = {status: sum(one.answer.status is status for one in findings) for status in Status}
        suite = SubElement(
            suites,
            "testsuite",
            name=_xml(subject),
            tests=str(len(findings)),
            failures=str(count[Status.FAIL]),
            skipped=str(count[Status.BLIND]),
        )
        for check, answer in findings:
            case = SubElement(suite, "testcase", classname=check.id, name=check.title)
            if answer.status is Status.FAIL:
                SubElement(case, "failure", message=_xml(answer.said)).text = _xml(f"{check.remedy} {_spelled(answer)}")
            elif answer.status is Status.BLIND:
                SubElement(case, "skipped", message=_xml(f"BLIND: {answer.said}"))
            elif answer.status is Status.WARN:
                SubElement(case, "system-out").text = _xml(f"WARN: {answer.said}")
    return bytes(tostring(suites, encoding="utf-8", xml_declaration=True))


def _xml(text: str) -> str:
    """Write out what XML cannot hold."""
    return "".join(c if c.isprintable() or c == " " else f"\\u{ord(c):04x}" for c in text)


def _spelled(answer: Answer) -> str:
    return "; ".join(f"{one.path}{f':{one.line}' if one.line else ''}: {one.text}" for one in answer.evidence)


def as_sarif(examination: Examination) -> dict[str, Any]:
    """Give a SARIF log with a rule for each check that was asked and a result for each answer that is no PASS."""
    checks = {one.check.id: one.check for one in examination.findings}
    return {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "kata-audit",
                        "version": __version__,
                        "informationUri": _URI,
                        "rules": [_rule(check) for check in checks.values()],
                    }
                },
                "results": [_result(one) for one in examination.findings if one.answer.status is not Status.PASS],
            }
        ],
    }


def _rule(check: Check) -> dict[str, Any]:
    return {
        "id": check.id,
        "shortDescription": {"text": check.title},
        "fullDescription": {"text": check.why},
        "help": {"text": check.remedy},
        "defaultConfiguration": {"level": _SARIF_LEVELS[check.severity]},
        "properties": {"tags": list(check.controls)},
    }


def _result(finding: Finding) -> dict[str, Any]:
    check, answer = finding
    level = (
        _SARIF_LEVELS[check.severity]
        if answer.status is Status.FAIL
        else "warning"
        if answer.status is Status.WARN
        else "none"  # a result that is open has no level. Source: SARIF 2.1.0, 3.27.10
    )
    places = [_location(one) for one in answer.evidence if one.path]
    told: dict[str, Any] = {
        "ruleId": check.id,
        "level": level,
        "kind": "open" if answer.status is Status.BLIND else "fail",
        "message": {"text": f"{answer.subject}: {answer.said}"},
    }
    return {**told, "locations": places} if places else told


def _location(evidence: Evidence) -> dict[str, Any]:
    place: dict[str, Any] = {"artifactLocation": {"uri": quote(os.fsencode(evidence.path.lstrip("/")))}}
    if evidence.line is not None:
        place["region"] = {"startLine": evidence.line}
    return {"physicalLocation": place}


def as_ocsf(examination: Examination, *, node: str, time_ms: int) -> Sequence[Mapping[str, Any]]:
    """Give OCSF Compliance Findings, one for each answer.

    Args:
        examination: What was found.
        node: `<cluster>/<node name>`.
        time_ms: When it was looked, in milliseconds since the epoch.
    """
    return [_compliance(one, node, time_ms) for one in examination.findings]


def _compliance(finding: Finding, node: str, time_ms: int) -> dict[str, Any]:
    check, answer = finding
    status_id, status = _OCSF_STATUS[answer.status]
    kind = "node" if answer.subject == NODE else "runtime-class"
    return {
        "class_uid": 2003,
        "class_name": "Compliance Finding",
        "category_uid": 2,
        "activity_id": 1,
        "type_uid": 200301,
        "time": time_ms,
        "severity_id": _OCSF_SEVERITY[check.severity] if answer.status is not Status.PASS else 1,
        "status_id": 1,
        "message": answer.said,
        "metadata": {"version": "1.3.0", "product": {"name": "kata-audit", "version": __version__}},
        "finding_info": {"uid": f"{node}/{answer.subject}/{check.id}", "title": check.title, "desc": check.why},
        "compliance": {
            "control": check.id,
            "standards": sorted({control.partition(" ")[0] for control in check.controls}) or ["kata-audit"],
            "requirements": list(check.controls),
            "status_id": status_id,
            "status": status,
        },
        "remediation": {"desc": check.remedy},
        "resources": [{"type": kind, "name": answer.subject, "owner": {"name": node}}],
    }
