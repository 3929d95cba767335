"""How fast records reach other systems, beside Fluent Bit feeding the same server with the same records, in one run.

    python tests/perf/exporting.py --records 40000

Both send twice, in turn, and the better run of each counts. A run begins with a file on this machine and ends when the
server's own counter has all records; starting is part of it. Ours is `kata-audit export --once` on a store, which reads sealed
segments, fills identities in, and spells the field set. Fluent Bit 4.2.2 tails the very documents that ours sends (for Loki:
lines and structured metadata), one JSON a line, so that it has neither to parse logs nor to spell. Neither compresses. Fluent
Bit flushes every 0.2 seconds, tries again without limit, has as many connections as it likes where we have four to OpenSearch,
two to Loki and one for Forward, and waits for the acknowledgements of Forward as we do. Its documents in OpenSearch have ids of the server's making, ours the records' names; its
lines in Loki have one label, ours seven. Needs `make servers-all`.
"""

import argparse
import gzip
import itertools
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import orjson

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.evidence import DATA
from tests.exports import source
from tests.servers.fluent_bit import fluent_bit_sink
from tests.servers.loki_server import can_run as loki_is_here
from tests.servers.loki_server import loki
from tests.servers.search_server import OPENSEARCH, search_server
from tests.servers.shippers import FLUENT_BIT
from tests.stores import fill

from kata_audit.clock import ManualClock
from kata_audit.exporters.elastic_template import template
from kata_audit.exporters.loki_entry import entry_of
from kata_audit.schema.exported import Exported
from kata_audit.schema.fieldset import FieldSetName
from kata_audit.schema.own import spell_time
from kata_audit.store.writer import open_writer

THEIRS = "logs-kata-theirs"
_ROUNDS = 2
_NAMES = itertools.count()
_SERVICE = """
[SERVICE]
    Flush 0.2
    Grace 1
    Log_Level error
    Scheduler.Base 1
    Scheduler.Cap 2
    Parsers_File {folder}/parsers.conf
[INPUT]
    Name tail
    Path {folder}/{kind}.jsonl
    Tag kata
    Parser json
    Read_From_Head On
    Buffer_Chunk_Size 1M
    Buffer_Max_Size 8M
[OUTPUT]
    Match *
    Retry_Limit no_limits
    Host 127.0.0.1
    Port {port}
"""
_PARSER = """
[PARSER]
    Name json
    Format json
    Time_Key {time}
    Time_Format %Y-%m-%dT%H:%M:%S.%LZ
"""
_OUTPUTS = {
    "opensearch": f"    Name es\n    Index {THEIRS}\n    Write_Operation create\n    Suppress_Type_Name On\n    Buffer_Size False\n",
    "loki": "    Name loki\n    Labels job=theirs\n    Structured_Metadata_Map_Keys $metadata\n    Remove_Keys metadata\n    Drop_Single_Key raw\n",
    "forward": "    Name forward\n    Require_ack_response On\n",
}


class Took(NamedTuple):
    """How long it took until the server had all records, and the processor time of the sender."""

    secs: float
    cpu_secs: float


def different(data: bytes, copy: int) -> bytes:
    """Give a copy of a capture other times, so that no server takes its records for those of another copy."""
    data = re.sub(rb"(T\d\d:\d\d:\d\d\.\d{5})\d", rb"\g<1>%d" % (copy % 10), data)
    return re.sub(rb'("__REALTIME_TIMESTAMP" ?: ?"\d{12})\d{4}', rb"\g<1>%04d" % copy, data)


def make_store(folder: Path, records: int) -> int:
    """Fill a store with captures until it holds so many records."""
    count = copy = 0
    with open_writer(folder / "store", clock=ManualClock(), node="lab/node") as writer:
        while count < records:
            paths = []
            for path in sorted((DATA / "captures").glob("go-*.gz")):
                paths.append(folder / f"{copy}-{path.name}")
                paths[-1].write_bytes(gzip.compress(different(gzip.decompress(path.read_bytes()), copy), 1))
            count, copy = fill(writer, paths, max_records=20_000) + count, copy + 1
    return count


def export(folder: Path, kind: str, settings: str) -> "subprocess.Popen[bytes]":
    """Start our command, under a new name: one that has sent everything before has nothing to send."""
    name = f"{kind}-{next(_NAMES)}"
    config = folder / f"{name}.toml"
    config.write_text(
        f'[[export]]\nname = "{name}"\nkind = "{kind}"\nplaintext = true\nallow = ["127.0.0.0/8"]\n{settings}\n'
    )
    command = [sys.executable, "-m", "kata_audit.cli.main", "export", "--once", "--store", str(folder / "store")]
    environment = {**os.environ, "KATA_AUDIT_CONFIG": str(config)}
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)


def documents(folder: Path, kind: str, words: FieldSetName) -> None:
    """Write what ours sends, a line of JSON each."""
    with (folder / f"{kind}.jsonl").open("wb") as out, source(folder / "store", words=words).read(0) as parts:
        for part in parts:
            out.writelines(orjson.dumps(_told(kind, one)) + b"\n" for one in part.records)


def _told(kind: str, one: Exported) -> Mapping[str, Any]:
    if kind != "loki":
        return dict(one.document)
    entry = entry_of(one)
    return {"timestamp": spell_time(entry.time_ns), "line": entry.line, "metadata": entry.metadata}


