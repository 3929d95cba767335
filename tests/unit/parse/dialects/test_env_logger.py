"""env_logger lines: time, level and module in brackets; the module names the program."""

import pytest
from tests.evidence import column, derive, evidence
from tests.mutations import word_mutations

from kata_audit.parse.dialects.env_logger import DIALECT
from kata_audit.parse.dialects.registry import route
from kata_audit.schema.source import Transport

DEPLOY = "[2026-08-01T10:00:00Z INFO  kata_deploy::config] * DEBUG: false"
AGENT = "[2026-08-01T10:00:00.123Z WARN  attestation_agent] No attestation evidence source"
COLOURED = (
    "\x1b[90m[\x1b[0m2026-08-01T10:00:00Z \x1b[31mERROR\x1b[0m confidential_data_hub::hub\x1b[90m]\x1b[0m cannot unwrap"
)


def test_a_line_is_read_whole() -> None:
    """Colours go; seconds may have a fraction; the module is the subsystem."""
    scan = DIALECT.scan([DEPLOY, AGENT, COLOURED, "[2026-08-01T10:00:00Z DEBUG] no module"], [False, True, True, True])

    assert scan.malformed == []
    assert scan.columns["time"] == [
        "2026-08-01T10:00:00Z",
        "2026-08-01T10:00:00.123Z",
        "2026-08-01T10:00:00Z",
        "2026-08-01T10:00:00Z",
    ]
    assert scan.columns["severity_number"] == [9, 13, 17, 5]
    assert scan.columns["body"] == ["* DEBUG: false", "No attestation evidence source", "cannot unwrap", "no module"]
    assert scan.columns["subsystem"] == ["kata_deploy::config", "attestation_agent", "confidential_data_hub::hub", None]
    assert scan.columns["component"] == ["kata-deploy", "guest-components", "guest-components", None]
    assert route([DEPLOY, AGENT, COLOURED]) == {"env-logger": [0, 1, 2]}


@pytest.mark.parametrize(
    ("line", "transport", "component"),
    [
        (DEPLOY, Transport.HOST_FILE, "kata-deploy"),
        (DEPLOY, Transport.CONSOLE, None),
        (AGENT, Transport.CONSOLE, "guest-components"),
        (AGENT, Transport.HOST_FILE, None),
        ("[2026-08-01T10:00:00Z INFO  actix_web] x", Transport.CONSOLE, None),
    ],
)
def test_a_module_names_only_programs_of_its_side(line: str, transport: Transport, component: str | None) -> None:
    """A guest cannot name kata-deploy, and a module of no known program names nothing."""
    rows = derive(evidence((line + "\n").encode(), transport))

    assert column(rows, "component") == [component]
    assert column(rows, "dialect") == ["env-logger"]
    assert column(rows, "timestamp_basis") == ["guest" if transport is Transport.CONSOLE else "host"]


@pytest.mark.parametrize("line", [DEPLOY, AGENT])
def test_a_line_of_the_next_version_is_read_or_marked(line: str) -> None:
    """Time, level and module are what stands in their places; a line that breaks the form stays whole."""
    for _, text in word_mutations(line, seed=17):
        if "env-logger" not in route([text]):
            continue
        scan = DIALECT.scan([text], [True])
        time, module, body = (scan.columns[name][0] for name in ("time", "subsystem", "body"))
        if scan.malformed:
            assert (time, module, body) == (None, None, text)
        else:
            assert text.startswith(f"[{time} ")
            assert text.rstrip().endswith(f"{module or ''}] {body}".rstrip())


@pytest.mark.parametrize(
    "text",
    [
        "[2026-08-01 10:00:00 INFO x] y",
        "[2026-08-01T10:00:00Z info x] y",
        "[INFO] y",
        "[2026-08-01T10:00:00+02:00 INFO x] y",
    ],
)
def test_other_loggers_brackets_are_not_claimed(text: str) -> None:
    """No zone, another spelling of the level, no time: no line of this logger."""
    assert "env-logger" not in route([text])
