"""A plan in the forms of those who keep nodes by description: Helm values of kata-deploy, MachineConfig, Ansible.

Source: kata-deploy's chart (`shims.<name>.dropIn`, from 3.32); OpenShift MachineConfig with Ignition 3.2; Ansible
`ansible.builtin.copy`.
"""

import base64
from typing import Any, Final, NamedTuple

import yaml

from kata_audit.node import journald
from kata_audit.node.plan import Plan, escape

_MODE: Final = 0o644


class _File(NamedTuple):
    """A file that a plan writes, and whose it is."""

    of: str
    path: str
    text: str


def _classes(plan: Plan) -> list[_File]:
    return [_File(one.handler, one.path, one.text) for one in plan.classes if one.path is not None and one.text is not None]


def _files(plan: Plan) -> list[_File]:
    """List what a plan writes, journald's drop-in too."""
    journal = plan.journald
    own = [] if journal is None or journal.path is None or journal.text is None else [(journal.path, journal.text)]
    return [*_classes(plan), *(_File(journald.NAME, path, text) for path, text in own)]


def as_helm_values(plan: Plan) -> str:
    """Give values for kata-deploy's chart: it writes the classes' drop-ins, and they outlive its clean-up."""
    shims = {one.of.removeprefix("kata-"): {"dropIn": one.text} for one in _classes(plan)}
    return _yaml({"shims": shims})


def as_machineconfig(plan: Plan) -> str:
    """Give an OpenShift MachineConfig that writes the drop-ins on every worker."""
    files = [
        {
            "path": f"/{one.path}",
            "mode": _MODE,
            "overwrite": True,
            "contents": {"source": "data:;base64," + base64.b64encode(one.text.encode()).decode()},
        }
        for one in _files(plan)
    ]
    return _yaml(
        {
            "apiVersion": "machineconfiguration.openshift.io/v1",
            "kind": "MachineConfig",
            "metadata": {
                "name": f"99-kata-audit-{plan.profile.name}",
                "labels": {"machineconfiguration.openshift.io/role": "worker"},
            },
            "spec": {"config": {"ignition": {"version": "3.2.0"}, "storage": {"files": files}}},
        }
    )


def as_ansible(plan: Plan) -> str:
    """Give Ansible tasks that write the drop-ins."""
    tasks: list[dict[str, Any]] = []
    for one in _files(plan):
        folder = f"/{one.path}".rpartition("/")[0]
        tasks.append(
            {
                "name": _untemplated(f"Make the drop-in directory of {one.of}"),
                "ansible.builtin.file": {"path": _untemplated(folder), "state": "directory", "mode": "0755"},
            }
        )
        tasks.append(
            {
                "name": _untemplated(f"Set {one.of} to the profile {plan.profile.name}"),
                "ansible.builtin.copy": {
                    "dest": _untemplated(f"/{one.path}"),
                    "content": _untemplated(one.text),
                    "mode": "0644",
                },
            }
        )
    return _yaml(tasks)


class _Unsafe(str):
    """A text that Ansible takes as it stands."""

    __slots__ = ()


def _untemplated(text: str) -> str:
    """Keep Ansible from running what a node's file holds: it takes `{{` and `{%` in any text for a program."""
    return _Unsafe(text) if "{{" in text or "{%" in text or "{#" in text else text


def as_toml(plan: Plan) -> str:
    """Give the classes' drop-ins one behind the other, each under its path; journald's is no TOML."""
    return "\n".join(f"# /{escape(one.path)}\n{one.text}" for one in _classes(plan))


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as blocks, so that a person can review them."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


def _unsafe(dumper: yaml.SafeDumper, value: _Unsafe) -> yaml.ScalarNode:
    return dumper.represent_scalar("!unsafe", value)


_Dumper.add_representer(str, _text)
_Dumper.add_representer(_Unsafe, _unsafe)


def _yaml(value: Any) -> str:
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, width=120)
