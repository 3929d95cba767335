"""A signed POST for each notice, as Standard Webhooks has it: libraries in most languages verify it.

The signature covers the message's id, the time it was sent and the body, so that nobody can alter it, and nobody can send an
old one again later than the receiver allows. The id is the notice's `dedup_key`: the same each time it is sent.

Source: Standard Webhooks 1.0.0, sections "Signature scheme" and "Webhook headers".
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from typing import Final

from kata_audit.clock import Clock
from kata_audit.errors import UsageError
from kata_audit.exporters.answers import judge
from kata_audit.exporters.base import Delivery
from kata_audit.exporters.post import PostError, post
from kata_audit.exporters.settings import Destination, read_secret
from kata_audit.exporters.values import spell_notice
from kata_audit.schema.notice import Notice

PREFIX: Final = "whsec_"
LEAST_BYTES: Final = 24
"""Bytes of a secret at least."""
_SECOND: Final = 1_000_000_000


class SecretError(ValueError):
    """A secret is none that signs; the text does not hold it."""


class Webhook:
    """Posts to one webhook.

    Args:
        one: Its settings.
        clock: For the time that is signed.
    """

    def __init__(self, one: Destination, clock: Clock) -> None:
        self._one, self._clock = one, clock

    def export(self, notices: Sequence[Notice]) -> Delivery:
        """Hand over the oldest notice."""
        notice = notices[0]
        body = spell_notice(notice)
        try:
            keys = signing_keys(read_secret(self._one) or "")
            signed = sign(keys, notice.dedup_key, self._clock.now_ns() // _SECOND, body)
            answer = post(self._one, self._one.url or "", body, {"Content-Type": "application/json", **signed})
        except (PostError, UsageError, SecretError) as error:
            return Delivery(0, problem=str(error))
        return judge(answer, 1)


def signing_keys(secret: str) -> list[bytes]:
    """Read the keys of a secret: `whsec_` and base64, one on each line; while a secret is replaced there are two.

    Raises:
        SecretError: There is none, or one is spelled otherwise or too short.
    """
    keys = []
    for line in secret.split():
        try:
            key = base64.b64decode(line.removeprefix(PREFIX), validate=True)
        except binascii.Error as error:
            raise SecretError(f"its secret is not `{PREFIX}` and base64") from error
        if not line.startswith(PREFIX) or len(key) < LEAST_BYTES:
            raise SecretError(f"its secret is not `{PREFIX}` and the base64 of at least {LEAST_BYTES} bytes")
        keys.append(key)
    if not keys:
        raise SecretError("its secret is empty")
    return keys


def sign(keys: Sequence[bytes], name: str, sent_secs: int, body: bytes) -> dict[str, str]:
    """Make the headers that let a receiver trust a body.

    Args:
        keys: What is signed with: one signature each.
        name: The message's id.
        sent_secs: When it is sent, in seconds since the Unix epoch.
        body: The exact bytes.
    """
    signed = f"{name}.{sent_secs}.".encode() + body
    signatures = (base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode() for key in keys)
    return {
        "webhook-id": name,
        "webhook-timestamp": str(sent_secs),
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }
