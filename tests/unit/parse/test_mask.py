"""Masking: no seeded secret survives, ids stay, grammars stay, rows stay."""

import json
import re
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.data.secrets.generate import Seeded, seeded
from tests.evidence import DATA, capture, evidence

from kata_audit.parse import secret_spans
from kata_audit.parse.mask import MaskCounts, mask
from kata_audit.parse.split import MAX_FRAME
from kata_audit.schema.source import Transport

KEY = bytes(range(32))
MARKER = re.compile(rb"\*masked:[a-z0-9-]+(?::[0-9a-f]{16})?\*")
SECRET = "Zq" + "7x" * 8
SEEDED = seeded()


def masked(raw: bytes, transport: Transport = Transport.HOST_FILE, key: bytes | None = KEY) -> bytes:
    rows, _ = mask(evidence(raw, transport), key)
    return b"".join(rows.column("raw").to_pylist())


def strings_of(value: Any) -> list[str]:
    """Give every string of a JSON value; an array of bytes is one."""
    if isinstance(value, dict):
        return [text for key, item in value.items() for text in (key, *strings_of(item))]
    if isinstance(value, list) and value and all(isinstance(item, int) for item in value):
        return [bytes(value).decode("utf-8", "replace")]
    if isinstance(value, list):
        return [text for item in value for text in strings_of(item)]
    return [value] if isinstance(value, str) else []


def test_the_corpus_is_large() -> None:
    assert len(SEEDED) >= 200


@pytest.mark.parametrize("case", SEEDED, ids=lambda case: f"{case.shape} {case.kind}")
def test_no_seeded_secret_survives(case: Seeded) -> None:
    after = masked(case.raw, case.transport)

    assert case.secret.encode() not in after
    if case.raw.startswith(b"{"):
        before, now = json.loads(case.raw), json.loads(after)
        assert before.keys() == now.keys()
        assert not any(case.secret in text for text in strings_of(now))
        assert any("*masked:" in text for text in strings_of(now))
        assert [
            item for key, item in before.items() if key in {"level", "ts", "container-id", "_BOOT_ID", "auditID", "__CURSOR"}
        ] == [item for key, item in now.items() if key in {"level", "ts", "container-id", "_BOOT_ID", "auditID", "__CURSOR"}]
    else:
        check_between(case.raw, after)


def check_between(before: bytes, after: bytes) -> None:
    """What is no marker stood there before, in order."""
    parts = MARKER.split(after)
    assert before.startswith(parts[0])
    assert before.endswith(parts[-1])
    place = 0
    for part in parts:
        found = before.find(part, place)
        assert found >= 0
        place = found + len(part)


@pytest.mark.parametrize("tail", ['"', "\\", '\\"', "\\\\", "'", "}", "]", ",", "\n", "é"])
def test_a_secret_may_hold_or_end_in_any_sign(tail: str) -> None:
    text = json.dumps({"password": SECRET + tail, "after": "kept"}, ensure_ascii=False)
    for _ in range(4):
        now = masked(text.encode() + b"\n").decode()
        assert SECRET not in now
        assert "kept" in now
        text = json.dumps({"msg": text, "level": "INFO"}, ensure_ascii=False)
        assert json.loads(masked(text.encode() + b"\n"))["level"] == "INFO"


def test_a_prompt_that_ends_a_string_masks_nothing() -> None:
    raw = b'{"MESSAGE":"enter password:","PRIORITY":"6"}\n{"MESSAGE":"password=","PRIORITY":"6"}\n'
    assert masked(raw) == raw


def test_equal_secrets_have_equal_fingerprints_and_no_key_gives_none() -> None:
    once = masked(f'password="{SECRET}"\n'.encode())
    deep = masked(json.dumps({"m": f'password="{SECRET}"'}).encode() + b"\n")
    assert MARKER.findall(once) == MARKER.findall(deep)
    assert masked(f"password={SECRET}\n".encode(), key=bytes(32)) != once
    assert masked(f"password={SECRET}\n".encode(), key=None).startswith(b"password=*masked:")


