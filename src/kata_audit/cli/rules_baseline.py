"""What `kata-audit rules` says of baselines, which stand beside the rules."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kata_audit.config import Config
    from kata_audit.detect.baseline_rules import Kind

_PLACE = "docs/explanation/baselines.md"


def kinds(config: "Config") -> "dict[str, Kind]":
    """Give the kinds of findings of baselines that are told at a place."""
    from kata_audit.detect.baseline_rules import KINDS

    return {name: kind for name, kind in KINDS.items() if config.baseline.enabled and name not in config.rules.off}


def summary(kind: "Kind", config: "Config") -> dict[str, Any]:
    """Say of a kind what the list of rules says of a rule."""
    from kata_audit.detect.baseline_rules import MATURITY

    return {
        "rule": kind.rule_id,
        "title": kind.title,
        "level": str(kind.level),
        "status": str(MATURITY),
        "kind": "baseline",
        "silent": False,
        "needs": [],
        "group_by": list(kind.group_by),
        "tags": [],
        "controls": [],
        "file": _PLACE,
        "digest": kind.digest(config.baseline),
    }


def explained(kind: "Kind", config: "Config") -> dict[str, Any]:
    """Explain a kind as a rule is explained."""
    return {
        **summary(kind, config),
        "description": f"Told once {config.baseline.learn_days} days were learned; each finding says what was expected.",
        "looks_for": [kind.looks_for],
        "query": None,
        "blind_without": [],
        "false_positives": [kind.false_positives],
        "cannot_see": [kind.cannot_see],
        "respond": ["Look whether somebody meant it: a rollout, a change of the node, a person at work."],
        "references": [],
        "lists": [],
        "parts": [],
    }
