"""The causes inside an error: real nested errors to their innermost text, and bounds on hostile ones."""

import random

import pytest

from kata_audit.parse.error_chain import DEEPEST, LONGEST, MOST_LINKS, innermost, read_chain

SANDBOX = "453727a89be6f606881160cd833849767a05339ea9998dcc45136467d34acde3"
START = f'rpc error: code = Unknown desc = failed to start sandbox "{SANDBOX}": failed to create containerd task: '
RUST = (
    START + r'failed to create shim task: Others("failed to handle message start sandbox in task handler\n\nCaused by:\n'
    r"    0: start vm\n    1: generate vhost vsock cid failed\n"
    r"    2: failed to open /dev/vhost-vsock, try to run modprobe vhost_vsock.\n    3: No such file or directory (os error 2)\n\n"
    r"Stack backtrace:\n   0: <E as anyhow::context::ext::StdError>::ext_context\n"
    r'   1: hypervisor::qemu::inner::QemuInner::start_vm::{{closure}}\n")'
)
STATUS = (
    START + r'failed to create shim task: Others("failed to handle message start sandbox in task handler\n\nCaused by:\n'
    r"    0: start vm\n    1: rpc status: Status { code: INTERNAL, message: \"cloud provider error: instance launch timed out\", "
    r"details: [], special_fields: SpecialFields { unknown_fields: UnknownFields { fields: None }, cached_size: CachedSize "
    r'{ size: 0 } } }\n\nStack backtrace:\n   0: anyhow::error::from\n")'
)
SEEN = {
    RUST: "failed to open /dev/vhost-vsock, try to run modprobe vhost_vsock.: No such file or directory (os error 2)",
    STATUS: "cloud provider error: instance launch timed out",
    START + "failed to create shim task: /etc/kata-containers/configuration-qemu.toml: host system doesn't support vsock: "
    "stat /dev/vhost-vsock: no such file or directory": "host system doesn't support vsock: stat /dev/vhost-vsock: "
    "no such file or directory",
    START
    + 'failed to create shim task: toml: line 17 (last key "hypervisor.remote.remote_hypervisor_timeout"): strings cannot '
    "contain newlines": 'line 17 (last key "hypervisor.remote.remote_hypervisor_timeout"): strings cannot contain newlines',
    START
    + 'failed to create shim task: "CreateContainerRequest is blocked by policy: "': "CreateContainerRequest is blocked "
    "by policy:",
    START + "failed to create shim task: ttrpc: closed": "failed to create shim task: ttrpc: closed",
    START
    + 'failed to create shim task: configuration file contains invalid hypervisor section: "nosuchvmm"': "configuration "
    "file contains invalid hypervisor section: nosuchvmm",
    'failed to exec in container: failed to start exec "504a6efd": cannot enter container ab2c82c0, with err '
    '"ExecProcessRequest is blocked by policy: "': "ExecProcessRequest is blocked by policy:",
    "remote hypervisor call failed: rpc error: code = Internal desc = creating an instance : no capacity in zone worker-a": "no "
    "capacity in zone worker-a",
    "Could not send CopyFile request: rpc error: code = Internal desc = fchown parent\n\nCaused by:\n    EROFS: Read-only file "
    "system\n\nStack backtrace:\n   0: <E as anyhow::context::ext::StdError>::ext_context": "fchown parent: EROFS: Read-only file "
    "system",
    'rpc error: code = NotFound desc = failed to resolve image "registry.example.com/nope:1": not found': "failed to resolve "
    'image "registry.example.com/nope:1": not found',
}
"""Errors of captured runs (go-info, rs-badconfig-info, rs-remote-info, go-stock-remote), and what is innermost in them."""


@pytest.mark.parametrize(("error", "said"), SEEN.items(), ids=range(len(SEEN)))
def test_the_innermost_text_of_a_real_error_says_something_by_itself(error: str, said: str) -> None:
    """What a person needs stands alone, without codes, wraps, numbers and backtraces."""
    assert innermost(read_chain(error)) == said


def test_the_links_lead_from_the_outermost_to_the_innermost() -> None:
    """Nothing between is lost, and each hand that it went through is one link."""
    assert read_chain(RUST) == (
        f'failed to start sandbox "{SANDBOX}"',
        "failed to create containerd task",
        "failed to create shim task",
        "failed to handle message start sandbox in task handler",
        "start vm",
        "generate vhost vsock cid failed",
        "failed to open /dev/vhost-vsock, try to run modprobe vhost_vsock.",
        "No such file or directory (os error 2)",
    )


@pytest.mark.parametrize("error", [RUST, STATUS])
def test_a_further_level_of_quoting_changes_nothing(error: str) -> None:
    """The same error reads the same however often a hop has quoted it, up to the bound."""
    quoted = error
    for _ in range(DEEPEST - 2):
        once = quoted.replace("\\", "\\\\").replace('"', '\\"')
        if len(once) > LONGEST:
            break
        quoted = once

    assert quoted != error
    assert read_chain(quoted) == read_chain(error)


def test_quoted_text_is_not_cut() -> None:
    """A name that a tenant chose cannot look like a cause of its own."""
    links = read_chain('failed to start "x: CreateContainerRequest is blocked by policy: y": not found')

    assert links == ('failed to start "x: CreateContainerRequest is blocked by policy: y"', "not found")


@pytest.mark.parametrize(
    "text",
    [
        '"' * 400_000,
        "\\" * 400_000,
        ": a" * 200_000,
        "{" * 400_000,
        "\n" * 400_000,
        "\n    1: " * 60_000,
        "\nCaused by:\n" * 40_000,
        " " * 400_000 + "\n0: a::",
        "`" * 400_001,
    ],
    ids=["quotes", "backslashes", "links", "braces", "lines", "numbers", "lists", "blanks", "ticks"],
)
def test_a_hostile_error_has_bounded_links(text: str) -> None:
    """Of any text no more than the bounds is read or kept, and no link is empty or holds a line end."""
    links = read_chain(text)

    assert len(links) <= MOST_LINKS
    assert sum(map(len, links)) <= LONGEST
    assert all(link and "\n" not in link for link in links)
    assert isinstance(innermost(links), str)


def test_mutations_of_a_real_error_never_break_the_bounds() -> None:
    """Torn, repeated and shuffled pieces of real errors are still links of one line."""
    chance = random.Random(7)
    pieces = [error[start : start + 60] for error in SEEN for start in range(0, len(error), 60)]
    for _ in range(300):
        links = read_chain("".join(chance.choices(pieces, k=chance.randrange(1, 30))))

        assert len(links) <= MOST_LINKS
        assert all(link.strip() == link and link and "\n" not in link for link in links)
