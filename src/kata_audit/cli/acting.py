"""Who runs a command, as the system tells it."""

import os
import pwd


def account() -> str:
    """Name the account that runs this, by the system's word."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"


def person(on_behalf: str = "") -> str:
    """Name the person: who was named, else whom `sudo` names for root; empty where neither is known."""
    return on_behalf or (os.environ.get("SUDO_USER", "") if os.getuid() == 0 else "")
