"""Fuzz parsers: `python tests/fuzz/run.py [TARGET…] --seconds N`.

Each target runs in a process of its own under atheris, from the inputs kept in `tests/data/fuzz/<target>/`. The exit code
is 1 where one of them found something; the input then lies in the folder of findings. `--keep` adds small inputs that
reached new code to the kept ones.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

KEPT = Path(__file__).resolve().parents[1] / "data" / "fuzz"
_MOST_KEPT = 24
_LONGEST_KEPT = 1024


def fuzz_here(name: str, arguments: list[str]) -> None:
    """Fuzz one target in this process until atheris ends it."""
    import atheris

    with atheris.instrument_imports(include=["kata_audit"]):
        from tests.fuzz.targets import TARGETS

    target: Callable[[bytes], None] = TARGETS[name]
    atheris.Setup([name, *arguments], target)
    atheris.Fuzz()


def fuzz(name: str, *, seconds: int, findings: Path, keep: bool) -> bool:
    """Fuzz one target in a process of its own; say whether all went well."""
    kept = KEPT / name
    kept.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as fresh:
        arguments = [
            f"-max_total_time={seconds}",
            "-timeout=20",
            "-rss_limit_mb=4096",
            "-max_len=8192",
            "-print_final_stats=1",
            f"-artifact_prefix={findings}/{name}-",
            fresh,
            str(kept),
        ]
        done = subprocess.run(
            [sys.executable, __file__, "--child", name, *arguments],
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        if keep and done.returncode == 0:
            _keep(Path(fresh), kept)
    runs = next((line.split()[-1] for line in done.stderr.splitlines() if "number_of_executed_units" in line), "0")
    print(f"{name:24} {runs:>10} runs  {'ok' if done.returncode == 0 else 'FOUND SOMETHING'}", flush=True)
    if done.returncode:
        print(done.stderr[-4000:], flush=True)
    return done.returncode == 0


def _keep(fresh: Path, kept: Path) -> None:
    """Keep the smallest new inputs, up to a number a target."""
    small = sorted((path.stat().st_size, path.read_bytes()) for path in fresh.iterdir())
    room = _MOST_KEPT - len(list(kept.iterdir()))
    for size, data in small[: max(room, 0)]:
        if size <= _LONGEST_KEPT:
            (kept / sha256(data).hexdigest()[:16]).write_bytes(data)


def main(arguments: list[str]) -> int:
    """Fuzz the targets that are asked for, all by default."""
    from tests.fuzz.targets import TARGETS

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)}")
    parser.add_argument("--seconds", type=int, default=30, help="for each target")
    parser.add_argument(
        "--findings", type=Path, help="folder of inputs that broke a promise; by default a new temporary one"
    )
    parser.add_argument("--keep", action="store_true", help="add small new inputs to the kept ones")
    options = parser.parse_args(arguments)
    if unknown := set(options.targets) - set(TARGETS):
        parser.error(f"no such target: {', '.join(sorted(unknown))}")
    findings = options.findings or Path(tempfile.mkdtemp(prefix="kata-audit-fuzz-"))
    findings.mkdir(parents=True, exist_ok=True)
    results = [
        fuzz(name, seconds=options.seconds, findings=findings, keep=options.keep) for name in options.targets or TARGETS
    ]
    if not all(results):
        print(f"The inputs lie in {findings}. Keep each in {KEPT} under its target once it is put right.")
    return 0 if all(results) else 1


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        fuzz_here(sys.argv[2], sys.argv[3:])
    else:
        sys.exit(main(sys.argv[1:]))
