"""A benign fleet, told as raw lines: what the logs of Kata nodes hold in a month in which nobody attacks anything.

The lives are those of real captures (`tests/data/fleet/PROVENANCE.md`), told again by `tests/simulated_life.py` with new names and
times. A node's month is drawn from `Rates`; each says where its number comes from. `docs/explanation/alert-load.md` tells what
was assumed and left out. The same seed gives the same bytes.
"""

import gzip
import heapq
import json
import random
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

from tests.fleet_lines import KILLED_FOR_US, Piece, node_lines, rewrite, shift_guest_clock
from tests.simulated_life import Sandbox, compile_life
from tests.simulated_times import ORDINAL, NodeValues

TEMPLATES: Final = Path(__file__).parent / "data" / "fleet"
STARTS_US: Final = 1_796_083_200_000_000
"""A midnight, UTC."""
SECOND, MINUTE, HOUR, DAY = 1_000_000, 60_000_000, 3_600_000_000, 86_400_000_000
_PIECE: Final = ""
_MARKS: Final = (("audit", b',"audit":'), ("cri", b',"cri":'))


class Rates(NamedTuple):
    """What happens on one node, a day where no other time is named.

    Sizes are those of small pods on nodes that run machines for them: a dozen. Accidents are those of a cluster of 100 nodes on
    which some ten teams work: one of a kind in so many days there, divided by its nodes.
    """

    pods: int = 10
    """Long running pods at one time."""
    rollout_days: tuple[float, float] = (2.0, 6.0)
    """How long a pod lives until its team rolls out anew."""
    batch: float = 2.0
    """Nightly jobs."""
    exits: float = 0.1
    """Jobs with containers that fail or are ended by signals: ten a day in the cluster."""
    brief: float = 0.05
    """Pods that are taken back within the second in which they were made: five a day in the cluster."""
    oom: float = 0.05
    """Pods that outgrow their memory: five a day in the cluster; each does it again up to twice within hours."""
    crashloops: float = 0.02
    """Broken releases: two a day in the cluster, each crashing for hours, every five minutes (the kubelet's longest wait)."""
    noimage: float = 0.02
    """Images that cannot be pulled: two a day in the cluster."""
    timeouts: float = 0.1
    """Pods whose probe runs into its timeout until they are started anew: ten a day in the cluster."""
    operated: float = 0.05
    """Pods that somebody updates, signals or looks into."""
    mistaken: float = 0.02
    """Requests that make no sense: missing entry points, stopping twice."""
    misspelt: float = 8 / 3000
    """Kata annotations with a typing error: eight a month in the cluster; the kubelet tries again until somebody sees it."""
    shells: float = 0.01
    """Shells that people open through the API server: one a day in the cluster."""
    asked: float = 0.1
    """Other commands that people run through it: ten a day."""
    pressure: float = 0.01
    """Hours of memory pressure, with pods evicted: one a day in the cluster."""
    restarts: float = 1 / 30
    """Restarts of containerd by whoever configures nodes: once a month."""
    suppressed: float = 3 / 3000
    """journald's rate limit reached, by a workload that floods: three times a month in the cluster."""
    reboots: tuple[int, ...] = (9, 23)
    """Days of the month on which kernels and kubelets are upgraded: two patch days, all nodes within two nights of four hours."""
    graceless: float = 0.5
    """Share of reboots in which a pod that is not drained, of a DaemonSet, loses its shim before containerd has ended."""
    clock_steps: float = 0.02
    """Share of pods whose guest's clock is set in the middle of their life."""
    probes_dense: int = 12
    """Execs of a probe every ten seconds after a pod's start that are written; two minutes' worth, on one pod a day."""
    probe_every_hours: float = 24.0
    """How often a probe is written after that: one of 8,640, for a month must be judged in minutes."""


