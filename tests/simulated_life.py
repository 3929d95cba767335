"""A sandbox's life as a template: entries of a real capture in which everything that was its own has become a slot.

`compile_life` finds the slots once; `Life.values` draws fresh ones for a new sandbox; `Entry.render` writes an entry from
them. Entries keep their text, order and distances in time; ids, names, process numbers, times, addresses and cursors change.
"""

import json
import random
import re
from collections.abc import Callable, Iterator, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

from tests.simulated_times import TIMES, NodeValues, TimeSlot, fill_times, read_time

_NESTED = b"\x00nested%d\x00"
_LONG = 4096
"""`journalctl -o json` writes null for longer fields unless it is asked for all (systemd, logs-show.c)."""
_HEX64 = rb"(?<![0-9a-f])(?<!sha256:)[0-9a-f]{64}(?![0-9a-f])"
_KINDS = (
    ("cursor", rb"s=[0-9a-f]{32};i=[0-9a-f]+;b=[0-9a-f]{32};m=[0-9a-f]+;t=[0-9a-f]+;x=[0-9a-f]+"),
    ("ns", rb"(?<![0-9])1795[0-9]{15}(?![0-9])"),
    ("us", rb"(?<![0-9])1795[0-9]{12}(?![0-9])"),
    ("s", rb"(?<![0-9])1795[0-9]{6}(?![0-9])"),
    ("fixed", rb'(?<=time=\\")2026-11-2[34]T[0-9:]{8}\.[0-9]{9}|(?<=MESSAGE=time=")2026-11-2[34]T[0-9:]{8}\.[0-9]{9}'),
    ("rfc", rb"2026-11-2[34][T ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?"),
    ("klog", rb"[IWEF]112[34] [0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}"),
    ("bsd", rb"Nov 2[34] [0-9]{2}:[0-9]{2}:[0-9]{2}"),
    ("monotonic", rb'(?<=_MONOTONIC_TIMESTAMP":")[0-9]+|(?<=_MONOTONIC_TIMESTAMP=)[0-9]+'),
    ("hex64", _HEX64),
    ("uuid", rb"(?<![0-9a-f-])[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?![0-9a-f])"),
    ("boot", rb'(?<=_BOOT_ID":")[0-9a-f]{32}|(?<=_BOOT_ID=)[0-9a-f]{32}'),
    ("machine", rb'(?<=_MACHINE_ID":")[0-9a-f]{32}|(?<=_MACHINE_ID=)[0-9a-f]{32}'),
    ("stream", rb'(?<=_STREAM_ID":")[0-9a-f]{32}|(?<=_STREAM_ID=)[0-9a-f]{32}'),
    ("hex32", rb"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])"),
    ("mac", rb"(?<![0-9a-f:])[0-9a-f]{2}(?::[0-9a-f]{2}){5}(?![0-9a-f:])"),
    ("ip", rb"(?<![0-9.])10\.(?:[0-9]{1,3}\.){2}[0-9]{2,3}(?![0-9.])"),
    ("pointer", rb"0x[0-9a-f]{8,16}(?![0-9a-f])"),
    ("took", rb"(?<![0-9.])[0-9]\.[0-9]{6,9}(?=s)"),
    ("host", rb"worker-[ab](?![0-9A-Za-z-])"),
)
_WORDS = [
    "api",
    "web",
    "cart",
    "ledger",
    "vault",
    "search",
    "index",
    "cache",
    "batch",
    "report",
    "queue",
    "auth",
    "gateway",
    "billing",
    "catalog",
    "orders",
    "payments-worker",
    "imports",
    "mailer",
    "metrics",
    "session",
    "image-resizer",
    "recommender",
    "fraud-check",
    "feed",
    "notifier",
    "scheduler",
    "audit-sink",
    "tokenizer",
]
_NAMESPACES = [
    "payments",
    "shop",
    "default",
    "kube-system",
    "search",
    "identity",
    "billing",
    "staging",
    "team-red",
    "team-blue",
    "data-lake",
    "ml-serving",
    "edge",
    "internal-tools",
    "partner-a",
    "partner-b",
    "observability",
    "ci",
    "sandboxed",
    "checkout",
]
_SUFFIX = "bcdfghjklmnpqrstvwxz2456789"


