"""Checks of one runtime class: whether it loads, what it logs, and how far it is open."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from kata_audit.node.check import (
    Answer,
    Evidence,
    Node,
    blind,
    failed,
    kernel_parameters,
    of_classes,
    passed,
    setting_of,
    shown,
    spelled,
    warned,
)
from kata_audit.node.keys import Release, Runtime
from kata_audit.node.layout import RuntimeClass
from kata_audit.node.merge import DROP_IN_DIRECTORY

_AGENT_LEVELS: Final = frozenset(["fatal", "panic", "critical", "error", "warn", "warning", "info", "debug", "trace"])
"""What `agent.log=` may say; anything else ends the agent at its start. Source: Kata `src/agent/src/config.rs`."""
QUIET: Final = frozenset(["fatal", "panic", "critical", "error", "warn", "warning"])
"""Levels at which the agent's record of commands, which is at info, is not written."""
_TAKEOVER: Final = (
    "init", "rdinit", "systemd.unit", "systemd.debug_shell", "single", "rd.break", "agent.devmode", "agent.config_file",
    "agent.server_addr",
)  # fmt: skip
"""Kernel parameters that hand the guest to whoever sets them."""
_KATA_UNIT: Final = "kata-containers.target"
_RISKY_ANNOTATIONS: Final = frozenset(
    [
        "path",
        "kernel",
        "image",
        "initrd",
        "firmware",
        "jailer_path",
        "ctlpath",
        "virtio_fs_daemon",
        "virtio_fs_extra_args",
        "shared_fs",
        "guest_hook_path",
        "entropy_source",
        "machine_accelerators",
        "file_mem_backend",
        "vhost_user_store_path",
        "pflashes",
    ]
)
"""Annotations by which a pod names files or programs of the host. Source: CVE-2020-27151 and its like."""
_GLOB: Final = re.compile(r"[*?\[]")
_PLAIN_NAME: Final = re.compile(r"[a-z0-9_]+")
"""An annotation as it should be listed: the list holds patterns, and a plain name is one that fits itself alone."""


def _loads(node: Node) -> list[Answer]:
    answers = []
    for one in node.layout.classes:
        name = one.handler.name
        if one.base_file is None:
            said = f"Its configuration file was not found: {one.config_path or one.config_by}."
            answers.append(failed(said, Evidence(one.handler.file, None, f"handler {name}"), subject=name))
        elif one.merged is not None and one.merged.error is not None:
            path, _, why = one.merged.error.partition(": ")
            if why.startswith("cannot be read: "):
                said = f"Whether it loads cannot be told: a file {why}."
                answers.append(blind(said, Evidence(path, None, why), subject=name))
                continue
            answers.append(failed(f"No sandbox of it can start: {why}.", Evidence(path, None, why), subject=name))
        else:
            answers.append(passed("It loads.", Evidence(one.base_file, None, "base file"), subject=name))
    return answers


def _ignored_keys(_: Node, one: RuntimeClass) -> Answer:
    warnings = one.merged.warnings if one.merged is not None else ()
    if warnings:
        places = [Evidence(path, None, text) for path, _, text in (warning.partition(": ") for warning in warnings)]
        return warned("It sets keys that nobody reads.", *places)
    return passed("Every key that a drop-in sets is read.")


def _ignored_drop_ins(_: Node, one: RuntimeClass) -> Answer | None:
    if one.present and not one.drop_ins_read:
        where = f"{one.directory}/{DROP_IN_DIRECTORY}"
        return failed(f"Release {one.release.release} reads no drop-ins.", Evidence(where, None, ", ".join(one.present)))
    return passed("Its drop-ins are read.") if one.present else None


def _one_hypervisor(_: Node, one: RuntimeClass) -> Answer:
    if len(one.hypervisors) > 1 and one.shim.runtime is Runtime.GO:
        return failed(
            f"Which hypervisor runs is chance: {', '.join(one.hypervisors)}.", Evidence(one.base_file or "", None, "")
        )
    return passed(f"Its hypervisor is {one.hypervisors[0]}." if one.hypervisors else "It names no hypervisor.")


def _own_directory(_: Node, one: RuntimeClass) -> Answer:
    if one.shared_with:
        others = ", ".join(one.shared_with)
        return warned(f"A drop-in for it reaches {others} too.", Evidence(one.directory or "", None, "shared directory"))
    return passed("No other class reads its directory.", Evidence(one.directory or "", None, ""))


def _stray_drop_ins(_: Node, one: RuntimeClass) -> Answer | None:
    if not one.present:
        return None
    stray = [name for name in one.present if not name.endswith(".toml") or name.startswith(".")]
    where = f"{one.directory}/{DROP_IN_DIRECTORY}"
    if stray and one.drop_ins_read:
        return warned(
            "Every entry is read, whatever its name: editors' backups too.", Evidence(where, None, ", ".join(stray))
        )
    return passed("Its drop-in directory holds nothing else.", Evidence(where, None, ", ".join(one.present)))


