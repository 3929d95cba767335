"""Signed notes: text under Ed25519 signatures, spelled byte for byte as everyone else's.

Source: C2SP signed-note 1.0.0; Go `golang.org/x/mod/sumdb/note` for the key forms.
"""

import base64
import binascii
import re
from collections.abc import Sequence
from hashlib import sha256
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from kata_audit.errors import CheckpointError

ED25519 = 0x01
"""Signature type of plain Ed25519 notes."""
MAX_NOTE_BYTES = 1 << 20
MAX_SIGNATURES = 64
_KEY_BYTES, _SIGNATURE_BYTES, _ID_BYTES = 32, 64, 4
_SIGNATURE_LINE = re.compile(r"\u2014 ([^\s+]+) ([A-Za-z0-9+/]+={0,2})")
_PRIVATE_PREFIX = "PRIVATE+KEY+"


def decode_base64(text: str) -> bytes:
    """Decode base64 in its one canonical spelling: padded, standard alphabet, no stray bits.

    Raises:
        ValueError: The text is spelled in any other way.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError("not base64") from error
    if base64.b64encode(data).decode() != text:
        raise ValueError("not canonical base64")
    return data


def _is_name(name: str) -> bool:
    return bool(name) and "+" not in name and not any(char.isspace() for char in name)


def key_id(name: str, algorithm: int, public: bytes) -> bytes:
    """Work out a key's id: the first 4 bytes of `SHA256(name || 0x0A || algorithm || public key)`."""
    return sha256(name.encode() + b"\n" + bytes((algorithm,)) + public).digest()[:_ID_BYTES]


class Verifier(NamedTuple):
    """A key that verifies notes: the signer's name and its public key, 32 bytes."""

    name: str
    public: bytes

    @property
    def id(self) -> bytes:
        """The key's id, 4 bytes."""
        return key_id(self.name, ED25519, self.public)

    @property
    def vkey(self) -> str:
        """The key as everyone spells it: `<name>+<id>+<base64 of type and key>`."""
        return f"{self.name}+{self.id.hex()}+{base64.b64encode(bytes((ED25519,)) + self.public).decode()}"

    def is_good(self, text: bytes, signature: bytes) -> bool:
        """Tell whether a signature is this key's over a text."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, text)
        except (InvalidSignature, ValueError):
            return False
        return True


class Signer:
    """A key that signs notes.

    Args:
        name: The signer's name: no white space, no `+`.
        seed: 32 secret bytes.
    """

    def __init__(self, name: str, seed: bytes) -> None:
        if not _is_name(name) or len(seed) != _KEY_BYTES:
            raise ValueError("a signer needs a name without spaces and plus signs, and 32 bytes")
        self.name = name
        self._seed = seed
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.verifier = Verifier(name, self._key.public_key().public_bytes_raw())

    @property
    def vkey(self) -> str:
        """The verifying key, for everyone."""
        return self.verifier.vkey

    def spell(self) -> str:
        """Spell the secret key as Go's note package does."""
        data = base64.b64encode(bytes((ED25519,)) + self._seed).decode()
        return f"{_PRIVATE_PREFIX}{self.name}+{self.verifier.id.hex()}+{data}"

    def sign(self, text: bytes) -> bytes:
        """Sign bytes; 64 bytes."""
        return self._key.sign(text)


def generate_signer(name: str, seed: bytes) -> Signer:
    """Make a signer of 32 random bytes, which the caller draws."""
    return Signer(name, seed)


def _parse_key(text: str) -> tuple[str, bytes, bytes]:
    """Cut a key's text into name, id and key bytes of Ed25519."""
    name, _, rest = text.partition("+")
    spelled, _, data = rest.partition("+")
    if not _is_name(name) or not re.fullmatch(r"[0-9a-f]{8}", spelled):
        raise ValueError("a key is spelled <name>+<8 hex digits>+<base64>")
    decoded = decode_base64(data)
    if len(decoded) != _KEY_BYTES + 1 or decoded[0] != ED25519:
        raise ValueError("not an Ed25519 note key")
    return name, bytes.fromhex(spelled), decoded[1:]


