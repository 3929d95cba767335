"""Packs with their own outputs, against our receivers: what a shipper sends home is read as if it had been collected here."""

import pytest
from tests.servers.sent_home import CAPTURES, ROADS, Road, differences


@pytest.mark.parametrize("name", CAPTURES)
@pytest.mark.parametrize(
    "road", [pytest.param(one, marks=pytest.mark.servers_all(one.program.is_file()), id=one.name) for one in ROADS]
)
def test_every_column_is_what_ingest_reads(road: Road, name: str) -> None:
    """But for four texts in which the Collector's pack masks a password that is none."""
    found = differences(road, name)
    masked = 4 if (road.name, name) == ("otelcol", "rs-info.journal.json.gz") else 0
    assert {(one.sent - one.equal, one.sent - one.taken) for one in found.values()} == {(masked, 0)}, found
