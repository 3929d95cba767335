"""The commands over a real store: what they print, in every form, and how they end."""

import csv
import io
import json
from pathlib import Path

import pytest
from tests.evidence import derive

from kata_audit.cli import main
from kata_audit.clock import ManualClock
from kata_audit.parse.split import Held, finish, split
from kata_audit.parse.waves import DERIVE_VERSION
from kata_audit.schema.source import Chunk, Source, Transport
from kata_audit.store.cut import Batch
from kata_audit.store.writer import open_writer

SANDBOX = "5f" * 32
SHIM = (
    'time="2026-11-23T06:00:0{at}.5Z" level={level} msg="{text}" name=containerd-shim-v2 pid=7 sandbox='
    + SANDBOX
    + " source=virtcontainers"
)
POD = f'RunPodSandbox for name:"web-1" uid:"8d0e" namespace:"shop" returns sandbox id "{SANDBOX}"'


def journal() -> bytes:
    """Write a few journal entries: containerd names the pod, a shim speaks, a guest sends a title to the terminal."""
    agent = (
        '{"msg":"\\u001b]0;owned\\u0007","level":"INFO","ts":"2026-11-23T06:00:03.1Z","source":"agent","name":"kata-agent"}'
    )
    console = json.dumps(agent)
    texts = [
        SHIM.format(at=1, level="info", text="Sandbox is started"),
        f'time="2026-11-23T06:00:02.0Z" level=info msg={json.dumps(POD)}',
        SHIM.format(at=3, level="debug", text="reading guest console") + f" vmconsole={console}",
        SHIM.format(at=4, level="error", text="=cmd failed"),
    ]
    entries = [
        {
            "__CURSOR": "s=1",
            "__REALTIME_TIMESTAMP": str(1_795_413_600_000_000 + number),
            "_BOOT_ID": "b" * 32,
            "_PID": "7" if "shim-v2" in text else "1",
            "SYSLOG_IDENTIFIER": "kata" if "shim-v2" in text else "containerd",
            "MESSAGE": text,
        }
        for number, text in enumerate(texts)
    ]
    return b"".join(json.dumps(entry).encode() + b"\n" for entry in entries)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a store of the journal, sealed."""
    root = tmp_path_factory.mktemp("store") / "trail"
    chunk = Chunk(Source("file", "lab/a", "default", Transport.JOURNAL_JSON), "j?1-2-aa", 0, journal(), 1)
    held, rows = split(Held(offset=0), chunk)
    rest = finish(held, chunk)
    with open_writer(root, clock=ManualClock(), node="lab/a") as writer:
        for part in (rows, rest):
            if part.num_rows:
                writer.append(part)
        found = writer.unsealed()
        assert found is not None
        writer.seal(found[0], [Batch("default", "operational", derive(found[1]))], derive=DERIVE_VERSION, states={})
    return root


@pytest.fixture(autouse=True)
def _own_surroundings(store: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "config.toml").touch()
    monkeypatch.setenv("KATA_AUDIT_STORE", str(store))
    monkeypatch.setenv("KATA_AUDIT_CONFIG", str(tmp_path / "config.toml"))
    monkeypatch.delenv("KATA_AUDIT_KEYS", raising=False)


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Run one command line; give its exit code, stdout and stderr."""
    code = main.run(arguments)
    said = capsys.readouterr()
    return code, said.out, said.err


def test_search_speaks_every_form(capsys: pytest.CaptureFixture[str]) -> None:
    """Each form holds the same records under the schema's names."""
    code, out, _ = run(capsys, "search", "severity:error", "-o", "jsonl")
    row = json.loads(out)

    assert code == 0
    assert (row["body"], row["seq"], row["k8s_pod"]) == ("=cmd failed", 3, "web-1")
    assert row["timestamp"] == "2026-11-23T06:00:04.500000000Z"
    assert "exec_id" not in row
    assert json.loads(run(capsys, "search", "severity:error", "-o", "json")[1]) == [row]
    cells = list(csv.DictReader(io.StringIO(run(capsys, "search", "severity:error", "-o", "csv")[1])))
    assert cells[0]["body"] == "'=cmd failed"
    assert "=cmd failed" in run(capsys, "search", "severity:error")[1]


def test_search_counts_limits_and_picks(capsys: pytest.CaptureFixture[str]) -> None:
    """`--count`, `--limit`, `--newest`, `--columns`, times and namespaces do what they say."""
    assert run(capsys, "search", "", "--count")[1] == "4\n"
    code, out, err = run(capsys, "search", "", "--limit", "1", "--columns", "seq", "-o", "csv")
    assert (code, out) == (0, '"seq"\n"0"\n')
    assert "more than 1 records" in err
    assert run(capsys, "search", "", "--limit", "4", "--columns", "seq", "-o", "csv")[2] == ""
    assert json.loads(run(capsys, "search", "", "--newest", "--limit", "1", "-o", "jsonl")[1])["seq"] == 3
    assert run(capsys, "search", "", "--since", "2026-11-23 06:00:04", "--count")[1] == "1\n"
    assert run(capsys, "search", "", "--until", "2026-11-23 06:00:02", "--count")[1] == "1\n"
    assert run(capsys, "search", "", "--namespace", "shop", "--count")[1] == "4\n"
    assert run(capsys, "search", "", "--namespace", "other", "--count")[1] == "0\n"


