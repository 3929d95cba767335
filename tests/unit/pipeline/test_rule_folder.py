"""Rule files of a folder, and what checking them asks of samples beside them."""

from pathlib import Path

import orjson
import pytest
import yaml
from tests.unit.detect.sigma.test_check import EVENTS, RULE

from kata_audit.errors import InputMissingError, RulesError
from kata_audit.pipeline.rule_folder import Shipped, check, read_file, read_folder


def sample(number: int, **other: object) -> bytes:
    """Write one sample; odd ones match."""
    expect = "match" if number % 2 else "near"
    return orjson.dumps(
        {"expect": expect, "name": f"s{number}", "transport": "cri", "from": "written", "lines": ["x"], **other}
    )


def told(folder: Path, content: bytes | None, shipped: dict[str, bytes] | None = None, samples: str = "samples") -> str:
    """Check a rule with a file of samples beside it; give what is wrong."""
    file = folder / "policy" / "KA-001-a.yml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(yaml.safe_dump(RULE))
    if content is not None:
        (folder / samples).mkdir(exist_ok=True)
        (folder / samples / "KA-001.jsonl").write_bytes(content)
    try:
        check([(str(file), read_file(file))], Shipped([], shipped or {}), {}, EVENTS, only_own=True)
    except RulesError as error:
        return error.diagnostics()
    return ""


GOOD = b"\n".join(map(sample, range(4)))


@pytest.mark.parametrize("samples", ["samples", "policy/samples"])
def test_samples_lie_beside_rules(tmp_path: Path, samples: str) -> None:
    """Samples are found beside the rule or beside its folder; those of a shipped rule of that name do not count."""
    assert not told(tmp_path, GOOD, samples=samples)
    assert "There is no file of samples, `samples/KA-001.jsonl`." in told(tmp_path / samples, None, {"KA-001": GOOD})


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "0 samples `match`, at least 2 are needed"),
        (b"\n".join(map(sample, range(3))), "1 samples `match`, at least 2 are needed"),
        (GOOD + b"\n{", "samples/KA-001.jsonl: 5: not JSON"),
        (GOOD + b"\n" + sample(5, expect="often"), "samples/KA-001.jsonl: 5: `expect` must be match or near"),
    ],
)
def test_samples_are_seen(tmp_path: Path, content: bytes, words: str) -> None:
    """A rule of ours has two samples of each kind, each well formed; what is wrong is told at the rule."""
    text = told(tmp_path, content)

    assert words in text
    assert f"{tmp_path}/policy/KA-001-a.yml:" in text


def test_a_folder_is_read_in_order(tmp_path: Path) -> None:
    """Both endings, folders below, nothing hidden; a file is read no further than one byte more than it may have."""
    for name in ("b.yml", "a.yaml", "below/c.yml", ".d.yml", "..data/e.yml", "f.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "dir.yml").mkdir()

    assert [content.decode() for _, content in read_folder(tmp_path)] == ["a.yaml", "b.yml", "below/c.yml"]
    (tmp_path / "big.yml").write_bytes(b"#" * (1 << 20))
    assert len(read_file(tmp_path / "big.yml")) == (256 << 10) + 1
    with pytest.raises(InputMissingError):
        read_file(tmp_path / "absent.yml")
    with pytest.raises(InputMissingError):
        read_folder(tmp_path / "absent")
