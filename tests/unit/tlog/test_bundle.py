"""A bundle verifies without us; nothing in it can be changed, and no claim is stretched."""

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.unit.tlog.bundles import FILE, SIGNER, seal
from tests.unit.tlog.trees import recursive_root

from kata_audit import verify_bundle
from kata_audit.errors import BundleError
from kata_audit.tlog import bundle as spelled
from kata_audit.tlog.bundle import encode_bundle
from kata_audit.tlog.checkpoint import Checkpoint, format_checkpoint, sign_checkpoint
from kata_audit.tlog.merkle import hash_leaf
from kata_audit.tlog.note import Signer, sign_note
from kata_audit.verify_bundle import BundleNotVerifiedError, VkeyError, verify

SEALED = seal()
PLACES = [(0, 1), (0, 4), (1, 0)]
BUNDLE = SEALED.bundle(PLACES)
SMALL = SEALED.bundle([(0, 3)])
OTHER = Signer(SIGNER.name, bytes(32))


def spell(value: Any) -> bytes:
    """Spell a bundle as the format does."""
    return (json.dumps(value, sort_keys=True, indent=1) + "\n").encode()


def survives(data: bytes) -> bool:
    """Tell whether a bundle verifies; anything but our own refusal fails the test."""
    try:
        verify(data)
    except BundleNotVerifiedError:
        return False
    return True


def refused_at(data: bytes, vkey: str | None = None) -> int:
    """Return the step that refuses a bundle."""
    with pytest.raises(BundleNotVerifiedError) as caught:
        verify(data, vkey)
    return caught.value.step


def resigned(sealed: Any, places: list[tuple[int, int]]) -> bytes:
    """A bundle of a log that its owner signed as it is: only the later steps can refuse it."""
    return bytes(sealed.bundle(places))


def test_both_sides_name_one_format() -> None:
    """The writer and the verifier, which do not know each other, mean the same format."""
    assert spelled.FORMAT == verify_bundle.FORMAT


def test_a_bundle_verifies() -> None:
    """Each record comes out as it went in, under the log's own key and under one that was given."""
    verdict = verify(BUNDLE)

    assert (verdict.origin, verdict.size, verdict.vkey, verdict.is_key_given) == (SIGNER.name, 4, SIGNER.vkey, False)
    assert [step.number for step in verdict.steps] == [1, 2, 3, 4, 5, 6]
    assert [record._asdict() for record in verdict.records] == [SEALED.records[n][index] for n, index in PLACES]
    assert verify(BUNDLE, SIGNER.vkey) == verdict._replace(is_key_given=True)


@pytest.mark.parametrize("place", [(n, index) for n in (0, 1) for index in range(len(SEALED.records[n]))], ids=str)
def test_every_record_can_be_proven(place: tuple[int, int]) -> None:
    """There is no place in a batch whose proof does not verify."""
    assert len(verify(SEALED.bundle([place]), SIGNER.vkey).records) == 1


def test_a_bundle_has_one_spelling() -> None:
    """The order in which the parts are given does not matter."""
    assert SEALED.bundle(PLACES[::-1]) == BUNDLE
    assert BUNDLE.isascii()
    assert spell(json.loads(BUNDLE)) == BUNDLE


def test_a_bundle_tells_no_more_than_it_must() -> None:
    """It holds no other record's salt and no batch's key."""
    salts = {SEALED.salts[0][at : at + 16] for at in range(0, 96, 16)}
    shown = {base64.b64decode(record["salt"]) for record in json.loads(SMALL)["records"]}

    assert shown == {SEALED.salts[0][48:64]}
    assert not any(base64.b64encode(salt) in SMALL or salt.hex().encode() in SMALL for salt in salts - shown)


def test_no_flipped_bit_survives() -> None:
    """Every bit of every byte is held to account: there is no byte that does not matter."""
    surviving = []
    for at in range(len(BUNDLE)):
        for bit in range(8):
            changed = bytearray(BUNDLE)
            changed[at] ^= 1 << bit
            if survives(bytes(changed)):
                surviving.append((at, bit, BUNDLE[max(0, at - 20) : at + 20]))

    assert surviving == []


def test_no_lost_or_added_byte_survives() -> None:
    """A byte that is missing, doubled or put in is found, wherever it stands; so is a cut anywhere."""
    surviving = []
    for at in range(len(SMALL)):
        head, tail = SMALL[:at], SMALL[at:]
        changed = [head, head + tail[1:], head + tail[:1] + tail, head + b" " + tail, head + b"0" + tail]
        surviving += [at for data in changed if data != SMALL and survives(data)]

    assert surviving == []


