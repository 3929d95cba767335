"""Events that kubectl printed."""

import pytest
from tests.mutations import word_mutations

from kata_audit.parse.dialects.kubectl_events import DIALECT
from kata_audit.schema.severity import INFO, WARN

LINES = [
    DIALECT.about.examples[0],
    "  Warning  BackOff    3s (x4 over 40s)  kubelet, worker-a  Back-off restarting failed container",
]


def test_an_event_has_a_level_a_message_and_a_source() -> None:
    """Normal is info; there is no time, for the age is of the moment of printing."""
    scan = DIALECT.scan(LINES, [False, False])

    assert scan.columns["severity_number"] == [INFO, WARN]
    assert scan.columns["body"] == ["Container image already present on machine", "Back-off restarting failed container"]
    assert scan.columns["component"] == ["kubelet", "kubelet"]
    assert scan.attributes[1] == {"reason": "BackOff", "age": "3s (x4 over 40s)", "source": "kubelet, worker-a"}
    assert "time" not in scan.columns
    assert scan.malformed == []


@pytest.mark.parametrize("line", LINES)
def test_mutations_are_read_right_or_marked(line: str) -> None:
    """Whatever is torn, swapped or put in: a value stands where it belongs, or the whole is marked."""
    for kind, text in word_mutations(line, seed=3):
        scan = DIALECT.scan([text], [False])
        if scan.malformed:
            assert scan.columns["body"] == [text], kind
            assert scan.attributes == [{}]
        else:
            assert text.endswith(scan.columns["body"][0]), kind
            assert scan.attributes[0]["age"][0] in "0123456789<", kind
            assert scan.attributes[0]["source"].split(",")[0] in ("kubelet", *scan.attributes[0]["source"].split(","))