class Sandbox(NamedTuple):
    """Who a simulated sandbox is; `containers` is id to name. The background of a node has no ids and no names."""

    number: int
    template: str
    sandbox_id: str | None
    k8s_namespace: str | None
    k8s_pod: str | None
    k8s_pod_uid: str | None
    pid: int
    containers: dict[str, str]


class Entry(NamedTuple):
    """One entry: when it was written after the life's start, the container it names, and how to write it."""

    at_us: int
    late: bool
    container: int | None
    text: bytes
    pick: Callable[[Sequence[bytes]], Any]
    nested: tuple[tuple[bytes, bytes, Callable[[Sequence[bytes]], Any], Callable[[bytes], bytes]], ...]

    def render(self, values: Sequence[bytes]) -> bytes:
        """Write the entry with a life's values; `ORDINAL` still stands in it."""
        line: bytes = self.text % self.pick(values)
        for mark, text, pick, encode in self.nested:
            line = line.replace(mark, encode(text % pick(values)))
        return line


class Life(NamedTuple):
    """A compiled template: its entries in order, its slots, and the identity that it had."""

    header: dict[str, Any]
    entries: tuple[Entry, ...]
    slots: tuple[tuple[str, bytes], ...]
    drawn: tuple[tuple[int, Callable[[random.Random], bytes]], ...]
    """Slots that are drawn at random, in an order that is the same in every form."""
    times: tuple[TimeSlot, ...]

    def sandbox(self, number: int, rng: random.Random) -> Sandbox:
        """Draw the identity of a new sandbox."""
        if "sandbox_id" not in self.header:
            return Sandbox(number, self.header["run"], None, None, None, None, 0, {})
        pod = f"{rng.choice(_WORDS)}-{rng.randbytes(5).hex()[:9]}-{''.join(rng.choices(_SUFFIX, k=5))}"
        names = [pod if name == self.header["k8s_pod"] else name for name in self.header["containers"].values()]
        return Sandbox(
            number,
            f"{self.header['run']}/{self.header['k8s_pod']}",
            rng.randbytes(32).hex(),
            rng.choice(_NAMESPACES),
            pod,
            _uuid(rng).decode(),
            3000 + (number * 37 + rng.randrange(30)) % 4_000_000,
            {rng.randbytes(32).hex(): name for name in names},
        )

    def values(self, sandbox: Sandbox, node: NodeValues, start_us: int, pause_us: int, rng: random.Random) -> list[bytes]:
        """Draw every slot's value for one sandbox that starts at a time and pauses once."""
        own = {
            "sandbox": (sandbox.sandbox_id or "").encode(),
            "pod": (sandbox.k8s_pod or "").encode(),
            "namespace": (sandbox.k8s_namespace or "").encode(),
            "uid": (sandbox.k8s_pod_uid or "").encode(),
            **{f"container{index}": one.encode() for index, one in enumerate(sandbox.containers)},
            **{f"pid{index}": b"%d" % (sandbox.pid + index) for index in range(len(self.header["pids"]))},
            **node.texts,
        }
        values = [own.get(kind, b"") for kind, _ in self.slots]
        for slot, draw in self.drawn:
            values[slot] = draw(rng)
        fill_times(values, self.times, (start_us * 1000, (start_us + pause_us) * 1000), node, rng)
        return values


def _uuid(rng: random.Random) -> bytes:
    text = rng.randbytes(16).hex()
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}".encode()


_DRAW: dict[str, Callable[[random.Random], bytes]] = {
    "hex64": lambda rng: rng.randbytes(32).hex().encode(),
    "hex32": lambda rng: rng.randbytes(16).hex().encode(),
    "uuid": _uuid,
    "mac": lambda rng: b"02:" + rng.randbytes(5).hex(":").encode(),
    "ip": lambda rng: b"10.%d.%d.%d" % (rng.randrange(64, 96), rng.randrange(256), rng.randrange(10, 250)),
    "pointer": lambda rng: b"0x%012x" % rng.getrandbits(46),
    "took": lambda rng: b"%d.%06d" % (rng.randrange(10), rng.randrange(1_000_000)),
}


