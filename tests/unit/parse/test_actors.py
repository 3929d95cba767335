"""Whose doing a node's record is: by pod, action, container, command and time, and never surer than those allow."""

import json
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kata_audit.parse.actors import ACT_COLUMNS, REACH_NS, REQUEST_COLUMNS, name_actors, read_requests
from kata_audit.schema.record import RECORD_SCHEMA

T = 1_795_421_082_986_127_000
MS, SECOND = 1_000_000, 1_000_000_000
NOBODY = ("unknown", "none", "none")


def rows(records: list[dict[str, Any]], columns: tuple[str, ...]) -> pa.RecordBatch:
    arrays = []
    for name in columns:
        values = [record.get(name) for record in records]
        if name == "attributes":
            values = [list((value or {}).items()) for value in values]
        if name == "timestamp":
            arrays.append(pa.array(values, pa.int64()).cast(RECORD_SCHEMA.field(name).type))
        elif pa.types.is_dictionary(RECORD_SCHEMA.field(name).type):
            arrays.append(pa.array(values, pa.string()).dictionary_encode())
        else:
            arrays.append(pa.array(values, RECORD_SCHEMA.field(name).type))
    return pa.RecordBatch.from_arrays(arrays, names=list(columns))


def request(
    actor: str = "alice", *, at: int = T, command: list[str] | None = None, key: int = 1, **more: Any
) -> dict[str, Any]:
    """Make the last stage of an exec request to shop/web."""
    stated = {"stage": "ResponseComplete", **({"process.command_args": json.dumps(command)} if command else {})}
    return {
        "timestamp": at, "origin": "host", "actor": actor, "action": "exec", "outcome": "unknown", "fold_key": key,
        "k8s_namespace": "shop", "k8s_pod": "web", "attributes": stated, **more,
    }  # fmt: skip


def act(*, at: int = T + 20 * MS, command: list[str] | None = None, line: str | None = None, **more: Any) -> dict[str, Any]:
    """Make a host's record of an exec in shop/web."""
    stated = {"process.command_args": json.dumps(command)} if command else {}
    stated |= {"process.command_line": line} if line else {}
    return {
        "timestamp": at, "origin": "host", "component": "containerd", "action": "exec", "body": "Exec", "k8s_namespace": "shop",
        "k8s_pod": "web", "attributes": stated, **more,
    }  # fmt: skip


def named(acts: list[dict[str, Any]], requests: list[dict[str, Any]]) -> list[tuple[str | None, str | None, str | None]]:
    found = name_actors(rows(acts, ACT_COLUMNS), read_requests([rows(requests, REQUEST_COLUMNS)]))
    return list(zip(*found, strict=True))


def one(made: dict[str, Any], *requests: dict[str, Any]) -> tuple[str | None, str | None]:
    actor, _, confidence = named([made], list(requests))[0]
    return actor, confidence


def test_one_request_that_fits_is_likely_and_with_the_same_command_certain() -> None:
    """The command is told joined by blanks, or argument by argument."""
    assert one(act(), request(command=["ls", "-l"])) == ("alice", "likely")
    assert one(act(line="ls -l"), request(command=["ls", "-l"])) == ("alice", "certain")
    assert one(act(command=["ls", "-l"]), request(command=["ls", "-l"])) == ("alice", "certain")
    assert one(act(line="ls -l"), request()) == ("alice", "likely")


def test_a_guests_word_is_never_certain() -> None:
    """It may print any command; that of a request it fits at best."""
    assert one(act(command=["id"], origin="guest"), request(command=["id"])) == ("alice", "likely")


def test_another_command_or_container_or_action_fits_not() -> None:
    requests = [request(command=["ls"], k8s_container="web")]

    assert one(act(line="rm -rf /"), *requests) == ("unknown", "none")
    assert one(act(k8s_container="side"), *requests) == ("unknown", "none")
    assert one(act(action="attach"), *requests) == ("unknown", "none")
    assert one(act(k8s_pod="web-2"), *requests) == ("unknown", "none")
    assert one(act(k8s_namespace="payments"), *requests) == ("unknown", "none")
    assert one(act(k8s_pod=None), *requests) == ("unknown", "none")


def test_of_several_users_the_nearest_is_possible() -> None:
    """Of several requests of one user it does not matter which one it was."""
    both = [request("alice", at=T, key=1), request("bob", at=T + 500 * MS, key=2)]

    assert one(act(at=T + 520 * MS), *both) == ("bob", "possible")
    assert one(act(at=T + 20 * MS), *both) == ("alice", "possible")
    assert one(act(), request("alice", key=1), request("alice", at=T + 30 * MS, key=2)) == ("alice", "likely")
    told = [request("alice", command=["id"], key=1), request("bob", command=["sh"], at=T + 10 * MS, key=2)]
    assert one(act(line="id"), *told) == ("alice", "certain")


def test_a_request_that_was_refused_or_failed_reached_no_node() -> None:
    """One refused stage is enough."""
    assert one(act(), request(outcome="denied")) == ("unknown", "none")
    assert one(act(), request(outcome="failure")) == ("unknown", "none")
    assert one(act(), request(), request(outcome="failure")) == ("unknown", "none")


