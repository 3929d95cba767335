"""The canary says what arrived, what must have and did not, and what silence does not tell."""

import re

import pytest
from tests.evidence import derive, evidence

from kata_audit.errors import UsageError
from kata_audit.node.canary import Finding, Subject, Verdict, Watch
from kata_audit.node.canary_table import all_hold, answer
from kata_audit.node.check import Status
from kata_audit.schema.source import Transport
from kata_audit.wiring import canary_table

OLD, NEW = "0a" * 32, "1b" * 32
AGENT = '{"msg":"announce","level":"INFO","ts":"2026-11-23T06:10:03Z","source":"agent","name":"kata-agent"}'


def stamp(second: int) -> str:
    return f"2026-11-23T06:10:{second:02}.000000000Z"


def shim(sandbox: str, second: int, text: str, *, level: str = "info") -> str:
    """Spell a record of the Go shim as containerd's own log has it."""
    return f'time="{stamp(second)}" level={level} msg="{text}" name=containerd-shim-v2 sandbox={sandbox} source=katautils\n'


def cri(sandbox: str, second: int, pod: str = "web") -> str:
    """Spell containerd's record of a sandbox that is ready."""
    said = rf"RunPodSandbox for name:\"{pod}\"  uid:\"u-1\"  namespace:\"shop\" returns sandbox id \"{sandbox}\""
    return f'time="{stamp(second)}" level=info msg="{said}"\n'


def watch(*texts: tuple[str, Transport, str], marker: str | None = None) -> Watch:
    """Read texts, each of a transport and a stream."""
    made = Watch(canary_table(), marker=marker)
    for text, transport, stream in texts:
        made.add(derive(evidence(text.encode(), transport, stream=stream)))
    return made


def engine(text: str) -> tuple[str, Transport, str]:
    return text, Transport.HOST_FILE, "/var/log/containerd.log?1-2-aa"


def finding(verdict: Verdict, layer: str) -> Finding:
    return next(one for one in verdict.findings if one.layer == layer)


def statuses(verdict: Verdict) -> dict[str, str]:
    return {one.layer: str(one.status) for one in verdict.findings}


def test_the_newest_sandbox_is_judged() -> None:
    """The one that began last, whichever spoke last, with its pod as the engine names it."""
    made = watch(engine(shim(OLD, 1, "loaded configuration") + shim(NEW, 2, "loaded configuration") + cri(NEW, 3)))
    made.add(derive(evidence(shim(OLD, 9, "Stopping VM").encode(), Transport.HOST_FILE)))

    assert made.newest() == Subject(NEW, "shop", "web")
    assert made.of_pod("shop", "web") == Subject(NEW, "shop", "web")
    assert made.of_sandbox(OLD[:6]) == Subject(OLD, None, None)


def test_evidence_is_counted_and_named() -> None:
    """A pass says how many records, from when to when, and where the first of them stands."""
    text = shim(NEW, 1, "loaded configuration")
    verdict = (made := watch(engine(cri(NEW, 0) + text + shim(NEW, 5, "Starting VM")))).judge(made.newest())
    stream = finding(verdict, "shim-stream")

    assert (stream.status, stream.records) == (Status.PASS, 2)
    assert ((stream.last_ns or 0) - (stream.first_ns or 0)) == 4_000_000_000
    assert stream.record == f"/var/log/containerd.log@{len(cri(NEW, 0))}+{len(text)}"


def test_a_layer_that_must_speak_and_does_not_fails() -> None:
    """The Go shim writes each record to syslog too; where none came that way, that way is broken."""
    verdict = (made := watch(engine(cri(NEW, 0) + shim(NEW, 1, "loaded configuration")))).judge(made.newest())

    assert statuses(verdict) | {"cri": "pass", "shim-stream": "pass", "shim-syslog": "fail"} == statuses(verdict)
    assert verdict.has_failed
    assert "SYSLOG_IDENTIFIER=kata" in (finding(verdict, "shim-syslog").next or "")


