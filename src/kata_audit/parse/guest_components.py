"""Which program a Rust module path belongs to, for the dialects that name one: guest components and kata-deploy.

Source: confidential-containers `guest-components` (crate names); Kata `tools/packaging/kata-deploy`.
"""

from kata_audit.schema.record import Component

_GUEST = frozenset(
    {
        "api_server_rest",
        "attestation_agent",
        "attester",
        "cdh",
        "confidential_data_hub",
        "coco_keyprovider",
        "image_rs",
        "kbs_protocol",
        "kms",
        "ocicrypt_rs",
        "resource_uri",
        "secret",
        "ttrpc_aa",
        "ttrpc_cdh",
    }
)
"""Roots of the module paths of the guest components' programs and of the crates they alone are made of."""
_HOST = {"kata_deploy": Component.KATA_DEPLOY}


def is_known(module: str) -> bool:
    """Tell whether a module path begins with the name of a program we know."""
    root = module.partition("::")[0]
    return root in _GUEST or root in _HOST


def component_of_module(module: str | None, *, guest: bool) -> str | None:
    """Name the component of a module path.

    Args:
        module: A Rust module path, `crate::module`; None where a line names none.
        guest: Whether the line stands at a guest's position.

    Returns:
        The component; at a guest's position never one of the host. None where nothing tells.

    Example:
        >>> component_of_module("kata_deploy::config", guest=False)
        <Component.KATA_DEPLOY: 'kata-deploy'>
    """
    root = (module or "").partition("::")[0]
    if root in _HOST:
        return None if guest else _HOST[root]
    return Component.GUEST_COMPONENTS if guest and root in _GUEST else None
