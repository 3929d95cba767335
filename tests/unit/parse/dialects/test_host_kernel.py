"""The host's kernel is read from the journal, from files of dmesg and kern.log, and from copies of /dev/kmsg."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.evidence import column, derive
from tests.mutations import word_mutations

from kata_audit.parse.dialects.base import Scan
from kata_audit.parse.dialects.host_kernel import ABOUT, DIALECT
from kata_audit.parse.split import Held, split
from kata_audit.schema.record import RecordRows
from kata_audit.schema.source import Chunk, Source, Transport

SANDBOX = "b06c14f9467f8952a0ebe6f2bfdf106d0af701abc7031f950dc6c10ce6fad98f"
JOURNALD, PANIC = ABOUT.examples
OOM = (
    "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg=/kata_overhead,"
    f"task_memcg=/kata_overhead/{SANDBOX},task=qemu-system-x86,pid=4242,uid=0"
)


def scan(*texts: str) -> Scan:
    return DIALECT.scan(texts, [False] * len(texts))


def declared(data: str, transport: Transport) -> RecordRows:
    chunk = Chunk(Source("file", "lab/node", "default", transport, DIALECT.name), "f?1-2-aa", 0, data.encode(), 1)
    _, rows = split(Held(), chunk)
    return derive(rows)


@pytest.mark.parametrize(
    ("line", "severity", "attributes"),
    [
        ("KVM: x", None, {}),
        ("[    5.140900] KVM: x", None, {"elapsed": "5.140900"}),
        ("<6>[    5.140900][  T1] KVM: x", 9, {"elapsed": "5.140900", "kernel.caller": "T1"}),
        ("<3>KVM: x", 17, {}),
        ("kern  :warn  : [    5.140900] KVM: x", 13, {"elapsed": "5.140900"}),
        ("[Mon Nov 23 06:11:31 2026] KVM: x", None, {"time.local": "Mon Nov 23 06:11:31 2026"}),
        ("6,339,5140900,-;KVM: x", 9, {"elapsed": "5.140900"}),
        ("4,340,5140900,-,caller=T1;KVM: x", 13, {"elapsed": "5.140900"}),
    ],
)
def test_every_form_leaves_the_same_message(line: str, severity: int | None, attributes: dict[str, str]) -> None:
    """What stands before the text goes where it belongs: severity, time since boot, caller."""
    read = scan(line)

    assert read.columns["body"] == ["KVM: x"]
    assert read.columns["severity_number"] == [severity]
    assert read.attributes == [attributes]
    assert read.columns["time"] == [None]


def test_only_a_clock_with_a_zone_is_a_time() -> None:
    """`dmesg --time-format iso` names its zone."""
    assert scan("2026-11-23T06:11:31,123456+00:00 KVM: x").columns["time"] == ["2026-11-23T06:11:31.123456+00:00"]


def test_a_kill_for_want_of_memory_names_its_sandbox() -> None:
    """The control group of the killed task is the kernel's own word."""
    read = scan(OOM, "Memory cgroup out of memory: Killed process 4242 (qemu-system-x86) total-vm:1kB")

    assert read.columns["sandbox_id"] == [SANDBOX, None]
    assert read.columns["identity_basis"] == ["cgroup", None]
    assert read.attributes[0]["process.executable.name"] == "qemu-system-x86"
    assert read.attributes[0]["oom.task_memcg"] == f"/kata_overhead/{SANDBOX}"
    assert read.attributes[1] == {"process.executable.name": "qemu-system-x86", "process.pid": "4242"}


def test_a_crash_of_a_program_names_it() -> None:
    """A segfault line begins with the program and its process."""
    read = scan("qemu-system-x86[4242]: segfault at 0 ip 0000000000000000 sp 00007ffd error 14")

    assert read.attributes == [{"process.executable.name": "qemu-system-x86", "process.pid": "4242"}]


def test_what_programs_left_in_the_kernels_log_is_theirs() -> None:
    """runtime-rs writes its panics there, journald its first messages, and audit records come out whole."""
    read = scan(PANIC, JOURNALD, "audit: type=1400 audit(1700000000.123:456): avc:  denied")

    assert read.columns["component"] == ["runtime-rs", "host-kernel", "host-kernel"]
    assert read.inner is not None
    assert read.inner.rows == [1, 2]
    assert read.inner.texts[0] == "Received client request to sync journal."
    assert read.inner.dialects == ["journald", "auditd"]
    assert read.inner.guest == [False, False]


def test_a_file_of_the_ring_is_read_where_it_is_declared() -> None:
    """Each line is a record of the host; what journald wrote there is journald's."""
    records = declared(f"{PANIC}\n{JOURNALD}\n<4>[    1.000000] x\n", Transport.HOST_FILE)

    assert column(records, "component") == ["runtime-rs", "journald", "host-kernel"]
    assert column(records, "origin") == ["host"] * 3
    assert column(records, "dialect") == ["host-kernel", "host-kernel/journald", "host-kernel"]


def test_a_guests_kernel_never_becomes_the_hosts() -> None:
    """Even declared so, a console's lines name no host component and no sandbox."""
    records = declared(f"{OOM}\n{PANIC}\n{JOURNALD}\n", Transport.CONSOLE)

    assert set(column(records, "origin")) == {"guest"}
    assert {"host-kernel", "runtime-rs", "journald"}.isdisjoint(column(records, "component"))
    assert column(records, "sandbox_id") == [None] * 3


def test_a_changed_line_never_names_another_sandbox() -> None:
    """Torn, longer or in another order: the control group is read whole or not at all."""
    for kind, text in word_mutations(f"<6>[  100.000000] {OOM} and more words", seed=3):
        read = scan(text)

        assert read.columns["sandbox_id"][0] in {None, SANDBOX}, kind
        assert text.endswith(read.columns["body"][0])


@given(st.text(alphabet="<>[]0123,;:-. aekrnoT+=_/", max_size=200))
def test_no_text_breaks_it(text: str) -> None:
    """Whatever stands there, what is left is the end of it."""
    assert text.endswith(scan(text).columns["body"][0])
