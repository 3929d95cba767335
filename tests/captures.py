"""The logs of the reference captures, each with the declaration that a user would give it."""

import gzip
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from kata_audit.parse.split import Held, finish, split
from kata_audit.schema.record import RecordRows
from kata_audit.schema.source import Chunk, Source, Transport
from tests.evidence import OBSERVED_NS, derive

_HOST_FILES = {
    "containerd.log.gz": None,
    "kubelet.log.gz": "klog",
    "kata-monitor.log.gz": "logrus",
    "qemu.stderr.gz": "qemu",
    "virtiofsd.log.gz": "virtiofsd",
}
_FOLDERS = {"guest-qemu-errors": "qemu", "guest-virtiofsd-errors": "virtiofsd", "guest-cloud-hypervisor": "cloud-hypervisor"}
"""Folders whose files are all of one program."""
_TOOLS = ("kata-ctl-", "kata-runtime-", "kata-monitor-")


class Log(NamedTuple):
    """One log: its name, its bytes and how it is declared."""

    name: str
    data: bytes
    transport: Transport
    dialect: str | None

    def records(self) -> RecordRows:
        """Parse it."""
        chunk = Chunk(
            Source("file", "lab/node", "default", self.transport, self.dialect), "a?1-2-aa", 0, self.data, OBSERVED_NS
        )
        held, rows = split(Held(), chunk)
        table = pa.Table.from_batches([rows, finish(held, chunk)]).combine_chunks()
        numbers = pa.array(range(len(table)), pa.uint64())
        return derive((table.set_column(0, "seq", numbers).to_batches() or [rows])[0])


def runs(captures: Path) -> list[str]:
    """Name the folders that hold logs of nodes, guests and hypervisors."""
    return sorted(path.name for path in captures.iterdir() if path.is_dir() and path.name not in {"configs", "k8s-audit"})


def logs(folder: Path) -> Iterator[Log]:
    """Give the logs of a run: of each log that exists in several spellings the most complete one."""
    for path in sorted(folder.iterdir()):
        if path.name == "agents.tar.gz":
            yield from agents(path)
        elif path.name == "journal.export.gz":
            yield read_log(path, Transport.JOURNAL_EXPORT)
        elif path.name in {"console.log.gz", "agent.jsonl.gz"}:
            yield read_log(path, Transport.CONSOLE)
        elif folder.name in _FOLDERS and not path.name.endswith(".json.gz"):
            yield read_log(path, Transport.HOST_FILE, _FOLDERS[folder.name])
        elif path.name in _HOST_FILES:
            yield read_log(path, Transport.HOST_FILE, _HOST_FILES[path.name])
        elif path.name.startswith(_TOOLS) and path.name.endswith(".stderr.gz") and "log-parser" not in path.name:
            yield read_log(path, Transport.HOST_FILE)


def agents(path: Path) -> Iterator[Log]:
    """Give what each agent wrote."""
    with tarfile.open(path) as archive:
        for member in archive:
            data = archive.extractfile(member)
            if data is not None:
                yield Log(member.name, data.read(), Transport.CONSOLE, None)


def read_log(path: Path, transport: Transport, dialect: str | None = None) -> Log:
    """Read one gzipped log."""
    return Log(path.name, gzip.decompress(path.read_bytes()), transport, dialect)
