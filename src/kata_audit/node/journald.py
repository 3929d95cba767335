"""What a plan sets journald to: a drop-in with the keys that are not as good as the profile wants, and nothing else.

Where the journal keeps more, or cuts later, than the profile asks for, that stays. What is enough is what `node check` asks.

Source: journald.conf(5); systemd.unit(5) for the order of drop-ins.
"""

from collections.abc import Callable, Mapping
from typing import Final

from kata_audit.node.host import Unit, read_size, read_systemd
from kata_audit.node.host_checks import ENOUGH_BURST, ENOUGH_LINE_BYTES, LEVELS
from kata_audit.node.overlay import JOURNALD_DROP_IN, MARK, Overlay
from kata_audit.node.plan import JournaldPlan, Profile
from kata_audit.node.tree import Kind, Tree, UnreadableError, read, resolve

NAME: Final = "journald"
"""What the journal is called in a list of what was changed."""
FOLDER: Final = "etc/systemd"
PATH: Final = f"{FOLDER}/journald.conf.d/{JOURNALD_DROP_IN}"
_SECTION: Final = "Journal"
_FOR_EVER: Final = frozenset(("0", "0s"))
_KEPT: Final = ("SystemMaxUse", "SystemKeepFree")


def plan_journald(tree: Tree, profile: Profile) -> JournaldPlan:
    """Plan a profile's settings for the journal of a node.

    Args:
        tree: The node's files.
        profile: What to set.
    """
    if not has_settings(tree):
        return _refuse("systemd keeps no settings on this node, or keeps them behind a link")
    before = read_systemd(Overlay(tree, {}), "journald.conf", section=_SECTION)
    if before.unreadable:
        return _refuse(f"{', '.join(sorted(before.unreadable))} cannot be read: what is set there is not known")
    changes = tuple(
        (key, before.get(key), value)
        for key, value in profile.journald.items()
        if not (_outlives(before, tree) if key == "Storage" else _IS_ENOUGH[key](before))
    )
    text = spell_journald(profile, {key: after for key, _, after in changes})
    if not changes and not _is_there(tree):
        return JournaldPlan(None, None, (), "", None)
    after = read_systemd(Overlay(tree, {PATH: text.encode()}), "journald.conf", section=_SECTION)
    for key, _, value in changes:
        found = after.settings.get(key)
        if found is None or found.path != PATH or found.value != value:
            where = "another file" if found is None else found.path
            return _refuse(f"{where} is read behind the drop-in and sets {key}: change it there")
    return JournaldPlan(PATH, text, changes, "restart of systemd-journald", None)


def has_settings(tree: Tree) -> bool:
    """Say whether systemd's settings are where they are looked for, and behind no link: only there we write."""
    found = resolve(tree, FOLDER)
    return found.kind is Kind.DIRECTORY and not found.through_link


def spell_journald(profile: Profile, values: Mapping[str, str]) -> str:
    """Spell the drop-in: a head that says whose it is, and the keys."""
    lines = [f"{MARK}for the profile {profile.name}. `kata-audit node revert` takes it away."]
    lines += ["", f"[{_SECTION}]", *(f"{key}={value}" for key, value in values.items())] if values else []
    return "\n".join(lines) + "\n"


def _refuse(why: str) -> JournaldPlan:
    return JournaldPlan(None, None, (), "", why)


def _is_there(tree: Tree) -> bool:
    """Say whether a drop-in of ours stands there: it must be taken back where nothing is to be set any more."""
    try:
        return read(tree, PATH).startswith(MARK.encode())
    except UnreadableError:
        return False


def _outlives(unit: Unit, tree: Tree) -> bool:
    storage = (unit.get("Storage") or "auto").lower()
    there = resolve(tree, "var/log/journal").kind is Kind.DIRECTORY
    return storage == "persistent" or (storage == "auto" and there)


def _lets_through(unit: Unit) -> bool:
    burst = read_size(unit.get("RateLimitBurst"))
    is_off = burst == 0 or (unit.get("RateLimitIntervalSec") or "").strip() in _FOR_EVER
    return is_off or (burst is not None and burst >= ENOUGH_BURST)


def _keeps_whole(unit: Unit) -> bool:
    size = read_size(unit.get("LineMax"))
    return size is not None and size >= ENOUGH_LINE_BYTES


def _has_a_size(unit: Unit) -> bool:
    return any(unit.get(key) for key in _KEPT)


def _stores_info(unit: Unit) -> bool:
    level = (unit.get("MaxLevelStore") or "debug").lower()
    number = int(level) if level.isdecimal() and len(level) == 1 else LEVELS.index(level) if level in LEVELS else 0
    return number >= LEVELS.index("info")


_IS_ENOUGH: Final[Mapping[str, Callable[[Unit], bool]]] = {
    "RateLimitBurst": _lets_through,
    "LineMax": _keeps_whole,
    "SystemMaxUse": _has_a_size,
    "SystemMaxFileSize": _has_a_size,
    "MaxLevelStore": _stores_info,
}
"""By key, whether the journal is as good as any profile wants it, but for what its folder tells."""