RATES: Final = Rates()
ACCIDENTS: Final = (
    *("exits", "brief", "oom", "crashloops", "noimage", "timeouts", "operated", "mistaken", "misspelt", "shells", "asked"),
    *("pressure", "restarts", "suppressed"),
)
"""Rates of what goes wrong or is done by hand."""
FAMILIES: Final = ("go", "go", "go", "go", "go", "go", "go", "go", "runtime-rs", "go")
"""What nodes run, by number: of ten, one runs runtime-rs."""
_DEBUG_NODES: Final = 100
"""Of so many, the last has debug on for everything, as where somebody looks for a fault."""
_RUNS: Final = {
    "go": ("go-info", "k8s-kata-info"),
    "go-debug": ("k8s-kata-debug",),
    "runtime-rs": ("rs-remote-info", "rs-remote2-info", "rs-badconfig-info"),
}
_SHARED: Final = ("suppressed", "asked", "created", "restart")
"""Pieces that nodes of all kinds have."""
_PROBES: Final = (
    ("uname", "-n"),
    ("cat", "/tmp/healthy"),
    ("sh", "-c", "test -f /tmp/ready"),
    ("pg_isready", "-U", "postgres"),
    ("redis-cli", "ping"),
    ("sh", "-c", "curl -fsS http://127.0.0.1:8080/healthz"),
    ("/bin/grpc_health_probe", "-addr=:8080"),
)
"""Commands of probes as charts have them; the first is the captured one."""
_ASKED: Final = (("ls", "-l", "/"), ("env",), ("df", "-h"), ("ps", "aux"))
_SHELL: Final = (("sh",), ("bash",))
_FOREIGN: Final = (b"prometheus.io/scrape", b"sidecar.istio.io/inject", b"nerdctl/network-namespace")


class Told(NamedTuple):
    """Lines of one source on one node in one day, in order."""

    source: str
    """`journal`, `cri` (containerd's own file) or `audit`."""
    data: bytes
    moments: tuple[int, ...]
    """When each line was written, in microseconds since the epoch."""


@cache
def pieces(family: str) -> dict[str, list[Piece]]:
    """Compile the lives of a kind of node, by what they are."""
    found: dict[str, list[Piece]] = {}
    for run in dict.fromkeys((*_RUNS[family], "go-ratelimit", "k8s-kata-info", "go-info")):
        for header, lines in _read(run):
            kind = header["kind"]
            if run not in _RUNS[family] and kind not in _SHARED:
                continue
            for change in _changes(kind, family, len(found.get(kind, ()))):
                told = [change(line) for line in lines]
                life = compile_life(header, told, form="json", long_fields=True)
                found.setdefault(kind, []).append(Piece(life, len(header["containers"])))
    return found


def _changes(kind: str, family: str, number: int) -> Sequence[Any]:
    """Give the wordings of a piece: commands for execs, a foreign annotation for pods of runtime-rs."""
    if kind == "probe" and family == "runtime-rs":
        return [rewrite(("uname", "-n"), command) for command in (*_PROBES, *_ASKED, *_SHELL)]
    if kind == "service" and family == "runtime-rs":
        foreign = _FOREIGN[number % len(_FOREIGN)]
        return [lambda line: line.replace(b"nerdctl/network-namespace", foreign)]
    return [lambda line: line]


def _read(run: str) -> Iterator[tuple[dict[str, Any], list[bytes]]]:
    lines = gzip.decompress((TEMPLATES / f"{run}.jsonl.gz").read_bytes()).splitlines()
    while lines:
        header = json.loads(lines[0])
        yield header, lines[1 : header["entries"] + 1]
        lines = lines[header["entries"] + 1 :]


class _Begun(NamedTuple):
    """A piece that is to be written: of whom, when, how long its middle lasts, and up to when."""

    piece: Piece
    at: int
    sandbox: Sandbox
    pause: int
    cut_us: int
    shifts: bool
    node: NodeValues
    seed: int


