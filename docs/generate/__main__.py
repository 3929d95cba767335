"""Write every generated page of the reference: `make docs`, or `python docs/generate`.

A generator is a module beside this one. It has `render()`, and says where that goes: `PAGE` for one page's text, or
`FOLDER` for texts by file name; pages that a folder no longer needs are removed.
"""

import runpy
from pathlib import Path

GENERATORS = sorted(path for path in Path(__file__).parent.glob("*.py") if path.name != Path(__file__).name)


def write_pages(generator: Path) -> None:
    """Run one generator and write what it renders."""
    names = runpy.run_path(str(generator))
    rendered = names["render"]()
    if "PAGE" in names:
        names["PAGE"].write_text(rendered, encoding="utf-8")
        return
    folder: Path = names["FOLDER"]
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.md"):
        if old.name not in rendered:
            old.unlink()
    for name, text in rendered.items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    for each in GENERATORS:
        write_pages(each)
