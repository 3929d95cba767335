"""What journald's own fields say of an entry: its transport, and what they hold beside the message."""

import pytest
from tests.evidence import attributes, column, derive, evidence, journal_entry, read_text, row

from kata_audit.schema.source import Transport


@pytest.mark.parametrize(
    ("fields", "dialect", "component"),
    [
        ({"_TRANSPORT": "kernel", "SYSLOG_IDENTIFIER": "kernel", "MESSAGE": "x"}, "journal/host-kernel", "host-kernel"),
        ({"_TRANSPORT": "audit", "SYSLOG_IDENTIFIER": "audit", "MESSAGE": "AVC avc:  denied"}, "journal/auditd", "auditd"),
        ({"_TRANSPORT": "driver", "SYSLOG_IDENTIFIER": "systemd-journald", "MESSAGE": "x"}, "journal/journald", "journald"),
        ({"_TRANSPORT": "kernel", "SYSLOG_IDENTIFIER": "systemd", "MESSAGE": "x"}, "journal", "other"),
        ({"_TRANSPORT": "kernel", "SYSLOG_IDENTIFIER": "systemd-journald", "MESSAGE": "x"}, "journal/journald", "journald"),
        ({"_TRANSPORT": "kernel", "MESSAGE": "A panic occurred at x"}, "journal/host-kernel", "runtime-rs"),
        ({"_TRANSPORT": ["kernel"], "SYSLOG_IDENTIFIER": ["kernel"], "MESSAGE": "x"}, "journal", None),
    ],
)  # fmt: skip
def test_journalds_own_word_names_the_dialect(fields: dict[str, object], dialect: str, component: str | None) -> None:
    """`_TRANSPORT` is trusted: no program can make its lines the kernel's, audit's or journald's."""
    records = derive(evidence((journal_entry(**fields) + "\n").encode(), Transport.JOURNAL_JSON))

    assert row(records, "dialect", "component") == (dialect, component)


def test_fields_of_an_audit_entry_fold_with_its_line_in_auditds_file() -> None:
    """One event of the audit system is one event, whichever log it is read from."""
    fields = {
        "_TRANSPORT": "audit",
        "_AUDIT_ID": "456",
        "_AUDIT_TYPE_NAME": "AVC",
        "_SOURCE_REALTIME_TIMESTAMP": "1700000000123000",
    }
    journal = derive(evidence((journal_entry(**fields, MESSAGE="AVC avc:  denied") + "\n").encode(), Transport.JOURNAL_JSON))
    file = read_text("type=AVC msg=audit(1700000000.123:456): avc:  denied")

    assert column(journal, "fold_key") == column(file, "fold_key") != [None]
    assert (attributes(journal)["audit.serial"], attributes(journal)["audit.type"]) == ("456", "AVC")


def test_journald_tells_in_fields_what_it_dropped() -> None:
    """The number and the unit come from the entry, whose fields nobody else can set."""
    fields = {"_TRANSPORT": "driver", "N_DROPPED": "173433", "OBJECT_SYSTEMD_UNIT": "containerd.service"}
    message = "Suppressed 173433 messages from containerd.service"
    records = derive(evidence((journal_entry(**fields, MESSAGE=message) + "\n").encode(), Transport.JOURNAL_JSON))

    stated = {"count": "173433", "systemd.unit": "containerd.service"}
    assert attributes(records) | stated == attributes(records)


@pytest.mark.parametrize("name", ["PRIORITY", "_PID", "_BOOT_ID", "MESSAGE_ID", "N_DROPPED", "MESSAGE"])
@pytest.mark.parametrize("transport", ["stdout", "driver", "kernel"])
def test_a_field_that_is_nested_deep_stops_nothing(name: str, transport: str) -> None:
    """journald writes none: the field states nothing, and the entry is a row."""
    fields = {"_TRANSPORT": transport, "SYSLOG_IDENTIFIER": "kernel", "MESSAGE": "systemd-journald[7]: x", name: "?"}
    line = journal_entry(**fields).replace('"?"', '{"a":' * 1_005 + "1" + "}" * 1_005)
    records = derive(evidence(f"{line}\n".encode(), Transport.JOURNAL_JSON))

    read = "envelope" if (name, transport) == ("MESSAGE", "stdout") else "parsed"
    assert row(records, "origin", "severity_number", "parse_status") == ("host", None, read)
