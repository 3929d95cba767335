"""Real shippers of a test's own: a pack is written, lines are put where it reads, and what comes out is read back.

Each gives one record a line, in order, as a flat mapping with the fields that all packs make.
"""

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from tests.servers.syslog_servers import program, program_file

from kata_audit.integrations.fluent_bit import add_kata
from kata_audit.integrations.pack import Value, fill_in
from kata_audit.wiring import integration_file, integration_packs

_SERVERS = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kata-audit" / "servers"
FLUENT_BIT = _SERVERS / "fluent-bit-4.2.2" / "fluent-bit"
OTELCOL = _SERVERS / "otelcol-contrib-0.155.0" / "otelcol"
VRL = _SERVERS / "vector-vrl-1.0.7" / "bin" / "python"
GOJA = _SERVERS / "goja-20250309" / "goja"
RUBY = Path(shutil.which("ruby") or "/usr/bin/ruby")
Record = Mapping[str, Any]
_SECONDS = 90


class Place(StrEnum):
    """Where a line stands; the value is the name of the pack's list of such files."""

    JOURNAL = "journal"
    HOST = "host_files"
    AUDIT = "audit_files"
    POD = "pod_files"
    CONSOLE = "console_files"


TRANSPORTS = {Place.JOURNAL: "journal-json", Place.POD: "cri", Place.CONSOLE: "console"}


class Running(NamedTuple):
    """How a program is started."""

    command: Sequence[str | Path]
    environment: Mapping[str, str]


class Shipper(NamedTuple):
    """One that can be run here: its pack's name, its program, and what runs lines through it in a folder."""

    name: str
    program: Path
    run: Callable[[Path, Place, Sequence[bytes]], list[Record]]

    def is_here(self) -> bool:
        """Say whether `make servers-all` has made it, or it is installed."""
        return self.program.is_file()


def _write_pack(name: str, folder: Path, places: Mapping[str, Value]) -> None:
    pack = integration_packs()[name]
    for file in pack.files:
        (folder / file).write_text(fill_in(pack, integration_file(pack, file), places))


def _change(path: Path, old: str, new: str) -> None:
    """Replace what a test cannot have; a pack that no longer holds it is a failure."""
    text, count = re.subn(old, lambda _: new, path.read_text(), flags=re.MULTILINE)
    assert count, f"{path.name} has no {old}"
    path.write_text(text)


def _places(folder: Path) -> dict[str, Value]:
    pods = folder / "pods" / "kube-system_kata-deploy_0-1" / "kata"
    pods.mkdir(parents=True)
    (folder / "state").mkdir()
    named = {place.value: (f"{folder}/{place.value}.log",) for place in Place}
    return {**named, Place.POD.value: (f"{pods}/*.log",), "state_folder": f"{folder}/state"}


def _put(folder: Path, place: Place, lines: Sequence[bytes]) -> None:
    path = folder / f"{place.value}.log" if place is not Place.POD else next(folder.glob("pods/*/*")) / "0.log"
    path.write_bytes(b"".join(line + b"\n" for line in lines))


def _until(
    command: Sequence[str | Path],
    folder: Path,
    read: Callable[[], list[Record]],
    count: int,
    environment: Mapping[str, str] = os.environ,
) -> list[Record]:
    """Run a program until what it wrote holds so many records; it must not end before."""
    with (folder / "stdout").open("wb") as out, (folder / "stderr").open("wb") as err:
        called = [str(part) for part in command]
        process = subprocess.Popen(called, cwd=folder, env=environment, stdout=out, stderr=err)
        try:
            end = time.monotonic() + _SECONDS
            while len(records := read()) < count:
                assert process.poll() is None, (folder / "stderr").read_text()
                assert time.monotonic() < end, (folder / "stderr").read_text()
                time.sleep(0.1)
        finally:
            process.kill()
            process.wait()
    return records


_JOURNAL_INPUT = r"^\[INPUT\]\n    Name +systemd\n(?:    .*\n)+"


