"""Write the layer of the ATT&CK Navigator: which techniques rules look for.

Source of the form: ATT&CK Navigator, layer file format 4.5.
"""

import json
from pathlib import Path

from kata_audit.detect.attack import TECHNIQUES, techniques_of
from kata_audit.detect.sigma.check import KA
from kata_audit.detect.sigma.reader import read_rules
from kata_audit.rules.files import rule_files

PAGE = Path(__file__).resolve().parents[1] / "reference" / "rules" / "attack-layer.json"


def render() -> str:
    """Make the layer: each technique with its rules, scored by their number."""
    names: dict[str, list[str]] = {technique: [] for technique in TECHNIQUES}
    for rule in sorted(read_rules(rule_files()), key=lambda rule: rule.rule_id):
        if KA.fullmatch(rule.rule_id):
            for technique in techniques_of(rule.about.tags):
                names[technique].append(rule.rule_id)
    found = {technique: rules for technique, rules in names.items() if rules}
    layer = {
        "name": "kata-audit",
        "versions": {"layer": "4.5"},
        "domain": "enterprise-attack",
        "description": "Techniques that the rules of kata-audit look for; the score is the number of rules.",
        "filters": {"platforms": ["Containers", "Linux", "IaaS"]},
        "techniques": [
            {"techniqueID": technique, "score": len(rules), "comment": ", ".join(rules), "enabled": True}
            for technique, rules in found.items()
        ],
        "gradient": {"colors": ["#dbe9f6", "#08519c"], "minValue": 0, "maxValue": max(map(len, found.values()))},
        "hideDisabled": False,
    }
    return json.dumps(layer, indent=2) + "\n"
