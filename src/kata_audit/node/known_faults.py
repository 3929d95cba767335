"""Known faults of Kata by release, as far as they bear on what a node can be trusted to log or to hold.

Source: Kata's security advisories and CVE entries.
"""

from typing import Final, NamedTuple

from kata_audit.node.keys import Release


class Fault(NamedTuple):
    """A fault: its name, the release that mends it, whose it is (go, rust, or empty for both), and what it is."""

    id: str
    fixed: Release
    runtime: str
    what: str

    def applies(self, release: Release, runtime: str) -> bool:
        """Say whether a release of a runtime has it."""
        return release < self.fixed and self.runtime in {"", runtime}


FAULTS: Final = (
    Fault(
        "CVE-2026-24054",
        Release(3, 26),
        "go",
        "An image without layers made the runtime pass a disk of the host into the guest.",
    ),
    Fault(
        "CVE-2026-24834", Release(3, 27), "", "A container that may make device nodes could write to the guest's own image."
    ),
    Fault("GHSA-q49m-57vm-c8cc", Release(3, 29), "", "A copied file could leave the shared directory by a link."),
    Fault("CVE-2026-47243", Release(3, 31), "rust", "The shared file system's daemon ran unconfined."),
    Fault(
        "GHSA-rr59-xxvx-96qr",
        Release(3, 31),
        "",
        "An annotation that was allowed by default changed that daemon's arguments.",
    ),
    Fault(
        "GHSA-fmg6-v47x-52wr",
        Release(4, 1),
        "",
        "Generated policies allowed mounts over files that decide names and credentials.",
    ),
)