def prepare_fluent_bit(folder: Path, place: Place, lines: Sequence[bytes], port: int) -> None:
    """Write Fluent Bit's pack, to send to a port of this machine, and lines for it.

    It lacks the journal's input and Lua, so that entries are read as JSON, and nothing is masked.
    """
    _write_pack("fluent-bit", folder, {**_places(folder), "forward_host": "127.0.0.1", "forward_port": str(port)})
    _change(folder / "kata-output.conf", r"^    tls( +)On$", "    tls Off")
    journal = ["Name tail", "Tag kata.journal", f"Path {folder}/journal.log", "Parser test_json"]
    journal += ["Read_from_Head On", "Buffer_Max_Size 16M"]
    _change(folder / "kata-journal.conf", _JOURNAL_INPUT, "\n    ".join(["[INPUT]", *journal]) + "\n")
    _change(folder / "kata-parsers.conf", r"\A", "[PARSER]\n    Name test_json\n    Format json\n\n")
    _change(folder / "fluent-bit.conf", "^@INCLUDE kata-mask.conf\n", "")
    _put(folder, place, lines)


def _fluent_bit(folder: Path, place: Place, lines: Sequence[bytes]) -> list[Record]:
    """Run Fluent Bit, and read what it prints."""
    prepare_fluent_bit(folder, place, lines, 1)
    (folder / "kata-output.conf").write_text("[OUTPUT]\n    Name stdout\n    Match *\n    Format json_lines\n")
    return _fluent_bit_until(folder, len(lines))


def _fluent_bit_until(folder: Path, count: int) -> list[Record]:
    def read() -> list[Record]:
        whole = (folder / "stdout").read_bytes().rpartition(b"\n")[0].splitlines()
        return [json.loads(line) for line in whole if line.startswith(b"{")]

    return _until([FLUENT_BIT, "fluent-bit.conf"], folder, read, count)


def run_changed(folder: Path, own: str, count: int) -> list[Record]:
    """Run Fluent Bit with a configuration of somebody's own and what `--diff` adds to it.

    Its journal input, which this Fluent Bit lacks, is taken out again afterwards; so are Lua and our output.
    """
    _write_pack("fluent-bit", folder, _places(folder))
    _change(folder / "kata-parsers.conf", r"\A", "[PARSER]\n    Name test_json\n    Format json\n\n")
    path = folder / "fluent-bit.conf"
    path.write_text(add_kata(own, integration_packs()["fluent-bit"].values).text)
    _change(path, r"^\[INPUT\]\n    Name systemd\n    Tag .*\n", "")
    _change(path, "^@INCLUDE kata-(?:mask|output).conf\n", "")
    return _fluent_bit_until(folder, count)


_OTELCOL_TEST = """
receivers:
  file_log/test-journal:
    start_at: beginning
    include: ["{folder}/journal.log"]
    max_log_size: 16MiB
    attributes: {{kata_transport: journal-json}}
    operators: [{{type: json_parser, parse_to: body}}]
exporters:
  file/test: {{path: "{folder}/out.json", flush_interval: 200ms}}
processors:
  batch/kata: {{timeout: 200ms}}
service:
  telemetry: {{metrics: {{level: none}}}}
  pipelines:
    logs/kata:
      receivers: [file_log/kata, file_log/kata-pods, file_log/kata-consoles, file_log/test-journal]
      exporters: [file/test]
"""


def prepare_otelcol(folder: Path, place: Place, lines: Sequence[bytes], port: int) -> None:
    """Write the Collector's pack, to send to a port of this machine, and lines for it."""
    _write_pack("otelcol", folder, {**_places(folder), "otlp_url": f"http://127.0.0.1:{port}"})
    test = yaml.safe_load(_OTELCOL_TEST.format(folder=folder))
    test["service"]["pipelines"]["logs/kata"].pop("exporters")
    (folder / "test.yaml").write_text(yaml.safe_dump(test))
    _put(folder, place, lines)


