"""Events as `kubectl describe` prints them: `  Normal  Started  88s   kubelet  Started container web`.

They stand in reports of test runs. The age is of the moment of printing, so there is no time.

Source: kubectl `pkg/describe` (`DescribeEvents`, columns two blanks apart); public logs of Kata's own tests.
"""

import re
from collections.abc import Sequence
from typing import Any

from kata_audit.parse.about import About
from kata_audit.parse.dialects.base import Dialect, Scan
from kata_audit.schema.record import Component
from kata_audit.schema.severity import INFO, WARN

_LINE = re.compile(
    r" *+(Normal|Warning) {2,}([A-Z][A-Za-z]*+) {2,}([0-9][0-9a-z]*+(?: \(x[0-9]++ over [0-9a-z]++\))?|<unknown>)"
    r" {2,}([a-z0-9.-]++(?:, [A-Za-z0-9.-]++)?) {2,}(\S.*+)",
    re.DOTALL,
)
_LEVELS = {"Normal": INFO, "Warning": WARN}


def scan(texts: Sequence[str], _guest: Sequence[bool]) -> Scan:
    """Read printed events; see `Dialect`."""
    matches = [_LINE.fullmatch(text.rstrip("\r\n")) for text in texts]
    columns: dict[str, list[Any]] = {
        "severity_number": [match and _LEVELS[match[1]] for match in matches],
        "body": [text if match is None else match[5] for text, match in zip(texts, matches, strict=True)],
        "component": [
            match and (Component.KUBELET if match[4].startswith("kubelet") else Component.OTHER) for match in matches
        ],
    }
    attributes = [{} if match is None else {"reason": match[2], "age": match[3], "source": match[4]} for match in matches]
    return Scan(columns, attributes, [row for row, match in enumerate(matches) if match is None], None)


ABOUT = About(
    producer="`kubectl describe`, in reports of test runs; the kubelet, the scheduler or a controller wrote what it prints.",
    versions="kubectl of any version; read off its source, seen in public test logs only.",
    examples=("  Normal   Pulled     12s   kubelet            Container image already present on machine",),
    holes=("The age is of the moment of printing: there is no time.",),
    source="kubectl `pkg/describe/describe.go`.",
)
DIALECT = Dialect("kubectl-events", r" {2}(?:Normal|Warning) {2,}[A-Z]", " ", scan, ABOUT)