def fluent_bit(folder: Path, kind: str, port: int, time_key: str) -> "subprocess.Popen[bytes]":
    """Start theirs."""
    (folder / "parsers.conf").write_text(_PARSER.format(time=time_key))
    (folder / f"{kind}.conf").write_text(_SERVICE.format(folder=folder, kind=kind, port=port) + _OUTPUTS[kind])
    return subprocess.Popen([FLUENT_BIT, f"{kind}.conf"], cwd=folder, stdout=subprocess.DEVNULL)


def measured(start: Callable[[], "subprocess.Popen[bytes]"], count: Callable[[], int], wanted: int) -> Took:
    """Run a sender until the server has so many more records; end it."""
    before, begun = count(), time.monotonic()
    cpu = resource.getrusage(resource.RUSAGE_CHILDREN)
    with start() as sender:
        while (come := count() - before) < wanted:
            if time.monotonic() - begun > 600:
                raise SystemExit(f"only {come} of {wanted} records came")
            time.sleep(0.05)
        took = time.monotonic() - begun
        sender.terminate()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Took(took, after.ru_utime + after.ru_stime - cpu.ru_utime - cpu.ru_stime)


def best(ours: Callable[[], Took], theirs: Callable[[], Took]) -> tuple[Took, Took]:
    """Let both send in turn, and give the best of each: the first one finds a server that is still cold."""
    rounds = [(ours(), theirs()) for _ in range(_ROUNDS)]
    return min(one for one, _ in rounds), min(one for _, one in rounds)


def to_opensearch(folder: Path, records: int) -> tuple[Took, Took]:
    """Measure documents of two data streams of one server, with the same template."""
    with search_server(OPENSEARCH, folder / "opensearch", lasting=True) as server:
        body = template(THEIRS, attributes="flat_object", is_stream=True)
        server.ask("PUT", "/_index_template/theirs", body)

        def count() -> int:
            return int(server.ask("GET", "/_stats/indexing")["_all"]["primaries"].get("indexing", {}).get("index_total", 0))

        port = int(server.url.rpartition(":")[2])
        settings, streams = f'url = "{server.url}"\ngzip = false', iter(range(_ROUNDS))
        return best(
            lambda: measured(
                lambda: export(folder, "opensearch", f'{settings}\ninto = "logs-kata-ours{next(streams)}"'), count, records
            ),
            lambda: measured(lambda: fluent_bit(folder, "opensearch", port, "@timestamp"), count, records),
        )


def to_loki(folder: Path, records: int) -> tuple[Took, Took]:
    """Measure lines of one server."""
    limits = "  ingestion_rate_mb: 500\n  ingestion_burst_size_mb: 500\n  per_stream_rate_limit: 500MB\n"
    limits += "  per_stream_rate_limit_burst: 500MB\n  reject_old_samples: false\n"
    with loki(folder / "loki", limits=limits) as server:

        def count() -> int:
            text = httpx.get(f"{server.url}/metrics", trust_env=False, timeout=60).text
            found = re.findall(r"^loki_distributor_lines_received_total\{.*\} (\S+)$", text, re.MULTILINE)
            return int(sum(float(one) for one in found))

        port = int(server.url.rpartition(":")[2])
        settings = f'url = "{server.url}"\ngzip = false'
        return best(
            lambda: measured(lambda: export(folder, "loki", settings), count, records),
            lambda: measured(lambda: fluent_bit(folder, "loki", port, "timestamp"), count, records),
        )


def to_forward(folder: Path, records: int) -> tuple[Took, Took]:
    """Measure events of one Fluent Bit, which writes them to a file."""
    with fluent_bit_sink(folder) as server:
        settings = f'url = "tcp://127.0.0.1:{server.port}"\ngzip = false'
        return best(
            lambda: measured(lambda: export(folder, "forward", settings), server.count, records),
            lambda: measured(lambda: fluent_bit(folder, "forward", server.port, "timestamp"), server.count, records),
        )


RUNS: dict[str, tuple[FieldSetName, Callable[[Path, int], tuple[Took, Took]]]] = {
    "opensearch": (FieldSetName.ECS, to_opensearch),
    "loki": (FieldSetName.OTEL, to_loki),
    "forward": (FieldSetName.OTEL, to_forward),
}


def main() -> None:
    """Print a line for each destination."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--records", type=int, default=40_000)
    parser.add_argument("--to", nargs="*", choices=RUNS, default=list(RUNS))
    asked = parser.parse_args()
    if not (FLUENT_BIT.is_file() and loki_is_here() and OPENSEARCH.can_run()):
        print("The servers are not all here; `make servers-all` builds them. Nothing was measured.")
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        count = make_store(folder, asked.records)
        print(f"{count} records")
        for kind in asked.to:
            words, run = RUNS[kind]
            documents(folder, kind, words)
            ours, theirs = run(folder, count)
            print(
                json.dumps(
                    {
                        "to": kind,
                        "ours": round(count / ours.secs),
                        "fluent_bit": round(count / theirs.secs),
                        "ratio": round(theirs.secs / ours.secs, 2),
                        "our_cpu_us": round(ours.cpu_secs / count * 1e6),
                        "their_cpu_us": round(theirs.cpu_secs / count * 1e6),
                    }
                ),
                flush=True,
            )


if __name__ == "__main__":
    main()
