"""Times are read as people write them, and written as machines read them."""

import pytest

from kata_audit.cli.times import parse_time, rfc3339, span

NOW = 1_795_000_000_123_456_789
SECOND = 1_000_000_000
MIDNIGHT = NOW - NOW % (86_400 * SECOND)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("now", NOW),
        ("today", MIDNIGHT),
        ("yesterday", MIDNIGHT - 86_400 * SECOND),
        ("2 hours ago", NOW - 7200 * SECOND),
        ("1h 30min ago", NOW - 5400 * SECOND),
        ("-90s", NOW - 90 * SECOND),
        ("+1d", NOW + 86_400 * SECOND),
        ("@1795000000", 1_795_000_000 * SECOND),
        ("2026-11-18", MIDNIGHT),
        ("2026-11-18 11:06:40", 1_795_000_000 * SECOND),
        ("2026-11-18 11:06", 1_795_000_000 * SECOND - 40 * SECOND),
        ("2026-11-18T11:06:40.123456789Z", NOW),
        ("2026-11-18T13:06:40.5+02:00", 1_795_000_000 * SECOND + SECOND // 2),
    ],
)
def test_a_time_is_read(text: str, expected: int) -> None:
    """What journalctl takes is taken; a time without a zone is UTC."""
    assert parse_time(text, NOW) == expected


@pytest.mark.parametrize("text", ["", "soon", "2 fortnights ago", "ago", "-", "2026-13-01", "25:00", "10 ago", "@x", "-5"])
def test_what_is_no_time_is_refused(text: str) -> None:
    """A time that nobody can mean is a mistake, never another time."""
    with pytest.raises(ValueError):  # noqa: PT011 - the words are of whoever asked
        parse_time(text, NOW)


def test_times_are_written_in_utc_with_nanoseconds() -> None:
    """The form is RFC 3339; a time no calendar has is still written."""
    assert rfc3339(NOW) == "2026-11-18T11:06:40.123456789Z"
    assert rfc3339(-1) == "1969-12-31T23:59:59.999999999Z"
    assert rfc3339(NOW, digits=0) == "2026-11-18T11:06:40Z"
    assert rfc3339(2**63 - 1) == "2262-04-11T23:47:16.854775807Z"


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (5, "5 ns"),
        (4_200_000, "4.2 ms"),
        (-250_000_000, "-250 ms"),
        (61 * SECOND, "1 min 1 s"),
        (90_000 * SECOND, "1 d 1 h"),
    ],
)
def test_a_length_is_written_for_people(ns: int, text: str) -> None:
    """Two units at most."""
    assert span(ns) == text
