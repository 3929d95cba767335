"""The lists that an operator fills: who may do what at this place.

A rule names one by `field|expand: '%name%'`. Every list is empty until the configuration fills it, and a selection by an
empty list holds for no record: a rule that leaves out what is allowed leaves out nothing.
"""

from collections.abc import Mapping
from typing import Final

LISTS: Final[Mapping[str, str]] = {
    "allowed_annotations": "Kata annotations, `io.katacontainers.…`, that pods may carry.",
    "allowed_devices": "Host devices that a sandbox may be given, as paths such as `/dev/vfio/12`.",
    "allowed_exec_commands": "Commands that may be run inside containers, as the agent states them.",
    "allowed_hooks": "Parts of the paths of OCI hooks that may run on the host, such as `/nvidia-container-runtime-hook`.",
    "allowed_host_paths": "Paths of the host that may be mounted into a sandbox.",
    "allowed_kernel_modules": "Kernel modules that a guest may be told to load.",
    "allowed_policy_namespaces": "Namespaces whose pods may bring an agent policy of their own.",
    "allowed_vmm_children": "Programs that a hypervisor may start, such as its network scripts, as full paths.",
    "allowed_vsock_programs": "Programs of the host that may connect to guests by vsock, beyond Kata's own, as full paths.",
    "config_paths": "Configuration files of runtimes beyond the folders of Kata and its packages, as `/srv/kata/*`.",
    "debug_namespaces": "Namespaces in which people debug: shells, interactive exec and debug consoles are expected there.",
    "debug_nodes": "Nodes on which people debug, as `<cluster>/<node name>`.",
    "hypervisor_paths": "Programs that may serve as hypervisor, beyond those that Kata installs.",
    "maintenance_nodes": "Nodes under maintenance, as `<cluster>/<node name>`: restarts and lost shims are expected there.",
}
"""Each list's name, and what it holds."""

MAX_EXPANSIONS: Final = 1000
"""A value becomes at most so many values."""
