"""Fuzz parsers: `python tests/fuzz/run.py [TARGET…] --seconds N`.

Each target runs in a process of its own under atheris, from the inputs kept in `tests/data/fuzz/<target>/`. The exit code
is 1 where one of them found something; the input then lies in the folder of findings. `--keep` adds small inputs that
reached new code to the kept ones.
"""

import argparse
import ctypes
import os
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr
from hashlib import sha256
from io import StringIO
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

KEPT = Path(__file__).resolve().parents[1] / "data" / "fuzz"

Target = Callable[[bytes], None]
_MOST_KEPT = 24
_LONGEST_KEPT = 1024


def load_targets() -> dict[str, Target]:
    """Import what is fuzzed so that atheris sees the code it reaches, once for all targets, as that takes seconds."""
    import atheris

    # It names each module that it prepares.
    with redirect_stderr(StringIO()), atheris.instrument_imports(include=["kata_audit"]):
        from tests.fuzz.targets import TARGETS

    return TARGETS


def fuzz_here(name: str, target: Target, arguments: Sequence[str], said: Path) -> None:
    """Fuzz one target in this process, a child, until atheris ends it; what it prints goes into a file."""
    import atheris

    out = os.open(said, os.O_WRONLY | os.O_CREAT, 0o600)
    os.dup2(out, 1)
    os.dup2(out, 2)
    try:
        atheris.Setup([name, *arguments], target)
        atheris.Fuzz()
    finally:
        # Never back into what the parent was doing; and the input that broke a promise is written by a handler of C's exit.
        ctypes.CDLL(None).exit(70)


def fuzz(name: str, target: Target, *, seconds: int, findings: Path, folder: Path) -> int:
    """Begin to fuzz one target in a process of its own, and return its id."""
    kept, fresh = KEPT / name, folder / name
    kept.mkdir(parents=True, exist_ok=True)
    fresh.mkdir()
    arguments = [
        f"-max_total_time={seconds}",
        "-timeout=20",
        "-rss_limit_mb=4096",
        "-max_len=8192",
        "-print_final_stats=1",
        f"-artifact_prefix={findings}/{name}-",
        str(fresh),
        str(kept),
    ]
    child = os.fork()
    if not child:
        fuzz_here(name, target, arguments, folder / f"{name}.txt")
    return child


def fuzz_all(targets: dict[str, Target], *, seconds: int, findings: Path, keep: bool, workers: int) -> bool:
    """Fuzz targets, as many at a time as there are workers; say whether all went well."""
    waiting = deque(targets)
    running: dict[int, str] = {}
    broken = 0
    with tempfile.TemporaryDirectory() as folder:
        while waiting or running:
            while waiting and len(running) < workers:
                name = waiting.popleft()
                running[fuzz(name, targets[name], seconds=seconds, findings=findings, folder=Path(folder))] = name
            child, status = os.wait()
            name = running.pop(child)
            _report(name, status, Path(folder, f"{name}.txt"))
            if status:
                broken += 1
            elif keep:
                _keep(Path(folder, name), KEPT / name)
    return not broken


def _report(name: str, status: int, said: Path) -> None:
    """Print how one target ended, and what it said where that was not well."""
    text = said.read_text(errors="replace")
    runs = next((line.split()[-1] for line in text.splitlines() if "number_of_executed_units" in line), "0")
    print(f"{name:24} {runs:>10} runs  {'FOUND SOMETHING' if status else 'ok'}", flush=True)
    if status:
        print(text[-4000:], flush=True)


def _keep(fresh: Path, kept: Path) -> None:
    """Keep the smallest new inputs, up to a number a target."""
    small = sorted((path.stat().st_size, path.read_bytes()) for path in fresh.iterdir())
    room = _MOST_KEPT - len(list(kept.iterdir()))
    for size, data in small[: max(room, 0)]:
        if size <= _LONGEST_KEPT:
            (kept / sha256(data).hexdigest()[:16]).write_bytes(data)


def main(arguments: list[str]) -> int:
    """Fuzz the targets that are asked for, all by default."""
    targets = load_targets()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(targets)}")
    parser.add_argument("--seconds", type=int, default=30, help="for each target")
    parser.add_argument(
        "--findings", type=Path, help="folder of inputs that broke a promise; by default a new temporary one"
    )
    parser.add_argument("--workers", type=int, default=1, help="targets at a time")
    parser.add_argument("--keep", action="store_true", help="add small new inputs to the kept ones")
    options = parser.parse_args(arguments)
    if unknown := set(options.targets) - set(targets):
        parser.error(f"no such target: {', '.join(sorted(unknown))}")
    findings = options.findings or Path(tempfile.mkdtemp(prefix="kata-audit-fuzz-"))
    findings.mkdir(parents=True, exist_ok=True)
    asked = {name: targets[name] for name in options.targets or targets}
    well = fuzz_all(asked, seconds=options.seconds, findings=findings, keep=options.keep, workers=options.workers)
    if not well:
        print(f"The inputs lie in {findings}. Keep each in {KEPT} under its target once it is put right.")
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
