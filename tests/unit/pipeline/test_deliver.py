"""Every destination is told everything it wants, in order, whatever happens to the others, to the disk and to the clock."""

import errno
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from tests.fault.disks import FaultDisk
from tests.unit.pipeline.deliver_parts import DEAD, SECOND, Forgetting, Taking, World, to, until

from kata_audit.errors import StoreError
from kata_audit.exporters.base import Delivery
from kata_audit.pipeline import queue
from kata_audit.pipeline.deliver import run, run_once
from kata_audit.schema.finding import Level
from kata_audit.schema.notice import Notice
from kata_audit.store import tail


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_everybody_is_told_in_order(world: World) -> None:
    """Once, and what is below the least level not at all."""
    pager, chat = Taking(), Taking(most=1)
    with world.delivering((to("pager"), pager), (to("chat", min_level=Level.LOW), chat)) as deliverer:
        world.happen("a", "b")
        world.work(deliverer)
        world.happen("c", level="low")
        world.happen("a", over=True)
        world.work(deliverer)

        assert pager.alerts == ["a", "b", "a"]
        assert chat.alerts == ["a", "b", "c", "a"]
        assert deliverer.waiting == 0
        assert deliverer.behind() == {}


def test_one_that_is_dead_holds_up_nobody(world: World) -> None:
    """It gets everything once it lives again, in order."""
    pager, chat = Taking(DEAD), Taking()
    with world.delivering((to("pager"), pager), (to("chat"), chat)) as deliverer:
        for alert in "abc":
            world.happen(alert)
            world.work(deliverer)
        assert (pager.alerts, chat.alerts) == ([], ["a", "b", "c"])
        assert deliverer.behind() == {"pager": "it cannot be connected to"}
        pager.says = None
        until(lambda: pager.alerts == ["a", "b", "c"], lambda: world.work(deliverer), 200)

    assert world.said == ["pager: it cannot be connected to; it is tried again", "pager: it takes notices again"]


