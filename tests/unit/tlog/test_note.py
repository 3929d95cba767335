"""Notes and checkpoints have one spelling, and every other is refused."""

import base64
from collections.abc import Callable

import pytest

from kata_audit.errors import CheckpointError
from kata_audit.tlog.checkpoint import Checkpoint, open_checkpoint, parse_checkpoint, sign_checkpoint
from kata_audit.tlog.merkle import EMPTY_ROOT
from kata_audit.tlog.note import (
    MAX_NOTE_BYTES,
    MAX_SIGNATURES,
    Signer,
    Verifier,
    generate_signer,
    open_note,
    parse_signer,
    parse_verifier,
    sign_note,
)

SIGNER = Signer("audit.example/log", bytes(range(32)))
OTHER = generate_signer("other.example/log", bytes(32))
TEXT = "kata-audit signed note test\n\nsecond paragraph\n"
NOTE = sign_note(TEXT, [SIGNER]).decode()
LINE = NOTE.rpartition("\n\n")[2]
SIGNATURE = LINE.rstrip("\n").rpartition(" ")[2]
ROOT = base64.b64encode(bytes(32)).decode()


def respelled(change: Callable[[bytes], bytes]) -> str:
    """The note with other bytes under the base64 of its signature."""
    return NOTE.replace(SIGNATURE, base64.b64encode(change(base64.b64decode(SIGNATURE))).decode())


WRONG_NOTES = {
    "no final newline": NOTE[:-1],
    "carriage returns": NOTE.replace("\n", "\r\n"),
    "a tab in the text": NOTE.replace("signed note", "signed\tnote"),
    "an escape in the text": NOTE.replace("signed note", "signed\x1bnote"),
    "a NUL in the text": NOTE.replace("signed note", "signed\x00note"),
    "two empty lines before the signatures": NOTE.replace("\n\n\u2014", "\n\n\n\u2014"),
    "no empty line": NOTE.replace("\n\n\u2014", "\n\u2014"),
    "no signature": TEXT + "\n",
    "no text": "\n" + LINE,
    "a hyphen for the dash": NOTE.replace("\u2014 ", "- "),
    "an en dash for the dash": NOTE.replace("\u2014", "\u2013"),
    "two spaces": NOTE.replace(f" {SIGNATURE}", f"  {SIGNATURE}"),
    "a space behind the signature": NOTE.replace(SIGNATURE, f"{SIGNATURE} "),
    "a plus sign in a name": NOTE.replace("\u2014 audit", "\u2014 au+dit"),
    "a no-break space in a name": NOTE.replace("\u2014 audit", "\u2014 au\u00a0dit"),
    "an ideographic space in a name": NOTE.replace("\u2014 audit", "\u2014 au\u3000dit"),
    "no padding": NOTE.replace(SIGNATURE, SIGNATURE.rstrip("=")),
    "the alphabet of URLs": NOTE.replace(SIGNATURE, SIGNATURE.replace("+", "-").replace("/", "_")),
    "a newline in the signature": NOTE.replace(SIGNATURE, f"{SIGNATURE[:8]}\n{SIGNATURE[8:]}"),
    "67 bytes": respelled(lambda data: data[:-1]),
    "69 bytes": respelled(lambda data: data + b"\0"),
    "only a key id": respelled(lambda data: data[:4]),
    "no key id": respelled(lambda data: data[:0]),
    "another key id": respelled(lambda data: bytes(4) + data[4:]),
    "a time between id and signature": respelled(lambda data: data[:4] + bytes(8) + data[4:]),
    "another text": NOTE.replace("second", "third"),
    "a text changed behind its empty line": NOTE.replace("paragraph\n", "paragraph \n"),
    "another name": NOTE.replace("\u2014 audit", "\u2014 audio"),
    "a bad signature of a known key before a good one": NOTE.replace(
        LINE, respelled(lambda d: d[:-1] + b"\0")[-len(LINE) :] + LINE
    ),
    "10,000 signatures": NOTE + LINE * 9_999,
    "one signature too many": NOTE + LINE * MAX_SIGNATURES,
    "too long a note": "x" * MAX_NOTE_BYTES + NOTE,
}
assert "+" in SIGNATURE or "/" in SIGNATURE


@pytest.mark.parametrize("note", WRONG_NOTES.values(), ids=WRONG_NOTES.keys())
def test_another_spelling_of_a_note_is_refused(note: str) -> None:
    """A note that differs in anything from its one spelling is not opened."""
    with pytest.raises(CheckpointError):
        open_note(note.encode(), [SIGNER.verifier])


def test_a_note_is_utf_8() -> None:
    """Other bytes are refused."""
    with pytest.raises(CheckpointError):
        open_note(NOTE.encode().replace(b"signed", b"sign\xff"), [SIGNER.verifier])


def test_a_note_opens_for_whoever_knows_a_key() -> None:
    """Each signer's key opens the note; a stranger's does not."""
    note = sign_note(TEXT, [SIGNER, OTHER])

    assert open_note(note, [SIGNER.verifier]) == open_note(note, [OTHER.verifier]) == TEXT
    assert open_note(NOTE.encode() + LINE.encode() * (MAX_SIGNATURES - 1), [SIGNER.verifier]) == TEXT
    with pytest.raises(CheckpointError):
        open_note(NOTE.encode(), [OTHER.verifier])


