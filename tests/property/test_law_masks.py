"""L2 for masks: rows and order stay, only secrets change, markers cannot be forged, and JSON stays JSON."""

import itertools
import json
import re

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.evidence import evidence

from kata_audit.parse import mask as masks
from kata_audit.parse import split as frames
from kata_audit.parse.mask import Open, mask, mask_onward
from kata_audit.parse.split import Held, finish, split
from kata_audit.schema.source import Chunk, Source, Transport

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


SIGN = "PRIVATE " + "KEY-----"
KEY_LINES = [
    "-----BEGIN RSA " + SIGN,
    "-----END RSA " + SIGN,
    "MIIBOgIBAAJBAKj34GkxFhD90vcNLYLInFEX6Ppy1tPf9Cnzj4p4WGeK",
    "Zm9v",
]
STREAM = st.lists(
    st.sampled_from(
        [*KEY_LINES, *(f"{line}\n" for line in KEY_LINES), *("plain\n",) * 3, "\n" * 60, "x" * 70, "password=hunter21 "]
    )
    | SOUP,
    max_size=24,
).map("".join)


def masked_in(pieces: list[bytes], transport: Transport) -> list[tuple[str, bytes]]:
    """Mask a stream that comes in pieces; give each row's cursor and bytes."""
    source = Source("test", "c/n", "default", transport)
    held, waiting, offset, given_out = Held(), Open(), 0, []
    chunk = Chunk(source, "s", 0, b"", 1)
    for piece in pieces:
        chunk = Chunk(source, "s", offset, piece, 1)
        held, rows = split(held, chunk)
        waiting, ready = mask_onward(waiting, rows, b"k" * 32, in_line=held.group is not None)
        given_out.append(ready)
        offset += len(piece)
    given_out.append(mask_onward(waiting, finish(held, chunk), b"k" * 32, in_line=False, ended=True)[1])
    table = pa.Table.from_batches(given_out)
    return list(zip(table["cursor"].to_pylist(), table["raw"].to_pylist(), strict=True))


@pytest.mark.parametrize("transport", [Transport.BARE, Transport.CRI, Transport.JOURNAL_EXPORT])
@example(text="\n".join(KEY_LINES[index] for index in (0, 2, 2, 3, 1)), cuts=[90, 150, 160], limit=64)
@example(text=f"{KEY_LINES[2]}\n" + "\n" * 126 + f"Zm9v x\n{KEY_LINES[1]}\n", cuts=[57, 190], limit=64)
@example(text=f"{KEY_LINES[0]}\n" + "\n" * 127 + f"Zm9v x\n{KEY_LINES[1]}\n", cuts=[170, 171], limit=64)
@given(text=STREAM, cuts=st.lists(st.integers(0, 3_000), max_size=8), limit=st.sampled_from([16, 64, frames.MAX_FRAME]))
@settings(max_examples=200)
def test_masks_do_not_depend_on_the_chunks(transport: Transport, text: str, cuts: list[int], limit: int) -> None:
    """A key whose lines, or a line whose pieces, come in two chunks is masked like in one."""
    data = text.encode()
    edges = [0, *sorted({cut % (len(data) + 1) for cut in cuts}), len(data)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(frames, "MAX_FRAME", limit)
        whole = masked_in([data], transport)

        assert masked_in([data[first:last] for first, last in itertools.pairwise(edges)], transport) == whole


@given(cuts=st.lists(st.integers(0, 3_000), max_size=8), held=st.integers(128, 400), shift=st.integers(0, 63))
def test_a_secret_across_pieces_is_found_however_little_is_held(cuts: list[int], held: int, shift: int) -> None:
    """A line longer than what may be held gives its pieces out, and each is looked at with its neighbours."""
    data = b"x" * (1_000 + shift) + b" password=hunter21hunter21 " + b"y" * 500 + b"\nnext\n"
    edges = [0, *sorted({cut % (len(data) + 1) for cut in cuts}), len(data)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(frames, "MAX_FRAME", 64)
        patch.setattr(masks, "HELD_BYTES", held)
        found = masked_in([data[first:last] for first, last in itertools.pairwise(edges)], Transport.BARE)

    joined = b"".join(raw for _, raw in found)
    assert MARKER.sub(b"", joined) == data.replace(b"hunter21hunter21", b"")
