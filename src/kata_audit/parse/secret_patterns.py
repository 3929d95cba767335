r"""What a secret looks like, as data: one scan for all kinds, and the words that are no secrets.

`TRIGGER` finds every place where a secret may stand; its group's name says which rule looks closer. Escaping may be of any
depth, so a quote is "any backslashes, then a quote". RE2 reads bytes (Latin-1), in linear time whatever they are.

Source: prefixes and lengths are those that the issuers publish for their tokens; forms of Kata's lines are from real runs.
"""

from typing import Any

import re2

PLAIN_KINDS = (
    *("marker", "jwt", "aws", "gcp", "azure", "github", "gitlab", "slack", "stripe", "npm", "pypi", "sendgrid", "twilio"),
    *("vault", "digitalocean", "apikey", "docker", "url", "bearer", "keyblob"),
)
"""Groups of `TRIGGER` whose span is the secret itself, and whose name is its kind."""

_QUOTE = rb'\\*"'
_PASS = rb"pass(?:word|wd|phrase|code)|pwd"
_WORDS = _PASS + rb"|secret|token|(?:api|access|account|private|signing|encryption|shared)[_-]?key|credentials?"
_NAME = rb"(?i:(?:" + _WORDS + rb")[\w.-]*|auth)"
_SEPARATOR = rb"[ \t]{0,2}(?:=>|[:=]|%3[Dd])[ \t]{0,2}(?:Some\()?\[?"
_EDGE = rb"(?:(?m:^)|[^A-Za-z0-9_\n]|\\[nrt])"
_BETWEEN_ARGUMENTS = (
    rb"(?:" + _QUOTE + rb'(?:,[ \t]?|[ \t]+(?:args|command):)\\*"|[ \t]+(?:\\*["\'])?|(?:\\+u0026|&)command=)'
)


def compile_bytes(pattern: bytes) -> Any:
    """Compile a pattern over bytes; RE2's own types are untyped."""
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.max_mem = 64 << 20
    return re2.compile(pattern, options)


_TRIGGERS: tuple[tuple[str, bytes], ...] = (
    ("marker", rb"\*masked:[A-Za-z0-9:-]*\*?"),
    (
        "envlist",
        rb"(?i:envs?|environment)(?:" + _QUOTE + rb')?(?:[:=][ \t]?)(?:Some\()?\[(?:\\*"|[A-Za-z_])',
    ),
    ("envpair", rb"envs:\{key:" + _QUOTE),
    ("namevalue", _QUOTE + rb"name" + _QUOTE + rb":[ ]?" + _QUOTE + rb'[^"\\]+' + _QUOTE + rb",[ ]?" + _QUOTE + rb"value"),
    ("blob", rb"(?:agent\.policy|cc_init_data)(?:" + _QUOTE + rb')?[:=][ ]?(?:\\*")?[A-Za-z0-9+/_-]{16}'),
    ("header", rb"(?i:authorization)(?:" + _QUOTE + rb')?[ ]?[:=][ ]?\[?(?:\\*["\'])?[A-Za-z0-9]'),
    ("bearer", rb"(?i:bearer)(?:[ ]|%20|\+)+(?P<bearer_value>[A-Za-z0-9._~+/=-]{8,})"),
    ("basic", rb"(?i:basic)[ ]+[A-Za-z0-9+/]{6,}={0,2}"),
    ("option", rb"--?[A-Za-z0-9_-]*(?i:" + _WORDS + rb")[A-Za-z0-9_-]*" + _BETWEEN_ARGUMENTS + rb"[^\s-]"),
    ("keyvalue", _NAME + rb"(?:" + _QUOTE + rb")?" + _SEPARATOR + rb"(?:\\*[\"'][^\"'\n]|[^\s\"'\\,\[\](){}<>;&])"),
    ("command", rb"(?:mysql|mariadb|sshpass|curl|redis-cli|login)[a-z-]*(?:" + _QUOTE + rb"|[ ]|\\+u0026|&)"),
    ("jwt", rb"eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]+)+\.?|eyJ(?:hbGci|0eXAi|raWQi)[A-Za-z0-9_-]*\.?"),
    ("keyblob", rb"LS0tLS1CRUdJTi(?:BQUklWQVRF|BSU0Eg|BFQyBQ|BPUEVOU1NI|BFTkNSWVBU|BEU0Eg)[A-Za-z0-9+/=]*"),
    (
        "secretobject",
        _QUOTE + rb"(?:resource|kind)" + _QUOTE + rb":[ ]?" + _QUOTE + rb"(?:secrets|Secret|SecretList)" + _QUOTE,
    ),
    ("secretdata", _QUOTE + rb"(?:data|stringData)" + _QUOTE + rb":[ ]?\{" + _QUOTE),
    ("pem", rb"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"),
    ("pemend", rb"-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"),
    ("aws", rb"(?:AKIA|ASIA)[A-Z0-9]{16}"),
    ("gcp", rb"AIza[\w-]{35}|ya29\.[\w.-]{16,}"),
    ("azure", rb"[?&;\x26]sig=(?P<azure_value>[\w%+/=-]{16,})"),
    ("github", rb"gh[pousr]_[A-Za-z0-9]{16,}|github_pat_\w{16,}"),
    ("gitlab", rb"gl(?:pat|dt|rt|ptt|cbt|soat|ft|imt|agent)-[\w-]{15,}"),
    ("slack", rb"xox[abeoprs]-[\w-]{10,}|xapp-[\w-]{10,}|hooks\.slack\.com/services/[\w/]{20,}"),
    ("stripe", rb"[sr]k_(?:live|test)_\w{6,}|whsec_\w{16,}"),
    ("npm", rb"npm_[A-Za-z0-9]{30,}"),
    ("pypi", rb"pypi-[\w-]{30,}"),
    ("sendgrid", rb"SG\.[\w-]{16,}\.[\w-]{16,}"),
    ("twilio", _EDGE + rb"(?P<twilio_value>SK[0-9a-f]{32})"),
    ("vault", rb"hv[sbr]\.[\w-]{6,}|" + _EDGE + rb"(?P<vault_value>s\.[A-Za-z0-9]{24})"),
    ("digitalocean", rb"do[opr]_v1_[0-9a-f]{32,}"),
    ("docker", rb"dckr_[a-z]{2,4}_[\w-]{20,}"),
    ("rego", rb"package agent_policy"),
    ("gostruct", rb"EnvVar\{Name:[^,{}]*,Value:[^,{}]"),
    ("apikey", _EDGE + rb"(?P<apikey_value>sk-[\w-]{20,}|hf_[A-Za-z0-9]{30,})"),
    ("url", rb"://[^\s/@:\"'\\]{0,128}:(?P<url_value>[^\s/\"'\\]+)@|://(?P<url_token>[^\s/@:\"'\\]{16,})@"),
    ("array", rb"\[(?:[0-9]{1,3},[ ]?){7}"),
    ("hex", rb"(?:proctitle|cmd|a[0-9]{1,2})=[0-9A-F]{12}"),
)

