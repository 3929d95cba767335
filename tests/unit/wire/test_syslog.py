"""Messages come out as they went in, however a stream is cut; whatever else comes is a message too, and none is lost."""

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kata_audit.wire.syslog import (
    FACILITIES,
    Frame,
    FrameDecoder,
    Framing,
    Grammar,
    Message,
    Severity,
    decode_message,
    encode_frames,
    encode_message,
    header_of,
)

NOW = 1_795_000_000_123_456_000
TEXTS = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=20) | st.just('\\"]\\\\[a b="c"]')
WORDS = st.none() | st.from_regex(r"[!-,.-~]{1,20}", fullmatch=True)
NAMES = st.from_regex(r"[a-zA-Z0-9@._-]{1,32}", fullmatch=True)
MESSAGES = st.builds(
    Message,
    st.integers(0, 23),
    st.integers(0, 7),
    st.none() | st.integers(-(10**18), 9 * 10**18).map(lambda ns: ns // 1000 * 1000),
    WORDS,
    WORDS,
    WORDS,
    WORDS,
    st.lists(
        st.tuples(NAMES, st.lists(st.tuples(NAMES, TEXTS), max_size=3).map(tuple)),
        max_size=3,
    ).map(tuple),
    TEXTS.map(str.encode).filter(lambda text: text == text.rstrip(b"\r\n").removeprefix(b"\xef\xbb\xbf")),
    st.just(Grammar.RFC5424),
    st.none(),
    st.just(b""),
)


def cut(stream: bytes, cuts: list[int], **settings: object) -> list[Frame]:
    """Feed a stream in pieces of these lengths, and what is left over."""
    decoder, frames = FrameDecoder(**settings), []  # type: ignore[arg-type] # settings of a test
    for length in cuts:
        frames += decoder.feed(stream[:length])
        stream = stream[length:]
    return [*frames, *decoder.feed(stream), *decoder.finish()]


@given(MESSAGES)
def test_a_message_is_read_as_it_was_written(one: Message) -> None:
    """Also texts that look like structured data, and data that hold what ends them."""
    raw = encode_message(one)
    read = decode_message(raw)

    assert read._replace(stated=None) == one._replace(raw=raw)
    assert (read.stated is None) == (one.time_ns is None)


@given(st.lists(st.builds(encode_message, MESSAGES), max_size=5), st.lists(st.integers(1, 40), max_size=40))
def test_a_counted_stream_is_read_however_it_is_cut(messages: list[bytes], cuts: list[int]) -> None:
    """A message may hold line ends and what looks like a count."""
    assert cut(encode_frames(messages), cuts) == [Frame(one, 0, is_last=True) for one in messages]


@given(st.lists(st.builds(encode_message, MESSAGES), max_size=5), st.lists(st.integers(1, 40), max_size=40))
def test_lines_are_read_however_they_are_cut(messages: list[bytes], cuts: list[int]) -> None:
    """A line end in a message is gone before it is sent."""
    read = cut(encode_frames(messages, Framing.LINES), cuts)

    assert [one.data for one in read] == [one.replace(b"\n", b" ") for one in messages]


@given(st.lists(st.sampled_from([b"<13>a", b"12 <", b"5 <1>ab", b"\n", b"\r\n", b"7", b" ", b"abcdefgh"])), st.data())
@example([b"12 <", b"abcdefgh", b"abcdefgh", b"\n"], None)
def test_any_cut_gives_the_same_frames(pieces: list[bytes], data: st.DataObject | None) -> None:
    """Of any bytes; what is longer than is held comes in parts that are the whole when put together."""
    stream = b"".join(pieces)
    cuts = [] if data is None else data.draw(st.lists(st.integers(1, 9), max_size=30))
    frames = cut(stream, cuts, max_bytes=6)

    assert frames == cut(stream, [], max_bytes=6) == cut(stream, [1] * len(stream), max_bytes=6)
    assert all(len(one.data) <= 6 for one in frames)
    assert all(one.part == 0 or before.part == one.part - 1 for before, one in pairwise(frames))


def test_a_message_that_is_longer_than_is_held_comes_in_parts() -> None:
    assert cut(b"8 <1>abcde3 <2>", [], max_bytes=5) == [
        Frame(b"<1>ab", 0, False),
        Frame(b"cde", 1, True),
        Frame(b"<2>", 0, True),
    ]
    assert cut(b"<1>abcde\n<2>", [], max_bytes=5) == [
        Frame(b"<1>ab", 0, False),
        Frame(b"cde", 1, True),
        Frame(b"<2>", 0, True),
    ]


def test_a_length_takes_no_memory_and_no_other_message() -> None:
    """What a sender says is long is not; the stream ends in what came of it."""
    assert cut(b"9999999999 <1>abc", []) == [Frame(b"<1>abc", 0, is_last=True)]
    assert [one.data for one in cut(b"99999999999 <1>abc\n<2>", [])] == [b"99999999999 <1>abc", b"<2>"]


def test_lines_stay_lines() -> None:
    """Whoever has a text of his own in a line cannot have it swallow the next."""
    assert [one.data for one in cut(b"<1>said:\n9999 <2>swallow\n<3>next\n", [])] == [
        b"<1>said:",
        b"9999 <2>swallow",
        b"<3>next",
    ]


def test_a_counted_stream_that_lost_a_count_goes_on() -> None:
    assert [one.data for one in cut(b"4 <1>ajunk\n4 <2>b", [])] == [b"<1>a", b"junk", b"<2>b"]
    assert [one.data for one in cut(b"12 monkeys\n4 <2>b\n", [])] == [b"12 monkeys", b"4 <2>b"]


def test_the_bytes_are_those_of_the_standard() -> None:
    """The first example of RFC 5424, 6.5, but for its byte order mark."""
    raw = b"<34>1 2003-10-11T22:14:15.003Z mymachine.example.com su - ID47 - \xef\xbb\xbf'su root' failed for lonvick on /dev/pts/8"

    assert decode_message(raw) == Message(
        4,
        Severity.CRITICAL,
        1_065_910_455_003_000_000,
        "mymachine.example.com",
        "su",
        None,
        "ID47",
        (),
        b"'su root' failed for lonvick on /dev/pts/8",
        Grammar.RFC5424,
        "2003-10-11T22:14:15.003Z",
        raw,
    )


def test_structured_data_alone_is_a_message() -> None:
    """The fourth example of RFC 5424, 6.5."""
    raw = (
        b"<165>1 2003-10-11T22:14:15.003Z mymachine.example.com evntslog - ID47 "
        b'[exampleSDID@32473 iut="3" eventSource="Application" eventID="1011"][examplePriority@32473 class="high"]'
    )
    read = decode_message(raw)

    assert (read.text, read.facility, read.severity) == (b"", FACILITIES.index("local4"), Severity.NOTICE)
    assert [(element, dict(parameters)) for element, parameters in read.structured] == [
        ("exampleSDID@32473", {"iut": "3", "eventSource": "Application", "eventID": "1011"}),
        ("examplePriority@32473", {"class": "high"}),
    ]
    assert header_of(read)["exampleSDID@32473.eventID"] == "1011"


@pytest.mark.parametrize(
    ("raw", "host", "tag", "pid", "text", "stated"),
    [
        (
            b"<34>Oct 11 22:14:15 mymachine su: 'su root' failed",
            "mymachine",
            "su",
            None,
            b"'su root' failed",
            "Oct 11 22:14:15",
        ),
        (b"<30>Nov  5 07:00:01 w1 kata[4711]: a: b", "w1", "kata", "4711", b"a: b", "Nov  5 07:00:01"),
        (b"<30>Nov  5 07:00:01 kata[4711]: local", None, "kata", "4711", b"local", "Nov  5 07:00:01"),
        (b"<30>Nov  5 07:00:01 kernel: local", None, "kernel", None, b"local", "Nov  5 07:00:01"),
        (b"<189>*Mar  1 18:46:11.123: %SYS-5-CONFIG_I: x", None, "%SYS-5-CONFIG_I", None, b"x", "Mar  1 18:46:11.123"),
        (b"<30>Nov  5 2026 07:00:01 w1 no tag here", "w1", None, None, b"no tag here", "Nov  5 2026 07:00:01"),
        (b"<30>2026-11-05T07:00:01.5+01:00 w1 kata: b", "w1", "kata", None, b"b", "2026-11-05T07:00:01.5+01:00"),
        (b"<30>kata: b", None, "kata", None, b"b", None),
        (b"<30>", None, None, None, b"", None),
        (b"<30>Nov  5 07:00:01 fe80::1 a[b]: c\r\n", "fe80::1", "a", "b", b"c", "Nov  5 07:00:01"),
    ],
)
def test_the_older_kind_is_read_as_far_as_it_goes(
    raw: bytes, *, host: str | None, tag: str | None, pid: str | None, text: bytes, stated: str | None
) -> None:
    read = decode_message(raw)

    assert (read.hostname, read.app_name, read.proc_id, read.text) == (host, tag, pid, text)
    assert (read.grammar, read.stated, read.raw) == (Grammar.RFC3164, stated, raw)
    assert read.severity is not None


def test_a_time_counts_where_it_says_year_and_zone() -> None:
    assert decode_message(b"<30>2026-11-05T07:00:01.5+01:00 w1 a: b").time_ns == 1_793_858_401_500_000_000
    assert decode_message(b"<30>1 2026-11-05T06:00:01.123456789Z - - - - -").time_ns == 1_793_858_401_123_456_789
    for stated in (b"2026-02-30T00:00:00Z", b"2026-11-05T24:61:00Z", b"2026-11-05T07:00:01", b"0", b"2026-11-05T07:00:60Z"):
        read = decode_message(b"<30>1 " + stated + b" w1 a - - - b")
        assert (read.time_ns, read.stated, read.text) == (None, stated.decode(), b"b")


@pytest.mark.parametrize("raw", [b"", b"hello", b"<192>1 - - - - - - x", b"<1234>x", b"<>x", b"\xff\0<13>", b"< 1>"])
def test_what_has_no_priority_is_text(raw: bytes) -> None:
    assert decode_message(raw) == Message(None, None, None, None, None, None, None, (), raw, Grammar.NONE, None, raw)


@pytest.mark.parametrize(
    "data", [b"[", b"[a", b'[a b="c]', b'[a b="c"]x y', b"[a b=c] d", b"x", b'[a b="c"][', b'[a "b="c"]']
)
def test_broken_structured_data_is_text(data: bytes) -> None:
    """Nothing of it is lost, and nothing of it is believed."""
    read = decode_message(b"<13>1 - w1 a - - " + data)

    assert (read.structured, read.text, read.hostname) == ((), data, "w1")


def test_structured_data_is_read_leniently() -> None:
    """A bracket that nobody escaped, a backslash that escapes nothing, a line end."""
    read = decode_message(b'<13>1 - - - - - [a b="x]y" c="\\n\\"" d="1\n2" d="3"] t')

    assert read.structured == (("a", (("b", "x]y"), ("c", '\\n"'), ("d", "1\n2"), ("d", "3"))),)
    assert header_of(read)["a.d"] == "1\n2"


@pytest.mark.parametrize(
    "data",
    [
        b"[a" + b' b="' * 60_000,
        b"[a" + b' b="c"' * 40_000,
        b"[" * 250_000,
        b'[a b="' + b"\\x" * 120_000,
        b"[a" + b" " * 250_000,
    ],
)
def test_long_hostile_data_is_read_in_one_go(data: bytes) -> None:
    """An expression that went back and forth would not end within the test's limit of time."""
    assert decode_message(b"<13>1 - w1 a - - " + data).text == data


def test_a_header_holds_what_it_may() -> None:
    """Fields are printable ASCII and have their lengths; ids and names are cut, never empty."""
    one = Message(13, 1, NOW, "w\u00e41 \n", "x" * 99, "", None, ((' ="]', (("\x00" * 40, "v\ud800"),)),), b"")

    assert encode_message(one) == (
        b"<105>1 2026-11-18T11:06:40.123456Z w?1?? " + b"x" * 48 + b" - - [???? " + b"?" * 32 + b'="v?"]'
    )
    assert b" - - - - - -" in encode_message(Message(0, 0, 10**22, None, None, None, None, (), b""))
