"""Secrets that tell themselves: tokens of clouds and vendors, private keys, credentials in URLs and headers."""

from collections.abc import Iterator

import re2

from kata_audit.parse.secrets.spans import Span, quoted_end

VENDORS: tuple[tuple[str, bytes], ...] = (
    ("jwt", rb"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*)*"),
    ("aws-key-id", rb"(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}"),
    ("github", rb"(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,})"),
    ("gitlab", rb"gl(?:pat|ptt|dt|rt|cbt|ft|soat|agent)-[A-Za-z0-9_.-]{16,}"),
    ("slack", rb"xox[abeoprs]-[A-Za-z0-9-]{10,}|xapp-[0-9]-[A-Za-z0-9-]{10,}"),
    ("slack-hook", rb"hooks\.slack\.com/services/[A-Za-z0-9/_-]{16,}"),
    ("stripe", rb"(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{10,}|whsec_[A-Za-z0-9]{16,}"),
    ("npm", rb"npm_[A-Za-z0-9]{30,}"),
    ("pypi", rb"pypi-[A-Za-z0-9_-]{16,}"),
    ("docker", rb"dckr_(?:pat|oat)_[A-Za-z0-9_-]{16,}"),
    ("vault", rb"hv[sbr]\.[A-Za-z0-9_-]{16,}"),
    ("digitalocean", rb"do[oprt]_v1_[a-f0-9]{32,}"),
    ("sendgrid", rb"SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}"),
    ("twilio", rb"(?:SK|AC)[0-9a-f]{32}"),
    ("gcp", rb"AIza[A-Za-z0-9_-]{35}|ya29\.[A-Za-z0-9_-]{16,}|GOCSPX-[A-Za-z0-9_-]{16,}"),
    ("anthropic", rb"sk-ant-[A-Za-z0-9_-]{16,}"),
    ("openai", rb"sk-(?:proj-)?[A-Za-z0-9_-]{32,}"),
    ("huggingface", rb"hf_[A-Za-z0-9]{30,}"),
    ("age", rb"AGE-SECRET-KEY-1[A-Z0-9]{20,}"),
    ("shopify", rb"shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}"),
    ("telegram", rb"[0-9]{8,10}:AA[A-Za-z0-9_-]{33}"),
    ("terraform", rb"[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_-]{40,}"),
)
_VENDOR = re2.compile(b"|".join(b"(" + pattern + b")" for _, pattern in VENDORS))
_HEADER = re2.compile(rb"(?i)(?:bearer|authorization\s*[:=]\s*(?:basic|token|digest))\s+([A-Za-z0-9._~+/=-]{6,})")
_URL = re2.compile(rb"[A-Za-z][A-Za-z0-9+.-]*://[^\s/@:\"'\\]*:([^\s@\"'\\/][^\s@\"'\\]*)@")
_SAS = re2.compile(
    rb"(?i)(?:[?&]|\\u0026|;)(?:sig|x-amz-signature|x-goog-signature|x-amz-security-token)=([A-Za-z0-9%+/=_-]{8,})"
)
_PEM = re2.compile(rb"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----((?:[A-Za-z0-9+/=:,\s]|-[^-]|\\+[nrt])*)")
_REGO = re2.compile(rb"package\s+agent_policy")
_TOOL = re2.compile(
    rb"(?:mysql[a-z]*|mariadb[a-z-]*|sshpass)(?:\\*\"|\s)[^\n]{0,256}?(?:\\*\"|\s)-p(?:\\*\",\s*\\*\")?([^\s\"'\\-][^\s\"'\\]*)|"
    rb"(?:docker|podman|nerdctl|crictl|skopeo|mongo(?:sh|dump|restore)?|sshpass|helm|oc|sqlcmd)(?:\\*\"|\s)[^\n]{0,256}?"
    rb"(?:\\*\"|\s)-[pP](?:\\*\",\s*\\*\"|\s+)([^\s\"'\\-][^\s\"'\\]*)|"
    rb"(?:redis-cli|ldapsearch|ldapmodify|ipmitool)(?:\\*\"|\s)[^\n]{0,256}?(?:\\*\"|\s)-[awP](?:\\*\",\s*\\*\"|\s+)([^\s\"'\\-][^\s\"'\\]*)|"
    rb"(?:curl|wget)(?:\\*\"|\s)[^\n]{0,256}?(?:\\*\"|\s)(?:-u|--user)(?:\\*\",\s*\\*\"|\s+|=)[^\s:\"'\\]+:([^\s\"'\\]+)|"
    rb"(?:pass):([^\s\"'\\]{3,})"
)
_FORGED = re2.compile(rb"\*masked:[A-Za-z0-9:_-]{0,96}\*?")


def _group(found: "re2._Match[bytes]", group: int, kind: str) -> Span:
    start, end = found.span(group)
    return Span(int(start), int(end), kind)


def find_tokens(text: bytes) -> Iterator[Span]:
    """Find secrets by their own shape: vendors' tokens, headers, URLs, options of known tools, marker-shaped text."""
    for found in _VENDOR.finditer(text):
        yield Span(int(found.start()), int(found.end()), VENDORS[found.lastindex - 1][0])
    for found in _HEADER.finditer(text):
        value = found.group(1)
        if len(value) >= 20 or not value.isalpha():
            yield _group(found, 1, "bearer")
    for found in _URL.finditer(text):
        yield _group(found, 1, "url")
    for found in _SAS.finditer(text):
        yield _group(found, 1, "signature")
    for found in _TOOL.finditer(text):
        yield _group(found, found.lastindex, "argv")
    for found in _FORGED.finditer(text):
        yield Span(int(found.start()), int(found.end()), "forged")


def find_blocks(text: bytes, *, json: bool) -> Iterator[Span]:
    """Find private keys, whole or cut, and texts of agent policies."""
    for found in _PEM.finditer(text):
        start, end = found.span(1)
        end = start + len(text[start:end].rstrip(b"\r\n"))
        if end > start:
            yield Span(start, end, "pem")
    position = 0
    while (found := _REGO.search(text, position)) is not None:
        start = int(found.start())
        before = text[max(0, start - 4096) : start]
        cut = before.rfind(b'"')
        if cut < 0:
            end = len(text.rstrip(b"\r\n"))
        else:
            depth = len(before[:cut]) - len(before[:cut].rstrip(b"\\"))
            end = quoted_end(text, start, depth)
        if json:
            end = min(end, quoted_end(text, start, 0))
        yield Span(start, max(end, start + 1), "policy")
        position = max(end, int(found.end()))
