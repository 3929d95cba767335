"""systemd's console lines: the word in brackets says how a job ended."""

import pytest
from tests.evidence import column, derive, evidence
from tests.mutations import word_mutations

from kata_audit.parse.dialects.registry import route
from kata_audit.parse.dialects.systemd_console import DIALECT
from kata_audit.schema.source import Transport

OK = "[\x1b[0;32m  OK  \x1b[0m] Started \x1b[0;1;39mkata-agent.service\x1b[0m - Kata Containers Agent."
UNIT = "kata-agent.service: Main process exited, code=exited, status=1/FAILURE"

SENTENCES = (
    "Detected virtualization kvm.",
    "Detected confidential virtualization tdx.",
    "Detected architecture x86-64.",
    "Hostname set to <guest>.",
    "Initializing machine ID from random generator.",
    "Installed transient /etc/machine-id file.",
    "Queued start job for default target kata-containers.target.",
    "See 'systemctl status chronyd.service' for details.",
    "Startup finished in 497ms (kernel) + 718ms (userspace) = 1.216s.",
    "Freezing execution.",
)


@pytest.mark.parametrize(
    ("text", "body", "status", "severity", "subsystem"),
    [
        (OK, "Started kata-agent.service - Kata Containers Agent.", "OK", None, None),
        (
            "[  OK  ] Reached target paths.target - Path Units.",
            "Reached target paths.target - Path Units.",
            "OK",
            None,
            None,
        ),
        ("[\x1b[0;1;31mFAILED\x1b[0m] Failed to start x.service.", "Failed to start x.service.", "FAILED", 17, None),
        ("[\x1b[0;1;33mDEPEND\x1b[0m] Dependency failed for x.mount.", "Dependency failed for x.mount.", "DEPEND", 13, None),
        (
            "[ TIME ] Timed out waiting for device dev-x.device.",
            "Timed out waiting for device dev-x.device.",
            "TIME",
            17,
            None,
        ),
        (
            "[\x1b[0;31m*     \x1b[0m] A start job is running (4s / 1min)",
            "A start job is running (4s / 1min)",
            None,
            None,
            None,
        ),
        ("[    *] A start job is running (4s / 1min)", "A start job is running (4s / 1min)", None, None, None),
        ("[ ***  ] A start job is running", "A start job is running", None, None, None),
        ("         Starting \x1b[0;1;39mfcnet.service\x1b[0m...", "Starting fcnet.service...", None, None, None),
        (
            "         Mounting tmp.mount - Temporary Directory /tmp...",
            "Mounting tmp.mount - Temporary Directory /tmp...",
            None,
            None,
            None,
        ),
        (UNIT, UNIT, None, None, "kata-agent.service"),
        *((sentence, sentence, None, None, None) for sentence in SENTENCES),
        (
            "modprobe@fuse.service: Deactivated successfully.",
            "modprobe@fuse.service: Deactivated successfully.",
            None,
            None,
            "modprobe@fuse.service",
        ),
        (
            "systemd-udevd[88]: Using default interface naming scheme",
            "Using default interface naming scheme",
            None,
            None,
            "systemd-udevd",
        ),
    ],
)
def test_a_line_is_read_with_its_status(
    text: str, body: str, status: str | None, severity: int | None, subsystem: str | None
) -> None:
    """Colours go, the word becomes an attribute and the level that systemd logs it at."""
    scan = DIALECT.scan([text], [True])

    assert route([text]) == {"systemd-console": [0]}
    assert scan.columns["body"] == [body]
    assert scan.columns["severity_number"] == [severity]
    assert scan.columns["subsystem"] == [subsystem]
    assert scan.attributes == [{"systemd.status": status} if status else {}]
    assert scan.columns["component"] == ["guest-systemd"]


def test_the_hosts_systemd_is_not_named_the_guests() -> None:
    """Only a guest's position makes it the guest's."""
    line = (OK + "\n").encode()

    assert column(derive(evidence(line, Transport.CONSOLE)), "component") == ["guest-systemd"]
    assert column(derive(evidence(line, Transport.HOST_FILE)), "component") == [None]


@pytest.mark.parametrize(
    "line",
    ["[  OK  ] Started kata-agent.service - Kata Containers Agent.", UNIT, "systemd[1]: Detected virtualization kvm."],
)
def test_a_line_of_the_next_systemd_is_read_or_plain(line: str) -> None:
    """Whatever changes, status, unit and program are what stands in their places."""
    for _, text in word_mutations(line, seed=11):
        if "systemd-console" not in route([text]):
            continue
        scan = DIALECT.scan([text], [True])
        assert text.endswith(scan.columns["body"][0])
        status, subsystem = scan.attributes[0].get("systemd.status"), scan.columns["subsystem"][0]
        assert status is None or text.startswith(f"[  {status}  ] ")
        assert subsystem is None or text.startswith((f"{subsystem}: ", f"{subsystem}["))


@pytest.mark.parametrize(
    "text",
    [
        "[ OKAY ] x",
        "[  OK  ]x",
        "[" + " " * 100_000,
        "        Starting x",
        "         Nothing x",
        "a.b.c: x",
        "x.service",
        "w" * 300 + ".service: x",
        "See 'systemctl status x.service'.",
    ],
)
def test_what_only_looks_like_it_is_plain(text: str) -> None:
    """A wider word, other blanks, no unit: no line of systemd's."""
    assert "systemd-console" not in route([text])


@pytest.mark.parametrize(
    "text", [f"{SENTENCES[0]} Retry", "Detected a leak.", "Hostname set to guest.", "Welcome to nginx!"]
)
def test_other_prose_is_nobodys(text: str) -> None:
    """Sentences are told by all of their words."""
    assert route([text]) == {None: [0]}
