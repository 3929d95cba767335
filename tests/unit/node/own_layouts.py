"""Nodes as installers, distributions and administrators lay them out, with what their runtimes make of them, told by hand.

Source: Kata's installers and loaders of the named releases; the files of k0s, k3s, RKE2 and microk8s.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from tests.unit.node.trees import DEFAULTS, QEMU, containerd

GO_SHIM = "/opt/kata/bin/containerd-shim-kata-v2"
RUST_SHIM = "/opt/kata/runtime-rs/bin/containerd-shim-kata-v2"
CLH, FIRECRACKER = (QEMU.replace("hypervisor.qemu", f"hypervisor.{name}") for name in ("clh", "firecracker"))
OLD_PLUGIN = "io.containerd.grpc.v1.cri"
DEBUG = "[hypervisor.qemu]\nenable_debug = true\n"


class Own(NamedTuple):
    """A node: its files, and each handler as the runtime has it.

    `effective` in a handler names the values to look at, each with the file that decides.
    """

    files: Mapping[str, str | bytes]
    handlers: list[dict[str, Any]]


def handler(name: str, base: str, **told: Any) -> dict[str, Any]:
    """Spell a handler of the Go runtime on QEMU that loads, with a named file and nothing else; `told` says what differs."""
    directory = base.rpartition("/")[0]
    usual = {
        "handler": name,
        "runtime": "go",
        "runtime_path": GO_SHIM,
        "runtime_type": f"io.containerd.{name}.v2",
        "config_path": f"/{base}",
        "base_file": base,
        "directory": directory,
        "drop_in_dir": f"{directory}/config.d",
        "drop_ins_supported": True,
        "drop_in_dir_exists": bool(told.get("drop_ins")),
        "drop_ins": [],
        "loads": True,
        "hypervisor": "qemu",
        "shared_with": [],
    }
    return usual | told


def _rke2() -> Own:
    """RKE2 renders its own file, which imports a folder; containerd's configuration is of version 2."""
    at, base = "var/lib/rancher/rke2/agent/etc/containerd", f"{DEFAULTS}/runtimes/clh/configuration-clh.toml"
    text = containerd(("kata-clh", GO_SHIM, f"/{base}"), plugin=OLD_PLUGIN).replace("version = 3", "version = 2")
    files = {
        "opt/kata/VERSION": "3.29.0",
        f"{at}/config.toml": f'version = 2\nimports = ["/{at}/config.toml.d/*.toml"]\n',
        f"{at}/config.toml.d/kata-deploy.toml": text,
        base: CLH,
    }
    return Own(files, [handler("kata-clh", base, hypervisor="clh")])


def _k3s() -> Own:
    """k3s with containerd 2 and the Rust runtime."""
    at = "var/lib/rancher/k3s/agent/etc/containerd"
    base = f"{DEFAULTS}/runtime-rs/runtimes/clh-runtime-rs/configuration-clh-runtime-rs.toml"
    files = {
        "opt/kata/VERSION": "3.30.0",
        f"{at}/config.toml": f'version = 3\nimports = ["/{at}/config-v3.toml.d/*.toml"]\n',
        f"{at}/config-v3.toml.d/kata-deploy.toml": containerd(("kata-clh-runtime-rs", RUST_SHIM, f"/{base}")),
        base: CLH,
    }
    one = handler("kata-clh-runtime-rs", base, runtime="rust", runtime_path=RUST_SHIM, hypervisor="clh")
    return Own(files, [one])


def _k0s() -> Own:
    """k0s reads a folder that no file names; kata-deploy tells Kata where its kubelet lives."""
    base = f"{DEFAULTS}/runtimes/fc/configuration-fc.toml"
    kubelet = f"{DEFAULTS}/runtimes/fc/config.d/22-k0s-kubelet-root.toml"
    files = {
        "opt/kata/VERSION": "3.28.0",
        "etc/k0s/containerd.toml": "version = 3\n",
        "etc/k0s/containerd.d/kata-deploy.toml": containerd(("kata-fc", GO_SHIM, f"/{base}")),
        base: FIRECRACKER,
        kubelet: '[runtime]\nkubelet_root_dir = "/var/lib/k0s/kubelet"\n',
    }
    one = handler("kata-fc", base, hypervisor="firecracker", drop_ins=["22-k0s-kubelet-root.toml"])
    return Own(files, [one])


