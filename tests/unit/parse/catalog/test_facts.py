"""What entries take out of messages: bounded, never guessed, and never a denial that only a program's name spells."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kata_audit.parse.catalog.facts import check_source, seek, take

CID, EID, SID = "a1" * 32, "b2" * 32, "c3" * 32
ENTER = f'failed to exec in container: failed to start exec "{EID}": cannot enter container {CID}, with err '
DENIED = 'rpc error: code = PermissionDenied desc = "ExecProcessRequest is blocked by policy: "'
RUST = (
    r'"failed to handle message handler TaskRequest\n\nCaused by:\n    0: start process\n    1: start\n    4: rpc status:'
    r" Status { code: %s, message: \"\\\"%s\\\"\", details: [], special_fields: SpecialFields { } }"
)


def endpoint(error: str) -> str | None:
    return take("error | policy_endpoint", {"error": error}.get)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (f"rpc error: code = Unknown desc = {ENTER}{DENIED}", "ExecProcessRequest"),
        (f"error executing command in container: {ENTER}{DENIED}", "ExecProcessRequest"),
        ('rpc error: code = PermissionDenied desc = "CreateContainerRequest is blocked by policy: "', "CreateContainerRequest"),
        (
            (f'rpc error: code = PermissionDenied desc = failed to start sandbox "{SID}": failed to create containerd task:'
            ' failed to create shim task: "CreateContainerRequest is blocked by policy: "'),
            "CreateContainerRequest",
        ),
        (RUST % ("PERMISSION_DENIED", "ExecProcessRequest is blocked by policy: "), "ExecProcessRequest"),
        (
            (f'rpc error: code = Unknown desc = failed to start sandbox "{SID}": failed to create containerd task: failed to create'
            r' shim task: Others("failed to handle message create container\n\nCaused by:\n    0: agent create container\n    1:'
            r' rpc status: Status { code: PERMISSION_DENIED, message: \"\\\"CreateContainerRequest is blocked by policy: \\\"\"'),
            "CreateContainerRequest",
        ),
    ],
)  # fmt: skip
def test_a_refusal_by_the_policy_names_its_endpoint(error: str, expected: str) -> None:
    assert endpoint(error) == expected


PROGRAMS = [
    "ExecProcessRequest is blocked by policy: ",
    '"ExecProcessRequest is blocked by policy: "',
    DENIED,
    f"{ENTER}{DENIED}",
    RUST % ("PERMISSION_DENIED", "ExecProcessRequest is blocked by policy: "),
]


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_that_is_called_like_a_refusal_is_none(program: str) -> None:
    """The agent puts the name of a missing program behind its own words, under the code Internal."""
    go = f"rpc error: code = NotFound desc = {ENTER}rpc error: code = Internal desc = the file {program} was not found"
    rust = RUST % ("INTERNAL", f"the file {program} was not found")

    assert endpoint(go) is None
    assert endpoint(rust) is None


@given(st.text(max_size=200), st.sampled_from(PROGRAMS), st.text(max_size=200))
def test_whatever_a_program_is_called_it_makes_no_refusal(before: str, middle: str, after: str) -> None:
    name = before + middle + after

    assert (
        endpoint(f"rpc error: code = NotFound desc = {ENTER}rpc error: code = Internal desc = the file {name} was not found")
        is None
    )
    assert endpoint(RUST % ("INTERNAL", f"the file {name} was not found")) is None


@pytest.mark.parametrize(
    ("source", "value", "expected"),
    [
        ("x", "as it is", "as it is"),
        ("x", "", None),
        ("x | first_line", "one\ntwo", "one"),
        ("x | words", "sh  -c a", '["sh","-c","a"]'),
        ("x | after ://", f"containerd://{CID}", CID),
        ("x | after ://", CID, None),
        ("x | before :", "a:b", "a"),
        ("x | rust", '["cat", "/etc/shadow"]', '["cat","/etc/shadow"]'),
        ("x | rust", "Pid(114)", "114"),
        ("x | rust process/args", 'Spec { process: Some(Process { args: Some(["a b", "\\n"]) }) }', '["a b","\\n"]'),
        ("x | rust process/nothing", "Spec { process: None }", None),
        ("x | rust process/args", "Spec { process: Some(Process { args: Some([Foo { a: 1 }]) }) }", None),
        ("x | go container_id", f'container_id:"{CID}"  exit_status:137', CID),
        ("x | exit_status", f'container_id:"{CID}"  exit_status:137', "137"),
        ("x | exit_status", f'container_id:"{CID}"', "0"),
        ("x | entered_container", f"{ENTER}{DENIED}", CID),
    ],
)
def test_forms(source: str, value: str, expected: str | None) -> None:
    assert take(source, {"x": value}.get) == expected


def test_a_fact_is_bounded_and_a_condition_sees_all() -> None:
    long = "x" * 20_000

    assert take("x", {"x": long}.get) is None
    assert seek("x", {"x": long}.get) == long


def test_what_is_not_there_gives_no_fact() -> None:
    nothing: dict[str, str] = {}

    assert take("x | rust a/b", nothing.get) is None


@pytest.mark.parametrize(("source", "wrong"), [("x", None), ("x | rust a", None), ("x | magic", "no form is called magic")])
def test_a_source_is_checked(source: str, wrong: str | None) -> None:
    assert check_source(source) == wrong


@given(st.sampled_from(["rust a/0", "rust", "go a", "go", "first_line", "words ,", "after x", "before x", "policy_endpoint", "exit_status", "entered_container"]), st.text())  # fmt: skip
def test_no_text_breaks_a_form(form: str, text: str) -> None:
    found = take(f"x | {form}", {"x": text}.get)

    assert found is None or isinstance(found, str)
