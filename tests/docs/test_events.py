"""Every event that a record can be has a page that tells what it is known by."""

import runpy
from pathlib import Path
from typing import Any

from kata_audit.parse import api_audit, losses
from kata_audit.parse.catalog.entry import CLASSES
from kata_audit.wiring import catalog

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = REPOSITORY / "docs" / "reference" / "events"
GENERATOR: dict[str, Any] = runpy.run_path(str(REPOSITORY / "docs" / "generate" / "events.py"))


def page(event: str) -> str:
    """Read an event's page."""
    return (PAGES / f"{event}.md").read_text()


def test_every_known_message_stands_on_the_page_of_its_event() -> None:
    """A person who sees an event's name finds its texts, what they mean, and all that becomes of them."""
    missing = []
    for entry in catalog().entries:
        text = page(entry.event)
        section = text.partition(f"## {entry.id}\n")[2].partition("\n## ")[0]
        told = [*(one.text for one in entry.templates), entry.retention, *entry.facts]
        missing += [(entry.id, one) for one in told if GENERATOR["code"](one) not in section]
        missing += [(entry.id, entry.meaning)] * (" ".join(entry.meaning.split()) not in " ".join(section.split()))

    assert missing == []


def test_the_index_leads_to_every_event_by_its_class() -> None:
    """No event is hidden, and each class says what it is about."""
    index = page("index")
    pages = {path.stem for path in PAGES.glob("*.md")} - {"index"}

    assert [name for name in sorted(pages) if f"[{name}]({name}.md)" not in index] == []
    assert pages == {entry.event for entry in catalog().entries} | {*api_audit.EVENTS, *losses.EVENTS}
    assert set(GENERATOR["OF_CLASS"]) == set(CLASSES)
    assert [kind for kind in CLASSES if f"\n## {kind}\n\n{GENERATOR['OF_CLASS'][kind]}\n" not in index] == []


def test_every_request_and_loss_has_its_event_described() -> None:
    """Names that code makes, and no entry of the catalogue, are described where they are made."""
    changed = {f"api.{what}_{how}" for what in api_audit._CHANGED.values() for how in api_audit._CHANGES.values()}
    asked = {event for _, event in api_audit._CONNECTIONS.values()}
    plain = {"api.node_proxy", "api.kubelet_access", "api.secret_read", "api.request"}
    known = {entry.event for entry in catalog().entries}

    assert changed | asked | plain == set(api_audit.EVENTS)
    assert {kind.event for kind in losses._KINDS} | {"loghealth.line_cut"} == set(losses.EVENTS) | (
        known & {kind.event for kind in losses._KINDS}
    )
    assert all(f"\n{sentence}" in page(name) for name, sentence in {**api_audit.EVENTS, **losses.EVENTS}.items())
