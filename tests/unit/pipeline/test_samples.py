"""Samples are read strictly, and go the whole way of a line."""

import json

import pytest
from tests.evidence import column, derive

from kata_audit.pipeline.samples import read_samples, records_of_sample, shortfalls

ONE = {"expect": "match", "name": "a line", "from": "written", "transport": "host-file", "lines": ['level=info msg="x"']}


def read(*samples: object) -> tuple[list[str], list[str]]:
    """Read samples; give their names and the problems."""
    found, problems = read_samples("".join(json.dumps(one) + "\n" for one in samples).encode(), "KA-901.jsonl")
    return [one.name for one in found], [f"{one.where}: {one.message}" for one in problems]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"expect": "maybe"}, "`expect` must be match or near"),
        ({"name": ""}, "`name` must be a text"),
        ({"from": None}, "`from` must be a text"),
        ({"transport": "pigeon"}, "`transport` must be one of"),
        ({"dialect": 7}, "`dialect` must be a text"),
        ({"lines": []}, "`lines` must be a list of texts"),
        ({"lines": [1]}, "`lines` must be a list of texts"),
        ({"parts": []}, "either `lines` or `parts`"),
        ({"other": 1}, "a sample is an object of"),
    ],
)
def test_what_is_no_sample_is_named_with_its_place(change: dict[str, object], problem: str) -> None:
    """The good ones beside it are read."""
    names, problems = read(ONE, ONE | change)

    assert names == ["a line"]
    assert len(problems) == 1
    assert problems[0].startswith("KA-901.jsonl:2: ")
    assert problem in problems[0]


def test_a_line_that_is_not_json_is_named() -> None:
    """As everything that is wrong with a file."""
    assert read_samples(b"{\n", "x.jsonl")[1][0].where == "x.jsonl:1"


def test_parts_are_records_of_their_own_sources() -> None:
    """A guest's lines stay a guest's, and what we say ourselves is ours; numbers go on from part to part."""
    own = '{"time":"2026-11-23T06:07:28Z","event":"collect.lost","severity":"ERROR","message":"Lost.","attributes":{}}'
    parts = [
        {"transport": "console", "lines": ["a", "b"]},
        {"transport": "host-file", "dialect": "klog", "lines": ["I1123 06:07:28.903288       1 server.go:1] hello"]},
        {"transport": "own", "lines": [own]},
    ]
    data = json.dumps({"expect": "near", "name": "many", "from": "written", "parts": parts}).encode()
    (sample,), _ = read_samples(data, "x")

    records = records_of_sample(sample, derive)

    assert column(records, "seq") == [0, 1, 2, 3]
    assert column(records, "origin") == ["guest", "guest", "host", "host"]
    assert column(records, "component")[-1] == "kata-audit"
    assert column(records, "body")[2] == "hello"
    assert not sample.matches


def test_secrets_in_samples_are_masked_as_anywhere() -> None:
    """A sample proves the whole way of a line."""
    line = 'level=info msg="env PASSWORD=hunter2hunter2"'
    (sample,), _ = read_samples(json.dumps(ONE | {"lines": [line]}).encode(), "x")

    assert b"hunter2" not in records_of_sample(sample, derive)["raw"][0].as_py()


def test_too_few_samples_are_counted() -> None:
    """Of each kind."""
    samples, _ = read_samples(json.dumps(ONE).encode(), "x")

    assert shortfalls(samples, {True: 1, False: 2}) == ["0 samples `near`, at least 2 are needed"]
