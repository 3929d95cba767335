"""Parts of packs whose programs do not run here: expressions and scripts in engines of their kind."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from kata_audit.wiring import integration_file, integration_packs

PACKS = integration_packs()
LUA, PERL = (shutil.which(name) for name in ("luajit", "perl"))
SID = "a1" * 32
SHIM = f'time="2026-11-23T06:27:19.5Z" level=debug msg="a \\"b\\" sandbox=x" sandbox={SID} subsystem=sandbox vmconsole='
MATCH = """
use JSON::PP;
my ($regex, $line) = @{decode_json(join "", <STDIN>)};
my @all;
while ($line =~ /$regex/g) { push @all, %+ ? {%+} : {$1 => $2}; }
print encode_json(\\@all);
"""
LINES = {
    "kata_prefix": (
        "Nov 23 06:27:19 n1 kata[17]: x",
        {"syslog_identifier": "kata", "syslog_pid": "17", "syslog_host": "n1"},
    ),
    "kata_cri": ("2026-11-23T06:27:19Z stderr F x y", {"line": "x y", "cri_tag": "F", "stream": "stderr"}),
    "kata_json": ('{"msg":"a","level":"INFO"}', {"inner_json": '{"msg":"a","level":"INFO"}'}),
    "kata_klog": ("E1103 13:47:49.404396 1334 a.go:188] b", {"level": "E", "pid": "1334", "caller": "a.go:188", "msg": "b"}),
    "kata_firecracker": (
        "2026-04-06T15:00:02.9 [i:fc_api:INFO:a.rs:7] b",
        {"level": "INFO", "caller": "a.rs:7", "msg": "b"},
    ),
    "kata_virtiofsd": (
        "source: virtiofsd [2026-07-08T12:46:44Z WARN  v::w] b",
        {"level": "WARN", "module": "v::w", "msg": "b"},
    ),
    "kata_cloud_hypervisor": (
        f'{SHIM}"cloud-hypervisor: 3.5ms: <vmm> WARN:a.rs:7 -- say \\"b\\"\\r"',
        {"inner_level": "WARN", "inner_caller": "a.rs:7", "inner_msg": 'say \\"b\\"', "inner_thread": "vmm"},
    ),
    "kata_kernel": (f'{SHIM}"[    0.5] up\\r"', {"inner_uptime": "0.5", "inner_msg": "up"}),
    "kata_qemu": ("qemu-system-x86_64: warning: b", {"program": "qemu-system-x86_64", "level": "warning", "msg": "b"}),
}


def stanzas(text: str) -> dict[str, str]:
    """Give the expression of each stanza of a transforms.conf."""
    return dict(re.findall(r"^\[(\w+)\]\nREGEX = (.*)$", text, re.MULTILINE))


def matches(stanza: str, line: str) -> list[dict[str, str]]:
    regex = stanzas(integration_file(PACKS["splunk-forwarder"], "transforms.conf"))[stanza]
    done = subprocess.run(
        [str(PERL), "-e", MATCH], input=json.dumps([regex, line]), capture_output=True, text=True, check=True
    )
    return list(json.loads(done.stdout))


@pytest.mark.servers_all(PERL)
@pytest.mark.parametrize("stanza", LINES)
def test_splunk_finds_the_fields_of_a_line(stanza: str) -> None:
    line, expected = LINES[stanza]
    (found,) = matches(stanza, line)
    assert {name: found[name] for name in expected} == expected


@pytest.mark.servers_all(PERL)
def test_splunk_takes_no_key_out_of_a_value() -> None:
    """Each value is taken whole, in the quotes that it has."""
    found = {name: value for pair in matches("kata_logrus", f'{SHIM}"a pid=3"') for name, value in pair.items()}
    assert found["sandbox"] == SID
    assert found["msg"] == 'a \\"b\\" sandbox=x'
    assert found["vmconsole"] == "a pid=3"
    assert "pid" not in found


def test_splunk_names_every_expression_that_there_is() -> None:
    props = integration_file(PACKS["splunk-forwarder"], "props.conf")
    named = {name.strip() for line in re.findall(r"^REPORT-kata = (.*)$", props, re.MULTILINE) for name in line.split(",")}
    assert named | {"kata_firecracker"} == set(stanzas(integration_file(PACKS["splunk-forwarder"], "transforms.conf")))
    assert set(LINES) | {"kata_logrus"} == named


@pytest.mark.servers_all(LUA)
@pytest.mark.parametrize(
    "secret",
    [
        'password="{}"',
        "--api-key={} next",
        r"{{\"token\":\"{}\"}}",
        "Authorization: Bearer {}",
        "https://user:{}@registry.example/v2/",
        "AWS_SECRET_ACCESS_KEY={}",
        "a token: {}, and a second passwd={}",
    ],
)
def test_fluent_bit_masks_secrets(tmp_path: Path, secret: str) -> None:
    (tmp_path / "kata-mask.lua").write_text(integration_file(PACKS["fluent-bit"], "kata-mask.lua"))
    run = 'dofile("kata-mask.lua"); local c, _, r = mask("t", 0, {a = {b = io.read("*a")}, n = 1}); io.write(c, " ", r.a.b)'
    text = f"before {secret.format('hunter2hunter2', 'hunter2hunter2')} behind"
    command = [str(LUA), "-e", run]
    done = subprocess.run(command, cwd=tmp_path, input=text, capture_output=True, text=True, check=True)

    assert done.stdout.startswith("2 before ")
    assert done.stdout.endswith(" behind")
    assert "hunter2" not in done.stdout


@pytest.mark.servers_all(LUA)
def test_fluent_bit_leaves_the_rest(tmp_path: Path) -> None:
    """Text without secrets is not changed, whatever words it has."""
    (tmp_path / "kata-mask.lua").write_text(integration_file(PACKS["fluent-bit"], "kata-mask.lua"))
    run = 'dofile("kata-mask.lua"); local c, _, r = mask("t", 0, {log = io.read("*a")}); io.write(c, " ", r.log)'
    text = "Failed to read guest console logs: token too long; secrets of 3 pods"
    done = subprocess.run([str(LUA), "-e", run], cwd=tmp_path, input=text, capture_output=True, text=True, check=True)
    assert done.stdout == f"0 {text}"
