"""An answer says what it could not see, and does not miss what never was."""

from typing import Any

import pytest
from tests.unit.pipeline.story_rows import SANDBOX, records

from kata_audit.pipeline.why import Case, Verdict
from kata_audit.pipeline.why_blind import Loss, blind
from kata_audit.wiring import causes

ALL = frozenset({"cri", "kubelet", "kube-apiserver"})
RAN = {"body": "VM started"}
DIED = {"severity_number": 17, "body": "Wait for process failed", "attributes": [("error", "ttrpc: closed")]}
NO_DEVICE = {
    "severity_number": 17,
    "body": "Create new sandbox failed",
    "attributes": [("error", "host system doesn't support vsock: stat /dev/vhost-vsock: no such file or directory")],
}


def verdict(*rows: dict[str, Any], sandbox: str | None = SANDBOX) -> Verdict:
    """Judge some records."""
    case = Case(causes(), sandbox)
    case.add(records(*rows))
    return case.verdict()


@pytest.mark.parametrize("missing", sorted(ALL))
def test_a_source_that_is_not_there_is_named(missing: str) -> None:
    """Each source of the node that wrote nothing in this time is a blind layer, and no other."""
    found = blind(verdict(NO_DEVICE), ALL - {missing}, [])

    assert [one.layer for one in found] == [missing]
    assert all(len(one.reason) > 20 for one in found)


def test_a_guest_that_ran_unheard_is_named() -> None:
    """After a death in the guest, its missing lines are what matters most."""
    assert [one.layer for one in blind(verdict(RAN, DIED), ALL, [])] == ["agent", "guest-kernel"]


def test_a_guest_that_never_ran_is_not_missed() -> None:
    """A start that failed before the machine has no lines of a guest to miss."""
    assert blind(verdict(NO_DEVICE), ALL, []) == ()


def test_a_guest_that_spoke_is_not_missed() -> None:
    """Its agent's and its kernel's lines are seen, though they are claims."""
    said = {"origin": "guest", "component": "agent", "guest_timestamp": 1, "body": "handling signal"}
    kernel = {"origin": "guest", "component": "guest-kernel", "body": "Linux version 6.12"}

    assert blind(verdict(RAN, DIED, said, kernel), ALL, []) == ()


def test_a_sandbox_without_a_record_of_its_shim_is_said() -> None:
    """containerd's word alone says little of what the shim did."""
    assert "shim" in {one.layer for one in blind(verdict({"component": "containerd"}), ALL, [])}


def test_a_pod_without_a_sandbox_misses_no_shim_and_no_guest() -> None:
    """Nothing of Kata ran for it."""
    assert blind(verdict({"component": "kubelet"}, sandbox=None), ALL, []) == ()


def test_losses_are_blind_spots_once_for_each_writer() -> None:
    """Whoever lost records in this time is named, with the record that says so."""
    losses = [
        Loss(7, "journald", "Suppressed 9 messages"),
        Loss(8, "journald", "Suppressed 2"),
        Loss(9, "runtime-rs", "dropped"),
    ]
    found = blind(verdict(NO_DEVICE), ALL, losses)

    assert [one.layer for one in found] == ["journald", "runtime-rs"]
    assert "record 7" in found[0].reason
