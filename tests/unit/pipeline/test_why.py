"""A verdict names the cause before its consequences, and nothing where nothing failed."""

from typing import Any

import pytest
from tests.unit.pipeline.story_rows import SANDBOX, SECOND, START_NS, records

from kata_audit.pipeline.why import Case, Verdict
from kata_audit.pipeline.why_causes import Layer
from kata_audit.wiring import causes

CONTAINER = "b" * 64
STARTED = {"component": "containerd", "body": f'RunPodSandbox for name:"web-0" returns sandbox id "{SANDBOX}"'}
STOP = {"component": "containerd", "body": f'StopPodSandbox for "{SANDBOX}"'}
DELETE_FAILED = {"component": "containerd", "severity_number": 17, "body": "failed to delete dead shim"}


def exited(code: int, container: str = CONTAINER, process: str | None = None) -> dict[str, Any]:
    """Say that a process of a container ended, as containerd does."""
    text = (
        f'received container exit event container_id:"{container}"  id:"{process or container}"  pid:7  exit_status:{code}  '
    )
    return {"component": "containerd", "container_id": container, "body": f"{text}exited_at:{{seconds:1}}"}


def failing(body: str, error: str, **values: Any) -> dict[str, Any]:
    """Say that something failed."""
    return {"severity_number": 17, "body": body, "attributes": [("error", error)], **values}


def verdict(*rows: dict[str, Any]) -> Verdict:
    """Judge some records."""
    case = Case(causes(), SANDBOX)
    case.add(records(*rows))
    return case.verdict()


def told(*rows: dict[str, Any]) -> tuple[str, str | None]:
    """Name layer and cause of some records."""
    found = verdict(*rows)
    return str(found.layer), found.cause.id if found.cause else None


LOST = failing("Wait for process failed", "ttrpc: closed", container_id=CONTAINER)
QEMU = {"severity_number": 17, "body": "qemu-system-x86_64: CPU model 'host' requires KVM or HVF"}
QMP = failing("Failed to negotiate QMP Capabilities", "exiting QMP loop, command cancelled")
START = failing(
    'RunPodSandbox for name:"vm-1"  uid:"u"  namespace:"default" failed, error',
    f'rpc error: code = Unknown desc = failed to start sandbox "{SANDBOX}": failed to create containerd task: '
    "failed to create shim task: exiting QMP loop, command cancelled",
    component="containerd",
)


def test_the_cause_comes_before_its_consequences() -> None:
    """Of what a failed start leaves behind, the innermost is the answer, whatever the order of its records."""
    for rows in ((QEMU, QMP, START), (START, QMP, QEMU)):
        found = verdict(*rows)

        assert found.cause is not None
        assert found.cause.id == "qemu-cpu-model"
        assert found.first is not None
        assert found.first.text == QEMU["body"]
        assert {other.first.component for other in found.also} == {"runtime-go", "containerd"}


def test_the_first_record_of_the_cause_is_named() -> None:
    """Copies and repeats do not move it."""
    found = verdict({**QMP, "copy_key": 5}, {**QMP, "copy_key": 5}, QMP, START)

    assert found.first is not None
    assert found.first.seq == 0
    assert found.records == 3


def test_a_normal_life_is_no_failure() -> None:
    """What every normal stop writes is not named, not even among further errors."""
    found = verdict(
        STARTED,
        STOP,
        exited(137),
        {"body": "Publishing container exit status", "attributes": [("exit-code", "137")]},
        failing("failed to get OOM event from sandbox", 'rpc error: code = Internal desc = ""', severity_number=9),
        failing("watchSandbox gets an error or stop signal", "<nil>", severity_number=9),
        failing("Agent did not stop sandbox", "ttrpc: closed", severity_number=13),
        failing("failed to delete task", "rpc error: code = Unknown desc = Container not ready or stopped"),
        DELETE_FAILED,
    )

    assert (found.failed, found.layer, found.cause, found.also) == (False, Layer.NONE, None, ())


