"""Write the first inputs of each fuzz target, from the simulator's captures: `python tests/fuzz/seed.py`."""

import gzip
import json
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import msgpack
from tests.fuzz.targets import NOTE, SIGNER, TEXT
from tests.simulator import TEMPLATES, Node
from tests.unit.tlog import bundles

from kata_audit.schema.source import Transport
from kata_audit.tlog.entry import encode_entry
from kata_audit.tlog.tiles import frame_entry

KEPT = Path(__file__).resolve().parents[1] / "data" / "fuzz"
_CAPTURES = KEPT.parent / "captures"
_LONGEST = 3_000
_QUERIES = (
    'pod:api-1 exec AND NOT severity:>=warn "blocked by policy"',
    "sandbox_id:8d0e* OR attributes.exec-id:'a b' (container:web seq:>10)",
    r"body:/process command: \[.*shadow/ timestamp:<2026-11-23T06:06:45Z",
    "",
    "NOT (NOT (a OR b)) )",
)
_ID = "6a3a4c7e-6b1c-4f0e-9a51-0d6a4f1c000"
_RULE = f"""title: a
id: {_ID}1
name: a
logsource: {{product: kata, service: cri}}
detection:
  k: ["b?r", x]
  s:
    body|contains|all: ['a\\*b', "c"]
    image|re|i: '^x.*[yz]$'
    attributes.ip|cidr: [10.0.0.0/8, 'fd00::/8']
    severity_number|gte: 17
    timestamp|hour: [1, 2]
    exec_id|expand: '%allowed_devices%'
  f: {{k8s_pod: null, sandbox_id|fieldref: container_id, object|windash|base64offset: " -a"}}
  condition: (k or 1 of s*) and not f
kata: {{needs: [[cri], [agent]], group-by: [node]}}
"""
_CORRELATION = f"""title: b
id: {_ID}2
correlation:
  {{type: value_sum, rules: [a], group-by: [x], timespan: 5m, condition: {{gt: 3, field: pid}}, aliases: {{x: {{a: node}}}}}}
"""
_ABSENCE = f"""title: c
id: {_ID}3
absence: {{trigger: a, unless: [a], group-by: node, before: 1h}}
"""
_FILTER = f"""title: d
id: {_ID}4
logsource: {{product: kata}}
filter: {{rules: [a], n: {{node|startswith: lab}}, condition: not n}}
"""


_SHIPPED = (
    b'{"log":"a\\nb","transport":"cri","a":{"b":"/x"},"node":"w"}\n{"MESSAGE":[1,255],"_PID":"7"}\nplain\n',
    (
        b'{"resourceLogs":[{"resource":{},"scopeLogs":[{"logRecords":[{"timeUnixNano":"5","body":{"stringValue":"a"},'
        b'"attributes":[{"key":"a.b","value":{"arrayValue":{"values":[{"intValue":"1"}]}}}]}]}]}]}'
    ),
    b"\n\x1d\n\x07\n\x05\n\x01a\x12\x00\x12\x12\x12\x10\t\x05\x00\x00\x00\x00\x00\x00\x00*\x03\n\x01b",
    b'<34>1 2003-10-11T22:14:15.003Z m su - ID47 [log@1 b="c"] said\n<30>1 - - x - - - forged',
    msgpack.packb(["tag", [[1, {"log": "a\nb", "node": "w", b"k": [1, {"x": b"\xff"}]}]], {"chunk": "c"}]),
)


_SYSLOG = (
    b"\x02\x07\x40<34>1 2003-10-11T22:14:15.003Z m.example.com su - ID47 - \xef\xbb\xbf'su root' failed\n<13>1 - -\n",
    b'\x01\x2072 <165>1 2003-10-11T22:14:15.003Z m ev 7 - [a@1 b="3" c="\\\\\\]"][d e="f"] x4 <1>a',
    b"\x00<30>Nov  5 07:00:01 w1 kata[4711]: a: b\r\n<30>2026-11-05T07:00:01.5+01:00 w1 kata: b\nnone",
)


