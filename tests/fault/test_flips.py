"""Damage of any kind to a store is found, and its place is named."""

import random
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.evidence import derive, evidence
from tests.stores import captured_store

from kata_audit.clock import ManualClock
from kata_audit.errors import KataAuditError
from kata_audit.pipeline.derive import DERIVE_VERSION
from kata_audit.schema.source import Transport
from kata_audit.store.fsck import Trouble, fsck
from kata_audit.store.writer import open_writer


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Make a store with every kind of file: log, segments, states, and records that wait in the spool."""
    root = tmp_path_factory.mktemp("flips") / "store"
    captured_store(root, max_records=400)
    with open_writer(root, clock=ManualClock()) as writer:
        writer.append(evidence(b"one\ntwo\nthree\n" * 50, Transport.BARE))
    yield root
    shutil.rmtree(root)


def troubles(root: Path) -> list[Trouble]:
    try:
        return list(fsck(root, deep=True, derive=derive, derive_version=DERIVE_VERSION).troubles)
    except KataAuditError as error:
        return [Trouble(error.where or "", error.message)]


def kinds(root: Path) -> dict[str, list[Path]]:
    """Sort a store's files by kind. The index is no evidence: it is made anew from the rest."""
    found: dict[str, list[Path]] = {}
    for path in sorted(root.rglob("*")):
        if path.is_file() and path.stat().st_size and not path.name.startswith("index.sqlite"):
            found.setdefault(path.relative_to(root).parts[0] + path.suffix, []).append(path)
    return found


def flip(root: Path, seed: int, count: int) -> tuple[list[str], list[str]]:
    """Flip single bits; return those that went unseen, and those in segments whose block was not named."""
    chance, files = random.Random(seed), kinds(root)
    unseen, unnamed = [], []
    for number in range(count):
        kind = sorted(files)[number % len(files)]
        path = chance.choice(files[kind])
        data = path.read_bytes()
        place = chance.randrange(len(data))
        changed = bytearray(data)
        changed[place] ^= 1 << chance.randrange(8)
        path.write_bytes(changed)
        found = troubles(root)
        path.write_bytes(data)
        if not found:
            unseen.append(f"{kind} byte {place}")
        elif path.suffix == ".parquet" and not any("block" in what or "row group" in what for _, what in found):
            unnamed.append(f"{kind} byte {place}: {found}")
    return unseen, unnamed


def test_a_whole_store_verifies(store: Path) -> None:
    verdict = fsck(store, deep=True, derive=derive, derive_version=DERIVE_VERSION)

    assert verdict.troubles == ()
    assert verdict.records == verdict.sealed_to
    assert verdict.unsealed == 150


def test_every_kind_of_file_is_flipped(store: Path) -> None:
    assert set(kinds(store)) >= {"format", "log", "segments.parquet", "spool.spool", "state.json"}


@pytest.mark.parametrize("seed", range(3))
def test_no_single_bit_flips_unseen(store: Path, seed: int) -> None:
    unseen, unnamed = flip(store, seed, 12)

    assert (unseen, unnamed) == ([], [])


@pytest.mark.torture
@pytest.mark.timeout(3600)
def test_no_single_bit_of_five_hundred_flips_unseen(store: Path) -> None:
    assert flip(store, 2026, 500) == ([], [])


def test_what_is_missing_or_too_much_is_named(store: Path) -> None:
    segment = kinds(store)["segments.parquet"][0]
    aside = segment.with_name("aside")
    segment.rename(aside)
    missing = troubles(store)
    aside.rename(segment)
    stranger = segment.with_name("000000000000-000000000000-00000000.parquet")
    shutil.copy(segment, stranger)
    planted = troubles(store)
    stranger.unlink()

    assert any("missing" in trouble.what and str(segment) == trouble.where for trouble in missing)
    assert any("no log entry names" in trouble.what and str(stranger) == trouble.where for trouble in planted)


def test_another_key_than_the_one_that_is_trusted_is_refused(store: Path) -> None:
    other = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"

    verdict = fsck(store, deep=False, vkey=other)

    assert [trouble.where for trouble in verdict.troubles] == [str(store / "log" / "checkpoint")]


def test_a_footer_that_is_no_text_is_damage_like_any_other(store: Path) -> None:
    """The library decodes names of columns before any checksum of ours is looked at."""
    segment = kinds(store)["segments.parquet"][0]
    data = segment.read_bytes()
    places = [match.start() for match in re.finditer(b"key_value", data)]
    for place in places[:4]:
        changed = bytearray(data)
        changed[place + 4] = 0xF4
        segment.write_bytes(changed)
        found = troubles(store)
        segment.write_bytes(data)

        assert any("block" in trouble.what for trouble in found)
    assert places