def test_an_end_that_was_asked_for_is_no_failure() -> None:
    """A stop of the container or of the sandbox before it makes an exit code an answer, not an error."""
    asked = {
        "component": "containerd",
        "container_id": CONTAINER,
        "body": f'StopContainer for "{CONTAINER}" with timeout 2 (s)',
    }

    assert told(STARTED, exited(143)) == ("container", "container-exited")
    assert told(STARTED, asked, exited(143)) == ("none", None)
    assert told(STARTED, STOP, exited(137)) == ("none", None)
    assert told(STARTED, STOP, LOST) == ("none", None)
    assert told(STARTED, asked, exited(3, "c" * 64)) == ("container", "container-exited")


def test_a_guest_cannot_ask_for_an_end() -> None:
    """A line of the guest that looks like a request to stop hides no failure (law L7)."""
    assert told(STARTED, {**STOP, "origin": "guest"}, exited(137)) == ("container", "container-killed")


def test_the_end_of_an_exec_is_not_the_containers() -> None:
    """A probe or a shell that ends with an error leaves the pod well."""
    shim = {"body": "Publishing container exit status", "attributes": [("exit-code", "1"), ("exec-id", "e" * 64)]}

    assert told(STARTED, exited(1, process="e" * 64), shim) == ("none", None)


def test_a_kill_is_not_judged_without_the_one_who_may_have_asked() -> None:
    """In a log of the shim alone every stopped container ends with 137; other codes are its own."""
    code = {"body": "Publishing container exit status", "container_id": CONTAINER}

    assert told({**code, "attributes": [("exit-code", "137")]}) == ("none", None)
    assert told({**code, "attributes": [("exit-code", "3")]}) == ("container", "container-exited")
    assert told(STARTED, {**code, "attributes": [("exit-code", "137")]}) == ("container", "container-killed")


def test_runtime_rs_tells_ends_in_its_own_words() -> None:
    """The exit of a container is read from the event, that of an exec is not."""
    event = 'receive action Event(TaskExit {{ container_id: "{}", id: "{}", pid: 1, exit_status: 3, exited_at: None }})'

    assert told({"component": "runtime-rs", "body": event.format(CONTAINER, CONTAINER)}) == ("container", "container-exited")
    assert told({"component": "runtime-rs", "body": event.format(CONTAINER, "e" * 64)}) == ("none", None)


PANIC = {"origin": "guest", "component": "guest-kernel", "body": "Kernel panic - not syncing: sysrq triggered crash"}


def test_a_guests_words_explain_what_the_host_saw() -> None:
    """Where the host saw only that the agent was gone, the guest's own line is the cause, as a claim."""
    found = verdict(STARTED, PANIC, LOST)

    assert found.layer == Layer.GUEST_KERNEL
    assert found.first is not None
    assert found.first.is_claim
    assert found.outside is not None
    assert (found.outside[0].id, found.outside[1].origin) == ("agent-lost", "host")


def test_a_guest_alone_makes_nothing_fail() -> None:
    """A process in a guest can print a panic, and so a failed pod, only for itself (law L7)."""
    forged = [{**row, "origin": "guest"} for row in (LOST, QEMU, START, exited(255), PANIC)]

    assert told(STARTED, *forged) == ("none", None)


def test_a_guest_cannot_explain_away_what_the_host_knows() -> None:
    """A cause that the host names itself stays, whatever the guest says of it."""
    assert told(STARTED, PANIC, QEMU, LOST) == ("hypervisor", "qemu-cpu-model")


@pytest.mark.parametrize("size", [1, 2, 3])
def test_batches_do_not_matter(size: int) -> None:
    """The same records in other batches give the same answer."""
    rows = [STARTED, {**QMP, "copy_key": 5}, {**QMP, "copy_key": 5}, PANIC, LOST, STOP, exited(137), START]
    whole, case = records(*rows), Case(causes(), SANDBOX)
    for start in range(0, len(rows), size):
        case.add(whole.slice(start, size))

    assert case.verdict() == verdict(*rows)


