"""A configuration is read whole, or refused with every mistake at its place."""

from ipaddress import ip_network
from pathlib import Path

import pytest

from kata_audit.config import AgentInput, BatchLimits, Config, FifoInput, FileInput, find_places, load_config, parse_config
from kata_audit.errors import ConfigError, InputMissingError
from kata_audit.exporters.settings import Destination, DestinationKind
from kata_audit.receivers.pattern import FIRECRACKER_SOCKETS
from kata_audit.receivers.vsock import LOG_PORT
from kata_audit.schema.finding import Level
from kata_audit.schema.source import Transport

WHOLE = """
# the whole of it
store = "/srv/trail"
node = "lab/worker-a"
tenant = "red"

[batch]
max_age_secs = 2
max_records = 1000
max_bytes = 1_000_000

[[file]]
path = "node.json"

[[file]]
path = "/var/log/containerd.log"
transport = "host-file"
tenant = "blue"
"""


def problems(text: str) -> list[str]:
    """Read a text that has mistakes and give them."""
    with pytest.raises(ConfigError) as caught:
        parse_config(text, name="c.toml")
    return [str(problem) for problem in caught.value.problems]


def test_nothing_set_is_everything_by_default() -> None:
    """An empty file is a valid configuration."""
    assert parse_config("", name="c.toml") == Config()


def test_everything_set_is_everything_read() -> None:
    """Each setting ends up in its place; relative paths start at the file's folder."""
    assert parse_config(WHOLE, name="c.toml", folder=Path("/etc/ka")) == Config(
        store=Path("/srv/trail"),
        node="lab/worker-a",
        tenant="red",
        batch=BatchLimits(2.0, 1000, 1_000_000),
        file=(
            FileInput(Path("/etc/ka/node.json")),
            FileInput(Path("/var/log/containerd.log"), Transport.HOST_FILE, "blue"),
        ),
    )


def test_fifos_and_log_ports_have_the_places_of_firecracker(tmp_path: Path) -> None:
    """A table without a key is where the Go runtime lays them; the rest is as stated."""
    stated = '[[fifo]]\n[[fifo]]\npath = "a/*/logs.fifo"\ntenant = "blue"\n[[agent]]\n[[agent]]\ncid = 42\nport = 1026\n'
    read = parse_config(stated, name="c.toml", folder=tmp_path)

    assert read.fifo == (FifoInput(Path("/run/vc/firecracker/*/logs.fifo")), FifoInput(tmp_path / "a/*/logs.fifo", "blue"))
    assert read.agent == (
        AgentInput(Path(FIRECRACKER_SOCKETS), None, LOG_PORT),
        AgentInput(Path("/run/vc/firecracker/*/root/kata.hvsock"), 42, 1026),
    )
    assert len(problems("[[agent]]\ncid = 0\n[[agent]]\nport = 4294967295\n")) == 2


def test_all_mistakes_come_at_once_in_order() -> None:
    """A person repairs the file once."""
    found = problems('tenant = 3\nnod = "x"\n[batch]\n  max_age_sec = 1\n[[file]]\ntransport = "x"\n[[file]]\npath = 1\n')

    assert [each.partition(": ")[0] for each in found] == [
        "c.toml:1:1",
        "c.toml:2:1",
        "c.toml:4:3",
        "c.toml:5:1",
        "c.toml:6:1",
        "c.toml:8:1",
    ]
    assert "did you mean `node`?" in found[1]
    assert "did you mean `max_age_secs`?" in found[2]
    assert "`path` is missing" in found[3]
    assert "journal-json" in found[4]


@pytest.mark.parametrize(
    "line",
    [
        "batch = 1",
        "file = 1",
        "file = [1]",
        "[batch]\nmax_records = true",
        "[batch]\nmax_age_secs = 1e9",
        'tenant = "a b"',
        'tenant = ""',
        'store = ""',
        "[batch]\nmax_age_secs = nan",
        "[file]\npath = 'x'",
    ],
)
def test_a_wrong_value_is_one_mistake(line: str) -> None:
    """Values of the wrong kind, or out of bounds, are refused."""
    assert len(problems(line)) == 1


def test_broken_toml_has_a_place() -> None:
    """A syntax error says where it is, also at the end of the file."""
    assert problems("a = 1\nb = = 2\n")[0].startswith("c.toml:2:5: not TOML")
    assert problems("a = [1\n")[0].startswith("c.toml:")


def test_places_are_found_behind_anything() -> None:
    """Strings over lines, comments, brackets, quoted and dotted keys do not lead the search astray."""
    text = 'a = """\nx = 1\n[b]\n"""\nc = [ # ]\n  "]", {d = 1},\n]\n"e f".g = 1\n[[h]]\n[h.i]\nj = \'\'\'\n=\'\'\'\n[[h]]\nk=1\n'

    assert find_places(text) == {
        ("a",): (1, 1),
        ("c",): (5, 1),
        ("e f", "g"): (8, 1),
        ("h",): (9, 1),
        ("h", 0): (9, 1),
        ("h", 0, "i"): (10, 1),
        ("h", 0, "i", "j"): (11, 1),
        ("h", 1): (13, 1),
        ("h", 1, "k"): (14, 1),
    }