class FleetNode:
    """One node of the fleet, told day by day.

    Args:
        number: Of the node; it decides what the node runs.
        days: How many.
        seed: The same gives the same bytes.
        rates: What happens.
    """

    def __init__(self, number: int, *, days: int, seed: int = 7, rates: Rates = RATES) -> None:
        self.name = f"worker-{number:03d}"
        self.family = "go-debug" if number % _DEBUG_NODES == _DEBUG_NODES - 1 else FAMILIES[number % len(FAMILIES)]
        self._days, self._rates, self._number = days, rates, number
        self._rng = random.Random(f"fleet/{seed}/{number}")
        self._pieces = pieces(self.family)
        self._boots = 0
        self._due: list[tuple[int, int, str, Any]] = []
        self._count = self._sandboxes = self._ordinal = 0
        self._stops = self._reboots()
        self._boot(STARTS_US - 10 * DAY)
        self._plan()

    def told(self) -> Iterator[list[Told]]:
        """Tell each day: every source's lines."""
        for day in range(self._days + 1):
            end = STARTS_US + (day + 1) * DAY
            lines: dict[str, list[bytes]] = {}
            moments: dict[str, list[int]] = {}
            while self._due and self._due[0][0] < end:
                at, _, source, line = heapq.heappop(self._due)
                if source == _PIECE:
                    self._write(line)
                    continue
                if source == "journal":
                    self._ordinal += 1
                    line = line.replace(ORDINAL, b"%x" % self._ordinal, 1)
                lines.setdefault(source, []).append(line)
                moments.setdefault(source, []).append(at)
            yield [Told(source, b"".join(those), tuple(moments[source])) for source, those in sorted(lines.items())]

    # The month's plan

    def _reboots(self) -> list[int]:
        """Draw when the node is rebooted: in one of two nights after each patch day, between 22 and 2 o'clock."""
        last = self._days - 2
        nights = (min(day + self._rng.randrange(2), last) for day in self._rates.reboots if day <= last)
        return [STARTS_US + night * DAY + 22 * HOUR + self._rng.randrange(4 * HOUR) for night in nights]

    def _boot(self, at_us: int) -> None:
        self._boots += 1
        rng = self._rng
        machine = random.Random(f"machine/{self._number}").randbytes(16).hex()
        texts = {kind: rng.randbytes(16).hex().encode() for kind in ("boot", "stream")}
        texts |= {"machine": machine.encode(), "host": self.name.encode(), "daemon": b"%d" % rng.randrange(700, 1200)}
        self._values = NodeValues(texts, rng.randbytes(16).hex().encode(), at_us)

    def _plan(self) -> None:
        """Put the whole month in order, boot by boot."""
        end = STARTS_US + self._days * DAY
        begins = [STARTS_US, *(stop + 4 * MINUTE for stop in self._stops)]
        for number, (begin, stop) in enumerate(zip(begins, [*self._stops, end], strict=True)):
            if number:
                self._boot(begin - 30 * SECOND)
                self._say_all(node_lines("boot", self.name, begin - 30 * SECOND, self._values))
            self._live(begin, stop)
            if stop < end:
                self._say_all(node_lines("shutdown", self.name, stop, self._values))

    def _live(self, begin: int, stop: int) -> None:
        """Plan from one boot to the next, or to the month's end."""
        rates = self._rates
        for slot in range(rates.pods):
            self._serve(begin + slot * 20 * SECOND, stop, slot)
        days = (stop - begin) / DAY
        nights = range((begin - STARTS_US) // DAY, (stop - STARTS_US) // DAY + 1)
        for night in nights:
            for _ in range(self._often(rates.batch)):
                self._once("batch", STARTS_US + night * DAY + self._rng.randrange(HOUR, 5 * HOUR), stop, begin)
        for kind in ("exits", "timeouts", "operated", "mistaken", "noimage", "brief"):
            for at in self._moments(getattr(rates, kind) * days, begin, stop):
                self._once("timeout" if kind == "timeouts" else kind, at, stop, begin)
        for at in self._moments(rates.oom * days, begin, stop):
            for again in range(1 + self._rng.randrange(3)):
                self._once("oom", at + again * 3 * HOUR, stop, begin)
        for at in self._moments(rates.crashloops * days, begin, stop):
            self._crash_for_hours(at, stop)
        for at in self._moments(rates.misspelt * days, begin, stop):
            self._try_again(at, stop)
        for kind in ("suppressed", "restart"):
            rate = rates.suppressed if kind == "suppressed" else rates.restarts
            for at in self._moments(rate * days, begin, stop):
                self._tell(self._pick(kind), at, self._nobody())
                if kind == "restart":
                    self._once("restarted", at, stop, begin)
        for at in self._moments(rates.pressure * days, begin, stop):
            self._say_all(node_lines("pressure", self.name, at, self._values))
        if stop in self._stops and "killed" in self._pieces and self._rng.random() < rates.graceless:
            piece = self._pick("killed")
            self._tell(piece, begin + 5 * MINUTE, self._sandbox(piece), stop, cut_us=stop + KILLED_FOR_US)

    def _often(self, mean: float) -> int:
        """Draw how often something happens that happens so often on average."""
        passed, count = self._rng.expovariate(1.0), 0
        while passed < mean:
            passed += self._rng.expovariate(1.0)
            count += 1
        return count

    def _moments(self, mean: float, begin: int, stop: int) -> list[int]:
        return sorted(
            self._rng.randrange(begin + 10 * MINUTE, stop) for _ in range(self._often(mean)) if stop > begin + HOUR
        )

    # Lives

    def _serve(self, begin: int, stop: int, slot: int) -> None:
        """Plan one place for a pod: rollout after rollout until the node is drained."""
        first, last = self._rates.rollout_days
        at = begin
        while at < stop - HOUR:
            until = min(at + int(self._rng.uniform(first, last) * DAY), stop - 3 * MINUTE + slot * 10 * SECOND)
            piece = self._pick("service")
            sandbox = self._sandbox(piece)
            shifts = self._rng.random() < self._rates.clock_steps
            self._tell(piece, at, sandbox, until, shifts=shifts)
            self._tell(self._pick("created"), at, sandbox)
            self._probe(sandbox, at + 30 * SECOND, until)
            self._visit(sandbox, at + MINUTE, until)
            at = until + 20 * SECOND

    def _probe(self, sandbox: Sandbox, begin: int, until: int) -> None:
        if "probe" not in self._pieces or not sandbox.containers:
            return
        if self.family == "go-debug" and len(sandbox.containers) == 1 and "web" in sandbox.template:
            return  # the capture's own probes, every three seconds, are part of its life
        known = self._pieces["probe"]
        piece = known[self._rng.randrange(min(len(_PROBES), len(known)))]
        dense = self._rates.probes_dense if self._rng.random() < 1 / self._rates.pods else 1
        moments = [begin + turn * 10 * SECOND for turn in range(dense)]
        moments += range(begin + HOUR, until - MINUTE, int(self._rates.probe_every_hours * HOUR))
        for at in moments:
            self._tell(piece, at, sandbox)

    def _visit(self, sandbox: Sandbox, begin: int, until: int) -> None:
        """Let people run commands in a pod through the API server."""
        if until < begin + HOUR or not sandbox.containers:
            return
        days = (until - begin) / DAY / self._rates.pods
        execs = self._pieces.get("probe", [])
        for rate, first in ((self._rates.asked, len(_PROBES)), (self._rates.shells, len(_PROBES) + len(_ASKED))):
            for at in self._moments(rate * days, begin, until - MINUTE):
                self._tell(self._pick("asked"), at, sandbox)
                if len(execs) > first:
                    self._tell(execs[first + self._rng.randrange(2)], at + 20_000, sandbox)

    def _once(self, kind: str, at: int, stop: int, begin: int) -> None:
        """Plan a pod that is made, does what it is for, and goes."""
        lasts = min(int(self._rng.expovariate(1 / (10 * MINUTE))), 2 * HOUR)
        if kind not in self._pieces or not begin <= at < stop - lasts - 10 * MINUTE:
            return
        piece = self._pick(kind)
        # These were captured within a second, with the agent's first lines behind the stop: they cannot be drawn out.
        is_short = kind == "brief" or (kind == "mistaken" and self.family == "runtime-rs")
        self._tell(piece, at, self._sandbox(piece), None if is_short else at + lasts + MINUTE)

    def _crash_for_hours(self, at: int, stop: int) -> None:
        """Plan a broken release: three crashes, then one every five minutes until somebody takes it back."""
        until = min(at + self._rng.randrange(HOUR, 6 * HOUR), stop - 5 * MINUTE)
        if "crashloop" not in self._pieces or until < at + 10 * MINUTE:
            return
        piece = self._pick("crashloop")
        sandbox = self._sandbox(piece)
        self._tell(piece, at, sandbox, until)
        for moment in range(at + 6 * MINUTE, until - MINUTE, 5 * MINUTE):
            names = list(sandbox.containers.items())
            again = dict([*names[:2], (self._rng.randbytes(32).hex(), names[2][1])])
            self._tell(self._pick("crash"), moment, sandbox._replace(containers=again))

    def _try_again(self, at: int, stop: int) -> None:
        """Plan a pod that cannot start as it is written: tried again every fifteen seconds until somebody corrects it."""
        piece = self._pick("misspelt") if "misspelt" in self._pieces else None
        if piece is None:
            return
        sandbox = self._sandbox(piece)
        for moment in range(at, min(at + self._rng.randrange(10 * MINUTE, 90 * MINUTE), stop - MINUTE), 15 * SECOND):
            self._tell(piece, moment, sandbox._replace(sandbox_id=self._rng.randbytes(32).hex()))
            if self.family == "runtime-rs":  # its pod goes on all the same
                break

    # Lines

    def _pick(self, kind: str) -> Piece:
        known = self._pieces[kind]
        return known[self._rng.randrange(len(known))]

    def _sandbox(self, piece: Piece) -> Sandbox:
        self._sandboxes += 1
        return piece.life.sandbox(self._sandboxes, self._rng)

    def _nobody(self) -> Sandbox:
        return Sandbox(0, "node", None, None, None, None, 0, {})

    def _tell(
        self,
        piece: Piece,
        at: int,
        sandbox: Sandbox,
        until: int | None = None,
        *,
        cut_us: int = 1 << 62,
        shifts: bool = False,
    ) -> None:
        """Let a piece begin at a time; what belongs to its end comes when it ends. It is written when its time comes."""
        pause = 0 if until is None else max(0, until - at - piece.life.entries[-1].at_us)
        self._count += 1
        begun = _Begun(piece, at, sandbox, pause, cut_us, shifts, self._values, self._rng.getrandbits(64))
        heapq.heappush(self._due, (at, self._count, _PIECE, begun))

    def _write(self, begun: "_Begun") -> None:
        life, at = begun.piece.life, begun.at
        values = life.values(begun.sandbox, begun.node, at, begun.pause, random.Random(begun.seed))
        for entry in life.entries:
            moment = at + entry.at_us + (begun.pause if entry.late else 0)
            if moment >= begun.cut_us:
                break
            line = entry.render(values)
            self._say(moment, shift_guest_clock(line, 41) if begun.shifts and entry.late else line)

    def _say_all(self, lines: Sequence[tuple[int, bytes]]) -> None:
        for at, line in lines:
            self._say(at, line)

    def _say(self, at: int, line: bytes) -> None:
        """Put a line where its source writes it."""
        source = "journal"
        for name, mark in _MARKS:
            head, found, rest = line.partition(mark) if line.startswith(b'{"__REALTIME_TIMESTAMP"') else (line, b"", b"")
            if found and len(head) < 100:
                source = name
                whole = rest.rstrip(b"\n")[:-1]
                line = (whole if name == "audit" else json.loads(whole).encode()) + b"\n"
                break
        self._count += 1
        heapq.heappush(self._due, (at, self._count, source, line))
