"""Write the table of fields into the page of the search language, from the fields that the language knows."""

from pathlib import Path

from kata_audit.predicate.fields import ALIASES, FIELDS, Kind

PAGE = Path(__file__).resolve().parents[1] / "reference" / "search-language.md"
BEGIN = "<!-- fields: written by docs/generate/search_language.py -->\n"
END = "<!-- end of fields -->"
COMPARED = {Kind.TEXT: "text", Kind.NUMBER: "number", Kind.TIME: "time", Kind.BYTES: "text of its bytes"}


def table() -> str:
    """Spell the table: each field, its other names, and how it compares."""
    rows = ["| Field | Also | Compares as |", "| --- | --- | --- |"]
    for field, kind in FIELDS.items():
        names = ", ".join(f"`{alias}`" for alias, of in ALIASES.items() if of == field)
        rows.append(f"| `{field}` | {names} | {COMPARED[kind]} |")
    rows.append("| `attributes.<key>` | | text |")
    return "\n".join(rows) + "\n"


def render() -> str:
    """Make the page: as it stands, with the table in its place."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    return before + BEGIN + table() + END + rest.partition(END)[2]
