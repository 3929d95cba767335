"""What a node's store held goes through a real Kafka into a central store, and is there as it was."""

from pathlib import Path

import pytest
from tests.sent_evidence import differences, node_store, rows
from tests.servers.kafka_server import LOOPBACKS, PASSWORD, USER, Running, can_run, kafka
from tests.servers.test_kafka_input import collected, wait_for

from kata_audit.cli.main import run
from kata_audit.parse.waves import NAME_THERE

pytestmark = pytest.mark.servers_all(can_run())
SENDING = """
[[export]]
name = "central"
kind = "kafka"
url = "tls://{brokers}"
into = "evidence"
user = "{user}"
secret_file = "{folder}/password"
ca_file = "{ca_file}"
allow = {allow}
evidence = true
"""
TAKING = """
node = "lab/central"

[[kafka]]
name = "nodes"
url = "tls://{brokers}"
topic = "evidence"
user = "{user}"
secret_file = "{folder}/password"
ca_file = "{ca_file}"
allow = {allow}
evidence_of = ["lab/w*"]
"""


def spelled(text: str, server: Running, folder: Path) -> str:
    allow = [str(network) for network in LOOPBACKS]
    return text.format(brokers=server.at("both"), user=USER, folder=folder, ca_file=server.ca_file, allow=allow)


def test_all_captures_are_the_same_in_the_central_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the commands, with TLS and a user; sent twice, as after an export whose position was lost, all are there once."""
    node, central = tmp_path / "node", tmp_path / "central"
    (tmp_path / "password").write_text(PASSWORD)
    (tmp_path / "node.toml").touch()
    node_store(node)
    monkeypatch.setenv("KATA_AUDIT_CONFIG", str(tmp_path / "node.toml"))
    with kafka(tmp_path / "broker") as broker:
        server = broker.running
        server.create("evidence", 3)
        server.allow(USER, "evidence", "READ", "WRITE", "DESCRIBE")
        server.allow(USER, "kata-audit", "READ", kind="GROUP")
        (tmp_path / "node.toml").write_text(spelled(SENDING, server, tmp_path))
        assert run(["export", "--once", "--store", str(node)]) == 0
        (tmp_path / "node.toml").write_text(spelled(SENDING, server, tmp_path).replace('"central"', '"again"'))
        assert run(["export", "--once", "--store", str(node)]) == 0
        sent = len(server.messages("evidence"))
        with collected(central, spelled(TAKING, server, tmp_path)) as collector:
            wait_for(lambda: collector.counts.records > 0 and server.is_taken("evidence"))

    held = rows(node)
    assert sent == 2 * len(held)
    assert not differences(node, central)
    names = [name for row in rows(central) if (name := dict(row["attributes"] or ()).get(NAME_THERE)) is not None]
    assert len(names) == len(set(names)) == len(held)
    assert run(["verify", "--deep", "--store", str(central)]) == 0