def _otelcol(folder: Path, place: Place, lines: Sequence[bytes]) -> list[Record]:
    """Run the Collector: entries of the journal are read from a file as JSON, in place of `journalctl`."""
    _write_pack("otelcol", folder, _places(folder))
    (folder / "test.yaml").write_text(_OTELCOL_TEST.format(folder=folder))
    return _otelcol_until(folder, place, lines)


def _otelcol_until(folder: Path, place: Place, lines: Sequence[bytes]) -> list[Record]:
    _put(folder, place, lines)
    out = folder / "out.json"

    def read() -> list[Record]:
        whole = out.read_bytes().rpartition(b"\n")[0].splitlines() if out.is_file() else []
        return [record for line in whole for record in _otlp_records(json.loads(line))]

    return _until([OTELCOL, "--config", "kata.yaml", "--config", "test.yaml"], folder, read, len(lines))


def _otlp_records(request: Mapping[str, Any]) -> Iterator[Record]:
    for resource in request["resourceLogs"]:
        for scope in resource["scopeLogs"]:
            for record in scope["logRecords"]:
                row = {one["key"]: _otlp_value(one["value"]) for one in record.get("attributes", ())}
                yield {**row, "log": _otlp_value(record["body"]), "record_time": _iso(int(record.get("timeUnixNano", 0)))}


def _otlp_value(value: Mapping[str, Any]) -> Any:
    if "kvlistValue" in value:
        return {part["key"]: _otlp_value(part["value"]) for part in value["kvlistValue"].get("values", ())}
    if "arrayValue" in value:
        return [_otlp_value(part) for part in value["arrayValue"].get("values", ())]
    return next(iter(value.values()), None)


def _iso(time_ns: int) -> str:
    return f"{datetime.fromtimestamp(time_ns // 10**9, UTC):%Y-%m-%dT%H:%M:%S}.{time_ns % 10**9:09d}Z"


_VRL_TEST = """
import json, sys
from vector_vrl import execute_vrl
program = "".join(open(name).read() for name in ("kata-mask.vrl", "kata.vrl"))
json.dump(execute_vrl(program, [json.dumps(one) for one in json.load(sys.stdin)]), sys.stdout)
"""


def _vector(folder: Path, place: Place, lines: Sequence[bytes]) -> list[Record]:
    """Run the two programs of Vector's pack in Vector's own compiler and runtime, on events as its sources make them."""
    _write_pack("vector", folder, _places(folder))
    events = [_vector_event(place, line) for line in lines]
    return _piped([VRL, "-c", _VRL_TEST], folder, events)


def _vector_event(place: Place, line: bytes) -> Record:
    transport = TRANSPORTS.get(place, "host-file")
    if place is not Place.JOURNAL:
        return {"message": line.decode("utf-8", "replace"), "kata_transport": transport}
    entry = _entry(line)
    return {**entry, "message": entry.pop("MESSAGE"), "kata_transport": transport}


_RUBY_TEST = "JSON.dump(JSON.parse(STDIN.read).map { |one| KataLines.read(one) }, STDOUT)"


def _fluentd(folder: Path, place: Place, lines: Sequence[bytes]) -> list[Record]:
    """Run the file of Fluentd's pack that reads lines, in Ruby, on records as Fluentd's sources make them."""
    _write_pack("fluentd", folder, _places(folder))
    transport = TRANSPORTS.get(place, "host-file")
    if place is Place.JOURNAL:
        records = [{**_entry(line), "kata_transport": transport} for line in lines]
    else:
        records = [{"log": line.decode("utf-8", "replace"), "kata_transport": transport} for line in lines]
    return _piped([RUBY, "-r", folder / "kata_lines.rb", "-e", _RUBY_TEST], folder, records)


_FILEBEAT_NAMES = {
    "MESSAGE": "message",
    "_TRANSPORT": "systemd.transport",
    "SYSLOG_IDENTIFIER": "syslog.identifier",
    "PRIORITY": "syslog.priority",
    "NAME": "journald.custom.name",
    "SOURCE": "journald.custom.source",
    "SUBSYSTEM": "journald.custom.subsystem",
}
"""What Filebeat's journal input calls the fields that its pack's script asks for."""
_CRI = re.compile(r"(\S+) (?:stdout|stderr) [PF] (.*)", re.DOTALL)


