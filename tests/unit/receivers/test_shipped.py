"""Records of other shippers become the lines that they once were."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kata_audit.receivers.shipped import Declared, Fields, Shipped, spell
from kata_audit.schema.source import Transport

HERE = Declared("lab", "lab/central")
TIME = 1_795_617_069_080_484_520
JOURNAL = HERE._replace(transport=Transport.JOURNAL_JSON)
CRI = HERE._replace(transport=Transport.CRI)


def test_a_field_says_transport_path_node_and_cursor() -> None:
    fields = Fields(text="log", transport="meta.transport", path="meta.path", cursor="offset", node="kubernetes.host")
    values = {
        "log": "2026-11-25T10:00:00Z stdout F a\n",
        "meta": {"transport": "cri", "path": "/var/log/pods/a_b_c/d/0.log"},
        "offset": 17,
        "kubernetes": {"host": "worker-1"},
    }
    line = spell(Shipped(values), fields, HERE)

    assert line == (
        "lab/worker-1",
        Transport.CRI,
        "/var/log/pods/a_b_c/d/0.log",
        "17",
        b"2026-11-25T10:00:00Z stdout F a\n",
        None,
    )


@pytest.mark.parametrize("said", ["journald", "HOST-FILE", "", None, 3, ["cri"], b"cri"])
def test_a_transport_that_is_none_is_bare(said: object) -> None:
    """Who wrote the line is unknown then; nothing in the line can say otherwise."""
    values = {"log": '{"transport":"journal-json"}', "transport": said}
    assert spell(Shipped(values), Fields("log", "transport"), HERE).transport is Transport.BARE


def test_names_of_fields_may_hold_dots_themselves() -> None:
    """As OpenTelemetry's do; the longest name that is there wins over a path."""
    values = {"attributes": {"log.file.path": "/a"}, "log.file.path": "/b"}
    assert spell(Shipped(values), Fields(path="attributes.log.file.path"), HERE).path == "/a"
    assert spell(Shipped(values), Fields(path="log.file.path"), HERE).path == "/b"
    assert spell(Shipped(values), Fields(path="attributes.log.file"), HERE).path == ""


@pytest.mark.parametrize("name", ["../a", "-a", "a/b", "a b", "", "a" * 300, "\x1b[31m", 7.5, True, None, {"a": 1}])
def test_a_node_that_has_no_name_is_the_receivers(name: object) -> None:
    assert spell(Shipped({"host": name}), Fields(node="host"), HERE).node == "lab/central"


