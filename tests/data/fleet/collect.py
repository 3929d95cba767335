"""Collect the lives of which `tests/fleet.py` composes months: whole sandboxes, single execs, and a node's own lines.

Run from the repository: `.venv/bin/python tests/data/fleet/collect.py CAPTURES`. Every entry is copied as it is. A journal that
was kept in the export form is written as `journalctl -o json` writes it. Events of the API server's audit log that name the pod
stand among its entries, as `{"__REALTIME_TIMESTAMP": …, "audit": EVENT}`, and so do lines of containerd's own log file, as
`{…, "cri": LINE}`, where the journal has none of them. A header's `pause_us` is when the sandbox was first asked to end.
"""

import gzip
import json
import re
import sys
import tempfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from tests.data.simulator.collect import IDENTIFIER, Run, message

HERE = Path(__file__).parent
LIVES = {
    "go-info": [
        ("service", "api-7d9c5b6f4-x2x8k", 0),
        ("service", "web-0", 0),
        ("service", "node-exporter-abcde", 0),
        ("service", "ann-ok", 0),
        ("batch", "par-a", 0),
        ("batch", "par-b", 0),
        ("exits", "cart-6f4-zz1", 0),
        ("oom", "batch-oom-1", 0),
        ("operated", "metrics-1", 0),
        ("mistaken", "errs-1", 0),
        ("timeout", "slow-1", 0),
        ("misspelt", "ann-unknown", 0),
        ("misspelt", "ann-badnum", 0),
        ("killed", "api-shimkill", 0),
        ("restarted", "persist-1", 0),
    ],
    "k8s-kata-info": [
        ("service", "web", 0),
        ("service", "api", 1),
        ("crashloop", "crasher", 0),
        ("oom", "hog", 0),
        ("noimage", "noimage", 0),
    ],
    "k8s-kata-debug": [("service", "web", 0), ("service", "api", 1), ("crashloop", "crasher", 0), ("oom", "hog", 0)],
    "rs-remote-info": [
        ("service", "api-6c4d8f7b9c-k2m5n", 0),
        ("service", "api-a1", 0),
        ("service", "web-b1", 0),
        ("service", "web-b2", 0),
        ("batch", "api-a2", 0),
        ("exits", "batch-7x2k9", 0),
        ("oom", "report-5d5c9", 0),
        ("mistaken", "misuse-0", 0),
    ],
    "rs-remote2-info": [("brief", "gpu-0", 0)],
}
MISSPELT_RS = "annotation-unknown-kata-annotation"
"""The scenario of rs-badconfig-info whose pod has an annotation that no runtime knows."""
PROBES = {
    "rs-remote-info": ("api-6c4d8f7b9c-k2m5n", b'process command: [\\\\\\"uname\\\\\\"'),
    "k8s-kata-debug": ("web", b"with command [sh -c test -d /tmp]"),
}
RESTART = ("go-info", "s10_containerd_restart")
BACKGROUND_LIMIT = 83
"""Entries of a node's own lines: those of one restart."""
STOPS = ("StopContainer for", "StopPodSandbox for", "Kill container")
CRI_TIME = re.compile(r'^time="([^"]+)"')


