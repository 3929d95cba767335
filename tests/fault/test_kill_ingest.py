"""`kata-audit ingest`, the command that a person types, killed with signal 9 anywhere between its start and its end.

The same command line is started again until it ends by itself. Then every record of the inputs is in the store once, in
order, every finding is there once, and nothing that a checkpoint ever signed was taken back.
"""

import gzip
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from tests.evidence import DATA, derive, evidence
from tests.fault.oracle import examine

from kata_audit.config import RuleSettings
from kata_audit.detect.engine import judge
from kata_audit.detect.rule import Absence, Correlation
from kata_audit.detect.ruleset import Ruleset
from kata_audit.detect.state import State
from kata_audit.parse.link import link
from kata_audit.parse.mask import mask
from kata_audit.pipeline.derive import DERIVE_VERSION
from kata_audit.receivers.sniff import sniff_transport
from kata_audit.schema.cursor import parse_cursor
from kata_audit.schema.record import EVIDENCE_SCHEMA, EvidenceRows
from kata_audit.store.fsck import fsck
from kata_audit.store.identity import fill
from kata_audit.store.keys import FINGERPRINT_KEY
from kata_audit.store.known import KnownFacts
from kata_audit.store.layout import Layout
from kata_audit.store.log import read_checkpoint, read_entries
from kata_audit.wiring import rules

CUTS = "[batch]\nmax_records = 250\nmax_bytes = 400000\nmax_age_secs = 0.05\n"
FINDINGS = "kata-audit:finding"
GROWTH = 40
"""Lines that the growing file gets before each start."""


def unpacked(name: str) -> bytes:
    return gzip.decompress((DATA / "captures" / f"{name}.gz").read_bytes())


class Inputs:
    """Five files, about 8 MB: one compressed, one larger than a group commit, one that grows."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        debug = unpacked("go-debug.journal.json")
        self._lines = debug.splitlines(keepends=True)
        self.paths = [folder / name for name in ("info.json.gz", "rs.json", "growing.json", "large.json", "rs.export")]
        captures = (
            gzip.compress(unpacked("go-info.journal.json")),
            unpacked("rs-info.journal.json"),
            b"",
            debug * 7,
            unpacked("rs-info.journal.export"),
        )
        for path, data in zip(self.paths, captures, strict=True):
            path.write_bytes(data)
        self._grown = 0
        self.grow()

    def grow(self) -> None:
        """Let one file grow by whole lines."""
        with self.paths[2].open("ab") as file:
            file.writelines(self._lines[self._grown % 400 :][:GROWTH])
        self._grown += GROWTH

    def records(self, key: bytes) -> dict[str, list[tuple[int, bytes]]]:
        """Split and mask every input anew: offset and bytes of each record, by path."""
        wanted = {}
        for path in self.paths:
            data = path.read_bytes()
            data = gzip.decompress(data) if path.suffix == ".gz" else data
            rows, _ = mask(evidence(data, sniff_transport(data)), key)
            wanted[str(path)] = _placed(rows)
        return wanted


def _placed(rows: Any) -> list[tuple[int, bytes]]:
    cursors = [parse_cursor(text) for text in rows.column("cursor").to_pylist()]
    return [(cursor.offset, raw) for cursor, raw in zip(cursors, rows.column("raw").to_pylist(), strict=True) if cursor]


class Killed(NamedTuple):
    """What a run had done when it was killed."""

    signed: list[bytes]
    appended: bool
    sealed: bool


class Series:
    """One store, and one command line that is killed and started again."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.inputs = Inputs(folder / "in")
        self.root = folder / "store"
        (folder / "config.toml").write_text(CUTS)
        self._environment = {**os.environ, "KATA_AUDIT_CONFIG": str(folder / "config.toml")}
        self._environment.pop("KATA_AUDIT_KEYS", None)
        files = [str(path) for path in self.inputs.paths]
        self._command = [sys.executable, "-m", "kata_audit.cli.main", "--store", str(self.root), "ingest", *files]

    def run(self, seconds: float | None = None) -> Killed | None:
        """Run the command, and kill it after so many seconds; None when it ended by itself before."""
        before = self._sizes()
        with subprocess.Popen(
            self._command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self._environment, text=True
        ) as child:
            try:
                out, err = child.communicate(timeout=seconds)
            except subprocess.TimeoutExpired:
                child.send_signal(signal.SIGKILL)
                out, err = child.communicate()
        if child.returncode == 0:
            assert len(out.splitlines()) == len(self.inputs.paths)
            assert err == "" or err.endswith(" findings: `kata-audit alerts list` shows what they come to.\n")
            return None
        assert child.returncode == -signal.SIGKILL, (out, err)
        after = self._sizes()
        grown = {path for path, size in after.items() if size > before.get(path, -1)}
        kinds = {path.relative_to(self.root).parts[0] for path in grown}
        return Killed(self.signed(), bool(kinds & {"spool", "segments"}), "segments" in kinds)

    def _sizes(self) -> dict[Path, int]:
        return {path: path.stat().st_size for path in self.root.rglob("*") if path.is_file()}

    def signed(self) -> list[bytes]:
        """Read the log's entries that a checkpoint covers."""
        note = read_checkpoint(Layout(self.root))
        return [] if note is None else list(read_entries(Layout(self.root), 0, int(note.split(b"\n")[1])))

    def check(self) -> int:
        """Hold the store against its inputs, and return how many records it has."""
        verdict = fsck(self.root, deep=True, derive=derive, derive_version=DERIVE_VERSION)
        assert verdict.troubles == ()
        assert (verdict.gaps, verdict.unsealed) == (0, 0)
        segments = sorted(Layout(self.root).segments.rglob("*.parquet"))
        rows = pa.concat_tables([pq.read_table(path, columns=EVIDENCE_SCHEMA.names) for path in segments])
        rows = rows.sort_by("seq")
        assert rows["seq"].to_pylist() == list(range(len(rows)))
        found: dict[str, list[tuple[int, bytes]]] = {str(path): [] for path in self.inputs.paths}
        streams = set()
        for text, raw in zip(rows["cursor"].to_pylist(), rows["raw"].to_pylist(), strict=True):
            cursor = parse_cursor(text)
            assert cursor is not None
            if cursor.stream == FINDINGS:
                continue
            streams.add(cursor.stream)
            found[cursor.stream.partition("?")[0]].append((cursor.offset, raw))
        key = bytes.fromhex((Layout(self.root).keys / FINGERPRINT_KEY).read_text().strip())
        assert found == self.inputs.records(key)
        assert len(streams) == len(self.inputs.paths)
        check_findings(rows.cast(EVIDENCE_SCHEMA).combine_chunks().to_batches()[0], verdict.origin)
        held = examine(self.root)
        assert (len(held.sealed), held.waiting, held.lost) == (len(rows), {}, set())
        return sum(map(len, found.values()))


