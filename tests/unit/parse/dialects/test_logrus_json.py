"""containerd that logs JSON says the same as containerd that logs text."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.evidence import attributes, column, derive, evidence
from tests.mutations import json_mutations

from kata_audit.parse.dialects.base import Scan
from kata_audit.parse.dialects.logrus_json import ABOUT, DIALECT
from kata_audit.parse.dialects.registry import route
from kata_audit.schema.source import Transport

LINE = ABOUT.examples[0]
CONTAINER = "4f6a0c2b9d1e4b7f8a3c5e6d7f8091124f6a0c2b9d1e4b7f8a3c5e6d7f809112"
CLEANUP = {
    "error": "context canceled",
    "id": CONTAINER,
    "level": "warning",
    "msg": "cleanup failed",
    "namespace": "k8s.io",
    "time": "2026-11-23T06:11:31Z",
}


def scan(*texts: str, guest: bool = False) -> Scan:
    return DIALECT.scan(texts, [guest] * len(texts))


def test_a_record_is_read_like_its_text_form() -> None:
    """The same message gives the same columns, in containerd's own file too."""
    text = (
        f'time="2026-11-23T06:11:31.587296252Z" level=info msg="StartContainer for \\"{CONTAINER}\\" returns successfully"'
    )
    records = derive(evidence(f"{LINE}\n{text}\n".encode(), Transport.HOST_FILE, stream="/var/log/containerd.log?1-2-aa"))

    assert column(records, "dialect") == ["logrus-json", "logrus"]
    for name in ("body", "component", "severity_number", "timestamp", "container_id", "event_name"):
        assert len(set(column(records, name))) == 1, name
    assert column(records, "container_id") == [CONTAINER] * 2


def test_ids_levels_and_other_keys_are_kept() -> None:
    """Numbers and lists stay as they are written."""
    read = scan(json.dumps({**CLEANUP, "pid": 7, "list": ["a"]}))

    assert (read.columns["container_id"], read.columns["severity_number"], read.columns["pid"]) == ([CONTAINER], [13], ["7"])
    assert read.attributes[0] | {"error": "context canceled", "list": '["a"]'} == read.attributes[0]


def test_records_of_slog_are_not_taken_for_it() -> None:
    """The agent's levels are in capitals, and its time is `ts`; what it quotes is escaped."""
    agent = '{"msg":"{\\"level\\":\\"info\\",\\"time\\":\\"x\\"}","level":"INFO","ts":"2026-11-23T06:03:39Z","name":"kata-agent"}'

    assert route([agent, LINE]) == {"slog-json": [0], "logrus-json": [1]}


def test_a_guest_names_no_host_program() -> None:
    """What a container prints is a claim: no component of a host, no id."""
    line = json.dumps({**CLEANUP, "name": "containerd-shim-v2", "sandbox": "s"})
    records = derive(evidence(f"2026-11-23T06:11:31Z stdout F {line}\n".encode(), Transport.CRI))

    assert column(records, "component") == ["other"]
    assert (column(records, "sandbox_id"), column(records, "container_id")) == ([None], [None])


def test_changed_records_are_read_right_or_marked() -> None:
    """New keys, another order, blanks and escapes change nothing; a torn one is malformed and states nothing."""
    before = scan(json.dumps(CLEANUP)).columns
    for kind, text in json_mutations(json.dumps(CLEANUP), seed=9):
        read = scan(text)
        if kind == "torn":
            assert (read.malformed, read.columns["container_id"], read.columns["body"]) == ([0], [None], [text])
            continue
        assert {name: read.columns[name] for name in before} == before, kind


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("9" * 400, "9" * 400),
        ('["\\ud800"]', '["\\ud800"]'),
        ('{"\\udfff":1}', '{"\\udfff":1}'),
        ("NaN", "NaN"),
        ('{"a":' * 1_000 + "1" + "}" * 1_000, ""),
    ],
    ids=["a huge number", "half a pair in a list", "half a pair in a name", "no number", "depth"],
)
def test_a_container_that_prints_an_odd_value_stops_nothing(value: str, kept: str) -> None:
    """Whatever a loader takes is a value, and its neighbours are read."""
    line = f'2026-11-23T06:11:31Z stdout F {{"level":"info","time":"2026-11-23T06:11:31Z","msg":"m","k":{value}}}'
    records = derive(evidence(f"{line}\n".encode() * 2, Transport.CRI))

    assert column(records, "dialect") == ["cri/logrus-json"] * 2
    assert column(records, "body") == ["m"] * 2
    assert attributes(records)["k"] == kept


@given(st.lists(st.text(max_size=100), max_size=3))
def test_no_text_breaks_it(texts: list[str]) -> None:
    """What is no such record keeps its text."""
    read = scan(*[f'{{"level":"info","time":"{text}' for text in texts])

    assert len(read.malformed) == len(texts)
