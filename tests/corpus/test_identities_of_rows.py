"""Every record of a capture that names one sandbox carries that sandbox's pod, through ingest, store and reader."""

import json
import re
from pathlib import Path

import pytest
from tests.evidence import derive
from tests.stores import KEY

from kata_audit.clock import ManualClock
from kata_audit.parse.link import link
from kata_audit.pipeline.ingest import CutPolicy, Sealer, take
from kata_audit.predicate.tree import Everything
from kata_audit.receivers.file import FileReceiver, Place
from kata_audit.schema.source import Transport
from kata_audit.store.reader import EVERYTHING_IN_SCOPE, Order, open_reader
from kata_audit.store.writer import open_writer

pytestmark = pytest.mark.corpus

RUNS = ("go-info", "go-debug2", "rs-badconfig-info", "rs-remote-info", "rs-remote2-info")
POD = ("k8s_namespace", "k8s_pod", "k8s_pod_uid")
COLUMNS = ("seq", "raw", "sandbox_id", *POD)
LEAST = 0.998
"""What is left says its id only inside klog text or an error of the shim, which no dialect of this release reads."""


def fill(root: Path, folder: Path) -> None:
    """Take a run's journal, and containerd's own log where the journal has not got it."""
    clock = ManualClock()
    inputs: list[tuple[Path, Transport | None]] = [(folder / "journal.export.gz", None)]
    if folder.name.startswith("rs-"):
        inputs.append((folder / "containerd.log.gz", Transport.HOST_FILE))
    with open_writer(root, clock=clock, node="lab/node") as writer:
        sealer = Sealer(writer, CutPolicy(), derive, clock, int)
        for path, transport in inputs:
            with FileReceiver(str(path), Place("lab/node", "default", transport), clock=clock, key=KEY) as receiver:
                for _ in take(receiver, writer, sealer, key=KEY):
                    pass
        sealer.seal_all()


@pytest.mark.parametrize("run", RUNS)
def test_records_that_name_a_sandbox_carry_its_pod(corpus: Path, tmp_path: Path, run: str) -> None:
    lines = (corpus / "captures" / "identities.jsonl").read_text().splitlines()
    truth = {one["sandbox_id"]: one for line in lines if (one := json.loads(line))["run"] == run}
    of_id = {id_: sandbox for sandbox, one in truth.items() for id_ in (sandbox, *one["containers"])}
    fill(tmp_path / "store", corpus / "captures" / run)
    named = filled = 0
    with open_reader(tmp_path / "store", link=link) as reader:
        for rows in reader.scan(EVERYTHING_IN_SCOPE, Everything(), COLUMNS, order=Order("seq")):
            for row in rows.to_pylist():
                ids = {
                    of_id[found.decode()] for found in re.findall(rb"[0-9a-f]{64}", row["raw"]) if found.decode() in of_id
                }
                if row["sandbox_id"] in truth:
                    expected = truth[row["sandbox_id"]]
                    assert all(row[name] in (None, expected[name]) for name in POD)
                if len(ids) != 1:
                    continue
                (sandbox,) = ids
                assert row["sandbox_id"] in (None, sandbox)
                named += 1
                filled += row["sandbox_id"] == sandbox and all(row[name] == truth[sandbox][name] for name in POD)
    print(f"{run}: {filled} of {named}")

    assert filled >= LEAST * named > 0