def _microk8s() -> Own:
    """microk8s has everything in its template; before 3.27 all Go classes share one folder, and a drop-in reaches both."""
    qemu, clh, site = (
        f"{DEFAULTS}/{name}" for name in ("configuration-qemu.toml", "configuration-clh.toml", "config.d/60-a")
    )
    files = {
        "opt/kata/VERSION": "3.20.0",
        "var/snap/microk8s/current/args/containerd-template.toml": containerd(
            ("kata-qemu", GO_SHIM, f"/{qemu}"), ("kata-clh", GO_SHIM, f"/{clh}"), plugin=OLD_PLUGIN
        ),
        qemu: QEMU,
        clh: CLH,
        site: "[runtime]\nenable_debug = true\n",
    }
    told = {"drop_ins": ["60-a"], "effective": {"runtime.enable_debug": (True, site)}}
    return Own(
        files,
        [
            handler("kata-qemu", qemu, shared_with=["kata-clh"], **told),
            handler("kata-clh", clh, shared_with=["kata-qemu"], hypervisor="clh", **told),
        ],
    )


def _custom_runtime() -> Own:
    """kata-deploy's custom runtime on a Rust base lies beside the Go classes' folders, and is decided by the chart's text."""
    at = f"{DEFAULTS}/custom-runtimes/kata-audit"
    base, prefix, own = (
        f"{at}/{name}"
        for name in (
            "configuration-qemu-runtime-rs.toml",
            "config.d/10-installation-prefix.toml",
            "config.d/50-overrides.toml",
        )
    )
    files = {
        "opt/kata/VERSION": "3.27.0",
        "etc/containerd/config.toml": 'version = 3\nimports = ["/opt/kata/containerd/config.d/kata-deploy.toml"]\n',
        "opt/kata/containerd/config.d/kata-deploy.toml": containerd(("kata-audit", RUST_SHIM, f"/{base}")),
        base: QEMU,
        prefix: "[hypervisor.qemu]\npath = '/opt/kata/bin/qemu'\nkernel_params = 'early'\n",
        own: "[hypervisor.qemu]\nkernel_params = 'agent.log_vport=1025'\n",
    }
    one = handler(
        "kata-audit",
        base,
        runtime="rust",
        runtime_path=RUST_SHIM,
        drop_ins=["10-installation-prefix.toml", "50-overrides.toml"],
        effective={
            "hypervisor.kernel_params": ("agent.log_vport=1025", own),
            "hypervisor.path": ("/opt/kata/bin/qemu", prefix),
        },
    )
    return Own(files, [one])


def _debug_class() -> Own:
    """From 4.1 debug is a class of its own, and the class that it is made from stays clean."""
    base = f"{DEFAULTS}/runtimes/qemu/configuration-qemu.toml"
    at = f"{DEFAULTS}/custom-runtimes/kata-qemu-debug"
    copy, debug, parameters = (
        f"{at}/{name}" for name in ("configuration-qemu.toml", "config.d/20-debug.toml", "config.d/30-kernel-params.toml")
    )
    files = {
        "opt/kata/VERSION": "4.1.0",
        "etc/containerd/config.toml": 'version = 3\nimports = ["/etc/containerd/conf.d/*.toml"]\n',
        "etc/containerd/conf.d/kata-deploy.toml": containerd(
            ("kata-qemu", GO_SHIM, f"/{base}"), ("kata-qemu-debug", GO_SHIM, f"/{copy}")
        ),
        base: QEMU,
        copy: QEMU,
        debug: DEBUG + "[agent.kata]\nenable_debug = true\ndebug_console_enabled = true\n",
        parameters: "[hypervisor.qemu]\nkernel_params = 'agent.log=debug'\n",
    }
    clean = {"hypervisor.enable_debug": (False, "default"), "agent.debug_console_enabled": (False, "default")}
    open_one = {
        "hypervisor.enable_debug": (True, debug),
        "agent.debug_console_enabled": (True, debug),
        "hypervisor.kernel_params": ("agent.log=debug", parameters),
    }
    names = ["20-debug.toml", "30-kernel-params.toml"]
    return Own(
        files,
        [handler("kata-qemu", base, effective=clean), handler("kata-qemu-debug", copy, drop_ins=names, effective=open_one)],
    )