def _named_file(_: Node, one: RuntimeClass) -> Answer:
    if one.handler.config_path is None:
        return warned(f"The engine names no file; the shim searches: {one.config_by}.", Evidence(one.handler.file, None, ""))
    return passed("The engine names its file.", Evidence(one.handler.file, None, one.handler.config_path))


def _agent_level_is_one(_: Node, one: RuntimeClass) -> Answer:
    levels = [value for name, value in kernel_parameters(one) if name == "agent.log"]
    wrong = [level for level in levels if level not in _AGENT_LEVELS]
    if wrong:
        return failed(f"The agent ends at its start: {wrong[0]!r} is no level.", shown(one, "hypervisor.kernel_params"))
    return passed("The agent's level is one it knows." if levels else "The agent has its own level, info.")


def _agent_not_quiet(_: Node, one: RuntimeClass) -> Answer:
    quiet = [value for name, value in kernel_parameters(one) if name == "agent.log" and value in QUIET]
    if quiet:
        return failed(
            f"The agent's record of commands is off: agent.log={quiet[0]}.", shown(one, "hypervisor.kernel_params")
        )
    return passed("The agent writes at info or more.")


def _no_takeover(_: Node, one: RuntimeClass) -> Answer:
    bad = [
        f"{name}={value}" if value else name
        for name, value in kernel_parameters(one)
        if name in _TAKEOVER and not (name == "systemd.unit" and value == _KATA_UNIT)
    ]
    if bad:
        return failed(f"The guest is handed to whoever set this: {', '.join(bad)}.", shown(one, "hypervisor.kernel_params"))
    return passed("No kernel parameter hands the guest over.")


def _console_closed(_: Node, one: RuntimeClass) -> Answer:
    setting = setting_of(one, "agent.debug_console_enabled")
    if setting is not None and setting.value:
        return failed("Root of the host has a root shell in every guest.", shown(one, "agent.debug_console_enabled"))
    if any(name.startswith("agent.debug_console") and value != "0" for name, value in kernel_parameters(one)):
        return failed("Root of the host has a root shell in every guest.", shown(one, "hypervisor.kernel_params"))
    return passed("The debug console is closed.")


def _log_port_kept(_: Node, one: RuntimeClass) -> Answer | None:
    """Ask where the shipped file opens the agent's log port: a drop-in that sets other parameters closes it."""
    if one.shim.runtime is not Runtime.RUST or not set(one.hypervisors[:1]) & {"dragonball", "firecracker"}:
        return None
    if any(name == "agent.log_vport" for name, _ in kernel_parameters(one)):
        return passed("The agent's log port is open.", shown(one, "hypervisor.kernel_params"))
    return failed(
        "The agent's lines are lost: kernel_params no longer open its log port.", shown(one, "hypervisor.kernel_params")
    )


def _shim_writes_info(_: Node, one: RuntimeClass) -> Answer | None:
    if one.shim.runtime is not Runtime.GO:
        return None
    if one.release.release < Release(4, 0):
        return warned(
            "Before 4.0 this shim writes warnings and errors only, unless debug is on.", Evidence("", None, one.release.why)
        )
    return passed("This shim writes at info.")


def _annotations_closed(_: Node, one: RuntimeClass) -> Answer:
    names = _texts(one, "hypervisor.enable_annotations")
    open_ones = [name for name in names if not _PLAIN_NAME.fullmatch(name)]
    if open_ones:
        said = f"More annotations than it names may change the hypervisor: {open_ones[0]!r}."
        return failed(said, shown(one, "hypervisor.enable_annotations"))
    return passed("Pods may change named settings only.", shown(one, "hypervisor.enable_annotations"))


def _no_risky_annotations(_: Node, one: RuntimeClass) -> Answer:
    risky = sorted(set(_texts(one, "hypervisor.enable_annotations")) & _RISKY_ANNOTATIONS)
    if risky:
        return failed(
            f"A pod may name files or programs of the host: {', '.join(risky)}.", shown(one, "hypervisor.enable_annotations")
        )
    return passed("No annotation names files or programs of the host.")


def _kernel_params_annotation(_: Node, one: RuntimeClass) -> Answer:
    if "kernel_params" in _texts(one, "hypervisor.enable_annotations"):
        return warned(
            "A pod may set kernel parameters: agent.log=error silences its agent.",
            shown(one, "hypervisor.enable_annotations"),
        )
    return passed("No pod sets kernel parameters.")


