"""What prefixes of lines say of them, by position: a host's file, a file nobody declared, a guest's console."""

import pytest
from tests.evidence import attributes, column, derive, evidence, journal_entry, read_text, row

from kata_audit.parse.line_envelopes import ABOUT, program_of_file
from kata_audit.parse.link import link
from kata_audit.schema.source import Transport

SANDBOX = "b06c14f9467f8952a0ebe6f2bfdf106d0af701abc7031f950dc6c10ce6fad98f"
SHIM = (
    f'time="2026-11-23T06:06:45.519310264Z" level=info msg="Using sandbox shm" name=containerd-shim-v2 pid=270'
    f" sandbox={SANDBOX} shm-size=67108864 source=virtcontainers subsystem=kata_agent"
)
RUN_POD = (
    r'time="2026-11-23T06:06:46.311612280Z" level=info msg="RunPodSandbox for name:\"web-0\"'
    r"  uid:\"eddb1e0c-43d4-4b1e-84cc-95ff56052634\"  namespace:\"shop\" returns sandbox id"
    r' \"23964620ff9c5481a58e35a9c9e6a9b8b99bf6ee2e5525e33f50a944c175e3e1\""'
)
AGENT = '{"msg":"announce","level":"INFO","ts":"2026-11-23T06:03:39.145961213Z","pid":"60","name":"kata-agent"}'


def test_containerds_stream_in_a_syslog_file_is_read_as_in_the_journal() -> None:
    """The prefix gives way to the record behind it; its process id is the stream's, not the shim's."""
    prefix = "2026-11-23T06:06:45.519400+0000 worker-a containerd[103]: "
    ours = read_text(f"{prefix}{SHIM}\n{prefix}{RUN_POD}")
    journal = derive(
        evidence(
            "\n".join(
                journal_entry(SYSLOG_IDENTIFIER="containerd", _PID="103", MESSAGE=text) for text in (SHIM, RUN_POD)
            ).encode(),
            Transport.JOURNAL_JSON,
        )
    )

    for name in ("body", "component", "pid", "sandbox_id", "timestamp", "origin", "k8s_pod", "copy_key"):
        assert column(ours, name) == column(journal, name)
    assert column(ours, "dialect") == ["journal-text/logrus"] * 2
    assert attributes(ours)["host.name"] == "worker-a"
    assert len(link(ours.set_column(0, "seq", journal.column("seq"))).to_pylist()) == len(link(journal).to_pylist()) > 0


def test_a_guest_that_writes_through_runtime_rs_states_nothing_for_the_host() -> None:
    """Text files do not tell forwarded lines from the shim's own, so no line of `kata` becomes a fact."""
    forged = f"Nov 23 06:06:45 worker-a kata[270]: {SHIM} k8s_pod=x"
    records = read_text(
        f"{forged}\nNov 23 06:06:45 worker-a kata[270]: {RUN_POD}\nNov 23 06:06:45 worker-a kata[270]: {AGENT}"
    )

    assert column(records, "origin") == ["unknown", "unknown", "guest"]
    assert row(records, "sandbox_id", "pid", "component") == (SANDBOX, 270, "runtime-go")
    assert row(records, "component", "timestamp_basis", at=2) == ("agent", "guest")
    assert link(records).num_rows == 0


@pytest.mark.parametrize("program", ["kata", "containerd.service"])
@pytest.mark.parametrize("text", ['{"msg" torn', '{"msg":"a","level":"INFO"'])
def test_a_forwarded_record_that_is_torn_is_of_no_host_program(program: str, text: str) -> None:
    """The prefix names who forwarded it, not who wrote it: a guest that breaks its record gains no name by it."""
    records = read_text(f"2026-11-23T06:06:45+0000 worker-a {program}[270]: {text}")

    assert row(records, "origin", "component", "pid", "body") == ("guest", None, None, text)


def test_a_unit_tells_nobody_apart() -> None:
    """Shims run in containerd's unit, so a line that names it may be a guest's."""
    records = read_text(f"Mon 2026-11-23 06:06:45 UTC worker-a containerd.service[103]: {RUN_POD}")

    assert row(records, "origin", "component") == ("unknown", "containerd")


