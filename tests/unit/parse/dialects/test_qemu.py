"""QEMU's standard error: name, option and level are taken apart where they stand, and nowhere else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.evidence import column, derive, evidence
from tests.mutations import word_mutations

from kata_audit.parse.dialects.base import Scan
from kata_audit.parse.dialects.qemu import ABOUT, DIALECT
from kata_audit.schema.severity import ERROR, FATAL, INFO, WARN
from kata_audit.schema.source import Transport

VSOCK, WARNING, BIOS, ASSERTION = ABOUT.examples


def scan(*texts: str) -> Scan:
    return DIALECT.scan(texts, [False] * len(texts))


@pytest.mark.parametrize(
    ("text", "severity", "body"),
    [
        (VSOCK, ERROR, VSOCK.removeprefix("qemu-system-x86_64: ")),
        (WARNING, WARN, "TCG doesn't support requested feature: CPUID.01H:ECX.vmx [bit 5]"),
        (BIOS, ERROR, "could not load PC BIOS '/opt/kata/share/ovmf/OVMF-missing.fd'"),
        (ASSERTION, FATAL, ASSERTION.removeprefix("qemu-system-x86_64: ")),
        (
            "qemu-system-x86_64: terminating on signal 15 from pid 1301 (sh)",
            ERROR,
            "terminating on signal 15 from pid 1301 (sh)",
        ),
        ("qemu-kvm: -device a,b=c: info: found it", INFO, "-device a,b=c: found it"),
        (
            "Could not access KVM kernel module: Permission denied",
            ERROR,
            "Could not access KVM kernel module: Permission denied",
        ),
        ("KVM internal error. Suberror: 1", ERROR, "KVM internal error. Suberror: 1"),
        ("error: kvm run failed Function not implemented", ERROR, "kvm run failed Function not implemented"),
        ("EAX=fc6e0000 EBX=00000011 ECX=008c0e00 EDX=00000518", None, "EAX=fc6e0000 EBX=00000011 ECX=008c0e00 EDX=00000518"),
        ("Use -machine help to list supported machines", None, "Use -machine help to list supported machines"),
        ("Guest crashed", None, "Guest crashed"),
        ("", None, ""),
    ],
)
def test_a_line_states_its_level_by_name_or_word(text: str, severity: int | None, body: str) -> None:
    """A named line without a word is an error; a line without a name states none but for KVM's."""
    read = scan(text)

    assert (read.columns["severity_number"], read.columns["body"]) == ([severity], [body])
    assert (read.columns["component"], read.malformed, read.inner) == (["qemu"], [], None)


def test_the_option_and_the_program_are_attributes() -> None:
    """The option that QEMU was reading, the program it was called as, and where an assertion stands."""
    vsock, bios, assertion, colons = scan(
        VSOCK, BIOS, ASSERTION, "qemu-system-x86_64: -device vfio-pci,host=0000:65:00.0: vfio /sys: no such host device"
    ).attributes

    assert vsock == {
        "process.executable.name": "qemu-system-x86_64",
        "process.command_args": "-device vhost-vsock-pci,guest-cid=4126",
    }
    assert bios == {}
    assert assertion == {
        "process.executable.name": "qemu-system-x86_64",
        "code.file.path": "../../softmmu/vl.c",
        "code.line.number": "2590",
        "code.function.name": "qemu_machine_creation_done",
    }
    assert colons["process.command_args"] == "-device vfio-pci,host=0000:65:00.0"


def test_a_time_in_front_is_the_lines() -> None:
    """`-msg timestamp=on` writes one with a zone."""
    assert scan(f"2026-11-23T06:17:31.123456Z {WARNING}").columns["time"] == ["2026-11-23T06:17:31.123456Z"]
    assert scan(WARNING).columns["time"] == [None]


def test_a_guest_that_prints_such_a_line_is_no_qemu() -> None:
    """On a console the name is a claim."""
    guest = derive(evidence(f"{VSOCK}\n".encode(), Transport.CONSOLE))
    host = derive(evidence(f"{VSOCK}\n".encode(), Transport.HOST_FILE))

    assert (column(guest, "origin"), column(guest, "component")) == (["guest"], ["other"])
    assert (column(host, "origin"), column(host, "component"), column(host, "dialect")) == (["host"], ["qemu"], ["qemu"])


@pytest.mark.parametrize("text", [VSOCK, WARNING])
def test_changed_lines_are_read_right(text: str) -> None:
    """The body is always a part of the line, an option begins with a dash, and a level is one that stands there."""
    for kind, changed in word_mutations(text, seed=11, new=("info:", "-m 3:", "shiny=new")):
        read = scan(changed)
        [body], [severity], [stated] = read.columns["body"], read.columns["severity_number"], read.attributes

        assert body.split(": ")[-1] in changed, kind
        assert stated.get("process.command_args", "-").startswith("-"), kind
        assert stated.get("process.command_args", "") in changed, kind
        assert severity != WARN or "warning: " in changed, kind


@given(st.text(max_size=200))
def test_no_text_breaks_it(text: str) -> None:
    """Whatever follows the name, it is QEMU's message."""
    assert len(scan(f"qemu-system-x86_64: {text}", text).columns["body"]) == 2


def test_a_long_hostile_line_is_read_in_one_pass() -> None:
    """An option without an end is text."""
    text = "qemu-system-x86_64: -device " + ":a" * 100_000

    assert scan(text).columns["body"] == [text.removeprefix("qemu-system-x86_64: ")]
