"""Packs: complete configuration for another system, with what is known of this place filled in.

A pack is a folder of `packs/` with its files, and a row in `packs.toml` that says what it is for and what checks it. In a
file `@@name@@` stands for a value; everything else is as the other system reads it, so that a pack can be read, tested and
changed as what it is.
"""

import re
import tomllib
from collections.abc import Mapping
from typing import Final, NamedTuple

_VALUE: Final = re.compile(r"@@([a-z_]+)@@")
_SAFE: Final = re.compile(r"[\w.:/@+=-]+", re.ASCII)


class Pack(NamedTuple):
    """Configuration for one system.

    Attributes:
        name: What `integrate` calls it.
        title: What it is, in one line.
        files: Its files.
        check: The command by which its own program checks the files.
        tried: What it was really run with.
        values: What of this place it needs: names of values, and what each is without a configuration.
    """

    name: str
    title: str
    files: tuple[str, ...]
    check: str
    tried: str
    values: Mapping[str, str]


class UnsafeValueError(ValueError):
    """A value would not stay a value in another system's configuration; the text names it, and does not show it."""


def read_packs(data: bytes) -> dict[str, Pack]:
    """Read the table of packs, by name.

    Raises:
        ValueError: It is none. The table is the product's own, so that this is a defect.
    """
    packs = {}
    for name, row in tomllib.loads(data.decode()).items():
        if row.keys() != {"title", "files", "check", "tried", "values"}:
            raise ValueError(f"no row of a pack: {name}")
        packs[name] = Pack(name, row["title"], tuple(row["files"]), row["check"], row["tried"], row["values"])
    return packs


def fill_in(pack: Pack, text: str, values: Mapping[str, str]) -> str:
    """Fill what is known of this place into a file of a pack.

    Args:
        pack: The pack, for what stands where nothing is known.
        text: The file as it is kept.
        values: What is known.

    Raises:
        UnsafeValueError: A value holds characters that mean something in configurations: letters, digits and `._:/@+=-` do
            not.
    """

    def value(found: re.Match[str]) -> str:
        name = found[1]
        text = values.get(name, pack.values[name])
        if not _SAFE.fullmatch(text):
            raise UnsafeValueError(name)
        return text

    return _VALUE.sub(value, text)