def _filebeat(folder: Path, place: Place, lines: Sequence[bytes]) -> list[Record]:
    """Run the script of Filebeat's pack in the engine that Filebeat holds, on events as Filebeat's inputs make them."""
    _write_pack("filebeat", folder, _places(folder))
    return _piped([GOJA, "kata.js"], folder, [_filebeat_event(place, line) for line in lines])


def _filebeat_event(place: Place, line: bytes) -> Record:
    transport = TRANSPORTS.get(place, "host-file")
    if place is Place.JOURNAL:
        entry = {_FILEBEAT_NAMES[name]: value for name, value in _entry(line).items() if name in _FILEBEAT_NAMES}
        return {**entry, "kata_transport": transport}
    text = line.decode("utf-8", "replace")
    found = _CRI.fullmatch(text) if place is Place.POD else None
    return {
        "message": found[2] if found else text,
        "kata_transport": transport,
        **({"record_time": found[1]} if found else {}),
    }


def _alloy(folder: Path, place: Place, lines: Sequence[bytes]) -> list[Record]:
    """Run the statements of Alloy's pack in the Collector, whose language they are, in place of the Collector's own."""
    _write_pack("otelcol", folder, _places(folder))
    alloy = fill_in(pack := integration_packs()["alloy"], integration_file(pack, "kata.alloy"), {})
    statements = [text.replace("$", "$$") for text in re.findall("^ +`(.*)`,$", alloy, re.MULTILINE)]
    processor = {"error_mode": "ignore", "log_statements": [{"context": "log", "statements": statements}]}
    test = yaml.safe_load(_OTELCOL_TEST.format(folder=folder))
    # Alloy's source gives an entry of the journal as text.
    test["receivers"]["file_log/test-journal"].pop("operators")
    test["processors"]["transform/alloy"] = processor
    test["service"]["pipelines"]["logs/kata"]["processors"] = ["transform/alloy", "batch/kata"]
    (folder / "test.yaml").write_text(yaml.safe_dump(test))
    return _otelcol_until(folder, place, lines)


def _entry(line: bytes) -> dict[str, Any]:
    """Read an entry of the journal, its message as text."""
    entry: dict[str, Any] = json.loads(line)
    message = entry.get("MESSAGE")
    return {**entry, "MESSAGE": bytes(message).decode("utf-8", "replace") if isinstance(message, list) else message}


