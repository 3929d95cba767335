"""L2 for masks: rows and order stay, only secrets change, markers cannot be forged, and JSON stays JSON."""

import json
import re

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.evidence import evidence

from kata_audit.parse.mask import mask
from kata_audit.schema.source import Transport

MARKER = re.compile(rb"\*masked:[a-z0-9-]+(?::[0-9a-f]{16})?\*")
SOUP = st.lists(
    st.sampled_from(
        ["password=", '"', '\\"', '\\\\\\"', "env: Some([", "Env:[A=b", '"env":["A=b"', "token: ", "'", '"secret":"', " ", "\n", "\\n",
         "\\", "]", "}", ",", "-----BEGIN " + "PRIVATE KEY-----", "-----END " + "PRIVATE KEY-----", "*masked:", "masked:", "*",
         "*masked:env*", "abc", "x1", "mysql -uroot -p", "--token ", "[9,9,9,9,9,9,9,9]", "a1=313233343536", "Bearer abcdefgh1",
         "://u:p@h", "package agent_policy", "EnvVar{Name:a,Value:b", '"kind":"Secret"', '"data":{"a":"b"', "é", "curl -u a:b ",
         "agent.policy=abcdefghijklmnopqrst", 'envs:{key:"a" value:"b"}', '"name":"A","value":"B"']
    ),
    max_size=14,
).map("".join)  # fmt: skip
NESTED = st.recursive(SOUP, lambda inner: st.builds(lambda m, k: json.dumps({"m": m, "k": k}), inner, SOUP), max_leaves=3)
KEYS = st.sampled_from([None, b"k" * 32])


def is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


@given(text=NESTED, ascii_only=st.booleans(), key=KEYS)
@settings(max_examples=300)
def test_json_stays_json_at_two_depths(text: str, ascii_only: bool, key: bytes | None) -> None:  # noqa: FBT001
    raw = json.dumps({"MESSAGE": text, "PRIORITY": "6"}, ensure_ascii=ascii_only).encode() + b"\n"
    now, _ = mask(evidence(raw, Transport.JOURNAL_JSON), key)

    record = json.loads(now.column("raw")[0].as_py())

    assert list(record) == ["MESSAGE", "PRIORITY"]
    assert record["PRIORITY"] == "6"
    assert is_json(record["MESSAGE"]) == is_json(text)


@given(text=SOUP | st.binary(max_size=200).map(lambda data: data.decode("latin-1")), key=KEYS)
@settings(max_examples=300)
def test_only_secrets_change_and_every_marker_is_ours(text: str, key: bytes | None) -> None:
    rows = evidence(text.encode(), Transport.BARE)
    now, counts = mask(rows, key)

    assert now.drop_columns(["raw"]).equals(rows.drop_columns(["raw"]))
    assert now.schema == rows.schema
    found = 0
    for before, after in zip(rows.column("raw").to_pylist(), now.column("raw").to_pylist(), strict=True):
        found += len(MARKER.findall(after))
        assert len(MARKER.findall(after)) == after.count(b"*masked:")
        if re.search(rb"\[9,9|=3132", before) is None:
            place = 0
            for part in MARKER.split(after):
                place = before.index(part, place) + len(part)
    assert found <= sum(counts.secrets.values())


@given(text=st.binary(max_size=300), cuts=st.lists(st.integers(0, 300), max_size=5))
def test_masks_do_not_depend_on_how_rows_lie_in_memory(text: bytes, cuts: list[int]) -> None:
    rows = evidence(b"password=hunter1\n" + text + b"\ntoken=abc123\n", Transport.BARE)
    for cut in cuts:
        place = min(cut, rows.num_rows)
        whole = mask(rows.slice(place), b"k")[0]
        copied = mask(evidence(b"".join(rows.column("raw").to_pylist()[place:]), Transport.BARE), b"k")[0]
        assert whole.column("raw").to_pylist() == copied.column("raw").to_pylist()
