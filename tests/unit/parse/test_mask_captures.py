"""Masking of real runs: their seeded secrets go, their identities stay, as often as they stood there."""

import gzip
import json
import re
from collections import Counter
from pathlib import Path

import pytest
from tests.evidence import evidence

from kata_audit.parse.mask import mask
from kata_audit.schema.source import Transport

pytestmark = pytest.mark.corpus

SEEDED = tuple(
    text.encode()
    for text in (
        *(
            "hunter2-",
            "S3cr3t",
            "sk_live" + "_EXAMPLE",
            "AKIA" + "IOSFODNN7EXAMPLE",
            "wJalrXUtn" + "FEMI",
            "tok_EXAMPLE",
            "hvs." + "EXAMPLE",
        ),
        *("eyJhbGciOiJ", "c0rrect-horse", "YzBycmVjdC1ob3JzZS1"),
    )
)
"""What the scripts that drove the runs used as secrets, or beginnings of it."""
RUNS = {
    "go-info/journal.json.gz": Transport.JOURNAL_JSON,
    "go-debug2/journal.json.gz": Transport.JOURNAL_JSON,
    "rs-remote-info/journal.json.gz": Transport.JOURNAL_JSON,
    "rs-remote2-info/journal.json.gz": Transport.JOURNAL_JSON,
    "go-debug/journal.export.gz": Transport.JOURNAL_EXPORT,
    "k8s-kata-debug/journal.export.gz": Transport.JOURNAL_EXPORT,
    "go-debug/containerd.log.gz": Transport.HOST_FILE,
    "k8s-audit/audit.log.gz": Transport.HOST_FILE,
    "k8s-audit/everything/audit.log.gz": Transport.HOST_FILE,
    "guest-vm-debug/console.log.gz": Transport.CONSOLE,
}
ID = re.compile(rb"[0-9a-f]{64}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@pytest.mark.parametrize("run", RUNS)
def test_secrets_go_and_identities_stay(corpus: Path, run: str) -> None:
    data = gzip.decompress((corpus / "captures" / run).read_bytes())
    rows = evidence(data, RUNS[run])
    words = {
        str(item[key]).encode()
        for item in map(json.loads, (corpus / "captures" / "identities.jsonl").read_text().splitlines())
        for key in ("sandbox_id", "k8s_pod", "k8s_pod_uid")
        if item["run"] == run.partition("/")[0] and item.get(key)
    }

    now, counts = mask(rows, bytes(32))
    after = b"".join(now.column("raw").to_pylist())

    assert {secret: after.count(secret) for secret in SEEDED if secret in after} == {}
    assert {word: after.count(word) for word in words} == {word: data.count(word) for word in words}
    assert Counter(ID.findall(after)) == Counter(ID.findall(data))
    assert after.count(b"*masked:") == sum(counts.secrets.values())
    assert evidence(after, RUNS[run]).num_rows == rows.num_rows
    if RUNS[run] is Transport.JOURNAL_JSON:
        for line in after.splitlines():
            json.loads(line)
