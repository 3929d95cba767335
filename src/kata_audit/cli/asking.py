"""What `search` and `timeline` share: the condition and the scope that options ask for."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kata_audit.predicate.tree import Predicate
    from kata_audit.store.reader import Scope


def scope_of(namespaces: tuple[str, ...], tenants: tuple[str, ...] = ()) -> "Scope":
    """Make the scope of the options; nothing named is all."""
    from kata_audit.store.reader import Scope

    return Scope(frozenset(tenants) or None, frozenset(namespaces) or None)


def between(since: int | None, until: int | None) -> "Predicate":
    """Make the condition of `--since` and `--until`: from the first on, before the second."""
    from kata_audit.predicate.tree import Compare, Everything, Op, all_of

    return all_of(
        Everything() if since is None else Compare("timestamp", Op.GE, since),
        Everything() if until is None else Compare("timestamp", Op.LT, until),
    )
