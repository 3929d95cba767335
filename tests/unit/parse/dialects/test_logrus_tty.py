"""logrus on a terminal: the text is filled up to its pairs."""

import pytest
from tests.mutations import pair_mutations

from kata_audit.parse.dialects.logrus_tty import DIALECT
from kata_audit.parse.dialects.registry import route

ANNOUNCE = "INFO[0000] announce                                       app=kata-monitor arch=amd64 version=0.3.0"
COLOURED = '\x1b[33mWARN\x1b[0m[0012] cannot monitor /run/vc/sbs, retry in 60 sec.   \x1b[33merror\x1b[0m="no such file or directory" \x1b[33mname\x1b[0m=kata-monitor \x1b[33mpid\x1b[0m=17062 '


def test_a_line_is_text_and_pairs() -> None:
    """Values are unquoted; the program is what `app` or `name` says; seconds count from its start."""
    scan = DIALECT.scan([ANNOUNCE, COLOURED, "FATA[0001] listen tcp: address 99999: invalid port"], [False] * 3)

    assert scan.malformed == []
    assert scan.columns["body"] == [
        "announce",
        "cannot monitor /run/vc/sbs, retry in 60 sec.",
        "listen tcp: address 99999: invalid port",
    ]
    assert scan.columns["severity_number"] == [9, 13, 21]
    assert scan.columns["component"] == ["kata-monitor", "kata-monitor", None]
    assert scan.columns["pid"] == [None, "17062", None]
    assert scan.attributes[0] == {"app": "kata-monitor", "arch": "amd64", "version": "0.3.0", "elapsed": "0000"}
    assert scan.attributes[1] == {"error": "no such file or directory", "name": "kata-monitor", "elapsed": "0012"}
    assert route([ANNOUNCE, COLOURED]) == {"logrus-tty": [0, 1]}


def test_a_text_that_holds_a_pair_stays_whole() -> None:
    """Pairs are read only where they reach the line's end."""
    scan = DIALECT.scan(["INFO[0000] set  a=1 and more", "INFO[0000] x  a=1 a=2"], [False, False])

    assert scan.columns["body"] == ["set  a=1 and more", "x  a=1 a=2"]
    assert scan.attributes == [{"elapsed": "0000"}, {"elapsed": "0000"}]


def test_a_line_of_the_next_version_is_read_or_marked() -> None:
    """New pairs are attributes and move none of the others; a torn line gives no value that is not in it."""
    for kind, text in pair_mutations(ANNOUNCE, seed=29):
        if "logrus-tty" not in route([text]):
            assert kind == "torn"
            continue
        scan = DIALECT.scan([text], [False])
        if kind != "torn":
            assert scan.columns["body"] == ["announce"]
            assert scan.columns["component"] == ["kata-monitor"]
            assert scan.attributes[0]["version"] == "0.3.0"
        for key, value in scan.attributes[0].items():
            assert key == "elapsed" or f"{key}=" in text
            assert value in text or "\\" in text


@pytest.mark.parametrize(
    "text", ["INFO[00] x", "INFO[abcd] x", "INFORM[0000] x", "INFO [0000] x", "INFO[0000", "INFO[0000]" + "  a=" * 100_000]
)
def test_hostile_and_other_lines_end(text: str) -> None:
    """Either no line of this logger, or read in one pass with its text whole."""
    if "logrus-tty" in route([text]):
        assert DIALECT.scan([text], [False]).columns["body"] == [text[11:]]
