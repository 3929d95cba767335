"""What a node is set up to do is read as its own programs read it: handlers, files, order, and what each refuses."""

from pathlib import Path

import pytest
from tests.unit.node.trees import DEFAULTS, GO_DROP_INS, QEMU, RUST_DROP_INS, containerd, modern, plant, read

from kata_audit.node.keys import Release
from kata_audit.node.layout import Layout, RuntimeClass, described


def by_name(layout: Layout) -> dict[str, RuntimeClass]:
    return {one.handler.name: one for one in layout.classes}


def error_of(one: RuntimeClass) -> str | None:
    assert one.merged is not None
    return one.merged.error


def test_a_drop_in_decides_over_the_base_and_the_later_one_over_the_earlier(tmp_path: Path) -> None:
    layout = modern(
        tmp_path,
        {
            f"{GO_DROP_INS}/9-late": "[hypervisor.qemu]\nkernel_params = 'late'\n",
            f"{GO_DROP_INS}/10-early.toml": "[hypervisor.qemu]\nkernel_params = 'early'\nenable_debug = true\n",
        },
    )
    setting = by_name(layout)["kata-qemu"].effective["hypervisor.kernel_params"]

    assert (setting.value, setting.place.path, setting.place.line) == ("late", f"{GO_DROP_INS}/9-late", 2)
    assert by_name(layout)["kata-qemu"].effective["hypervisor.enable_debug"].place.path == f"{GO_DROP_INS}/10-early.toml"
    assert by_name(layout)["kata-qemu-runtime-rs"].effective["hypervisor.enable_debug"].place.path == "default"


@pytest.mark.parametrize(
    ("text", "go", "rust"),
    [
        ("[agent.kata]\nlog_level = 'info'\n", "unknown key agent.kata.log_level", None),
        ("[agent.kata]\nno_such = 1\n", "unknown key agent.kata.no_such", "unknown key agent.kata.no_such"),
        ("[hypervisor.qemu]\nno_such = 1\n", "unknown key hypervisor.qemu.no_such", None),
        ("[runtime]\nno_such = 1\n", None, None),
        ("[runtime]\nenable_debug = 'true'\n", "wrong type", "wrong type"),
        ("[runtime]\nenable_debug = 1\n", "wrong type", "wrong type"),
        ("[hypervisor.qemu]\ndefault_memory = true\n", "wrong type", "wrong type"),
        ("[hypervisor.qemu\n", "syntax error", "syntax error"),
        ("[runtime]\na = 1\na = 2\n", "syntax error", "syntax error"),
        ("[hypervisor.qemu]\nenable_annotations = [1]\n", "wrong type", "wrong type"),
        ("\ufeff[runtime]\n", None, None),
        ("", None, None),
    ],
)
def test_each_runtime_refuses_what_it_really_refuses(tmp_path: Path, text: str, go: str | None, rust: str | None) -> None:
    files = {f"{GO_DROP_INS}/50.toml": text, f"{RUST_DROP_INS}/50.toml": text}
    classes = by_name(modern(tmp_path, files, version="3.29.0"))

    for name, why in (("kata-qemu", go), ("kata-qemu-runtime-rs", rust)):
        error = error_of(classes[name])
        assert (error is None) if why is None else (error is not None and error.endswith(why)), (name, error)


def test_the_rust_runtime_refused_unknown_agent_keys_only_from_3_29_on(tmp_path: Path) -> None:
    files = {f"{RUST_DROP_INS}/50.toml": "[agent.kata]\nno_such = 1\n"}

    assert by_name(modern(tmp_path, files, version="3.28.0"))["kata-qemu-runtime-rs"].loads


@pytest.mark.parametrize(
    ("data", "version", "go", "rust"),
    [
        (b"\xef\xbb\xbf[runtime]\n", "3.26.0", "syntax error", None),
        (b"\xef\xbb\xbf[runtime]\n", "3.27.0", None, None),
        (b"# \xff\n", "3.26.0", None, "syntax error"),
        (b"# \xff\n", "3.27.0", "syntax error", "syntax error"),
    ],
)
def test_bytes_that_are_no_plain_utf_8_are_judged_by_the_release(
    tmp_path: Path, data: bytes, version: str, go: str | None, rust: str | None
) -> None:
    classes = by_name(modern(tmp_path, {f"{GO_DROP_INS}/50.toml": data, f"{RUST_DROP_INS}/50.toml": data}, version=version))

    for name, why in (("kata-qemu", go), ("kata-qemu-runtime-rs", rust)):
        assert (error_of(classes[name]) or "").endswith(why or ""), name
        assert classes[name].loads is (why is None), name