def _texts(one: RuntimeClass, key: str) -> list[str]:
    setting = setting_of(one, key)
    return (
        [item for item in setting.value if isinstance(item, str)]
        if setting is not None and isinstance(setting.value, list)
        else []
    )


def _narrow(key: str) -> Callable[[Node, RuntimeClass], Answer]:
    def judge(_: Node, one: RuntimeClass) -> Answer:
        wide = [path for path in _texts(one, key) if _GLOB.search(path)]
        if wide:
            return failed(f"A pod or a drop-in may name any of {', '.join(wide)}.", shown(one, key))
        return passed("Programs are named one by one.")

    return judge


def _virtiofsd_confined(_: Node, one: RuntimeClass) -> Answer:
    arguments = " ".join(_texts(one, "hypervisor.virtio_fs_extra_args"))
    if re.search(r"(?:--sandbox|--seccomp)[ =]none\b|(?:^|,)(?:sandbox|seccomp)=none\b", arguments):
        return failed("The shared file system's daemon runs unconfined.", shown(one, "hypervisor.virtio_fs_extra_args"))
    return passed("The shared file system's daemon keeps its sandbox.")


def _annotations_arrive(_: Node, one: RuntimeClass) -> Answer | None:
    passes = one.handler.pod_annotations
    if passes is None:
        return None
    gate = Release(4, 0)
    if any(name.startswith("io.katacontainers") for name in passes) and one.release.release < gate:
        return warned(
            "Before 4.0 a pod may name its own configuration file by annotation, which nothing gates.",
            Evidence(one.handler.file, None, f"pod_annotations = {spelled(list(passes))}"),
        )
    return passed(
        "Annotations of pods are passed on as the engine says.", Evidence(one.handler.file, None, spelled(list(passes)))
    )


def _no_host_devices(_: Node, one: RuntimeClass) -> Answer:
    if one.handler.privileged_without_host_devices:
        return passed("A privileged container gets no devices of the host.", Evidence(one.handler.file, None, ""))
    return failed(
        "A privileged container gets the host's devices.",
        Evidence(one.handler.file, None, "privileged_without_host_devices"),
    )


def _release_is_known(node: Node) -> list[Answer]:
    answers = []
    for one in node.layout.classes:
        found = one.release
        name = one.handler.name
        if found.exact:
            answers.append(passed(f"Release {found.release}.", Evidence(found.why, None, str(found.release)), subject=name))
        else:
            said = f"No file names the release; by its layout it is at least {found.release} ({found.why})."
            answers.append(blind(said, subject=name))
    return answers


def _filter_open(key: str) -> Callable[[Node, RuntimeClass], Answer | None]:
    """Make a judge of a filter of runtime-rs: what it leaves out never reaches the journal."""

    def judge(_: Node, one: RuntimeClass) -> Answer | None:
        setting = setting_of(one, key)
        if setting is None:
            return None
        if setting.value in {"warn", "error", "critical", "warning"}:
            return failed(f"Records at info are thrown away: {key} = {setting.value}.", shown(one, key))
        return passed(f"Records at {setting.value} pass.", shown(one, key))

    return judge


JUDGES: Final[Mapping[str, Callable[[Node], Iterable[Answer]]]] = {
    "KN-010": _loads,
    "KN-011": of_classes(_ignored_keys),
    "KN-012": of_classes(_ignored_drop_ins),
    "KN-013": of_classes(_one_hypervisor),
    "KN-014": of_classes(_own_directory),
    "KN-015": of_classes(_stray_drop_ins),
    "KN-016": of_classes(_named_file),
    "KN-017": _release_is_known,
    "KN-020": of_classes(_agent_level_is_one),
    "KN-021": of_classes(_agent_not_quiet),
    "KN-022": of_classes(_log_port_kept),
    "KN-023": of_classes(_shim_writes_info),
    "KN-024": of_classes(_filter_open("runtime.log_level")),
    "KN-025": of_classes(_filter_open("agent.log_level")),
    "KN-026": of_classes(_filter_open("hypervisor.log_level")),
    "KN-040": of_classes(_console_closed),
    "KN-041": of_classes(_no_takeover),
    "KN-048": of_classes(_annotations_closed),
    "KN-049": of_classes(_no_risky_annotations),
    "KN-050": of_classes(_kernel_params_annotation),
    "KN-051": of_classes(_narrow("hypervisor.valid_hypervisor_paths")),
    "KN-052": of_classes(_narrow("hypervisor.valid_virtio_fs_daemon_paths")),
    "KN-053": of_classes(_virtiofsd_confined),
    "KN-065": of_classes(_annotations_arrive),
    "KN-066": of_classes(_no_host_devices),
}
"""What answers each check of a class that is more than one key."""
