"""Fake secrets, and real forms of records to put them into.

Every secret is put together at run time, so that nothing in the repository looks like one. A form is written around a
payload at any depth of quoting, as the layers of Kata do it: guest text in the agent's JSON, that in the shim's logfmt, that
in the journal's JSON.
"""

import json
from collections.abc import Callable
from typing import NamedTuple

from kata_audit.schema.source import Transport

SANDBOX = "5d1c52a0" * 8


class Case(NamedTuple):
    """One record that holds one secret."""

    name: str
    secret: str
    raw: bytes
    transport: Transport


_TAIL = "Qz7" * 12
VALUES = {
    "word": "correcthorse" + "battery",
    "mixed": "hV9" + "xT2" * 5,
    "signs": "p@ss" + "#w0rd!~%^*",
    "base64": "L2" + "9wZW4+" + "c2VzYW1l" + "==",
}
"""Secrets that only their name or place tells."""
SHAPED = {
    "aws": "AK" + "IA" + "QZ7QZ7QZ7QZ7QZ7Q",
    "gcp": "AI" + "za" + (_TAIL + "x")[:35],
    "github": "gh" + "p_" + _TAIL,
    "gitlab": "gl" + "pat-" + _TAIL[:20],
    "slack": "xo" + "xb-" + "123456789012-" + _TAIL[:24],
    "stripe": "sk" + "_live_" + _TAIL[:24],
    "npm": "np" + "m_" + _TAIL,
    "pypi": "py" + "pi-" + _TAIL * 2,
    "sendgrid": "S" + "G." + _TAIL[:22] + "." + _TAIL,
    "vault": "hv" + "s." + _TAIL[:24],
    "digitalocean": "do" + "p_v1_" + "0a1b2c3d" * 8,
    "docker": "dc" + "kr_pat_" + _TAIL[:27],
    "jwt": "ey" + "JhbGciOiJIUzI1NiJ9" + ".ey" + "JzdWIiOiJsYWIifQ" + "." + _TAIL,
    "huggingface": "h" + "f_" + _TAIL,
}
"""Secrets that tell themselves, wherever they stand."""

PLACES: dict[str, str] = {
    "rust spec": 'OCI Spec Spec {{ args: Some(["sleep"]), env: Some(["PATH=/bin", "APP_KEY={0}", "TERM=xterm"]), cwd: "/" }}',
    "go spec": "spec &{{Args:[sleep] Env:[PATH=/bin APP_KEY={0} TERM=xterm] Cwd:/}}",
    "go spec alone": "exec {{Args:[sh] Env:[APP_KEY={0}] Cwd:/}}",
    "json spec": '{{"args":["sleep"],"env":["PATH=/bin","APP_KEY={0}"],"cwd":"/"}}',
    "protobuf": 'config envs:{{key:"APP_KEY"  value:"{0}"}}  envs:{{key:"TERM"  value:"xterm"}}  log_path:"api/0.log"',
    "pod spec": '{{"containers":[{{"env":[{{"name":"APP","value":"{0}"}}],"name":"api"}}]}}',
    "json value": '{{"user":"root","password":"{0}","port":5432}}',
    "logfmt value": 'level=info db_password="{0}" port=5432',
    "debug value": 'Config {{ user: "root", api_token: Some("{0}"), port: 5432 }}',
    "bare value": "connect password={0} port=5432",
    "rego": 'policy: "package agent_policy\\nallowed := {{0}}"'.replace("{{0}}", "{{{0}}}"),
    "kubelet": "container &Container{{Env:[]EnvVar{{EnvVar{{Name:APP_KEY,Value:{0},ValueFrom:nil,}},}}}}",
    "joined option": 'process command: ["psql", "--password={0}", "-q"]',
    "next argument": 'process command: ["login", "--auth-token", "{0}", "-q"]',
    "mysql": 'process command: ["mysql", "-uroot", "-p{0}", "-e", "select 1"]',
    "docker auth": '{{"auths":{{"registry.example":{{"auth":"{0}"}}}}}}',
}
"""Where a person or a program puts a secret; `{0}` is the secret."""
PLACES_OF_SHAPED = {
    "prose": "the helper printed {0} to its output",
    "bearer": 'curl -H "Authorization: Bearer {0}" https://api.example',
    "query": "GET /v1/items?key={0}&page=2",
    "line end": "text\n{0}\nmore text",
}


