"""Keys are made once with the store, never sign for a log that is gone, and stay out of the store."""

from pathlib import Path

import pytest

from kata_audit.clock import ManualClock
from kata_audit.errors import StoreError
from kata_audit.store.durable import RealDisk
from kata_audit.store.keys import load_or_create
from kata_audit.store.layout import Layout
from kata_audit.store.writer import open_writer

CLOCK = ManualClock()


def origin(root: Path) -> str:
    with open_writer(root, clock=CLOCK, node="lab/worker-a") as writer:
        return writer.origin


def test_keys_are_made_once(tmp_path: Path) -> None:
    root = tmp_path / "store"
    first = origin(root)
    keys = load_or_create(RealDisk(), Layout(root), "kata-audit/other/00000000")

    assert origin(root) == first == keys.origin
    assert keys.vkey.startswith(f"{first}+")
    assert len(keys.fingerprint_key) == 32
    assert (tmp_path / "store.keys" / "log.key").read_text() == keys.signer.spell() + "\n"
    assert not any(path.name.endswith(".key") for path in root.rglob("*"))


def test_another_folder_can_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KATA_AUDIT_KEYS", str(tmp_path / "safe" / "keys"))
    origin(tmp_path / "store")

    assert (tmp_path / "safe" / "keys" / "log.key").exists()
    assert not (tmp_path / "store.keys").exists()


def test_the_key_of_a_lost_log_is_put_away(tmp_path: Path) -> None:
    """Two logs of one name would contradict each other."""
    keys = Layout(tmp_path / "store").keys
    first = origin(tmp_path / "store")
    (tmp_path / "store").rename(tmp_path / "elsewhere")
    second = origin(tmp_path / "store")

    assert second != first
    assert len(list(keys.glob("log.key.*.retired"))) == 1


@pytest.mark.parametrize("content", [None, "", "PRIVATE+KEY+a+00000000+AAAA\n"])
def test_a_store_without_its_key_is_not_written(tmp_path: Path, content: str | None) -> None:
    root = tmp_path / "store"
    origin(root)
    key = Layout(root).keys / "log.key"
    if content is None:
        key.unlink()
    else:
        key.write_text(content)
    with pytest.raises(StoreError) as caught, open_writer(root, clock=CLOCK):
        pass
    assert caught.value.hint


def test_the_key_of_another_store_does_not_sign(tmp_path: Path) -> None:
    origin(tmp_path / "a")
    origin(tmp_path / "b")
    Layout(tmp_path / "b").keys.joinpath("log.key").replace(Layout(tmp_path / "a").keys / "log.key")
    before = Layout(tmp_path / "a").checkpoint.read_bytes()
    with pytest.raises(StoreError) as caught, open_writer(tmp_path / "a", clock=CLOCK):
        pass
    assert caught.value.hint
    assert Layout(tmp_path / "a").checkpoint.read_bytes() == before


@pytest.mark.parametrize("content", ["", "zz\n", "00" * 31 + "\n"])
def test_a_broken_fingerprint_key_is_said(tmp_path: Path, content: str) -> None:
    root = tmp_path / "store"
    origin(root)
    (Layout(root).keys / "fingerprint.key").write_text(content)
    with pytest.raises(StoreError, match="fingerprint"), open_writer(root, clock=CLOCK):
        pass
