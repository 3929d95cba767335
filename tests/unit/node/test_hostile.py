"""A tree may have been made to stop whoever looks at it: every file comes out as an answer, soon, and within the root."""

import gzip
import io
import json
import os
import socket
import tarfile
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.unit.node.test_check import JOURNALD, POLICY, SERVER, looked, status
from tests.unit.node.trees import GO_DROP_INS, KEYS, RUST_DROP_INS, containerd, modern_files, plant, refuse_to_read

from kata_audit.cli.main import run
from kata_audit.errors import InputMissingError
from kata_audit.node import tree
from kata_audit.node.check import Status
from kata_audit.node.document import DocumentError, parse_toml, parse_yaml
from kata_audit.node.examine import examine
from kata_audit.node.report import as_sarif
from kata_audit.node.tree import ArchiveTree, FolderTree, Kind, UnreadableError, open_tree, read, resolve
from kata_audit.wiring import node_checks

NINES = "9" * 5000
MANIFEST = "etc/kubernetes/manifests/kube-apiserver.yaml"
SOON = 5.0
"""Seconds. Each of these files once took minutes, or grew with the square of its length."""


@pytest.mark.parametrize(
    "files",
    [
        {f"{GO_DROP_INS}/5": f"[runtime]\nx = {NINES}\n"},
        {f"{GO_DROP_INS}/5": f"[hypervisor.clh]\nhypervisor_loglevel = 0x{'f' * 5000}\n"},
        {f"{GO_DROP_INS}/5": "[hypervisor.qemu]\nenable_annotations = [{" + "a." * 3000 + "a=1}]\n"},
        {f"{GO_DROP_INS}/5": "[hypervisor.qemu]\nenable_annotations = [{a=2020-01-01}]\n"},
        {f"{GO_DROP_INS}/\udcff5": "[runtime]\nno_such = 1\n"},
        {f"{GO_DROP_INS}/5": "x = " + "[" * 50_000},
        {f"{GO_DROP_INS}/5": '[hypervisor.qemu]\nkernel_params = "init=/\\u001b]0;x\\u0007\\uffff\\u202e"\n'},
        {"opt/kata/VERSION": f"{NINES}.1"},
        {JOURNALD: f"[Journal]\nRateLimitBurst={NINES}\nMaxLevelStore={NINES}\n"},
        {"etc/containerd/config.toml": containerd(('"k\\u001b]0;x\\u0007\\n\\uFFFE"', "/kata\\u0000", "/a\\u0000\\u202e"))},
        *(
            {MANIFEST: SERVER, "etc/kubernetes/policy.yaml": POLICY + rules}
            for rules in (
                "- level: Metadata\n  resources: [{group: '', resources: [{a: 1}, [b]]}]\n",
                "- level: Metadata\n  resources: 5\n",
                "- resources: [{resources: 5}, 6]\n",
                "- {[a]: b}\n",
                "- 2001-99-99\n- 0b2\n- !!int ''\n- !!bool x\n- !!timestamp x\n- !!python/object/apply:os.system [id]\n",
                "[" * 5000,
                "\0",
            )
        ),
    ],
    ids=lambda files: ascii(max(files))[-24:],
)
def test_no_file_stops_a_check_and_every_form_is_well_formed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], files: dict[str, str | bytes]
) -> None:
    root = plant(tmp_path, {**modern_files("3.27.0"), **files})

    for form in ("text", "json", "jsonl", "junit", "sarif", "ocsf"):
        assert run(["node", "check", "--root", str(root), "--all", "--fail-on", "never", "-o", form]) == 0, form
        out = capsys.readouterr().out
        assert all(character.isprintable() or character == "\n" for character in out), form
        if form == "junit":
            ET.fromstring(out.encode())
        elif form != "text":
            assert all(json.loads(line) for line in out.splitlines())


