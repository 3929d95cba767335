"""How a story looks: it fits, it tells host from guest, and it sends nothing that a terminal acts on."""

import pytest
from tests.unit.pipeline.story_rows import SANDBOX, START_NS, records

from kata_audit.cli.story import Look, head, story
from kata_audit.cli.terminal import width_of
from kata_audit.pipeline.timeline import Summary, tell

HOSTILE = "\x1b]0;owned\x07\u202e" + "x" * 300


def draw(*rows: dict[str, object], width: int = 100, coloured: bool = False) -> list[str]:
    """Draw a whole story of some records."""
    made = records(*rows)
    summary, look = Summary(), Look(width, coloured)
    summary.add(made)
    return [*head("web-1", summary, look), *story(tell([[made]], summary.clocks), look)]


ROWS: tuple[dict[str, object], ...] = (
    {"body": "Sandbox is started", "k8s_namespace": "shop", "k8s_pod": "web-1", "k8s_pod_uid": "8d0e-uid", "copy_key": 1},
    {"body": "Sandbox is started", "copy_key": 1, "at": 0.001},
    {"body": HOSTILE, "origin": "guest", "component": "agent", "guest_timestamp": START_NS, "at": 1},
    {"body": "failed", "severity_number": 17, "attributes": [("error", "no such file")], "container_id": "c" * 64, "at": 2},
    {"body": "again", "at": 3},
    {"body": "again", "at": 4},
    {"body": "Suppressed 12 messages from containerd.service", "component": "journald", "severity_number": 13, "at": 60},
    {"body": f"connecting to shim {SANDBOX}", "component": "cloud-hypervisor", "severity_number": 5, "at": 90_000},
)


def test_no_record_in_the_asked_time_is_said_with_what_to_do() -> None:
    """An empty story is a sentence and a next step, not labels with nothing behind them."""
    assert draw() == [
        "Pod      web-1",
        "Time     no records: what there is of it is of another time; ask with other --since and --until",
    ]


@pytest.mark.parametrize("width", [40, 60, 80, 100, 200])
def test_a_story_fits_its_terminal(width: int) -> None:
    """No line is wider than the terminal, and every character is visible."""
    lines = draw(*ROWS, width=width)

    assert max(map(width_of, lines)) <= max(width, 60)
    assert all(line.isprintable() for line in lines)


def test_a_story_says_what_there_is() -> None:
    """Whose it is, what the lanes are, how often, what went wrong and what is missing."""
    text = "\n".join(draw(*ROWS))

    for words in (
        "shop/web-1, uid 8d0e-uid",
        "Guest    agent 1; all of it claims",
        "guest clock 1.0 s behind the host's",
        "12 records lost, as declared at one place",
        "│ runtime-go",
        "┊ » agent",
        "failed [cccccccccccc] error=no such file",
        "\u00d72",
        "+1 equal in 1.0 s",
        "⋮ silence of 56.0 s",
        "RECORDS LOST (12): Suppressed",
        "──── 2026-11-19 UTC",
        "connecting to shim aaaaaaaaaaaa…",
    ):
        assert words in text


def test_a_story_says_how_well_it_knows_its_times() -> None:
    """What only a guest times ends in its band, is marked where its order is open, and the setting of its clock is told."""
    guest = {"origin": "guest", "component": "agent"}
    relayed = [{**guest, "at": at / 10, "guest_timestamp": START_NS + at * 100_000_000} for at in range(50)]
    ahead = [{**row, "at": 5 + row["at"], "guest_timestamp": row["guest_timestamp"] + 86_405_000_000_000} for row in relayed]  # type: ignore[operator]
    claimed = {
        **guest,
        "at": 0.0505,
        "timestamp_basis": "guest",
        "guest_timestamp": START_NS + 50_500_000,
        "body": "claimed",
    }
    lines = draw(*relayed[:1], claimed, {"at": 0.051, "body": "near"}, *relayed[1:], *ahead)
    text = "\n".join(lines)

    assert "11:06:40.050≈INFO  ┊ » agent         claimed" in text
    assert next(line for line in lines if "claimed" in line).endswith(" ±1.0 ms")
    assert "11:06:40.051≈INFO  │ runtime-go      near" in text
    assert "11:06:45.000 ⋮ guest clock set ahead by 1 d 0 h [aaaaaaaaaaaa]" in text
    assert "Skew     guest clock 0 ns behind the host's (±1.0 ms, 50 records)" in text
    assert "Skew     from 11:06:45.000Z on guest clock 1 d 0 h ahead of the host's (±1.0 ms, 50 records)" in text
    assert "Clock    of some records only a guest tells the time" in text


