"""Collect sandboxes' lives from the reference captures: the templates of `tests/simulator.py`.

Run from the repository: `.venv/bin/python tests/data/simulator/collect.py CAPTURES`. Every entry is copied as it is; only
which entries belong to which sandbox is decided here, from the identities that were written down when the captures were made.
"""

import gzip
import json
import re
import sys
import tarfile
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
CHOSEN = {
    "go-info": [
        "api-7d9c5b6f4-x2x8k",
        "batch-oom-1",
        "vault-0",
        "untrusted-1",
        "badpolicy-1",
        "stuck-1",
        "errs-1",
        "slow-1",
        "queue-0",
        "api-shimkill",
        "cart-6f4-zz1",
        "worker-x",
        "ledger-5c9f8d7b6-qq4zt",
    ],
    "go-debug2": ["evade-1", "mon-2", "sig-6", "vm-qemunv"],
    "rs-remote-info": [
        "api-6c4d8f7b9c-k2m5n",
        "report-5d5c9",
        "cache-0",
        "fraud-1",
        "fraud-3",
        "build-xmr",
        "search-0",
        "misuse-0",
    ],
    "rs-virtiofsd-panic-info": ["api-1"],
    "k8s-kata-info": ["web", "vault", "crasher", "noimage", "priv"],
}
IDENTIFIER = re.compile(r"[0-9a-f]{64}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
TIME = re.compile(r'^time="([^"]*?)\.?0*(Z|[+-]\d\d:\d\d)"')
BACKGROUND_LIMIT = 120


def message(entry: dict[str, Any]) -> str:
    """Give an entry's text."""
    text = entry.get("MESSAGE") or ""
    return bytes(text).decode("utf-8", "replace") if isinstance(text, list) else str(text)


def same_copy(text: str) -> str:
    """Make the two copies of a Go shim's record equal."""
    return TIME.sub(r"\1", text)


class Run:
    """One capture's entries and whose they are."""

    def __init__(self, captures: Path, name: str) -> None:
        self.name = name
        self.lines = gzip.decompress((captures / name / "journal.json.gz").read_bytes()).splitlines()
        self.entries = [json.loads(line) for line in self.lines]
        own = captures / name / "identities.jsonl"
        texts = (own if own.exists() else captures / "identities.jsonl").read_text().splitlines()
        self.identities = [one for one in map(json.loads, texts) if one["run"] == name]
        self.owner_of = {
            key: one["sandbox_id"]
            for one in self.identities
            for key in (one["sandbox_id"], one["k8s_pod_uid"], *one.get("containers", {}))
        }
        self.owners = self._stated()
        self._by_process()
        self._by_copy()
        self._by_name()

    def _stated(self) -> list[str | None]:
        """An entry belongs to the sandbox that most of its identifiers name."""
        owners: list[str | None] = []
        for entry in self.entries:
            text = " ".join(
                [message(entry), *(str(entry.get(key, "")) for key in ("SOURCE", "_CMDLINE", "_SYSTEMD_CGROUP"))]
            )
            found = Counter(self.owner_of[one] for one in IDENTIFIER.findall(text) if one in self.owner_of)
            owners.append(found.most_common(1)[0][0] if found else None)
        return owners

    def _by_process(self) -> None:
        """A shim serves one sandbox: what it writes without an identifier belongs there."""
        shims: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for entry, owner in zip(self.entries, self.owners, strict=True):
            if owner and entry["SYSLOG_IDENTIFIER"] == "kata":
                shims[entry["_PID"]][owner] += 1
        for index, entry in enumerate(self.entries):
            if self.owners[index] is None and entry["_PID"] in shims and not IDENTIFIER.search(message(entry)):
                self.owners[index] = shims[entry["_PID"]].most_common(1)[0][0]

    def _by_copy(self) -> None:
        """The copy that containerd passed on belongs where the shim's own copy does."""
        texts = {
            same_copy(message(entry)): owner
            for entry, owner in zip(self.entries, self.owners, strict=True)
            if owner and entry["SYSLOG_IDENTIFIER"] == "kata"
        }
        for index, entry in enumerate(self.entries):
            self.owners[index] = self.owners[index] or texts.get(same_copy(message(entry)))

    def _by_name(self) -> None:
        """The kubelet names pods, not sandboxes; names that occur once are enough."""
        named = Counter((one["k8s_namespace"], one["k8s_pod"]) for one in self.identities)
        for one in self.identities:
            name = f'"{one["k8s_namespace"]}/{one["k8s_pod"]}"'
            for index, entry in enumerate(self.entries):
                once = named[one["k8s_namespace"], one["k8s_pod"]] == 1
                if (
                    once
                    and entry["SYSLOG_IDENTIFIER"] == "kubelet"
                    and self.owners[index] is None
                    and name in message(entry)
                ):
                    self.owners[index] = one["sandbox_id"]

    def life(self, pod: str) -> bytes:
        """Write the first life of a pod of this name: a header, then its entries as they are."""
        identity = next(one for one in self.identities if one["k8s_pod"] == pod and one["sandbox_id"] in self.owners)
        chosen = [index for index, owner in enumerate(self.owners) if owner == identity["sandbox_id"]]
        pids = {self.entries[index]["_PID"] for index in chosen if self.entries[index]["SYSLOG_IDENTIFIER"] == "kata"}
        header = {
            "run": self.name,
            "entries": len(chosen),
            **{key: identity[key] for key in ("sandbox_id", "k8s_namespace", "k8s_pod", "k8s_pod_uid")},
            "containers": identity.get("containers", {}),
            "pids": sorted(pids),
        }
        return b"\n".join([json.dumps(header).encode(), *(self.lines[index] for index in chosen)]) + b"\n"

    def background(self) -> bytes:
        """Write entries that belong to no sandbox: those that name none and no pod."""
        chosen = [
            index
            for index, entry in enumerate(self.entries)
            if self.owners[index] is None
            and not IDENTIFIER.search(message(entry))
            and not re.search(r"pod=|pods=|sandbox|cni result|vmconsole", message(entry))
            and entry["SYSLOG_IDENTIFIER"] in {"containerd", "kubelet"}
        ][:BACKGROUND_LIMIT]
        header = {"run": self.name, "entries": len(chosen), "containers": {}, "pids": []}
        return b"\n".join([json.dumps(header).encode(), *(self.lines[index] for index in chosen)]) + b"\n"


def container_logs(captures: Path, run: str) -> bytes:
    """Write the container logs of a run's pods, one JSON object a file: its path below the pods' folder and its text."""
    found = []
    with tarfile.open(captures / run / "pods.tar.gz") as archive:
        for member in sorted(archive.getmembers(), key=lambda one: one.name):
            stored = archive.extractfile(member) if member.isfile() and 0 < member.size < 20_000 else None
            if stored is not None and "inj" not in member.name:
                text = stored.read().decode("utf-8", "surrogateescape")
                found.append(json.dumps({"path": member.name.removeprefix("pods/"), "text": text}).encode())
    return b"\n".join(found) + b"\n"


def main(captures: Path) -> None:
    """Write every template."""
    for name, pods in CHOSEN.items():
        run = Run(captures, name)
        parts = [run.life(pod) for pod in pods]
        if name == "k8s-kata-info":
            parts.append(run.background())
        (HERE / f"{name}.jsonl.gz").write_bytes(gzip.compress(b"".join(parts), 9, mtime=0))
    (HERE / "container-logs.jsonl.gz").write_bytes(gzip.compress(container_logs(captures, "go-info"), 9, mtime=0))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