def test_a_directory_of_drop_ins_that_is_a_link_to_nothing_stops_the_class(tmp_path: Path) -> None:
    assert not by_name(modern(tmp_path, {GO_DROP_INS: "-> nowhere"}))["kata-qemu"].loads


def test_a_later_file_of_containerd_changes_the_keys_that_it_names_and_no_others(tmp_path: Path) -> None:
    shim = "/opt/kata/bin/containerd-shim-kata-v2"
    table = 'plugins."io.containerd.cri.v1.runtime".containerd.runtimes.kata-qemu'
    files = {
        "etc/containerd/config.toml": 'imports = ["conf.d/*.toml"]\n' + containerd(("kata-qemu", shim, "/a.toml")),
        "etc/containerd/conf.d/z.toml": f'[{table}]\nsnapshotter = "nydus"\n',
    }
    handler = read(plant(tmp_path, files)).classes[0].handler

    assert (handler.runtime_path, handler.config_path, handler.snapshotter) == (shim, "/a.toml", "nydus")


def test_a_link_in_the_drop_in_directory_is_followed_by_go_and_refused_by_rust(tmp_path: Path) -> None:
    files = {
        "etc/site.toml": "[runtime]\nenable_debug = true\n",
        f"{GO_DROP_INS}/50.toml": "-> /etc/site.toml",
        f"{RUST_DROP_INS}/50.toml": "-> /etc/site.toml",
    }
    classes = by_name(modern(tmp_path, files))

    assert classes["kata-qemu"].effective["runtime.enable_debug"].value is True
    assert error_of(classes["kata-qemu-runtime-rs"]) == f"{RUST_DROP_INS}/50.toml: symbolic link refused"


def test_a_directory_or_a_file_in_place_of_the_drop_ins_stops_the_class(tmp_path: Path) -> None:
    classes = by_name(modern(tmp_path, {f"{GO_DROP_INS}/50.toml/inner": "", RUST_DROP_INS: "no directory"}))

    assert error_of(classes["kata-qemu"]) == f"{GO_DROP_INS}/50.toml: is a directory"
    assert error_of(classes["kata-qemu-runtime-rs"]) == f"{RUST_DROP_INS}: is no directory"


def test_a_base_file_that_is_a_link_out_of_the_tree_is_not_read(tmp_path: Path) -> None:
    """The secret lies beside the root, where `..` would lead if the root did not hold."""
    (tmp_path / "secret.toml").write_text("[hypervisor.qemu]\n")
    base = f"{DEFAULTS}/configuration-qemu.toml"
    config = containerd(("kata-qemu", "/opt/kata/bin/containerd-shim-kata-v2", f"/{base}"))
    root = plant(tmp_path / "root", {"etc/containerd/config.toml": config, base: "-> " + "../" * 20 + "secret.toml"})

    told = described(read(root).classes[0])

    assert (told["base_file"], told["loads"]) == (None, False)


def test_links_that_go_round_in_circles_end(tmp_path: Path) -> None:
    config = containerd(("kata", "/opt/kata/bin/containerd-shim-kata-v2", "/a/b"))

    assert (
        read(plant(tmp_path, {"etc/containerd/config.toml": config, "a": "-> c", "c": "-> a"})).classes[0].base_file is None
    )


def test_two_hypervisor_tables_make_the_go_runtime_choose_by_chance(tmp_path: Path) -> None:
    told = described(by_name(modern(tmp_path, {f"{GO_DROP_INS}/50.toml": "[hypervisor.clh]\npath = ''\n"}))["kata-qemu"])

    assert told["hypervisor_tables"] == ["qemu", "clh"]