def _agent(text: str) -> str:
    return json.dumps({"msg": text, "level": "INFO", "ts": "2026-11-23T06:12:00.5Z", "container-id": SANDBOX})


def _shim(text: str) -> str:
    return f'time="2026-11-23T06:12:00.5Z" level=debug msg="reading guest console" sandbox={SANDBOX} vmconsole={json.dumps(text)}'


def _journal(text: str) -> str:
    raw = "<7>Nov 23 06:12:00 kata[9]: " + text
    return json.dumps({"__CURSOR": "s=1;i=2", "SYSLOG_RAW": raw, "MESSAGE": text, "PRIORITY": "6", "_PID": "9"})


def _bytes(text: str) -> str:
    return json.dumps({"MESSAGE": list(text.encode()), "PRIORITY": "6"}, separators=(",", ":"))


def _audit(text: str) -> str:
    return json.dumps({"kind": "Event", "auditID": "b78c7740", "responseStatus": {"message": text}, "verb": "create"})


def _export(text: str) -> bytes:
    data = text.encode()
    return b"__CURSOR=s=1;i=2\nMESSAGE\n" + len(data).to_bytes(8, "little") + data + b"\nPRIORITY=6\n\n"


_WRAPS: dict[str, tuple[Transport, Callable[[str], bytes]]] = {
    "bare": (Transport.BARE, lambda text: text.replace("\n", "\\n").encode() + b"\n"),
    "agent": (Transport.CONSOLE, lambda text: _agent(text).encode() + b"\n"),
    "agent in shim": (Transport.HOST_FILE, lambda text: _shim(_agent(text)).encode() + b"\n"),
    "journal": (Transport.JOURNAL_JSON, lambda text: _journal(text).encode() + b"\n"),
    "agent in journal": (Transport.JOURNAL_JSON, lambda text: _journal(_agent(text)).encode() + b"\n"),
    "agent in shim in journal": (Transport.JOURNAL_JSON, lambda text: _journal(_shim(_agent(text))).encode() + b"\n"),
    "agent in shim in shim in journal": (
        Transport.JOURNAL_JSON,
        lambda text: _journal(_shim(_shim(_agent(text)))).encode() + b"\n",
    ),
    "byte array": (Transport.JOURNAL_JSON, lambda text: _bytes(text).encode() + b"\n"),
    "shim in byte array": (Transport.JOURNAL_JSON, lambda text: _bytes(_shim(_agent(text))).encode() + b"\n"),
    "audit": (Transport.HOST_FILE, lambda text: _audit(text).encode() + b"\n"),
    "klog": (
        Transport.HOST_FILE,
        lambda text: f'I1123 06:12:00.5 1 pod.go:12] "Ran" pod="a/b" out={json.dumps(text)}\n'.encode(),
    ),
    "cri": (Transport.CRI, lambda text: b"2026-11-23T06:12:00.5Z stdout F " + _agent(text).encode() + b"\n"),
    "export": (Transport.JOURNAL_EXPORT, lambda text: f"__CURSOR=s=1\nMESSAGE={_agent(text)}\nPRIORITY=6\n\n".encode()),
    "binary export": (Transport.JOURNAL_EXPORT, _export),
}


def cases() -> list[Case]:
    """Give every secret in every place it can stand in, in every wrapping."""
    places = [(f"{place} {name}", form, value) for place, form in PLACES.items() for name, value in VALUES.items()]
    places += [
        (f"{place} {name}", form, value) for place, form in PLACES_OF_SHAPED.items() for name, value in SHAPED.items()
    ]
    return [
        Case(f"{name} in {wrap}", value, write(form.format(value)), transport)
        for name, form, value in places
        for wrap, (transport, write) in _WRAPS.items()
    ]
