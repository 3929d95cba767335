"""What a topic is set up with, and what cannot work."""

from pathlib import Path

import pytest

from kata_audit.config import parse_config
from kata_audit.errors import ConfigError, UsageError
from kata_audit.schema.source import Transport
from kata_audit.wire.kafka import Sasl
from kata_audit.wiring_kafka import kafka_watches

HEAD = '[[kafka]]\nname = "bus"\n'
GOOD = f'{HEAD}url = "tls://a:9093,b:9093"\ntopic = "logs"\n'


def mistakes(text: str) -> list[str]:
    try:
        parse_config(text, name="c.toml", folder=Path("/"))
    except ConfigError as error:
        return [problem.message for problem in error.problems]
    return []


def test_what_is_read(tmp_path: Path) -> None:
    text = (
        f'{GOOD}user = "me"\nsasl = "plain"\nsecret_file = "s"\ntransport = "cri"\ntext_field = "log"\npath_field = "a.b"\n'
        'evidence_of = ["lab/*"]\n'
    )
    [one] = parse_config(text, name="c.toml", folder=tmp_path).kafka
    assert (one.sasl, one.transport, one.secret_file, one.group) == (Sasl.PLAIN, Transport.CRI, tmp_path / "s", "kata-audit")
    assert (one.fields.text, one.fields.path, one.fields.cursor) == ("log", "a.b", "")
    assert one.evidence_of == ("lab/*",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (GOOD, []),
        (HEAD, ["`url` is missing", "`topic` is missing"]),
        (f'{HEAD}url = "http://a"\ntopic = "logs"\n', ["`url` must be tls://host:port"]),
        (f'{HEAD}url = "tcp://a:1"\ntopic = "logs"\n', ["`url` is without TLS"]),
        (f'{HEAD}url = "tls://a:1"\ntopic = "a/b"\n', ["`topic` is no topic"]),
        (f'{GOOD}user = "me"\n', ["`user` has no secret"]),
        (f'{GOOD}secret_file = "a"\nsecret_env = "A"\n', ["two places for one secret"]),
        (f'{GOOD}sasl = "gssapi"\n', ["one of scram-sha-512, scram-sha-256, plain"]),
        (f'{GOOD}transport = "cri"\ntransport_field = "t"\n', ["name one of the two"]),
        (f'{GOOD}transport = "journal-export"\n', ["journal-json"]),
        (f'{GOOD}transport = "audit-eventlist"\n', ["come by HTTP"]),
        (f"{GOOD}{GOOD}", ["there is another kafka `bus`"]),
    ],
)
def test_mistakes(text: str, said: list[str]) -> None:
    found = mistakes(text)
    assert len(found) == len(said), found
    assert all(words in message for words, message in zip(said, found, strict=True)), found


def test_without_the_library_the_package_to_install_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    config = parse_config(GOOD, name="c.toml", folder=Path("/"))
    assert len(kafka_watches(config, "lab/central")) == 1
    monkeypatch.setattr("kata_audit.wiring_kafka.has_kafka", lambda: False)
    with pytest.raises(UsageError) as caught:
        kafka_watches(config, "lab/central")
    assert "kata-audit[kafka]" in str(caught.value.hint)