def test_classes_of_one_directory_are_named_as_sharing_it(tmp_path: Path) -> None:
    shim = "/opt/kata/bin/containerd-shim-kata-v2"
    handlers = containerd(
        ("kata-qemu", shim, f"/{DEFAULTS}/configuration-qemu.toml"),
        ("kata-clh", shim, f"/{DEFAULTS}/configuration-clh.toml"),
    )
    root = plant(
        tmp_path,
        {
            "etc/containerd/config.toml": handlers,
            f"{DEFAULTS}/configuration-qemu.toml": QEMU,
            f"{DEFAULTS}/configuration-clh.toml": "[hypervisor.clh]\n",
        },
    )

    assert [one.shared_with for one in read(root).classes] == [("kata-clh",), ("kata-qemu",)]


def test_a_wrapper_on_the_search_path_names_binary_and_file(tmp_path: Path) -> None:
    base = f"{DEFAULTS}/configuration-qemu.toml"
    wrapper = f'#!/usr/bin/env bash\nKATA_CONF_FILE=/{base} /opt/kata/bin/containerd-shim-kata-v2 "$@"\n'
    files = {
        "etc/containerd/config.toml": containerd(("kata-qemu", "", "")),
        "usr/local/bin/containerd-shim-kata-qemu-v2": wrapper,
        "opt/kata/bin/containerd-shim-kata-v2": "",
        base: QEMU,
    }
    one = read(plant(tmp_path, files)).classes[0]

    assert (one.shim.binary, one.base_file) == ("opt/kata/bin/containerd-shim-kata-v2", base)


def test_without_any_word_the_runtimes_search_their_own_places(tmp_path: Path) -> None:
    files = {
        "etc/containerd/config.toml": containerd(
            ("kata", "", ""), ("kata-rs", "/usr/runtime-rs/bin/containerd-shim-kata-v2", "")
        ),
        "usr/bin/containerd-shim-kata-v2": "",
        "usr/share/defaults/kata-containers/configuration.toml": QEMU,
        "etc/kata-containers/runtime-rs/configuration.toml": QEMU,
        "usr/share/defaults/kata-containers/runtime-rs/configuration.toml": QEMU,
    }
    files["usr/VERSION"] = "4.0.0"
    classes = by_name(read(plant(tmp_path, files)))

    assert classes["kata"].base_file == "usr/share/defaults/kata-containers/configuration.toml"
    assert classes["kata-rs"].base_file == "etc/kata-containers/runtime-rs/configuration.toml"


@pytest.mark.parametrize(
    ("main", "drop_in"),
    [
        (
            "var/lib/rancher/k3s/agent/etc/containerd/config.toml",
            "var/lib/rancher/k3s/agent/etc/containerd/config-v3.toml.d/k.toml",
        ),
        (
            "var/lib/rancher/rke2/agent/etc/containerd/config.toml",
            "var/lib/rancher/rke2/agent/etc/containerd/config.toml.d/k.toml",
        ),
        ("etc/containerd/config.toml", "etc/containerd/conf.d/kata-deploy.toml"),
        ("var/snap/microk8s/current/args/containerd-template.toml", "opt/kata/containerd/config.d/kata-deploy.toml"),
    ],
)
def test_handlers_are_found_where_each_distribution_puts_them(tmp_path: Path, main: str, drop_in: str) -> None:
    handlers = containerd(("kata-qemu", "/opt/kata/bin/containerd-shim-kata-v2", f"/{DEFAULTS}/configuration-qemu.toml"))
    pattern = f"{drop_in.rpartition('/')[0]}/*.toml"
    files = {
        main: f'imports = ["/{pattern}"]\nversion = 3\n',
        drop_in: handlers,
        f"{DEFAULTS}/configuration-qemu.toml": QEMU,
    }
    layout = read(plant(tmp_path, files))

    assert [one.handler.file for one in layout.classes] == [drop_in]
    assert layout.engines[0].files == (main, drop_in)


def test_k0s_reads_its_directory_without_being_told(tmp_path: Path) -> None:
    handlers = containerd(("kata-qemu", "/opt/kata/bin/containerd-shim-kata-v2", ""))
    layout = read(plant(tmp_path, {"etc/k0s/containerd.toml": "", "etc/k0s/containerd.d/kata-deploy.toml": handlers}))

    assert (layout.engines[0].distribution, layout.classes[0].handler.name) == ("k0s", "kata-qemu")


