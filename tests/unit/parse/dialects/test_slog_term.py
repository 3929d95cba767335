"""kata-ctl on its terminal: a line of the logger's values, then indented records."""

import pytest
from tests.evidence import column, derive, evidence
from tests.mutations import word_mutations

from kata_audit.parse.dialects.registry import route
from kata_audit.parse.dialects.slog_term import DIALECT
from kata_audit.schema.source import Transport

CHECK = [
    "subsystem: x86_64",
    " Nov 23 06:20:28.251 INFO check CPU: x86_64",
    ' Nov 23 06:20:28.251 WARN Missing CPU flags ["vmx"]',
    ' Nov 23 06:20:28.467 ERRO Error("key must be a string", line: 1, column: 2)',
]


def test_what_kata_ctl_printed_is_read() -> None:
    """The time has no year: it is kept as it is, and claims no instant."""
    rows = derive(evidence("".join(line + "\n" for line in CHECK).encode(), Transport.HOST_FILE))

    assert column(rows, "dialect") == ["slog-term"] * 4
    assert column(rows, "component") == ["kata-ctl"] * 4
    assert column(rows, "severity_number") == [None, 9, 13, 17]
    assert column(rows, "body") == [
        "subsystem: x86_64",
        "check CPU: x86_64",
        'Missing CPU flags ["vmx"]',
        'Error("key must be a string", line: 1, column: 2)',
    ]
    assert column(rows, "subsystem") == ["x86_64", None, None, None]
    assert column(rows, "timestamp_basis") == ["observed"] * 4
    assert dict(column(rows, "attributes")[1]) == {"time.local": "Nov 23 06:20:28.251"}


def test_colours_and_a_guests_position() -> None:
    """A guest cannot name kata-ctl."""
    coloured = "\x1b[1m \x1b[0mNov 23 06:20:28.251 \x1b[32mINFO\x1b[0m check"
    scan = DIALECT.scan([coloured], [True])

    assert route([coloured]) == {"slog-term": [0]}
    assert (scan.columns["body"], scan.columns["component"]) == (["check"], [None])


@pytest.mark.parametrize("line", CHECK)
def test_a_line_of_the_next_version_is_read_or_marked(line: str) -> None:
    """Time, level and text are what stands in their places."""
    for _, text in word_mutations(line, seed=23):
        if "slog-term" not in route([text]):
            continue
        scan = DIALECT.scan([text], [False])
        time, body = scan.attributes[0].get("time.local"), scan.columns["body"][0]
        if scan.malformed:
            assert (time, body) == (None, text)
        elif time is None:
            assert text.rstrip() == f"subsystem: {scan.columns['subsystem'][0]}"
        else:
            assert text.lstrip().startswith(time + " ")
            assert text.endswith(body)


@pytest.mark.parametrize(
    "text",
    [
        "subsystem: two words",
        "Nov 23 06:20:28 INFO x",
        "Nov 23 06:20:28.251 info x",
        "Nov 23 06:20:28.251 host kata[1]: x",
        "          Nov 23 06:20:28.251 INFO x",
    ],
)
def test_other_times_of_that_look_are_not_claimed(text: str) -> None:
    """Syslog's lines have no thousandths and no level."""
    assert "slog-term" not in route([text])