class _Compiler:
    """Finds the slots of one template."""

    def __init__(self, header: dict[str, Any], lines: Sequence[bytes]) -> None:
        self.header = header
        self.slots: dict[tuple[str, bytes], int] = {}
        self.stamped = [json.loads(line) for line in lines]
        self.real_us = [int(entry["__REALTIME_TIMESTAMP"]) for entry in self.stamped]
        self.booted_us = self.real_us[0] - int(self.stamped[0]["__MONOTONIC_TIMESTAMP"])
        gaps = [after - before for before, after in zip(self.real_us, self.real_us[1:], strict=False)]
        widest = gaps.index(max(gaps)) if gaps else 0
        self.pause_from_us = header.get("pause_us") or sum(self.real_us[widest : widest + 2]) // 2
        self.names = self._names()
        branches = b"|".join(b"(?P<%b>%b)" % (name.encode(), text) for name, text in self._patterns())
        known = b"|".join(map(re.escape, self.names)) or b"(?!)"
        # The first look behind spares nearly every byte the many branches.
        self.pattern = re.compile(b"(?<![0-9A-Za-z])(?:%b)|(?P<known>%b)" % (branches, known))
        self.containers = [one.encode() for one in header["containers"]]

    def _names(self) -> dict[bytes, str]:
        header = self.header
        if "sandbox_id" not in header:
            return {}
        known = {header["sandbox_id"]: "sandbox", header["k8s_pod_uid"]: "uid"}
        known |= {one: f"container{index}" for index, one in enumerate(header["containers"])}
        return {key.encode(): kind for key, kind in known.items()}

    def _patterns(self) -> Iterator[tuple[str, bytes]]:
        if self.names:
            yield "stated", b"|".join(map(re.escape, self.names))
            pod, namespace = re.escape(self.header["k8s_pod"].encode()), re.escape(self.header["k8s_namespace"].encode())
            yield "pod", rb"(?<![A-Za-z0-9.-])" + pod + rb"(?![A-Za-z0-9-])"
            if namespace != b"default":
                yield "namespace", rb"(?<![A-Za-z0-9.-])" + namespace + rb"(?![A-Za-z0-9.-])"
            else:
                yield "namespace", rb'(?<=namespace:\\\\\\")default|(?<=namespace:)default|default(?=[/_]' + pod + b")"
        for index, pid in enumerate(one.encode() for one in self.header["pids"]):
            places = (
                rb'(?<=PID":")',
                rb"(?<=PID=)",
                rb"(?<=kata\[)",
                rb"(?<=[Pp]id[=: ])",
                rb"(?<=[Pp]id: )",
                rb"(?<=/proc/)",
            )
            yield f"pid{index}", b"|".join(place + pid + rb"(?![0-9])" for place in places)
        yield "daemon", rb'(?<="_PID":")10[0-9](?=")|(?<=\n_PID=)10[0-9](?=\n)'
        yield from _KINDS

    def formatted(self, text: bytes) -> tuple[bytes, Callable[[Sequence[bytes]], Any]]:
        """Turn text into a format and the choice of its values."""
        found: list[int] = []
        parts: list[bytes] = []
        position = 0
        for match in self.pattern.finditer(text):
            kind = str(match.lastgroup)
            parts += [text[position : match.start()].replace(b"%", b"%%"), b"%b"]
            position = match.end()
            kind = self.names[match.group()] if kind in ("stated", "known") else kind
            found.append(self.slots.setdefault((kind, match.group()), len(self.slots)))
        parts.append(text[position:].replace(b"%", b"%%"))
        if len(found) == 1:
            return b"".join(parts), lambda values, only=found[0]: (values[only],)
        return b"".join(parts), itemgetter(*found) if found else lambda _: ()

    def container(self, line: bytes) -> int | None:
        """Tell the one container that an entry names."""
        named = [index for index, one in enumerate(self.containers) if one in line]
        return named[0] if len(named) == 1 else None

    def times(self) -> Iterator[TimeSlot]:
        """List the slots that are times."""
        for (kind, text), slot in self.slots.items():
            if kind not in TIMES:
                continue
            ns, digits = ((int(text) + self.booted_us) * 1000, 0) if kind == "monotonic" else read_time(kind, text)
            if kind == "cursor":
                digits = int(text.split(b";m=")[1].split(b";")[0], 16) + self.booted_us - ns // 1000
            late = ns // 1000 >= self.pause_from_us
            yield TimeSlot(slot, kind, ns - self.real_us[0] * 1000, late, digits)


