"""What a shim relays of a hypervisor is that hypervisor's, where the shim's own fields say so, and never a guest's word."""

import json
from collections.abc import Callable

import pytest
from tests.evidence import column, derive, evidence

from kata_audit.parse.relays import Relay, hypervisor_inside, of_go, of_rs
from kata_audit.schema.severity import DEBUG, ERROR, INFO, WARN
from kata_audit.schema.source import Transport

SANDBOX = "8abe3f67679ebd05e17bac558311d84972570eede5e83ce345173b6da9e57ee0"
VSOCK = (
    "qemu-system-x86_64: -device vhost-vsock-pci,disable-modern=true,vhostfd=4,id=vsock-376056664,guest-cid=376056664,"
    "bus=pcie.0: vhost_set_owner failed: Inappropriate ioctl for device"
)
QEMU_FIELDS = (
    f"name=containerd-shim-v2 pid=3496 qemuPid=3506 sandbox={SANDBOX} source=virtcontainers/hypervisor subsystem=qemu"
)
FAILED = f'time="2026-11-23T06:13:18.735695354Z" level=error msg="{VSOCK}" {QEMU_FIELDS}\n'
STOPPED = f'time="2026-11-23T06:13:18.748776486Z" level=info msg="Stop logging QEMU" {QEMU_FIELDS}\n'
EXITED = (
    'time="2026-11-23T06:13:18.749163728Z" level=warning msg="QEMU exited with an error" error="exit status 1"'
    f" {QEMU_FIELDS}\n"
)
RS_SANDBOX = "afbf82054660c2b02695ddaa424c6902b417b06263e4ef7fc1e0f97a1198632c"
DEPRECATED = (
    "source: virtiofsd [2026-11-23T06:12:36Z WARN  virtiofsd] Use of deprecated option format '-o': Please specify options"
    " without it (e.g., '--cache auto' instead of '-o cache=auto')"
)


def rs_journal(message: str, subsystem: str, **fields: str) -> bytes:
    """Write a record of runtime-rs as the journal has it."""
    entry = {
        "__REALTIME_TIMESTAMP": "1795414390232991", "_TRANSPORT": "journal", "SYSLOG_IDENTIFIER": "kata", "PRIORITY": "5",
        "NAME": "kata-runtime", "SOURCE": RS_SANDBOX, "SUBSYSTEM": subsystem, "PID": "15654", "VERSION": "0.1.0",
        "MESSAGE": message, **fields,
    }  # fmt: skip
    return json.dumps(entry).encode() + b"\n"


def rs_slog(message: str, subsystem: str, **fields: str) -> bytes:
    """Write a record of runtime-rs up to 3.19 as containerd has it."""
    entry = {
        "msg": message, "level": "INFO", "ts": "2026-11-23T06:12:36.5Z", "name": "kata-runtime", "source": RS_SANDBOX,
        "subsystem": subsystem, "pid": "15654", "version": "0.1.0", **fields,
    }  # fmt: skip
    return json.dumps(entry).encode() + b"\n"


def test_qemus_words_in_the_go_shim_are_qemus() -> None:
    """Component, level and text are QEMU's; sandbox and time the shim's; the shim's values are the relay's."""
    records = derive(evidence(FAILED.encode(), Transport.HOST_FILE))
    relay = dict(column(records, "attributes")[0])

    assert column(records, "dialect") == ["logrus/qemu"]
    assert column(records, "body") == [VSOCK.removeprefix("qemu-system-x86_64: ")]
    assert (column(records, "component"), column(records, "severity_text")) == (["qemu"], ["ERROR"])
    assert (column(records, "sandbox_id"), column(records, "origin")) == ([SANDBOX], ["host"])
    assert column(records, "timestamp") == [1_795_414_398_735_695_354]
    assert column(records, "pid") == [None]
    assert (relay["relay.qemuPid"], relay["relay.pid"], relay["relay.component"]) == ("3506", "3496", "runtime-go")
    assert (relay["relay.severity_number"], relay["relay.subsystem"]) == ("17", "qemu")


def test_what_the_shim_says_of_qemu_stays_the_shims() -> None:
    """It has QEMU's process id too: its level or its error tells it from QEMU's words."""
    records = derive(evidence((STOPPED + EXITED).encode(), Transport.HOST_FILE))

    assert column(records, "component") == ["runtime-go"] * 2
    assert column(records, "body") == ["Stop logging QEMU", "QEMU exited with an error"]
    assert column(records, "pid") == [3496] * 2