def changes() -> dict[str, tuple[Callable[[Any], None], int]]:
    """Changes to a bundle, each with the step that must see it."""

    def put(name: str, value: Any, *place: Any) -> Callable[[Any], None]:
        def change(bundle: Any) -> None:
            for key in place:
                bundle = bundle[key]
            bundle[name] = value

        return change

    def longer(*place: Any) -> Callable[[Any], None]:
        def change(bundle: Any) -> None:
            for key in place:
                bundle = bundle[key]
            bundle.append(base64.b64encode(bytes(32)).decode())

        return change

    hashed = base64.b64encode(bytes(32)).decode()
    return {
        "another format": (put("format", "kata-audit proof 2"), 1),
        "an unknown key": (put("note", "x"), 1),
        "an unknown key of a record": (put("note", "x", "records", 0), 1),
        "an unknown key of an entry": (put("note", "x", "entries", 0), 1),
        "a missing key": (lambda b: b["records"][0].pop("salt"), 1),
        "no records": (put("records", []), 1),
        "no entries": (put("entries", []), 1),
        "a record that is no object": (put("records", ["x"]), 1),
        "a record twice": (lambda b: b["records"].append(b["records"][-1]), 1),
        "records out of order": (lambda b: b["records"].reverse(), 1),
        "an entry twice": (lambda b: b["entries"].append(b["entries"][-1]), 1),
        "entries out of order": (lambda b: b["entries"].reverse(), 1),
        "a float": (put("seq", 1.0, "records", 0), 1),
        "a truth for a number": (put("seq", True, "records", 0), 1),
        "nothing": (put("node", None, "records", 0), 1),
        "a negative number": (put("seq", -1, "records", 0), 1),
        "a number beyond 64 bits": (put("seq", 2**64, "records", 0), 1),
        "a time beyond 64 bits": (put("observed_unix_nano", -(2**63) - 1, "records", 0), 1),
        "an index beyond 32 bits": (put("index", 2**32, "records", 0), 1),
        "raw in hex": (put("raw", "zz", "records", 0), 1),
        "raw with stray bits": (put("raw", "YR==", "records", 0), 1),
        "raw without padding": (put("raw", "YQ", "records", 0), 1),
        "raw not in ASCII": (put("raw", "é", "records", 0), 1),
        "a short salt": (put("salt", base64.b64encode(bytes(15)).decode(), "records", 0), 1),
        "a long salt": (put("salt", base64.b64encode(bytes(17)).decode(), "records", 0), 1),
        "a path of numbers": (put("path", [1], "records", 0), 1),
        "a short hash": (put("path", [base64.b64encode(bytes(31)).decode()], "entries", 0), 1),
        "a key that is none": (put("vkey", "x"), 2),
        "another log's name": (put("origin", "audit.example/other"), 2),
        "another key of that name": (put("vkey", OTHER.vkey), 2),
        "a checkpoint that is none": (put("checkpoint", "x"), 2),
        "a lone surrogate for a name": (put("checkpoint", "\ud800\n1\n" + hashed + "\n\n\u2014 a b\n"), 2),
        "an entry at another index": (put("index", 3, "entries", 1), 3),
        "an entry beyond the log": (put("index", 4, "entries", 1), 3),
        "another entry": (put("data", "{}", "entries", 0), 3),
        "a lone surrogate for an entry": (put("data", "\ud800", "entries", 0), 3),
        "too long an entry": (put("data", "x" * 65_536, "entries", 0), 3),
        "an entry's path too long": (longer("entries", 0, "path"), 3),
        "an entry's path too short": (lambda b: b["entries"][0]["path"].pop(), 3),
        "an entry nobody needs": (lambda b: b["records"].pop(), 4),
        "a record of no entry": (put("batch", 7, "records", 0), 4),
        "a record of another batch": (put("batch", 1, "records", 0), 4),
        "a record beyond its batch": (put("index", 6, "records", 1), 4),
        "a record beyond its cut": (put("seq", 11, "records", 2), 4),
        "a seq too small for its index": (put("index", 2, "records", 0), 4),
        "a seq too large for its index": (put("index", 0, "records", 0), 4),
        "a lone surrogate for a node": (put("node", "\ud800", "records", 0), 5),
        "another node": (put("node", "lab/node-b", "records", 0), 6),
        "another receiver": (put("receiver", "stdin:lines", "records", 0), 6),
        "another cursor": (put("cursor", "x@0+1", "records", 0), 6),
        "another time": (put("observed_unix_nano", 0, "records", 0), 6),
        "other bytes": (put("raw", "", "records", 0), 6),
        "another salt": (put("salt", base64.b64encode(bytes(16)).decode(), "records", 0), 6),
        "a record's path too long": (longer("records", 0, "path"), 6),
        "a record's path too short": (lambda b: b["records"][0]["path"].pop(), 6),
    }


