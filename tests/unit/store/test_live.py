"""Live files are a fold over the log: cuts add, compactions exchange, and what does not follow is refused."""

from typing import Any

import pytest

from kata_audit.errors import VerificationError
from kata_audit.store.live import Live, LiveFile

GENESIS: dict[str, Any] = {"t": "genesis", "time": 5, "origin": "o", "vkey": "k"}


def batch(n: int, records: int) -> dict[str, Any]:
    return {"n": n, "stream": "s", "records": records, "root": "00" * 32, "file": file(f"f{n}")}


def file(name: str) -> dict[str, Any]:
    return {"name": name, "bytes": 1, "sha256": "ab"}


def cut(first: int, end: int, *batches: dict[str, Any], gaps: tuple[dict[str, Any], ...] = ()) -> dict[str, Any]:
    return {"t": "cut", "time": 7, "from": first, "to": end, "batches": list(batches), "gaps": list(gaps)}


def compact(inputs: list[str], *outputs: tuple[str, list[int]]) -> dict[str, Any]:
    made = [{**file(name), "batches": batches} for name, batches in outputs]
    return {"t": "compact", "time": 6, "inputs": inputs, "outputs": made}


def folded(*entries: dict[str, Any]) -> Live:
    live = Live()
    for entry in entries:
        live.apply(entry)
    return live


def test_cuts_add_and_compactions_exchange() -> None:
    live = folded(GENESIS, cut(0, 3, batch(0, 2), batch(1, 1)), cut(3, 5, batch(2, 2)), compact(["f0", "f2"], ("g", [0, 2])))

    assert live.files == {"f1": LiveFile("f1", 1, "ab", (1,)), "g": LiveFile("g", 1, "ab", (0, 2))}
    assert live.dead == {"f0", "f2"}
    assert (live.origin, live.vkey, live.entries, live.sealed_to, live.next_batch, live.time_ns) == ("o", "k", 4, 5, 3, 7)
    assert [live.batches[n].entry for n in range(3)] == [1, 1, 2]


def test_an_unknown_kind_changes_no_file() -> None:
    assert folded(GENESIS, {"t": "hold", "time": 9}).files == {}


@pytest.mark.parametrize(
    "entries",
    [
        (cut(0, 1, batch(0, 1)),),
        (GENESIS, GENESIS),
        (GENESIS, cut(1, 2, batch(0, 1))),
        (GENESIS, cut(0, 2, batch(0, 1))),
        (GENESIS, cut(0, 1, batch(1, 1))),
        (GENESIS, cut(0, 2, batch(0, 1), gaps=({"from": 0, "to": 2, "reason": "spool-damaged"},))),
        (GENESIS, cut(0, 1, batch(0, 1)), compact(["f1"], ("g", [0]))),
        (GENESIS, cut(0, 1, batch(0, 1)), compact(["f0"])),
        (GENESIS, cut(0, 1, batch(0, 1)), compact(["f0"], ("g", [0]), ("h", [0]))),
    ],
)
def test_an_entry_that_does_not_follow_is_refused(entries: tuple[dict[str, Any], ...]) -> None:
    with pytest.raises(VerificationError):
        folded(*entries)
