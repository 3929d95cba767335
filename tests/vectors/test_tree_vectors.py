"""Trees, notes, checkpoints and tiles are those of everyone else: published vectors A to I."""

import base64
import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from tests.unit.tlog.trees import Tree

from kata_audit.tlog.checkpoint import Checkpoint, open_checkpoint, parse_checkpoint, sign_checkpoint
from kata_audit.tlog.merkle import (
    EMPTY_ROOT,
    Frontier,
    hash_leaf,
    hash_node,
    prove_consistency,
    prove_inclusion,
    root_of,
    verify_consistency,
    verify_inclusion,
)
from kata_audit.tlog.note import Signer, key_id, open_note, parse_signer, parse_verifier, sign_note
from kata_audit.tlog.tiles import frame_entry, split_bundle, tile_path

VECTORS: dict[str, Any] = json.loads((Path(__file__).parent / "tree.json").read_text())
DATA = [bytes.fromhex(data) for data, _ in VECTORS["B"]]
LEAVES = [hash_leaf(data) for data in DATA]
KEY = VECTORS["E_key"]
ROOT_7 = bytes.fromhex(VECTORS["C"][7])


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def small(size: int) -> Tree:
    return Tree(LEAVES[:size])


@cache
def large() -> Tree:
    """A tree of 70,000 leaves, each the decimal of its index, in tiles."""
    return Tree([hash_leaf(b"%d" % index) for index in range(70_000)])


def test_vector_a_hashes() -> None:
    """Empty tree, leaf and node hash as published."""
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert hash_leaf(b"").hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert hash_leaf(b"L123456").hex() == "395aa064aa4c29f7010acfe3f25db9485bbd4b91897b6ad7ad547639252b4d56"
    assert hash_node(b"N123", b"N456").hex() == "aa217fe888e47007fa15edab33c2b492a722cb106c64667fc2b044444de66bbb"


def test_vector_b_leaves() -> None:
    """The eight standard inputs hash as published."""
    assert [leaf.hex() for leaf in LEAVES] == [hashed for _, hashed in VECTORS["B"]]


@pytest.mark.parametrize("size", range(9))
def test_vector_c_roots(size: int) -> None:
    """The growing root and the one out of tiles are the published ones at every size."""
    frontier = Frontier()
    for leaf in LEAVES[:size]:
        frontier.append(leaf)

    assert frontier.root().hex() == VECTORS["C"][size]
    assert root_of(small(size).read, 0, size).hex() == VECTORS["C"][size]


def test_vector_c_interior() -> None:
    """Subtrees inside the tree of 7 are the published ones."""
    read = small(7).read
    interior = {f"h[{a}:{b}]": root_of(read, a, b).hex() for a, b in ((0, 2), (2, 4), (0, 4), (4, 6), (4, 7))}

    assert interior == VECTORS["C_interior"]


@pytest.mark.parametrize("index", range(7))
def test_vector_d_inclusion(index: int) -> None:
    """Each inclusion proof of the tree of 7 is the published one, and verifies."""
    proof = prove_inclusion(small(7).read, index, 7)

    assert [part.hex() for part in proof] == VECTORS["D_inclusion_of_7"][index]
    verify_inclusion(index, 7, LEAVES[index], proof, ROOT_7)


@pytest.mark.parametrize(("old", "new", "expected"), VECTORS["D_consistency"])
def test_vector_d_consistency(old: int, new: int, expected: list[str]) -> None:
    """Each consistency proof is the published one, and verifies."""
    proof = prove_consistency(small(new).read, old, new)

    assert [part.hex() for part in proof] == expected
    verify_consistency(old, new, bytes.fromhex(VECTORS["C"][old]), bytes.fromhex(VECTORS["C"][new]), proof)


def test_vector_e_keys() -> None:
    """A key has the published id and both published spellings."""
    signer = Signer(KEY["name"], bytes.fromhex(KEY["seed"]))

    assert signer.verifier.public.hex() == KEY["public"]
    assert signer.verifier.id.hex() == KEY["id"]
    assert (signer.vkey, signer.spell()) == (KEY["vkey"], KEY["skey"])
    assert parse_signer(KEY["skey"]).vkey == parse_verifier(KEY["vkey"]).vkey == KEY["vkey"]


@pytest.mark.parametrize("vkey", [*VECTORS["E_published_vkeys"], VECTORS["E_third_party"]["vkey"]])
def test_vector_e_keys_of_others(vkey: str) -> None:
    """Keys that others published are read, and spelled again as they were."""
    assert parse_verifier(vkey).vkey == vkey


def test_vector_e_witness_key_id() -> None:
    """A key of another type has another id, so it is not taken for a note key."""
    name, identity, data = VECTORS["E_witness_vkey"].split("+", 2)
    key = base64.b64decode(data)

    assert key_id(name, 4, key[1:]).hex() == identity
    assert key_id(name, 1, key[1:]).hex() == "484bc619"
    with pytest.raises(ValueError, match="not an Ed25519 note key"):
        parse_verifier(VECTORS["E_witness_vkey"])


