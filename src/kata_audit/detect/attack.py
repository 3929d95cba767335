"""Techniques of MITRE ATT&CK that rules name, with their tactics.

Source: ATT&CK for enterprises, https://attack.mitre.org; names and tactics as Sigma spells tactics.
"""

from typing import Final, NamedTuple

TACTICS: Final = (
    "reconnaissance",
    "resource-development",
    "initial-access",
    "execution",
    "persistence",
    "privilege-escalation",
    "defense-evasion",
    "credential-access",
    "discovery",
    "lateral-movement",
    "collection",
    "command-and-control",
    "exfiltration",
    "impact",
)
"""Tactics, in ATT&CK's order."""


class Technique(NamedTuple):
    """A technique: its name, of a sub-technique its own alone, and the tactics that it serves."""

    name: str
    tactics: tuple[str, ...]


_IMPACT: Final = ("impact",)
_EVASION: Final = ("defense-evasion",)
_CREDENTIALS: Final = ("credential-access",)
_EXECUTION: Final = ("execution",)
_ESCALATION: Final = ("privilege-escalation",)

TECHNIQUES: Final[dict[str, Technique]] = {
    "T1003": Technique("OS Credential Dumping", _CREDENTIALS),
    "T1003.008": Technique("/etc/passwd and /etc/shadow", _CREDENTIALS),
    "T1021": Technique("Remote Services", ("lateral-movement",)),
    "T1036": Technique("Masquerading", _EVASION),
    "T1040": Technique("Network Sniffing", ("credential-access", "discovery")),
    "T1053.003": Technique("Cron", ("execution", "persistence", "privilege-escalation")),
    "T1059": Technique("Command and Scripting Interpreter", _EXECUTION),
    "T1059.004": Technique("Unix Shell", _EXECUTION),
    "T1068": Technique("Exploitation for Privilege Escalation", _ESCALATION),
    "T1070": Technique("Indicator Removal", _EVASION),
    "T1070.002": Technique("Clear Linux or Mac System Logs", _EVASION),
    "T1105": Technique("Ingress Tool Transfer", ("command-and-control",)),
    "T1133": Technique("External Remote Services", ("initial-access", "persistence")),
    "T1190": Technique("Exploit Public-Facing Application", ("initial-access",)),
    "T1200": Technique("Hardware Additions", ("initial-access",)),
    "T1485": Technique("Data Destruction", _IMPACT),
    "T1489": Technique("Service Stop", _IMPACT),
    "T1496": Technique("Resource Hijacking", _IMPACT),
    "T1499": Technique("Endpoint Denial of Service", _IMPACT),
    "T1499.004": Technique("Application or System Exploitation", _IMPACT),
    "T1525": Technique("Implant Internal Image", ("persistence",)),
    "T1542": Technique("Pre-OS Boot", ("persistence", "defense-evasion")),
    "T1546": Technique("Event Triggered Execution", ("persistence", "privilege-escalation")),
    "T1547.006": Technique("Kernel Modules and Extensions", ("persistence", "privilege-escalation")),
    "T1548.001": Technique("Setuid and Setgid", ("privilege-escalation", "defense-evasion")),
    "T1552": Technique("Unsecured Credentials", _CREDENTIALS),
    "T1552.001": Technique("Credentials In Files", _CREDENTIALS),
    "T1552.005": Technique("Cloud Instance Metadata API", _CREDENTIALS),
    "T1562": Technique("Impair Defenses", _EVASION),
    "T1562.001": Technique("Disable or Modify Tools", _EVASION),
    "T1562.004": Technique("Disable or Modify System Firewall", _EVASION),
    "T1562.006": Technique("Indicator Blocking", _EVASION),
    "T1564": Technique("Hide Artifacts", _EVASION),
    "T1565": Technique("Data Manipulation", _IMPACT),
    "T1565.001": Technique("Stored Data Manipulation", _IMPACT),
    "T1574": Technique("Hijack Execution Flow", ("persistence", "privilege-escalation", "defense-evasion")),
    "T1574.007": Technique("Path Interception by PATH Variable", ("persistence", "privilege-escalation", "defense-evasion")),
    "T1609": Technique("Container Administration Command", _EXECUTION),
    "T1610": Technique("Deploy Container", ("defense-evasion", "execution")),
    "T1611": Technique("Escape to Host", _ESCALATION),
    "T1613": Technique("Container and Resource Discovery", ("discovery",)),
}
"""Techniques by id, in order."""


def techniques_of(tags: tuple[str, ...]) -> list[str]:
    """Give the techniques that a rule's tags name, as ATT&CK spells their ids.

    Example:
        >>> techniques_of(("attack.impact", "attack.t1499.004"))
        ['T1499.004']
    """
    names = [tag.removeprefix("attack.").upper() for tag in tags if tag.startswith("attack.t")]
    return [name for name in names if name in TECHNIQUES]
