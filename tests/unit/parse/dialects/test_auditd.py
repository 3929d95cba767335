"""Audit records of the kernel say what they say in auditd's file, in syslog, in the kernel's log and in the journal."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.evidence import column, derive, evidence
from tests.mutations import pair_mutations

from kata_audit.parse.dialects.auditd import ABOUT, DIALECT, fold_key
from kata_audit.parse.dialects.base import Scan
from kata_audit.schema.source import Transport

AVC = ABOUT.examples[0]
EXECVE = ABOUT.examples[1]
USER_CMD = (
    "type=USER_CMD msg=audit(1700000001.000:9): pid=7 uid=1000 auid=1000 ses=3"
    ' msg=\'cwd="/root" cmd=6361742061 exe="/usr/bin/sudo" terminal=pts/0 res=success\'\x1dUID="bob" AUID="bob"'
)


def scan(*texts: str, guest: bool = False) -> Scan:
    return DIALECT.scan(texts, [guest] * len(texts))


def test_a_denial_keeps_who_and_what() -> None:
    """The message, its type, its process and every pair are there; the time is UTC."""
    read = scan(AVC)

    assert read.columns["time"] == ["2023-11-14T22:13:20.123Z"]
    assert read.columns["subsystem"] == ["AVC"]
    assert read.columns["pid"] == ["4242"]
    assert read.columns["body"][0].startswith("avc:  denied  { read } for  pid=4242")
    assert read.attributes[0] | {"comm": "virtiofsd", "name": "shadow", "permissive": "0"} == read.attributes[0]
    assert (read.attributes[0]["audit.serial"], read.attributes[0]["audit.type"]) == ("456", "AVC")


def test_arguments_are_one_list_with_hex_decoded() -> None:
    """An argument with blanks comes in hex; elsewhere hex is a number and stays."""
    read = scan(EXECVE, "type=SYSCALL msg=audit(1700000000.123:457): syscall=59 a0=7FFD10 comm=6261736820 exe=(null)")

    assert json.loads(read.attributes[0]["process.command_args"]) == ["sh", "-c", "cat /etc/hostname"]
    assert read.attributes[1] | {"a0": "7FFD10", "comm": "bash ", "exe": "(null)"} == read.attributes[1]


def test_arguments_that_are_not_all_there_are_no_list() -> None:
    """A command line in pieces is not made up."""
    read = scan('type=EXECVE msg=audit(1.000:1): argc=3 a0="sh" a1="-c"')

    assert "process.command_args" not in read.attributes[0]
    assert read.attributes[0]["a1"] == "-c"


@pytest.mark.parametrize("count", [2, 3])
def test_an_argument_keeps_its_own_number(count: int) -> None:
    """One too long for a record comes in pieces: the next is not taken for it, and no list is made up."""
    read = scan(f'type=EXECVE msg=audit(1.000:1): argc={count} a0="sh" a1_len=9000 a1[0]=61 a2="id"')

    assert "process.command_args" not in read.attributes[0]
    assert read.attributes[0] | {"a0": "sh", "a1[0]": "61", "a2": "id"} == read.attributes[0]
    assert "a1" not in read.attributes[0]


def test_a_command_line_is_read_with_blanks() -> None:
    """`proctitle` holds arguments apart by NULs."""
    read = scan("type=PROCTITLE msg=audit(1.000:1): proctitle=73680078")

    assert read.attributes[0]["proctitle"] == "sh x"


def test_a_record_of_user_space_holds_pairs_within_quotes() -> None:
    """What sudo says stands in `msg='…'`; auditd's words stand apart as `audit.*`."""
    attributes = scan(USER_CMD).attributes[0]

    assert attributes | {"cmd": "cat a", "exe": "/usr/bin/sudo", "res": "success", "auid": "1000"} == attributes
    assert (attributes["audit.uid"], attributes["audit.auid"]) == ("bob", "bob")


def test_all_forms_of_one_record_fold() -> None:
    """One serial is one event: in auditd's file, with a node, and by number in the kernel's log."""
    kernel = "audit: type=1400 audit(1700000000.123:456): avc:  denied"
    read = scan(AVC, "node=worker-a " + AVC, kernel, "AVC avc:  denied")

    assert read.columns["fold_key"] == [*[fold_key("1700000000", "123", "456")] * 3, None]
    assert read.columns["subsystem"] == ["AVC"] * 4
    assert read.attributes[1]["host.name"] == "worker-a"
    assert read.malformed == []


def test_a_record_without_a_head_is_malformed() -> None:
    """A torn head states nothing, and its text stays."""
    read = scan("type=AVC msg=audit(17000")

    assert (read.malformed, read.columns["body"], read.columns["pid"]) == ([0], ["type=AVC msg=audit(17000"], [None])


def test_lines_of_a_file_are_found_by_their_head() -> None:
    """No declaration is needed; another `type=` is not taken for one."""
    records = derive(evidence(f"{AVC}\n{EXECVE}\ntype=host msg=x\n".encode(), Transport.HOST_FILE))

    assert column(records, "dialect") == ["auditd", "auditd", None]
    assert column(records, "component")[:2] == ["auditd", "auditd"]


def test_a_guest_that_prints_one_is_not_the_hosts_audit() -> None:
    """On a console it is a claim: of no host's component, and folds with nothing."""
    records = derive(evidence(f"{AVC}\n".encode(), Transport.CONSOLE))

    assert column(records, "origin") == ["guest"]
    assert column(records, "component") == ["other"]
    assert column(records, "fold_key") == [None]


@pytest.mark.parametrize("line", [AVC, EXECVE])
def test_a_changed_record_is_read_right_or_marked(line: str) -> None:
    """New pairs are added, blanks change nothing, and a torn record states only what still stands in it."""
    before = scan(line)
    for kind, text in pair_mutations(line, seed=11):
        read = scan(text)
        if kind == "torn":
            assert read.malformed or read.columns["time"] == before.columns["time"]
            assert read.columns["pid"][0] in {None, "4", "42", "424", "4242"}
            continue
        assert read.columns["pid"] == before.columns["pid"]
        kept = {name: read.attributes[0].get(name) for name in before.attributes[0]}
        assert kept == before.attributes[0], kind


@given(st.lists(st.text(alphabet="type=AVC mgaudi(1.0:)'\"\x1da06F[]\n", max_size=300), max_size=4))
def test_no_text_breaks_it(texts: list[str]) -> None:
    """Whatever stands there, every text is a row that keeps its body."""
    read = scan(*texts)

    assert len(read.columns["body"]) == len(read.attributes) == len(texts)
    assert all(text.rstrip("\n").endswith(body.rstrip("\n")) for text, body in zip(texts, read.columns["body"], strict=True))
