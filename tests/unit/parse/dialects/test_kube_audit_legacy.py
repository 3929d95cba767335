"""Audit events as text: the same request as in JSON, as far as the text says it."""

import json

import pytest
from tests.evidence import column, derive, evidence
from tests.mutations import pair_mutations

from kata_audit.parse.dialects import kube_audit
from kata_audit.parse.dialects.kube_audit_legacy import DIALECT
from kata_audit.schema.source import Transport

EXEC = (
    '2026-11-23T07:44:15.391720413Z AUDIT: id="21e9a086-371f-4635-a526-3059de589ce8" stage="ResponseComplete"'
    r' ip="1.2.3.4, 10.20.8.11" method="get" user="alice" groups="\"dev\",\"system:authenticated\"" as="<self>"'
    ' asgroups="<lookup>" user-agent="kubectl/v1.34.4 (linux/amd64) kubernetes/$Format" namespace="payments"'
    ' uri="/api/v1/namespaces/payments/pods/api/exec?command=ls&command=a+b%2B&container=api&stdout=true" response="101"'
)
REFUSED = (
    '2026-11-23T07:44:22.400845445Z AUDIT: id="747bd51f-cd5c-4f12-84e0-24bd21734229" stage="ResponseStarted"'
    ' ip="198.51.100.23" method="list" user="<none>" groups="<none>" as="<self>" asgroups="<lookup>"'
    ' user-agent="curl/7.88.1" namespace="<none>" uri="/api/v1/secrets" response="401"'
)


def test_an_exec_says_who_what_where() -> None:
    """The object is what the URI names; the client's addresses are apart from the peer's."""
    records = derive(evidence((EXEC + "\n" + REFUSED + "\n").encode(), Transport.HOST_FILE))

    assert column(records, "dialect") == ["kube-audit-legacy"] * 2
    assert column(records, "actor") == ["alice", "unknown"]
    assert column(records, "action") == ["exec", "read"]
    assert column(records, "object") == ["pods/exec payments/api", "secrets"]
    assert column(records, "outcome") == ["unknown", "denied"]
    assert column(records, "k8s_container") == ["api", None]
    first, second = (dict(one) for one in column(records, "attributes"))
    assert json.loads(first["process.command_args"]) == ["ls", "a b+"]
    assert json.loads(first["user.groups"]) == ["dev", "system:authenticated"]
    assert first["network.peer.address"] == "10.20.8.11"
    assert json.loads(first["client.claimed.sourceIPs"]) == ["1.2.3.4"]
    assert "user.groups" not in second


def test_both_forms_of_one_request_fold_together() -> None:
    """The text has the request's time to the nanosecond, JSON to the microsecond."""
    event = json.loads(kube_audit.DIALECT.about.examples[0])
    text = EXEC.replace("2026-11-23T07:44:15.391720413Z", "2026-11-23T07:38:14.764467981Z").replace(
        "command=ls&command=a+b%2B&container=api&stdout=true", event["requestURI"].partition("?")[2]
    )

    keys = [DIALECT.scan([text], [False]).columns["fold_key"], kube_audit.DIALECT.scan([json.dumps(event)], [False]).columns["fold_key"]]  # fmt: skip

    assert keys[0] == keys[1]


@pytest.mark.parametrize("line", [EXEC, REFUSED, DIALECT.about.examples[0]])
def test_a_line_that_breaks_the_form_is_marked(line: str) -> None:
    """Torn anywhere, or with a key more or another order: malformed, and nothing is read into a wrong place."""
    broken = [line[:cut] for cut in range(40, len(line), 11)]
    broken += [line + ' new="x"', line.replace(" stage=", " zone="), line.replace('" ip="', '"  ip="'), line + "x"]

    scan = DIALECT.scan(broken, [False] * len(broken))

    assert scan.malformed == list(range(len(broken)))
    assert scan.columns == {"body": broken}


def test_a_changed_line_is_marked() -> None:
    """The server writes twelve keys in one order: whatever else stands there has not come from this form."""
    for kind, changed in pair_mutations(EXEC, seed=5):
        scan = DIALECT.scan([changed], [False])

        assert (scan.malformed, scan.columns) == ([0], {"body": [changed]}), kind


def test_a_guest_that_prints_an_event_stays_a_guest() -> None:
    """L7: it states no actor, no action and no identity."""
    scan = DIALECT.scan([EXEC], [True])

    assert scan.columns == {"body": [EXEC]}