def test_an_unknown_cause_is_said_to_be_unknown() -> None:
    """The innermost text and the layer that it came through are the answer then."""
    found = verdict(
        failing(START["body"], "rpc error: code = Unknown desc = start vm: the moon is full", component="containerd")
    )

    assert found.layer == Layer.HYPERVISOR
    assert found.cause is not None
    assert not found.cause.known
    assert found.first is not None
    assert found.first.text == "the moon is full"


def test_an_error_that_was_read_out_of_the_message_does_not_replace_it() -> None:
    """The whole message says more than its tail."""
    body = "Could not access KVM kernel module: No such file or directory"
    found = verdict(failing(body, "No such file or directory", component="qemu"))

    assert found.first is not None
    assert found.first.text == body


def test_an_error_of_few_words_stands_behind_its_message() -> None:
    """`closed` alone says nothing; with its message it does."""
    found = verdict(STARTED, LOST)

    assert found.first is not None
    assert found.first.text == "Wait for process failed: ttrpc: closed"
    assert found.first.links == ("ttrpc", "closed")


def test_what_was_heard_and_whether_a_machine_ran_is_told() -> None:
    """Layers that spoke are named; a shim's own words where the agent's stand are not the agent's."""
    own = {"origin": "guest", "component": "agent", "body": "begin to connect agent"}
    said = {**own, "guest_timestamp": 1_795_000_000_000_000_000}

    assert verdict(STARTED, own).heard == {"cri"}
    assert verdict({"body": "Starting VM"}, own, said).heard == {"runtime-go", "agent"}
    assert verdict({"body": "Starting VM"}).machine_ran
    assert not verdict({"body": "Starting VM", "origin": "guest"}).machine_ran


@pytest.mark.parametrize("count", [5_000])
def test_any_number_of_errors_takes_bounded_memory(count: int) -> None:
    """A storm of different errors is counted, not kept."""
    words = [f"{chr(97 + at % 26)}{chr(97 + at // 26 % 26)}{chr(97 + at // 676 % 26)} broke" for at in range(count)]
    found = verdict(*({"severity_number": 17, "body": word, "at": 0} for word in words))

    assert len(found.also) <= 64
    assert len(found.also) + found.more == count
    assert not found.failed


def test_a_claim_is_no_copy_of_what_the_host_wrote() -> None:
    """A file that nobody declared, or a guest, says what the host says, and earlier: the host is still heard (law L7)."""
    for origin in ("unknown", "guest"):
        claim = {**QEMU, "copy_key": 7, "origin": origin}

        assert told(claim, {**QEMU, "copy_key": 7}) == told(QEMU)
        assert verdict({**QEMU, "copy_key": 7}, {**QEMU, "copy_key": 7}).records == 1


@pytest.mark.parametrize("basis", ["guest", "observed"])
def test_the_hosts_clock_tells_the_time_of_a_sandbox(basis: str) -> None:
    """What a guest's clock shows, and when a file was read, move neither end; alone they are all there is."""
    early = {"at": -900_000_000, "timestamp_basis": basis, "origin": "guest", "component": "agent"}
    late = {**early, "at": 900_000_000}
    found, alone = verdict(early, {**STARTED, "at": 1}, {**STOP, "at": 3}, late), verdict(early, late)

    assert (found.first_ns, found.last_ns) == (START_NS + SECOND, START_NS + 3 * SECOND)
    assert (alone.first_ns, alone.last_ns) == (START_NS - 900_000_000 * SECOND, START_NS + 900_000_000 * SECOND)


def test_a_case_costs_no_memory() -> None:
    """Copies are looked for among the last records, and kinds of errors are told apart as far as some."""
    case = Case(causes(), SANDBOX)
    words = (f"odd {chr(97 + at // 26 % 26)}{chr(97 + at % 26)} thing" for at in range(5_000))
    case.add(records(*({"severity_number": 17, "body": body, "copy_key": at} for at, body in enumerate(words))))
    found = case.verdict()

    assert len(case._seen) == 4_096
    assert (found.records, len(found.also), found.more) == (5_000, 64, 5_000 - sum(other.times for other in found.also))