@pytest.mark.parametrize(("change", "step"), changes().values(), ids=changes().keys())
def test_a_change_is_seen_by_its_step(change: Callable[[Any], Any], step: int) -> None:
    """Each kind of change is refused, by the step that says what is wrong."""
    value = json.loads(BUNDLE)
    change(value)

    assert refused_at(spell(value)) == step


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b"[]\n",
        b"{}\n",
        b"1\n",
        b"NaN\n",
        b"\xff",
        b"[" * 200_000,
        b"9" * 5_000,
        BUNDLE + b" ",
        BUNDLE + BUNDLE,
        BUNDLE[:-1],
        b" " + BUNDLE,
        b"\xef\xbb\xbf" + BUNDLE,
        BUNDLE.decode().encode("utf-16"),
        BUNDLE.replace(b"\n", b"\r\n"),
        json.dumps(json.loads(BUNDLE), sort_keys=True).encode(),
        BUNDLE.replace(b'"format": "kata-audit proof 1"', b'"format": "x",\n "format": "kata-audit proof 1"'),
        BUNDLE.replace(b'"format": "kata', b'"format": "\\u006bata'),
        BUNDLE.replace(b'"seq": 1\n', b'"seq": 1e0\n'),
    ],
    ids=range(20),
)
def test_another_form_is_refused(data: bytes) -> None:
    """What is not the canonical JSON of a bundle is refused before anything in it is believed."""
    assert refused_at(data) == 1


def test_a_bundle_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file beyond the limit is not parsed."""
    monkeypatch.setattr(verify_bundle, "MAX_BUNDLE_BYTES", len(BUNDLE) - 1)

    assert refused_at(BUNDLE) == 1


def test_another_key_than_the_given_one_is_refused() -> None:
    """A forger who signs with an own key of the same name is found by the key from another way."""
    sealed = seal()
    note = sign_checkpoint(sealed.checkpoint(), OTHER)
    proofs = {"entries": [sealed.proven_entry(1)], "records": [sealed.proven_record(0, 3)]}
    forged = encode_bundle(vkey=OTHER.vkey, checkpoint=note, **proofs)  # type: ignore[arg-type]

    assert not verify(forged).is_key_given
    assert refused_at(forged, SIGNER.vkey) == 2
    for vkey in ("", "x", SIGNER.vkey[:-1], SIGNER.vkey.replace("+", "-"), f"{SIGNER.vkey}\n"):
        with pytest.raises(VkeyError):
            verify(BUNDLE, vkey)


def batch(**changed: Any) -> dict[str, Any]:
    """The batch of the first cut, changed."""
    return {**SEALED.cuts[0]["batches"][0], **changed}


WRONG_CUTS: dict[str, dict[str, Any]] = {
    "another type": {"t": "compact"},
    "another version": {"v": 2},
    "an unknown key": {"note": "x"},
    "another kind of time": {"time": "now"},
    "an empty range": {"to": 0},
    "a backward range": {"from": 9},
    "a range beside the record": {"from": 4},
    "a range that ends before it": {"to": 3},
    "more records than numbers": {"batches": [batch(records=7)]},
    "fewer records": {"batches": [batch(records=3)]},
    "no records": {"batches": [batch(records=0)]},
    "another root": {"batches": [batch(root="00" * 32)]},
    "a root in capitals": {"batches": [batch(root=batch()["root"].upper().replace("0", "A"))]},
    "a short root": {"batches": [batch(root="00" * 31)]},
    "another batch": {"batches": [batch(n=5)]},
    "a batch twice": {"batches": [batch(), batch()]},
    "an unknown key of a batch": {"batches": [batch(note=1)]},
    "a batch without a file": {"batches": [{key: value for key, value in batch().items() if key != "file"}]},
    "a batch of an earlier cut": {"batches": [batch(), batch(n=1)]},
    "no batches": {"batches": []},
}


@pytest.mark.parametrize("change", WRONG_CUTS.values(), ids=WRONG_CUTS.keys())
def test_an_entry_that_is_signed_and_wrong_is_refused(change: dict[str, Any]) -> None:
    """The owner's signature does not make a cut out of what is none, nor stretch one over a record."""
    assert refused_at(resigned(seal(change), [(0, 3), (1, 0)])) in {4, 6}


@pytest.mark.parametrize(
    "data", ['{"t": "cut"}', "{}", "[]", "x", '{"t":"cut","t":"cut"}', '{"a":1.5}', "[" * 60_000], ids=range(7)
)
def test_an_entry_that_is_not_canonical_is_refused(data: str) -> None:
    """An entry has its one spelling, whoever signed it."""
    sealed = SEALED._replace(entries=[SEALED.entries[0], data.encode(), *SEALED.entries[2:]])

    assert refused_at(resigned(sealed, [(0, 3)])) == 4