def test_marker_shaped_text_is_not_ours() -> None:
    after = masked(b"x *masked:env:0123456789abcdef* y\n")
    assert b"0123456789abcdef" not in after
    assert len(MARKER.findall(after)) == 1


def test_export_lengths_are_true() -> None:
    data = f'spec env: Some(["DB={SECRET}"])\nsecond'.encode()
    raw = b"__CURSOR=s\nMESSAGE\n" + len(data).to_bytes(8, "little") + data + b"\nPRIORITY=6\n\n"
    after = masked(raw, Transport.JOURNAL_EXPORT)
    head, rest = after.split(b"MESSAGE\n", 1)
    length = int.from_bytes(rest[:8], "little")
    assert SECRET.encode() not in after
    assert head == b"__CURSOR=s\n"
    assert rest[8 + length :] == b"\nPRIORITY=6\n\n"
    assert evidence(after, Transport.JOURNAL_EXPORT).num_rows == 1


def test_a_length_that_was_never_true_is_no_length() -> None:
    """A field that does not end with a newline follows no grammar: its secret goes, and its eight bytes are left alone."""
    data = f"password={SECRET} more".encode()
    raw = b"MESSAGE\n" + (len(data) - 2).to_bytes(8, "little") + data + b"\n\n"

    after = masked(raw, Transport.JOURNAL_EXPORT)

    assert SECRET.encode() not in after
    assert after[:16] == raw[:16]


@pytest.mark.parametrize("shift", range(-18, 10, 3))
def test_a_secret_cut_between_frames_is_found(shift: int) -> None:
    head = b"x" * (MAX_FRAME - 10 + shift) + b" password="
    rows = evidence(head + SECRET.encode() + b" end\n", Transport.HOST_FILE)
    assert rows.num_rows == 2
    now, _ = mask(rows, KEY)
    joined = b"".join(now.column("raw").to_pylist())
    assert SECRET.encode() not in joined
    assert now.num_rows == 2
    assert joined.startswith(head)
    assert joined.endswith(b" end\n")


@pytest.mark.parametrize("prefix", [b"", b"2026-11-23T06:08:00.6Z stdout F "])
def test_every_line_of_a_private_key_is_masked(prefix: bytes) -> None:
    lines = [string.ascii_letters[index:] + "AZ09/+ab" + string.ascii_letters[:index] for index in range(12)]
    sign = "PRIVATE " + "KEY"
    text = [f"-----BEGIN RSA {sign}-----", *lines, "QUJD==", f"-----END RSA {sign}-----", "after the key"]
    after = masked(b"".join(prefix + line.encode() + b"\n" for line in text), Transport.CRI)
    assert not any(line.encode() in after for line in [*lines, "QUJD=="])
    assert after.endswith(b"after the key\n")
    for separator in ("\n", "\\n", "\\\\n"):
        joined = separator.join(text[:-1]) if separator != "\n" else json.dumps("\n".join(text[:-1]))
        assert not any(line.encode() in masked(joined.encode() + b"\n") for line in lines)


def test_policies_are_masked_as_a_whole() -> None:
    for name in ("io.katacontainers.config.agent.policy", "io.katacontainers.config.hypervisor.cc_init_data"):
        raw = json.dumps({"annotations": {name: "cGFja2FnZSBhZ2Vu" * 4, "io.kubernetes.cri.sandbox-name": "secrets-1"}})
        annotations = json.loads(masked(raw.encode() + b"\n"))["annotations"]
        assert annotations["io.kubernetes.cri.sandbox-name"] == "secrets-1"
        assert "cGFja2FnZSBhZ2Vu" not in annotations[name]
    rego = 'package agent_policy\ndefault CreateContainerRequest := false\npolicy_data := {"x": "' + SECRET + '"}\n'
    now = json.loads(masked(json.dumps({"msg": "policy: " + json.dumps(rego), "level": "INFO"}).encode() + b"\n"))
    assert SECRET not in now["msg"]
    assert now["level"] == "INFO"


