"""What CRI-O's messages state of pods, sandboxes and containers."""

import pytest
from tests.evidence import column, derive, evidence

from kata_audit.parse.identity_crio import read_crio
from kata_audit.parse.link import link
from kata_audit.schema.source import Transport

ID, OTHER = "ab" * 32, "cd" * 32


@pytest.mark.parametrize(
    ("body", "stated"),
    [
        ("Running pod sandbox: shop/web-1/POD", ("shop", "web-1", None, None, None)),
        (f"Ran pod sandbox {ID} with infra container: shop/web-1/POD", ("shop", "web-1", None, ID, None)),
        (f"Stopped pod sandbox (already stopped): {ID}", (None, None, None, ID, None)),
        (f"Removed pod sandbox: {ID}", (None, None, None, ID, None)),
        ("Creating container: shop/web-1/app", ("shop", "web-1", "app", None, None)),
        (f"Created container {OTHER}: shop/web-1/app", ("shop", "web-1", "app", None, OTHER)),
        (f"Stopping container: {OTHER} (timeout: 30s)", (None, None, None, None, OTHER)),
        (f"Removed container {OTHER}: shop/web-1/app", ("shop", "web-1", "app", None, OTHER)),
        (f"Created container {OTHER}: shop/web-1/app and more", (None,) * 5),
        (f"x Created container {OTHER}: shop/web-1/app", (None,) * 5),
        ("Creating container: shop/web-1/app/POD", (None,) * 5),
        (f"Removed container {OTHER[1:]}: shop/web-1/app", (None,) * 5),
    ],
)
def test_a_whole_message_states_its_names_and_ids(body: str, stated: tuple[str | None, ...]) -> None:
    """And a text that only holds one states nothing."""
    columns = ("k8s_namespace", "k8s_pod", "k8s_container", "sandbox_id", "container_id")

    assert read_crio(body, {}) == {name: value for name, value in zip(columns, stated, strict=True) if value is not None}


LINES = (
    f'time="2026-11-23 08:04:41.1Z" level=info msg="Ran pod sandbox {ID} with infra container: shop/web-1/POD"'
    ' file="server/sandbox_run_linux.go:631" id=a1b2c3d4-0000-4000-8000-000000000000'
    " name=/runtime.v1.RuntimeService/RunPodSandbox\n"
    f'time="2026-11-23 08:04:41.2Z" level=info msg="Started container" PID=4242 containerID={OTHER}'
    f' description=shop/web-1/app file="server/container_start.go:115" id=a1b2c3d4-0000-4000-8000-000000000001'
    f" name=/runtime.v1.RuntimeService/StartContainer sandboxID={ID}\n"
)


def test_records_of_crio_become_facts() -> None:
    """A sandbox is of a pod, a container is of a sandbox and has a name."""
    records = derive(evidence(LINES.encode(), Transport.HOST_FILE))
    facts = link(records).to_pydict()

    assert column(records, "component") == ["crio", "crio"]
    assert column(records, "pid") == [None, None]
    told = set(zip(facts["kind"], facts["subject"], facts["object"], strict=True))
    assert told >= {
        ("sandbox.k8s_namespace", ID, "shop"), ("sandbox.k8s_pod", ID, "web-1"),
        ("container.sandbox_id", OTHER, ID), ("container.k8s_container", OTHER, "app"),
    }  # fmt: skip


def test_a_guest_that_prints_them_states_nothing() -> None:
    """L7: the same lines on a console name no pod and make no fact."""
    records = derive(evidence(LINES.encode(), Transport.CONSOLE))

    assert column(records, "k8s_pod") == [None, None]
    assert len(link(records)) == 0
