"""The reference says what the code is: every command, column, error and exit code, and every generated page is current."""

import importlib
import importlib.metadata
import re
import runpy
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import kata_audit
from kata_audit import errors
from kata_audit.schema.record import COLUMNS

REPOSITORY = Path(__file__).resolve().parents[2]
REFERENCE = REPOSITORY / "docs" / "reference"
GENERATORS: list[Path] = runpy.run_path(str(REPOSITORY / "docs" / "generate"))["GENERATORS"]


def command_tree() -> click.Group:
    """Find the one group that holds every command."""
    module = importlib.import_module("kata_audit.cli.main")
    groups = [thing for thing in vars(module).values() if isinstance(thing, click.Group)]
    assert len(groups) == 1
    return groups[0]


def commands(group: click.Group, context: click.Context, path: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    """Walk the commands, each with the words a person types."""
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        words = (*path, name)
        if isinstance(command, click.Group):
            yield from commands(command, context, words)
        else:
            yield " ".join(words), command


def all_commands() -> list[tuple[str, click.Command]]:
    """List every command that does something."""
    group = command_tree()
    return list(commands(group, click.Context(group)))


def long_options(command: click.Command) -> set[str]:
    """List the long options of a command that its help shows."""
    return {
        option
        for parameter in command.params
        if isinstance(parameter, click.Option) and not parameter.hidden
        for option in parameter.opts
        if option.startswith("--")
    }


@pytest.mark.parametrize("generator", GENERATORS, ids=lambda path: path.stem)
def test_a_generated_page_is_current(generator: Path) -> None:
    """`make docs` would change nothing."""
    names = runpy.run_path(str(generator))
    if "FOLDER" in names:
        assert {page.name: page.read_text() for page in names["FOLDER"].glob("*.md")} == names["render"]()
    else:
        assert names["PAGE"].read_text() == names["render"]()


def test_every_column_is_documented() -> None:
    """A person finds each column of a record in the reference."""
    page = (REFERENCE / "schema.md").read_text()

    assert [column.name for column in COLUMNS if f"| `{column.name}` |" not in page] == []


def test_every_error_and_exit_code_is_documented() -> None:
    """A person who sees an error or a status finds it in the reference."""
    page = (REFERENCE / "errors.md").read_text()
    classes = [thing for thing in vars(errors).values() if isinstance(thing, type) and issubclass(thing, Exception)]

    assert [kind.__name__ for kind in classes if f"`{kind.__name__}` |" not in page] == []
    codes = {kind.exit_code for kind in classes if issubclass(kind, errors.KataAuditError)}
    assert [code for code in sorted({0, 1, *codes}) if f"| `{code}` |" not in page] == []


def test_every_command_is_documented() -> None:
    """A person finds each command under its own heading, with each of its options."""
    page = (REFERENCE / "commands.md").read_text()
    sections = {
        match["name"]: match["body"]
        for match in re.finditer(
            r"^#{2,4} `?(?:kata-audit )?(?P<name>[a-z -]+?)`?\n(?P<body>.*?)(?=^#|\Z)", page, re.MULTILINE | re.DOTALL
        )
    }
    missing = {
        name: sorted(option for option in long_options(command) if option not in sections.get(name, ""))
        for name, command in all_commands()
    }

    assert [name for name in missing if name not in sections] == []
    assert {name: options for name, options in missing.items() if options} == {}


def test_every_command_has_help() -> None:
    """Each command says in its own help what it does."""
    assert [name for name, command in all_commands() if not command.help] == []


def test_one_version_everywhere() -> None:
    """The package, its metadata and the top of the changelog name one version."""
    top = re.search(r"^## \[(?P<version>[^]]+)\]", (REPOSITORY / "CHANGELOG.md").read_text(), re.MULTILINE)

    assert top is not None
    assert top["version"] == kata_audit.__version__ == importlib.metadata.version("kata-audit")


def test_the_changelog_says_what_changed_on_disk_first() -> None:
    """An operator reads the **Format** section before any other."""
    text = (REPOSITORY / "CHANGELOG.md").read_text()
    release = re.split(r"^## ", text, flags=re.MULTILINE)[1]

    assert re.findall(r"^### (\w+)", release, re.MULTILINE)[0] == "Format"