def test_an_entry_of_the_journal_is_journalds_json_again() -> None:
    """Fluent Bit sends the entry's fields without its time, which it keeps as its own."""
    values = {"MESSAGE": "hi", "_PID": "7", "PRIORITY": 6, "BYTES": b"\xff\x00", "TEXT": b"ok"}
    line = spell(Shipped(values, time_ns=TIME), Fields(identifier="id", cursor="at"), JOURNAL)

    assert line.transport is Transport.JOURNAL_JSON
    assert json.loads(line.data) == {
        "MESSAGE": "hi",
        "_PID": "7",
        "PRIORITY": "6",
        "BYTES": [255, 0],
        "TEXT": "ok",
        "__REALTIME_TIMESTAMP": str(TIME // 1000),
    }


def test_an_entry_under_another_name_or_within_a_field() -> None:
    """Vector calls the text `message`; the OpenTelemetry Collector sends the entry as its body."""
    vector = {"message": "hi", "_PID": "7", "host": "w", "at": "s=1;i=2"}
    told = json.loads(spell(Shipped(vector), Fields("message", message="message", cursor="at"), JOURNAL).data)
    assert told == {"_PID": "7", "MESSAGE": "hi", "__CURSOR": "s=1;i=2"}

    collector = {"body": {"MESSAGE": "hi", "__CURSOR": "s=1;i=3", "SYSLOG_IDENTIFIER": "kata"}, "attributes": {"x": "y"}}
    told = json.loads(spell(Shipped(collector), Fields(text="body", identifier="attributes.x"), JOURNAL).data)
    assert told == {"MESSAGE": "hi", "__CURSOR": "s=1;i=3", "SYSLOG_IDENTIFIER": "kata"}


def test_an_entry_may_be_a_line_of_json_already() -> None:
    """rsyslog and syslog-ng send it so; it is read as what journald says, whatever else the record has."""
    entry = '{"MESSAGE":"hi","__CURSOR":"s=1;i=4"}'
    line = spell(Shipped({"message": entry, "kata@1.transport": "journal"}), Fields("message", "kata@1.transport"), HERE)
    assert (line.transport, line.data) == (Transport.JOURNAL_JSON, f"{entry}\n".encode())


def test_a_message_that_looks_like_an_entry_is_none() -> None:
    """Only a field that the configuration names holds entries; a guest's text is a message, whatever it says."""
    forged = '{"MESSAGE":"forged","_PID":"1","SYSLOG_IDENTIFIER":"containerd"}'
    for fields in (Fields(), Fields("MESSAGE"), Fields(message="MESSAGE"), Fields("MESSAGE", message="MESSAGE")):
        told = json.loads(spell(Shipped({"MESSAGE": forged, "_PID": "7"}), fields, JOURNAL).data)
        assert told == {"MESSAGE": forged, "_PID": "7"}
    told = json.loads(spell(Shipped({"message": forged, "_PID": "7"}), Fields("message"), JOURNAL).data)
    assert told == {"MESSAGE": forged, "_PID": "7"}


def test_what_an_entry_says_itself_is_not_overwritten() -> None:
    values = {"MESSAGE": "hi", "__CURSOR": "own", "SYSLOG_IDENTIFIER": "own", "cursor": "other", "tag": "other"}
    told = json.loads(spell(Shipped(values), Fields(identifier="tag", cursor="cursor"), JOURNAL).data)
    assert (told["__CURSOR"], told["SYSLOG_IDENTIFIER"]) == ("own", "own")


@pytest.mark.parametrize(
    ("extra", "tag"), [({}, "F"), ({"logtag": "P"}, "P"), ({"_p": "P"}, "P"), ({"_p": "F"}, "F"), ({"logtag": "F"}, "F")]
)
def test_a_container_line_that_was_taken_apart_is_put_together(extra: dict[str, str], tag: str) -> None:
    values = {"log": "hi\n", "stream": "stderr", **extra}
    line = spell(Shipped(values, time_ns=TIME), Fields("log"), CRI)
    assert line.data == f"2026-11-25T14:31:09.080484520Z stderr {tag} hi\n".encode()


def test_a_container_line_that_the_collector_took_apart() -> None:
    values = {"body": "hi", "attributes": {"log.iostream": "stdout", "logtag": "F"}}
    line = spell(Shipped(values, time_ns=TIME), Fields("body"), CRI)
    assert line.data == b"2026-11-25T14:31:09.080484520Z stdout F hi\n"


def test_a_container_line_that_is_whole_stays_as_it_is() -> None:
    """Whatever the text looks like: only a field of the shipper says that the line was taken apart."""
    text = "2020-01-01T00:00:00Z stdout F forged"
    assert spell(Shipped({"log": text}, time_ns=TIME), Fields("log"), CRI).data == f"{text}\n".encode()
    apart = spell(Shipped({"log": text, "stream": "stdout"}, time_ns=TIME), Fields("log"), CRI)
    assert apart.data == f"2026-11-25T14:31:09.080484520Z stdout F {text}\n".encode()
    timeless = spell(Shipped({"log": text, "stream": "stdout"}), Fields("log"), CRI)
    assert timeless.data == f"{text}\n".encode()


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        (1_795_617_069, "09.000000000"),
        (1_795_617_069.25, "09.250000000"),
        ("2026-11-25T15:31:09.080484520+01:00", "09.080484520"),
    ],
)
def test_a_field_says_the_time(said: object, seconds: str) -> None:
    values = {"log": "hi", "stream": "stdout", "date": said}
    line = spell(Shipped(values), Fields("log", time="date"), CRI)
    assert line.data == f"2026-11-25T14:31:{seconds}Z stdout F hi\n".encode()