def test_ids_and_benign_values_stay() -> None:
    digest, uid = "5d1c52a0" * 8, "b78c7740-0288-4aad-beca-5062444cb52b"
    raw = (
        f'time="2026-11-23T06:12:00Z" level=info msg="env: Some([\\"PATH=/bin\\", \\"HOSTNAME=web-0\\", \\"KUBERNETES_SERVICE_HOST=10.96.0.1\\"])" '
        f"sandbox={digest} uid={uid} image=busybox@sha256:{digest} cursor=s=4f6a;i=1 /var/run/secrets/token\n"
    ).encode()
    assert masked(raw) == raw


TEXT = st.one_of(
    st.binary(max_size=60),
    st.sampled_from([b'env: Some(["A=', b"password=", b'\\"token\\":\\"', b"-----BEGIN PRIVATE KEY-----", b"Env:[A=", b'"MESSAGE":[1,2', b"*masked:", b'{"', b'"}\n', b"\n", b'"', b"\\"]),
)  # fmt: skip


@given(parts=st.lists(TEXT, max_size=14), transport=st.sampled_from(list(Transport)))
def test_any_bytes_keep_rows_order_and_what_is_no_secret(parts: list[bytes], transport: Transport) -> None:
    rows = evidence(b"".join(parts), transport)
    now, counts = mask(rows, KEY)
    assert now.schema == rows.schema
    assert now.num_rows == rows.num_rows
    assert now.drop_columns(["raw"]).equals(rows.drop_columns(["raw"]))
    assert isinstance(counts, MaskCounts)
    if transport is not Transport.JOURNAL_EXPORT and b'":[' not in b"".join(parts):
        for before, after in zip(rows.column("raw").to_pylist(), now.column("raw").to_pylist(), strict=True):
            check_between(before, after)


@given(
    value=st.recursive(
        st.one_of(
            st.text(max_size=20), st.sampled_from(["password=", 'token: "x', "env: [A=b", 'secret="q" x', "--password x"])
        ),
        lambda inner: st.one_of(
            st.dictionaries(st.text(max_size=6) | st.just("token"), inner, max_size=3), inner.map(json.dumps)
        ),
    )
)
def test_json_stays_json(value: Any) -> None:
    raw = json.dumps({"MESSAGE": value, "password": "x1"}).encode() + b"\n"
    json.loads(masked(raw))


@pytest.mark.parametrize("name", sorted(path.name for path in (DATA / "captures").glob("*journal*json*")))
def test_captures_keep_their_ids(name: str) -> None:
    rows = capture(name)
    now, _ = mask(rows, KEY)
    pattern = re.compile(rb"[0-9a-f]{64}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22}")
    for before, after in zip(rows.column("raw").to_pylist(), now.column("raw").to_pylist(), strict=True):
        json.loads(after)
        assert pattern.findall(before) == pattern.findall(after)


@pytest.mark.corpus
def test_identities_of_the_reference_captures_stay(corpus: Path) -> None:
    identities = [json.loads(line) for line in (corpus / "captures" / "identities.jsonl").read_text().splitlines()]
    words = {
        str(item[key]).encode() for item in identities for key in ("sandbox_id", "k8s_pod", "k8s_pod_uid") if item.get(key)
    }
    line = b" ".join(sorted(words)) + b"\n"
    now, counts = mask(evidence(line, Transport.HOST_FILE), KEY)
    assert not counts.secrets
    assert now.column("raw").to_pylist() == [line]


@pytest.mark.parametrize("command", ["login -p ", "curl -u a:", "mysql -p", "redis-cli -a ", "sshpass -p "])
def test_commands_in_a_row_are_looked_at_once(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line full of commands costs no more than a few spans for each, and no secret of them stays."""
    found: list[secret_spans.Span] = []
    look = secret_spans.RULES["command"]

    def counted(place: secret_spans.Place) -> Iterator[secret_spans.Span]:
        for span in look(place):
            found.append(span)
            yield span

    monkeypatch.setitem(secret_spans.RULES, "command", counted)

    after = masked(f"{command}{SECRET} ".encode() * 500 + b"\n")

    assert SECRET.encode() not in after
    assert 500 <= len(found) <= 1_500
