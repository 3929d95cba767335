"""Where a shipper finds Kata's logs on this node: the files that the configuration names, by how they are written."""

import fnmatch
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from kata_audit.integrations.pack import Value
from kata_audit.schema.source import Transport

_LISTS: Final[Mapping[Transport | None, str]] = {
    Transport.HOST_FILE: "host_files",
    Transport.CRI: "pod_files",
    Transport.CONSOLE: "console_files",
    None: "host_files",
}
"""Names of values, by the transport of the files in them. Files in a form of the journal are read by nobody but us."""


def places_of(files: Iterable[tuple[Path, Transport | None]], usual: Mapping[str, Value]) -> dict[str, Value]:
    """Give the lists of a pack's values with what a node's configuration names.

    Args:
        files: Each `[[file]]`: its path or pattern, and its transport where one is declared.
        usual: The pack's values; its lists hold the usual places, which stay.

    Returns:
        The lists that grew, by name. A log below `pods` is a container's; one with `audit` in its name is the API server's.
    """
    found: dict[str, list[str]] = {}
    for path, transport in files:
        name = _list_of(path, transport)
        if name is not None and name in usual:
            found.setdefault(name, []).append(str(path))
    return {name: _joined(usual[name], paths) for name, paths in found.items()}


def _list_of(path: Path, transport: Transport | None) -> str | None:
    if transport in {None, Transport.CRI} and "pods" in path.parts:
        return "pod_files"
    if transport in {None, Transport.HOST_FILE} and "audit" in path.name:
        return "audit_files"
    return _LISTS.get(transport)


def _joined(usual: Value, paths: Iterable[str]) -> tuple[str, ...]:
    """Put paths behind the usual ones, without those that one of them covers."""
    each = (usual,) if isinstance(usual, str) else usual
    new = [path for path in dict.fromkeys(paths) if not any(fnmatch.fnmatchcase(path, one) for one in each)]
    return (*each, *new)
