"""Sigma's `logsource`: what `logsource: {product: kata, service: …}` asks of a record beyond the rule's own conditions.

A service of the host also asks for `origin = host`: a guest can never speak for it (law L7).
"""

from collections.abc import Iterable
from typing import Any, Final

from kata_audit.detect.rule import Need
from kata_audit.predicate.tree import Compare, Everything, OneOf, Op, Predicate, all_of, any_of
from kata_audit.schema.record import Component

PRODUCT: Final = "kata"


def _host(components: Iterable[Component], *others: Predicate) -> Predicate:
    return all_of(Compare("origin", Op.EQ, "host"), any_of(OneOf("component", frozenset(map(str, components))), *others))


_HYPERVISORS: Final = (
    Component.QEMU,
    Component.CLOUD_HYPERVISOR,
    Component.FIRECRACKER,
    Component.DRAGONBALL,
    Component.STRATOVIRT,
    Component.OPENVMM,
    Component.VIRTIOFSD,
    Component.NYDUSD,
)
_TOOLS: Final = (Component.KATA_MONITOR, Component.KATA_CTL, Component.KATA_DEPLOY, Component.TRACE_FORWARDER)
_KATA_RUNTIME: Final = all_of(
    Compare("component", Op.EQ, str(Component.RUNTIME_GO)), Compare("attributes.name", Op.EQ, "kata-runtime")
)
"""The command `kata-runtime` is built from the Go runtime and tells its name."""

SERVICES: Final[dict[str, Predicate]] = {
    "cri": _host((Component.CONTAINERD, Component.CRIO, Component.KUBELET)),
    "runtime": _host((Component.RUNTIME_GO, Component.RUNTIME_RS)),
    "runtime-go": _host((Component.RUNTIME_GO,)),
    "runtime-rs": _host((Component.RUNTIME_RS,)),
    "hypervisor": _host(_HYPERVISORS),
    "agent": Compare("component", Op.EQ, str(Component.AGENT)),
    "guest": Compare("origin", Op.EQ, "guest"),
    "journald": _host((Component.JOURNALD,)),
    "host-kernel": _host((Component.HOST_KERNEL,)),
    "auditd": _host((Component.AUDITD,)),
    "api": _host((Component.KUBE_APISERVER,)),
    "tools": _host(_TOOLS, _KATA_RUNTIME),
    "kata-audit": _host((Component.KATA_AUDIT,)),
}
"""Each service's condition."""

NEEDS: Final[dict[str, tuple[frozenset[Need], ...]]] = {
    "cri": (frozenset({Need.CRI}),),
    "runtime": (frozenset({Need.RUNTIME_GO, Need.RUNTIME_RS}),),
    "runtime-go": (frozenset({Need.RUNTIME_GO}),),
    "runtime-rs": (frozenset({Need.RUNTIME_RS}),),
    "agent": (frozenset({Need.AGENT}),),
    "guest": (frozenset({Need.AGENT, Need.CONSOLE}),),
    "journald": (frozenset({Need.JOURNALD}),),
    "host-kernel": (frozenset({Need.HOST_KERNEL}),),
    "auditd": (frozenset({Need.AUDITD}),),
    "api": (frozenset({Need.API}),),
    "tools": (frozenset({Need.TOOLS}),),
    "kata-audit": (frozenset({Need.PIPELINE}),),
}
"""What a rule needs that does not say it itself, by its service."""


class LogsourceError(Exception):
    """A `logsource` is none of ours. Args: why, for a person."""


def condition_of(logsource: Any) -> Predicate:
    """Give what a `logsource` asks of a record.

    Args:
        logsource: What stands there.

    Raises:
        LogsourceError: It names a source that Kata does not have.
    """
    if not isinstance(logsource, dict):
        raise LogsourceError("A `logsource` is missing; write `logsource: {product: kata}`, with a service or without.")
    if logsource.get("category") is not None:
        raise LogsourceError("Records of Kata have no category; write `product: kata` and, where one fits, a `service`.")
    if logsource.get("product") != PRODUCT:
        raise LogsourceError("The product is `kata`: rules here are asked of nothing else.")
    service = logsource.get("service")
    if service is None:
        return Everything()
    if service not in SERVICES:
        raise LogsourceError(f"There is no such service; it is one of {', '.join(SERVICES)}, or left out for any record.")
    return SERVICES[service]
