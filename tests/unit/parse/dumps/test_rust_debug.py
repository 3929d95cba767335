"""Rust's `{:?}` is read as it was printed, or not at all; no text breaks the reader, or makes it large."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kata_audit.parse.dumps.rust_debug import MAX_DEPTH, MAX_TEXT, read_rust

CID = "a1" * 32


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('["sh", "-c", "echo \\"a\\"\\n"]', ["sh", "-c", 'echo "a"\n']),
        ("Pid(114)", "114"),
        ("None", None),
        ("()", None),
        ("[]", []),
        ("Some(Url { path: None, port: Some(7) })", {"path": None, "port": "7"}),
        ("ProcessExitStatus { exit_code: 137, exit_time: None }", {"exit_code": "137", "exit_time": None}),
        (
            f'TaskExit {{ container_id: "{CID}", id: "", pid: 12, exit_status: 137, exited_at: Some(SystemTime {{ tv_sec: 1, tv_nsec: 2 }}) }}',
            {"container_id": CID, "id": "", "pid": "12", "exit_status": "137", "exited_at": {"tv_sec": "1", "tv_nsec": "2"}},
        ),
        (
            'AgentConfig { debug_console: true, log_level: Debug, log_vport: 1025, server_addr: "vsock://-1:1024", features: {} }',
            {"debug_console": "true", "log_level": "Debug", "log_vport": "1025", "server_addr": "vsock://-1:1024", "features": {}},
        ),
        ('{"kata": Agent { debug: false }}', {"kata": {"debug": "false"}}),
        ("Signaled(Pid(117), SIGKILL, false)", ["117", "SIGKILL", "false"]),
        ("Mount { flags: MS_BIND | MS_REC, .. }", {"flags": "MS_BIND | MS_REC"}),
        ("CloneFlags(CLONE_NEWPID)", "CLONE_NEWPID"),
        ('Some("a") and more', "a"),
        ('"\\u{202e}\\u{1b}"', "\u202e\x1b"),
        ("{A { x: 1 }, A { x: 2 }}", {"0": {"x": "1"}, "1": {"x": "2"}}),
    ],
)  # fmt: skip
def test_values_are_read_as_printed(text: str, value: object) -> None:
    assert read_rust(text) == value


def test_of_a_field_that_comes_twice_the_first_counts() -> None:
    """The second may have come out of a value that was not escaped."""
    assert read_rust('A { args: ["true"], args: ["forged"] }') == {"args": ["true"]}


@pytest.mark.parametrize(
    "text",
    ["", " ", '"no end', "A { a: ", "A { a: 1", "[1, 2", "(1", "}", "A { a: 1 ]", '["a" "b"]', "A {{ }", '"a\\"', "[1,, 2]"],
)  # fmt: skip
def test_what_breaks_the_grammar_is_no_value(text: str) -> None:
    assert read_rust(text) is None


def test_a_torn_dump_is_no_value_wherever_it_is_torn() -> None:
    whole = 'Spec { process: Some(Process { args: Some(["cat", "/etc/shadow"]), cwd: "/" }), root: None }'
    assert read_rust(whole) is not None

    assert [read_rust(whole[:end]) for end in range(len("Spec {"), len(whole))] == [None] * (len(whole) - len("Spec {"))


@pytest.mark.parametrize("opening", ["[", "(", "{", "A(", "A { a: "])
def test_nesting_is_bounded(opening: str) -> None:
    closing = {"[": "]", "(": ")", "{": "}", "A(": ")", "A { a: ": " }"}[opening]
    deep, too_deep = MAX_DEPTH - 1, MAX_DEPTH + 2

    assert read_rust(opening * deep + "1" + closing * deep) is not None
    assert read_rust(opening * too_deep + "1" + closing * too_deep) is None
    assert read_rust(opening * 30_000) is None


def size(value: object) -> int:
    if isinstance(value, dict):
        return sum(len(name) + size(inner) for name, inner in value.items())
    return sum(map(size, value)) if isinstance(value, list) else len(str(value))


def test_a_set_in_a_set_does_not_grow_with_each_level() -> None:
    text = "{" * (MAX_DEPTH - 1) + "}" * (MAX_DEPTH - 1)

    assert size(read_rust(text)) <= 2 * len(text)


def test_a_text_over_the_bound_is_not_read() -> None:
    assert read_rust(f'"{"x" * MAX_TEXT}"') is None


TOKENS = st.lists(
    st.sampled_from(['"', "\\", "[", "]", "{", "}", "(", ")", ",", ":", "..", " ", "a", "Some", "None", "1", "\n", "é", "\x00", '"x"']),
    max_size=200,
)  # fmt: skip


@given(TOKENS)
def test_no_row_of_marks_breaks_the_reader_or_makes_more_than_it_was_given(tokens: list[str]) -> None:
    text = "".join(tokens)

    assert size(read_rust(text)) <= 4 * len(text) + 8


VALUES = st.recursive(
    st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\x7f"), max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["a", "b_1", "c"]), inner, min_size=1, max_size=3),
    max_leaves=12,
)  # fmt: skip


def printed(value: object) -> str:
    """Print a value as Rust does."""
    if isinstance(value, dict):
        return "Name { " + ", ".join(f"{name}: {printed(inner)}" for name, inner in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(printed, value)) + "]"
    escaped = "".join(
        {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t", "\0": "\\0"}.get(
            letter, letter if letter.isprintable() else f"\\u{{{ord(letter):x}}}"
        )
        for letter in str(value)
    )
    return f'"{escaped}"'


@given(VALUES)
def test_reading_what_was_printed_gives_the_value_back(value: object) -> None:
    assert read_rust(printed(value)) == value