class LongRun(Run):
    """A run whose journal may have been kept in the export form, and whose audit log may be there."""

    def __init__(self, captures: Path, name: str, work: Path) -> None:
        self.captures = captures
        whole = captures / name / "journal.json.gz"
        if not whole.exists():
            entries = read_export(gzip.decompress((captures / name / "journal.export.gz").read_bytes()))
            (work / name).mkdir(parents=True, exist_ok=True)
            lines = (json.dumps(one, ensure_ascii=False, separators=(",", ":")) for one in entries)
            (work / name / "journal.json.gz").write_bytes(gzip.compress("\n".join(lines).encode(), 1))
            for place in (captures / name / "identities.jsonl", captures / "identities.jsonl"):
                if place.exists():
                    (work / name / "identities.jsonl").write_bytes(place.read_bytes())
                    break
            captures = work
        super().__init__(captures, name)
        log = self.captures / name / "audit.log.gz"
        self.audit = gzip.decompress(log.read_bytes()).splitlines() if log.exists() else []
        has_cri = any(entry["SYSLOG_IDENTIFIER"] == "containerd" for entry in self.entries)
        log = self.captures / name / "containerd.log.gz"
        self.cri = [] if has_cri else gzip.decompress(log.read_bytes()).decode().splitlines()

    def piece(self, kind: str, identity: dict[str, Any], is_part: Callable[[int, dict[str, Any]], bool]) -> bytes:
        """Write the entries of a sandbox that are part of something, with its identity before them."""
        own = [index for index, owner in enumerate(self.owners) if owner == identity["sandbox_id"]]
        chosen = [index for index in own if is_part(index, self.entries[index])]
        pids = {self.entries[index]["_PID"] for index in own if self.entries[index]["SYSLOG_IDENTIFIER"] == "kata"}
        header = {
            "run": self.name,
            "kind": kind,
            **{key: identity[key] for key in ("sandbox_id", "k8s_namespace", "k8s_pod", "k8s_pod_uid")},
            "containers": identity.get("containers", {}),
            "pids": sorted(pids),
        }
        lines = [self.lines[index] for index in chosen]
        if kind not in ("probe", "crash"):
            lines = sorted([*lines, *self.events(identity, chosen), *self.cri_lines(identity, chosen)], key=_time)
        if kind == "killed":
            lines = lines[: 1 + max(at for at, line in enumerate(lines) if b"RemovePodSandbox" in line)]
        stops = [_time(line) for line in lines if is_stop(json.loads(line), kind)]
        if stops and kind not in ("exits", "timeout", "brief", "probe", "crash"):
            header["pause_us"] = stops[0]
        return b"\n".join([json.dumps(header | {"entries": len(lines)}).encode(), *lines]) + b"\n"

    def crash(self, identity: dict[str, Any]) -> bytes:
        """Write one more crash of a container that was started anew: its third."""
        last = list(identity["containers"])[2]
        own = [index for index, owner in enumerate(self.owners) if owner == identity["sandbox_id"]]
        told = [_time(self.lines[index]) for index in own if last.encode() in self.lines[index]]
        others = [index for index in own if _time(self.lines[index]) > told[0] + 10_000_000]
        end = _time(self.lines[others[0]]) if others else told[-1]
        return self.piece(
            "crash", identity, lambda index, _: told[0] - 30_000 <= _time(self.lines[index]) < min(end, told[0] + 5_000_000)
        )

    def asked(self, identity: dict[str, Any], kind: str) -> bytes:
        """Write what the API server says of one exec that a person asked for, or of a pod that was made."""
        own = [index for index, owner in enumerate(self.owners) if owner == identity["sandbox_id"]]
        words = {"asked": (b'"subresource":"exec"', b"command=ls"), "created": (b"ResponseComplete", b'"code":20')}[kind]
        lines = [line for line in self.events(identity, own) if all(word in line for word in words)]
        lines = lines if kind == "asked" else [line for line in lines if re.search(rb'"verb":"(create|patch)"', line)][:3]
        header = {"run": self.name, "kind": kind, "entries": len(lines), "pids": []}
        header |= {key: identity[key] for key in ("sandbox_id", "k8s_namespace", "k8s_pod", "k8s_pod_uid", "containers")}
        return b"\n".join([json.dumps(header).encode(), *lines]) + b"\n"

    def cri_lines(self, identity: dict[str, Any], chosen: list[int]) -> list[bytes]:
        """Give the lines of containerd's log file that name a sandbox, one of its containers or its pod."""
        booted = _time(self.lines[chosen[0]]) - int(self.entries[chosen[0]]["__MONOTONIC_TIMESTAMP"])
        names = (identity["sandbox_id"], identity["k8s_pod_uid"], *identity.get("containers", {}))
        found = []
        for line in self.cri:
            match = CRI_TIME.match(line)
            if match and any(one in line for one in names):
                at = int(datetime.fromisoformat(match.group(1)).timestamp() * 1e6)
                marks = '{"__REALTIME_TIMESTAMP":"%d","__MONOTONIC_TIMESTAMP":"%d","cri":%s}'
                found.append((marks % (at, at - booted, json.dumps(line, ensure_ascii=False))).encode())
        return found

    def events(self, identity: dict[str, Any], chosen: list[int]) -> list[bytes]:
        """Give the API server's events of a pod, but refused ones, while its sandbox lived and shortly before."""
        first, last = (int(self.entries[index]["__REALTIME_TIMESTAMP"]) for index in (chosen[0], chosen[-1]))
        booted = first - int(self.entries[chosen[0]]["__MONOTONIC_TIMESTAMP"])
        found = []
        for line in self.audit:
            event = json.loads(line)
            what = event.get("objectRef") or {}
            named = (what.get("namespace"), what.get("name")) == (identity["k8s_namespace"], identity["k8s_pod"])
            at = int(datetime.fromisoformat(event["requestReceivedTimestamp"]).timestamp() * 1e6)
            refused = (event.get("responseStatus") or {}).get("code", 200) >= 400
            if what.get("resource") == "pods" and named and first - 150_000 <= at <= last + 2_000_000 and not refused:
                marks = b'{"__REALTIME_TIMESTAMP":"%d","__MONOTONIC_TIMESTAMP":"%d","audit":' % (at, at - booted)
                found.append(marks + line + b"}")
        return found

    def identity(self, pod: str, turn: int) -> dict[str, Any]:
        """Give the identity of the n-th sandbox of a pod."""
        found: dict[str, Any] = [
            one for one in self.identities if one["k8s_pod"] == pod and one["sandbox_id"] in self.owners
        ][turn]
        return found

    def own_lines(self, kind: str, first_us: int = 0, last_us: int = 1 << 62) -> bytes:
        """Write what containerd and journald say of themselves and of no sandbox."""
        chosen = [
            line
            for line, entry, owner in zip(self.lines, self.entries, self.owners, strict=True)
            if owner is None
            and first_us <= int(entry["__REALTIME_TIMESTAMP"]) <= last_us
            and not IDENTIFIER.search(message(entry))
            and (entry["SYSLOG_IDENTIFIER"] == "systemd-journald") == (kind == "suppressed")
            and entry["SYSLOG_IDENTIFIER"] in {"containerd", "systemd-journald"}
        ][:BACKGROUND_LIMIT]
        header = {"run": self.name, "kind": kind, "entries": len(chosen), "containers": {}, "pids": []}
        return b"\n".join([json.dumps(header).encode(), *chosen]) + b"\n"


