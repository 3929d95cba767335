"""Masking against a corpus of secrets in real forms: nothing survives, grammars hold, what is no secret stays."""

import json
import re
from typing import Any

from tests.evidence import evidence
from tests.secrets_corpus import SANDBOX, SHAPED, VALUES, Case, cases

from kata_audit.parse.mask import mask
from kata_audit.parse.split import MAX_FRAME
from kata_audit.schema.source import Transport

KEY = bytes(range(32))
MARKER = re.compile(rb"\*masked:[a-z0-9-]+:[0-9a-f]{16}\*")


def masked(raw: bytes, transport: Transport) -> bytes:
    now, _ = mask(evidence(raw, transport), KEY)
    return b"".join(now.column("raw").to_pylist())


def decoded(raw: bytes) -> bytes:
    """Write arrays of bytes as text, so that bytes in them can be compared."""
    if not raw.startswith(b"{") or b":[" not in raw:
        return raw

    def text(value: Any) -> Any:
        if isinstance(value, list) and value and isinstance(value[0], int):
            return bytes(value).decode("utf-8", "surrogateescape")
        return value

    return json.dumps({key: text(value) for key, value in json.loads(raw).items()}).encode()


def fault(case: Case) -> str | None:
    """Say what is wrong with the masked record, if anything is."""
    after = masked(case.raw, case.transport)
    if case.raw.startswith(b"{"):
        before_object, after_object = json.loads(case.raw), json.loads(after)
        if list(before_object) != list(after_object):
            return "other keys"
    if case.transport is Transport.JOURNAL_EXPORT and evidence(after, case.transport).column("raw").to_pylist() != [after]:
        return "the block is torn"
    before, after = decoded(case.raw), decoded(after)
    if case.secret.encode() in after:
        return "the secret survived"
    if before.count(SANDBOX.encode()) != after.count(SANDBOX.encode()):
        return "an id is gone"
    parts = [
        part for part in MARKER.split(after) if case.transport is not Transport.JOURNAL_EXPORT or b"MESSAGE\n" not in part
    ]
    if len(MARKER.findall(after)) == 0:
        return "no marker"
    place = 0
    for part in parts:
        found = before.find(part, place)
        if found < 0:
            return f"other bytes changed: {part[-40:]!r}"
        place = found + len(part)
    return None


def test_no_secret_of_the_corpus_survives() -> None:
    found = cases()

    faults = {case.name: wrong for case in found if (wrong := fault(case)) is not None}

    assert len(found) >= 200
    assert faults == {}


def test_only_the_secret_goes() -> None:
    """The marker stands exactly where the secret stood."""
    for case in cases():
        if (
            case.transport is Transport.JOURNAL_EXPORT
            or b":[" in case.raw
            or case.secret.encode() not in case.raw
            or case.name.startswith("rego")
        ):
            continue
        after = masked(case.raw, case.transport)
        assert MARKER.sub(b"\0", after) in {
            case.raw.replace(case.secret.encode(), b"\0"),
            re.sub(re.escape(case.secret.encode()) + rb"=*", b"\0", case.raw),
        }, case.name


def test_a_secret_cut_by_a_frame_at_any_byte_is_masked_in_both() -> None:
    secret = VALUES["mixed"].encode()
    for cut in range(len(secret) + 1):
        head = b'env: Some(["APP_KEY='
        raw = b" " * (MAX_FRAME - len(head) - cut) + head + secret + b'", "TERM=xterm"])\n'
        rows = evidence(raw, Transport.CONSOLE)
        assert rows.num_rows == 2

        now, counts = mask(rows, KEY)
        first, second = now.column("raw").to_pylist()

        assert counts.secrets == {"env": 1}
        assert len({*MARKER.findall(first + second)}) == 1
        assert MARKER.sub(b"", first + second) == raw.replace(secret, b"")
        assert bool(MARKER.search(first)) == (cut > 0)
        assert bool(MARKER.search(second)) == (cut < len(secret))


def test_a_shaped_secret_cut_at_any_byte_is_masked_in_both() -> None:
    for secret in SHAPED.values():
        for cut in range(1, len(secret)):
            raw = b" " * (MAX_FRAME - cut) + secret.encode() + b" end\n"
            now, _ = mask(evidence(raw, Transport.CONSOLE), KEY)
            assert MARKER.sub(b"", b"".join(now.column("raw").to_pylist())) == raw.replace(secret.encode(), b"")


def test_forms_of_every_day() -> None:
    """Each left text becomes the right one; `None` is text that stays."""
    mark = "*masked:keyvalue*"
    forms = {
        'jaeger_password: "", snp_id_auth: "", auth: None, secure_storage: true': None,
        "token too long; secret not found: db; token_path=/run/x secretName: db": None,
        '{"password":12345,"pwd":"/root"}': None,
        "PWD=/srv PASSWORD=abc1 pwd=ab1": f"PWD=/srv PASSWORD={mark} pwd={mark}",
        '{"X-Api-Key":["abcd1234"]}': f'{{"X-Api-Key":["{mark}"]}}',
        "redis://app:s3c%40x@db/0?password=ab9&x=1": f"redis://app:*masked:url*@db/0?password={mark}&x=1",
        "Server=x;User ID=u;Password=Zx9!a;Encrypt=yes": f"Server=x;User ID=u;Password={mark};Encrypt=yes",
        "redis-cli -a abc1 ping": "redis-cli -a *masked:argv* ping",
        "docker login -u me -p dock1 host": "docker login -u me -p *masked:argv* host",
        "docker run -p 8080:80 web": None,
        "password='it is me' next=1": f"password='{mark}' next=1",
    }
    for before, after in forms.items():
        now, _ = mask(evidence(before.encode(), Transport.BARE), None)
        assert now.column("raw")[0].as_py().decode() == (after or before)