def test_what_may_be_silent_is_blind() -> None:
    """At info no line of the agent comes from the Go shim: that is no failure, and no pass."""
    started = shim(NEW, 1, "loaded configuration") + shim(NEW, 2, "VM started")
    at_info = (made := watch(engine(started))).judge(made.newest())
    at_debug = (made := watch(engine(started + shim(NEW, 3, "console watcher starts", level="debug")))).judge(made.newest())

    assert finding(at_info, "agent").status is Status.BLIND
    assert finding(at_debug, "agent").status is Status.FAIL
    assert {"shim-debug", "console-watched"} <= set(at_debug.facts)


def test_an_expected_layer_must_have_spoken() -> None:
    """Who knows that a kubelet runs here says so, and its silence is a failure."""
    made = watch(engine(cri(NEW, 0) + shim(NEW, 1, "loaded configuration")))

    assert finding(made.judge(made.newest()), "kubelet").status is Status.BLIND
    assert finding(made.judge(made.newest(), expected=["kubelet"]), "kubelet").status is Status.FAIL


def test_a_container_cannot_pass_for_the_agent() -> None:
    """The agent's words in a container's output, or in a file that nobody declared, prove nothing of the agent (L7)."""
    base = engine(cri(NEW, 0) + shim(NEW, 1, "VM started"))
    output = (f"2026-11-23T06:10:04.000000000Z stdout F {AGENT}\n", Transport.CRI, f"/var/log/pods/{NEW}/0.log?1-3-bb")
    bare = (AGENT + "\n", Transport.BARE, f"agent-{NEW}.jsonl?1-4-cc")
    console = (AGENT + "\n", Transport.CONSOLE, f"agent-{NEW}.jsonl?1-5-dd")
    forged = watch(base, output, bare)

    assert finding(forged.judge(forged.newest()), "agent").status is Status.BLIND
    assert forged.judge(forged.newest()).undeclared == 1
    verdict = (true := watch(base, console)).judge(true.newest())
    assert finding(verdict, "agent").status is Status.PASS
    assert "claim" in finding(verdict, "agent").said


def test_a_guest_shows_no_facts_of_the_host() -> None:
    """What a guest says of debug, consoles and ports changes no expectation."""
    lies = "console watcher starts agent.log_vport=1025"
    made = watch(
        engine(shim(NEW, 1, "VM started")), (shim(NEW, 2, lies, level="debug"), Transport.CONSOLE, f"{NEW}.log?1-2-ee")
    )

    assert made.judge(made.newest()).facts == ("machine-started", "runtime-go")


def test_nothing_at_all_is_a_failure() -> None:
    """Where not one record came, the engine's and the shim's ways are broken."""
    verdict = (made := watch()).judge(made.newest())

    assert verdict.subject == Subject(None, None, None)
    assert [one.layer for one in verdict.findings if one.status is Status.FAIL] == ["cri", "shim"]


def test_an_ambiguous_id_is_refused() -> None:
    """Several sandboxes that begin alike are named."""
    made = watch(engine(shim("ab" * 32, 1, "VM started") + shim("ab" * 31 + "ff", 1, "VM started")))

    with pytest.raises(UsageError, match="2 sandboxes"):
        made.of_sandbox("abab")


def test_the_table_answers_for_everything() -> None:
    """Each layer has an answer for any facts, says why, and names no fact that nothing shows."""
    table = canary_table()
    layers = {layer.id for layer in table.layers}
    shown = {sign.fact for sign in table.signs} | {"sandbox", "asked", "executed", "own-name"}
    shown |= {f"{way}:{layer}" for way in ("heard", "around") for layer in layers}

    for layer in table.layers:
        assert answer(layer, ()).said
        assert layer.rules[-1].when == ()
        assert {name.lstrip("!") for rule in layer.rules for name in (*rule.when, *layer.needs)} <= shown
        assert all(rule.status in {Status.FAIL, Status.BLIND} for rule in layer.rules)
        assert all(re.search(r"[.!]$", rule.said) for rule in layer.rules)
        assert all(rule.next for rule in layer.rules if rule.status is Status.FAIL)


def test_facts_hold_or_must_not() -> None:
    """`!` asks for absence."""
    assert all_hold(("a", "!b"), {"a"})
    assert not all_hold(("a", "!b"), {"a", "b"})
