"""Real records get their event, facts, action and outcome; a text that only spells a message gets nothing."""

from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.evidence import column, derive, evidence

from kata_audit.parse.catalog.entry import load_entries
from kata_audit.parse.catalog.matcher import Catalog
from kata_audit.schema.source import Transport
from kata_audit.wiring import catalog

CID = "a460a4516c12a34abeae786755b34664e2b482d95827ab9d1ee0cd5cfdd9cb1e"
EID = "0b4fb1f6-4b8a-4f3c-9c2d-0d9a3b7f6f55"
COLUMNS = ("event_name", "class", "action", "object", "outcome", "component", "origin", "fold_key")


def named(text: str, transport: Transport) -> dict[str, Any]:
    records = derive(evidence(text.encode() + b"\n", transport))
    assert records.num_rows == 1
    return {name: column(records, name)[0] for name in COLUMNS} | {
        "attributes": dict(column(records, "attributes")[0] or [])
    }


def agent(msg: str, **keys: str) -> str:
    pairs = "".join(f',"{key}":"{value}"' for key, value in keys.items())
    return (
        '{"msg":"' + msg + '","level":"INFO","ts":"2026-11-23T06:07:01.123456Z","subsystem":"container","name":"kata-agent",'
        '"source":"agent","version":"0.1.0","pid":"1"' + pairs + "}"
    )


def containerd(msg: str, error: str = "") -> str:
    text = msg.replace("\\", "\\\\").replace('"', '\\"')
    return f'time="2026-11-23T06:07:01.123456789Z" level=error msg="{text}"' + (f' error="{error}"' if error else "")


def test_an_exec_in_the_guest_has_its_command_and_its_container() -> None:
    record = named(agent('process command: [\\"cat\\", \\"/etc/shadow\\"]', cid=CID, eid=EID), Transport.CONSOLE)

    assert (record["event_name"], record["class"], record["action"], record["origin"]) == (
        "exec.process",
        "audit",
        "exec",
        "guest",
    )
    assert record["object"] == record["attributes"]["process.command_args"] == '["cat","/etc/shadow"]'
    assert record["attributes"]["container.id"] == CID


def test_the_first_process_of_a_container_is_no_exec() -> None:
    record = named(agent('process command: [\\"sh\\"]', cid=CID, eid=CID), Transport.CONSOLE)

    assert record["event_name"] == "container.process"
    assert record["action"] != "exec"


def test_records_of_one_exec_fold_and_those_of_another_do_not() -> None:
    accepted = named(agent(f"do_exec_process cid: {CID} eid: {EID}"), Transport.CONSOLE)
    process = named(agent('process command: [\\"id\\"]', cid=CID, eid=EID), Transport.CONSOLE)
    other = named(agent('process command: [\\"id\\"]', cid=CID, eid=EID.replace("0b", "1b")), Transport.CONSOLE)

    assert accepted["fold_key"] == process["fold_key"] is not None
    assert other["fold_key"] not in {None, process["fold_key"]}


def test_a_guest_that_spells_a_host_message_is_named_by_the_agents_messages_only() -> None:
    """Law L7: the component decides which entries count, and a guest never is containerd."""
    line = containerd(
        f'ExecSync for "{CID}" failed',
        'rpc error: code = PermissionDenied desc = \\"ExecProcessRequest is blocked by policy: \\"',
    )
    assert named(line, Transport.HOST_FILE)["outcome"] == "denied"

    record = named(line, Transport.CONSOLE)

    assert (record["event_name"], record["action"], record["outcome"], record["origin"]) == (None, None, None, "guest")


@pytest.mark.parametrize(
    "body",
    [
        f'x RunPodSandbox for name:"a" returns sandbox id "{CID}"',
        f'ExecSync for "{CID}" failed!',
        f'"ExecSync for "{CID}" failed"',
        "RemoveContainer for  returns successfully",
    ],
)
def test_a_text_that_is_not_wholly_a_message_has_no_event(body: str) -> None:
    assert named(containerd(body), Transport.HOST_FILE)["event_name"] is None


def test_a_pod_name_that_spells_a_message_stays_inside_its_quotes() -> None:
    record = named(
        containerd('RunPodSandbox for name:"x\\" failed, error"  uid:"u"  namespace:"n" failed, error'), Transport.HOST_FILE
    )

    assert record["event_name"] == "vm.sandbox_failed"


def test_a_log_file_that_names_no_program_is_named_by_the_one_that_knows_the_message() -> None:
    record = named(containerd(f'StopPodSandbox for "{CID}" returns successfully'), Transport.HOST_FILE)

    assert (record["event_name"], record["component"], record["action"]) == ("vm.sandbox_stopped", "containerd", "stop")


def test_a_message_that_several_programs_know_names_no_program() -> None:
    record = named(containerd("copy shim log", "read /proc/self/fd/12: file already closed"), Transport.HOST_FILE)

    assert (record["event_name"], record["component"]) == ("loghealth.shim_log_copy_ended", None)


def test_an_empty_message_is_named_by_its_keys() -> None:
    line = (
        'time="2026-11-23T06:06:45.321416746Z" level=debug default-kernel-parameters="tsc=reliable" name=containerd-shim-v2'
        " pid=270 sandbox=b06c14f9467f8952a0ebe6f2bfdf106d0af701abc7031f950dc6c10ce6fad98f source=virtcontainers/hypervisor"
        " subsystem=qemu"
    )

    assert named(line, Transport.HOST_FILE)["event_name"] is not None
    assert named(line.replace("default-kernel-parameters", "nothing-known"), Transport.HOST_FILE)["event_name"] is None