def test_an_entry_that_says_the_same_in_another_spelling_is_refused() -> None:
    """White space or another order in a signed cut is another entry than the one that the format knows."""
    for data in (json.dumps(SEALED.cuts[0], sort_keys=True), json.dumps(SEALED.cuts[0], separators=(",", ":"))):
        sealed = SEALED._replace(entries=[SEALED.entries[0], data.encode(), *SEALED.entries[2:]])

        assert refused_at(resigned(sealed, [(0, 3)])) == 4


def test_an_entry_beyond_the_limit_is_refused() -> None:
    """No log holds an entry that its bundles of entries could not frame."""
    for length, step in ((65_535, 4), (65_536, 3)):
        sealed = SEALED._replace(entries=[SEALED.entries[0], b"x" * length, *SEALED.entries[2:]])

        assert refused_at(resigned(sealed, [(0, 3)])) == step


def test_a_record_behind_the_last_of_its_batch_is_refused() -> None:
    """A batch of three records has no record with index 3, however many numbers its cut has."""
    assert refused_at(resigned(seal(WRONG_CUTS["fewer records"]), [(0, 3), (1, 0)])) == 4


def test_a_log_entry_is_never_a_record() -> None:
    """An inner node or another kind of leaf does not pass for a record's leaf."""
    root = recursive_root([hash_leaf(b"x"), hash_leaf(b"y")]).hex()

    assert refused_at(resigned(seal({"batches": [batch(root=root)]}), [(0, 3)])) == 6
    assert FILE["bytes"] == 29


def test_what_makes_no_bundle_is_not_spelled() -> None:
    """Parts that a verifier would refuse for their form are refused when the bundle is made."""
    checkpoint = sign_checkpoint(SEALED.checkpoint(), SIGNER)
    entry, proven = SEALED.proven_entry(1), SEALED.proven_record(0, 3)
    good: dict[str, Any] = {"vkey": SIGNER.vkey, "checkpoint": checkpoint, "entries": [entry], "records": [proven]}
    extended = sign_note(format_checkpoint(SEALED.checkpoint()) + "extension\n", [SIGNER])
    wrong: list[dict[str, Any]] = [
        {"records": []},
        {"entries": []},
        {"records": [proven, proven]},
        {"entries": [entry, entry]},
        {"vkey": "x"},
        {"vkey": OTHER.vkey},
        {"checkpoint": b"x"},
        {"checkpoint": extended},
        {"records": [replace(proven, salt=bytes(15))]},
        {"records": [replace(proven, path=[bytes(31)])]},
        {"entries": [replace(entry, path=[bytes(33)])]},
        {"entries": [replace(entry, data=b"\xff")]},
    ]

    assert verify(encode_bundle(**good), SIGNER.vkey).records[0].seq == 3
    for change in wrong:
        with pytest.raises(BundleError):
            encode_bundle(**{**good, **change})


def test_the_signatures_of_others_are_left_out() -> None:
    """A witness's line, which this verifier could not check, is not carried along unchecked."""
    witness = Signer("witness.example/w1", bytes(range(1, 33)))
    note = sign_note(format_checkpoint(SEALED.checkpoint()), [witness, SIGNER])
    parts: dict[str, Any] = {"entries": [SEALED.proven_entry(1)], "records": [SEALED.proven_record(0, 3)]}

    assert encode_bundle(vkey=SIGNER.vkey, checkpoint=note, **parts) == SMALL
    value = json.loads(SMALL)
    value["checkpoint"] = note.decode()
    assert refused_at(spell(value)) == 2


@pytest.mark.parametrize(
    "text",
    [
        format_checkpoint(Checkpoint(SIGNER.name, 4, bytes(31))),
        format_checkpoint(SEALED.checkpoint()).replace("\n4\n", "\n04\n"),
        format_checkpoint(SEALED.checkpoint()).replace("\n4\n", "\n9999999999999999999\n"),
        format_checkpoint(SEALED.checkpoint()).replace("audit", "audio"),
        format_checkpoint(SEALED.checkpoint()) + "extension\n",
        "\n" + format_checkpoint(SEALED.checkpoint()),
    ],
    ids=range(6),
)
def test_a_checkpoint_that_is_signed_and_wrong_is_refused(text: str) -> None:
    """A signature over anything but the three lines of this log is no checkpoint."""
    value = json.loads(SMALL)
    value["checkpoint"] = sign_note(text, [SIGNER]).decode()

    assert refused_at(spell(value)) == 2
