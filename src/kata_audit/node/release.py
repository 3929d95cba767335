"""Which release of Kata a node has: by its VERSION file, else by what only later releases lay out.

Source: what the installers of 2.4 to 4.1 write, and the releases in which keys first appear in the shipped files.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

from kata_audit.node.keys import Release, parse_release
from kata_audit.node.tree import Kind, Tree, UnreadableError, exists, read, resolve

NEWEST: Final = Release(4, 1)
"""The newest release whose rules are known here; a later one is read by them."""
OLDEST: Final = Release(2, 4)
_LINK_OF_3_29: Final = "configuration-qemu.toml"


class Found(NamedTuple):
    """A release, and how it is known.

    Args:
        release: The oldest one that fits what was found: no rule is applied that it may not have.
        exact: Whether a file names it.
        why: What told it, for a person.
    """

    release: Release
    exact: bool
    why: str


def find_release(tree: Tree, prefix: str, bases: Iterable[str]) -> Found:
    """Tell the release that is installed under a prefix.

    Args:
        tree: The node's files.
        prefix: Where it lies: `opt/kata` or `usr`.
        bases: Texts of its configuration files' names and keys, one for each file that could be read.
    """
    try:
        stated = parse_release(read(tree, f"{prefix}/VERSION").decode("ascii", "replace"))
    except UnreadableError:
        stated = None
    if stated is not None:
        return Found(stated, exact=True, why=f"{prefix}/VERSION")
    release, why = OLDEST, "nothing newer is laid out"
    for since, holds, told in _marks(tree, prefix, "\n".join(bases)):
        if holds and since > release:
            release, why = since, told
    return Found(release, exact=False, why=why)


def _marks(tree: Tree, prefix: str, text: str) -> Iterable[tuple[Release, bool, str]]:
    """Give what only a release and later ones have: the release, whether it is there, and what it is."""
    defaults = f"{prefix}/share/defaults/kata-containers"
    keys = set(text.split())
    has = keys.__contains__
    yield Release(2, 5), _no_old_virtiofsd(tree, prefix, keys), "virtiofsd lies where 2.5 put it"
    yield Release(3, 0), exists(tree, f"{prefix}/runtime-rs/bin"), f"{prefix}/runtime-rs"
    yield Release(3, 3), exists(tree, f"{defaults}/runtime-rs"), f"{defaults}/runtime-rs"
    yield Release(3, 27), exists(tree, f"{defaults}/runtimes"), f"{defaults}/runtimes"
    link = resolve(tree, f"{defaults}/{_LINK_OF_3_29}")
    yield Release(3, 29), link.through_link and "/runtimes/" in link.path, f"{defaults}/{_LINK_OF_3_29} is a link"
    yield Release(3, 30), exists(tree, f"{defaults}/runtime-rs/configuration-clh-runtime-rs.toml"), "clh-runtime-rs"
    no_version = exists(tree, f"{defaults}/runtimes") and exists(tree, f"{prefix}/versions.yaml")
    yield Release(3, 32), no_version, f"{prefix}/versions.yaml without VERSION"
    yield Release(4, 1), exists(tree, f"{defaults}/runtime-rs/configuration-openvmm-azure-runtime-rs.toml"), "openvmm"
    for since, key in _FIRST_KEYS:
        yield since, has(key), f"the key {key}"


_FIRST_KEYS: Final = (
    (Release(3, 14), "hypervisor_loglevel"),
    (Release(3, 27), "kernel_verity_params"),
    (Release(3, 28), "emptydir_mode"),
    (Release(4, 0), "guest_extension_images"),
)
"""Keys that the shipped files set from a release on."""


def _no_old_virtiofsd(tree: Tree, prefix: str, keys: set[str]) -> bool:
    """2.4 had QEMU's own virtiofsd, and set SELinux under `[runtime]`; a tree that shows neither is at least 2.5."""
    old = resolve(tree, f"{prefix}/libexec/kata-qemu/virtiofsd").kind is Kind.FILE
    return not old and "runtime.disable_selinux" not in keys and bool(keys)
