"""tracing-subscriber's text: the level is right-aligned, the target ends in a colon."""

import pytest
from tests.mutations import word_mutations

from kata_audit.parse.dialects.registry import route
from kata_audit.parse.dialects.tracing import DIALECT

PLAIN = "2026-08-01T10:00:00.123456Z  INFO confidential_data_hub: starting socket=/run/confidential-containers/cdh.sock"
DEEP = "2026-08-01T10:00:00Z ERROR kbs_protocol::client::rcar_client: authenticate failed"
COLOURED = (
    "\x1b[2m2026-08-01T10:00:00.123456Z\x1b[0m \x1b[33m WARN\x1b[0m \x1b[2mattestation_agent\x1b[0m\x1b[2m:\x1b[0m no token"
)


def test_a_line_is_read_whole() -> None:
    """Fields stay in the text, where no mark tells them from it."""
    scan = DIALECT.scan([PLAIN, DEEP, COLOURED], [True, True, True])

    assert scan.malformed == []
    assert scan.columns["time"] == ["2026-08-01T10:00:00.123456Z", "2026-08-01T10:00:00Z", "2026-08-01T10:00:00.123456Z"]
    assert scan.columns["severity_number"] == [9, 17, 13]
    assert scan.columns["body"] == [
        "starting socket=/run/confidential-containers/cdh.sock",
        "authenticate failed",
        "no token",
    ]
    assert scan.columns["subsystem"] == ["confidential_data_hub", "kbs_protocol::client::rcar_client", "attestation_agent"]
    assert scan.columns["component"] == ["guest-components"] * 3
    assert route([PLAIN, DEEP, COLOURED]) == {"tracing": [0, 1, 2]}


def test_a_first_word_that_may_be_the_texts_is_no_target() -> None:
    """`warning:` and the like stay where they are; a span stands in the text too."""
    texts = [
        "2026-08-01T10:00:00Z  INFO listening: on 80",
        "2026-08-01T10:00:00Z  INFO request{id=1}: api_server_rest: done",
        "2026-08-01T10:00:00Z  INFO ",
    ]
    scan = DIALECT.scan(texts, [True] * 3)

    assert scan.columns["subsystem"] == [None, None, None]
    assert scan.columns["body"] == ["listening: on 80", "request{id=1}: api_server_rest: done", ""]
    assert scan.columns["component"] == [None, None, None]


@pytest.mark.parametrize("line", [PLAIN, DEEP])
def test_a_line_of_the_next_version_is_read_or_marked(line: str) -> None:
    """Time, level and target are what stands in their places."""
    for _, text in word_mutations(line, seed=19):
        if "tracing" not in route([text]):
            continue
        scan = DIALECT.scan([text], [True])
        time, target, body = (scan.columns[name][0] for name in ("time", "subsystem", "body"))
        if scan.malformed:
            assert (time, target, body) == (None, None, text)
        else:
            assert text.startswith(f"{time} ")
            assert text.endswith(f" {target}: {body}" if target else f" {body}")


@pytest.mark.parametrize(
    "text",
    [
        "2025-08-20T23:03:56.817256Z\terror\tiptables binary",
        "2026-08-01T10:00:00Z info x: y",
        "2026-08-01 10:00:00 INFO x: y",
        "2026-08-01T10:00:00Z  INFOx",
    ],
)
def test_other_loggers_times_are_not_claimed(text: str) -> None:
    """Tabs, small letters, no `T`: no line of this logger."""
    assert "tracing" not in route([text])
