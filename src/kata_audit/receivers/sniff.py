"""Recognise the envelope of a file that nobody declared, once, from its first frame.

The answer holds for the whole file and is written into every record's receiver; no later line can change it (law L7). The
journal's and the kubelet's envelopes are formats that the host alone writes to files of their own; anything else is bare,
and bare text states nothing about anybody but itself.
"""

import re

from kata_audit.schema.source import Transport

_CRI = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d) std(?:out|err) [PF][: ]")
_JOURNAL_FIELDS = (b'"__CURSOR"', b'"__REALTIME_TIMESTAMP"', b'"_BOOT_ID"')


def sniff_transport(head: bytes) -> Transport:
    """Tell the transport of a file by its beginning.

    Args:
        head: The first bytes of the file, decompressed: at least its first line, where that is not too long.

    Returns:
        `JOURNAL_JSON`, `JOURNAL_EXPORT` or `CRI` where the first frame is whole and says so; else `BARE`.
    """
    line = head.partition(b"\n")[0]
    if line.startswith(b"{") and all(field in line for field in _JOURNAL_FIELDS):
        return Transport.JOURNAL_JSON
    if line.startswith(b"__CURSOR=") and b"\n__REALTIME_TIMESTAMP=" in head:
        return Transport.JOURNAL_EXPORT
    return Transport.CRI if _CRI.match(line) else Transport.BARE
