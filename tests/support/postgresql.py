"""A real PostgreSQL server in a temporary folder, as a user that is not root, on a socket of its own."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PORT = "5432"  # the name of the socket in a folder of its own: no TCP is listened on


def find_binaries() -> Path | None:
    """Return the folder of the newest server that is installed."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: int(p.parent.name))
    return folders[-1] if folders and (folders[-1] / "initdb").exists() else None


def find_user() -> str | None:
    """Return whom to run the server as: PostgreSQL refuses root."""
    if os.geteuid() != 0:
        return pwd.getpwuid(os.geteuid()).pw_name
    try:
        return pwd.getpwnam("postgres").pw_name
    except KeyError:
        return None


class Server:
    """A server that can be stopped and started."""

    def __init__(self, folder: Path, binaries: Path, user: str) -> None:
        self._folder = folder
        self._binaries = binaries
        self._user = user
        self.url = f"postgresql://archive@/postgres?host={folder}&port={PORT}"

    def create(self) -> None:
        self._run("initdb", "-D", self._data, "-A", "trust", "-U", "archive", "--no-sync")

    def start(self) -> None:
        options = f"-F -k {self._folder} -p {PORT} -c listen_addresses="
        self._run(
            "pg_ctl", "-D", self._data, "-w", "-l", f"{self._folder}/log", "-o", options, "start"
        )

    def stop(self) -> None:
        self._run("pg_ctl", "-D", self._data, "-m", "immediate", "-w", "stop")

    @property
    def _data(self) -> str:
        return str(self._folder / "data")

    def _run(self, program: str, *arguments: str) -> None:
        environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "HOME": str(self._folder)}
        subprocess.run(
            [self._binaries / program, *arguments],
            check=True,
            env=environment,
            user=self._user if os.geteuid() == 0 else None,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self._folder,
        )


@contextmanager
def postgresql(binaries: Path, user: str) -> Iterator[Server]:
    """Run a server; everything of it is gone at the end."""
    folder = Path(tempfile.mkdtemp(prefix="pg-"))  # short: a socket's path has 107 characters
    shutil.chown(folder, user)
    server = Server(folder, binaries, user)
    try:
        server.create()
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder)