def test_a_bad_signature_of_a_known_key_beside_a_good_one_is_refused() -> None:
    """A note is not half good."""
    bad = NOTE.replace("second", "third").rpartition("\n\n")[2]
    note = sign_note("third\n", [OTHER]) + bad.encode()

    assert open_note(note, [OTHER.verifier]) == "third\n"
    with pytest.raises(CheckpointError):
        open_note(note, [OTHER.verifier, SIGNER.verifier])


@pytest.mark.parametrize("text", ["", "no line end", "a\tb\n", "a\rb\n", "\x1b\n"])
def test_a_text_that_is_no_note_is_not_signed(text: str) -> None:
    """What could not be opened again is not signed."""
    with pytest.raises(CheckpointError):
        sign_note(text, [SIGNER])


KEY = base64.b64encode(b"\x01" + SIGNER.verifier.public).decode()
ID = SIGNER.verifier.id.hex()


@pytest.mark.parametrize(
    "vkey",
    [
        "",
        "a+b",
        f"+{ID}+{KEY}",
        f"other+{ID}+{KEY}",
        f"{SIGNER.name}+00000000+{KEY}",
        f"{SIGNER.name}+{ID.upper()}A+{KEY}",
        f"{SIGNER.name}+{ID}+{KEY[:-1]}",
        f"{SIGNER.name}+{ID}+{KEY}=",
        f"{SIGNER.name}+{ID}+{KEY}\n",
        f"{SIGNER.name} +{ID}+{KEY}",
        f"{SIGNER.name}+{ID}+" + base64.b64encode(b"\x04" + SIGNER.verifier.public).decode(),
        f"{SIGNER.name}+{ID}+" + base64.b64encode(b"\x01" + SIGNER.verifier.public[1:]).decode(),
        f"{SIGNER.name}+{ID}+\u00e9",
    ],
)
def test_another_spelling_of_a_key_is_refused(vkey: str) -> None:
    """A key has one spelling, and its id follows from it."""
    with pytest.raises(ValueError, match=r"key|base64|ASCII"):
        parse_verifier(vkey)
    with pytest.raises(ValueError, match=r"key|base64|ASCII"):
        parse_signer(f"PRIVATE+KEY+{vkey}")


def test_a_key_is_read_as_it_was_spelled() -> None:
    """Both keys survive a round trip, and a public one is no secret one."""
    assert parse_verifier(SIGNER.vkey) == SIGNER.verifier
    assert parse_signer(SIGNER.spell()).spell() == SIGNER.spell()
    with pytest.raises(ValueError, match="signing key"):
        parse_signer(SIGNER.vkey)


@pytest.mark.parametrize(("name", "seed"), [("", 32), ("a b", 32), ("a+b", 32), ("a\u00a0b", 32), ("a", 31), ("a", 33)])
def test_no_signer_without_a_name_and_32_bytes(name: str, seed: int) -> None:
    """A name that no note could carry is refused at once."""
    with pytest.raises(ValueError, match="signer"):
        generate_signer(name, bytes(seed))


def test_an_impossible_public_key_verifies_nothing() -> None:
    """Bytes that are no key are no error, and no key."""
    assert not Verifier("a", bytes(31)).is_good(b"text", bytes(64))
    assert not SIGNER.verifier.is_good(b"text", bytes(64))


@pytest.mark.parametrize(
    "size", ["007", "+7", "7 ", " 7", "-1", "", "0x7", "7.0", "\u0667", "1" * 20, str(1 << 63), str(1 << 64)]
)
def test_another_spelling_of_a_size_is_refused(size: str) -> None:
    """A size is a decimal number below 2^63 without ornament."""
    with pytest.raises(CheckpointError):
        parse_checkpoint(f"o\n{size}\n{ROOT}\n")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        f"\n7\n{ROOT}\n",
        "o\n7\n",
        f"o\n7\n{ROOT}",
        f"o\n7\n{ROOT}\n\n",
        f"o\n7\n{ROOT}\n\nextension\n",
        f"o\n7\n{base64.b64encode(bytes(31)).decode()}\n",
        f"o\n7\n{base64.b64encode(bytes(33)).decode()}\n",
        f"o\n7\n{ROOT[:-1]}\n",
        f"o\n7\n{ROOT[:-2]}B=\n",
        f"o\n7\n{ROOT[:-1]}\u00e9\n",
        f"o\n0\n{ROOT}\n",
    ],
)
def test_another_spelling_of_a_checkpoint_is_refused(text: str) -> None:
    """A checkpoint is an origin, a size and a root, a line each."""
    with pytest.raises(CheckpointError):
        parse_checkpoint(text)


def test_a_checkpoint_is_of_the_log_of_its_key() -> None:
    """A key neither signs nor opens another log's checkpoint."""
    foreign = Checkpoint("other.example/log", 1, bytes(32))
    with pytest.raises(CheckpointError):
        sign_checkpoint(foreign, SIGNER)
    with pytest.raises(CheckpointError, match="another log"):
        open_checkpoint(sign_note(f"other.example/log\n1\n{ROOT}\n", [SIGNER]), SIGNER.verifier)


def test_a_checkpoint_survives_a_round_trip() -> None:
    """What was signed is what is opened; extension lines of others are let stand."""
    for checkpoint in (Checkpoint(SIGNER.name, 0, EMPTY_ROOT), Checkpoint(SIGNER.name, (1 << 63) - 1, bytes(32))):
        assert open_checkpoint(sign_checkpoint(checkpoint, SIGNER), SIGNER.verifier) == checkpoint
    assert parse_checkpoint(f"o\n7\n{ROOT}\nextension\n") == Checkpoint("o", 7, bytes(32))
