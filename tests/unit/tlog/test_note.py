"""Notes and checkpoints byte for byte, and every spelling that must be refused."""

from hashlib import sha256

import pytest

from kata_audit.errors import CheckpointError
from kata_audit.tlog.checkpoint import Checkpoint, format_checkpoint, open_checkpoint, parse_checkpoint, sign_checkpoint
from kata_audit.tlog.merkle import EMPTY_ROOT
from kata_audit.tlog.note import Signer, generate_signer, open_note, parse_signer, parse_verifier, sign_note

NAME = "audit.example/kata-audit/test"
SIGNER = Signer(NAME, bytes(range(32)))
ROOT_8 = bytes.fromhex("5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328")
EXAMPLE = (
    "This is an example message.\n\n\u2014 example.com/foo "
    "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
)
GOOD = sign_note("one\n\ntwo\n", [SIGNER]).decode()
LINE = GOOD.rpartition("\n\n")[2]


def test_key_forms_are_gos() -> None:
    assert SIGNER.vkey == f"{NAME}+29677248+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4"
    assert SIGNER.spell() == f"PRIVATE+KEY+{NAME}+29677248+AQABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"
    assert parse_signer(SIGNER.spell()).vkey == SIGNER.vkey
    assert generate_signer(NAME, bytes(range(32))).vkey == SIGNER.vkey


def test_the_published_key_of_the_go_checksum_database_has_the_id_we_compute() -> None:
    vkey = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"

    assert parse_verifier(vkey).id.hex() == "033de0ae"
    assert parse_verifier(vkey).vkey == vkey


def test_the_specifications_example_note_verifies() -> None:
    verifier = parse_verifier("example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k")

    assert open_note(EXAMPLE.encode(), [verifier]) == "This is an example message.\n"


def test_a_note_with_an_empty_line_in_its_text() -> None:
    note = sign_note("kata-audit signed note test\n\nsecond paragraph\n", [SIGNER])

    assert (len(note), sha256(note).hexdigest()) == (174, "282ba9f556aa8260ee13dc6f021cf4d963b7207a3a21d4e0061b79843a7e2865")


@pytest.mark.parametrize(
    ("size", "root", "digest"),
    [
        (0, EMPTY_ROOT, "015b585ac226fcba7ecb20cce59bfdc28231c1b49199c3ce9ecc54c9311c85d3"),
        (8, ROOT_8, "5fbcc20a6cf0b43c38ba5ad04fce503a2f5343d41f10139993cea7e0f0739089"),
    ],
)
def test_checkpoints_byte_for_byte(size: int, root: bytes, digest: str) -> None:
    note = sign_checkpoint(Checkpoint(NAME, size, root), SIGNER)

    assert sha256(note).hexdigest() == digest
    assert open_checkpoint(note, SIGNER.verifier) == Checkpoint(NAME, size, root)


def test_unknown_signatures_are_ignored_and_a_bad_known_one_is_not() -> None:
    other = Signer("other.example", bytes(32))
    both = sign_note("text\n", [other, SIGNER])

    assert open_note(both, [SIGNER.verifier]) == "text\n"
    with pytest.raises(CheckpointError):
        open_note(sign_note("text\n", [other]), [SIGNER.verifier])
    with pytest.raises(CheckpointError):
        open_note(both.replace(b"text", b"TEXT"), [SIGNER.verifier, other.verifier])


@pytest.mark.parametrize(
    "note",
    [
        GOOD[:-1],
        GOOD.replace("\n", "\r\n"),
        GOOD.replace("one", "o\te"),
        GOOD.replace("one", "o\x1be"),
        GOOD.replace("\n\n\u2014", "\n\n\n\u2014"),
        GOOD.replace("\u2014", "-"),
        GOOD.replace("\u2014 ", "\u2014  "),
        GOOD.replace(NAME, "a+b"),
        GOOD.replace(NAME, "a\u00a0b"),
        GOOD.replace("=\n", "\n"),
        GOOD.replace(LINE, LINE.replace("/", "_").replace("+", "-")),
        GOOD + "x\n",
        GOOD.rpartition("\n\n")[0],
        GOOD + LINE * 100,
        "",
        "\n",
        "\n\n",
    ],
    ids=range(17),
)
def test_a_note_that_is_spelled_otherwise_is_refused(note: str) -> None:
    if note == GOOD:
        pytest.skip("this change spells the note as it was: its base64 has no such character")
    with pytest.raises(CheckpointError):
        open_note(note.encode(), [SIGNER.verifier])


@pytest.mark.parametrize("size", ["007", "+7", "7 ", "-1", str(2**64), "", "\u0667", "7.0"])
def test_a_size_that_is_spelled_otherwise_is_refused(size: str) -> None:
    text = format_checkpoint(Checkpoint(NAME, 8, ROOT_8)).replace("\n8\n", f"\n{size}\n")

    with pytest.raises(CheckpointError):
        parse_checkpoint(text)


def test_other_checkpoints_that_are_refused() -> None:
    good = format_checkpoint(Checkpoint(NAME, 8, ROOT_8))
    bad = [
        good + "\n",
        "\n" + good.partition("\n")[2],
        good[:-1],
        format_checkpoint(Checkpoint(NAME, 8, ROOT_8[:31])),
        format_checkpoint(Checkpoint(NAME, 0, ROOT_8)),
    ]

    assert parse_checkpoint(good + "extension\n").size == 8
    for text in bad:
        with pytest.raises(CheckpointError):
            parse_checkpoint(text)
    with pytest.raises(CheckpointError):
        sign_checkpoint(Checkpoint("another", 8, ROOT_8), SIGNER)


@pytest.mark.parametrize(
    "vkey",
    [
        "",
        "a+b+c",
        f"{NAME}+29677249+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4",
        "x+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
    ],
)
def test_a_key_whose_id_is_not_its_own_is_refused(vkey: str) -> None:
    with pytest.raises(ValueError, match=r"key|base64"):
        parse_verifier(vkey)