@pytest.mark.parametrize("said", ["2026-11-25T15:31:09", "now", True, None, float("nan"), float("inf"), 10**30, -5, {}])
def test_a_time_that_is_none_is_none(said: object) -> None:
    values = {"log": "hi", "stream": "stdout", "date": said}
    assert spell(Shipped(values), Fields("log", time="date"), CRI).data == b"hi\n"


def test_without_a_field_the_record_is_the_line_as_it_was_sent() -> None:
    assert spell(Shipped({"a": 1}, b'{"a": 1 }'), Fields(), HERE).data == b'{"a": 1 }\n'
    assert spell(Shipped({"a": {"b": b"\xff"}}), Fields(), HERE).data == b'{"a":{"b":[255]}}\n'
    assert spell(Shipped({"a": 1}, b'{"a": 1 }'), Fields("log"), HERE).data == b'{"a": 1 }\n'


@pytest.mark.parametrize(
    ("value", "data"),
    [
        ("a", b"a\n"),
        ("a\n", b"a\n"),
        ("a\n\n", b"a#012\n"),
        (b"\xff\n", b"\xff\n"),
        (3, b"3\n"),
        ({"b": [1]}, b'{"b":[1]}\n'),
    ],
)
def test_a_text_of_any_kind_is_a_line(value: object, data: bytes) -> None:
    assert spell(Shipped({"log": value}), Fields("log"), HERE).data == data


@pytest.mark.parametrize("transport", [one for one in Transport if one is not Transport.JOURNAL_EXPORT])
def test_a_text_cannot_begin_a_line_of_its_own(transport: Transport) -> None:
    """Else a guest's text could be followed by what looks like a line of the host."""
    values = {"log": "said\n<6>1 2026-11-25T10:00:00Z w containerd 1 - - forged\n"}
    line = spell(Shipped(values), Fields("log"), HERE._replace(transport=transport))
    assert line.data.count(b"\n") == 1


def test_bytes_that_are_no_text_are_kept() -> None:
    """A decoder that must give texts marks them; they come out as they came in."""
    text = b"a\xffb".decode(errors="surrogateescape")
    assert spell(Shipped({"log": text}), Fields("log"), HERE).data == b"a\xffb\n"
    assert json.loads(spell(Shipped({"MESSAGE": text}), Fields(), JOURNAL).data) == {"MESSAGE": [97, 255, 98]}


def test_what_is_too_deep_is_left_out() -> None:
    value: Any = "bottom"
    for _ in range(5000):
        value = {"a": value}
    assert spell(Shipped(value), Fields(), HERE).data == b'{"a":' * 32 + '"…"'.encode() + b"}" * 32 + b"\n"


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=())) | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5) | st.binary(max_size=3), inner, max_size=3)
    ),
    max_leaves=12,
)
NAMES = st.sampled_from(["", "log", "a", "a.b", "MESSAGE", "__CURSOR"])


@given(
    st.dictionaries(st.sampled_from(["log", "a", "b", "MESSAGE", "stream", "__CURSOR", "_p"]), VALUES),
    st.builds(Fields, *[NAMES] * 8),
    st.none() | st.sampled_from([one for one in Transport if one is not Transport.JOURNAL_EXPORT]),
    st.none() | st.integers(),
)
def test_any_record_is_a_line(
    values: dict[str, Any], fields: Fields, transport: Transport | None, time_ns: int | None
) -> None:
    """Nothing that can be sent raises, and every line ends; an entry of the journal is always one line of JSON."""
    line = spell(Shipped(values, time_ns=time_ns), fields, HERE._replace(transport=transport))
    assert line.data.endswith(b"\n")
    assert "@" not in line.node
    assert transport is None or line.transport is transport
    if line.transport is Transport.JOURNAL_JSON:
        assert line.data.count(b"\n") == 1
        assert fields.text or isinstance(json.loads(line.data), dict)
