"""A console file tells that its guest's clock was set: the kernel's uptime did not move."""

import pytest
from tests.evidence import column, derive, evidence
from tests.unit.pipeline.story_rows import SANDBOX, SECOND, START_NS, records

from kata_audit.pipeline.clocks import Clocks, Jump
from kata_audit.pipeline.uptime import Uptimes
from kata_audit.schema.source import Transport

CONSOLE = (
    b"[    3.816620] ACPI: button: Power Button [PWRF]\r\n"
    b'{"msg":"rpc call from shim to agent: \\"set_guest_date_time\\"","level":"INFO","ts":"2026-11-23T06:08:'
    b'48.132287791Z","subsystem":"rpc","name":"kata-agent","source":"agent","pid":"1","version":"0.1.0"}\r\n'
    b'{"msg":"policy check: SetGuestDateTimeRequest","level":"DEBG","ts":"2026-11-23T06:08:48.132927472Z",'
    b'"pid":"1","source":"agent","name":"kata-agent","version":"0.1.0","subsystem":"rpc"}\r\n'
    b'{"msg":"rpc call from shim to agent: \\"online_cpu_mem\\"","level":"INFO","ts":"2026-11-24T06:00:00.00'
    b'3392454Z","pid":"1","source":"agent","version":"0.1.0","subsystem":"rpc","name":"kata-agent"}\r\n'
    b"[   12.096569] reboot: Power down\r\n"
)
"""Lines of a QEMU machine of ours (Kata 4.1.0), on whose console they stand in this order."""


def jumps(*rows: dict[str, object]) -> list[Jump]:
    """Read records of one console file in their order."""
    made = Uptimes()
    made.add(records(*({"cursor": f"console?1-2-aa@{at}+1", **row} for at, row in enumerate(rows))))
    return list(made.jumps())


def kernel(uptime: str, component: str = "guest-kernel") -> dict[str, object]:
    """A kernel line."""
    return {"origin": "guest", "component": component, "attributes": [("elapsed", uptime)], "timestamp_basis": "observed"}


def agent(at: float, **more: object) -> dict[str, object]:
    """An agent's record."""
    return {"origin": "guest", "component": "agent", "guest_timestamp": START_NS + round(at * SECOND), **more}


def test_a_real_console_tells_that_its_clock_was_set() -> None:
    """Lines of a machine whose clock moved by a day within nine seconds of uptime."""
    made = Uptimes()
    made.add(derive(evidence(CONSOLE, Transport.CONSOLE, stream=f"/run/vc/vm/{SANDBOX}/console.log?1-2-aa")))
    (jump,) = made.jumps()

    assert jump.sandbox_id == SANDBOX
    assert jump.size_ns == 85_863_590_515_982
    assert column(derive(evidence(CONSOLE, Transport.CONSOLE)), "timestamp")[2:4] == [jump.after_ns, jump.at_ns]


@pytest.mark.parametrize(
    ("before", "after", "size"),
    [
        (kernel("3.000000"), kernel("13.000000"), 80),
        (kernel("0.000000"), kernel("13.000000"), 77),
        ({}, kernel("13.000000"), 77),
        (kernel("3.000000"), kernel("200.000000"), None),
        (kernel("3.000000"), {}, None),
        (kernel("3.000000"), kernel("13.000000", "cloud-hypervisor"), None),
        (kernel("3.000000"), kernel("13"), None),
    ],
)
def test_only_what_the_uptime_cannot_hold_is_a_jump(before: dict[str, object], after: dict[str, object], size: int) -> None:
    """Ninety seconds of an agent's time in ten of uptime; a long silence, or no uptime of a kernel, tells nothing."""
    assert [jump.size_ns for jump in jumps(before, agent(0), agent(90), after)] == ([size * SECOND] if size else [])


def test_a_clock_that_goes_back_needs_no_uptime() -> None:
    """In one file later is later; a few milliseconds are threads of the agent."""
    assert jumps(agent(100), agent(99.9), agent(10)) == [
        Jump(SANDBOX, START_NS + round(99.9 * SECOND), START_NS + 10 * SECOND, -round(89.9 * SECOND))
    ]


def test_files_are_read_each_by_itself_and_a_new_boot_begins_anew() -> None:
    """Two files of one guest overlap in time, and an uptime that falls is another boot."""
    assert jumps(agent(100), agent(0, cursor="agent.jsonl?1-2-bb@0+1")) == []
    assert jumps(kernel("90.000000"), agent(100), kernel("1.000000"), agent(3_000), kernel("2.000000")) == []


def test_relays_are_believed_before_a_guests_own_file() -> None:
    """A clock that host records show needs no word of the guest."""
    clocks = Clocks()
    clocks.add(SANDBOX, START_NS, START_NS)
    told = Jump("b" * 64, 1, 2, 3)
    clocks.tell([Jump(SANDBOX, 1, 2, 3), told])

    assert list(clocks.jumps()) == [told]


def test_a_guest_that_sets_its_clock_without_end_costs_no_memory() -> None:
    """The first jumps are told, and no more are kept."""
    assert len(jumps(*(agent(at % 2 * 100) for at in range(1_000)))) == 64


def test_a_guest_whose_kernel_is_silent_costs_no_memory() -> None:
    """Gaps that no uptime ever judges are kept as far as some hundred."""
    made = Uptimes()
    made.add(records(*({"cursor": f"console?1-2-aa@{at}+1", **agent(at * 10)} for at in range(1_000))))

    assert [len(file.gaps) for file in made._files.values()] == [256]
