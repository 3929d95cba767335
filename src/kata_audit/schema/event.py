"""Words of audit events: what was done, how it went, who asked, and how sure that is.

An audit event is a record with `action`: a catalogue entry or a dialect filled it. `object` says to what.
"""

from enum import StrEnum


class Action(StrEnum):
    """What was done to a sandbox, a container, a process, or to what they stand on."""

    CREATE = "create"
    START = "start"
    STOP = "stop"
    KILL = "kill"
    PAUSE = "pause"
    RESUME = "resume"
    DELETE = "delete"
    EXIT = "exit"
    UPDATE = "update"
    READ = "read"
    EXEC = "exec"
    ATTACH = "attach"
    PORT_FORWARD = "port-forward"
    DEBUG_SHELL = "debug-shell"
    MOUNT = "mount"
    UNMOUNT = "unmount"
    COPY_FILE = "copy-file"
    ATTACH_DEVICE = "attach-device"
    DETACH_DEVICE = "detach-device"
    SET_NETWORK = "set-network"
    SET_POLICY = "set-policy"
    CHECK_POLICY = "check-policy"
    LOAD_CONFIG = "load-config"
    LOAD_MODULE = "load-module"
    CALL = "call"
    CONNECT = "connect"
    PULL_IMAGE = "pull-image"
    ATTEST = "attest"
    RUN_HOOK = "run-hook"
    CRASH = "crash"
    OOM = "oom"
    LOSE_RECORDS = "lose-records"


JOINED = frozenset({Action.EXEC, Action.ATTACH, Action.PORT_FORWARD, Action.CREATE, Action.DELETE})
"""Actions that a node does because a user asked the API server for just that."""


class Outcome(StrEnum):
    """How it went. An attempt whose end no record tells is `unknown`."""

    SUCCESS = "success"
    FAILURE = "failure"
    DENIED = "denied"
    UNKNOWN = "unknown"


class ActorSource(StrEnum):
    """Where an actor comes from."""

    API_AUDIT = "api-audit"
    """An event of the API server's audit log: this record's own, or one joined by pod, container and time."""
    HOST = "host"
    """A record of the host that names a user."""
    NONE = "none"
    """No source at hand tells: the actor is `unknown`."""


class Confidence(StrEnum):
    """How sure an actor is."""

    STATED = "stated"
    """The record itself says it."""
    CERTAIN = "certain"
    """Requests of one user, and of no other, fit pod, container, command and time."""
    LIKELY = "likely"
    """Requests of one user fit pod, container and time; the command is not told on both sides, or told by a guest."""
    POSSIBLE = "possible"
    """Requests of several users fit; this user's is nearest in time."""
    NONE = "none"
    """None fits."""


UNKNOWN_ACTOR = "unknown"
"""`actor` of an audit event whose actor no source tells."""
