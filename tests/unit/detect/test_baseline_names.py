"""Names that outlive what they name."""

import pyarrow as pa
import pytest

from kata_audit.detect.baseline_names import command_form, repository_of, templates_of, workload_of


@pytest.mark.parametrize(
    ("pod", "workload"),
    [
        ("shop-api-7c6d8f5b9c-x2k9z", "shop-api"),
        ("shop-api-5d8b7c9f4-qwz4t", "shop-api"),
        ("coredns-668d6bf9bc-2xkmn", "coredns"),
        ("db-0", "db"),
        ("db-12", "db"),
        ("nightly-29401620-qwz4t", "nightly"),
        ("render-3-qwz4t", "render"),
        ("fluent-bit-x7k2p", "fluent-bit"),
        ("web", "web"),
        ("my-cache", "my-cache"),
        ("-x7k2p", "-x7k2p"),
        ("", ""),
    ],
)
def test_a_workload_is_the_pods_name_without_its_controllers_ending(pod: str, workload: str) -> None:
    """One ending, and no other."""
    assert workload_of(pod) == workload


@pytest.mark.parametrize(
    ("command", "form"),
    [
        ('["sh", "-c", "ls"]', '["sh", "-c", "ls"]'),
        ('["kill", "-9", "4711"]', '["kill", "-*", "*"]'),
        ('["cat", "/run/0f3a9c2e-77aa-4c1b-9d61-0123456789ab"]', '["cat", "/run/*"]'),
        ('["decade", "facade"]', '["decade", "facade"]'),
        ("x" * 1000, "x" * 300),
        ('["1234-5678", "1234-567", "abcdef01-zz"]', '["*", "*-*", "*-zz"]'),
        ("1" + "a" * 500 + "g", "*" + "a" * 299),
    ],
)
def test_a_command_has_a_form(command: str, form: str) -> None:
    """Numbers and ids are left out, words stay."""
    assert command_form(command) == form


@pytest.mark.parametrize(
    ("image", "repository"),
    [
        ("nginx", "nginx"),
        ("nginx:1.29", "nginx"),
        ("registry:5000/shop/api:2", "registry:5000/shop/api"),
        ("registry:5000/shop/api", "registry:5000/shop/api"),
        ("quay.io/a/b@sha256:aa", "quay.io/a/b"),
        ("quay.io/a/b:3@sha256:aa", "quay.io/a/b"),
    ],
)
def test_a_repository_is_an_image_without_tag_and_digest(image: str, repository: str) -> None:
    """A port is no tag."""
    assert repository_of(image) == repository


def test_messages_that_differ_in_numbers_alone_are_outlined_once() -> None:
    """A million of them cost one."""
    asked: list[str] = []

    def outline(text: str) -> str:
        asked.append(text)
        return "outline"

    bodies = pa.array([f"shim {number} of 0f{number:06x} left" for number in range(1000)])
    templates = templates_of(pa.nulls(1000, pa.string()), bodies, outline)

    assert len(asked) == 1
    assert pa.compute.unique(templates).to_pylist() == ["~outline"]


def test_a_named_event_is_its_own_template() -> None:
    """What has a name needs no outline; what has neither name nor message has an empty one."""
    templates = templates_of(pa.array(["a", None, None]), pa.array(["x", "y", None]), str.upper)

    assert templates.to_pylist() == ["a", "~Y", "~"]
