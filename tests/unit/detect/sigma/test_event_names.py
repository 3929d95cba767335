"""Words of ours that rules compare exactly are spelled as the reader of rules takes for granted."""

from kata_audit.detect.sigma.fields import SMALL, VOCABULARIES
from kata_audit.parse import api_audit, losses
from kata_audit.schema.event import Action
from kata_audit.wiring import catalog


def test_names_are_in_small_letters() -> None:
    """Every event name and action is in small letters."""
    names = {entry.event for entry in catalog().entries} | api_audit.EVENTS.keys() | losses.EVENTS.keys()

    assert {"event_name", "action"} == SMALL
    assert not [name for name in [*names, *map(str, Action)] if name != name.lower()]


def test_no_vocabulary_has_a_word_twice() -> None:
    """A word that differs from another by case alone could not be told from it."""
    for words in VOCABULARIES.values():
        assert len({word.lower() for word in words}) == len(words)