def parse_signer(text: str) -> Signer:
    """Read a secret key in Go's form.

    Raises:
        ValueError: It is spelled in any other way, or its id is not its own.
    """
    if not text.startswith(_PRIVATE_PREFIX):
        raise ValueError(f"a signing key begins with {_PRIVATE_PREFIX}")
    name, identity, seed = _parse_key(text.removeprefix(_PRIVATE_PREFIX))
    signer = Signer(name, seed)
    if signer.verifier.id != identity:
        raise ValueError("the key's id is not that of its name and bytes")
    return signer


def parse_verifier(vkey: str) -> Verifier:
    """Read a verifying key.

    Raises:
        ValueError: It is spelled in any other way, or its id is not its own.
    """
    name, identity, public = _parse_key(vkey)
    verifier = Verifier(name, public)
    if verifier.id != identity:
        raise ValueError("the key's id is not that of its name and bytes")
    return verifier


def sign_note(text: str, signers: Sequence[Signer]) -> bytes:
    """Sign a text.

    Args:
        text: Ends in a newline; no control characters but newlines.
        signers: At least one.

    Returns:
        The note: the text, an empty line, a line per signature.
    """
    body = text.encode()
    _check_text(body)
    lines = []
    for signer in signers:
        signature = base64.b64encode(signer.verifier.id + signer.sign(body)).decode()
        lines.append(f"\u2014 {signer.name} {signature}\n")
    return body + b"\n" + "".join(lines).encode()


def _check_text(text: bytes) -> None:
    if not text.endswith(b"\n") or any(byte < 0x20 and byte != 0x0A for byte in text):
        raise CheckpointError("a note's text ends in a newline and holds no control characters")


def open_note(note: bytes, verifiers: Sequence[Verifier]) -> str:
    """Verify a note and return its text.

    Signatures of unknown keys are ignored; a bad one of a known key is not.

    Args:
        note: The whole note.
        verifiers: The keys that are trusted.

    Raises:
        CheckpointError: The note is malformed, a known key's signature is bad, or none is known.
    """
    if len(note) > MAX_NOTE_BYTES:
        raise CheckpointError(f"a note has at most {MAX_NOTE_BYTES} bytes")
    head, separator, tail = note.rpartition(b"\n\n")
    text = head + b"\n"
    try:
        text_read, lines = text.decode(), tail.decode()
    except UnicodeDecodeError as error:
        raise CheckpointError("a note is UTF-8, and this one is not") from error
    if not separator or not lines.endswith("\n") or any(byte < 0x20 and byte != 0x0A for byte in note):
        raise CheckpointError("a note is a text, an empty line and signature lines, without control characters")
    known = {(verifier.name, verifier.id): verifier for verifier in verifiers}
    good = False
    for name, identity, signature in _signatures(lines):
        verifier = known.get((name, identity))
        if verifier is None:
            continue
        if not verifier.is_good(text, signature):
            raise CheckpointError(f"the signature of {verifier.vkey} is bad")
        good = True
    if not good:
        raise CheckpointError("no signature of a known key stands under the note")
    return text_read


def _signatures(lines: str) -> list[tuple[str, bytes, bytes]]:
    """Read signature lines: name, key id, signature."""
    found = []
    for line in lines[:-1].split("\n"):
        match = _SIGNATURE_LINE.fullmatch(line)
        if match is None or not _is_name(match[1]):
            raise CheckpointError("a line under the note is no signature")
        try:
            data = decode_base64(match[2])
        except ValueError as error:
            raise CheckpointError("a signature under the note is not base64") from error
        if len(data) <= _ID_BYTES:
            raise CheckpointError("a signature under the note is too short")
        found.append((match[1], data[:_ID_BYTES], data[_ID_BYTES:]))
    if len(found) > MAX_SIGNATURES:
        raise CheckpointError(f"a note has at most {MAX_SIGNATURES} signatures, not {len(found)}")
    return found