TRIGGER: Any = compile_bytes(b"|".join(b"(?P<%b>%b)" % (name.encode(), pattern) for name, pattern in _TRIGGERS))
"""Every place where a secret may stand."""

KEYVALUE: Any = compile_bytes(
    rb"(?P<name>" + _NAME + rb")(?P<closed>" + _QUOTE + rb")?(?P<sep>" + _SEPARATOR + rb")(?P<open>\\*[\"'])?"
)
"""A sensitive name, and where its value begins."""

OPTION: Any = compile_bytes(rb"(?P<name>--?[A-Za-z0-9_-]+)" + _BETWEEN_ARGUMENTS)
"""An option, and where the next argument begins."""

HEADER: Any = compile_bytes(
    rb"(?i:authorization)(?P<closed>"
    + _QUOTE
    + rb")?[ ]?[:=][ ]?\[?(?:\\*[\"'])?(?P<scheme>(?i:bearer|basic|digest|token|negotiate|aws4-hmac-sha256)[ +]+)?"
    + rb"(?P<value>[^\s\"'\\,]+)"
)
NAME_VALUE: Any = compile_bytes(
    rb"(?:" + _QUOTE + rb"name" + _QUOTE + rb":[ ]?|envs:\{key:)" + rb'\\*"(?P<name>[^"\\]*)\\*"'
    rb"(?:,[ ]?" + _QUOTE + rb"value" + _QUOTE + rb':[ ]?|[ ]+value:)(?P<open>\\*")'
)
BARE: Any = compile_bytes(rb"[^\s\"'\\,\[\](){}<>;]+")
"""A value without quotes."""

NEXT_PARAMETER: Any = compile_bytes(rb"&[\w.~%-]*=")
BLOB: Any = compile_bytes(rb'(?P<name>agent\.policy|cc_init_data)(?:\\*")?[:=][ ]?(?:\\*")?(?P<value>[A-Za-z0-9+/_=-]+)')
PEM_BLOCK: Any = compile_bytes(
    rb"-----BEGIN [A-Z0-9 ]+-----(?:-?[A-Za-z0-9+/=:, .\t\r\n]|\\+[nrt/]|\\+u000[ad])*-----END [A-Z0-9 ]+-----"
)
PEM_CUT: Any = compile_bytes(
    rb"-----BEGIN [A-Z0-9 ]+-----(?:[A-Za-z0-9+/=]|\\+[nrt/]|\\+u000[ad]|\r?\n[A-Za-z0-9+/]{60,76})*"
)
_LINE_HEAD = rb'(?:(?m:^)|vmconsole=|MESSAGE=|"MESSAGE":|msg(?:\\*")?[:=]|"log":| [FP] )[ ]?(?:\\*")?'
_LINE_TAIL = rb'(?:\\*"|\s|$|\\+[nr])'
PEM_LINE: Any = compile_bytes(_LINE_HEAD + rb"(?P<value>[A-Za-z0-9+/]{16,76}={0,2})" + _LINE_TAIL)
PEM_LAST_LINE: Any = compile_bytes(_LINE_HEAD + rb"(?P<value>[A-Za-z0-9+/]{1,76}={0,2})" + _LINE_TAIL)
"""The record before the end of a key may hold any few letters."""
ARRAY: Any = compile_bytes(rb"\[(?P<value>[0-9]{1,3}(?:,[ ]?[0-9]{1,3})*)\]?")
HEX: Any = compile_bytes(rb"[a-z0-9]+=(?P<value>(?:[0-9A-F]{2})+)")
MYSQL: Any = compile_bytes(rb"(?:\\*\"|[ =+])-p(?P<value>[^\s\"'\\&\]]+)")
SSHPASS: Any = compile_bytes(rb"-p(?:" + _BETWEEN_ARGUMENTS + rb")?(?P<value>[^\s\"'\\&\]]+)")
LOGIN: Any = compile_bytes(rb"(?:-p" + _BETWEEN_ARGUMENTS + rb")(?P<value>[^\s\"'\\&\]-][^\s\"'\\&\]]*)")
REDIS: Any = compile_bytes(rb"(?:-a" + _BETWEEN_ARGUMENTS + rb")(?P<value>[^\s\"'\\&\]-][^\s\"'\\&\]]*)")
CURL: Any = compile_bytes(
    rb"(?:-u|--user|--proxy-user)(?:" + _BETWEEN_ARGUMENTS + rb"|=)?[^\s\"'\\&\]:]*:(?P<value>[^\s\"'\\&\]]+)"
)
COMMAND_END: Any = compile_bytes(rb"[\]\n|;]")

