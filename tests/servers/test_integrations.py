"""Packs against the programs that read them: what they accept, and that it does what it says."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from kata_audit.integrations.pack import fill_in
from kata_audit.wiring import integration_file, integration_packs

PACKS = integration_packs()
prometheus = pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not here; `make servers` installs it")
alertmanager = pytest.mark.skipif(shutil.which("amtool") is None, reason="amtool is not here; `make servers` installs it")


class Series(NamedTuple):
    """Numbers of an hour, a sample each minute: while all is well, and when it is not."""

    name: str
    well: str
    ill: str


NOW = "0+60x60"
STOPPED = "0+60x10 600x50"
STILL, STEPS = "5x60", "0+1x60"
CASES = {
    "KataAuditCollectorStopped": Series("kata_audit_time_seconds", NOW, STOPPED),
    "KataAuditNothingCollected": Series("kata_audit_collected_records_total", STEPS, STILL),
    "KataAuditRecordsLost": Series("kata_audit_lost_records_total", STILL, STEPS),
    "KataAuditRecordsDropped": Series("kata_audit_dropped_records_total", STILL, STEPS),
    "KataAuditDiskFull": Series("kata_audit_disk_full_retries_total", STILL, STEPS),
    "KataAuditSourceFailing": Series("kata_audit_source_failures_total", STILL, STEPS),
    "KataAuditNotSealing": Series("kata_audit_checkpoint_age_seconds", "3x60", "0+60x60"),
    "KataAuditDeliveryStopped": Series("kata_audit_delivery_time_seconds", NOW, STOPPED),
    "KataAuditNoticesWaiting": Series("kata_audit_notices_waiting", "0 3 0x58", "4x60"),
    "KataAuditNoticesRefused": Series("kata_audit_notices_refused_total", STILL, STEPS),
    "KataAuditExportStopped": Series("kata_audit_export_time_seconds", NOW, STOPPED),
    "KataAuditExportFailing": Series("kata_audit_exports_failing", "0 1 0x58", "1x60"),
    "KataAuditRecordsRejected": Series("kata_audit_records_rejected_total", STILL, STEPS),
}


def written(pack: str, folder: Path) -> Path:
    """Write a pack's first file as a user would have it."""
    one = PACKS[pack]
    path = folder / one.files[0]
    path.write_text(fill_in(one, integration_file(one, one.files[0]), {}))
    return path


def checked(*command: str | Path) -> str:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@prometheus
def test_prometheus_takes_every_rule(tmp_path: Path) -> None:
    assert f"{len(CASES)} rules found" in checked("promtool", "check", "rules", written("prometheus", tmp_path))


@prometheus
@pytest.mark.parametrize("alert", CASES)
def test_an_alert_fires_when_it_should_and_only_then(tmp_path: Path, alert: str) -> None:
    """By Prometheus' own evaluation of an hour."""
    path, case = written("prometheus", tmp_path), CASES[alert]
    (rule,) = (one for one in yaml.safe_load(path.read_text())["groups"][0]["rules"] if one["alert"] == alert)
    summary = rule["annotations"]["summary"].replace("{{ $labels.instance }}", "worker-7")
    described = {"summary": summary, "description": rule["annotations"]["description"]}
    labels = {**rule["labels"], "instance": "worker-7"}
    fired = [{"exp_labels": labels, "exp_annotations": described}]
    others = [] if alert != "KataAuditNoticesRefused" else ["kata_audit_notices_given_up_total"]
    names = {case.name, *re.findall("kata_audit_[a-z_]+", rule["expr"])}
    assert names == {case.name, *others}

    def test(values: str, expected: list[dict[str, Any]]) -> dict[str, Any]:
        series = [{"series": f'{case.name}{{instance="worker-7"}}', "values": values}]
        series += [{"series": f'{name}{{instance="worker-7"}}', "values": "0x60"} for name in others]
        asked = {"eval_time": "45m", "alertname": alert, "exp_alerts": expected}
        return {"interval": "1m", "input_series": series, "alert_rule_test": [asked]}

    tests = {"rule_files": [str(path)], "tests": [test(case.well, []), test(case.ill, fired)]}
    (tmp_path / "tests.yml").write_text(yaml.safe_dump(tests))
    checked("promtool", "test", "rules", tmp_path / "tests.yml")


@alertmanager
@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        (["alertname=KA-008", "severity=critical", "claim=false"], "kata-on-call"),
        (["alertname=KA-008", "severity=critical", "claim=true"], "kata-review"),
        (["alertname=KA-100", "severity=medium", "claim=false"], "kata-review"),
        (["alertname=KataAuditHeartbeat", "severity=none"], "kata-dead-man"),
    ],
)
def test_an_alert_goes_where_it_should(tmp_path: Path, labels: list[str], receiver: str) -> None:
    """By Alertmanager's own routing."""
    path = written("alertmanager", tmp_path)
    checked("amtool", "check-config", path)
    assert checked("amtool", "config", "routes", "test", f"--config.file={path}", *labels).strip() == receiver
