"""Packs with their own outputs, against our receivers: what a shipper sends home is read as if it had been collected here."""

import pytest
from tests.servers.sent_home import CAPTURES, ROADS, Road, differences

MASKED = {("otelcol", "rs-info"): 4, ("syslog-ng", "rs-info"): 4, ("rsyslog", "rs-info"): 8, ("rsyslog", "go-debug"): 4}


@pytest.mark.parametrize("name", CAPTURES)
@pytest.mark.parametrize(
    "road", [pytest.param(one, marks=pytest.mark.servers_all(one.program.is_file()), id=one.name) for one in ROADS]
)
def test_every_column_is_what_ingest_reads(road: Road, name: str) -> None:
    """But for texts in which a pack masks what is no secret: a password that is none, or a search path."""
    found = differences(road, name)
    masked = MASKED.get((road.name, name.partition(".")[0]), 0)
    assert {(one.sent - one.equal, one.sent - one.taken) for one in found.values()} == {(masked, 0)}, found
