"""The canary's own pod: made through kubectl with a marker in its name, executed in once, and always taken away again.

kubectl is run by its arguments, no shell between. What it prints is told to the person and decides nothing.
"""

import json
import secrets
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

from kata_audit.errors import ClusterError

_PREFIX: Final = "kata-audit-canary"
_NOBODY: Final = 65_534
_GRACE_SECS: Final = 15
"""How much longer than it was told to kubectl may take to give up."""
_DELETE_SECS: Final = 60
_TOLD: Final = 300
"""Characters that are told of what kubectl said."""

Tell = Callable[[str], None]


class Asked(NamedTuple):
    """The pod to make.

    Args:
        namespace: Where.
        runtime_class: Of Kata.
        image: One that has `sleep` and `echo`.
        host: Label `kubernetes.io/hostname` of the node to run on; None leaves it to the scheduler.
        timeout_secs: How long it may take to be ready.
    """

    namespace: str
    runtime_class: str
    image: str
    host: str | None
    timeout_secs: int


class Ran(NamedTuple):
    """The pod that was: its place, and what stands in its exec; None where none was made."""

    namespace: str
    pod: str
    marker: str | None


def run_pod(asked: Asked, tell: Tell) -> Ran:
    """Make the pod, wait until it is ready, execute `echo MARKER` in it, delete it and wait until it is gone.

    Args:
        asked: The pod.
        tell: Takes a line for the person.

    Returns:
        What was done. A pod that is not ready in time, and an exec that fails, are told and are no errors: their records
        are what is looked for.

    Raises:
        ClusterError: There is no kubectl, or the cluster refuses the pod.
    """
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        raise ClusterError(
            "kubectl is not on the PATH.", hint="Install it, or look at a sandbox that there was: leave --run."
        )
    name = f"{_PREFIX}-{secrets.token_hex(5)}"
    at = f"--namespace={asked.namespace}"
    try:
        created = _call((kubectl, "create", at, "--filename=-"), asked.timeout_secs, _manifest(name, asked))
        if created is not None:
            raise ClusterError(f"The cluster refused the canary's pod: {created}", where=f"{asked.namespace}/{name}")
        tell(f"made pod {asked.namespace}/{name}, and waits until it is ready")
        marker = f"{name}-exec" if _execute(kubectl, name, asked, tell) else None
    finally:
        with _undisturbed():
            _delete(kubectl, name, asked, tell)
    return Ran(asked.namespace, name, marker)


def _execute(kubectl: str, name: str, asked: Asked, tell: Tell) -> bool:
    """Execute in the pod once it is ready; say whether the exec was made."""
    at = f"--namespace={asked.namespace}"
    limit = f"--timeout={asked.timeout_secs}s"
    waited = _call((kubectl, "wait", at, "--for=condition=Ready", limit, f"pod/{name}"), asked.timeout_secs)
    if waited is not None:
        tell(f"the pod was not ready after {asked.timeout_secs} s: {waited}")
        return False
    failed = _call((kubectl, "exec", at, name, "--", "echo", f"{name}-exec"), asked.timeout_secs)
    if failed is not None:
        tell(f"the exec failed: {failed}")
    return True


def _delete(kubectl: str, name: str, asked: Asked, tell: Tell) -> None:
    options = (f"--namespace={asked.namespace}", "--ignore-not-found", "--wait=true", f"--timeout={_DELETE_SECS}s")
    failed = _call((kubectl, "delete", "pod", *options, name), _DELETE_SECS)
    if failed is not None:
        tell(f"the pod {asked.namespace}/{name} may still be there, and ends by itself: {failed}")


def _call(arguments: Sequence[str], limit_secs: int, text: str | None = None) -> str | None:
    """Run a command; None where it went well, else what it said."""
    given = (text or "").encode()
    try:
        done = subprocess.run(  # noqa: S603 - no shell; the program is the PATH's kubectl, the arguments are ours
            arguments, input=given, capture_output=True, timeout=limit_secs + _GRACE_SECS, check=False
        )
    except subprocess.TimeoutExpired:
        return "kubectl did not come back in time"
    except OSError as error:
        return f"kubectl cannot be run: {error.strerror}"
    if done.returncode == 0:
        return None
    said = " ".join(done.stderr.decode(errors="replace").split())[:_TOLD]
    return said or f"kubectl ended with {done.returncode}"


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Let no Ctrl-C break what is done inside; it takes a minute or so at most."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _manifest(name: str, asked: Asked) -> str:
    """Spell the pod: it may do nothing but sleep, and ends by itself where nobody deletes it."""
    lifetime = 2 * asked.timeout_secs + _DELETE_SECS
    container: dict[str, Any] = {
        "name": "canary",
        "image": asked.image,
        "command": ["sleep", str(lifetime)],
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"cpu": "100m", "memory": "64Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "runAsNonRoot": True,
            "runAsUser": _NOBODY,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    spec: dict[str, Any] = {
        "runtimeClassName": asked.runtime_class,
        "restartPolicy": "Never",
        "activeDeadlineSeconds": lifetime,
        "terminationGracePeriodSeconds": 1,
        "automountServiceAccountToken": False,
        "containers": [container],
        **({} if asked.host is None else {"nodeSelector": {"kubernetes.io/hostname": asked.host}}),
    }
    labels = {"app.kubernetes.io/name": _PREFIX}
    metadata = {"name": name, "namespace": asked.namespace, "labels": labels}
    return json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
