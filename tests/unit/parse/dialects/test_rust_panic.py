"""The agent's plain lines: panics, backtraces, last words."""

import pytest
from tests.evidence import column, derive, evidence
from tests.mutations import word_mutations

from kata_audit.parse.dialects.registry import route
from kata_audit.parse.dialects.rust_panic import DIALECT
from kata_audit.schema.source import Transport

PANIC = "thread 'main' (1) panicked at src/agent/src/main.rs:121:75:"
OLD = "thread 'tokio-runtime-worker' panicked at 'called `Option::unwrap()` on a `None` value', src/rpc.rs:41:9"
PLACE = {"code.file.path": "src/agent/src/main.rs", "code.line.number": "121", "code.column.number": "75"}


def test_a_panic_says_which_thread_and_where() -> None:
    """The older form carries its message in the same line: it is the body."""
    scan = DIALECT.scan([PANIC, OLD], [True, True])

    assert scan.columns["body"] == [PANIC, "called `Option::unwrap()` on a `None` value"]
    assert scan.columns["severity_number"] == [21, 21]
    assert scan.attributes[0] == {"thread.name": "main", "thread.id": "1", **PLACE}
    assert scan.attributes[1]["thread.name"] == "tokio-runtime-worker"
    assert scan.attributes[1]["code.line.number"] == "41"


@pytest.mark.parametrize(
    ("text", "severity"),
    [
        ("called `Result::unwrap()` on an `Err` value: invalid log level", None),
        ("Caused by:", None),
        ("Stack backtrace:", None),
        ("stack backtrace:", None),
        ("   0: anyhow::kind::Adhoc::new", None),
        ("   1:     0x55d936fbdeaa - core[c1f1a4ba060b9bfa]::fmt::write", None),
        ("  13: <unknown>", None),
        ("             at /rustc/abc/library/std/src/panicking.rs:647:5", None),
        ("note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace", None),
        ("kata-agent shutdown complete\r", None),
        ("wait task error: JoinError::Panic(Id(7))", None),
        ("INFO: interruptable_io_copier: got shutdown request", 9),
    ],
)
def test_the_agents_plain_lines_are_the_agents(text: str, severity: int | None) -> None:
    """The body is the line; a severity only where the line itself says one."""
    rows = derive(evidence((text + "\n").encode(), Transport.CONSOLE))

    assert column(rows, "dialect") == ["rust-panic"]
    assert column(rows, "component") == ["agent"]
    assert column(rows, "body") == [text.rstrip("\r")]
    assert column(rows, "severity_number") == [severity]


def test_at_no_guests_position_it_is_nobodys() -> None:
    """Host programs in Rust panic in the same words."""
    assert column(derive(evidence((PANIC + "\n").encode(), Transport.HOST_FILE)), "component") == [None]


@pytest.mark.parametrize("line", [PANIC, OLD])
def test_a_line_of_the_next_rust_is_read_or_marked(line: str) -> None:
    """Thread and place are what stands in their places, or the line is malformed or plain."""
    for _, text in word_mutations(line, seed=13):
        if "rust-panic" not in route([text]):
            continue
        scan = DIALECT.scan([text], [True])
        said = scan.attributes[0]
        if scan.malformed:
            assert (said, scan.columns["body"]) == ({}, [text])
        else:
            assert text.startswith(f"thread '{said['thread.name']}'")
            assert f"{said['code.file.path']}:{said['code.line.number']}:{said['code.column.number']}" in text


@pytest.mark.parametrize(
    "text",
    [
        "thread 'main' is here",
        "kata-agent shutdown complete soon",
        "     0: five blanks",
        "  1: 2: 3",
        "INFO: other",
        "at x.rs:1",
        "thread '" + "x" * 100_000,
    ],
)
def test_what_only_looks_like_it_is_plain(text: str) -> None:
    """Words of the same beginning are no panic."""
    assert "rust-panic" not in route([text])
