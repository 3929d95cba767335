"""What standard error tells of its level where no logger wrote it: a program's last words, usage errors, panics.

Shared by the dialects of hypervisors and their helpers.

Source: clap `error::Kind`, Rust `std::panicking` and `main() -> Result`; captures of Cloud Hypervisor and virtiofsd.
"""

import re

from kata_audit.schema.severity import ERROR, FATAL

_PANIC = re.compile(r"thread '[^'\n]{0,255}' (?:\(\d{1,20}\) )?panicked at ")
_ERRORS = ("error: ", "Error: ", "ERROR: ", "fatal: ", "Error ")


def severity_of(text: str) -> int | None:
    """Tell the severity that a plain line of standard error states by its first word; None where it states none.

    Args:
        text: The line, without the program's name.

    Returns:
        An OpenTelemetry severity number.

    Example:
        >>> severity_of("error: unexpected argument '--bogus' found")
        17
    """
    if text.startswith(_ERRORS):
        return ERROR
    return FATAL if text.startswith("thread '") and _PANIC.match(text) else None
