"""Signed transfers beside what others do with them: ganache, hardhat, LiteSVM, py-evm, in one run.

    python -m tests.benchmarks.bench_peers [FOLDER]      # a scratch folder; default: a temporary one

Installs the peers into the folder (npm and pip, some 300 MB), then measures in turn: each takes signed
transfers between known accounts in blocks and says how many it checked and executed in a second. Ours
alone keeps them on disk (SQLite, synchronous=FULL) and commits to a state root; the peers work in
memory. What cannot be installed here is left out with a word.
"""

import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

PEERS = Path(__file__).with_name("peers")
ROUNDS = 2
NPM_PACKAGES = ("ganache@7.9.2", "hardhat@2.22.18", "ethers@6")
PIP_PACKAGES = ("solders", "py-evm", "coincurve")
INSTALL_TIMEOUT_S = 900
RUN_TIMEOUT_S = 300


def install(folder: Path) -> None:
    """Install the peers; what fails is found missing later."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(PEERS / "hardhat.config.js", folder)
    shutil.copy(PEERS / "evm.js", folder)
    commands: list[tuple[str | Path, ...]] = []
    if shutil.which("npm") and not (folder / "node_modules").exists():
        (folder / "package.json").write_text('{"name": "peers", "private": true}\n')
        commands.append(("npm", "install", "--no-audit", "--no-fund", *NPM_PACKAGES))
    if not (folder / "venv").exists():
        commands.append((sys.executable, "-m", "venv", "venv"))
        commands.append((folder / "venv/bin/pip", "install", "-q", *PIP_PACKAGES))
    for command in commands:
        subprocess.run(command, cwd=folder, timeout=INSTALL_TIMEOUT_S, capture_output=True)


def measure(folder: Path, command: tuple[str | Path, ...]) -> float | str:
    """Return a rate, or in one line why there is none."""
    environment = os.environ | {"HARDHAT_CONFIG": str(folder / "hardhat.config.js")}
    try:
        result = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            timeout=RUN_TIMEOUT_S,
            capture_output=True,
            text=True,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)[:100]
    lines = result.stdout.strip().splitlines()
    if result.returncode or not lines:
        return (result.stderr.strip().splitlines() or ["it says nothing"])[-1][:100]
    return float(lines[-1])


def measure_ours() -> tuple[float, float]:
    """Return our rate on one thread and libsodium's, as `bench_chain` prints them."""
    command = (sys.executable, "-m", "tests.benchmarks.bench_chain", "8")
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout

    def read(name: str) -> float:
        found = re.search(rf"^{name} +([\d,]+)", text, re.MULTILINE)
        assert found is not None, text
        return float(found[1].replace(",", ""))

    return read("ours, one thread"), read("libsodium, one thread")


def main() -> None:
    folder = Path(
        sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="peers-")
    ).absolute()
    install(folder)
    python = folder / "venv/bin/python"
    commands: dict[str, tuple[str | Path, ...]] = {
        "ganache 7.9": ("node", "evm.js", "ganache", "3", "500"),
        "hardhat 2.22": ("node", "evm.js", "hardhat", "3", "500"),
        "LiteSVM (solders)": (python, PEERS / "svm.py", "5", "1000"),
        "py-evm": (python, PEERS / "pyevm.py", "2", "100"),
    }
    ours: list[float] = []
    bare: list[float] = []
    theirs: dict[str, list[float]] = {name: [] for name in commands}
    missing: dict[str, str] = {}
    for _ in range(ROUNDS):
        rate, verified = measure_ours()
        ours.append(rate)
        bare.append(verified)
        for name, command in commands.items():
            found = measure(folder, command)
            if isinstance(found, str):
                missing[name] = found
            else:
                theirs[name].append(found)
    base = statistics.median(ours)
    print(f"{'libsodium verification alone':<30}{statistics.median(bare):10,.0f}/s")
    print(f"{'ours, one thread, durable':<30}{base:10,.0f}/s   1.00")
    for name, rates in theirs.items():
        if rates:
            rate = statistics.median(rates)
            print(f"{name + ', in memory':<30}{rate:10,.0f}/s   {rate / base:.2f}")
        else:
            print(f"{name:<30}  not here: {missing[name]}")


if __name__ == "__main__":
    main()