def _second_installation() -> Own:
    """A second kata-deploy has a suffix in its prefix, its handlers and its file of CRI-O."""
    shim, base = "/opt/kata-blue/bin/containerd-shim-kata-v2", DEFAULTS.replace("opt/kata/", "opt/kata-blue/")
    base = f"{base}/runtimes/qemu/configuration-qemu.toml"
    table = "crio.runtime.runtimes.kata-qemu-blue"
    files = {
        "opt/kata/VERSION": "3.20.0",
        "opt/kata-blue/VERSION": "3.27.0",
        "etc/crio/crio.conf.d/99-kata-deploy-blue": f'[{table}]\nruntime_path = "{shim}"\nruntime_type = "vm"\n'
        f'runtime_config_path = "/{base}"\nprivileged_without_host_devices = true\n',
        base: QEMU,
    }
    return Own(files, [handler("kata-qemu-blue", base, runtime_path=shim, runtime_type="vm")])


def _linked_base() -> Own:
    """From 3.29 the old name is a link: drop-ins lie beside what it leads to, and those beside the link are never read."""
    link, base = f"{DEFAULTS}/configuration-qemu.toml", f"{DEFAULTS}/runtimes/qemu/configuration-qemu.toml"
    read = f"{DEFAULTS}/runtimes/qemu/config.d/60-site.toml"
    files = {
        "opt/kata/VERSION": "3.29.0",
        "etc/containerd/config.toml": containerd(("kata-qemu", GO_SHIM, f"/{link}")),
        link: "-> runtimes/qemu/configuration-qemu.toml",
        base: QEMU,
        read: DEBUG,
        f"{DEFAULTS}/config.d/60-site.toml": "[agent.kata]\ndebug_console_enabled = true\n",
    }
    effective = {"hypervisor.enable_debug": (True, read), "agent.debug_console_enabled": (False, "default")}
    one = handler("kata-qemu", base, config_path=f"/{link}", drop_ins=["60-site.toml"], effective=effective)
    return Own(files, [one])


def _distribution_rust() -> Own:
    """A distribution's Rust runtime is found on the search path, and the administrator's file goes before the shipped one."""
    base, shipped = (
        f"{at}/runtime-rs/configuration.toml" for at in ("etc/kata-containers", "usr/share/defaults/kata-containers")
    )
    files = {
        "usr/VERSION": "4.0.0",
        "etc/containerd/config.toml": containerd(("kata", "", "")),
        "usr/bin/containerd-shim-kata-v2": "-> ../runtime-rs/bin/containerd-shim-kata-v2",
        "usr/runtime-rs/bin/containerd-shim-kata-v2": "",
        shipped: QEMU,
        base: QEMU + "enable_debug = true\n",
    }
    one = handler(
        "kata",
        base,
        runtime="rust",
        runtime_path=None,
        shim_in_path="usr/bin/containerd-shim-kata-v2",
        shim_binary="usr/runtime-rs/bin/containerd-shim-kata-v2",
        effective={"runtime.enable_debug": (True, base)},
    )
    return Own(files, [one])


