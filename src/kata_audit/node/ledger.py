"""What `node apply` wrote on a node, so that `node check` finds what somebody took away or changed.

One file, in the form of `sha256sum`: each drop-in of ours with the hash of its bytes.
"""

import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Final, NamedTuple

from kata_audit.node.overlay import MARK
from kata_audit.node.tree import Kind, Tree, UnreadableError, read, resolve

PATH: Final = "etc/kata-audit/applied.sha256"
_HEAD: Final = f"{MARK}node apply: what it wrote. `kata-audit node revert` takes it away.\n"
_LINE: Final = re.compile(r"([0-9a-f]{64})  /([^\n]+)")


class Applied(NamedTuple):
    """A file that we wrote, and what became of it: `same`, `changed`, `gone` or `unreadable`."""

    path: str
    state: str


def hash_of(data: bytes) -> str:
    """Hash a file's bytes as a ledger lists them."""
    return sha256(data).hexdigest()


def spell_ledger(written: Mapping[str, str]) -> bytes:
    """Spell a ledger: hashes by path. A path with a line end in it cannot be listed."""
    lines = [f"{digest}  /{path}\n" for path, digest in sorted(written.items()) if "\n" not in path]
    return (_HEAD + "".join(lines)).encode("utf-8", "surrogateescape")


def read_ledger(data: bytes) -> dict[str, str]:
    """Read a ledger; what is no line of one is passed over.

    Example:
        >>> read_ledger(spell_ledger({"etc/x": "0" * 64}))["etc/x"][:4]
        '0000'
    """
    if not data.startswith(MARK.encode()):
        return {}
    found = (_LINE.fullmatch(line) for line in data.decode("utf-8", "surrogateescape").split("\n"))
    return {match[2]: match[1] for match in found if match is not None}


def find_applied(tree: Tree, unreadable: dict[str, str]) -> list[Applied]:
    """Tell of each file that we wrote on a node what became of it.

    Args:
        tree: The node's files.
        unreadable: Where a ledger is noted that cannot be read.
    """
    found = resolve(tree, PATH)
    if found.kind is Kind.MISSING:
        return []
    try:
        ledger = read_ledger(read(tree, PATH))
    except UnreadableError as error:
        unreadable[PATH] = str(error)
        return []
    return [Applied(path, _state(tree, path, digest)) for path, digest in ledger.items()]


def _state(tree: Tree, path: str, digest: str) -> str:
    if resolve(tree, path).kind is Kind.MISSING:
        return "gone"
    try:
        return "same" if hash_of(read(tree, path)) == digest else "changed"
    except UnreadableError:
        return "unreadable"