@pytest.mark.parametrize(
    "files",
    [
        {f"{GO_DROP_INS}/5": "[x]\n" + "a." * 100_000 + "a=1\n"},
        {f"{GO_DROP_INS}/5": 'x = """\n[' + " " * 5000 + '\n"""\n'},
        {"etc/chrony.conf": "\n" * 100_000},
        {JOURNALD: "[Journal]\nx=a" + " " * 100_000 + "b\n"},
        {"var/lib/rancher/k3s/agent/etc/containerd/config.toml": "# " + "{{" * 100_000},
        {MANIFEST: "audit-" * 50_000},
        {
            "etc/containerd/config.toml": containerd(("kata-q", "", "")),
            "usr/bin/containerd-shim-kata-q-v2": "#!" + "/" * 200_000,
        },
        {"etc/syslog-ng/a": "destination " * 50_000},
        {"etc/logrotate.d/a": "/var/" * 100_000},
        {"etc/audit/rules.d/a.rules": "-a x" + " -S socket,socket" * 50_000 + "\n"},
        {
            MANIFEST: SERVER,
            "etc/kubernetes/policy.yaml": POLICY
            + "- &a {resources: &b ["
            + "{resources: [pods]}," * 5000
            + "]}\n"
            + "- *a\n" * 40_000,
        },
    ],
    ids=lambda files: max(files)[-24:],
)
def test_no_file_takes_longer_than_its_length(tmp_path: Path, files: dict[str, str | bytes]) -> None:
    began = time.process_time()
    looked(tmp_path, files)

    assert time.process_time() - began < SOON


def test_toml_and_yaml_are_refused_where_nobody_would_write_them() -> None:
    for text in ("x = " + NINES, f"x = {1 << 63}", "x = " + "[" * 70 + "]" * 70, "a." * 2000 + "a = 1", "= ="):
        with pytest.raises(DocumentError):
            parse_toml(text)
    for text in ("[&a [], *a]", "[" * 5000, ": : :", "a" * (300 << 10)):
        with pytest.raises(DocumentError):
            parse_yaml(text)
    assert parse_toml(f"x = {(1 << 63) - 1}") == {"x": (1 << 63) - 1}
    assert parse_yaml("a: [1, yes, 2001-99-99, ~]") == {"a": ["1", "yes", "2001-99-99", "~"]}


