"""The record: one frame as received, one row; every column that a record has, defined once.

The field documentation here generates `docs/reference/schema.md`. Names follow OpenTelemetry's log data model in snake
case. Evidence columns are what a leaf commits to; derived columns can be made anew from them at any time.
"""

from enum import StrEnum
from typing import Any, NamedTuple

import pyarrow as pa

RecordRows = pa.RecordBatch
"""Rows of `RECORD_SCHEMA`, one per frame, in order (L2)."""
EvidenceRows = pa.RecordBatch
"""Rows of `EVIDENCE_SCHEMA`."""

TIME_TYPE = pa.timestamp("ns", tz="UTC")
"""A moment, in UTC."""
WORD_TYPE = pa.dictionary(pa.int32(), pa.string())
"""Few different words in many rows."""
ATTRIBUTES_TYPE = pa.map_(pa.string(), pa.string())


class ParseStatus(StrEnum):
    """How much of a record its dialect understood."""

    PARSED = "parsed"
    """A dialect understood the whole of it."""
    ENVELOPE = "envelope"
    """The envelope was understood; its text follows no grammar and stands in `body`."""
    PLAIN = "plain"
    """No grammar at all: the text stands in `body`."""
    MALFORMED = "malformed"
    """It claims a grammar and breaks it; what could be read is filled."""
    FRAGMENT = "fragment"
    """A piece of a longer line: see `frame_group`; the joined text stands on the last piece."""


class RetentionClass(StrEnum):
    """What a record is kept for; decided once, at the cut; by precedence, first match wins."""

    SECURITY = "security"
    ACCESS = "access"
    REVIEW = "review"
    AUDIT = "audit"
    DEBUG = "debug"
    WORKLOAD = "workload"
    OPERATIONAL = "operational"


class Component(StrEnum):
    """The program that wrote the innermost record."""

    RUNTIME_GO = "runtime-go"
    RUNTIME_RS = "runtime-rs"
    AGENT = "agent"
    GUEST_KERNEL = "guest-kernel"
    GUEST_SYSTEMD = "guest-systemd"
    QEMU = "qemu"
    CLOUD_HYPERVISOR = "cloud-hypervisor"
    FIRECRACKER = "firecracker"
    DRAGONBALL = "dragonball"
    STRATOVIRT = "stratovirt"
    OPENVMM = "openvmm"
    VIRTIOFSD = "virtiofsd"
    NYDUSD = "nydusd"
    GUEST_COMPONENTS = "guest-components"
    CONTAINERD = "containerd"
    CRIO = "crio"
    KUBELET = "kubelet"
    KUBE_APISERVER = "kube-apiserver"
    KATA_MONITOR = "kata-monitor"
    KATA_CTL = "kata-ctl"
    KATA_DEPLOY = "kata-deploy"
    TRACE_FORWARDER = "trace-forwarder"
    JOURNALD = "journald"
    HOST_KERNEL = "host-kernel"
    AUDITD = "auditd"
    SHIM_V1 = "shim-v1"
    PROXY = "proxy"
    KATA_AUDIT = "kata-audit"
    OTHER = "other"


class Column(NamedTuple):
    """One column: its Arrow type, who fills it, and what it means."""

    name: str
    type: Any
    kind: str
    doc: str


EVIDENCE = (
    Column(
        "seq",
        pa.uint64(),
        "evidence",
        "Number of the record in this log, from 0 for ever. `<origin>/<seq>` is its name.",
    ),
    Column("observed_timestamp", TIME_TYPE, "evidence", "When we received the bytes, by our clock."),
    Column(
        "node",
        pa.string(),
        "evidence",
        "`<cluster>/<node name>` of the machine whose log this is, as declared.",
    ),
    Column(
        "receiver",
        pa.string(),
        "evidence",
        "What took it in: `<receiver>:<transport>`. The origin follows from it.",
    ),
    Column(
        "cursor",
        pa.string(),
        "evidence",
        "Place in the source: `<stream>@<offset>+<length>`; a piece of a longer line ends in `~<offset of the line>`.",
    ),
    Column("raw", pa.large_binary(), "evidence", "The frame as received with its line end, secrets masked."),
    Column("tenant", pa.string(), "routing", "Whose record it is, from the receiver's configuration."),
)
EVIDENCE_SCHEMA: pa.Schema = pa.schema([(column.name, column.type) for column in EVIDENCE])
"""What the spool holds. The leaf commits to the columns of kind `evidence`, in this order."""