def _as_array(text: bytes) -> bytes:
    return b"[" + b",".join(b"%d" % byte for byte in text) + b"]"


def _as_field(name: str) -> Callable[[bytes], bytes]:
    return lambda text: b"%b\n%b%b" % (name.encode(), len(text).to_bytes(8, "little"), text)


def _value(value: Any) -> bytes:
    return bytes(value) if isinstance(value, list) else str(value or "").encode("utf-8", "surrogateescape")


_Apart = list[tuple[bytes, Callable[[bytes], bytes]]]
"""Values that are written in a form of their own, and how; the n-th stands for the mark with that number."""


def _json_form(line: bytes, entry: dict[str, Any], *, long_fields: bool) -> tuple[bytes, _Apart]:
    """Give an entry's JSON line, and apart what is a byte array in it."""
    if not long_fields and any(len(_value(value)) > _LONG for value in entry.values()):
        short = {name: None if len(_value(value)) > _LONG else value for name, value in entry.items()}
        return json.dumps(short, separators=(",", ":"), ensure_ascii=False).encode() + b"\n", []
    apart: _Apart = []
    for name in (name for name, value in entry.items() if isinstance(value, list)):
        field = b'"%b":' % name.encode()
        line = re.sub(field + rb"\[[0-9,]*\]", lambda _, field=field: field + _NESTED % len(apart), line)  # type: ignore[misc]
        apart.append((_value(entry[name]), _as_array))
    return line + b"\n", apart


def _export_form(entry: dict[str, Any]) -> tuple[bytes, _Apart]:
    """Give an entry's export block, and apart what needs a length in it."""
    fields: list[bytes] = []
    apart: _Apart = []
    for name in sorted(entry, key=lambda one: not one.startswith("__")):
        value = _value(entry[name])
        if any(byte < 32 and byte != 9 for byte in value):
            fields.append(_NESTED % len(apart))
            apart.append((value, _as_field(name)))
        else:
            fields.append(b"%b=%b" % (name.encode(), value))
    return b"\n".join(fields) + b"\n\n", apart


def compile_life(header: dict[str, Any], lines: Sequence[bytes], *, form: str, long_fields: bool) -> Life:
    """Compile one template.

    Args:
        header: The template's identity, as `tests/data/simulator/collect.py` writes it.
        lines: Its entries, as `journalctl -o json` wrote them.
        form: `json` or `export`.
        long_fields: Whether fields over 4,096 bytes are written (`journalctl --all`) or are null; JSON only.
    """
    compiler = _Compiler(header, lines)
    entries = []
    for line, entry, real_us in zip(lines, compiler.stamped, compiler.real_us, strict=True):
        whole, apart = _json_form(line, entry, long_fields=long_fields) if form == "json" else _export_form(entry)
        text, pick = compiler.formatted(whole)
        nested = tuple(
            (_NESTED % number, *compiler.formatted(value), encode) for number, (value, encode) in enumerate(apart)
        )
        at_us = real_us - compiler.real_us[0]
        entries.append(Entry(at_us, real_us >= compiler.pause_from_us, compiler.container(line), text, pick, nested))
    entries.sort(key=lambda one: one.at_us)
    drawn = [(slot, _DRAW[kind]) for (kind, _), slot in sorted(compiler.slots.items()) if kind in _DRAW]
    return Life(
        header,
        tuple(entries),
        tuple(compiler.slots),
        tuple(drawn),
        tuple(sorted(compiler.times(), key=lambda one: (one.after_ns, one.kind, one.more))),
    )