EXEC: dict[str, object] = {
    "component": "kube-apiserver",
    "action": "exec",
    "object": "pods/exec shop/web-1",
    "attributes": [("process.command_args", '["cat","/etc/shadow"]'), ("reason", "no such role")],
    "actor": "alice",
    "actor_confidence": "stated",
    "outcome": "denied",
    "body": "get /api/v1/namespaces/shop/pods/web-1/exec?command=cat&command=%2Fetc%2Fshadow -> 403",
}


def test_an_audit_event_says_who_did_what_and_how_it_went() -> None:
    """In 80 columns too: of what does not fit the text behind it is cut first, then the object, never who and how."""
    guess = {**EXEC, "actor_confidence": "likely", "outcome": "unknown"}

    assert 'exec ["cat","/etc/shadow"] by alice: denied · get /api/v1' in draw(EXEC, width=0)[-1]
    assert draw(EXEC, width=80)[-1].endswith(' exec ["cat","/etc/shadow… by alice: denied')
    assert draw(EXEC, width=100)[-1].endswith('exec ["cat","/etc/shadow"] by alice: denied · reason=…uch role')
    assert draw(EXEC, width=60)[-1].endswith('│ api       exec ["cat","/… by alice: denied')
    assert draw(guess, width=0)[-1].partition(" · ")[0].endswith('exec ["cat","/etc/shadow"] by alice?')


def test_an_object_that_is_the_sandbox_or_a_named_container_is_not_spelt() -> None:
    """Whose story it is stands above it, and a container has a name."""
    container = {"container_id": "c" * 64, "k8s_container": "web", "action": "start", "object": "c" * 64, "body": "b"}
    stop: dict[str, object] = {"action": "stop", "object": SANDBOX, "container_id": SANDBOX, "body": "b"}
    lines = draw(stop, {**container, "outcome": "success"})

    assert lines[-2].endswith("stop · b")
    assert lines[-1].endswith("start web: success · b [web]")


def test_stages_of_an_event_are_counted() -> None:
    """One line with the number of its records, and how often each was received."""
    stages = [{"fold_key": 1, "copy_key": at // 2, "body": f"stage {at // 2}", "at": at / 1000} for at in range(6)]

    assert draw(*stages, width=0)[-1].endswith(" stage 2 \u00d72 3 steps")


def test_a_time_that_nothing_places_is_said_to_be_none() -> None:
    """A guest's time without a skew may be anything; a kernel's line in a file was only observed."""
    guest = {"origin": "guest", "component": "guest-kernel"}
    lines = draw({**guest, "timestamp_basis": "guest", "body": "a"}, {**guest, "timestamp_basis": "observed", "body": "b"})

    assert [line.split()[-1] for line in lines[-2:]] == ["±?", "observed"]


def test_colour_changes_nothing_but_colour() -> None:
    """With the colours taken out, the coloured story is the plain one."""
    plain = draw(*ROWS)
    coloured = draw(*ROWS, coloured=True)

    assert coloured != plain
    bare = list(coloured)
    for code in ("0", "1", "2", "31", "33", "36"):
        bare = [line.replace(f"\x1b[{code}m", "") for line in bare]
    assert bare == plain


def test_a_width_of_zero_cuts_nothing() -> None:
    """A pipe can have the whole text."""
    assert any("x" * 300 in line for line in draw(*ROWS, width=0))


def test_no_records_are_no_error() -> None:
    """A story of nothing says so."""
    assert any("no records" in line for line in draw())