def test_the_story_of_a_pod(capsys: pytest.CaptureFixture[str]) -> None:
    """A record written before the pod was named is in its story, and the guest's claim cannot act on the terminal."""
    code, out, _ = run(capsys, "timeline", "shop/web-1", "--width", "100")

    assert code == 0
    assert "shop/web-1, uid 8d0e" in out
    assert "│ runtime-go      start: success · Sandbox is started" in out
    assert "┊ » agent         \\x1b]0;owned\\x07" in out
    assert "\x1b" not in out
    rows = [
        json.loads(line)
        for line in run(capsys, "timeline", SANDBOX[:8], "-o", "jsonl", "--severity", "error")[1].splitlines()
    ]
    assert [row["body"] for row in rows] == ["=cmd failed"]


def test_a_pod_of_no_known_namespace_has_a_story(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A shim's dump may name a pod and no namespace: its sandbox is told all the same."""
    log = tmp_path / "shim.log"
    stated = json.dumps({"io.kubernetes.cri.sandbox-id": SANDBOX, "io.kubernetes.cri.sandbox-name": "lonely"})
    log.write_text(SHIM.format(at=1, level="info", text="OCI Spec " + stated.replace('"', '\\"')) + "\n")
    monkeypatch.setenv("KATA_AUDIT_STORE", str(tmp_path / "trail"))
    assert run(capsys, "ingest", "--transport", "host-file", str(log))[0] == 0

    code, out, _ = run(capsys, "timeline", "lonely")

    assert code == 0
    assert "OCI Spec" in out


def test_what_cannot_be_asked_is_usage(capsys: pytest.CaptureFixture[str]) -> None:
    """Mistakes in a query, a name, a column or a time are exit code 2, and stdout stays empty."""
    for arguments in (
        ("search", "nofield:1"),
        ("search", "", "--columns", "seq,bodi"),
        ("search", "", "--since", "soon"),
        ("timeline", "nobody/here"),
        *(("timeline", "shop/web-1", "--silence", seconds) for seconds in ("inf", "nan", "1e301", "0")),
        ("prove", "99", "--out", "-"),
        ("verify", "--bogus"),
    ):
        code, out, err = run(capsys, *arguments)
        assert (code, out) == (2, ""), arguments
        assert err


def test_what_is_missing_is_exit_code_4(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """No store, no input, or a directory in the place of a file."""
    for arguments in (
        ("search", "", "--store", str(tmp_path / "none")),
        ("verify", str(tmp_path / "none")),
        ("verify", str(tmp_path)),
        ("store", "repair", "--store", str(tmp_path / "none")),
        ("status", "--store", str(tmp_path)),
        ("parse", str(tmp_path / "none.log")),
        ("parse", str(tmp_path)),
        ("ingest", str(tmp_path), "--store", str(tmp_path / "new")),
    ):
        code, out, err = run(capsys, *arguments)
        assert (code, out) == (4, ""), arguments
        assert "at:" in err
    assert not (tmp_path / "new").exists()


def test_a_record_is_proven_and_a_changed_one_is_not(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A bundle verifies, with the key from elsewhere too; with one number changed it is exit code 3."""
    bundle = tmp_path / "b.json"
    code, _, err = run(capsys, "prove", "severity:error", "--out", str(bundle))
    vkey = err.splitlines()[-1].removeprefix("key: ")

    assert code == 0
    assert "VERIFIED record 3" in run(capsys, "verify", str(bundle))[1]
    verdict = json.loads(run(capsys, "verify", str(bundle), "--vkey", vkey, "-o", "json")[1])
    assert (verdict["verified"], verdict["vkey_given"], verdict["records"]) == (True, True, [3])
    assert run(capsys, "verify", str(bundle), "--vkey", "x")[0] == 2
    bundle.write_text(bundle.read_text().replace('"seq": 3', '"seq": 2'))
    assert run(capsys, "verify", str(bundle))[0] == 3


def test_a_record_is_proven_by_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    """`<origin>/<seq>` names a record everywhere."""
    origin = json.loads(run(capsys, "status", "-o", "json")[1])["origin"]
    code, out, _ = run(capsys, "prove", f"{origin}/2", "--out", "-")

    assert code == 0
    assert [record["seq"] for record in json.loads(out)["records"]] == [2]


def test_a_store_verifies_until_it_is_touched(capsys: pytest.CaptureFixture[str], store: Path) -> None:
    """One bit in one file is exit code 3 and the file's name, with and without `--deep`."""
    assert run(capsys, "verify", "--deep")[0] == 0
    segment = next(store.glob("segments/*/*.parquet"))
    before = segment.read_bytes()
    changed = bytearray(before)
    changed[len(changed) // 2] ^= 1
    segment.chmod(0o640)
    try:
        segment.write_bytes(changed)
        for arguments in (("verify",), ("verify", "--deep")):
            code, out, err = run(capsys, *arguments)
            assert code == 3
            assert segment.name in out
            assert "does not verify" in err
        segment.unlink()
        assert run(capsys, "verify")[0] == 3
    finally:
        segment.write_bytes(before)
    assert json.loads(run(capsys, "verify", "-o", "json")[1])["verified"] is True


def test_the_status_names_sources_and_what_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    """Each source with its records, and nothing missing."""
    found = json.loads(run(capsys, "status", "-o", "json")[1])

    assert [(row["source"], row["node"], row["records"]) for row in found["sources"]] == [("j?1-2-aa", "lab/a", 4)]
    assert (found["sealed_to"], found["numbers_without_record"], found["records_of_loss"]) == (4, 0, 0)
    assert "j " in run(capsys, "status")[1]
    assert json.loads(run(capsys, "store", "status", "-o", "json")[1])["records"] == 4
    assert "nothing to repair" in run(capsys, "store", "repair")[1]
    assert json.loads(run(capsys, "store", "compact", "-o", "json")[1])["merged_away"] == 0