def check_findings(rows: EvidenceRows, origin: str) -> None:
    """Hold what was said of single records, through all kills, against what judging the whole log at once says (law L5)."""
    shipped = [rule for rule in rules(RuleSettings()) if not isinstance(rule.when, Correlation | Absence)]
    ruleset = Ruleset(shipped, origin=origin, lateness_ns=1 << 62)
    records, known = derive(rows), KnownFacts()
    known.learn(link(records))
    judged = judge(ruleset, State(), pa.Table.from_batches([fill(records, known, as_stated=True)]))[1]
    base = {rule.rule_id for rule in shipped}
    said = (json.loads(raw) for raw in rows.filter(pc.starts_with(rows["cursor"], f"{FINDINGS}@"))["raw"].to_pylist())
    named = [one["attributes"]["finding.id"] for one in said if one["attributes"]["finding.rule_id"] in base]
    assert sorted(named) == sorted(finding.finding_id for finding in judged)
    assert named


def kinds_of(entries: list[bytes]) -> list[str]:
    return [word for entry in entries for word in ("cut", "compact") if b'"t":"%s"' % word.encode() in entry]


@pytest.mark.parametrize("kills", [12, pytest.param(200, marks=[pytest.mark.torture, pytest.mark.timeout(3600)])])
def test_a_killed_ingest_goes_on_as_if_nothing_had_been(tmp_path: Path, kills: int) -> None:
    """Kills are spread evenly over a whole run, its start included; each series ends by itself and is complete."""
    chance = random.Random(kills)
    whole = Series(tmp_path / "whole")
    began = time.monotonic()
    assert whole.run() is None
    length = time.monotonic() - began
    assert {"cut", "compact"} <= set(kinds_of(whole.signed()))
    assert whole.check() == 3900
    done: list[Killed] = []
    series = records = 0
    while len(done) < kills:
        series += 1
        one = Series(tmp_path / f"series {series}".replace(" ", "-"))
        signed: list[bytes] = []
        while (killed := one.run(chance.uniform(0.1, length) if len(done) < kills else None)) is not None:
            assert killed.signed[: len(signed)] == signed
            signed = killed.signed
            done.append(killed)
            one.inputs.grow()
        assert one.signed()[: len(signed)] == signed
        one.run()
        records += one.check()
        shutil.rmtree(one.root.parent)
    appended, sealed = sum(killed.appended for killed in done), sum(killed.sealed for killed in done)
    print(
        f"{len(done)} kills over {length:.1f} s in {series} stores; {appended} behind the run's first append, {sealed} behind"
        f" its first segment, {sum(not killed.signed for killed in done)} before the log began; {records} records"
    )
    assert appended >= kills // 4
