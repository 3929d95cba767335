"""What the pages say of delivering alerts is what happens."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.notices import NOTICE

from kata_audit.config import parse_config
from kata_audit.exporters.values import data_of, spell_notice
from kata_audit.exporters.webhook import sign, signing_keys
from kata_audit.schema.notice import NOTICE_LABELS, NoticeKind

DOCS = Path(__file__).resolve().parents[2] / "docs"
GUIDE = DOCS / "how-to" / "deliver-alerts.md"
REFERENCE = DOCS / "reference" / "notices.md"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NOW = 1_795_000_000


def blocks(page: Path, language: str) -> list[str]:
    """Give the blocks of a page that are in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


@pytest.fixture
def is_ours() -> Callable[..., bool]:
    """The verifier that the page shows."""
    (shown,) = blocks(GUIDE, "python")
    names: dict[str, Any] = {}
    exec(shown, names)
    verifier: Callable[..., bool] = names["is_ours"]
    return verifier


def test_the_verifier_takes_what_we_sign(is_ours: Callable[..., bool]) -> None:
    """With one key and while there are two."""
    body = spell_notice(NOTICE)
    other = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

    assert is_ours(SECRET, sign(signing_keys(SECRET), "id", NOW, body), body, now=NOW + 299)
    assert is_ours(SECRET, sign(signing_keys(f"{other}\n{SECRET}"), "id", NOW, body), body, now=NOW)


@pytest.mark.parametrize(
    ("changed", "now"),
    [
        ({"webhook-id": "other"}, NOW),
        ({"webhook-timestamp": str(NOW + 1)}, NOW),
        ({"webhook-timestamp": "-1"}, NOW),
        ({"webhook-signature": "v1,AAAA"}, NOW),
        ({"webhook-signature": ""}, NOW),
        ({}, NOW + 301),
        ({}, NOW - 301),
    ],
)
def test_the_verifier_refuses_all_else(is_ours: Callable[..., bool], changed: dict[str, str], now: int) -> None:
    """Another id, time or signature, and one that is old."""
    body = spell_notice(NOTICE)
    headers = sign(signing_keys(SECRET), "id", NOW, body) | changed

    assert not is_ours(SECRET, headers, body, now=now)


def test_the_verifier_refuses_another_body(is_ours: Callable[..., bool]) -> None:
    """One byte of it."""
    body = spell_notice(NOTICE)
    headers = sign(signing_keys(SECRET), "id", NOW, body)

    assert not is_ours(SECRET, headers, body.replace(b"high", b"low "), now=NOW)


@pytest.mark.parametrize("number", range(2))
def test_a_configuration_that_is_shown_is_one(number: int) -> None:
    """It is read without a mistake."""
    shown = blocks(GUIDE, "toml")
    assert len(shown) == 2

    assert parse_config(shown[number], name="page").alerts.destination


def test_the_notice_that_is_shown_is_one() -> None:
    """The same as we send."""
    (shown,) = blocks(REFERENCE, "json")

    assert json.loads(shown) == json.loads(spell_notice(NOTICE))


def test_every_type_field_and_label_is_described() -> None:
    """Whoever reads a notice finds each."""
    page = REFERENCE.read_text()
    fields = ["type", "timestamp", *(f"data.{name}" for name in data_of(NOTICE))]

    assert [name for name in fields if f"| `{name}` |" not in page] == []
    assert [kind for kind in NoticeKind if f"| `alert.{kind}` |" not in page] == []
    assert [label for label in NOTICE_LABELS if f"`{label}`" not in page + GUIDE.read_text()] == []
