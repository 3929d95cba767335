"""Messages of runtime-rs whose fields are lost are its messages still, and consoles in them the guest's."""

from tests.mutations import word_mutations

from kata_audit.parse.dialects.runtime_rs_text import ABOUT, DIALECT


def test_a_message_is_the_shims_and_its_console_line_the_guests() -> None:
    """Only text in `vm console: "…"` is the guest's; everything else stays the message."""
    read = DIALECT.scan([ABOUT.examples[0], r'vm console: "a \"b\""', 'vm console: "torn'], [False] * 3)

    assert read.columns["body"][0] == ABOUT.examples[0]
    assert read.columns["component"] == ["runtime-rs"] * 3
    assert read.inner is not None
    assert (read.inner.rows, read.inner.texts, read.inner.guest) == ([1], ['a "b"'], [True])


def test_a_guests_text_is_not_the_shims() -> None:
    """At a guest's position nobody is named."""
    assert DIALECT.scan(["start to run"], [True]).columns["component"] == [None]


def test_changed_messages_stay_messages() -> None:
    """There is no grammar to break."""
    for _, text in word_mutations(ABOUT.examples[0], seed=1):
        assert DIALECT.scan([text], [False]).columns["body"] == [text]
