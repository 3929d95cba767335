"""L1: the frames of one receiver tile its bytes, in order, for any chunking."""

import itertools

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kata_audit.parse import split as room
from kata_audit.parse.split import Held, finish, split
from kata_audit.schema.source import Chunk, Source, Transport

MESSY = st.lists(
    st.one_of(
        st.binary(max_size=40),
        st.sampled_from(
            [
                b"\n",
                b"\n\n",
                b"\r\n",
                b"\x00",
                b"\xe2\x80\xa8",
                b"A=1\n",
                b"MESSAGE\n",
                (5).to_bytes(8, "little"),
                b"ab\n\nc\n",
            ]
        ),
        st.builds(lambda body: b"M\n" + len(body).to_bytes(8, "little") + body + b"\n", st.binary(max_size=30)),
        st.builds(lambda size: b"M\n" + size.to_bytes(8, "little"), st.integers(0, 2**64 - 1)),
    ),
    max_size=30,
).map(b"".join)


def cut_up(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted({cut % (len(data) + 1) for cut in cuts}), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(edges)]


def frames_of(transport: Transport, pieces: list[bytes]) -> list[tuple[str, bytes]]:
    source = Source("test", "c/n", "default", transport)
    held, out, offset = Held(), [], 0
    last = Chunk(source, "s", 0, b"", 1)
    for piece in pieces:
        last = Chunk(source, "s", offset, piece, 1)
        held, rows = split(held, last)
        out.append(rows)
        offset += len(piece)
    out.append(finish(held, last))
    return [pair for rows in out for pair in zip(rows["cursor"].to_pylist(), rows["raw"].to_pylist(), strict=True)]


@pytest.mark.parametrize("transport", list(Transport))
@example(data=b"\x00\n" + bytes(9) + b"\n\x00", cuts=[8], limit=7)
@given(data=MESSY, cuts=st.lists(st.integers(0, 10_000), max_size=8), limit=st.sampled_from([7, 64, room.MAX_FRAME]))
def test_frames_tile_the_bytes_whatever_the_chunks(transport: Transport, data: bytes, cuts: list[int], limit: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(room, "MAX_FRAME", limit)
        whole = frames_of(transport, [data])
        pieces = frames_of(transport, cut_up(data, cuts))

    assert b"".join(raw for _, raw in whole) == data
    assert pieces == whole
    position = 0
    for cursor, raw in whole:
        offset, _, length = cursor.partition("@")[2].partition("~")[0].partition("+")
        assert (int(offset), int(length)) == (position, len(raw))
        assert len(raw) <= limit
        position += len(raw)


def test_one_line_is_one_frame_whatever_odd_line_ends_it_holds() -> None:
    data = "a\rb\x00c\x85d\u2028e\x1ef\n".encode() + b"g"

    frames = frames_of(Transport.BARE, [data])

    assert [raw for _, raw in frames] == [data[:-1], b"g"]


def test_an_export_block_with_blank_lines_in_a_binary_field_is_one_frame() -> None:
    body = b"one\n\ntwo\n"
    block = b"__CURSOR=x\nMESSAGE\n" + len(body).to_bytes(8, "little") + body + b"\nPRIORITY=3\n\n"

    frames = frames_of(Transport.JOURNAL_EXPORT, [block + b"__CURSOR=y\nMESSAGE=z\n\n"])

    assert [raw for _, raw in frames] == [block, b"__CURSOR=y\nMESSAGE=z\n\n"]


def test_an_export_block_may_begin_with_a_binary_field() -> None:
    body = b"one\n\ntwo"
    block = b"MESSAGE\n" + len(body).to_bytes(8, "little") + body + b"\nPRIORITY=3\n\n"

    frames = frames_of(Transport.JOURNAL_EXPORT, [block * 3])

    assert [raw for _, raw in frames] == [block] * 3


def test_a_line_without_end_is_held_in_bounded_memory() -> None:
    source = Source("test", "c/n", "default", Transport.BARE)
    held, count, offset = Held(), 0, 0
    for _ in range(64):
        held, rows = split(held, Chunk(source, "s", offset, b"x" * (1 << 20), 1))
        offset += 1 << 20
        count += rows.num_rows
        assert len(held.data) <= 2 * room.MAX_FRAME

    assert count + 1 == (64 << 20) // room.MAX_FRAME
