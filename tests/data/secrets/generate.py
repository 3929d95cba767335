"""Seeded fake secrets in the shapes of real records: what masking must find.

Every secret is composed at run time, so that no token-like literal stands in the repository.
"""

import base64
import json
import random
import string
from collections.abc import Callable
from typing import NamedTuple

from kata_audit.schema.source import Transport


class Seeded(NamedTuple):
    """One record with one secret in it."""

    shape: str
    kind: str
    secret: str
    raw: bytes
    transport: Transport


_ALNUM = string.ascii_letters + string.digits
_ID = "5d1c52a0" * 8
_UID = "b78c7740-0288-4aad-beca-5062444cb52b"


def _words(rng: random.Random, count: int, alphabet: str = _ALNUM) -> str:
    return "".join(rng.choice(alphabet) for _ in range(count))


def secrets(rng: random.Random) -> dict[str, str]:
    """Compose one secret of each kind that tells itself, by its prefix and its alphabet."""

    def text(count: int) -> str:
        return _words(rng, count)

    jwt = ".".join(
        base64.urlsafe_b64encode(part.encode()).decode().rstrip("=") for part in ('{"alg":"RS256"}', '{"sub":"lab"}')
    )
    return {
        "jwt": f"{jwt}.{text(43)}",
        "aws": "AK" + "IA" + _words(rng, 16, string.ascii_uppercase + string.digits),
        "github": "gh" + "p_" + text(36),
        "github-fine": "github" + "_pat_" + text(60),
        "gitlab": "gl" + "pat-" + text(20),
        "slack": "xo" + "xb-" + _words(rng, 12, string.digits) + "-" + text(24),
        "stripe": "sk" + "_live_" + text(24),
        "npm": "np" + "m_" + text(36),
        "pypi": "py" + "pi-" + text(60),
        "docker": "dckr" + "_pat_" + text(27),
        "vault": "hv" + "s." + text(24),
        "digitalocean": "dop" + "_v1_" + _words(rng, 64, "0123456789abcdef"),
        "sendgrid": "S" + "G." + text(22) + "." + text(43),
        "twilio": "S" + "K" + _words(rng, 32, "0123456789abcdef"),
        "gcp": "AI" + "za" + text(35),
    }


def _debug(text: str) -> str:
    """Quote as Rust's Debug and as JSON do."""
    return json.dumps(text)


def _agent(message: str) -> str:
    fields = {"msg": message, "level": "INFO", "ts": "2026-11-23T06:12:00.5Z", "source": "agent", "container-id": _ID}
    return json.dumps(fields, separators=(",", ":"))


def _shim(message: str) -> str:
    return f'time="2026-11-23T06:12:00.5Z" level=debug msg="reading guest console" sandbox={_ID} vmconsole={json.dumps(message)}'


def _journal(message: str) -> str:
    fields = {"__CURSOR": "s=4f6a;i=1", "MESSAGE": message, "_BOOT_ID": "7b9c4d5e2f314c8a9a6e0d1c2b3a4f50", "PRIORITY": "6"}
    return json.dumps(fields, separators=(",", ":"))


INNER: dict[str, Callable[[str], str]] = {
    "rust env": lambda s: (
        f'receive createcontainer, spec: Spec {{ args: Some(["sh"]), env: Some(["PATH=/bin", {_debug("DB=" + s)}]), cwd: "/" }}'
    ),
    "oci spec": lambda s: f'OCI Spec {{"process":{{"args":["sh"],"env":["PATH=/bin",{_debug("DB=" + s)}],"cwd":"/"}}}}',
    "go env": lambda s: f"process: {{User:root Args:[sh] Env:[PATH=/bin DB={s}] Cwd:/}}",
    "proto env": lambda s: f'CreateContainer envs:{{key:"DB"  value:{_debug(s)}}}  mounts:{{container_path:"/x"}}',
    "exec": lambda s: f'process command: ["mysql", "-uroot", "-p{s}", "-e", "select 1"]',
    "option": lambda s: f"exec sync: app --password {s} --verbose",
    "option equals": lambda s: f"exec sync: app --api-key={s} --verbose",
    "option list": lambda s: f'process command: ["app", "--token", {_debug(s)}, "run"]',
    "logfmt": lambda s: f"failed to pull image: password={s} retry=1",
    "debug struct": lambda s: f'Config {{ user: "bob", password: {_debug(s)}, port: 5432 }}',
    "go struct": lambda s: f"config {{User:bob Password:{s} Port:5432}}",
    "header": lambda s: f"GET /api Authorization: Bearer {s}",
    "url": lambda s: f"dial postgres://app:{s}@db.payments.svc:5432/shop failed",
    "connection string": lambda s: f"open Server=db;Uid=app;Password={s};Database=shop",
    "k8s object": lambda s: f'update {{"env":[{{"name":"DB","value":{_debug(s)}}}],"image":"busybox"}}',
    "klog struct": lambda s: f"container EnvVar{{Name:DB,Value:{s},ValueFrom:nil,}}",
}
OUTER: dict[str, tuple[Callable[[str], str], Transport]] = {
    "bare": (lambda text: text, Transport.HOST_FILE),
    "agent": (_agent, Transport.CONSOLE),
    "journal": (_journal, Transport.JOURNAL_JSON),
    "agent in shim": (lambda text: _shim(_agent(text)), Transport.HOST_FILE),
    "agent in shim in journal": (lambda text: _journal(_shim(_agent(text))), Transport.JOURNAL_JSON),
    "agent in vm console in shim in journal": (
        lambda text: _journal(_shim("vm console: " + _debug(_agent(text)))),
        Transport.JOURNAL_JSON,
    ),
    "cri": (lambda text: f"2026-11-23T06:08:00.6Z stdout F {text}", Transport.CRI),
    "klog": (lambda text: f"I1123 08:03:11.942599     272 kuberuntime.go:64] {text} pod={_UID}", Transport.HOST_FILE),
    "audit": (
        lambda text: json.dumps({"kind": "Event", "auditID": _UID, "requestObject": {"note": text}}),
        Transport.HOST_FILE,
    ),
    "bytes": (
        lambda text: _journal("@").replace('"@"', str(list(b"\x1b[0m" + text.encode())).replace(" ", "")),
        Transport.JOURNAL_JSON,
    ),
}


def seeded(seed: int = 3) -> list[Seeded]:
    """Make every inner shape in every outer one with a fresh secret, and every self-telling secret in every outer one."""
    rng = random.Random(seed)
    found = []
    for outer, (wrap, transport) in OUTER.items():
        shapes = [(inner, "named", _words(rng, 20), make) for inner, make in INNER.items()]
        shapes += [("plain", kind, secret, lambda s: f"unexpected {s} in reply") for kind, secret in secrets(rng).items()]
        for inner, kind, secret, make in shapes:
            raw = wrap(make(secret)).encode() + b"\n"
            found.append(Seeded(f"{inner} in {outer}", kind, secret, raw, transport))
    return found
