"""Values on the disk that say themselves whether they are whole: a checksum, a space, and canonical JSON."""

import json
import zlib
from collections.abc import Mapping
from typing import Any

_CHECKSUM_BYTES = 9
"""Eight hex digits of CRC-32 and a space."""


def spell_checked(value: Mapping[str, Any]) -> bytes:
    """Spell a value of JSON behind its checksum."""
    content = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    return f"{zlib.crc32(content):08x} ".encode() + content


def read_checked(data: bytes) -> dict[str, Any] | None:
    """Read what `spell_checked` spelled; None where a byte of it is another."""
    try:
        value = json.loads(data[_CHECKSUM_BYTES:])
        return value if isinstance(value, dict) and spell_checked(value) == data else None
    except ValueError:
        return None
