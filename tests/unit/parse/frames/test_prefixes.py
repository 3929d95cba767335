"""What stands in front of a line is read where its form says so, and nowhere else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.mutations import word_mutations

from kata_audit.parse.frames.prefixes import Prefix, read_prefixes

SHORT_ISO = (
    "2026-11-23T06:06:45.098137+0000 worker-a containerd[103]:"
    ' time="2026-11-23T06:06:45.098069824Z" level=info msg="Using sandbox shm"'
)


def only(line: str, *, kernel: bool = False) -> Prefix | None:
    [prefix] = read_prefixes([line], kernel=kernel)
    return prefix


FORMS = {
    "short": ("Nov 23 06:06:45 worker-a kata[270]: x", "syslog", None),
    "short-precise": ("Nov  3 06:06:45.098137 worker-a kata[270]: x", "syslog", None),
    "short-iso": ("2026-11-23T06:06:45+0000 worker-a kata[270]: x", "journal-text", "2026-11-23T06:06:45+00:00"),
    "short-iso-precise": (
        "2026-11-23T06:06:45.098137+01:00 worker-a kata[270]: x",
        "journal-text",
        "2026-11-23T06:06:45.098137+01:00",
    ),
    "short-full": ("Mon 2026-11-23 06:06:45 UTC worker-a kata[270]: x", "journal-text", "2026-11-23T06:06:45Z"),
    "short-full in a zone without name": (
        "Mon 2026-11-23 06:06:45 -03 worker-a kata[270]: x",
        "journal-text",
        "2026-11-23T06:06:45-03:00",
    ),
    "short-full in a zone by name": ("Mon 2026-11-23 06:06:45 IST worker-a kata[270]: x", "journal-text", None),
    "short-unix": ("1795414005.098137 worker-a kata[270]: x", "journal-text", "2026-11-23T06:06:45.098137Z"),
    "short-monotonic": ("[ 2989.621999] worker-a kata[270]: x", "journal-text", None),
    "short-delta": ("[ 2989.621999 <    0.000012 >] worker-a kata[270]: x", "journal-text", None),
    "a datagram": ("<30>Nov 23 06:06:45 worker-a kata[270]: x", "syslog", None),
    "RFC 5424": (
        '<30>1 2026-11-23T06:06:45.098137Z worker-a kata 270 start [a@1 k="a \\"\\] b"] \ufeffx',
        "syslog-5424",
        "2026-11-23T06:06:45.098137Z",
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_form_tells_when_where_and_who(form: str) -> None:
    """Every form that journalctl prints and syslogd writes gives the same host, program, process and text."""
    line, name, time = FORMS[form]
    prefix = only(line)

    assert prefix is not None
    assert (prefix.form, prefix.time, prefix.identifier, prefix.pid, prefix.text) == (name, time, "kata", "270", "x")
    assert prefix.attributes["host.name"] == "worker-a"


def test_what_a_form_says_of_time_is_kept_where_it_is_no_time() -> None:
    """RFC 3164 has no year, a zone's name may be several zones', and seconds since boot are nobody's clock."""
    said = [only(FORMS[form][0]) for form in ("short", "short-full in a zone by name", "short-monotonic")]

    assert [one.attributes.get("time.local") for one in said if one] == ["Nov 23 06:06:45", "2026-11-23 06:06:45 IST", None]
    assert said[2] is not None
    assert said[2].attributes["elapsed"] == "2989.621999"


def test_a_priority_is_taken_apart() -> None:
    """`<30>` is facility daemon, severity info; structured data stays as written."""
    prefix = only(FORMS["RFC 5424"][0])

    assert prefix is not None
    assert prefix.priority == "6"
    assert prefix.attributes == {
        "host.name": "worker-a",
        "syslog.facility": "3",
        "syslog.msgid": "start",
        "syslog.structured_data": '[a@1 k="a \\"\\] b"]',
    }


def test_a_unit_may_stand_for_the_program() -> None:
    """`with-unit` names units; the kernel has no process id."""
    unit = only("Mon 2026-11-23 06:06:45 UTC worker-a user@0.service/foo.service[270]: x")
    kernel = only("[    5.098137] worker-a kernel: x")

    assert unit is not None
    assert kernel is not None
    assert (unit.identifier, kernel.identifier, kernel.pid) == ("user@0.service/foo.service", "kernel", None)


@pytest.mark.parametrize(
    "line",
    [
        "[    0.395399] brd: module loaded",
        "[    1.363197] systemd[1]: Queued start job for default target graphical.target.",
        "[    2.061042] usb 1-1: New USB device found",
        "2026-03-30T17:09:28.145771637 [anonymous-instance:fc_api:INFO:src/api.rs:179] The request was executed",
        "2021-07-13T12:03:07.902859782Z stdout F text: more",
        "2026-11-23T06:27:18.123456+00:00 INFO kata_deploy: done",
        "2026-11-23T06:27:18Z DEBUG target: done",
        "2026-11-23T06:27:18Z some words: no process",
        "cloud-hypervisor: 5.004531s: <_pmem2> INFO:virtio-devices/src/epoll_helper.rs:217 -- KILL_EVENT",
        "<30>2 2026-11-23T06:06:45Z worker-a kata 270 - - x",
        "99999999999999.000000 worker-a kata[270]: x",
        "Nov 23 06:06:45 worker-a",
        "",
    ],
)  # fmt: skip
def test_lines_of_other_producers_have_no_prefix(line: str) -> None:
    """What looks like a prefix at first is none: kernels, VMMs, container logs and loggers of other forms."""
    assert only(line) is None


def test_a_kernels_ring_hides_no_prefix() -> None:
    """At a guest's console brackets are the kernel's, whatever follows."""
    assert only("[ 2989.621999] worker-a kata[270]: x", kernel=True) is None


def test_a_changed_line_is_read_the_same_or_not_at_all() -> None:
    """What the prefix says is never taken from elsewhere in the line."""
    for kind, text in word_mutations(SHORT_ISO, seed=5):
        prefix = only(text)
        if prefix is None:
            continue
        assert text.endswith(prefix.text), kind
        head = text[: len(text) - len(prefix.text)]
        assert prefix.identifier in head
        assert head.startswith("2026-11-23T06:06:45.098137")
        assert prefix.pid == ("103" if "[103]" in head else None), kind


@given(st.text(alphabet='<>[]01 23:TZ+-.kata"\\=NovMn', max_size=200))
def test_no_line_breaks_it(line: str) -> None:
    """Any text is read or left alone, and what is read is made of its parts."""
    prefix = only(line)

    assert prefix is None or line.endswith(prefix.text)
