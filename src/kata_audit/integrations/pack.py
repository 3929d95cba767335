"""Packs: complete configuration for another system, with what is known of this place filled in.

A pack is a folder of `packs/` with its files, and a row in `packs.toml` that says what it is for and what checks it. In a
file `@@name@@` stands for a value; everything else is as the other system reads it, so that a pack can be read, tested and
changed as what it is. A value may be a list, of files say: a line with `@@name@@` is repeated for each of them, and
`@@name,@@` is all of them with commas, `@@name|@@` with strokes.
"""

import re
import tomllib
from collections.abc import Mapping
from typing import Final, NamedTuple

Value = str | tuple[str, ...]
"""What stands for a name: one text, or a list of texts."""
_VALUE: Final = re.compile(r"@@([a-z_]+)([,|]?)@@")
_SAFE: Final = re.compile(r"[\w.:/@+=-]+", re.ASCII)
_SAFE_IN_LIST: Final = re.compile(r"[\w.:/@+=*?-]+", re.ASCII)
"""Lists hold patterns of files too; their places stand in quotes wherever a star could mean something else."""


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
    values: Mapping[str, Value]


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
        values = {key: tuple(value) if isinstance(value, list) else value for key, value in row["values"].items()}
        packs[name] = Pack(name, row["title"], tuple(row["files"]), row["check"], row["tried"], values)
    return packs


def fill_in(pack: Pack, text: str, values: Mapping[str, Value]) -> str:
    """Fill what is known of this place into a file of a pack.

    Args:
        pack: The pack, for what stands where nothing is known.
        text: The file as it is kept.
        values: What is known.

    Raises:
        UnsafeValueError: A value holds characters that mean something in configurations: letters, digits and `._:/@+=-` do
            not, nor `*` and `?` in a list.
    """

    def texts(name: str) -> tuple[str, ...]:
        value = values.get(name, pack.values[name])
        safe, each = (_SAFE, (value,)) if isinstance(value, str) else (_SAFE_IN_LIST, value)
        if not each or not all(safe.fullmatch(one) for one in each):
            raise UnsafeValueError(name)
        return each

    def filled(line: str) -> str:
        found = _VALUE.search(line)
        if found is None:
            return line
        each, (start, end) = texts(found[1]), found.span()
        return "".join(line[:start] + one + filled(line[end:]) for one in ((found[2].join(each),) if found[2] else each))

    return "".join(filled(line) for line in text.splitlines(keepends=True))