NO_SECRET: Any = compile_bytes(
    rb"(?i:true|false|null|none|nil|<nil>|yes|no|[+-]?[0-9]+(?:\.[0-9]+)?(?:ms|s|m|h)?|0x[0-9a-f]+|\.{3})"
)
"""Values that are no secrets, as a whole."""

PASSWORD_NAME: Any = compile_bytes(rb"(?i:" + _PASS + rb")")
NO_SECRET_NAME: Any = compile_bytes(
    rb"(?i:cwd|.*credential[_-]id"
    rb"|.*(?:name|names|ref|refs|path|paths|file|files|dir|type|types|ttl|timeout|count|size|len|length|policy|mode|version"
    rb"|provider|uri|url|endpoint|expiry|expires|seconds|timestamp|plugin|config|review|reviews|kind|bytes|limit|enabled"
    rb"|required|hash|methods?|too|reason|status|error))"
)
"""Names that hold a sensitive word and no secret, as a whole."""

BENIGN_ENV: Any = compile_bytes(
    rb"PATH|HOME|HOSTNAME|TERM|LANG|LC_[A-Z]+|PWD|SHLVL|RUST_BACKTRACE|KUBERNETES_[A-Z0-9_]+"
    rb"|[A-Z0-9_]+_SERVICE_HOST|[A-Z0-9_]+_SERVICE_PORT[A-Z0-9_]*|[A-Z0-9_]+_PORT(?:_[0-9]+_(?:TCP|UDP|SCTP)[A-Z_]*)?"
)
"""Environment variables whose values stay, as a whole name."""
BENIGN_ENV_VALUE: Any = compile_bytes(rb"[\w.:/@+-]*")

ENV_ITEM: Any = compile_bytes(rb'[\[,][ \t]*(?P<open>\\*")')
GO_LIST_END: Any = compile_bytes(rb'\](?:[ }\]"\\,]|$)')
GO_ENV_NAME: Any = compile_bytes(rb"[ \[]([A-Za-z_][\w.-]*)=")

VALUE_GROUPS: dict[str, tuple[tuple[str, int], ...]] = {}
"""Of a kind: the groups of `TRIGGER` that hold the secret where it is not the whole match."""
for _group, _index in TRIGGER.groupindex.items():
    _kind, _, _part = _group.decode().partition("_")
    if _part:
        VALUE_GROUPS[_kind] = (*VALUE_GROUPS.get(_kind, ()), (_group.decode(), _index))
NO_OPENING: Any = compile_bytes(rb'[,}\])]+[ ]?(?:\\*"|[,}\])]|$)|[ ]+(?:[\w.-]+=|$)|\\*"|$')
"""What stands behind a quote that ends a text such as `enter password:`, rather than begin a value."""
GO_STRUCT: Any = compile_bytes(rb"EnvVar\{Name:(?P<name>[^,{}]*),Value:")
GO_STRUCT_END: Any = compile_bytes(rb",ValueFrom:|\}")
ESCAPES: Any = compile_bytes(rb"\\+([\"'\\]?)")
MAP_ITEM: Any = compile_bytes(rb'[{,][ ]?\\*"[^"\\]*\\*":[ ]?(?P<open>\\*")')
BOOTSTRAP: Any = compile_bytes(rb"[a-z0-9]{6}\.[a-z0-9]{16}")
"""A kubeadm bootstrap token. Event names look the same, so only where a name says that it is a token."""
MARKER_TAIL: Any = compile_bytes(rb"masked:[A-Za-z0-9:-]*\*?")
HEXADECIMAL: Any = compile_bytes(rb"[0-9a-fA-F]+")
"""Ids and digests, which are no lines of a key."""