def test_messages_of_runtime_rs_as_text() -> None:
    """The message is all that is left; a console line in it is the guest's."""
    lines = ('get config path "/etc/kata-containers/runtime-rs/configuration-remote.toml"', r'vm console: "boot \"ok\""')
    records = read_text("\n".join(f"2026-11-23T06:03:38+0000 worker-b kata[3000]: {line}" for line in lines))

    assert row(records, "body", "component", "pid", "origin") == (lines[0], "runtime-rs", 3000, "unknown")
    assert row(records, "body", "origin", at=1) == ('boot "ok"', "guest")


def test_a_further_line_of_a_message_is_text_of_unknown_origin() -> None:
    """Whoever wrote it is named elsewhere: it is read by no grammar, even where it looks like one."""
    records = read_text(f"2026-11-23T06:13:26+0000 worker-b kata[15654]: couldn't initialise QMP\n{' ' * 47}{SHIM}")

    assert row(records, "body", "parse_status", "origin", "sandbox_id", at=1) == (" " * 47 + SHIM, "plain", "unknown", None)


def test_a_prefix_on_a_console_is_the_guests_claim() -> None:
    """A guest may print any prefix: its time is the guest's, and its program no host's."""
    records = read_text(
        f"2026-11-23T06:06:45+0000 worker-a containerd[103]: {RUN_POD}\n2026-11-23T06:06:45+0000 vm kata-agent[1]: x",
        Transport.CONSOLE,
    )

    assert column(records, "origin") == ["guest", "guest"]
    assert column(records, "timestamp_basis") == ["guest", "guest"]
    assert column(records, "component")[0] not in {"containerd", "runtime-go"}
    assert column(records, "component")[1] == "agent"
    assert link(records).num_rows == 0


def test_a_prefix_that_nobody_declared_is_of_unknown_origin() -> None:
    """A bare file's lines are read and become no facts."""
    records = read_text(f"Nov 23 06:06:45 worker-a containerd[103]: {RUN_POD}", Transport.BARE)

    assert row(records, "origin", "component", "k8s_pod") == ("unknown", "containerd", None)
    assert link(records).num_rows == 0


def test_a_file_that_is_called_after_its_program_is_that_programs() -> None:
    """k3s and RKE2 leave containerd's own log in a file of its name; shims that write there still name themselves."""
    unheard = 'time="2026-11-23T06:06:46Z" level=info msg="never heard of"'
    text = f"{RUN_POD}\n{SHIM}\n{unheard}\n".encode()
    name = "/var/lib/rancher/k3s/agent/containerd/containerd.log?1-2-aa"
    host, bare = (derive(evidence(text, transport, stream=name)) for transport in (Transport.HOST_FILE, Transport.BARE))

    assert column(host, "component") == ["containerd", "runtime-go", "containerd"]
    assert column(host, "k8s_pod") == ["web-0", None, None]
    assert column(bare, "component")[2] is None


@pytest.mark.parametrize(
    ("stream", "program"),
    [
        ("/var/log/crio.log?1", "crio"),
        ("containerd.log-20261123.gz?1", "containerd"),
        ("/var/log/kubelet.log.1?1", "kubelet"),
        ("/var/log/kube-apiserver/kube-apiserver.log?1", "kube-apiserver"),
        ("/var/log/my-containerd.log?1", None),
        ("/var/log/containerd.log/other?1", None),
        ("/var/log/syslog?containerd.log", None),
    ],
)
def test_only_a_whole_name_tells_the_program(stream: str, program: str | None) -> None:
    """Rotated and compressed logs too; a name that holds the word is another file."""
    assert program_of_file(stream) == program


@pytest.mark.parametrize("name", ["/var/log/dmesg", "/var/log/kern.log.1", "kmsg.txt", "/var/log/dmesg.0.gz"])
def test_a_copy_of_the_kernels_log_is_the_hosts_kernel(name: str) -> None:
    """Declared as the host's and called so, its lines are not taken for a guest's kernel; undeclared they may be any."""
    line = b"[    5.140900] KVM: x\n"
    host, bare, console = (
        derive(evidence(line, transport, stream=f"{name}?1-2-aa"))
        for transport in (Transport.HOST_FILE, Transport.BARE, Transport.CONSOLE)
    )

    assert row(host, "component", "dialect", "body") == ("host-kernel", "host-kernel", "KVM: x")
    assert row(bare, "component", "dialect") == (None, "kernel")
    assert row(console, "component", "origin") == ("guest-kernel", "guest")


def test_the_example_has_a_prefix() -> None:
    """The page of prefixes shows a line that has one."""
    assert all(column(read_text(example), "dialect")[0].startswith("journal-text") for example in ABOUT.examples)
