"""Logrus records are read alike whether they are as loggers write them, which is quick, or not, and whatever came before."""

import re

from hypothesis import example, given, strategies

from kata_audit.parse.dialects.logrus import DIALECT
from kata_audit.parse.texts import unquote_go
from kata_audit.schema.severity import LOGRUS

_PAIR = re.compile(r' ?([^=]+)=("[^"\\]*(?:\\.[^"\\]*)*"|[^" ]*)|.+', re.DOTALL)
_COLUMNS = ("time", "level", "msg", "subsystem", "pid", "vmconsole")
_PIECES = strategies.sampled_from(
    (
        ' vmconsole="{\\"msg\\":\\"a\\"}"', ' vmconsole="', " vmconsole=", ' vmconsole="a" b"', " vmconsole", "a vmconsole=x",
        " name=containerd-shim-v2", " source=virtcontainers", " subsystem=qemu", " pid=7", ' error="a b"', ' error="a\\"b', " a=",
        " a=1", " a=2", " b c=d", '"', " ", "=", "\\", "\n", ' msg="again"', " level=debug", " time=now", "é", " qemuPid=3",
    )
)  # fmt: skip
_HEADS = strategies.sampled_from(
    (
        'time="2026-11-23T06:06:45Z" level=info msg="a b"', 'time="2026-11-23T06:06:45Z" level=warning msg=a',
        'time="" level=info msg="a\\tb"', 'time="a" level=info', 'time="a\\"b" level="info" msg=', 'time="a" level=x msg="a"b=c',
    )
)  # fmt: skip
_LINES = strategies.builds(lambda head, rest: head + "".join(rest), _HEADS, strategies.lists(_PIECES, max_size=7))


def _read(text: str) -> tuple[dict[str, str], bool]:
    """Read a record pair by pair: its first values, and whether it breaks off."""
    pairs = [match.groups() for match in _PAIR.finditer(text)]
    fields = {key: value for key, value in reversed(pairs) if key is not None}
    return fields, len(pairs) != sum(key is not None for key, _ in pairs)


@given(strategies.lists(_LINES, min_size=1, max_size=4))
@example(['time="a" level=info msg=b c="d vmconsole="e"'])
@example(['time="a" level=info msg=b c="d=e vmconsole="f"'])
@example(['time="a" level=info msg=b c=d vmconsole="e" f="g vmconsole="h"'])
def test_lines_are_read_pair_by_pair(lines: list[str]) -> None:
    """What stands in a line follows from its pairs alone."""
    scan = DIALECT.scan(lines, [False] * len(lines))
    relayed = dict(zip(scan.inner.rows, scan.inner.texts, strict=True)) if scan.inner else {}
    for row, line in enumerate(lines):
        fields, breaks_off = _read(line)
        assert (row in scan.malformed) is breaks_off
        assert scan.columns["time"][row] == (unquote_go(fields.get("time", "")) or None)
        assert scan.columns["severity_number"][row] == LOGRUS.get(fields.get("level", ""))
        assert scan.columns["body"][row] == unquote_go(fields.get("msg", ""))
        assert scan.columns["subsystem"][row] == fields.get("subsystem")
        assert scan.columns["pid"][row] == fields.get("pid")
        others = {key: unquote_go(value) for key, value in fields.items() if key not in _COLUMNS}
        assert scan.attributes[row] == others
        if "vmconsole" in fields:
            assert relayed[row] == unquote_go(fields["vmconsole"])
