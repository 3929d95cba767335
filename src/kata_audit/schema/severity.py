"""Severities: OpenTelemetry's numbers, and the words that Kata's producers use for them.

Source: OpenTelemetry Logs Data Model, "Field: SeverityNumber" (the first number of each range).
"""

TRACE, DEBUG, INFO, WARN, ERROR, FATAL = 1, 5, 9, 13, 17, 21

TEXT_OF: dict[int, str] = {
    TRACE: "TRACE",
    DEBUG: "DEBUG",
    INFO: "INFO",
    WARN: "WARN",
    ERROR: "ERROR",
    FATAL: "FATAL",
}
"""`severity_text` of each `severity_number` that we use."""

NUMBER_OF: dict[str, int] = {text: number for number, text in reversed(TEXT_OF.items())}
"""The number of a word; of numbers that share one, the lowest."""

LOGRUS: dict[str, int] = {
    "trace": TRACE,
    "debug": DEBUG,
    "info": INFO,
    "warning": WARN,
    "warn": WARN,
    "error": ERROR,
    "fatal": FATAL,
    "panic": FATAL,
}
"""Words of Go's logrus (containerd, the Go shim, CRI-O). Source: sirupsen/logrus `Level.MarshalText`."""

SLOG: dict[str, int] = {
    "TRCE": TRACE,
    "DEBG": DEBUG,
    "INFO": INFO,
    "WARN": WARN,
    "ERRO": ERROR,
    "CRIT": FATAL,
}
"""Short words of Rust's slog (agent, runtime-rs up to 3.19). Source: slog `Level::as_short_str`."""

RUST: dict[str, int] = {"TRACE": TRACE, "DEBUG": DEBUG, "INFO": INFO, "WARN": WARN, "ERROR": ERROR}
"""Words of Rust's log and tracing (guest components, kata-deploy). Source: log `Level`, tracing `Level`."""

RUNTIME_RS_PRIORITY: dict[str, int] = {"2": FATAL, "3": ERROR, "4": WARN, "5": INFO, "6": DEBUG, "7": TRACE}
"""journald PRIORITY as runtime-rs writes it: one off from syslog's. Source: slog-journald's level map, seen in captures."""

SYSLOG_PRIORITY: dict[str, int] = {
    "0": FATAL,
    "1": FATAL,
    "2": FATAL,
    "3": ERROR,
    "4": WARN,
    "5": INFO,
    "6": INFO,
    "7": DEBUG,
}
"""journald PRIORITY of everybody else. Source: RFC 5424, table 2."""
