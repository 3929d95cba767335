"""The container runtime's side: which handlers start a Kata shim, with which binary and which configuration file.

Every place where an installer or a distribution puts such settings is looked at; a file that cannot be read is said, because
a handler may hide in it.

Source: containerd's `imports` and CRI plugin tables of configuration versions 1 to 3; CRI-O's `crio.conf.d`; the files that
k3s, RKE2, k0s and microk8s render.
"""

import fnmatch
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from kata_audit.node.document import DocumentError, parse_toml
from kata_audit.node.tree import Kind, Tree, UnreadableError, read, resolve


class Engine(NamedTuple):
    """A container engine of the node and its own settings.

    Args:
        name: containerd or crio.
        distribution: What lays its files out: plain, k3s, rke2, k0s, microk8s.
        files: Its configuration files, in the order in which they are read.
        log_level: Its own level, as the last file sets it; None for its default.
        log_format: text or json; None for its default.
    """

    name: str
    distribution: str
    files: tuple[str, ...]
    log_level: str | None
    log_format: str | None


class Handler(NamedTuple):
    """A handler that starts a Kata shim.

    Args:
        name: As pods' runtime classes name it.
        engine: containerd or crio.
        file: The file that states it.
        runtime_type: `io.containerd.kata-qemu.v2`, or `vm`.
        runtime_path: The shim's binary, where it is named.
        config_path: Kata's configuration file, where it is named.
        pod_annotations: Which annotations of pods reach Kata; None where the engine does not ask.
        snapshotter: Where it has one of its own.
        privileged_without_host_devices: Whether a privileged container gets the host's devices.
    """

    name: str
    engine: str
    file: str
    runtime_type: str | None
    runtime_path: str | None
    config_path: str | None
    pod_annotations: tuple[str, ...] | None
    snapshotter: str | None
    privileged_without_host_devices: bool


class Engines(NamedTuple):
    """What was found: engines, handlers by name in the order of their files, and files that could not be read."""

    engines: tuple[Engine, ...]
    handlers: tuple[Handler, ...]
    unreadable: Mapping[str, str]


_CONTAINERD: Final = (
    ("plain", "etc/containerd/config.toml", ()),
    ("k3s", "var/lib/rancher/k3s/agent/etc/containerd/config.toml", ("config-v3.toml.tmpl", "config.toml.tmpl")),
    ("rke2", "var/lib/rancher/rke2/agent/etc/containerd/config.toml", ("config-v3.toml.tmpl", "config.toml.tmpl")),
    ("k0s", "etc/k0s/containerd.toml", ()),
    ("microk8s", "var/snap/microk8s/current/args/containerd-template.toml", ()),
)
"""Main files by distribution, and templates beside them whose `imports` the rendered file may not show yet."""
_K0S_DROP_INS: Final = "etc/k0s/containerd.d/*.toml"
_CRIO: Final = ("etc/crio/crio.conf", "etc/crio/crio.conf.d")
_PLUGINS: Final = ("io.containerd.cri.v1.runtime", "io.containerd.grpc.v1.cri", "cri")
_SHIM: Final = re.compile(r"(?:^|/)containerd-shim-kata|kata")
_TEMPLATE: Final = re.compile(r"\{\{(?:(?!\{\{|\}\}).)*+\}\}")
_MAX_FILES: Final = 256


def find_engines(tree: Tree) -> Engines:
    """Look for container engines and the handlers that start a Kata shim."""
    unreadable: dict[str, str] = {}
    engines, handlers = [], {}
    for distribution, main, templates in _CONTAINERD:
        files = list(_containerd_files(tree, main, templates, unreadable))
        if distribution == "k0s":
            files += list(_imported(tree, [_K0S_DROP_INS], "", unreadable, seen={path for path, _ in files}))
        if files:
            engines.append(_engine("containerd", distribution, files))
            handlers.update({handler.name: handler for handler in _containerd_handlers(files)})
    files = list(_crio_files(tree, unreadable))
    if files:
        engines.append(_engine("crio", "plain", files))
        handlers.update({handler.name: handler for handler in _crio_handlers(files)})
    return Engines(tuple(engines), tuple(handlers.values()), unreadable)


_Parsed = tuple[str, Mapping[str, Any]]


def _load(tree: Tree, path: str, unreadable: dict[str, str]) -> Mapping[str, Any] | None:
    """Read one TOML file; template actions of k3s are taken out. None where it is missing or cannot be read."""
    if resolve(tree, path).kind is Kind.MISSING:
        return None
    try:
        return parse_toml(_TEMPLATE.sub("", read(tree, path).decode()))
    except UnreadableError as error:
        unreadable[path] = str(error)
    except (DocumentError, UnicodeDecodeError):
        unreadable[path] = "is no TOML"
    return None