def test_waiting_grows_and_has_an_end(world: World) -> None:
    """Twice as long each time, spread by chance, at most five minutes."""
    tried: list[int] = []

    class Dead(Taking):
        def export(self, notices: Sequence[Notice]) -> Delivery:  # noqa: ARG002 - it takes none
            tried.append(world.clock.now_ns() // SECOND)
            return DEAD

    with world.delivering((to("pager"), Dead())) as deliverer:
        world.happen("a")
        until(lambda: len(tried) == 16, lambda: world.work(deliverer, 1))
    waits = [after - before for before, after in pairwise(tried)]

    assert all(2**at / 2 <= wait <= 2**at + 1 for at, wait in enumerate(waits[:8]))
    assert all(150 <= wait <= 301 for wait in waits[10:])
    assert len(set(waits[10:])) > 1


def test_a_destination_that_asks_for_time_gets_it(world: World) -> None:
    """As much as it says."""
    pager = Taking(Delivery(0, problem="it answered with HTTP status 429", retry_after_secs=30))
    with world.delivering((to("pager"), pager)) as deliverer:
        world.happen("a")
        world.work(deliverer, 1)
        pager.says = None
        world.work(deliverer, 28)
        assert pager.alerts == []
        world.work(deliverer, 4)
        assert pager.alerts == ["a"]


def test_what_is_refused_for_good_is_said_and_passed(world: World) -> None:
    """It is counted, and what comes behind it goes on."""

    class Picky(Taking):
        def export(self, notices: Sequence[Notice]) -> Delivery:
            if notices[0].alert_id == "bad":
                return Delivery(1, 1, "it refused the content with HTTP status 400")
            return super().export(notices[:1])

    picky = Picky()
    with world.delivering((to("hook"), picky)) as deliverer:
        world.happen("a", "bad", "b")
        world.work(deliverer)
        numbers = deliverer.numbers()

    assert picky.alerts == ["a", "b"]
    assert numbers["kata_audit_notices_refused_total"][2] == 1
    assert numbers["kata_audit_notices_sent_total"][2] == 2
    assert world.said == ["hook: it refused the content with HTTP status 400; it is not sent again"]


def test_started_again_it_goes_on(world: World) -> None:
    """Nothing comes twice after an orderly end, and nothing that happened meanwhile is missed."""
    pager = Taking()
    for alerts in ("ab", "c", ""):
        with world.delivering((to("pager"), pager)) as deliverer:
            world.work(deliverer)
            world.happen(*alerts) if alerts else None
            world.work(deliverer)
        world.happen(f"while down {alerts}")
    with world.delivering((to("pager"), pager)) as deliverer:
        world.work(deliverer)

    assert pager.alerts == ["a", "b", "while down ab", "c", "while down c", "while down "]


def test_what_is_not_ours_is_written_down_seldom(world: World) -> None:
    """A busy store has a cut every few seconds, and nothing in most of them is for anybody; a restart reads them again."""
    pager = Taking()
    notices = world.outbox / "notices"
    with world.delivering((to("pager"), pager)) as deliverer:
        world.happen("a")
        world.work(deliverer)
        before = notices.stat().st_ino
        for _ in range(5):
            world.noise()
            world.work(deliverer)
        assert notices.stat().st_ino == before
        world.work(deliverer, 600)
        assert notices.stat().st_ino != before
        world.noise()
        world.happen("b")
    with world.delivering((to("pager"), pager)) as deliverer:
        world.work(deliverer)

    assert pager.alerts == ["a", "b"]


def test_the_first_time_it_tells_what_is_still_the_matter(world: World) -> None:
    """Not the whole past: what is over is over, and what is old is told by `alerts list`."""
    world.happen("old")
    pager = Taking()
    world.clock.advance(25 * 3600 * SECOND)
    world.happen("a", "b", "b")
    world.happen("a", over=True)
    with world.delivering((to("pager"), pager)) as deliverer:
        world.work(deliverer)
        world.happen("c")
        world.work(deliverer)

    assert pager.alerts == ["b", "c"]


def test_a_new_destination_is_told_of_every_alert_there_is(world: World) -> None:
    """And from then on of what comes; the others are told nothing twice."""
    pager, chat = Taking(), Taking()
    with world.delivering((to("pager"), pager)) as deliverer:
        world.happen("a", "b", "c")
        world.happen("b", over=True)
        world.work(deliverer)
    with world.delivering((to("pager"), pager), (to("chat"), chat)) as deliverer:
        world.work(deliverer)
        world.happen("d")
        world.work(deliverer)

    assert pager.alerts == ["a", "b", "c", "b", "d"]
    assert chat.alerts == ["a", "c", "d"]


def test_a_damaged_outbox_tells_again_and_says_so(world: World) -> None:
    """Rather twice than never; the file is kept."""
    pager = Taking()
    with world.delivering((to("pager"), pager)) as deliverer:
        world.happen("a")
        world.work(deliverer)
    (world.outbox / "notices").write_bytes(b"00000000 {}")
    with world.delivering((to("pager"), pager)) as deliverer:
        world.work(deliverer)

    assert pager.alerts == ["a", "a"]
    assert "damaged" in world.said[0]
    assert (world.outbox / "notices.damaged").exists()


def test_critical_ones_go_a_second_way(world: World) -> None:
    """After the time that the first way has, once, and to a standby that is told nothing else."""
    pager, mail = Taking(DEAD), Taking()
    first = to("pager", second="mail", second_after_secs=60)
    with world.delivering((first, pager), (to("mail", standby=True), mail)) as deliverer:
        world.happen("high")
        world.happen("worse", level="critical")
        world.work(deliverer, 50)
        assert mail.alerts == []
        world.work(deliverer, 15)
        assert mail.alerts == ["worse"]
        pager.says = None
        until(lambda: len(pager.alerts) == 2, lambda: world.work(deliverer), 200)
        world.work(deliverer, 120)

    assert pager.alerts == ["high", "worse"]
    assert mail.alerts == ["worse"]
    assert "pager: it has not taken a critical notice; mail is told" in world.said


def test_the_second_way_survives_a_restart(world: World) -> None:
    """Neither forgotten nor told twice."""
    pager, mail = Taking(DEAD), Taking(DEAD)
    both = (to("pager", second="mail", second_after_secs=60), pager), (to("mail", standby=True), mail)
    with world.delivering(*both) as deliverer:
        world.happen("worse", level="critical")
        world.work(deliverer, 70)
    mail.says = None
    for _ in range(3):
        with world.delivering(*both) as deliverer:
            world.work(deliverer, 70)

    assert mail.alerts == ["worse"]


def test_who_lives_is_told_before_the_second_way(world: World) -> None:
    """However old the alerts are that a new destination is told of, or that one finds after it was away."""
    pager, mail = Taking(), Taking()
    with world.delivering((to("chat"), Taking())) as deliverer:
        world.happen("worse", level="critical")
        world.work(deliverer, 300)
    first = to("pager", second="mail", second_after_secs=60)
    with world.delivering((to("chat"), Taking()), (first, pager), (to("mail", standby=True), mail)) as deliverer:
        world.work(deliverer, 120)
        pager.says = DEAD
        world.happen("worst", level="critical")
        world.work(deliverer, 2)
    world.clock.advance(600 * SECOND)
    pager.says = None
    with world.delivering((to("chat"), Taking()), (first, pager), (to("mail", standby=True), mail)) as deliverer:
        world.work(deliverer, 120)

    assert pager.alerts == ["worse", "worst"]
    assert mail.alerts == []


def test_once_goes_the_second_way(world: World) -> None:
    """In the same run in which the time of the first one was over."""
    mail = Taking()
    both = (to("pager", second="mail", second_after_secs=60), Taking(DEAD)), (to("mail", standby=True), mail)
    with world.delivering(*both) as deliverer:
        world.happen("worse", level="critical")
        world.work(deliverer, 2)
    world.clock.advance(600 * SECOND)
    with world.delivering(*both) as deliverer:
        run_once(deliverer, stopped=lambda: False, told=lambda: None)

    assert mail.alerts == ["worse"]


@pytest.mark.parametrize("is_running", [True, False])
def test_the_second_way_is_gone_where_the_clock_was_put_back(world: World, *, is_running: bool) -> None:
    """While it runs or while it does not: nobody waits an hour longer for the second way."""
    pager, mail = Taking(DEAD), Taking()
    both = (to("pager", second="mail", second_after_secs=60), pager), (to("mail", standby=True), mail)
    with world.delivering(*both) as deliverer:
        world.happen("worse", level="critical")
        world.work(deliverer, 5)
        world.clock.advance(-3600 * SECOND)
        world.work(deliverer, 50 if is_running else 0)
        assert mail.alerts == []
        world.work(deliverer, 15 if is_running else 0)
    with world.delivering(*both) as deliverer:
        world.work(deliverer, 0 if is_running else 65)

    assert mail.alerts == ["worse"]


def test_what_forgets_is_told_again_of_what_is_not_over(world: World) -> None:
    """Every minute, after a restart too: neither of what is over, nor silenced, nor of what it was never told."""
    one = Forgetting()
    with world.delivering((to("am"), one)) as deliverer:
        world.happen("a", "b", "c")
        world.happen("little", level="low")
        world.work(deliverer, 62)
        world.happen("b", over=True)
        world.folding.muted.add("c")
        world.work(deliverer, 60)
    with world.delivering((to("am"), one)) as deliverer:
        world.work(deliverer, 1)

    assert one.refreshed == [["a", "b", "c"], ["a", "b", "c"], ["a"], ["a"]]
    assert one.alerts == ["a", "b", "c", "b"]


def test_a_heartbeat_is_told_while_all_is_well(world: World) -> None:
    """Each minute to whoever asked for it; it says how old the newest checkpoint is."""
    watch, chat = Taking(), Taking()
    with world.delivering((to("watch", heartbeat=True), watch), (to("chat"), chat)) as deliverer:
        world.happen("a")
        world.work(deliverer, 121)

    assert (watch.beats, chat.beats) == (3, 0)
    beat = [notice for notice in watch.told if notice.rule_id == "heartbeat"][1]
    assert beat.summary == "The newest checkpoint is 60 s old; 0 notices wait."
    assert beat.labels == {"cluster": "lab", "node": "worker-a"}


def test_a_heartbeat_stops_with_the_sealing(world: World) -> None:
    """Whoever waits for it calls; it comes again once the collector seals again."""
    watch = Taking()
    with world.delivering((to("watch", heartbeat=True), watch)) as deliverer:
        world.happen("a")
        world.work(deliverer, 600)
        stopped = watch.beats
        world.happen("b")
        world.work(deliverer, 61)

    assert stopped == 4
    assert watch.beats >= 5
    assert any("no heartbeat" in line for line in world.said)


def test_a_heartbeat_does_not_believe_a_log_from_the_future(world: World) -> None:
    """The clock was set back, and nothing is sealed any more: the log's own times say nothing of that."""
    watch = Taking()
    with world.delivering((to("watch", heartbeat=True), watch)) as deliverer:
        world.happen("a")
        world.work(deliverer, 5)
        world.clock.advance(-7200 * SECOND)
        world.work(deliverer, 600)
        stopped = watch.beats
    with world.delivering((to("watch", heartbeat=True), watch)) as deliverer:
        world.work(deliverer, 600)

    assert stopped <= 5
    assert watch.beats <= stopped + 4


def test_no_heartbeat_before_anything_was_sealed(world: World) -> None:
    """An empty store proves nothing."""
    watch = Taking()
    with world.delivering((to("watch", heartbeat=True), watch)) as deliverer:
        world.work(deliverer, 61)

    assert watch.beats == 0


def test_a_heartbeat_finds_a_destination_that_lives_again(world: World) -> None:
    """It is not left alone for as long as it was dead."""
    watch = Taking(DEAD)
    with world.delivering((to("watch", heartbeat=True), watch)) as deliverer:
        world.happen("a")
        for _ in range(20):
            world.work(deliverer, 60)
            world.happen("b", level="low")
        watch.says = None
        world.work(deliverer, 65)

    assert watch.alerts == ["a"]


def test_a_full_disk_sends_nothing_that_is_not_durable(world: World, tmp_path: Path) -> None:
    """Nor is more read; heartbeats stop, and with room all goes on."""
    pager, watch = Taking(), Taking()
    disk = FaultDisk(tmp_path)
    both = (to("pager"), pager), (to("watch", heartbeat=True, standby=True), watch)
    with world.delivering(*both, disk=disk) as deliverer:
        world.happen("a")
        world.work(deliverer, 2)
        disk._fail_at, disk._error = len(disk.acts) + 1, errno.ENOSPC
        world.happen("b")
        deliverer.step()
        assert pager.alerts == ["a"]
        world.work(deliverer, 2)
        assert pager.alerts == ["a", "b"]
    disk.close()

    assert sum("No space left" in line for line in world.said) == 1


def test_a_clock_that_is_put_back_stops_nothing(world: World) -> None:
    """What was waited for is not waited for an hour longer."""
    pager, watch = Taking(), Taking()
    with world.delivering((to("pager"), pager), (to("watch", heartbeat=True), watch)) as deliverer:
        world.happen("a")
        world.work(deliverer, 5)
        world.clock.advance(-3600 * SECOND)
        world.happen("b")
        world.work(deliverer, 5)

    assert pager.alerts == ["a", "b"]


def test_a_defect_of_one_exporter_stops_no_other(world: World) -> None:
    """It is said to be one."""

    class Broken(Taking):
        def export(self, notices: Sequence[Notice]) -> Delivery:  # noqa: ARG002 - it does not come to them
            raise KeyError("secret")

    chat = Taking()
    with world.delivering((to("pager"), Broken()), (to("chat"), chat)) as deliverer:
        world.happen("a")
        world.work(deliverer)

    assert chat.alerts == ["a"]
    assert world.said == ["pager: this is a defect of ours: KeyError; it is tried again"]


def test_too_many_give_up_the_oldest(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """By count, of whoever has not taken them, and counted."""
    monkeypatch.setattr(queue, "MAX_QUEUED", 10)
    pager, chat = Taking(DEAD), Taking()
    with world.delivering((to("pager"), pager), (to("chat"), chat)) as deliverer:
        for start in range(0, 30, 3):
            world.happen(*(str(number) for number in range(start, start + 3)))
            world.work(deliverer, 1)
        pager.says = None
        until(lambda: not deliverer.behind(), lambda: world.work(deliverer), 400)
        numbers = deliverer.numbers()

    assert chat.alerts == [str(number) for number in range(30)]
    assert pager.alerts == [str(number) for number in range(20, 30)]
    assert numbers["kata_audit_notices_given_up_total"][2] == 20


def test_what_a_destination_does_not_want_takes_no_room_of_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A flood of small alerts, told to others, makes nobody give up the great one that waits."""
    monkeypatch.setattr(queue, "MAX_QUEUED", 10)
    pager, chat = Taking(DEAD), Taking()
    both = (to("pager", min_level=Level.CRITICAL), pager), (to("chat", min_level=Level.LOW), chat)
    with world.delivering(*both) as deliverer:
        world.happen("worse", level="critical")
        for start in range(0, 30, 3):
            world.happen(*(str(number) for number in range(start, start + 3)), level="low")
            world.work(deliverer, 1)
        pager.says = None
        until(lambda: not deliverer.behind(), lambda: world.work(deliverer), 400)
        numbers = deliverer.numbers()

    assert pager.alerts == ["worse"]
    assert len(chat.alerts) == 31
    assert numbers["kata_audit_notices_given_up_total"][2] == 0


def test_once_tries_each_and_says_who_is_behind(world: World) -> None:
    """For a timer, and for looking whether it works."""
    pager, chat = Taking(DEAD), Taking()
    world.happen("a")
    with world.delivering((to("pager"), pager), (to("chat"), chat)) as deliverer:
        assert run_once(deliverer, stopped=lambda: False, told=lambda: None) == {"pager": "it cannot be connected to"}

    assert chat.alerts == ["a"]


def test_once_reads_to_the_end(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """However far it is behind, and however fast it reads."""
    monkeypatch.setattr(tail, "_CUTS", 1)
    chat = Taking()
    with world.delivering((to("chat"), chat)) as deliverer:
        world.happen("a")
        world.noise()
        world.happen("b")
        world.noise()
        run_once(deliverer, stopped=lambda: False, told=lambda: None)

    assert chat.alerts == ["a", "b"]


def test_running_ends_when_it_is_told_to(world: World) -> None:
    """Behind the step that it is in."""
    pager = Taking()
    rests: list[int] = []
    world.happen("a")
    with world.delivering((to("pager"), pager)) as deliverer:
        run(deliverer, stopped=lambda: len(rests) == 3, rest=lambda: rests.append(1), told=lambda: None)

    assert pager.alerts == ["a"]


def test_no_store_is_an_error(tmp_path: Path) -> None:
    """There is nothing to follow."""
    world = World(tmp_path)
    world.store = tmp_path / "gone"
    with pytest.raises(StoreError, match="no store"), world.delivering((to("pager"), Taking())):
        pass