def socket_at(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as opened:
        opened.bind(str(path))


@pytest.mark.parametrize(
    "path", ["etc/containerd/config.toml", f"{GO_DROP_INS}/50", JOURNALD, "etc/rsyslog.d/x", "opt/kata/VERSION"]
)
@pytest.mark.parametrize("make", [os.mkfifo, socket_at], ids=["pipe", "socket"])
def test_what_is_no_file_does_not_block(
    tmp_path: Path, path: str, make: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = plant(tmp_path, modern_files("3.27.0"))
    (root / path).unlink(missing_ok=True)
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    monkeypatch.chdir((root / path).parent)  # a socket's name is short
    make(Path((root / path).name))

    assert examine(FolderTree(root), KEYS, node_checks()).findings


def test_a_pipe_that_takes_a_files_place_at_the_last_moment_does_not_block_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flags: list[int] = []
    real = os.open

    def opened(path: str, wanted: int) -> int:
        flags.append(wanted)
        return real(path, wanted)

    plant(tmp_path, {"a": "x"})
    monkeypatch.setattr(os, "open", opened)
    FolderTree(tmp_path).data("a")

    assert flags[0] & os.O_NONBLOCK
    assert flags[0] & os.O_NOFOLLOW


def test_a_file_that_changes_while_it_is_read_is_no_evidence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.read

    def changing(descriptor: int, size: int) -> bytes:
        data = real(descriptor, size)
        with (tmp_path / "a").open("ab") as file:
            file.write(b"more" if file.tell() < 100 else b"")
        return data

    plant(tmp_path, {"a": "x"})
    monkeypatch.setattr(os, "read", changing)

    with pytest.raises(UnreadableError, match="changed while it was read"):
        read(FolderTree(tmp_path), "a")


def test_a_directory_of_drop_ins_that_is_a_link_is_looked_at_inside_the_root(tmp_path: Path) -> None:
    """Outside, under the same absolute name, an entry is a link; inside it is a file, and only that counts."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "50.toml").symlink_to("/nowhere")
    files = {RUST_DROP_INS: f"-> {outside}", f"{str(outside).lstrip('/')}/50.toml": "[runtime]\nenable_debug = true\n"}
    examination = looked(tmp_path / "root", dict(files))

    assert status(examination, "KN-010", "kata-qemu-runtime-rs") is Status.PASS


def hidden(monkeypatch: pytest.MonkeyPatch, *places: str) -> None:
    """Take the right to look at some places away; the tests may run as root, which has every right."""
    real = FolderTree.kind

    def kind(self: FolderTree, path: str) -> Kind:
        return Kind.UNREADABLE if path.startswith(places) else real(self, path)

    monkeypatch.setattr(FolderTree, "kind", kind)


@pytest.mark.parametrize(
    ("place", "checks"),
    [
        ("etc/audit", ("KN-099", "KN-100", "KN-104", "KN-106")),
        ("etc/kubernetes", ("KN-110", "KN-111")),
        ("etc/rsyslog.d", ("KN-080",)),
        ("etc/chrony", ("KN-090",)),
        ("etc/systemd/journald.conf", ("KN-070", "KN-071", "KN-074", "KN-075", "KN-076", "KN-077")),
        ("etc/containerd/conf.d", ()),
    ],
)
def test_what_may_not_be_read_is_blind_wherever_it_lies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, checks: tuple[str, ...]
) -> None:
    hidden(monkeypatch, place)
    handlers = modern_files("3.27.0")["etc/containerd/config.toml"]
    assert isinstance(handlers, str)
    files: dict[str, str | bytes] = {
        "etc/containerd/config.toml": 'imports = ["conf.d/*.toml"]\n' + handlers,
        "usr/sbin/auditd": "",
        "var/log/journal/x": "",
        JOURNALD: "[Journal]\nStorage=none\n",
    }
    examination = looked(tmp_path, files)

    assert status(examination, "KN-006") is Status.BLIND
    assert {check: status(examination, check) for check in checks} == dict.fromkeys(checks, Status.BLIND)
    if "KN-110" in checks:
        said = next(one.answer.said for one in examination.findings if one.check.id == "KN-110")
        assert said == "How the API server is started cannot be read."


def test_a_class_whose_file_may_not_be_read_is_blind_not_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_to_read(monkeypatch, GO_DROP_INS)

    assert status(looked(tmp_path, {f"{GO_DROP_INS}/50.toml": ""}), "KN-010", "kata-qemu") is Status.BLIND


def test_a_drop_in_of_systemd_that_a_link_to_null_masks_is_no_file_that_cannot_be_read(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "usr/lib/systemd/journald.conf.d/a.conf": "[Journal]\nStorage=none\n",
        "etc/systemd/journald.conf.d/a.conf": "-> /dev/null",
        "dev/null": "[Journal]\nStorage=none\n",
        "var/log/journal/x": "",
    }
    examination = looked(tmp_path, files)

    assert (status(examination, "KN-006"), status(examination, "KN-070")) == (Status.PASS, Status.PASS)


@pytest.mark.parametrize(
    ("directory", "file", "expected"),
    [(0o2755, 0o640, Status.PASS), (0o2755, 0o644, Status.FAIL), (0o777, 0o640, Status.FAIL), (0o2755, None, Status.BLIND)],
)
def test_the_journal_is_closed_where_its_files_are(
    tmp_path: Path, directory: int, file: int | None, expected: Status
) -> None:
    """systemd lets everybody list the directory, and keeps the files to a group."""
    root = plant(tmp_path, {**modern_files("3.27.0"), "data/log/journal/m/system.journal": "", "var/log": "-> /data/log"})
    machine = root / "data/log/journal/m"
    for path in (machine.parent, machine):
        path.chmod(directory)
    if file is None:
        (machine / "system.journal").unlink()
    else:
        (machine / "system.journal").chmod(file)

    assert status(examine(FolderTree(root), KEYS, node_checks()), "KN-078") is expected


@pytest.mark.parametrize(
    ("rules", "spares"),
    [
        ("- level: Request\n  resources:\n  - group: authentication.k8s.io\n    resources: [tokenreviews]\n", Status.FAIL),
        ("- level: RequestResponse\n  namespaces: [prod]\n- level: Metadata\n", Status.FAIL),
        ("- level: Metadata\n- level: RequestResponse\n", Status.PASS),
        ("- level: RequestResponse\n  resources: []\n", Status.FAIL),
        ("- level: RequestResponse\n  nonResourceURLs: ['/healthz']\n- level: Metadata\n", Status.PASS),
        ("- <<: {level: RequestResponse}\n- level: Metadata\n", Status.BLIND),
    ],
)
def test_bodies_of_secrets_are_found_behind_any_rule_that_may_fit(tmp_path: Path, rules: str, spares: Status) -> None:
    files: dict[str, str | bytes] = {MANIFEST: SERVER, "etc/kubernetes/policy.yaml": POLICY + rules}

    assert status(looked(tmp_path, files), "KN-112") is spares


def test_all_execs_are_written_where_a_rule_names_them_for_every_resource(tmp_path: Path) -> None:
    named = "- level: Metadata\n  resources:\n  - resources: ['*/exec', '*/attach', '*/portforward']\n"

    files: dict[str, str | bytes] = {MANIFEST: SERVER, "etc/kubernetes/policy.yaml": POLICY + named}
    assert status(looked(tmp_path, files), "KN-111") is Status.PASS


def test_a_sarif_result_that_is_open_has_no_level_and_its_place_is_a_uri(tmp_path: Path) -> None:
    examination = looked(tmp_path, {f"{GO_DROP_INS}/a b%\udcff": "[runtime]\nno_such = 1\n"})
    results = as_sarif(examination)["runs"][0]["results"]

    assert {(one["kind"], one["level"]) for one in results if one["kind"] == "open"} == {("open", "none")}
    uris = {place["physicalLocation"]["artifactLocation"]["uri"] for one in results for place in one.get("locations", ())}
    assert f"{GO_DROP_INS}/a%20b%25%FF" in uris


def packed(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for member, data in members:
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


def test_every_kind_of_member_has_a_place_inside(tmp_path: Path) -> None:
    files = ArchiveTree(
        packed(
            tmp_path / "a.tar.gz",
            (member("/etc/a"), b"absolute"),
            (member("../../b"), b"above"),
            (member("etc/hard", tarfile.LNKTYPE, "/etc/a"), b""),
            (member("etc/lost", tarfile.LNKTYPE, "etc/later"), b""),
            (member("etc/null", tarfile.CHRTYPE), b""),
            (member("etc/pipe", tarfile.FIFOTYPE), b""),
            (member("loop", tarfile.SYMTYPE, "loop"), b""),
            (member("out", tarfile.SYMTYPE, "../" * 9 + "etc/a"), b""),
            (member("long", tarfile.SYMTYPE, "../" * 5000 + "etc/a"), b""),
            (member("d/" * 3000 + "x"), b"deep"),
        )
    )

    assert (read(files, "etc/a"), read(files, "b"), read(files, "out")) == (b"absolute", b"above", b"absolute")
    assert (files.kind("etc/hard"), files.data("etc/hard")) == (Kind.FILE, b"absolute")
    assert {name: resolve(files, name).kind for name in ("etc/lost", "etc/null", "etc/pipe", "loop", "long", "d")} == {
        "etc/lost": Kind.OTHER,
        "etc/null": Kind.OTHER,
        "etc/pipe": Kind.OTHER,
        "loop": Kind.UNREADABLE,
        "long": Kind.UNREADABLE,
        "d": Kind.MISSING,
    }


def test_of_two_members_of_one_name_the_later_counts_also_where_it_is_too_long(tmp_path: Path) -> None:
    big = b"\0" * (tree.MAX_BYTES + 1)
    files = ArchiveTree(packed(tmp_path / "a.tar.gz", (member("a"), b"first"), (member("a"), big), (member("b"), big)))

    for name in ("a", "b"):
        with pytest.raises(UnreadableError, match="is longer than"):
            read(files, name)


def test_an_archive_that_unpacks_to_more_than_a_node_has_is_not_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tree, "_MAX_ARCHIVE", 10)
    path = packed(tmp_path / "a.tar.gz", (member("a"), b"12345678"), (member("b"), b"12345678"), (member("c"), b"12"))
    files = ArchiveTree(path)

    assert (read(files, "a"), read(files, "c")) == (b"12345678", b"12")
    with pytest.raises(UnreadableError, match="behind the first 10 bytes"):
        read(files, "b")
    monkeypatch.setattr(tree, "_MAX_MEMBERS", 2)
    with pytest.raises(InputMissingError):
        ArchiveTree(path)


def test_an_archive_that_is_damaged_anywhere_is_said(tmp_path: Path) -> None:
    whole = packed(tmp_path / "a.tar.gz", *((member(f"f{number}"), os.urandom(2000)) for number in range(20))).read_bytes()
    for at in range(20, len(whole), 997):
        (tmp_path / "b.tar.gz").write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])
        try:
            open_tree(tmp_path / "b.tar.gz")
        except InputMissingError:
            continue
    (tmp_path / "c.gz").write_bytes(gzip.compress(b"\xff" * 5000))
    for path in (tmp_path / "c.gz", Path("a" * 5000)):
        with pytest.raises(InputMissingError):
            open_tree(path)
