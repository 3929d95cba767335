"""What every test shares: where the reference captures are, and which tests are long."""

import os
import signal
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# No promise here is about time. Where the gates decide, the same tree gets the same answer; elsewhere properties explore.
_UNTIMED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("explore", _UNTIMED)
settings.register_profile("gate", _UNTIMED, derandomize=True)
settings.load_profile("gate" if os.environ.get("CI") else "explore")

# For each value whose type it has to find out, pyarrow looks through all folders for this package, which is a fifth of the
# work of a test with few records; that it is not there is said once.
if find_spec("dateutil") is None:
    sys.modules["dateutil"] = None  # type: ignore[assignment]

# Whatever started the tests in the background may have had them ignore Ctrl-C, and children of theirs would, too.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

_LONG = {"servers", "fault", "docs"}
REPOSITORY = Path(__file__).resolve().parents[1]


def corpus_directory() -> Path | None:
    """Return the folder of reference captures, or None where it is absent."""
    named = os.environ.get("KATA_AUDIT_CORPUS")
    path = Path(named) if named else REPOSITORY.parent / "shared" / "corpus"
    return path if (path / "captures").is_dir() else None


@pytest.fixture(scope="session")
def corpus() -> Path:
    """Give the reference captures, or skip by name."""
    path = corpus_directory()
    if path is None:
        pytest.skip("the reference captures are absent; name their folder in KATA_AUDIT_CORPUS")
    return path


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let `make torture` ask for the long tests."""
    parser.addoption("--torture", action="store_true", help="run the long fault, fuzz and volume tests too")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the long tests to `make torture`, and those of a server that takes long to build to who has built it.

    Files of which one takes a minute come first, so that no worker is left alone with one at the end.
    """
    items.sort(key=lambda item: not _LONG & set(item.path.relative_to(REPOSITORY).parts))
    if config.getoption("--torture"):
        return
    long_ones = [item for item in items if item.get_closest_marker("torture") or _lacks_server(item)]
    config.hook.pytest_deselected(items=long_ones)
    items[:] = [item for item in items if item not in long_ones]


def _lacks_server(item: pytest.Item) -> bool:
    """Say whether a test needs a server of `make servers-all` that is not here; the marker says whether it is."""
    marker = item.get_closest_marker("servers_all")
    return marker is not None and not marker.args[0]
