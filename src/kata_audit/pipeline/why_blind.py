"""What an answer could not see: which layers wrote nothing into the sources given, and why that may be."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from kata_audit.pipeline.why import UNDECLARED, Verdict
from kata_audit.predicate.tree import Match, Not, OneOf, Predicate, Present, Syntax, all_of, any_of
from kata_audit.schema.event import Action
from kata_audit.schema.record import Component
from kata_audit.schema.source import Origin

_CRI: Final = frozenset({str(Component.CONTAINERD), str(Component.CRIO)})
_CRI_TEXT: Final = r"^(?:RunPodSandbox|StopPodSandbox|CreateContainer|StartContainer|RemovePodSandbox)\b"
_SHIMS: Final = frozenset({str(Component.RUNTIME_GO), str(Component.RUNTIME_RS), str(Component.SHIM_V1)})
AROUND: Final[Mapping[str, Predicate]] = {
    "cri": any_of(
        OneOf("component", _CRI),
        all_of(
            OneOf("origin", frozenset({str(Origin.HOST)})),
            Not(Present("component")),
            Match("body", _CRI_TEXT, Syntax.REGEX),
        ),
    ),
    "kubelet": OneOf("component", frozenset({str(Component.KUBELET)})),
    "kube-apiserver": OneOf("component", frozenset({str(Component.KUBE_APISERVER)})),
}
"""Sources that are there or not for a whole node, whosever records they hold; and how a record of each is told."""
LOST: Final = all_of(
    OneOf("action", frozenset({str(Action.LOSE_RECORDS)})),
    Not(OneOf("event_name", frozenset({"loghealth.shim_log_copy_ended"}))),
)
"""Records that say that records were lost. The copy of a shim's log ends at every failed start, when all of it was read."""

_WITHOUT: Final = {
    "cri": "no record of containerd or CRI-O: no caller's errors, no requests to stop",
    "shim": "no record of it: no start, no error, no word of the hypervisor",
    "agent": "none of its lines; its log port or `enable_debug` brings them",
    "guest-kernel": "no line of a console; panics and OOM kills inside are not here",
    "kubelet": "no record in this time; volumes, images, probes are not here",
    "kube-apiserver": "no audit in this time; who made or deleted the pod is not here",
}
_OF_NOBODY: Final = "files that nobody declared prove nothing; ingest them with --transport host-file"


class Loss(NamedTuple):
    """A record that says that records were lost: who says so, and what."""

    seq: int
    component: str
    text: str


class Blind(NamedTuple):
    """A layer that an answer could not see, and the reason."""

    layer: str
    reason: str


def blind(verdict: Verdict, around: frozenset[str], losses: Sequence[Loss]) -> tuple[Blind, ...]:
    """Say which layers an answer could not see.

    Args:
        verdict: The answer.
        around: Names of `AROUND` of which any record is in the sources, in the time of the sandbox.
        losses: Records of that time that say that records were lost.

    Returns:
        Layers in order from the caller down to the guest, then files of nobody, then losses. A guest that never ran is not
        missed.
    """
    heard = (
        set(around) | ({"shim"} if verdict.heard & _SHIMS else set()) | (verdict.heard & {"agent", "guest-kernel", "cri"})
    )
    if verdict.failed and not verdict.machine_ran and "shim" in heard:
        heard |= {"agent", "guest-kernel"}
    if verdict.sandbox_id is None:
        heard |= {"shim", "agent", "guest-kernel"}
    missing = tuple(Blind(layer, reason) for layer, reason in _WITHOUT.items() if layer not in heard)
    undeclared = (Blind(UNDECLARED, _OF_NOBODY),) if UNDECLARED in verdict.heard else ()
    return (*missing, *undeclared, *_lost(losses))


def _lost(losses: Sequence[Loss]) -> tuple[Blind, ...]:
    """Say who lost records, once for each writer."""
    first: dict[str, Loss] = {}
    for loss in losses:
        first.setdefault(loss.component, loss)
    return tuple(
        Blind(component, f"records were lost, as record {loss.seq} says: {loss.text[:160]}")
        for component, loss in first.items()
    )
