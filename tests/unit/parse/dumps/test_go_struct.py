"""Go's structs and its text form of protobuf are read as printed, or not at all; no text breaks the reader."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kata_audit.parse.dumps.go_struct import MAX_DEPTH, MAX_TEXT, read_go

CID = "a1" * 32


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (
            f'container_id:"{CID}"  id:"{CID}"  pid:21  exit_status:137  exited_at:{{seconds:1795414014  nanos:81}}',
            {"container_id": CID, "id": CID, "pid": "21", "exit_status": "137", "exited_at": {"seconds": "1795414014", "nanos": "81"}},
        ),
        (
            'types.Volume{MountTag:"kataShared", HostPath:"/run/kata-containers/shared"}',
            {"MountTag": "kataShared", "HostPath": "/run/kata-containers/shared"},
        ),
        ("&{Name:eth0 Tags:[a b]}", {"Name": "eth0", "Tags": ["a", "b"]}),
        ("map[cpu:1 memory:2]", {"cpu": "1", "memory": "2"}),
        ('[]string{"a", "b"}', ["a", "b"]),
        ('x:"a\\"b\\x41"', {"x": 'a"bA'}),
        ("[]", []),
    ],
)  # fmt: skip
def test_values_are_read_as_printed(text: str, value: object) -> None:
    assert read_go(text) == value


def test_of_a_field_that_comes_twice_the_first_counts() -> None:
    assert read_go('container_id:"a"  container_id:"forged"') == {"container_id": "a"}


@pytest.mark.parametrize("text", ["", " ", '"no end', "{a:1", "a:{b:1", "[a", "}", "a:1}", "{a:1]"])
def test_what_breaks_the_grammar_is_no_value(text: str) -> None:
    assert read_go(text) is None


@pytest.mark.parametrize("opening", ["[", "{", "map[a:", "a:{"])
def test_nesting_is_bounded(opening: str) -> None:
    closing = "]" if opening[-1] == "[" or opening == "map[a:" else "}"
    deep, too_deep = MAX_DEPTH - 1, MAX_DEPTH + 2

    assert read_go(opening * deep + "1" + closing * deep) is not None
    assert read_go(opening * too_deep + "1" + closing * too_deep) is None
    assert read_go(opening * 30_000) is None


def test_a_text_over_the_bound_is_not_read() -> None:
    assert read_go(f'a:"{"x" * MAX_TEXT}"') is None


def size(value: object) -> int:
    if isinstance(value, dict):
        return sum(len(name) + size(inner) for name, inner in value.items())
    return sum(map(size, value)) if isinstance(value, list) else len(str(value))


TOKENS = st.lists(
    st.sampled_from(['"', "\\", "[", "]", "{", "}", "&", ",", ":", "map", " ", "a", "a:", "1", "\n", "é", "\x00", '"x"']), max_size=200
)  # fmt: skip


@given(TOKENS)
def test_no_row_of_marks_breaks_the_reader_or_makes_more_than_it_was_given(tokens: list[str]) -> None:
    text = "".join(tokens)

    assert size(read_go(text)) <= 4 * len(text) + 8


VALUES = st.recursive(
    st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126), max_size=20),
    lambda inner: st.dictionaries(st.sampled_from(["a", "b_1", "Cc"]), inner, min_size=1, max_size=3),
    max_leaves=12,
)


def printed(value: object) -> str:
    """Print a message as prototext does."""
    if isinstance(value, dict):
        return "{" + "  ".join(f"{name}:{printed(inner)}" for name, inner in value.items()) + "}"
    escaped = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


@given(st.dictionaries(st.sampled_from(["id", "pid", "event"]), VALUES, min_size=1, max_size=3))
def test_reading_what_was_printed_gives_the_message_back(message: dict[str, object]) -> None:
    assert read_go(printed(message)[1:-1]) == message