def test_time_is_that_of_the_request_not_of_its_end() -> None:
    """A session's last stage is written at its end; it is as far as a record without a command may be its doing."""
    came = {"requestReceivedTimestamp": "2026-11-23T08:04:42.986127Z", "stage": "ResponseComplete"}
    session = request(at=T + 600 * SECOND, attributes=came)
    quick = request(at=T + 30 * MS, attributes=came)

    assert one(act(at=T + 20 * MS), session) == ("alice", "likely")
    assert one(act(at=T + 600 * SECOND), session) == ("unknown", "none")
    assert one(act(at=T + 1900 * MS), session) == ("alice", "likely")
    assert one(act(at=T + 1900 * MS), quick) == ("unknown", "none")
    assert one(act(at=T - 2 * SECOND), session) == ("unknown", "none")


@pytest.mark.parametrize("action", ["create", "delete"])
def test_a_change_of_a_pod_is_acted_on_later(action: str) -> None:
    """Scheduling stands before a start, the grace period before an end."""
    asked = request(action=action, outcome="success")

    assert one(act(action=action, at=T + 35 * SECOND), asked) == ("alice", "likely")
    assert one(act(action=action, at=T + 300 * SECOND), asked) == ("unknown", "none")


def test_what_the_kubelet_runs_by_itself_is_nobodys() -> None:
    """A probe beside a user's exec, in the same container at the same time."""
    probe = act(body='ExecSync for "ab" with command [id] and timeout 1 (s)', line="id")

    assert one(probe, request(command=["id"])) == ("unknown", "none")


def test_a_masked_command_is_no_command() -> None:
    """Masks of one secret need not be equal on both sides: it neither proves nor refutes."""
    assert one(act(line="login *masked:env:0123*"), request(command=["login", "x"])) == ("alice", "likely")


def test_what_a_record_states_stays_and_no_event_stays_empty() -> None:
    stated = act(actor="carol", actor_source="host", actor_confidence="stated")
    unknown = act(actor="unknown", actor_source="none", actor_confidence="none")
    silent = act(action=None)

    assert named([stated, unknown, silent], [request()]) == [
        ("carol", "host", "stated"), ("alice", "api-audit", "likely"), (None, None, None),
    ]  # fmt: skip


def test_requests_without_pod_key_or_user_join_nothing() -> None:
    """And those of no host: anybody can print an event."""
    broken = [
        request(k8s_pod=None), request(fold_key=None), request("unknown"), request(origin="unknown"), request(origin="guest"),
        request(timestamp=None), request(action="read"), request("system:node:worker-a"),
    ]  # fmt: skip

    assert [one(act(), made) for made in broken] == [("unknown", "none")] * len(broken)


ACTS = st.lists(
    st.builds(
        lambda at, command, container, origin, body: act(at=at, command=command, k8s_container=container, origin=origin, body=body),
        st.integers(T - 3 * SECOND, T + 200 * SECOND),
        st.sampled_from([None, ["id"], ["sh"]]),
        st.sampled_from([None, "web", "side"]),
        st.sampled_from(["host", "guest", "unknown"]),
        st.sampled_from(["Exec", "ExecSync for"]),
    ),
    max_size=5,
)  # fmt: skip
ASKED = st.lists(
    st.builds(
        lambda actor, at, command, container, outcome, key: request(
            actor, at=at, command=command, k8s_container=container, outcome=outcome, key=key + 10 * (actor == "bob")
        ),
        st.sampled_from(["alice", "bob"]),
        st.integers(T, T + 4 * SECOND),
        st.sampled_from([None, ["id"], ["sh"]]),
        st.sampled_from([None, "web"]),
        st.sampled_from(["unknown", "denied"]),
        st.integers(0, 3),
    ),
    max_size=5,
)  # fmt: skip


@given(ACTS, ASKED)
def test_an_actor_is_a_user_who_asked_within_reach_or_nobody(
    acts: list[dict[str, Any]], asked: list[dict[str, Any]]
) -> None:
    """L2, and: certain needs the same command by the host's word and only one user; order of requests changes nothing."""
    found = named(acts, asked)

    assert len(found) == len(acts)
    assert found == named(acts, asked)
    for made, (actor, source, confidence) in zip(acts, found, strict=True):
        near = [one for one in asked if -REACH_NS[0] <= made["timestamp"] - one["timestamp"] <= REACH_NS[1]]
        if actor == "unknown":
            assert (source, confidence) == ("none", "none")
            continue
        assert actor in {one["actor"] for one in near}
        assert not made["body"].startswith("ExecSync")
        assert source == "api-audit"
        if confidence == "certain":
            assert made["origin"] == "host"
            assert made["attributes"]


@given(ACTS, ASKED)
def test_requests_of_others_only_lower_confidence(acts: list[dict[str, Any]], asked: list[dict[str, Any]]) -> None:
    """One more user who could have asked never makes an answer surer."""
    rank = ["none", "possible", "likely", "certain"]
    before = named(acts, asked)
    after = named(acts, [*asked, request("mallory", at=T, key=99)])

    for (actor, _, sure), (actor_after, _, sure_after) in zip(before, after, strict=True):
        if actor != "unknown":
            assert rank.index(str(sure_after)) <= rank.index(str(sure)), (actor, actor_after)