def is_stop(entry: dict[str, Any], kind: str) -> bool:
    """Say whether an entry asks a sandbox to end; that of a killed shim tells its end."""
    if "audit" in entry:
        return bool(entry["audit"]["verb"] == "delete")
    text = entry["cri"] if "cri" in entry else message(entry)
    return any(word in text for word in (STOPS if kind != "killed" else ("shim disconnected", "ttrpc: closed")))


def _time(line: bytes) -> int:
    return int(json.loads(line)["__REALTIME_TIMESTAMP"])


def read_export(data: bytes) -> list[dict[str, Any]]:
    """Read a journal in the export form."""
    entries: list[dict[str, Any]] = [{}]
    position = 0
    while position < len(data):
        end = data.index(b"\n", position)
        line, position = data[position:end], end + 1
        if not line:
            entries.append({})
            continue
        name, equals, value = line.partition(b"=")
        if not equals:
            size = int.from_bytes(data[position : position + 8], "little")
            value = data[position + 8 : position + 8 + size]
            position += 9 + size
        try:
            entries[-1][name.decode()] = value.decode()
        except UnicodeDecodeError:
            entries[-1][name.decode()] = list(value)
    return [one for one in entries if one]


def probe(run: LongRun) -> bytes:
    """Write what one exec in a container left: its own records, and those of its sandbox in the same moment."""
    pod, words = PROBES[run.name]
    identity = run.identity(pod, 0)
    own = [index for index, owner in enumerate(run.owners) if owner == identity["sandbox_id"]]
    told = [index for index in own if words in run.lines[index]]
    at = int(run.entries[told[len(told) // 2]]["__REALTIME_TIMESTAMP"])
    if run.name == "k8s-kata-debug":
        return run.piece("probe", identity, lambda _, entry: at <= int(entry["__REALTIME_TIMESTAMP"]) < at + 400_000)
    exec_ids = dict.fromkeys(run.entries[index].get("EXEC_ID") for index in own if run.entries[index].get("EXEC_ID"))
    eid = json.loads(message(run.entries[told[0]]))["eid"]
    first = next(iter(exec_ids))
    return run.piece("probe", identity, lambda _, entry: entry.get("EXEC_ID") == first or eid in message(entry))


def main(captures: Path) -> None:
    """Write every file."""
    with tempfile.TemporaryDirectory() as work:
        collect(captures, Path(work))


def collect(captures: Path, work: Path) -> None:
    """Write every file, with a folder to work in."""
    scenarios = [json.loads(line) for line in (captures / "scenarios.jsonl").read_bytes().splitlines()]
    for name, chosen in LIVES.items():
        run = LongRun(captures, name, work)
        parts = [run.piece(kind, run.identity(pod, turn), lambda *_: True) for kind, pod, turn in chosen]
        if run.audit:
            parts += [run.asked(run.identity("web", 0), kind) for kind in ("asked", "created")]
        parts += [run.crash(run.identity(pod, 0)) for kind, pod, _ in chosen if kind == "crashloop"]
        if name in PROBES:
            parts.append(probe(run))
        if name == RESTART[0]:
            told = next(one for one in scenarios if (one["run"], one["scenario"]) == RESTART)
            window = [int(datetime.fromisoformat(told[key]).timestamp() * 1e6) for key in ("start", "end")]
            parts.append(run.own_lines("restart", *window))
        (HERE / f"{name}.jsonl.gz").write_bytes(gzip.compress(b"".join(parts), 9, mtime=0))
    run = LongRun(captures, "rs-badconfig-info", work)
    told = next(one for one in scenarios if one["scenario"] == MISSPELT_RS)
    identity = next(one for one in run.identities if one["sandbox_id"] == told["sandboxes"][0])
    (HERE / f"{run.name}.jsonl.gz").write_bytes(gzip.compress(run.piece("misspelt", identity, lambda *_: True), 9, mtime=0))
    run = LongRun(captures, "go-ratelimit", work)
    (HERE / f"{run.name}.jsonl.gz").write_bytes(gzip.compress(run.own_lines("suppressed"), 9, mtime=0))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