def _containerd_files(tree: Tree, main: str, templates: Iterable[str], unreadable: dict[str, str]) -> Iterator[_Parsed]:
    directory = main.rpartition("/")[0]
    seen: set[str] = set()
    for path in (main, *(f"{directory}/{name}" for name in templates)):
        stated = _load(tree, path, unreadable)
        if stated is None:
            continue
        yield path, stated
        seen.add(path)
        yield from _imported(tree, _texts(stated.get("imports")), directory, unreadable, seen)


def _imported(
    tree: Tree, patterns: Iterable[str], directory: str, unreadable: dict[str, str], seen: set[str]
) -> Iterator[_Parsed]:
    """Give imported files and what they import, each once; a relative pattern begins at the importing file's directory."""
    for pattern in patterns:
        for path in _globbed(
            tree, pattern if pattern.startswith("/") or not directory else f"{directory}/{pattern}", unreadable
        ):
            if path in seen or len(seen) >= _MAX_FILES:
                continue
            seen.add(path)
            stated = _load(tree, path, unreadable)
            if stated is not None:
                yield path, stated
                inner = _texts(stated.get("imports"))
                yield from _imported(tree, inner, path.rpartition("/")[0], unreadable, seen)


def _globbed(tree: Tree, pattern: str, unreadable: dict[str, str]) -> list[str]:
    """List the files that a pattern of the last path part names, in the order of their bytes."""
    directory, _, last = pattern.strip("/").rpartition("/")
    found = resolve(tree, directory)
    if found.kind is Kind.UNREADABLE:
        unreadable[directory] = "cannot be read"
    if found.kind is not Kind.DIRECTORY:
        return []
    if not set(last) & set("*?["):
        return [f"{directory}/{last}"]
    try:
        return [f"{directory}/{name}" for name in tree.names(found.path) if fnmatch.fnmatchcase(name, last)]
    except UnreadableError as error:
        unreadable[directory] = str(error)
        return []


def _crio_files(tree: Tree, unreadable: dict[str, str]) -> Iterator[_Parsed]:
    main, directory = _CRIO
    for path in (main, *_globbed(tree, f"{directory}/*", unreadable)):
        stated = _load(tree, path, unreadable)
        if stated is not None:
            yield path, stated


def _engine(name: str, distribution: str, files: list[_Parsed]) -> Engine:
    level = form = None
    for _, stated in files:
        section = _table(stated, "debug") if name == "containerd" else _table(_table(stated, "crio"), "runtime")
        told = section.get("level" if name == "containerd" else "log_level")
        level = told if isinstance(told, str) and told else level
        told = section.get("format") if name == "containerd" else None
        form = told if isinstance(told, str) and told else form
    return Engine(name, distribution, tuple(path for path, _ in files), level, form)


def _containerd_handlers(files: list[_Parsed]) -> Iterator[Handler]:
    merged: dict[str, tuple[str, dict[str, Any]]] = {}
    for path, stated in files:
        plugins = _table(stated, "plugins")
        for plugin in _PLUGINS:
            runtimes = _table(_table(_table(plugins, plugin), "containerd"), "runtimes")
            for name, value in runtimes.items():
                if isinstance(value, dict):
                    merged[name] = (path, {**merged.get(name, ("", {}))[1], **value})
    for name, (path, stated) in merged.items():
        kind, binary = _text(stated, "runtime_type"), _text(stated, "runtime_path")
        if not _SHIM.search(f"{binary or ''} {kind or ''}"):
            continue
        yield Handler(
            name,
            "containerd",
            path,
            kind,
            binary,
            _text(_table(stated, "options"), "ConfigPath"),
            tuple(_texts(stated.get("pod_annotations"))),
            _text(stated, "snapshotter"),
            stated.get("privileged_without_host_devices") is True,
        )


def _crio_handlers(files: list[_Parsed]) -> Iterator[Handler]:
    merged: dict[str, tuple[str, dict[str, Any]]] = {}
    for path, stated in files:
        runtimes = _table(_table(_table(stated, "crio"), "runtime"), "runtimes")
        for name, value in runtimes.items():
            if isinstance(value, dict):
                merged[name] = (path, {**merged.get(name, ("", {}))[1], **value})
    for name, (path, stated) in merged.items():
        binary = _text(stated, "runtime_path")
        if stated.get("runtime_type") != "vm" or not _SHIM.search(binary or name):
            continue
        allowed = stated.get("allowed_annotations")
        yield Handler(
            name,
            "crio",
            path,
            "vm",
            binary,
            _text(stated, "runtime_config_path"),
            None if allowed is None else tuple(_texts(allowed)),
            None,
            stated.get("privileged_without_host_devices") is True,
        )


def _table(stated: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = stated.get(name)
    return found if isinstance(found, dict) else {}


def _text(stated: Mapping[str, Any], name: str) -> str | None:
    found = stated.get(name)
    return found if isinstance(found, str) and found else None


def _texts(found: Any) -> list[str]:
    return [item for item in found if isinstance(item, str)] if isinstance(found, list) else []
