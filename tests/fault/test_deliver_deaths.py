"""Delivery that dies, or loses its power, at any act on the disk: everybody is told all of it, under the same names."""

import shutil
from contextlib import suppress
from pathlib import Path

import pytest
from tests.fault.disks import Death, FaultDisk
from tests.unit.pipeline.deliver_parts import DEAD, Taking, World, to

ALERTS = ["a", "b", "c", "d"]


def prepared(folder: Path) -> World:
    """A store in which nothing was told yet of four alerts, one of them critical, behind an outbox that was begun."""
    world = World(folder)
    with world.delivering((to("pager"), Taking())) as deliverer:
        world.work(deliverer)
    world.happen("a", "b")
    world.happen("c", level="critical")
    world.happen("d")
    shutil.copytree(world.outbox, folder / "begun")
    return world


def tell(world: World, pager: Taking, mail: Taking, disk: FaultDisk | None = None) -> None:
    """Deliver for a while: the pager is dead at first, and a critical alert goes by mail meanwhile."""
    pager.says = DEAD
    places = (to("pager", second="mail", second_after_secs=3), pager), (to("mail", standby=True), mail)
    with world.delivering(*places, disk=disk) as deliverer:
        world.work(deliverer, 5)
        pager.says = None
        world.work(deliverer, 30)


def names(told: Taking) -> dict[str, set[str]]:
    """Give the names under which each alert was told."""
    found: dict[str, set[str]] = {}
    for notice in told.told:
        found.setdefault(notice.alert_id, set()).add(notice.dedup_key)
    return found


@pytest.mark.parametrize("power", [False, True], ids=["killed", "power lost"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "behind"])
def test_nothing_is_lost_wherever_it_dies(tmp_path: Path, *, after: bool, power: bool) -> None:
    """At each act in turn; then it is started again."""
    world = prepared(tmp_path)
    clean = FaultDisk(tmp_path)
    pager, mail = Taking(most=1), Taking()
    tell(world, pager, mail, clean)
    clean.close()
    assert (pager.alerts, mail.alerts) == (ALERTS, ["c"])
    for number in range(1, len(clean.acts) + 1):
        shutil.rmtree(world.outbox)
        shutil.copytree(tmp_path / "begun", world.outbox)
        pager, mail = Taking(most=1), Taking()
        disk = FaultDisk(tmp_path, die_at=number, after=after)
        with suppress(Death):
            tell(world, pager, mail, disk)
        disk.lose_power() if power else disk.close()
        tell(world, pager, mail)

        assert set(pager.alerts) == set(ALERTS)
        assert len(pager.alerts) <= len(ALERTS) + 1, "at most what was being told is told again"
        assert set(mail.alerts) == {"c"}
        assert {len(found) for found in (*names(pager).values(), *names(mail).values())} == {1}
        assert not any("damaged" in line for line in world.said)