def _dragonball_among_go() -> Own:
    """In 3.0 the Rust class lies among the Go ones, and a drop-in for one hypervisor gives the other a second table."""
    qemu, ball = f"{DEFAULTS}/configuration-qemu.toml", f"{DEFAULTS}/configuration-dragonball.toml"
    site = f"{DEFAULTS}/config.d/50.toml"
    shims = {"kata-qemu": GO_SHIM, "kata-dragonball": RUST_SHIM}
    files: dict[str, str | bytes] = {
        "etc/containerd/config.toml": containerd(("kata-qemu", "", f"/{qemu}"), ("kata-dragonball", "", f"/{ball}")),
        **{f"usr/local/bin/containerd-shim-{name}-v2": f"-> {shim}" for name, shim in shims.items()},
        **{shim.strip("/"): "" for shim in shims.values()},
        qemu: QEMU,
        ball: QEMU.replace("hypervisor.qemu", "hypervisor.dragonball")
        + 'hypervisor_name = "dragonball"\nagent_name = "kata"\n',
        site: DEBUG,
    }
    found = {
        name: {
            "shim_in_path": f"usr/local/bin/containerd-shim-{name}-v2",
            "shim_binary": shim.strip("/"),
            "runtime_path": None,
        }
        for name, shim in shims.items()
    }
    first = handler(
        "kata-qemu", qemu, **found["kata-qemu"], drop_ins=["50.toml"], shared_with=["kata-dragonball"],
        effective={"hypervisor.enable_debug": (True, site)},
    )  # fmt: skip
    second = handler(
        "kata-dragonball", ball, **found["kata-dragonball"], runtime="rust", hypervisor="dragonball", drop_ins=["50.toml"],
        shared_with=["kata-qemu"], effective={"hypervisor.enable_debug": (False, "default")},
    )  # fmt: skip
    return Own(files, [first, second])


def _wrapper() -> Own:
    """In 2.5 a script on the search path names binary and file; drop-ins are read for the first time."""
    base, site = f"{DEFAULTS}/configuration-qemu.toml", f"{DEFAULTS}/config.d/50.toml"
    files = {
        "etc/containerd/config.toml": containerd(("kata-qemu", "", ""), plugin=OLD_PLUGIN),
        "usr/local/bin/containerd-shim-kata-qemu-v2": f'#!/usr/bin/env bash\nKATA_CONF_FILE=/{base} {GO_SHIM} "$@"\n',
        GO_SHIM.strip("/"): "",
        base: QEMU,
        site: DEBUG,
    }
    one = handler(
        "kata-qemu",
        base,
        runtime_path=None,
        shim_in_path="usr/local/bin/containerd-shim-kata-qemu-v2",
        shim_binary=GO_SHIM.strip("/"),
        drop_ins=["50.toml"],
        effective={"hypervisor.enable_debug": (True, site)},
    )
    return Own(files, [one])


def _chosen_table() -> Own:
    """The Rust runtime takes the hypervisor that `[runtime]` names, whichever table comes first."""
    at = f"{DEFAULTS}/runtime-rs/runtimes/qemu-runtime-rs"
    base, site = f"{at}/configuration-qemu-runtime-rs.toml", f"{at}/config.d/60.toml"
    files = {
        "opt/kata/VERSION": "4.1.0",
        "etc/containerd/config.toml": containerd(("kata-qemu-runtime-rs", RUST_SHIM, f"/{base}")),
        base: QEMU + 'hypervisor_name = "qemu"\n',
        site: "[hypervisor.clh]\npath = '/opt/kata/bin/clh'\nenable_debug = true\n[runtime]\nhypervisor_name = 'clh'\n",
    }
    one = handler(
        "kata-qemu-runtime-rs",
        base,
        runtime="rust",
        runtime_path=RUST_SHIM,
        hypervisor="clh",
        drop_ins=["60.toml"],
        effective={"hypervisor.enable_debug": (True, site), "hypervisor.path": ("/opt/kata/bin/clh", site)},
    )
    return Own(files, [one])


LAYOUTS: Mapping[str, Own] = {
    "rke2-3.29": _rke2(),
    "k3s-3.30-runtime-rs": _k3s(),
    "k0s-3.28-firecracker": _k0s(),
    "microk8s-3.20-shared": _microk8s(),
    "custom-runtime-3.27-runtime-rs": _custom_runtime(),
    "debug-class-4.1": _debug_class(),
    "crio-second-installation-3.27": _second_installation(),
    "linked-base-3.29": _linked_base(),
    "distribution-4.0-runtime-rs": _distribution_rust(),
    "dragonball-3.0-shared": _dragonball_among_go(),
    "wrapper-2.5": _wrapper(),
    "chosen-table-4.1-runtime-rs": _chosen_table(),
}
