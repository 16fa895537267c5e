"""The software's measurement: one hash over every file of the product and the versions it runs on.

It says which software an honest node runs. It does not keep a dishonest one from claiming it: that
takes measured boot. So a measurement that is not listed is a flag, and a listed one no proof.
"""

import importlib
import importlib.metadata
import re
from collections.abc import Iterator
from pathlib import Path

from ledger.codec.canonical import encode
from ledger.crypto.hashing import sha256

DISTRIBUTION = "smartshare-gateway"
PACKAGES = ("gateway", "ledger", "edge_contracts", "device_profiles")
_SKIPPED = frozenset({".pyc", ".pyo"})
_NAME = re.compile(r"[A-Za-z0-9._-]+")


def measure_software() -> bytes:
    """Return the 32-byte measurement of the installed product."""
    return compute_measurement(find_packages(), find_dependencies())


def compute_measurement(packages: dict[str, Path], dependencies: dict[str, str]) -> bytes:
    """Return the hash over all files of the packages' folders and the dependencies' versions."""
    files = {
        f"{package}/{path.relative_to(folder).as_posix()}": sha256(path.read_bytes())
        for package, folder in packages.items()
        for path in _files(folder)
    }
    return sha256(encode([files, dependencies]))


def find_packages() -> dict[str, Path]:
    """Return the folder of each package of the product."""
    found = {}
    for name in PACKAGES:
        (folder,) = importlib.import_module(name).__path__
        found[name] = Path(folder)
    return found


def find_dependencies() -> dict[str, str]:
    """Return the installed version of each package that the product asks for, extras apart."""
    versions = {}
    for line in importlib.metadata.requires(DISTRIBUTION) or ():
        match = _NAME.match(line)
        if match is None or "extra ==" in line:
            continue
        try:
            versions[match[0].lower()] = importlib.metadata.version(match[0])
        except importlib.metadata.PackageNotFoundError:
            continue  # for another platform
    return versions


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix not in _SKIPPED:
            yield path
