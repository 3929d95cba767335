"""logrus text: who wrote it, and what Kata 1.x relays in it."""

import json

import pytest
from tests.evidence import column, derive, evidence
from tests.mutations import pair_mutations

from kata_audit.parse.dialects.logrus import DIALECT
from kata_audit.schema.source import Transport

SID = "ab" * 32
MONITOR = 'time="2026-11-23T06:19:53.236858562Z" level=info msg=announce app=kata-monitor arch=amd64 git-commit=7c6ba40c54ea29b459b4997cff948caaba4e658b go-version=go1.26.8 listen-address="127.0.0.1:99999" log-level=info os=linux runtime-endpoint=/run/containerd/containerd.sock version=0.3.0'
STARTED = 'time="2026-11-23T06:06:45.548138013Z" level=info msg="Sandbox is started" name=containerd-shim-v2 pid=270 sandbox=b06c14f9467f8952a0ebe6f2bfdf106d0af701abc7031f950dc6c10ce6fad98f source=virtcontainers subsystem=sandbox'
AGENT_1X = (
    'time="2018-06-08T08:33:34.968124Z" level=warning msg="New process" container=c1 name=kata-agent pid=1 source=agent\n'
)


def proxy(text: str) -> str:
    """Spell what kata-proxy of 1.x makes of a text from the guest."""
    return f'time="2018-06-08T08:33:35.262013379Z" level=info msg={json.dumps(text)} name=kata-proxy pid=1234 sandbox={SID} source=agent'


def test_what_the_1x_proxy_relays_is_the_guests() -> None:
    """The agent's own logrus text and kernel lines stand in the proxy's message; only the sandbox is the host's word."""
    lines = [proxy(AGENT_1X), proxy("[    0.395399] brd: module loaded\n"), proxy("no grammar\n")]
    rows = derive(evidence("".join(line + "\n" for line in lines).encode(), Transport.HOST_FILE))

    assert column(rows, "origin") == ["guest"] * 3
    assert column(rows, "component") == ["agent", "guest-kernel", None]
    assert column(rows, "body") == ["New process", "brd: module loaded", "no grammar"]
    assert column(rows, "severity_number") == [13, None, None]
    assert column(rows, "parse_status") == ["parsed", "parsed", "envelope"]
    assert column(rows, "sandbox_id") == [SID] * 3
    assert column(rows, "container_id") == [None] * 3
    assert column(rows, "timestamp") == [1_528_446_815_262_013_379] * 3
    assert column(rows, "guest_timestamp") == [1_528_446_814_968_124_000, None, None]


def test_a_guest_names_no_host_program_in_logrus_text() -> None:
    """The shim's line printed in a guest is nobody's."""
    scan = DIALECT.scan([STARTED, MONITOR, AGENT_1X.rstrip()], [True] * 3)

    assert scan.columns["component"] == [None, None, "agent"]


def test_a_program_is_named_by_name_or_app() -> None:
    """kata-monitor's first record says `app`, all others `name`."""
    scan = DIALECT.scan([MONITOR, STARTED], [False, False])

    assert scan.columns["component"] == ["kata-monitor", "runtime-go"]


@pytest.mark.parametrize("line", [MONITOR, STARTED])
def test_a_line_of_the_next_version_is_read_or_marked(line: str) -> None:
    """New pairs are attributes and move no column; of a torn line nothing comes that was not in it."""
    whole = DIALECT.scan([line], [False]).columns
    for kind, text in pair_mutations(line, seed=37):
        scan = DIALECT.scan([text], [False])
        if kind != "torn":
            assert {name: values for name, values in scan.columns.items() if name != "copy_key"} == {
                name: values for name, values in whole.items() if name != "copy_key"
            }
        elif not scan.malformed:
            body = scan.columns["body"][0]
            assert body == whole["body"][0] or text.endswith(body)
