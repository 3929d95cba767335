"""What keeps settings from being a receiver, each with its key."""

from pathlib import Path

import pytest

from kata_audit.config import parse_config
from kata_audit.errors import ConfigError
from kata_audit.receivers.receive_settings import Address, Receive, ReceiveKind, mistakes_of_receive, read_listen
from kata_audit.schema.source import Transport

HEAD = '[[receive]]\nname = "nodes"\nkind = "http"\n'


def mistakes(text: str) -> list[str]:
    try:
        parse_config(HEAD + text, name="c.toml")
    except ConfigError as error:
        return [str(problem.message) for problem in error.problems]
    return []


@pytest.mark.parametrize(
    "text",
    [
        'listen = "127.0.0.1:9880"',
        'listen = "[::1]:0"\ntransport = "cri"\ntext_field = "log"',
        'listen = "0.0.0.0:1"\ncertificate_file = "a"\nkey_file = "b"\nsecret_env = "TOKEN"',
        'listen = "0.0.0.0:1"\ncertificate_file = "a"\nkey_file = "b"\nclient_ca_file = "c"',
        'listen = "10.0.0.1:1"\nplaintext = true\nallow = ["10.0.0.0/8"]',
        'listen = "127.0.0.1:1"\ntransport_field = "t"\nidentifier_field = "i"',
        'listen = "127.0.0.1:1"\nevidence_of = ["lab/*"]',
        'listen = "127.0.0.1:1"\ntransport = "journal-json"\nidentifier_field = "i"',
    ],
)
def test_settings_that_hold(text: str) -> None:
    assert mistakes(text) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('listen = "localhost:9880"', ["no address and port"]),
        ('listen = "127.0.0.1:99999"', ["no address and port"]),
        ('listen = "127.0.0.300:1"', ["no address and port"]),
        ('listen = "0.0.0.0:1"', ["without TLS", "open to anybody"]),
        ('listen = "10.0.0.1:1"\nplaintext = true', ["open to anybody"]),
        ('listen = "127.0.0.1:1"\nkey_file = "b"', ["belong together"]),
        ('listen = "127.0.0.1:1"\nclient_ca_file = "b"', ["nothing without TLS"]),
        ('listen = "127.0.0.1:1"\nsecret_file = "b"\nsecret_env = "B"', ["two places"]),
        ('listen = "127.0.0.1:1"\ntransport = "cri"\ntransport_field = "t"', ["name one of the two"]),
        ('listen = "127.0.0.1:1"\ntransport = "journal-export"', ["journal-json"]),
        ('listen = "127.0.0.1:1"\nidentifier_field = "i"', ["entries of the journal"]),
        ('listen = "127.0.0.1:1"\ntransport = "cri"\nmessage_field = "i"', ["entries of the journal"]),
        ('listen = "127.0.0.1:1"\ntransport = "cri"\nidentifier_field = "i"', ["entries of the journal"]),
        ('listen = "127.0.0.1:1"\ntransport = "audit-eventlist"\ntext_field = "i"', ["no fields"]),
        ('listen = "127.0.0.1:1"\nkind = "gelf"', []),
        ("", ["`listen` is missing"]),
        ('listen = "127.0.0.1:1"\n[[receive]]\nname = "nodes"\nkind = "http"\nlisten = "127.0.0.1:2"', ["another receive"]),
    ],
)
def test_mistakes(text: str, said: list[str]) -> None:
    found = mistakes(text)
    assert len(found) == max(len(said), 1), found
    assert all(words in message for words, message in zip(said, found, strict=False)), found


def test_syslog_carries_no_evidence() -> None:
    one = Receive("s", ReceiveKind.SYSLOG, "127.0.0.1:1", evidence_of=("lab/*",))
    assert [key for key, _ in mistakes_of_receive(one)] == ["evidence_of"]


def test_what_is_read(tmp_path: Path) -> None:
    text = f'{HEAD}listen = "[::1]:9880"\ntransport = "cri"\ntext_field = "log"\npath_field = "a.b"\nsecret_file = "s"\n'
    [one] = parse_config(text, name="c.toml", folder=tmp_path).receive
    assert (one.kind, one.transport, one.secret_file) == (ReceiveKind.HTTP, Transport.CRI, tmp_path / "s")
    assert (one.fields.text, one.fields.path, one.fields.cursor) == ("log", "a.b", "")
    assert read_listen(one.listen) == Address("::1", 9880)
