r"""The journal's export format: blocks of fields, a blank line after each.

A field is `NAME=text\n`, or `NAME\n`, a 64-bit little-endian length, that many bytes and `\n`. Bytes of a binary field may
hold blank lines, so an end is searched for field by field once a block has such a field.

Source: systemd, "Journal Export Formats", section "Journal Export Format".
"""

import re

from kata_audit.parse.about import About

_BINARY_NAME = re.compile(rb"[^\n=]+\n")
_BINARY_LINE = re.compile(rb"\n[^\n=]+\n")
_LENGTH_BYTES = 8
_IN_TEXT = -1
"""`scanned` inside a line so long that it can only be a text field."""


def _next_field(data: bytes, position: int, longest_name: int) -> int | None:
    """Return where the field at `position` ends, or None when it is not yet whole; a line over `longest_name` is text."""
    line_end = data.find(b"\n", position)
    if line_end < 0:
        return None
    if line_end - position > longest_name or data.find(b"=", position, line_end) >= 0:
        return line_end + 1
    head_end = line_end + 1 + _LENGTH_BYTES
    if head_end > len(data):
        return None
    return head_end + int.from_bytes(data[line_end + 1 : head_end], "little") + 1


def _block_end(data: bytes, start: int, scanned: int, longest_name: int) -> tuple[int | None, int]:
    """Find the end of the block at `start`; fields before `scanned` are known to be whole.

    Returns:
        The end (None when it is not yet there) and the start of the first field that is not known to be whole, which
        may lie beyond `data`.
    """
    position = scanned
    while position < len(data):
        if data[position] == 0x0A:
            return position + 1, position + 1
        if position == start or data[position - 1] == 0x0A:
            blank = data.find(b"\n\n", position)
            if blank >= 0 and not _BINARY_NAME.match(data, position, blank + 1):
                binary = _BINARY_LINE.search(data, position, blank + 1)
                if binary is None:
                    return blank + 2, blank + 2
                position = binary.start() + 1  # every line before it is a text field
        end = _next_field(data, position, longest_name)
        if end is None:
            return None, position
        position = end
    return None, position


def scan_export(data: bytes, scanned: int, limit: int) -> tuple[list[int], int]:
    """Find where blocks end in `data`.

    Args:
        data: Bytes that begin where a block begins, or at the first field that is not known to be whole.
        scanned: Where that field begins; may lie beyond `data`, inside a binary field. -1 inside a very long text field.
        limit: A line longer than this is a text field, whatever it holds: no field's name is that long.

    Returns:
        The end of each whole block (offsets into `data`, ascending), and the new value of `scanned`.
    """
    ends: list[int] = []
    start = 0
    position = data.find(b"\n") + 1 if scanned == _IN_TEXT else scanned
    if scanned == _IN_TEXT and position == 0:
        return ends, _IN_TEXT
    while position < len(data):
        end, position = _block_end(data, start, position, limit)
        if end is None:
            break
        ends.append(end)
        start = position = end
    if len(data) - position > limit and data.find(b"\n", position) < 0:
        position = _IN_TEXT
    return ends, position


def read_fields(block: bytes) -> tuple[dict[str, str | bytes], bool]:
    """Read the fields of one block.

    Args:
        block: One whole block, with or without its blank line.

    Returns:
        The fields by name: `str` where the text is UTF-8, else `bytes`; of a name that comes twice the first is kept. And
        whether the whole block followed the grammar.
    """
    fields: dict[str, str | bytes] = {}
    position, length = 0, len(block)
    while position < length:
        line_end = block.find(b"\n", position)
        if line_end < 0:
            return fields, False
        if line_end == position:
            return fields, position + 1 == length
        equals = block.find(b"=", position, line_end)
        if equals >= 0:
            name, value = block[position:equals], block[equals + 1 : line_end]
            position = line_end + 1
        else:
            value_start = line_end + 1 + _LENGTH_BYTES
            value_end = value_start + int.from_bytes(block[line_end + 1 : value_start], "little")
            if block[value_end : value_end + 1] != b"\n":
                return fields, False
            name, value = block[position:line_end], block[value_start:value_end]
            position = value_end + 1
        try:
            text: str | bytes = value.decode()
        except UnicodeDecodeError:
            text = value
        fields.setdefault(name.decode("ascii", "backslashreplace"), text)
    return fields, True


ABOUT = About(
    producer="systemd-journald, as `journalctl -o export` and `systemd-journal-remote` write it.",
    versions="systemd 252; the form is stable.",
    examples=(
        (
            "__CURSOR=s=2c288b95c37849bc925683f6ea4657fb;i=d9;b=7b9c4d5e2f314c8a9a6e0d1c2b3a4f50;"
            "m=8a8cd061;t=660eb66122af8;x=f6aff8e151d18232\n"
            "__REALTIME_TIMESTAMP=1795414006311672\n"
            "__MONOTONIC_TIMESTAMP=2324484193\n"
            "_BOOT_ID=7b9c4d5e2f314c8a9a6e0d1c2b3a4f50\n"
            "PRIORITY=6\n"
            "_UID=0\n"
            "_GID=0\n"
            "_CAP_EFFECTIVE=1fbfcbeffff\n"
            "_SYSTEMD_SLICE=system.slice\n"
            "_MACHINE_ID=4f6a0c2b9d1e4b7f8a3c5e6d7f809112\n"
            "_HOSTNAME=worker-a\n"
            "_RUNTIME_SCOPE=system\n"
            "_TRANSPORT=stdout\n"
            "_STREAM_ID=f1b433e86c094e36a9789ac4757e8e7b\n"
            "SYSLOG_IDENTIFIER=containerd\n"
            "_PID=103\n"
            "_COMM=containerd\n"
            "_EXE=/opt/kata/bin/containerd\n"
            "_CMDLINE=/opt/kata/bin/containerd\n"
            "_SYSTEMD_CGROUP=/system.slice/containerd.service\n"
            "_SYSTEMD_UNIT=containerd.service\n"
            'MESSAGE=time="2026-11-23T06:06:46.311612280Z" level=info msg="RunPodSandbox for name'
            ':\\"web-0\\"  uid:\\"eddb1e0c-43d4-4b1e-84cc-95ff56052634\\"  namespace:\\"shop\\" returns'
            ' sandbox id \\"23964620ff9c5481a58e35a9c9e6a9b8b99bf6ee2e5525e33f50a944c175e3e1\\""'
        ),
    ),
    holes=(
        "A field that holds a newline or bytes that are no text comes with its length; the page shows an entry without one.",
        "An entry that is cut inside a field is malformed as a whole.",
    ),
    source='systemd, "Journal Export Formats"; captures.',
)
