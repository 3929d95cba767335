"""The line of a broken error that names an exec and its container."""

import pytest
from tests.evidence import column, derive, evidence
from tests.mutations import word_mutations

from kata_audit.parse.dialects.klog_lines import DIALECT
from kata_audit.parse.link import link
from kata_audit.schema.source import Transport

LINE = DIALECT.about.examples[0]
EXEC, CONTAINER = (
    "39435da5458394d3cafc4a5b326f9a81443b5c3bc4027c5693aec230f4be2364",
    "47f1fc8f4ce3822f883a14449693f007ef180f569efee74765cde9009c041a40",
)


def test_a_missing_program_is_a_failed_exec_of_its_container() -> None:
    """It is an event of unknown origin: what it says fills its own row, and makes no fact."""
    records = derive(evidence((LINE + "\n").encode(), Transport.HOST_FILE))

    assert column(records, "event_name") == ["exec.stream_failed"]
    assert (column(records, "action"), column(records, "outcome")) == (["exec"], ["failure"])
    assert (column(records, "exec_id"), column(records, "container_id")) == ([EXEC], [CONTAINER])
    assert (column(records, "origin"), column(records, "class")) == (["unknown"], ["audit"])
    assert dict(column(records, "attributes")[0])["reason"] == "the file nosuchbinary was not found"
    assert len(link(records)) == 0


def test_a_refusal_by_the_guests_policy_is_denied() -> None:
    line = LINE.replace(
        "Internal desc = the file nosuchbinary was not found", 'PermissionDenied desc = "x is blocked by policy: a'
    )

    assert DIALECT.scan([line], [False]).columns["outcome"] == ["denied"]


def test_a_guest_that_prints_it_states_nothing() -> None:
    """L7: on a console it stays a guest's text."""
    records = derive(evidence((LINE + "\n").encode(), Transport.CONSOLE))

    assert column(records, "origin") == ["guest"]
    assert [column(records, name) for name in ("event_name", "action", "container_id")] == [[None]] * 3


@pytest.mark.parametrize("seed", range(2))
def test_mutations_are_read_right_or_marked(seed: int) -> None:
    """Torn, swapped or longer: both ids are the line's own, or it is malformed."""
    for kind, text in word_mutations(LINE, seed=seed):
        scan = DIALECT.scan([text], [False])
        ids = (scan.columns["exec_id"][0], scan.columns["container_id"][0])
        assert ids == (EXEC, CONTAINER) or (scan.malformed == [0] and ids == (None, None)), kind
