"""L7: text written by a guest can never become a host statement."""

import json

import pyarrow as pa
import pytest
from tests.evidence import capture, column, derive, evidence

from kata_audit.parse.link import link
from kata_audit.schema.record import IDENTITY_COLUMNS, RecordRows
from kata_audit.schema.source import Transport

VICTIM = "b06c14f9467f8952a0ebe6f2bfdf106d0af701abc7031f950dc6c10ce6fad98f"
OWN = "aa" * 32
TIME = 'time="2026-11-23T06:06:45.1Z"'
CRI_POD = f'RunPodSandbox for name:"root" uid:"u" namespace:"kube-system" returns sandbox id "{OWN}"'
CRI_CONTAINER = f'CreateContainer within sandbox "{VICTIM}" for name:"x" returns container id "{OWN}"'
JOURNAL = {"__CURSOR": "s", "_BOOT_ID": "b", "__REALTIME_TIMESTAMP": "1", "NAME": "kata-runtime", "_TRANSPORT": "journal"}
SLOG = {"msg": "x", "level": "INFO", "ts": "2026-11-23T06:06:45Z", "name": "kata-runtime"}
FORGERIES = [
    f"{TIME} level=error msg=x name=containerd-shim-v2 pid=1 sandbox={VICTIM} source=virtcontainers",
    f"{TIME} level=info msg={json.dumps(CRI_POD)}",
    f"{TIME} level=info msg={json.dumps(CRI_CONTAINER)}",
    json.dumps({**SLOG, "source": VICTIM, "cid": VICTIM}),
    json.dumps({**JOURNAL, "SOURCE": VICTIM, "MESSAGE": "m"}),
    f'OCI Spec {{ {{"io.kubernetes.cri.sandbox-id": "{VICTIM}", "io.kubernetes.cri.sandbox-name": "root"}}',
    f"/kubepods/pod00000000-0000-0000-0000-000000000000/{VICTIM}",
]


def shim_console(text: str) -> tuple[Transport, str]:
    """Spell what the Go shim makes of a console line: a quoted value at a position of its own."""
    line = (
        f'time="2026-11-23T06:06:46.1Z" level=debug msg="reading guest console" name=containerd-shim-v2 pid=7 sandbox={OWN} '
        f"source=virtcontainers subsystem=sandbox vmconsole={json.dumps(text)}"
    )
    entry = {
        "__CURSOR": "s",
        "__REALTIME_TIMESTAMP": "1795414006100000",
        "_BOOT_ID": "b" * 32,
        "_PID": "7",
        "SYSLOG_IDENTIFIER": "kata",
    }
    return Transport.JOURNAL_JSON, json.dumps({**entry, "MESSAGE": line})


def rs_agent(text: str) -> tuple[Transport, str]:
    """Spell what runtime-rs makes of a line from the agent's log port."""
    entry = {"__CURSOR": "s", "__REALTIME_TIMESTAMP": "1795414006100000", "_BOOT_ID": "b" * 32, "_TRANSPORT": "journal"}
    return Transport.JOURNAL_JSON, json.dumps(
        {**entry, "NAME": "kata-runtime", "SUBSYSTEM": "agent", "SOURCE": OWN, "MESSAGE": text}
    )


def rs_console(text: str) -> tuple[Transport, str]:
    """Spell what runtime-rs makes of a console line."""
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    entry = {"__CURSOR": "s", "__REALTIME_TIMESTAMP": "1795414006100000", "_BOOT_ID": "b" * 32, "_TRANSPORT": "journal"}
    message = f'vm console: "{quoted}"'
    return Transport.JOURNAL_JSON, json.dumps(
        {**entry, "NAME": "kata-runtime", "SUBSYSTEM": "hypervisor", "SOURCE": OWN, "MESSAGE": message}
    )


def container(text: str) -> tuple[Transport, str]:
    """Spell what containerd makes of a container's output."""
    return Transport.CRI, f"2026-11-23T06:06:46.1Z stdout F {text}"


def console(text: str) -> tuple[Transport, str]:
    """A guest's console is the guest's text as it is."""
    return Transport.CONSOLE, text


POSITIONS = [shim_console, rs_agent, rs_console, container, console]


def identities(records: RecordRows) -> list[dict[str, str | None]]:
    return list(records.select(list(IDENTITY_COLUMNS)).to_pylist())


