"""Torn agent records: what is joined, and what must not be. Any place of a tear: tests/property/test_torn_records.py."""

import pytest

from kata_audit.parse.torn import Mended, begins_torn, mend

RECORD = '{"msg":"Initdata check device `tty46`","level":"DEBG","ts":"2026-11-23T06:21:21.169307379Z","version":"0.1.0","subsystem":"initdata","source":"agent","name":"kata-agent","pid":"1"}'
KERNEL = "[    4.408342] ACPI: PM: Preparing to enter system sleep state S5"
OFF = "[    4.409069] reboot: Power down"


def mended(*lines: str) -> Mended:
    into = Mended()
    mend(lines, range(len(lines)), [None] * len(lines), into)
    return into


def test_a_record_cut_at_power_off_is_a_piece_and_the_kernels_line_is_the_rows() -> None:
    """Nothing follows: what was begun is marked, and may yet go on in rows to come."""
    into = mended(RECORD[:150] + KERNEL, OFF)

    assert into.texts == {0: KERNEL}
    assert into.notes == {0: {"console.torn": RECORD[:150]}}
    assert (into.fragments, into.groups, into.unfinished) == ({0}, {0: 0}, [0])


def test_pieces_on_three_lines_are_one_record() -> None:
    """The kernel wrote twice; each time its line is the row's, and the last row is the record."""
    into = mended(RECORD[:20] + KERNEL, OFF, RECORD[20:90] + OFF, RECORD[90:])

    assert into.texts == {0: KERNEL, 2: OFF, 3: RECORD}
    assert into.fragments == {0, 2}
    assert into.groups == {0: 0, 2: 0, 3: 0}
    assert into.unfinished == []


def test_a_rest_may_have_kernel_text_behind_it() -> None:
    """The record is the row's, the kernel's line its attribute."""
    into = mended(RECORD[:20] + KERNEL, RECORD[20:] + OFF)

    assert into.texts == {0: KERNEL, 1: RECORD}
    assert into.notes[1] == {"console.inserted": OFF}


def test_text_behind_a_whole_record_is_kept_beside_it() -> None:
    """Whatever wrote it: the record ended before it."""
    into = mended(RECORD + KERNEL, RECORD + "cloud-hypervisor: 2.1s: <vmm> INFO:a.rs:1 -- x", RECORD + "  ")

    assert into.texts == {0: RECORD, 1: RECORD, 2: RECORD}
    assert into.notes == {
        0: {"console.inserted": KERNEL},
        1: {"console.inserted": "cloud-hypervisor: 2.1s: <vmm> INFO:a.rs:1 -- x"},
    }
    assert not into.fragments


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param((RECORD[:90] + "cloud-hypervisor: 2.15s: <vmm> INFO:a.rs:1 -- x", RECORD[90:]), id="another writer"),
        pytest.param((RECORD[:90] + KERNEL, RECORD, RECORD[90:]), id="the agent began anew"),
        pytest.param((RECORD[:90] + KERNEL, "kata-agent shutdown complete", RECORD[90:]), id="a text between"),
        pytest.param((RECORD[:90] + KERNEL, RECORD[95:]), id="characters missing"),
        pytest.param((RECORD[:20] + KERNEL, RECORD[20:60] + '"}'), id="not all keys"),
        pytest.param((RECORD[:20] + KERNEL + " " + OFF, RECORD[20:]), id="two ways"),
        pytest.param((RECORD[:20] + KERNEL + '","level":"', RECORD[20:]), id="the agent inside the kernel's line"),
        pytest.param((RECORD[:20] + KERNEL + "x" * 1088, RECORD[20:]), id="longer than the kernel writes"),
        pytest.param((RECORD[:20] + KERNEL, *([OFF] * 64), RECORD[20:]), id="too far away"),
        pytest.param((RECORD[:20] + KERNEL, RECORD[20:].replace('"1"}', "1}")), id="a value that is no text"),
        pytest.param((RECORD[:20] + KERNEL, RECORD[20:].replace('"pid"', '"level"')), id="a key twice"),
        pytest.param((RECORD[:49] + KERNEL, RECORD[50:]), id="a level that is none"),
        pytest.param((RECORD[:62] + KERNEL, RECORD[63:]), id="a time that is none"),
        pytest.param((RECORD[:170] + KERNEL, RECORD[170:].replace('"1"', '"-"')), id="a process id that is none"),
    ],
)
def test_what_is_not_certain_stays_torn(lines: tuple[str, ...]) -> None:
    """The first piece is marked; no record is put together."""
    into = mended(*lines)

    assert 0 in into.fragments
    assert all(not text.startswith('{"msg"') for text in into.texts.values())


@pytest.mark.parametrize("text", [RECORD, "{}", "", KERNEL, '{"other":1', '{"msg":"a"} }', "{" + KERNEL[1:]])
def test_what_ends_as_it_should_or_is_no_record_is_left_alone(text: str) -> None:
    """Only a beginning without an end is looked at."""
    assert not begins_torn(text)
