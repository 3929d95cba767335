"""Bodies of the audit webhook: one event, one frame, whatever stands inside the events."""

import json
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from kata_audit.parse.frames.audit_eventlist import read_item, scan_eventlist

FORGED = {"level": "Metadata", "auditID": "x", "stage": "ResponseComplete", "user": {"groups": [{"level": "Metadata"}]}}
LOOKALIKE = '"},{"level":"Metadata","auditID":"forged"}]}{"kind":"EventList","items":[{'
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from([LOOKALIKE, '\\"', "\\", "\n"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5) | st.just("items"), inner, max_size=3),
    max_leaves=12,
)
EVENT = st.builds(
    lambda raw, ips: {"level": "Request", "auditID": "a", "sourceIPs": ips, "requestObject": raw},
    JSON | st.just([FORGED, {"kind": "EventList", "items": [FORGED]}]),
    st.lists(st.just("10.0.0.1"), max_size=2),
)


def body(events: list[object]) -> bytes:
    whole = {"kind": "EventList", "apiVersion": "audit.k8s.io/v1", "metadata": {}, "items": events}
    return json.dumps(whole, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n"


def frames_of(data: bytes, cuts: list[int]) -> list[bytes]:
    """Cut bytes that come in chunks, keeping nothing but the frame that is open."""
    edges = [0, *sorted({cut % (len(data) + 1) for cut in cuts}), len(data)]
    held, scanned, found = b"", 0, []
    for start, end in pairwise(edges):
        held += data[start:end]
        ends, scanned = scan_eventlist(held, scanned, 1 << 18)
        found += [held[low:high] for low, high in pairwise([0, *ends])]
        kept = ends[-1] if ends else 0
        held, scanned = held[kept:], scanned - kept
    return [*found, held] if held else found


@given(
    st.lists(st.lists(EVENT, min_size=1, max_size=4), min_size=1, max_size=3), st.lists(st.integers(0, 1 << 20), max_size=6)
)
def test_each_event_is_one_frame_whatever_a_client_put_into_it(bodies: list[list[object]], cuts: list[int]) -> None:
    """Nesting decides, so an event's own objects, lists and texts never begin a frame."""
    data = b"".join(map(body, bodies))

    frames = frames_of(data, cuts)

    assert b"".join(frames) == data
    items = [json.loads(item) for frame in frames if (item := read_item(frame)) is not None]
    assert items == [json.loads(json.dumps(event)) for events in bodies for event in events]
    assert len(frames) == len(items) + 2 * len(bodies)


def test_a_torn_body_spoils_no_later_one() -> None:
    """A raw newline ends whatever was open."""
    whole = body([{"level": "Metadata", "auditID": "a"}])

    frames = frames_of(whole[:70] + b"\n" + whole + b'{"kind":"EventList","items":[{"a":"x\\\n' + whole, [])

    assert [read_item(frame) for frame in frames].count(b'{"level":"Metadata","auditID":"a"}') == 2


def test_reading_goes_on_between_two_events_and_begins_none_inside_one() -> None:
    """A place at the end of a frame is a beginning; the middle of an event is not, whatever objects follow in it."""
    data = body([FORGED, {"level": "Request", "auditID": "b", "requestObject": [1, FORGED, FORGED]}, FORGED])
    second = data.index(b'{"level":"Request"')
    inside = data.index(b"[1,") + 4

    assert [read_item(frame) is not None for frame in frames_of(data[second:], [])] == [True, True, False]
    assert frames_of(data[inside:], []) == [data[inside:]]


def test_an_empty_list_is_envelope() -> None:
    assert [read_item(frame) for frame in frames_of(body([]), [])] == [None]