def test_vector_e_note_of_a_third_party() -> None:
    """The example of the specification verifies."""
    vector = VECTORS["E_third_party"]

    assert open_note(vector["note"].encode(), [parse_verifier(vector["vkey"])]) == "This is an example message.\n"


def test_vector_e_note_with_an_empty_line() -> None:
    """Text is split from signatures at the last empty line; signing is deterministic."""
    vector = VECTORS["E_empty_line"]
    text = "kata-audit signed note test\n\nsecond paragraph\n"

    assert open_note(vector["note"].encode(), [parse_verifier(KEY["vkey"])]) == text
    assert sign_note(text, [parse_signer(KEY["skey"])]).decode() == vector["note"]
    assert sha(vector["note"].encode()) == vector["sha256"]


@pytest.mark.parametrize("vector", VECTORS["E_checkpoints"], ids=lambda vector: f"size {vector['size']}")
def test_vector_e_checkpoints(vector: Any) -> None:
    """A checkpoint is signed to the published bytes and opened again."""
    checkpoint = Checkpoint(KEY["name"], vector["size"], bytes.fromhex(VECTORS["C"][vector["size"]]))

    note = sign_checkpoint(checkpoint, parse_signer(KEY["skey"]))

    assert note.decode() == vector["note"]
    assert sha(note) == vector["sha256"]
    assert open_checkpoint(note, parse_verifier(KEY["vkey"])) == checkpoint


def test_vector_f_a_cosignature_is_let_stand() -> None:
    """A witness's line below ours does not trouble who has not its key."""
    note = VECTORS["F_cosigned"]["note"].encode()

    assert sha(note) == VECTORS["F_cosigned"]["sha256"]
    assert open_checkpoint(note, parse_verifier(KEY["vkey"])).size == 7


def test_vector_g_a_witness_would_understand_our_proof() -> None:
    """The request to a witness, put together from our proof and checkpoint, is the published one."""
    proof = prove_consistency(small(7).read, 3, 7)
    note = sign_checkpoint(Checkpoint(KEY["name"], 7, ROOT_7), parse_signer(KEY["skey"]))
    request = b"old 3\n" + b"".join(base64.b64encode(part) + b"\n" for part in proof) + b"\n" + note

    assert sha(request) == VECTORS["G_request_sha256"]


def test_vector_h_a_proof_file_of_everyone_else() -> None:
    """The C2SP proof of leaf 3, put together from our proof, is the published one."""
    proof = prove_inclusion(small(7).read, 3, 7)
    lines = b"".join(base64.b64encode(part) + b"\n" for part in proof)
    text = b"c2sp.org/tlog-proof@v1\nindex 3\n" + lines + b"\n" + VECTORS["F_cosigned"]["note"].encode()

    assert sha(text) == VECTORS["H_proof_sha256"]


def test_vector_i_small_tiles() -> None:
    """The tile and the bundle of the first seven leaves are the published bytes, and are taken apart again."""
    bundle = b"".join(frame_entry(data) for data in DATA[:7])

    assert sha(small(7).tile(0, 0, 7)) == VECTORS["I_tile_7_sha256"]
    assert bundle.hex() == VECTORS["I_entries_7"]
    assert split_bundle(bundle) == DATA[:7]


@pytest.mark.parametrize(("number", "path"), VECTORS["I_paths"].items())
def test_vector_i_paths(number: str, path: str) -> None:
    """Tile numbers are spelled in groups of three."""
    assert tile_path(0, int(number), 256) == f"tile/0/{path}"


def test_vector_i_roots() -> None:
    """Roots out of tiles are the published ones at every size, also beside the widths of tiles."""
    roots = {size: root_of(large().read, 0, int(size)).hex() for size in VECTORS["I_roots"]}

    assert roots == VECTORS["I_roots"]


def test_vector_i_tiles_of_70000() -> None:
    """Tiles on every level are the published bytes."""
    tiles = {tile_path(*place): sha(data) for place, data in large().stored().items()}
    expected = VECTORS["I_tiles_70000_sha256"]

    assert {path: tiles.get(path) for path in expected} == expected
    assert large().stored()[2, 0, 1].hex() == VECTORS["I_tile_2_70000"]
    assert len(tiles) == 273 + 1 + 2 + 1


def test_vector_i_proofs_of_70000() -> None:
    """Proofs out of tiles are the published ones, and verify."""
    root = bytes.fromhex(VECTORS["I_roots"]["70000"])
    for index, count, digest in VECTORS["I_inclusion_70000"]:
        proof = prove_inclusion(large().read, index, 70_000)
        verify_inclusion(index, 70_000, hash_leaf(b"%d" % index), proof, root)

        assert (len(proof), sha(b"".join(proof))) == (count, digest)
    old = bytes.fromhex(VECTORS["I_roots"]["257"])
    proof = prove_consistency(large().read, 257, 70_000)
    verify_consistency(257, 70_000, old, root, proof)

    assert [len(proof), sha(b"".join(proof))] == VECTORS["I_consistency_257_70000"]


def test_the_text_of_a_checkpoint_is_read_alone() -> None:
    """The text of a note parses without its signatures."""
    text = VECTORS["E_checkpoints"][1]["note"].partition("\n\n")[0] + "\n"

    assert parse_checkpoint(text).size == 3
