"""What tests of delivering share: a store that is written to, a fold that tells of every act, and destinations that say no."""

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
from tests.evidence import derive
from tests.notices import NOTICE
from tests.unit.store.rows import evidence

from kata_audit.clock import ManualClock
from kata_audit.exporters.base import Delivery, Exporter
from kata_audit.exporters.settings import Destination, DestinationKind
from kata_audit.pipeline.deliver import Beat, Deliverer
from kata_audit.pipeline.ingest import CutPolicy, Sealer
from kata_audit.pipeline.own import OwnRecords
from kata_audit.schema.finding import Level
from kata_audit.schema.notice import Notice, NoticeKind
from kata_audit.schema.record import RecordRows
from kata_audit.store.outbox import open_outbox
from kata_audit.store.tail import Tail
from kata_audit.store.writer import open_writer

SECOND = 1_000_000_000
BEAT = Beat(60 * SECOND, 180 * SECOND, "lab/worker-a")


class EveryAct:
    """Makes a notice of each record: its attributes say which alert, which level, and whether it is over."""

    def __init__(self) -> None:
        self._count = 0
        self.muted: set[str] = set()

    def resume(self, state: str) -> None:
        self._count = int(state or "0")

    def state(self) -> str:
        return str(self._count)

    def is_muted(self, alert_id: str) -> bool:
        return alert_id in self.muted

    def fold(self, rows: RecordRows | None, now_ns: int) -> Sequence[Notice]:  # noqa: ARG002 - time alone tells nothing here
        notices = []
        said_at = [] if rows is None else rows["observed_timestamp"].cast(pa.int64()).to_pylist()
        for at_ns, attributes in zip(said_at, [] if rows is None else rows["attributes"].to_pylist(), strict=True):
            self._count += 1
            said = dict(attributes)
            over = said.get("over") == "yes"
            notices.append(
                replace(
                    NOTICE,
                    kind=NoticeKind.RESOLVED if over else NoticeKind.FIRED,
                    alert_id=said["alert"],
                    level=Level(said["level"]),
                    time_ns=at_ns,
                    starts_ns=at_ns,
                    ends_ns=at_ns if over else None,
                    count=self._count,
                )
            )
        return notices


@dataclass
class Taking:
    """A destination: takes what it is given, or says what `says` says."""

    says: Delivery | None = None
    most: int = 64
    told: list[Notice] = field(default_factory=list)

    def export(self, notices: Sequence[Notice]) -> Delivery:
        if self.says is not None:
            return self.says
        self.told += notices[: self.most]
        return Delivery(min(len(notices), self.most))

    @property
    def alerts(self) -> list[str]:
        return [notice.alert_id for notice in self.told if notice.kind is not NoticeKind.HEARTBEAT]

    @property
    def beats(self) -> int:
        return sum(notice.kind is NoticeKind.HEARTBEAT for notice in self.told)


DEAD = Delivery(0, problem="it cannot be connected to")


class World:
    """A store, an outbox and a clock that stands still until it is moved."""

    def __init__(self, folder: Path) -> None:
        self.clock = ManualClock()
        self.store, self.outbox = folder / "store", folder / "store.outbox"
        self.said: list[str] = []
        self._cuts = 0
        self.folding = EveryAct()
        with self._writing():
            pass

    @contextmanager
    def _writing(self) -> Iterator[tuple[Any, Sealer]]:
        with open_writer(self.store, clock=self.clock, node="lab/worker-a") as writer:
            yield writer, Sealer(writer, CutPolicy(), derive, self.clock, int)

    def happen(self, *alerts: str, level: str = "high", over: bool = False) -> None:
        """Seal a cut in which something happened."""
        own = OwnRecords("act", node="lab/worker-a", tenant="default", clock=self.clock)
        for alert in alerts:
            own.say("alert.act", "INFO", "x", alert=alert, level=level, over="yes" if over else "no")
        with self._writing() as (writer, sealer):
            writer.append(own.rows())
            sealer.seal_all()

    def noise(self) -> None:
        """Seal a cut in which nothing of ours happened."""
        self._cuts += 1
        with self._writing() as (writer, sealer):
            writer.append(evidence([b"something\n"], stream=f"noise-{self._cuts}"))
            sealer.seal_all()

    @contextmanager
    def delivering(self, *destinations: tuple[Destination, Exporter], **more: Any) -> Iterator[Deliverer]:
        """Open the outbox and deliver from it."""
        with open_outbox(self.outbox, disk=more.pop("disk", None)) as outbox:
            yield Deliverer(
                lambda after: Tail(self.store, ["act"], after),
                outbox,
                self.folding,
                destinations,
                beat=BEAT,
                clock=self.clock,
                chance=random.Random(1),
                tell=self.said.append,
            )

    def work(self, deliverer: Deliverer, seconds: int = 2) -> None:
        """Let it work for a while, second by second."""
        for _ in range(seconds):
            while deliverer.step():
                pass
            self.clock.advance(SECOND)


def to(name: str, **more: Any) -> Destination:
    """Name a destination."""
    return Destination(name, DestinationKind.WEBHOOK, **more)


def until(holds: Callable[[], bool], work: Callable[[], object], most: int = 10_000) -> int:
    """Work until something holds; give how often that took."""
    for times in range(most):
        if holds():
            return times
        work()
    raise AssertionError("it never came")


class Forgetting(Taking):
    """A destination that forgets what it is not told again; `refreshed` is what it was told again, each time."""

    def __init__(self) -> None:
        super().__init__()
        self.refreshed: list[list[str]] = []

    def refresh(self, notices: Sequence[Notice], now_ns: int) -> Delivery:  # noqa: ARG002 - it keeps no time
        self.refreshed.append([notice.alert_id for notice in notices])
        return Delivery(len(notices))