def test_words_that_look_like_qemus_elsewhere_stay_the_shims() -> None:
    """The fields decide, not the text."""
    line = FAILED.replace(" qemuPid=3506", "")

    assert column(derive(evidence(line.encode(), Transport.HOST_FILE)), "component") == ["runtime-go"]


def test_a_guest_that_forges_a_shims_record_relays_nothing() -> None:
    """At a guest's position no record is a shim's."""
    for transport in (Transport.CONSOLE, Transport.CRI):
        line = FAILED if transport is Transport.CONSOLE else f"2026-11-23T06:13:18.7Z stderr F {FAILED}"
        records = derive(evidence(line.encode(), transport))

        assert column(records, "origin") == ["guest"]
        assert column(records, "component") in ([None], ["other"])
        assert column(records, "sandbox_id") == [None]


@pytest.mark.parametrize(
    ("level", "text", "relayed"),
    [
        (WARN, "qemu-system-x86_64: TCG lacks vmx", "qemu-system-x86_64: warning: TCG lacks vmx"),
        (WARN, "no name", "no name"),
        (ERROR, "qemu-system-x86_64: gone", "qemu-system-x86_64: gone"),
    ],
)
def test_the_shims_warning_is_qemus_own_word_again(level: int, text: str, relayed: str) -> None:
    """The shim takes the word out of QEMU's line and logs at that level."""
    assert of_go("qemu", level, text, {"qemuPid": "1"}) == Relay("qemu", relayed)


NYDUSD = {"name": "containerd-shim-v2", "sandbox": "ab", "source": "virtcontainers/hypervisor"}


@pytest.mark.parametrize(
    ("subsystem", "level", "body", "fields", "relay"),
    [
        ("firecracker", DEBUG, "read firecracker fifo", {"contents": '"a \\"b\\""', "fifoName": "logs.fifo"},
         Relay("firecracker", 'a "b"')),
        ("firecracker", DEBUG, "read firecracker fifo", {"fifoName": "logs.fifo"}, None),
        ("stratovirt", INFO, "text", {"StratoVirt Pid": "7"}, Relay("stratovirt", "text")),
        ("stratovirt", INFO, "Start logging StratoVirt (Pid=7)", {}, None),
        ("nydusd", INFO, "any text", NYDUSD, Relay("nydusd", "any text")),
        ("nydusd", INFO, "nydusd quits", NYDUSD, None),
        ("nydusd", INFO, "", NYDUSD, None),
        ("nydusd", WARN, "kill nydusd err", {**NYDUSD, "error": "x"}, None),
        ("nydusd", INFO, "prepare mount rafs", {**NYDUSD, "from": "a"}, None),
        ("virtiofsd", INFO, "text", {"source": "virtiofsd"}, Relay("virtiofsd", "text")),
        ("cloudHypervisor", DEBUG, "text", {"source": "virtiofsd"}, Relay("virtiofsd", "text")),
        ("virtiofsd", INFO, "virtiofsd quits", {"source": "virtcontainers/hypervisor"}, None),
        ("qemu", None, "text", {"qemuPid": "1"}, None),
    ],
)  # fmt: skip
def test_fields_of_the_go_shim_decide(
    subsystem: str, level: int | None, body: str, fields: dict[str, str], relay: Relay | None
) -> None:
    """Each relay has fields that the shim's own records lack, or lacks those that they have."""
    assert of_go(subsystem, level, body, fields) == relay


@pytest.mark.parametrize(("write", "transport"), [(rs_journal, Transport.JOURNAL_JSON), (rs_slog, Transport.HOST_FILE)])
def test_runtime_rs_relays_qemu_and_virtiofsd(write: Callable[..., bytes], transport: Transport) -> None:
    """At info whatever they say: their own level counts."""
    data = write("qemu stderr: \"qemu: could not load PC BIOS 'bios-256k.bin'\"", "hypervisor")
    data += write('fc stderr: "Error: RunWithApi"', "hypervisor") + write(DEPRECATED, "resource")
    data += write("nydusd start: [2026-01-01 18:00:54.567868 +08:00] WARN [src/a.rs:5] no", "resource")
    records = derive(evidence(data, transport))

    assert column(records, "component") == ["qemu", "firecracker", "virtiofsd", "nydusd"]
    assert column(records, "severity_text") == ["ERROR", "ERROR", "WARN", "WARN"]
    assert column(records, "sandbox_id") == [RS_SANDBOX] * 4
    assert column(records, "origin") == ["host"] * 4
    assert column(records, "body")[0] == "could not load PC BIOS 'bios-256k.bin'"
    assert column(records, "timestamp")[2] == 1_795_414_356_000_000_000
    assert [dict(stated)["relay.severity_number"] for stated in column(records, "attributes")] == ["9"] * 4


