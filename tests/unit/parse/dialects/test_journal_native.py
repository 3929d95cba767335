"""runtime-rs's own journal entries, where their fields are not as its logging crate writes them."""

import pytest
from tests.evidence import attributes, derive, evidence, journal_entry, row
from tests.mutations import json_mutations

from kata_audit.schema.source import Transport

SANDBOX = "d664cc7466e62f73a5d3d832385b5ddf3a1e77f536d34bee783de267b2c21f0d"
NATIVE = {"NAME": "kata-runtime", "_TRANSPORT": "journal", "SYSLOG_IDENTIFIER": "kata", "MESSAGE": "m", "PRIORITY": "5"}


@pytest.mark.parametrize(("priority", "severity"), [("5", 9), (["5", "6"], None), ({"5": 6}, None), (None, None)])
def test_a_priority_that_comes_twice_is_none(priority: object, severity: int | None) -> None:
    """journald's JSON writes a list where a field was sent twice: two levels are no level, and no line is lost."""
    line = journal_entry(**{**NATIVE, "PRIORITY": priority})
    records = derive(evidence(line.encode() + b"\n", Transport.JOURNAL_JSON))

    assert row(records, "dialect", "body", "severity_number") == ("journal/journal-native", "m", severity)


def test_a_source_that_is_no_sandbox_states_none() -> None:
    """What the kernel told journald of the process is then the basis of the row's identity."""
    cgroup = f"/kata_overhead/{SANDBOX}"
    lines = [journal_entry(**NATIVE, SOURCE=source, _SYSTEMD_CGROUP=cgroup) for source in (SANDBOX, "no id")]
    records = derive(evidence("\n".join(lines).encode(), Transport.JOURNAL_JSON))

    assert row(records, "sandbox_id", "identity_basis") == (SANDBOX, "source")
    assert row(records, "sandbox_id", "identity_basis", at=1) == (SANDBOX, "cgroup")


def test_fields_without_a_column_are_kept_in_lower_case() -> None:
    """Columns and journald's own fields are no attributes."""
    line = journal_entry(**NATIVE, SOURCE=SANDBOX, VCPU="2", _COMM="x")

    assert attributes(derive(evidence(line.encode() + b"\n", Transport.JOURNAL_JSON))) == {"vcpu": "2"}


def test_changed_entries_are_read_right_or_marked() -> None:
    """Whole ones say the same, with new fields beside it; of torn ones nothing but their text is kept."""
    entry = journal_entry(**NATIVE, SOURCE=SANDBOX, SUBSYSTEM="hypervisor", _PID="7")
    said = ("dialect", "parse_status", "body", "component", "severity_number", "sandbox_id", "subsystem", "pid")
    whole = row(derive(evidence(entry.encode() + b"\n", Transport.JOURNAL_JSON)), *said)
    for kind, changed in json_mutations(entry, seed=6):
        read = row(derive(evidence(changed.encode() + b"\n", Transport.JOURNAL_JSON)), *said)

        if kind == "torn":
            assert read[1:] == ("malformed", changed, None, None, None, None, None), kind
        else:
            assert read == whole, kind
    assert whole[:3] == ("journal/journal-native", "parsed", "m")
