"""The app for Splunk is whole: files that can be read, names that exist, and patterns that read real lines."""

import json
import re
import shutil
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.servers.packed import packed

from kata_audit.schema.record import Component
from kata_audit.wiring import integration_packs

FILES = {name: packed("splunk", name) for name in integration_packs()["splunk"].files}
SANDBOX = "f6845b96a312ed070704c1cc90f75ba554f557d823537c72acfadd4baee1a87c"
SHIM = f'time="2025-08-20T23:03:54.05Z" level=debug msg="said \\"x\\"" name=containerd-shim-v2 pid=7 sandbox={SANDBOX}'
PREFIX = "Aug 20 23:03:54 node-1 kata[34393]: "
AGENT = '{\\"msg\\":\\"rpc call from shim\\",\\"level\\":\\"INFO\\",\\"ts\\":\\"2025-08-20T23:03:54.05Z\\"}'
SLOG = f'{{"msg":"get \\"it\\"","level":"WARN","ts":"2025-07-08T12:46:44.7Z","subsystem":"root","source":"{SANDBOX}"}}'
FIRECRACKER = "2026-04-06T15:00:02.944477095 [anonymous-instance:fc_vcpu 0:WARN] vcpu: IO read @ 0x87"
KLOG = "Nov 03 13:47:49 minion2 kubelet[1334]: E1103 13:47:49.404396    1334 reflector.go:188] Failed to list"


def stanzas(text: str) -> dict[str, dict[str, str]]:
    """Read a file of settings, as Splunk's documentation says; a stanza or key that comes twice is a mistake."""
    found: dict[str, dict[str, str]] = {}
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        assert not line.endswith("\\"), "the next line would belong to it"
        if line.startswith("["):
            name = line.removeprefix("[").removesuffix("]")
            assert line.endswith("]")
            assert name not in found
            current = found.setdefault(name, {})
        else:
            key, sign, value = line.partition(" = ")
            assert sign
            assert key not in current
            current[key] = value
    return found


CONF = {Path(name).stem: stanzas(text) for name, text in FILES.items() if name.endswith(".conf")}
REGEXES = {name: one["REGEX"] for name, one in CONF["transforms"].items()}


def test_every_transform_is_used_and_every_used_one_is_there() -> None:
    named = CONF["props"]["kata:raw"]["REPORT-kata"].split(", ")
    assert sorted(named) == sorted(REGEXES)
    assert {f"kata:{component}" for component in Component} | {"kata:raw"} == set(CONF["props"])


def test_tags_are_of_event_types_and_searches_ask_by_the_macro() -> None:
    assert {name.removeprefix("eventtype=") for name in CONF["tags"]} <= set(CONF["eventtypes"])
    searches = [one["search"] for kind in ("eventtypes", "savedsearches") for one in CONF[kind].values()]
    searches += [query.text or "" for query in ET.fromstring(FILES["default/data/ui/views/kata_audit.xml"]).iter("query")]
    assert len(searches) > 90
    assert all("`kata_index`" in one and one.count("`") == 2 for one in map(without_texts, searches))
    assert CONF["macros"]["kata_index"]["definition"] == '(index="kata" sourcetype="kata:*")'


def without_texts(search: str) -> str:
    """Take texts in quotation marks out."""
    left = re.sub(r'"(?:[^"\\]|\\.)*"', '""', search)
    assert left.count('"') % 2 == 0
    assert left.count("(") == left.count(")")
    return left


def test_no_search_runs_before_somebody_wants_it() -> None:
    assert {one["enableSched"] for one in CONF["savedsearches"].values()} == {"0"}
    assert all(one["search"].startswith("search `kata_index`") for one in CONF["savedsearches"].values())