def _piped(command: Sequence[str | Path], folder: Path, records: Sequence[Record]) -> list[Record]:
    """Give records to a program as JSON, and take its answer."""
    asked = json.dumps(records).encode()
    done = subprocess.run([str(part) for part in command], cwd=folder, input=asked, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return list(json.loads(done.stdout))


_SYSLOG_NG_JOURNAL = r"""source s_journal_kata {
    channel {
        source { file("@folder@/journal.log" flags(no-parse)); };
        parser { json-parser(prefix("journal.")); };
        rewrite { set("${journal.MESSAGE}" value("MESSAGE")); };
    };
};"""


def write_syslog_ng(folder: Path, **own: str) -> Running:
    """Write syslog-ng's pack as a user has it, and say how it is started."""
    (folder / "consoles").mkdir()
    own = {"pods_folder": f"{folder}/pods", "console_folder": f"{folder}/consoles", "out_file": f"{folder}/out.json", **own}
    _write_pack("syslog-ng", folder, {**_places(folder), **own})
    config, called = folder / "kata.conf", program("syslog-ng")
    options: list[str | Path] = ["-F", "-e", "--no-caps", "-f", config, "-R", folder / "state" / "persist"]
    options += ["-p", folder / "pid", "-c", folder / "control"]
    return Running([*called.command, *options], called.environment)


def _syslog_ng(folder: Path, place: Place, lines: Sequence[bytes]) -> list[Record]:
    """Run syslog-ng without what it sends."""
    running = write_syslog_ng(folder, ca_file="/dev/null")
    read_entries_from_file("syslog-ng", folder)
    without_sending("syslog-ng", folder)
    put(folder, place, lines)
    if place is Place.CONSOLE:
        (folder / f"{place.value}.log").rename(folder / "consoles" / "0.log")
    return _until(running.command, folder, lambda: _json_lines(folder / "out.json"), len(lines), running.environment)


def _json_lines(path: Path) -> list[Record]:
    whole = path.read_bytes().rpartition(b"\n")[0].splitlines() if path.is_file() else []
    records = [json.loads(line) for line in whole]
    return [{"log": record.get("MESSAGE"), **record} for record in records]


_RSYSLOG_JOURNAL = r"""input(type="imfile" File="@folder@/journal.log" Tag="kata" ruleset="test_journal" freshStartTail="off")
ruleset(name="test_journal") {
    set $.parsed = parse_json($msg, "\$!");
    set $.transport = "journal-json"; set $.line = $!MESSAGE; call kata
}
"""


def write_rsyslog(folder: Path, **own: str) -> Running:
    """Write rsyslog's pack as a user has it, and say how it is started."""
    _write_pack("rsyslog", folder, {**_places(folder), "out_file": f"{folder}/out.json", **own})
    config, called = folder / "kata.conf", program("rsyslogd")
    return Running([*called.command, "-n", "-f", config, "-i", folder / "pid"], called.environment)


def _rsyslog(folder: Path, place: Place, lines: Sequence[bytes]) -> list[Record]:
    """Run rsyslog without what it sends."""
    running = write_rsyslog(folder, ca_file="/dev/null")
    read_entries_from_file("rsyslog", folder)
    without_sending("rsyslog", folder)
    put(folder, place, lines)
    return _until(running.command, folder, lambda: _json_lines(folder / "out.json"), len(lines), running.environment)


def read_entries_from_file(name: str, folder: Path) -> None:
    """Have rsyslog or syslog-ng read entries of the journal from a file as JSON, in place of the journal."""
    config = folder / "kata.conf"
    if name == "syslog-ng":
        _change(config, r"^source s_journal_kata .*$", _SYSLOG_NG_JOURNAL.replace("@folder@", str(folder)))
    else:
        _change(config, r'^module\(load="imjournal"(?:.*\n)+?.*IgnorePreviousMessages.*\n', "")
        _change(config, r"\Z", _RSYSLOG_JOURNAL.replace("@folder@", str(folder)))


def without_sending(name: str, folder: Path) -> None:
    """Have rsyslog or syslog-ng only write its file."""
    sending = {
        "syslog-ng": r"^    log \{ rewrite\(r_send_kata\).*\n",
        "rsyslog": r"^    action\(type=\"omfwd\"(?:.*\n)+?.*saveOnShutdown.*\n",
    }
    _change(folder / "kata.conf", sending[name], "")


def _with_text(line: bytes) -> bytes:
    """Give an entry of the journal with its message as text, as programs that read the journal have it."""
    entry = json.loads(line)
    if isinstance(entry.get("MESSAGE"), list):
        entry["MESSAGE"] = bytes(entry["MESSAGE"]).decode("utf-8", "replace")
    return json.dumps(entry).encode()


def put(folder: Path, place: Place, lines: Sequence[bytes]) -> None:
    """Put lines where rsyslog and syslog-ng read."""
    _put(folder, place, [_with_text(line) if place is Place.JOURNAL else line for line in lines])


SHIPPERS = (
    Shipper("fluent-bit", FLUENT_BIT, _fluent_bit),
    Shipper("otelcol", OTELCOL, _otelcol),
    Shipper("alloy", OTELCOL, _alloy),
    Shipper("vector", VRL, _vector),
    Shipper("rsyslog", program_file("rsyslogd"), _rsyslog),
    Shipper("syslog-ng", program_file("syslog-ng"), _syslog_ng),
    Shipper("fluentd", RUBY, _fluentd),
    Shipper("filebeat", GOJA, _filebeat),
)
