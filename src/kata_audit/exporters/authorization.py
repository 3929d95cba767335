"""The header that says who we are: a bearer token, or a user with the secret as password."""

import base64
from typing import Protocol

from kata_audit.errors import UsageError
from kata_audit.exporters.settings import Endpoint, read_secret


class WithUser(Endpoint, Protocol):
    """An endpoint that a user may log in to."""

    @property
    def user(self) -> str | None:
        """Who logs in with the secret as password; None where the secret is a token."""
        ...


def bearer(one: Endpoint) -> dict[str, str]:
    """Give the header with a bearer token; nothing where there is no secret.

    Raises:
        UsageError: It cannot be had, or no header can hold it.
    """
    return with_scheme("Bearer", one)


def with_scheme(scheme: str, one: Endpoint) -> dict[str, str]:
    """Give the header with the secret behind the word for what it is; nothing where there is no secret.

    Args:
        scheme: The word: `Bearer`, `ApiKey`.
        one: Whose secret.

    Raises:
        UsageError: It cannot be had, or no header can hold it.
    """
    token = read_secret(one)
    if token is None:
        return {}
    if not (token.isascii() and token.isprintable() and " " not in token):
        where = f"${one.secret_env}" if one.secret_env is not None else str(one.secret_file)
        hint = "Write it there alone: one line of ASCII, without a blank."
        raise UsageError(f"The secret of `{one.name}` is no {scheme} token.", where=where, hint=hint)
    return {"Authorization": f"{scheme} {token}"}


def authorization(one: WithUser) -> dict[str, str]:
    """Give the header: of a user by HTTP Basic, else with a bearer token; nothing where there is no secret.

    Raises:
        UsageError: The secret cannot be had, or no header can hold it.
    """
    if one.user is None:
        return bearer(one)
    pair = f"{one.user}:{read_secret(one) or ''}".encode()
    return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