def _messages(entries: list[bytes]) -> Iterator[bytes]:
    """Give the texts of entries: what a file of the host would hold."""
    for entry in entries:
        text = json.loads(entry)["MESSAGE"]
        yield (bytes(text) if isinstance(text, list) else text.encode()) + b"\n"


def streams() -> dict[Transport, list[bytes]]:
    """Give small streams of each transport."""
    node = Node(5)
    entries = [line for line in node.journal_json(records=9_000) if len(line) < _LONGEST][::1100]
    blocks = [block for block in node.journal_export(records=9_000) if len(block) < _LONGEST][::1100]
    logs = [one.data[:_LONGEST] for one in node.container_logs(records=3_000)][:3]
    with gzip.open(TEMPLATES / "rs-virtiofsd-panic-info.jsonl.gz") as stored:
        entries += [line for line in stored.read().splitlines(keepends=True) if b'"MESSAGE":[' in line]
    with gzip.open(_CAPTURES / "k8s-audit.log.gz") as stored:
        events = [line for line in stored.read().splitlines(keepends=True) if len(line) < _LONGEST][::40]
    with gzip.open(_CAPTURES / "k8s-audit.webhook.jsonl.gz") as stored:
        bodies = stored.read().splitlines(keepends=True)
    texts = list(_messages(entries))
    return {
        Transport.JOURNAL_JSON: entries,
        Transport.JOURNAL_EXPORT: blocks,
        Transport.CRI: logs,
        Transport.HOST_FILE: texts + events,
        Transport.CONSOLE: [b"".join(texts)[:_LONGEST], b"[    0.395399] brd: module loaded\r\n"],
        Transport.BARE: texts[:2],
        Transport.AUDIT_EVENTLIST: bodies,
    }


def seeds() -> dict[str, list[bytes]]:
    """Give the first inputs of every target."""
    found: dict[str, list[bytes]] = {"mask": [], "derive": []}
    for number, transport in enumerate(Transport):
        inputs = streams()[transport]
        found[f"split-{transport}"] = [bytes([2, 7, 200]) + data for data in inputs]
        found["mask"] += [bytes([number]) + data for data in inputs[:4]]
        found["derive"] += [bytes([number]) + data for data in inputs]
    entry = {"t": "genesis", "v": 1, "time": 1, "origin": "example.org/log", "hash": "sha256", "leaf": "KAR1"}
    entries = [encode_entry(entry), encode_entry({**entry, "t": "cut", "from": 0, "to": 5, "batches": [], "gaps": []})]
    return {
        **found,
        "query": [query.encode() for query in _QUERIES],
        "rules": [_RULE.encode(), f"{_RULE}---\n{_CORRELATION}".encode(), f"{_RULE}---\n{_ABSENCE}---\n{_FILTER}".encode()],
        "note": [NOTE, TEXT.encode()],
        "keys": [SIGNER.spell().encode(), SIGNER.verifier.vkey.encode()],
        "checkpoint": [TEXT.encode(), TEXT.encode() + b"more\n"],
        "entry": entries,
        "tile": [b"".join(map(frame_entry, entries)), b"\x00\x00\x00\x01a"],
        "bundle": [bundles.seal().bundle(places) for places in ([(0, 1)], [(0, 0), (1, 4)])],
        "syslog": list(_SYSLOG),
        "shipped": [bytes([number, side]) + body for number, body in enumerate(_SHIPPED) for side in (0, 1)],
    }


def main() -> None:
    """Write every first input, numbered."""
    for name, inputs in seeds().items():
        folder = KEPT / name
        folder.mkdir(parents=True, exist_ok=True)
        for number, data in enumerate(inputs):
            (folder / f"seed-{number:02}").write_bytes(data)


if __name__ == "__main__":
    main()