def test_a_file_that_cannot_be_read_is_missing(tmp_path: Path) -> None:
    """A directory, or nothing, is no configuration; other bytes than UTF-8 are a mistake."""
    for path in (tmp_path, tmp_path / "none.toml"):
        with pytest.raises(InputMissingError):
            load_config(path)
    (tmp_path / "c.toml").write_bytes(b"a = '\xff'")
    with pytest.raises(ConfigError):
        load_config(tmp_path / "c.toml")


ALERTS = """
[alerts]
outbox = "out"
heartbeat_secs = 30

[[alerts.destination]]
name = "am"
kind = "alertmanager"
url = "http://10.1.2.3:9093"
allow = ["10.1.0.0/16"]
plaintext = true
heartbeat = true

[[alerts.destination]]
name = "pager"
kind = "apprise"
secret_file = "pager.url"
min_level = "critical"
second = "mail"
second_after_secs = 120

[[alerts.destination]]
name = "mail"
kind = "apprise"
secret_env = "MAIL_URL"
standby = true
"""


def test_destinations_are_read_whole() -> None:
    """Each setting ends up in its place."""
    alerts = parse_config(ALERTS, name="c.toml", folder=Path("/etc/ka")).alerts

    assert (alerts.outbox, alerts.heartbeat_secs) == (Path("/etc/ka/out"), 30.0)
    assert alerts.destination == (
        Destination(
            "am",
            DestinationKind.ALERTMANAGER,
            url="http://10.1.2.3:9093",
            allow=(ip_network("10.1.0.0/16"),),
            plaintext=True,
            heartbeat=True,
        ),
        Destination(
            "pager",
            DestinationKind.APPRISE,
            secret_file=Path("/etc/ka/pager.url"),
            min_level=Level.CRITICAL,
            second="mail",
            second_after_secs=120.0,
        ),
        Destination("mail", DestinationKind.APPRISE, secret_env="MAIL_URL", standby=True),
    )


def test_all_mistakes_of_destinations_come_at_once() -> None:
    """Those of one key, those of one destination, and those between them."""
    text = """
[[alerts.destination]]
name = "a"
kind = "webhook"
url = "http://user:word@hook.example/x#y"
second = "gone"

[[alerts.destination]]
name = "a"
kind = "file"
url = "https://hook.example"

[[alerts.destination]]
name = "b"
kind = "apprise"
secret_file = "x"
secret_env = "X"
second = "b"
"""

    assert problems(text) == [
        "c.toml:2:1: `secret_file` is missing for kind `webhook`; or name `secret_env`",
        "c.toml:5:1: `url` is without TLS; make it https, or set `plaintext`",
        "c.toml:5:1: `url` holds a user or password; put the secret into `secret_file`",
        "c.toml:5:1: `url` has a part behind `#`, which is never sent",
        "c.toml:8:1: `path` is missing for kind `file`",
        "c.toml:11:1: `url` is nothing for kind `file`",
        "c.toml:17:1: `secret_env` and `secret_file` are two places for one secret; name one",
        "c.toml:18:1: `second` names this destination itself",
    ]


def test_destinations_are_told_apart_by_name() -> None:
    """And a second one exists."""
    one = '[[alerts.destination]]\nname = "a"\nkind = "stdout"\nsecond = "gone"\n'

    assert problems(one * 2) == [
        "c.toml:4:1: there is no destination `gone`",
        "c.toml:6:1: there is another destination `a`",
        "c.toml:8:1: there is no destination `gone`",
    ]


@pytest.mark.parametrize(
    "line",
    [
        'kind = "pager"',
        'min_level = "bad"',
        'allow = ["10.0.0.0/33"]',
        'allow = "10.0.0.0/8"',
        'plaintext = "yes"',
        'secret_env = "A B"',
        "url = 1",
        "second_after_secs = 0",
        'url = "https://[::1"',
        'url = "https://"',
        'url = "ftp://hook.example"',
        'url = "https://hook.example:99999/"',
        'url = "https://höök.example/"',
    ],
)
def test_a_destination_that_cannot_be_is_refused(line: str) -> None:
    """With the place of the key."""
    known = {"name": '"a"', "kind": '"webhook"', "secret_file": '"x"', "url": '"https://hook.example"'}
    known.pop(line.partition(" ")[0], None)
    if line.startswith("secret_env"):
        known.pop("secret_file")
    text = "[[alerts.destination]]\n" + "".join(f"{key} = {value}\n" for key, value in known.items()) + line
    found = problems(text)

    assert found != []
    assert all(one.startswith(f"c.toml:{len(known) + 2}:1: ") for one in found)


def test_what_is_learned_must_be_kept_for_as_long() -> None:
    """Baselines that never speak are a mistake."""
    assert parse_config("[baseline]\nlearn_days = 28", name="c.toml").baseline.learn_days == 28
    assert problems("[baseline]\nlearn_days = 29\n") == [
        "c.toml:2:1: what is kept for 28 days is never learned in 29",
    ]
    assert problems("[baseline]\nrate_weeks = 5\n") == ["c.toml:2:1: `rate_weeks` must be a whole number from 1 to 4"]
