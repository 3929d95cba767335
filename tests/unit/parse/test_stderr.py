"""The first word of a plain line of standard error tells its level, or nothing does."""

import pytest

from kata_audit.parse.stderr import severity_of
from kata_audit.schema.severity import ERROR, FATAL


@pytest.mark.parametrize(
    ("text", "severity"),
    [
        ("error: unexpected argument '--bogus' found", ERROR),
        ("Error: RunWithApi(FailedToBindSocket)", ERROR),
        ("Error booting VM: VmBoot", ERROR),
        ("thread 'main' panicked at src/main.rs:1:2:", FATAL),
        ("thread 'main' (12) panicked at src/main.rs:1:2:", FATAL),
        ("thread 'main' started", None),
        ("Usage: virtiofsd", None),
        ("an error: of another", None),
        ("", None),
    ],
)
def test_the_first_word_decides(text: str, severity: int | None) -> None:
    """Errors say so first; a panic has its own form; the rest is silent."""
    assert severity_of(text) == severity