@pytest.mark.parametrize("position", POSITIONS, ids=lambda position: position.__name__)
@pytest.mark.parametrize("forgery", FORGERIES, ids=range(len(FORGERIES)))
def test_a_guest_line_that_spells_a_host_line_changes_nobodys_identity(forgery: str, position) -> None:  # type: ignore[no-untyped-def]
    honest = capture("go-info.journal.json.gz")
    transport, line = position(forgery)
    forged = evidence(line.encode() + b"\n", transport, first=len(honest), stream="forged?1-2-bb")

    alone = derive(honest)
    together = derive(pa.Table.from_batches([honest, forged]).combine_chunks().to_batches()[0])

    assert identities(together)[: len(honest)] == identities(alone)
    row = together.slice(len(honest))
    assert column(row, "origin") == ["guest"]
    stated = {value for name, value in identities(row)[0].items() if name != "identity_basis" and value is not None}
    assert stated <= {OWN}
    new = {fact["subject"] for fact in link(together).to_pylist()} - {fact["subject"] for fact in link(alone).to_pylist()}
    assert new <= {"7"}, "the shim's own process id may be stated, nothing that the guest wrote"


@pytest.mark.parametrize("forgery", FORGERIES, ids=range(len(FORGERIES)))
def test_a_line_of_a_file_that_nobody_declared_makes_no_facts(forgery: str) -> None:
    records = derive(evidence(forgery.encode() + b"\n", Transport.BARE))

    assert column(records, "origin") == ["unknown"]
    assert link(records).num_rows == 0


def test_a_pod_that_is_named_like_a_template_stays_inside_its_quotes() -> None:
    name = f'x" uid:"u" namespace:"kube-system" returns sandbox id "{VICTIM}'
    quoted = json.dumps(name)
    message = f'RunPodSandbox for name:{quoted}  uid:"u1"  namespace:"tenant" returns sandbox id "{OWN}"'
    line = f'time="2026-11-23T06:06:45.1Z" level=info msg={json.dumps(message)}\n'

    records = derive(evidence(line.encode(), Transport.HOST_FILE))

    assert column(records, "sandbox_id") == [OWN]
    assert column(records, "k8s_namespace") == ["tenant"]
    assert column(records, "k8s_pod") == [name]


OURS = {"relay.body": "mine", "relay.name": "mine", "console.torn": "mine", "journal.line_break": "mine"}


@pytest.mark.parametrize("position", POSITIONS, ids=lambda position: position.__name__)
@pytest.mark.parametrize("depth", [1, 2])
def test_a_guest_says_nothing_of_how_its_text_came(depth: int, position) -> None:  # type: ignore[no-untyped-def]
    """Fields of such names neither replace what the relay states nor make a loss of the record."""

    def told(fields: dict[str, str]) -> RecordRows:
        for _ in range(depth - 1):
            fields = {**SLOG, "name": "kata-agent", "msg": json.dumps(fields)}
        transport, line = position(json.dumps(fields))
        return derive(evidence(line.encode() + b"\n", transport))

    honest, forged = told(SLOG), told({**SLOG, **OURS})

    for name in ("origin", "action", "event_name", "class", "dialect"):
        assert column(forged, name) == column(honest, name)
    said, claimed = (dict(column(records, "attributes")[0] or []) for records in (honest, forged))
    assert claimed.keys() == said.keys()
    assert "mine" not in claimed.values()


def test_a_container_does_not_say_which_of_its_streams_it_wrote_to() -> None:
    transport, line = container(json.dumps({**SLOG, "log.iostream": "stderr", "own": "stays"}))

    said = dict(column(derive(evidence(line.encode() + b"\n", transport)), "attributes")[0])

    assert (said["log.iostream"], said["own"]) == ("stdout", "stays")


def test_what_a_guest_relays_hides_nothing_of_the_host_that_relayed_it() -> None:
    transport, line = shim_console(json.dumps({**SLOG, "name": "kata-agent", "sandbox": VICTIM, "msg": json.dumps(SLOG)}))

    said = dict(column(derive(evidence(line.encode() + b"\n", transport)), "attributes")[0])

    assert said["relay.body"] == "reading guest console"
    assert said["relay.component"] == "runtime-go"
    assert said["relay.sandbox"] == OWN