@pytest.mark.parametrize(
    ("line", "event", "facts"),
    [
        (
            ("[    5.613454] Memory cgroup out of memory: Killed process 117 (crash) total-vm:17440kB, anon-rss:16044kB,"
            " file-rss:4kB, shmem-rss:648kB, UID:0 pgtables:72kB oom_score_adj:0"),
            "kernel.cgroup_oom_kill",
            {"process.pid": "117", "process.executable.name": "crash"},
        ),
        (
            ("[    5.607970] oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=d7e8,mems_allowed=0,"
            "oom_memcg=/kubepods/burstable/pod4d9b/d7e8,task_memcg=/kubepods/burstable/pod4d9b/d7e8,task=crash,pid=117,uid=0"),
            "kernel.oom_chosen",
            {"process.pid": "117", "process.executable.name": "crash", "oom.task_memcg": "/kubepods/burstable/pod4d9b/d7e8"},
        ),
        ("[    8.265852] Kernel panic - not syncing: sysrq triggered crash", "kernel.panic", {"kernel.panic.reason": "sysrq triggered crash"}),
        (
            ("[    6.001000] traps: kata-agent[1] general protection fault ip:7fe89a1d250f sp:7ffde0eee290 error:0 in"
            " libc.so.6[7fe89a1d2000+155000]"),
            "kernel.trap",
            {"process.executable.name": "kata-agent"},
        ),
    ],
)  # fmt: skip
def test_what_a_guests_kernel_says_of_its_end_is_named(line: str, event: str, facts: dict[str, str]) -> None:
    record = named(line, Transport.CONSOLE)

    assert (record["event_name"], record["component"], record["origin"]) == (event, "guest-kernel", "guest")
    assert record["attributes"].items() >= facts.items()


def test_the_three_lines_of_one_lack_of_memory_fold() -> None:
    chosen = named(
        "[ 5.1] oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),global_oom,task_memcg=/a,task=x,pid=7,uid=0".replace(
            "5.1", "    5.100000"
        ),
        Transport.CONSOLE,
    )
    killed = named("[    5.100001] Out of memory: Killed process 7 (x) total-vm:1kB, anon-rss:1kB", Transport.CONSOLE)

    assert chosen["fold_key"] == killed["fold_key"] is not None


TWO = """
component = "agent"
level = "info"
class = "operational"
meaning = "It."
versions = "all"
[[event]]
id = "A"
event = "vm.rest"
template = "failed for <what:rest>"
[[event]]
id = "B"
event = "vm.more"
template = "failed for <pod:some> because <why:rest>"
[[event]]
id = "C"
event = "vm.if"
template = "exactly"
when = [{ attribute = "error", contains = "no" }]
[[event]]
id = "D"
event = "vm.else"
template = "exactly"
"""


@pytest.mark.parametrize(
    ("body", "error", "expected"),
    [
        ("failed for x", "", "A"),
        ("failed for x because y", "", "B"),
        ("exactly", "no", "C"),
        ("exactly", "yes", "D"),
        ("exactly.", "no", None),
    ],
)
def test_of_several_that_fit_the_one_with_most_text_counts_then_the_first(
    body: str, error: str, expected: str | None
) -> None:
    found = Catalog(load_entries({"two.toml": TWO.encode()})).find("agent", body, {"error": error}.get)

    assert (found[0].id if found else None) == expected


@pytest.mark.parametrize(
    ("test", "attributes", "holds"),
    [
        ('starts = "ab"', {"x": "abc"}, True),
        ('starts = "bc"', {"x": "abc"}, False),
        ('equals = ["a", "b"]', {"x": "b"}, True),
        ('equals = "a"', {"x": "ab"}, False),
        ("present = true", {"x": "a"}, True),
        ("present = true", {}, False),
        ("absent = true", {}, True),
        ("absent = true", {"x": "a"}, False),
        ('contains = "b"', {}, False),
        ('same = "y"', {"x": "a", "y": "a"}, True),
        ('same = "y"', {"x": "a"}, False),
        ('differs = "y"', {"x": "a", "y": "b"}, True),
        ('differs = "y"', {"x": "a", "y": "a"}, False),
    ],
)
def test_conditions(test: str, attributes: dict[str, str], *, holds: bool) -> None:
    entry = f'[[event]]\nid = "A"\nevent = "vm.x"\ncomponent = "agent"\ntemplate = "t"\nlevel = "info"\nclass = "debug"\nmeaning = "M."\nwhen = [{{ attribute = "x", {test} }}]'

    found = Catalog(load_entries({"one.toml": entry.encode()})).find("agent", "t", attributes.get)

    assert (found is not None) is holds


COMPONENTS = sorted({str(component) for entry in catalog().entries for component in entry.components})
BEGINNINGS = sorted({template.prefix for entry in catalog().entries for template in entry.templates})
NOTHING: MappingProxyType[str, str] = MappingProxyType({})


@given(st.sampled_from(COMPONENTS), st.sampled_from(BEGINNINGS), st.text(max_size=80))
def test_whatever_follows_a_messages_beginning_only_a_whole_message_is_found(
    component: str, beginning: str, rest: str
) -> None:
    body = beginning + rest
    found = catalog().find(component, body, NOTHING.get)

    assert found is None or found[1] in [template.read(body) for template in found[0].templates]
