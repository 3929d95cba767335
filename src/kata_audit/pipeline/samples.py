"""Samples of rules: raw lines that a rule must find, or must not, through everything that a line goes through.

A file of samples is JSON lines. Each sample says what is expected (`match` or `near`), a `name`, where it is `from` (a
capture, or `written`), and its lines as the source writes them, with the transport and dialect that they are declared as; or
several such `parts`. Nothing is simplified on the way: lines are split, masked, parsed, named, joined and judged as a
collector does it.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import pyarrow as pa

from kata_audit.errors import Problem
from kata_audit.parse.mask import Open, mask_onward
from kata_audit.parse.split import Held, finish, split
from kata_audit.pipeline.derive import Derive
from kata_audit.schema.record import EVIDENCE_SCHEMA, EvidenceRows, RecordRows
from kata_audit.schema.source import OWN_RECEIVER, Chunk, Source, Transport

OWN: Final = "own"
"""The transport of lines that kata-audit says itself; their dialect is the kind, `collect` where none is named."""
OBSERVED_NS: Final = 1_795_500_000_000_000_000
"""When samples are received: one moment, so that judging them again gives the same bytes."""
_MATCH, _NEAR = "match", "near"
_KEYS: Final = frozenset(("expect", "name", "from", "transport", "dialect", "lines", "parts"))
_PART_KEYS: Final = frozenset(("transport", "dialect", "lines"))


class Part(NamedTuple):
    """Lines of one source."""

    transport: str
    dialect: str | None
    lines: tuple[str, ...]


class Sample(NamedTuple):
    """One sample; `place` is its file and line, `origin` the capture it was copied from or `written`."""

    name: str
    matches: bool
    origin: str
    parts: tuple[Part, ...]
    place: str


def read_samples(data: bytes, name: str) -> tuple[list[Sample], list[Problem]]:
    """Read a file of samples.

    Args:
        data: Its bytes.
        name: What problems call it.

    Returns:
        The samples in order, and what is wrong with the others.
    """
    samples: list[Sample] = []
    problems: list[Problem] = []
    for number, line in enumerate(data.splitlines(), 1):
        place = f"{name}:{number}"
        try:
            samples.append(_sample(json.loads(line), place))
        except (_SampleError, ValueError) as error:
            problems.append(Problem(place, str(error) if isinstance(error, _SampleError) else f"not JSON: {error}"))
    return samples, problems


class _SampleError(Exception):
    """A sample is not in the form; the text says how."""


def _sample(value: Any, place: str) -> Sample:
    if not isinstance(value, dict) or not set(value) <= _KEYS:
        raise _SampleError(f"a sample is an object of {', '.join(sorted(_KEYS))}")
    if value.get("expect") not in {_MATCH, _NEAR}:
        raise _SampleError(f"`expect` must be {_MATCH} or {_NEAR}")
    for key in ("name", "from"):
        if not isinstance(value.get(key), str) or not value[key]:
            raise _SampleError(f"`{key}` must be a text")
    if ("parts" in value) == ("lines" in value):
        raise _SampleError("a sample has either `lines` or `parts`")
    parts = value["parts"] if "parts" in value else [{key: value[key] for key in _PART_KEYS & set(value)}]
    if not isinstance(parts, list) or not parts:
        raise _SampleError("`parts` must be a list")
    read = tuple(_part(part) for part in parts)
    return Sample(value["name"], value["expect"] == _MATCH, value["from"], read, place)


def _part(value: Any) -> Part:
    if not isinstance(value, dict) or not set(value) <= _PART_KEYS:
        raise _SampleError(f"a part is an object of {', '.join(sorted(_PART_KEYS))}")
    transport, dialect, lines = value.get("transport"), value.get("dialect"), value.get("lines")
    if transport != OWN and transport not in set(Transport):
        raise _SampleError(f"`transport` must be one of {', '.join([*Transport, OWN])}")
    if dialect is not None and not isinstance(dialect, str):
        raise _SampleError("`dialect` must be a text")
    if not isinstance(lines, list) or not lines or not all(isinstance(line, str) for line in lines):
        raise _SampleError("`lines` must be a list of texts")
    return Part(transport, dialect, tuple(lines))


def records_of_sample(sample: Sample, derive: Derive) -> RecordRows:
    """Take a sample's lines the whole way to records, numbered from 0 in the order of its parts."""
    evidence: list[EvidenceRows] = []
    for number, part in enumerate(sample.parts):
        evidence.extend(rows for rows in _evidence(part, number) if rows.num_rows)
    table = pa.Table.from_batches(evidence, EVIDENCE_SCHEMA).combine_chunks()
    numbered = table.set_column(0, EVIDENCE_SCHEMA.field(0), pa.array(range(len(table)), pa.uint64()))
    return derive(numbered.combine_chunks().to_batches()[0])


def _evidence(part: Part, number: int) -> list[EvidenceRows]:
    own = part.transport == OWN
    transport = Transport.HOST_FILE if own else Transport(part.transport)
    source = Source("file", "sample/node", "default", transport, None if own else part.dialect)
    data = "".join(line if line.endswith("\n") else f"{line}\n" for line in part.lines).encode("utf-8", "surrogatepass")
    chunk = Chunk(source, f"sample?{number}-0-00", 0, data, OBSERVED_NS)
    held, rows = split(Held(), chunk)
    waiting, ready = mask_onward(Open(), rows, None, in_line=held.group is not None)
    rest = mask_onward(waiting, finish(held, chunk), None, in_line=False, ended=True)[1]
    return [_as_own(one, part.dialect or "collect") if own else one for one in (ready, rest)]


def _as_own(rows: EvidenceRows, kind: str) -> EvidenceRows:
    at = rows.schema.get_field_index("receiver")
    return rows.set_column(at, rows.schema.field(at), pa.repeat(f"{OWN_RECEIVER}:{kind}", rows.num_rows))


class Outcome(NamedTuple):
    """Whether a rule did with a sample what was expected."""

    sample: Sample
    matched: bool

    @property
    def is_expected(self) -> bool:
        """Whether it matched exactly if it should."""
        return self.matched == self.sample.matches


def shortfalls(samples: Sequence[Sample], least: Mapping[bool, int]) -> list[str]:
    """Say what a rule's samples lack: so many that match, so many near misses."""
    have = {matches: sum(sample.matches is matches for sample in samples) for matches in least}
    words = {True: _MATCH, False: _NEAR}
    return [
        f"{have[kind]} samples `{words[kind]}`, at least {count} are needed"
        for kind, count in least.items()
        if have[kind] < count
    ]
