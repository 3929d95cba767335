"""How the coverage of a source is told to a person."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from kata_audit.cli.terminal import show, table, terminal_width

if TYPE_CHECKING:
    from kata_audit.pipeline.coverage import Coverage, Lost

_MAX_LOSSES = 10


def share(part: int, whole: int) -> str:
    """Spell a share; only all of it is 100.0%."""
    if not whole:
        return "-"
    return "100.0%" if part == whole else f"{min(100 * part / whole, 99.9):.1f}%"


def coverage_lines(source: str, transport: str, coverage: "Coverage") -> Iterator[str]:
    """Tell the coverage of one source."""
    width = terminal_width()
    statuses = ", ".join(f"{status} {count:,}" for status, count in coverage.statuses.most_common())
    yield show(source)
    yield f"  {coverage.records:,} records ({transport}), {share(coverage.parsed, coverage.records)} understood"
    if len(coverage.statuses) > 1:
        yield f"  {statuses}"
    yield f"  {share(coverage.named, coverage.records)} named: {coverage.named:,} are of a known event"
    if coverage.masked:
        yield f"  secrets masked in them: {coverage.masked:,}"
    parts = list(coverage.parts())
    if len(parts) > 1:
        cells = [
            (
                part.component,
                part.origin,
                f"{part.records:,}",
                share(part.parsed, part.records),
                share(part.named, part.records),
            )
            for part in parts
        ]
        yield ""
        yield from _indented(table(("component", "origin", "records", "understood", "named"), cells, width=_inner(width)))
    unnamed = coverage.unnamed()
    if unnamed:
        yield ""
        yield "  Most frequent without a name (`*` may be content):"
        rows = [(f"{one.records:,}", one.component, one.message) for one in unnamed]
        yield from _indented(table(("records", "component", "message"), rows, width=_inner(width)))
    yield from _losses(coverage.losses(), width)


def _losses(losses: "list[Lost]", width: int) -> Iterator[str]:
    if not losses:
        return
    yield ""
    yield "  Lost before it came here, by the sources' own word:"
    cells = [
        (_records(one), f"{one.statements:,}", "claim" if one.claim else "host", one.source) for one in losses[:_MAX_LOSSES]
    ]
    yield from _indented(table(("records", "statements", "says", "source"), cells, width=_inner(width)))
    if len(losses) > _MAX_LOSSES:
        yield f"  … and {len(losses) - _MAX_LOSSES:,} sources more; `-o json` has all of them"


def _records(one: "Lost") -> str:
    if not one.records:
        return "unknown"
    return f"{one.records:,}" + (" and more" if one.uncounted else "")


def _inner(width: int) -> int:
    return max(width - 2, 1) if width else 0


def _indented(lines: Iterator[str]) -> Iterator[str]:
    for line in lines:
        yield f"  {line}".rstrip()
