"""Trees of nodes for tests: small installations made by hand, as folders."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from kata_audit.node.keys import Keys, load_keys
from kata_audit.node.layout import Layout, read_layout
from kata_audit.node.tree import FolderTree, UnreadableError

KEYS: Keys = load_keys((Path(__file__).parents[3] / "src/kata_audit/node/keys.toml").read_bytes())
DEFAULTS = "opt/kata/share/defaults/kata-containers"
QEMU = "[hypervisor.qemu]\npath = '/opt/kata/bin/qemu-system-x86_64'\nkernel_params = ''\n[agent.kata]\n[runtime]\n"


def containerd(*handlers: tuple[str, str, str], plugin: str = "io.containerd.cri.v1.runtime") -> str:
    """Spell containerd's handlers: name, path of the shim ("" for none), configuration file ("" for none)."""
    parts = ["version = 3"]
    for name, binary, config in handlers:
        table = f'plugins."{plugin}".containerd.runtimes.{name}'
        parts.append(f'[{table}]\nruntime_type = "io.containerd.{name}.v2"\npod_annotations = ["io.katacontainers.*"]')
        parts += [f'runtime_path = "{binary}"'] if binary else []
        parts += [f'[{table}.options]\nConfigPath = "{config}"'] if config else []
    return "\n".join(parts) + "\n"


def plant(root: Path, files: Mapping[str, str | bytes]) -> Path:
    """Write files below a root; `-> target` as content makes a link."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str) and content.startswith("-> "):
            path.symlink_to(content[3:])
        else:
            path.write_bytes(content.encode() if isinstance(content, str) else content)
    return root


def read(root: Path) -> Layout:
    """Read a node's layout."""
    return read_layout(FolderTree(root), KEYS)


def modern_files(version: str) -> dict[str, str | bytes]:
    """Spell a node with one Go and one Rust class on QEMU, each in a directory of its own."""
    go, rust = f"{DEFAULTS}/runtimes/qemu", f"{DEFAULTS}/runtime-rs/runtimes/qemu-runtime-rs"
    handlers = containerd(
        ("kata-qemu", "/opt/kata/bin/containerd-shim-kata-v2", f"/{go}/configuration-qemu.toml"),
        (
            "kata-qemu-runtime-rs",
            "/opt/kata/runtime-rs/bin/containerd-shim-kata-v2",
            f"/{rust}/configuration-qemu-runtime-rs.toml",
        ),
    )
    return {
        "opt/kata/VERSION": version,
        "etc/containerd/config.toml": handlers,
        f"{go}/configuration-qemu.toml": QEMU,
        f"{rust}/configuration-qemu-runtime-rs.toml": QEMU,
    }


def modern(root: Path, files: Mapping[str, str | bytes] = {}, *, version: str = "3.27.0") -> Layout:
    """Read such a node, with more files."""
    return read(plant(root, {**modern_files(version), **files}))


GO_DROP_INS = f"{DEFAULTS}/runtimes/qemu/config.d"
RUST_DROP_INS = f"{DEFAULTS}/runtime-rs/runtimes/qemu-runtime-rs/config.d"


def refuse_to_read(monkeypatch: pytest.MonkeyPatch, folder: str) -> None:
    """Refuse the files of a folder as a system does to who may not read them; root, as whom tests may run, reads all."""
    real = FolderTree.data

    def data(self: FolderTree, path: str) -> bytes:
        if path.startswith(folder):
            raise UnreadableError("cannot be read: Permission denied")
        return real(self, path)

    monkeypatch.setattr(FolderTree, "data", data)
