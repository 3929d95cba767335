"""The clocks of real guests that share their machine's clock: the true skew is nothing, and no clock was ever set."""

import gzip
from pathlib import Path

import pytest
from tests.evidence import column, derive, evidence

from kata_audit.pipeline.clocks import Clocks
from kata_audit.pipeline.uptime import Uptimes
from kata_audit.schema.source import Transport

pytestmark = pytest.mark.corpus

SET = {"guest-vm-debug", "guest-vm-info", "guest-vm-virtiofs", "guest-vm-virtiofs-info"}
"""Runs whose driver called SetGuestDateTime with another day."""


@pytest.mark.parametrize(("run", "least"), [("go-debug2", 8), ("rs-remote-info", 13), ("rs-remote2-info", 4)])
def test_the_true_skew_lies_in_its_band_and_no_late_relay_is_a_jump(corpus: Path, run: str, least: int) -> None:
    """The agents ran in namespaces of the node; what they wrote was relayed up to 0.7 seconds late."""
    data = gzip.decompress((corpus / "captures" / run / "journal.export.gz").read_bytes())
    rows = derive(evidence(data, Transport.JOURNAL_EXPORT))
    names = ("timestamp", "guest_timestamp", "sandbox_id")
    both = [row for row in zip(*(column(rows, name) for name in names), strict=True) if None not in row]
    clocks = Clocks()
    for host_ns, guest_ns, sandbox in sorted(both):
        clocks.add(sandbox, host_ns, guest_ns)
    places = [(clocks.place(sandbox, guest_ns), guest_ns) for _, guest_ns, sandbox in both]

    assert len(clocks.known()) >= least
    assert list(clocks.jumps()) == []
    assert all(abs(place.timestamp_ns - guest_ns) <= (place.band_ns or 0) for place, guest_ns in places)


def test_consoles_tell_which_machines_clocks_were_set(corpus: Path) -> None:
    """Each once, by most of a day, where the driver did it; the other machines' clocks are left alone."""
    found = {}
    for path in sorted((corpus / "captures").glob("guest-vm-*/console.log.gz")):
        made = Uptimes()
        made.add(
            derive(evidence(gzip.decompress(path.read_bytes()), Transport.CONSOLE, stream=f"/{'a' * 64}/console.log?0"))
        )
        found[path.parent.name] = [jump.size_ns // 3_600_000_000_000 for jump in made.jumps()]

    assert {run for run, hours in found.items() if hours} == SET
    assert all(hours in ([], [23]) for hours in found.values())
