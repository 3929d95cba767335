"""Files of the rules that are shipped, and of their samples, as bytes."""

from collections.abc import Iterator
from importlib import resources
from importlib.resources.abc import Traversable

SAMPLES = "samples"
"""The folder of samples; every other holds rules of one area."""


def rule_files() -> list[tuple[str, bytes]]:
    """Give every rule file, named `<area>/<file>`, in order of names."""
    return sorted(
        (f"{area.name}/{file.name}", file.read_bytes())
        for area in resources.files("kata_audit.rules").iterdir()
        if area.is_dir() and area.name != SAMPLES
        for file in _files(area, ".yml")
    )


def sample_files() -> dict[str, bytes]:
    """Give every file of samples by the name of its rule."""
    folder = resources.files("kata_audit.rules") / SAMPLES
    found = _files(folder, ".jsonl") if folder.is_dir() else ()
    return {file.name.removesuffix(".jsonl"): file.read_bytes() for file in found}


def _files(folder: Traversable, ending: str) -> Iterator[Traversable]:
    return (file for file in folder.iterdir() if file.is_file() and file.name.endswith(ending))
