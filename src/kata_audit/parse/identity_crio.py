"""Identities that CRI-O's messages state: which pod a sandbox is of, which container of it an id is.

CRI-O names a container `namespace/pod/container`, and a sandbox `namespace/pod/POD`; Kubernetes allows no slash in any of
the three. No capture holds its records: the messages are those of its source.

Source: cri-o `server/sandbox_run_linux.go`, `server/container_create.go`, `container_start.go`, `container_stop.go`,
`container_remove.go`, `sandbox_stop_linux.go`, `sandbox_remove.go`, versions 1.24 to 1.34.
"""

import re
from collections.abc import Sequence

from kata_audit.parse.identity import Stated

_ID = r"[0-9a-f]{64}"
_LABEL = r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?"
_POD_NAME = rf"(?P<namespace>{_LABEL})/(?P<pod>{_LABEL})"
_MESSAGES = tuple(
    re.compile(text)
    for text in (
        rf"R(?:unning pod sandbox: |an pod sandbox (?P<sandbox>{_ID}) with infra container: ){_POD_NAME}/POD",
        rf"(?:Stopping|Stopped|Removing|Removed) pod sandbox(?: \(already stopped\))?: (?P<sandbox>{_ID})",
        rf"Creat(?:ing container: |ed container (?P<id>{_ID}): ){_POD_NAME}/(?P<container>{_LABEL})",
        rf"(?:Stopped|Removed) container (?P<id>{_ID}): {_POD_NAME}/(?P<container>{_LABEL})",
        rf"(?:Starting|Stopping|Removing) container: (?P<id>{_ID})(?: \(timeout: \d+s\))?",
    )
)
_WORDS = (
    "Running pod", "Ran pod", "Stopp", "Remov", "Creat", "Starting container", "Started container",
)  # fmt: skip
_COLUMNS = {
    "sandbox": "sandbox_id",
    "id": "container_id",
    "namespace": "k8s_namespace",
    "pod": "k8s_pod",
    "container": "k8s_container",
}
_STARTED = "Started container"
_DESCRIPTION = re.compile(rf"{_POD_NAME}/(?P<container>{_LABEL})")
_WHOLE_ID = re.compile(_ID)


def read_crio(body: str, attributes: dict[str, str]) -> dict[str, str]:
    """Read what one of CRI-O's messages states; nothing where it is none.

    Args:
        body: The message.
        attributes: Its fields: a start says all of its container in fields.

    Example:
        >>> read_crio("Creating container: shop/web-1/app", {})
        {'k8s_namespace': 'shop', 'k8s_pod': 'web-1', 'k8s_container': 'app'}
    """
    if body == _STARTED:
        named = _DESCRIPTION.fullmatch(attributes.get("description", ""))
        ids = {"id": attributes.get("containerID", ""), "sandbox": attributes.get("sandboxID", "")}
        groups = {
            **(named.groupdict() if named else {}),
            **{key: id_ for key, id_ in ids.items() if _WHOLE_ID.fullmatch(id_)},
        }
        return _columns(groups)
    for message in _MESSAGES:
        if match := message.fullmatch(body):
            return _columns(match.groupdict())
    return {}


def _columns(groups: dict[str, str | None]) -> dict[str, str]:
    return {_COLUMNS[group]: value for group, value in groups.items() if value is not None}


def from_crio(bodies: Sequence[str | None], attributes: Sequence[dict[str, str] | None], rows: Sequence[int]) -> Stated:
    """Read CRI-O's messages among `rows`, which are of CRI-O itself."""
    found = Stated([], [])
    for row in rows:
        body = bodies[row]
        if body and body.startswith(_WORDS):
            stated = read_crio(body, attributes[row] or {})
            if stated:
                found.rows.append(row)
                found.identities.append(stated)
    return found
