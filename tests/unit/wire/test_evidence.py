"""Evidence comes back as it was, whatever its bytes are; what is none to the letter is none."""

from typing import Any

import msgpack
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kata_audit.schema.cursor import Cursor
from kata_audit.schema.source import Frame
from kata_audit.wire.evidence import MOST_RAW, decode_evidence, encode_evidence

FRAME = Frame(
    "lab/w1", "file:journal-json", Cursor("/a?1-2", 5, 3), 1_795_000_000_123_456_789, "kata-audit/lab/w1/0a/7", b"a\n"
)
FIELDS = encode_evidence(FRAME)
STREAMS = st.text(st.characters(exclude_characters="@", exclude_categories=["Cs"]), max_size=40)
FRAMES = st.builds(
    Frame,
    st.from_regex(r"[a-z0-9.-]{1,20}/[A-Za-z0-9._-]{1,20}", fullmatch=True),
    st.sampled_from(["file:bare", "kata-audit:collect", "kafka/fifo:host-file", "file:host-file:qemu"]),
    st.builds(
        Cursor,
        STREAMS,
        st.integers(5, 1 << 61),
        st.integers(1, 1 << 18),
        st.none() | st.integers(0, 5),
        st.sampled_from([None, "5120.5131.1024", "s=1;i=2"]),
        st.sampled_from([None, "kata-audit/lab/w2/0b/9"]),
    ),
    st.integers(0, (1 << 63) - 1),
    st.from_regex(r"kata-audit/[a-z]+/[a-z0-9-]+/[0-9a-f]{8}/[0-9]{1,19}", fullmatch=True),
    st.binary(min_size=1, max_size=200) | st.text(min_size=1).map(lambda text: text.encode(errors="replace")),
)


@given(FRAMES)
def test_it_comes_back_byte_by_byte_by_any_carrier(frame: Frame) -> None:
    fields = encode_evidence(frame)
    assert all(isinstance(value, str) for value in fields.values())
    assert decode_evidence(fields) == frame
    assert decode_evidence(orjson.loads(orjson.dumps(fields))) == frame
    packed = msgpack.unpackb(msgpack.packb(fields), unicode_errors="surrogateescape")
    assert decode_evidence({"tag": "kata", **packed}) == frame


@pytest.mark.parametrize(
    "wrong",
    [
        {"evidence.name": "kata-audit/lab/w1"},
        {"evidence.name": None},
        {"evidence.name": "a b/7"},
        {"evidence.node": ""},
        {"evidence.node": ["lab/w1"]},
        {"evidence.receiver": "kata-audit"},
        {"evidence.receiver": "file:host-file:qemu:more"},
        {"evidence.receiver": "file:Host"},
        {"evidence.cursor": "nowhere"},
        {"evidence.cursor": "/a@1+0"},
        {"evidence.cursor": f"/a@{1 << 63}+1"},
        {"evidence.cursor": f"/a@{'9' * 5000}+1"},
        {"evidence.cursor": "/a@1+1~2"},
        {"evidence.cursor": "\ud800@1+1"},
        {"evidence.cursor": "a" * 20_000 + "@1+1"},
        {"evidence.observed_ns": 5},
        {"evidence.observed_ns": "-1"},
        {"evidence.observed_ns": str(1 << 63)},
        {"evidence.raw": ""},
        {"evidence.raw": "\ud800"},
        {"evidence.raw": b"a"},
        {"evidence.raw": "a" * (MOST_RAW + 1)},
        {"evidence.raw_base64": "YQ=="},
        {"evidence.raw": None, "evidence.raw_base64": "Y"},
        {"evidence.raw": None, "evidence.raw_base64": "é"},
        {"evidence.raw": None, "evidence.raw_base64": "Y Q=="},
        {"evidence.raw": None},
    ],
)
def test_what_is_none_to_the_letter_is_none(wrong: dict[str, Any]) -> None:
    assert decode_evidence(FIELDS) == FRAME
    assert decode_evidence({**FIELDS, **wrong}) is None


@given(st.dictionaries(st.sampled_from(sorted(FIELDS)), st.recursive(st.none() | st.text() | st.integers(), st.lists)))
def test_nothing_that_is_sent_breaks_it(values: dict[str, Any]) -> None:
    decode_evidence({**FIELDS, **values})
    decode_evidence(values)