def test_crio_handlers_come_from_its_directory_in_the_order_of_names(tmp_path: Path) -> None:
    runtime = (
        '[crio.runtime.runtimes.kata-qemu]\nruntime_type = "vm"\nruntime_path = "/opt/kata/bin/containerd-shim-kata-v2"\n'
    )
    files = {
        "etc/crio/crio.conf": '[crio.runtime]\nlog_level = "warn"\n',
        "etc/crio/crio.conf.d/100-debug": '[crio.runtime]\nlog_level = "debug"\n',
        "etc/crio/crio.conf.d/99-kata-deploy": runtime + '[crio.runtime]\nlog_level = "info"\n',
    }
    layout = read(plant(tmp_path, files))

    assert (layout.engines[0].name, layout.engines[0].log_level) == ("crio", "info")
    assert layout.classes[0].handler.pod_annotations is None


def test_imports_that_import_each_other_end(tmp_path: Path) -> None:
    files = {
        "etc/containerd/config.toml": 'imports = ["conf.d/*.toml"]\n',
        "etc/containerd/conf.d/a.toml": 'imports = ["/etc/containerd/config.toml", "b.toml"]\n',
        "etc/containerd/conf.d/b.toml": 'imports = ["a.toml"]\n',
    }

    assert len(read(plant(tmp_path, files)).engines[0].files) == 3


def test_a_file_of_the_engine_that_is_no_toml_is_said(tmp_path: Path) -> None:
    assert read(plant(tmp_path, {"etc/containerd/config.toml": "= ="})).unreadable == {
        "etc/containerd/config.toml": "is no TOML"
    }


@pytest.mark.parametrize(
    ("files", "release"),
    [
        ({"opt/kata/libexec/kata-qemu/virtiofsd": ""}, Release(2, 4)),
        ({}, Release(2, 5)),
        ({"opt/kata/runtime-rs/bin/containerd-shim-kata-v2": ""}, Release(3, 0)),
        ({f"{DEFAULTS}/runtimes/qemu/x": ""}, Release(3, 27)),
        ({f"{DEFAULTS}/runtimes/qemu/x": "", "opt/kata/versions.yaml": ""}, Release(3, 32)),
        ({"opt/kata/VERSION": "3.14.0\n"}, Release(3, 14)),
    ],
)
def test_the_release_is_the_oldest_that_fits_what_is_laid_out(
    tmp_path: Path, files: dict[str, str | bytes], release: Release
) -> None:
    handlers = containerd(("kata-qemu", "/opt/kata/bin/containerd-shim-kata-v2", f"/{DEFAULTS}/configuration-qemu.toml"))
    base = {"etc/containerd/config.toml": handlers, f"{DEFAULTS}/configuration-qemu.toml": QEMU}

    assert read(plant(tmp_path, {**base, **files})).classes[0].release.release == release


def test_drop_ins_that_an_old_release_never_reads_are_named_and_change_nothing(tmp_path: Path) -> None:
    handlers = containerd(("kata-qemu", "/opt/kata/bin/containerd-shim-kata-v2", f"/{DEFAULTS}/configuration-qemu.toml"))
    files = {
        "etc/containerd/config.toml": handlers,
        f"{DEFAULTS}/configuration-qemu.toml": QEMU,
        f"{DEFAULTS}/config.d/50.toml": "[runtime]\nenable_debug = true\n",
        "opt/kata/libexec/kata-qemu/virtiofsd": "",
    }
    told = described(read(plant(tmp_path, files)).classes[0])

    assert (told["drop_ins_supported"], told["drop_ins"], told["drop_ins_ignored"]) == (False, [], ["50.toml"])
    assert told["effective"]["runtime.enable_debug"] == {"value": False, "from": "default"}


def test_a_key_that_the_release_does_not_read_is_shown_as_dead(tmp_path: Path) -> None:
    files = {f"{RUST_DROP_INS}/50.toml": "[hypervisor.qemu]\nseccompsandbox = 'on'\n"}
    told = described(by_name(modern(tmp_path, files))["kata-qemu-runtime-rs"])

    assert told["effective"]["hypervisor.seccompsandbox"] == {
        "value": "on",
        "from": f"{RUST_DROP_INS}/50.toml",
        "known": False,
    }
