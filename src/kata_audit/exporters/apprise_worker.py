"""The process that speaks to a service through Apprise: one message, and it ends.

`apprise.py` starts it. Apprise and its services are much code of others; in a process of its own it has one destination's
secret and none of the rest, and can be ended when it takes too long. Every connection that it opens passes the same check
of addresses as ours: Python tells of each before it is made.

Source: PEP 578 (audit hooks), event `socket.connect`.
"""

import ipaddress
import json
import logging
import resource
import socket
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

from kata_audit.exporters.address import ForbiddenAddressError, check_address
from kata_audit.exporters.settings import Network

SENT: Final = "sent"
UNKNOWN_URL: Final = "its URL is none that Apprise knows"
NEEDS_TLS: Final = "its URL is one without TLS, and `plaintext` is not set"
NOT_SENT: Final = "the service did not take it"
_MOST_MEMORY: Final = 1 << 30
"""Bytes of memory, what is only reserved included: a service's answer is read whole and unpacked, and may have no end."""
_CONNECTS: Final = frozenset({"socket.connect", "socket.sendto", "socket.sendmsg"})
_INCIDENT: Final[Mapping[str, Mapping[str, str]]] = {
    "pagerduty": {"dedup": "{alert_id}", "action": "map"},
    "opsgenie": {"alias": "{alert_id}"},
    "splunk": {"entity_id": "{alert_id}", "action": "map"},
}
"""Services that keep one incident for each alert, and how Apprise is told which one it is; `map` closes it at the end."""


class _Guard:
    """Looks at every address before it is connected to, and keeps why the last one was refused."""

    def __init__(self, allowed: Sequence[Network]) -> None:
        self._allowed = allowed
        self.refused: str | None = None

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event not in _CONNECTS or len(arguments) < 2 or arguments[1] is None:
            return
        opened, address = arguments[0], arguments[1]
        try:
            if opened.family not in (socket.AF_INET, socket.AF_INET6):
                raise ForbiddenAddressError("it leads to a program of this machine")  # noqa: TRY301 - refused as the others
            check_address(str(address[0]), self._allowed)
        except ForbiddenAddressError as error:
            self.refused = str(error)
            raise OSError(self.refused) from None


def send(message: Mapping[str, Any]) -> str:
    """Send one message.

    Args:
        message: `url`, `title`, `body`, `type`, `alert_id`, `allow` (networks as text) and `plaintext`.

    Returns:
        `SENT`, or why not, in words of ours: what Apprise says may hold the secret.
    """
    guard = _Guard([ipaddress.ip_network(text) for text in message["allow"]])
    sys.addaudithook(guard)
    logging.disable(logging.CRITICAL)
    import apprise  # noqa: PLC0415 - after the hook

    asset = apprise.AppriseAsset(async_mode=False, http_redirects=False, plugin_paths=[])
    services: Any = apprise.plugins  # it has no types
    parts = services.url_to_dict(message["url"])
    if not parts:
        return UNKNOWN_URL
    service = str(parts["schema"])
    for name, text in _INCIDENT.get(service, {}).items():
        if not str(parts.get(name) or "").strip("/ "):
            parts[name] = text.format(alert_id=message["alert_id"])
    parts["redirect"] = False
    notifier = apprise.Apprise.instantiate(parts, asset=asset)
    if notifier is None:
        return UNKNOWN_URL
    if not message["plaintext"] and service in _names(notifier.protocol) and service not in _names(notifier.secure_protocol):
        return NEEDS_TLS
    sender = apprise.Apprise(asset=asset)
    sender.add(notifier)
    sent = sender.notify(
        body=message["body"], title=message["title"], notify_type=message["type"], body_format=apprise.NotifyFormat.TEXT
    )
    return SENT if sent else guard.refused or NOT_SENT


def _names(stated: Any) -> Sequence[str]:
    return (stated,) if isinstance(stated, str) else tuple(stated or ())


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY, _MOST_MEMORY))
    answer = send(json.load(sys.stdin))
    sys.stdout.write(json.dumps(answer))
