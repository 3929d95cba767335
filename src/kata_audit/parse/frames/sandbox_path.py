"""The sandbox that a path on the host names: a file of a guest's console or log port lies where the host put it.

Source: Kata `virtcontainers/fs/manager.go` and `src/runtime-rs` `KATA_PATH` (`/run/vc/vm/<sandbox>`, `/run/kata/<sandbox>`);
ids of sandboxes that the CRI made are 64 hexadecimal digits.
"""

import re
from urllib.parse import unquote

_ID = re.compile(r"(?<![0-9A-Za-z])[0-9a-f]{64}(?![0-9A-Za-z])")
_FOLDER = re.compile(r"(?:^|/)run/(?:vc/vm|kata)/([A-Za-z0-9][A-Za-z0-9_.-]{1,127})/")


def read_sandbox(stream: str) -> str | None:
    """Read the sandbox from a file's path; None where the path names none, or several.

    Args:
        stream: The stream part of a cursor: `<path>?<file identity>`, the path percent-encoded.

    Example:
        >>> read_sandbox("/run/vc/vm/web-1/console.log?1-2-aa")
        'web-1'
    """
    path = unquote(stream.partition("?")[0])
    ids = set(_ID.findall(path))
    if ids:
        return ids.pop() if len(ids) == 1 else None
    found = _FOLDER.search(path)
    return found[1] if found is not None else None