DERIVED = (
    Column("timestamp", TIME_TYPE, "derived", "When it happened: the host's clock wherever a host record carried it."),
    Column("timestamp_basis", WORD_TYPE, "derived", "Whose clock `timestamp` is: host, journal, guest or observed."),
    Column(
        "guest_timestamp",
        TIME_TYPE,
        "derived",
        "The guest's own clock, where the innermost record carries one. A claim.",
    ),
    Column(
        "severity_number",
        pa.uint8(),
        "derived",
        "OpenTelemetry severity of the innermost record: 1, 5, 9, 13, 17, 21.",
    ),
    Column("severity_text", WORD_TYPE, "derived", "TRACE, DEBUG, INFO, WARN, ERROR or FATAL."),
    Column("body", pa.large_string(), "derived", "The message of the innermost record, unescaped. Hostile text."),
    Column("event_name", WORD_TYPE, "derived", "Name of the event, where the message is a known one."),
    Column(
        "origin",
        WORD_TYPE,
        "derived",
        "Who wrote the innermost text: host, guest or unknown. Structural, never from content.",
    ),
    Column("component", WORD_TYPE, "derived", "The program that wrote the innermost record."),
    Column("subsystem", WORD_TYPE, "derived", "The part of that program, in its own words."),
    Column(
        "pid",
        pa.int64(),
        "derived",
        "Process id that the innermost record states; a guest's own for guest records.",
    ),
    Column("boot_id", WORD_TYPE, "derived", "The host's boot, from the journal."),
    Column(
        "exec_id",
        pa.string(),
        "derived",
        "Exec id as stated. Host and agent use different ones for the same exec.",
    ),
    Column("actor", pa.string(), "derived", "Who asked for it, for audit events; `unknown` where no source tells."),
    Column("actor_source", WORD_TYPE, "derived", "Where `actor` comes from: api-audit, host, or none."),
    Column("actor_confidence", WORD_TYPE, "derived", "How sure it is: stated, certain, likely, possible or none."),
    Column("action", WORD_TYPE, "derived", "What was done, for audit events: a word of the list below."),
    Column("object", pa.string(), "derived", "To what, for audit events."),
    Column("outcome", WORD_TYPE, "derived", "success, failure, denied or unknown, for audit events."),
    Column(
        "attributes",
        ATTRIBUTES_TYPE,
        "derived",
        "Every other key that the record states; the relays' own under `relay.*`.",
    ),
    Column("dialect", WORD_TYPE, "derived", "The grammars it was read by, outermost first, joined by `/`."),
    Column("parse_status", WORD_TYPE, "derived", "parsed, envelope, plain, malformed or fragment."),
    Column("frame_group", pa.string(), "derived", "Equal for the pieces of one longer line."),
    Column("copy_key", pa.uint64(), "derived", "Equal for the copies of one record; counts use distinct keys."),
    Column(
        "fold_key",
        pa.uint64(),
        "derived",
        "Equal for records that tell of one event: stages of an API request, relays of one exit. A story folds them.",
    ),
    Column("mask_count", pa.uint32(), "derived", "How many secrets were masked in it."),
    Column(
        "class",
        WORD_TYPE,
        "derived",
        "Retention class: security, access, review, audit, debug, workload or operational.",
    ),
)
IDENTITY = (
    Column("sandbox_id", pa.string(), "identity", "The Kata sandbox, as this record states it."),
    Column("container_id", pa.string(), "identity", "The container, as this record states it."),
    Column("k8s_namespace", pa.string(), "identity", "Kubernetes namespace of the pod."),
    Column("k8s_pod", pa.string(), "identity", "Name of the pod."),
    Column("k8s_pod_uid", pa.string(), "identity", "UID of the pod."),
    Column("k8s_container", pa.string(), "identity", "Name of the container in its pod."),
    Column("image", pa.string(), "identity", "Image of the container."),
    Column("runtime_class", pa.string(), "identity", "Runtime handler of the sandbox."),
    Column(
        "identity_basis",
        WORD_TYPE,
        "identity",
        "Where the identity was stated: cri, shim, source, cgroup, cmdline, path, text, api; finding: repeated by one.",
    ),
)
POSITION = (
    Column("batch", pa.uint64(), "position", "Number of the batch that commits to it."),
    Column("index", pa.uint32(), "position", "Its leaf's index in that batch."),
)
COLUMNS = (*EVIDENCE, *DERIVED, *IDENTITY, *POSITION)
RECORD_SCHEMA: pa.Schema = pa.schema([(column.name, column.type) for column in COLUMNS])
"""A record with all its columns. `batch` and `index` are null until sealed."""

LEAF_COLUMNS = tuple(column.name for column in EVIDENCE if column.kind == "evidence")
IDENTITY_COLUMNS = tuple(column.name for column in IDENTITY)
DERIVED_COLUMNS = tuple(column.name for column in (*DERIVED, *IDENTITY))
