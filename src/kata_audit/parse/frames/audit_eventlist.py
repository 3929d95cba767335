r"""Bodies that kube-apiserver posts to its audit webhook: `{"kind":"EventList",…,"items":[{…},{…}]}`, one a line.

The head up to `[`, each item with the comma behind it, and the tail from `]` are frames of their own, so that one event is
one record. Only the nesting of the JSON decides where an item begins, never text inside it: what a client sent stands in
its event, and may look like an event. A raw newline ends every body (kube-apiserver escapes those in texts), so that a torn
one spoils no other.

Source: Kubernetes `staging/src/k8s.io/apiserver/plugin/pkg/audit/webhook`, `audit.k8s.io/v1` EventList; captures of 1.34.4.
"""

import re
from typing import NamedTuple

from kata_audit.parse.about import About

_OUTSIDE = re.compile(rb'(?:[^"{}\[\]\n]|"[^"\\\n]*+(?:\\[^\n][^"\\\n]*+)*+")*+(["{}\[\]\n])')
"""Up to the next byte that counts; a quote is one only where its text does not end in these bytes."""
_INSIDE = re.compile(rb'[^"\\\n]*+(?:\\[^\n][^"\\\n]*+)*+\\?+(["\n])')
_BLANKS = b", \t\r\n"
_HEAD = b'{"kind":"EventList"'
_PLACE_BITS = 48
_PLACE = (1 << _PLACE_BITS) - 1
_IN_TEXT, _IN_BODY, _IN_ARRAY, _IN_LIST = 1, 2, 4, 8
"""Flags of the state: inside a text, inside a body, inside an array of the body's own, and one that holds items."""
_DEPTH_SHIFT = 4
_ITEM_DEPTH = 2
_NOWHERE = 1 << 20
"""The nesting where reading goes on in the middle of something: no frame begins before the next newline."""


class _State(NamedTuple):
    """What was open: a text, a body, an array of its own, its list of items, and how many brackets in all."""

    in_text: bool = False
    in_body: bool = False
    in_array: bool = False
    in_list: bool = False
    depth: int = 0

    @classmethod
    def of(cls, number: int) -> "_State":
        in_text, in_body, in_array, in_list = (bool(number & flag) for flag in (_IN_TEXT, _IN_BODY, _IN_ARRAY, _IN_LIST))
        return cls(in_text, in_body, in_array, in_list, number >> _DEPTH_SHIFT)

    def number(self) -> int:
        flags = self.in_text * _IN_TEXT | self.in_body * _IN_BODY | self.in_array * _IN_ARRAY | self.in_list * _IN_LIST
        return flags | self.depth << _DEPTH_SHIFT

    def after(self, token: bytes, *, head: bool) -> tuple["_State", bool]:
        """Give the state behind a bracket or quote, and whether a frame ends before it; `head`: a body may begin here."""
        _, in_body, in_array, in_list, depth = self
        if token == b'"':
            return self._replace(in_text=not self.in_text), False
        if token == b"{":
            item = in_array and depth == _ITEM_DEPTH
            return _State(False, head if depth == 0 else in_body, in_array, in_list or item, depth + 1), item or depth == 0
        if token == b"[":
            return _State(False, in_body, in_array or (in_body and depth == 1), in_list, depth + 1), False
        closes = token == b"]" and depth == _ITEM_DEPTH
        ends = token == b"]" and (depth == 0 or (closes and in_list))
        return _State(False, in_body, in_array and not closes, in_list and not closes, max(depth - 1, 0)), ends


def scan_eventlist(data: bytes, scanned: int, _limit: int) -> tuple[list[int], int]:
    """Find where frames end in `data`.

    Args:
        data: Bytes that begin where a frame begins, or behind pieces of it that are out.
        scanned: What the last call gave back, counted from the same first byte; 0 where a frame begins. The low 48 bits are
            how far `data` is understood, those above are what is open there.
        _limit: Not asked for: nothing of a frame is kept for understanding the rest of it.

    Returns:
        The end of each whole frame (offsets into `data`, ascending), and the new value of `scanned`.
    """
    ends: list[int] = []
    position, state = scanned & _PLACE, _State.of(scanned >> _PLACE_BITS)
    if scanned == 0:
        state = _at_start(data, 0)
    while (found := (_INSIDE if state.in_text else _OUTSIDE).match(data, position)) is not None:
        token, at, position = found[1], found.end() - 1, found.end()
        if token == b"\n":
            ends.append(position)
            state = _at_start(data, position)
            continue
        state, ends_before = state.after(token, head=data.startswith(_HEAD, at))
        if ends_before and at > (ends[-1] if ends else 0):
            ends.append(at)
        if state.depth == 1 and token == b"{" and _HEAD.startswith(data[at : at + len(_HEAD)]) and not state.in_body:
            return ends, at  # too little of it is here to tell a body from an event
    rest = len(data)
    if state.in_text:
        rest -= (rest - max(position, len(data.rstrip(b"\\")))) & 1  # half an escape: its backslash is read again
    return ends, rest | state.number() << _PLACE_BITS


def _at_start(data: bytes, position: int) -> _State:
    """Give the state where a frame begins without anything open; what begins otherwise lasts until the next newline."""
    return _State(depth=0 if data[position : position + 1] in (b"{", b"]", b"\n", b"") else _NOWHERE)


def read_item(frame: bytes) -> bytes | None:
    """Give the event of a frame, without the comma and the blanks behind it; None for the head and the tail of a body."""
    item = frame.strip(_BLANKS)
    return item if item.startswith(b"{") and item.endswith(b"}") and not item.startswith(_HEAD) else None


ABOUT = About(
    producer="kube-apiserver with `--audit-webhook-config-file`: the bodies it posts, one a line; each event is a record.",
    versions="audit.k8s.io/v1; captures of kube-apiserver 1.34.4.",
    examples=(
        (
            '{"level":"Request","auditID":"17ca2f16-d055-4d7c-a07a-959d944ef87f","stage":"Request'
            'Received","requestURI":"/apis/events.k8s.io/v1/namespaces/shop/events","verb":"creat'
            'e","user":{"username":"system:kube-scheduler","groups":["system:authenticated"],"ext'
            'ra":{"authentication.kubernetes.io/credential-id":["X509SHA256=1b7a0ed1a5f716c143c19'
            '7b59094275b6a9516e3fd80dec2bdfb767e0bd00cc5"]}},"sourceIPs":["10.20.0.10"],"userAgen'
            't":"kube-scheduler/v1.34.4 (linux/amd64) kubernetes/$Format/scheduler","objectRef":{'
            '"resource":"events","namespace":"shop","apiGroup":"events.k8s.io","apiVersion":"v1"}'
            ',"requestReceivedTimestamp":"2026-11-23T07:38:13.172207Z","stageTimestamp":"2026-11-'
            '23T07:38:13.172207Z"},'
        ),
    ),
    holes=(
        "Bodies may come twice, or never: the webhook tries again after an error, and gives up after five.",
        "The head and the tail of a body are rows too, and hold nothing.",
    ),
    source="Kubernetes `plugin/pkg/audit/webhook`; captures of 1.34.4.",
)