perl = pytest.mark.skipif(shutil.which("perl") is None, reason="Perl is not here")
_PERL = """
use JSON::PP; binmode STDIN, ":raw"; local $/; my $asked = decode_json(<STDIN>); my @found;
for my $line (@{$asked->{lines}}) {
  my %one;
  for my $name (sort keys %{$asked->{regexes}}) {
    my $regex = $asked->{regexes}{$name};
    if ($line =~ /$regex/) { for my $key (keys %+) { $one{$key} = $+{$key} unless exists $one{$key}; } }
  }
  push @found, \\%one;
}
print encode_json(\\@found);
"""


def extracted(lines: list[str]) -> Iterator[dict[str, Any]]:
    """Give the fields of lines, by Perl's own engine, whose patterns PCRE has."""
    asked = json.dumps({"regexes": REGEXES, "lines": lines}).encode()
    done = subprocess.run(["perl", "-e", _PERL], input=asked, capture_output=True, check=True, timeout=120)
    yield from json.loads(done.stdout)


@perl
@pytest.mark.parametrize(
    ("line", "fields"),
    [
        (SHIM, {"kata_msg": 'said \\"x\\"', "kata_level": "debug", "kata_sandbox": SANDBOX, "kata_pid": "7"}),
        (
            PREFIX + SHIM,
            {"kata_msg": 'said \\"x\\"', "kata_sandbox": SANDBOX, "kata_host": "node-1", "kata_program": "kata"},
        ),
        (f'{SHIM} vmconsole="{AGENT}"', {"inner_msg": "rpc call from shim", "inner_level": "INFO", "kata_sandbox": SANDBOX}),
        (
            SLOG,
            {
                "kata_msg": 'get \\"it\\"',
                "kata_level": "WARN",
                "kata_sandbox": SANDBOX,
                "kata_time": "2025-07-08T12:46:44.7Z",
            },
        ),
        (FIRECRACKER, {"kata_level": "WARN", "kata_msg": "vcpu: IO read @ 0x87", "kata_instance": "anonymous-instance"}),
        (KLOG, {"kata_level": "E", "kata_pid": "1334", "kata_msg": "Failed to list", "kata_program": "kubelet"}),
        (
            "[    0.431458] smpboot: Max logical packages: 1",
            {"kata_uptime": "0.431458", "kata_msg": "smpboot: Max logical packages: 1"},
        ),
    ],
)
def test_patterns_read_what_lines_hold(line: str, fields: dict[str, str]) -> None:
    (found,) = extracted([line])
    assert found.items() >= fields.items()


@perl
def test_what_a_console_prints_is_no_key_of_the_host() -> None:
    """Nor where its text ends early, or comes before the host's own."""
    head = SHIM.partition(" sandbox=")[0]
    lines = [
        f'{head} vmconsole=" sandbox=eeee pid=1 source=x" sandbox={SANDBOX}',
        f'{head} vmconsole="a \\" sandbox=eeee" sandbox={SANDBOX}',
        f'{head} vmconsole="never ends sandbox=eeee',
    ]
    first, second, third = extracted(lines)
    assert first["kata_sandbox"] == second["kata_sandbox"] == SANDBOX
    assert "kata_sandbox" not in third
    assert {one["kata_pid"] for one in (first, second, third)} == {"7"}


@perl
@pytest.mark.corpus
def test_public_lines_are_read(corpus: Path) -> None:
    """Of sixty that were read by hand: message and level as its writer logged them, in how many."""
    truth = [json.loads(text) for text in (corpus / "truth.jsonl").read_text().splitlines()]
    agrees = {"message": 0, "sandbox_id": 0}
    for one, found in zip(truth, extracted([one["line"] for one in truth]), strict=True):
        expected = one["expect"]
        said = found.get("inner_msg", found.get("inner_console", found.get("kata_msg")))
        agrees["message"] += (expected["message"] or "") == re.sub(r'\\+"', '"', said or "").strip()
        agrees["sandbox_id"] += expected.get("sandbox_id") in (None, found.get("kata_sandbox"))
    assert agrees["sandbox_id"] == 60
    assert agrees["message"] >= 35
