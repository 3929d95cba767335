"""A console file's path names its sandbox: the host's word, whatever the guest writes into the file."""

import pytest
from tests.evidence import column, derive, evidence

from kata_audit.parse.frames.sandbox_path import read_sandbox
from kata_audit.schema.source import Transport

SANDBOX, OTHER = "112948fe73f00771e2454cd82599e4d17db9f7f713a2a422a0d414be3c7f30c4", "b" * 64
AGENT = (
    '{"msg":"policy: log file: /tmp/policy.jsonl","level":"DEBG","ts":"2026-11-23T08:04:45.746890127Z",'
    '"name":"kata-agent","subsystem":"rpc","pid":"46","version":"0.1.0","source":"agent"}\n'
)


@pytest.mark.parametrize(
    ("stream", "sandbox"),
    [
        (f"/run/vc/vm/{SANDBOX}/console.log?1-2-aa", SANDBOX),
        (f"/var/log/agent-{SANDBOX}.jsonl?1-2-aa", SANDBOX),
        (f"/copies/{SANDBOX}/agent-{SANDBOX}.jsonl?1-2-aa", SANDBOX),
        ("/run/kata/my%2Dbox/console.log?1-2-aa", "my-box"),
        (f"/{SANDBOX}/{OTHER}.log?1-2-aa", None),
        (f"/{SANDBOX}0/console.log?1-2-aa", None),
        ("/tmp/console.log?1-2-aa", None),
        (f"/tmp/console.log?{SANDBOX}", None),
    ],
)
def test_a_path_names_one_sandbox_or_none(stream: str, sandbox: str | None) -> None:
    """One id is a statement; two are a riddle, and what is longer than an id is none."""
    assert read_sandbox(stream) == sandbox


def test_a_console_file_belongs_to_the_sandbox_of_its_path() -> None:
    """Records that only their file ties to a sandbox are in its story, and stay claims."""
    rows = derive(evidence(AGENT.encode(), Transport.CONSOLE, stream=f"/run/vc/vm/{SANDBOX}/console.log?1-2-aa"))

    assert (column(rows, "sandbox_id"), column(rows, "identity_basis")) == ([SANDBOX], ["path"])
    assert (column(rows, "origin"), column(rows, "timestamp_basis")) == (["guest"], ["guest"])


def test_a_path_names_no_sandbox_for_other_transports() -> None:
    """Only the files that hold a guest's console lie in a sandbox's folder because they are its own."""
    rows = derive(evidence(b"a line\n", Transport.BARE, stream=f"/run/vc/vm/{SANDBOX}/notes?1-2-aa"))

    assert column(rows, "sandbox_id") == [None]
