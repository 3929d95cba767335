"""A notice keeps its name wherever it is written down, and no two have the same."""

import dataclasses
import json

import pytest
from tests.notices import NOTICE

from kata_audit.schema.notice import NoticeKind, notice_values, read_notice


def test_a_notice_survives_being_written_down() -> None:
    """Values of JSON give the same notice back, name and all."""
    again = read_notice(json.loads(json.dumps(notice_values(NOTICE))))

    assert again == NOTICE
    assert again.dedup_key == "6ddc7cf9fe104563f31d2592a2b83547"


@pytest.mark.parametrize(
    "change",
    [
        {"kind": NoticeKind.REPEATED},
        {"alert_id": "another"},
        {"time_ns": 0},
        {"starts_ns": 0},
        {"ends_ns": 1_795_000_001_000_000_000},
        {"count": 4},
    ],
)
def test_another_notice_has_another_name(change: dict[str, object]) -> None:
    """Whatever tells one notice from another is in its name."""
    other = dataclasses.replace(NOTICE, **change)  # type: ignore[arg-type]

    assert other.dedup_key != NOTICE.dedup_key