@pytest.mark.parametrize(
    ("write", "key", "transport"),
    [(rs_journal, "STREAM", Transport.JOURNAL_JSON), (rs_slog, "stream", Transport.HOST_FILE)],
)
def test_cloud_hypervisors_output_is_the_guests_where_a_guest_writes_too(
    write: Callable[..., bytes], key: str, transport: Transport
) -> None:
    """Standard error is its own; standard output can be the guest's console, whatever stands there."""
    line = '"cloud-hypervisor: Error booting VM: VmBoot(DeviceManager(CreateVfioDevice))"'
    forged = '"qemu-system-x86_64: all is well"'
    data = write(line, "cloud-hypervisor", **{key: "stderr"})
    data += write(line, "cloud-hypervisor", **{key: "stdout"})
    data += write(forged, "cloud-hypervisor", **{key: "stdout"})
    records = derive(evidence(data, transport))

    assert column(records, "origin") == ["host", "guest", "guest"]
    assert column(records, "component") == ["cloud-hypervisor", "cloud-hypervisor", "other"]
    assert column(records, "severity_text")[:2] == ["ERROR", "ERROR"]
    assert column(records, "body")[0] == "Error booting VM: VmBoot(DeviceManager(CreateVfioDevice))"


def test_all_that_a_guest_could_write_through_runtime_rs_is_the_guests() -> None:
    """Up to 3.19 lines of the agent's port that are no JSON, Dragonball's console and QEMU's come as messages."""
    data = rs_slog('qemu stderr: "qemu: forged"', "agent", component="agent")
    data += rs_slog("[    0.395399] brd: module loaded", "dmesg") + rs_slog('vm console: "a \\"b\\""', "hypervisor")
    records = derive(evidence(data, Transport.HOST_FILE))

    assert column(records, "origin") == ["guest"] * 3
    assert column(records, "body") == ['qemu stderr: "qemu: forged"', "brd: module loaded", 'a "b"']
    assert column(records, "component")[1] == "guest-kernel"
    assert "qemu" not in column(records, "component")
    assert column(records, "sandbox_id") == [RS_SANDBOX] * 3


@pytest.mark.parametrize(
    "message", ['qemu stderr: "torn', "qemu stderr: bare", "qemu stderr", 'vm console: "', "starting reading qemu stderr"]
)
def test_a_message_that_is_cut_stays_the_shims(message: str) -> None:
    """What is not quoted whole is no relay."""
    assert of_rs("hypervisor", None, message) is None


def test_words_of_another_part_of_the_shim_relay_nothing() -> None:
    """Each relay has its own subsystem."""
    assert of_rs("hypervisor", None, DEPRECATED) is None
    assert of_rs("resource", None, 'qemu stderr: "a"') is None
    assert of_rs("runtimes", "stderr", '"a"') is None


def test_hypervisors_inside_runtime_rs_are_named() -> None:
    """Dragonball by its logger's id or its parts, OpenVMM by the words in front; their level is the record's."""
    data = rs_journal("VM: received instance start command", "root", ID="ab")
    data += rs_journal("init console path", "device_manager") + rs_journal("openvmm: prepare_vm id=ab", "hypervisor")
    data += rs_journal("start", "hypervisor", ID="ab", COMPONENT="hypervisor")
    records = derive(evidence(data, Transport.JOURNAL_JSON))

    assert column(records, "component") == ["dragonball", "dragonball", "openvmm", "runtime-rs"]
    assert column(records, "severity_text") == ["INFO"] * 4
    assert column(records, "sandbox_id") == [RS_SANDBOX] * 4
    assert hypervisor_inside("runtimes", "openvmm: no", has_id=False, has_component=True) is None


def test_dragonballs_own_json_has_an_id_and_no_name() -> None:
    """Under its own command line; its console is the guest's."""
    line = b'{"msg":"create pit","level":"INFO","ts":"2026-08-30T03:41:42.087759322Z","id":"cli","version":"0.1.0"}\n'
    console = line.replace(b'"id"', b'"subsystem":"dmesg","id"').replace(b"create pit", b"Welcome")
    records = derive(evidence(line + console, Transport.HOST_FILE))

    assert (column(records, "component")[0], column(records, "origin")) == ("dragonball", ["host", "guest"])
    assert column(records, "sandbox_id") == [None, None]
