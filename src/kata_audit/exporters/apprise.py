"""Pagers, chats, mail and tickets through Apprise, in a process of its own for each message; see `apprise_worker.py`.

The whole URL of a service is a secret: it holds keys and passwords.
"""

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Any, Final

from kata_audit.errors import UsageError
from kata_audit.exporters.apprise_worker import SENT
from kata_audit.exporters.base import MAX_ANSWER_BYTES, Delivery
from kata_audit.exporters.settings import Destination, read_secret
from kata_audit.exporters.text import body_of, title_of
from kata_audit.schema.finding import Level
from kata_audit.schema.notice import Notice, NoticeKind

LIMIT_SECS: Final = 30.0
"""How long one message may take, the start of its process included."""
_KEPT: Final = ("PATH", "LANG", "TZ", "PYTHONPATH", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE")
"""Environment of the worker: no secret of another destination, and no proxy."""
_TYPE: Final = {Level.CRITICAL: "failure", Level.HIGH: "failure", Level.MEDIUM: "warning"}


class Apprise:
    """Sends to one service.

    Args:
        one: Its settings.
    """

    def __init__(self, one: Destination) -> None:
        self._one = one

    def export(self, notices: Sequence[Notice]) -> Delivery:
        """Hand over the oldest notice."""
        try:
            url = read_secret(self._one)
        except UsageError as error:
            return Delivery(0, problem=str(error))
        answer = _run(self._message(notices[0], url or ""))
        return Delivery(1) if answer == SENT else Delivery(0, problem=answer)

    def _message(self, notice: Notice, url: str) -> dict[str, Any]:
        good = notice.kind in (NoticeKind.RESOLVED, NoticeKind.HEARTBEAT)
        return {
            "url": url,
            "title": title_of(notice),
            "body": body_of(notice),
            "type": "success" if good else _TYPE.get(notice.level, "info"),
            "alert_id": notice.alert_id,
            "allow": [str(network) for network in self._one.allow],
            "plaintext": self._one.plaintext,
        }


def _run(message: dict[str, Any]) -> str:
    """Send one message in a process of its own, and give what became of it."""
    command = [sys.executable, "-P", "-m", "kata_audit.exporters.apprise_worker"]
    environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
    try:
        done = subprocess.run(  # noqa: S603 - no shell; the arguments are ours
            command,
            input=json.dumps(message).encode(),
            env=environment,
            capture_output=True,
            timeout=LIMIT_SECS,
            check=False,
        )
        answer = json.loads(done.stdout[:MAX_ANSWER_BYTES]) if done.returncode == 0 else None
    except subprocess.TimeoutExpired:
        return f"it took longer than {LIMIT_SECS:g} seconds"
    except (OSError, ValueError):
        answer = None
    return answer if isinstance(answer, str) else "Apprise failed at it"


def has_apprise() -> bool:
    """Say whether the package is installed: it is the extra `notify`."""
    return importlib.util.find_spec("apprise") is not None
