"""A real mosquitto as the external broker of a test: TLS, users, sessions that outlive a restart."""

import shutil
import socket
import ssl
import subprocess
import time
from pathlib import Path

from gateway.broker.certificates import CertificateFolder
from gateway.clock import SystemClock
from tests.support.node import find_free_port

PROGRAM = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
IS_INSTALLED = Path(PROGRAM).exists() and shutil.which("mosquitto_passwd") is not None
WAIT_S = 30.0


class Mosquitto:
    """Started and stopped at will; `users` have the password `NAME-pw`, and all rights without `access_rules`."""

    def __init__(self, folder: Path, *users: str, access_rules: str = "") -> None:
        folder.mkdir()
        self.port = find_free_port()
        certificates = CertificateFolder(folder)
        certificates.ensure("cluster", {"127.0.0.1"}, SystemClock().now_ms())
        self.authority = certificates.authority
        passwords = folder / "passwords"
        passwords.touch()
        for user in users:
            subprocess.run(["mosquitto_passwd", "-b", passwords, user, f"{user}-pw"], check=True)
        self._settings = folder / "mosquitto.conf"
        self._settings.write_text(
            f"listener {self.port} 127.0.0.1\n"
            f"certfile {certificates.server}\nkeyfile {certificates.server}\n"
            f"password_file {passwords}\nallow_anonymous false\n"
            f"persistence true\npersistence_location {folder}/\nmax_queued_messages 0\n"
            "user root\n"
        )
        if access_rules:
            rules = folder / "rules"
            rules.write_text(access_rules)
            rules.chmod(0o600)
            with self._settings.open("a") as file:
                file.write(f"acl_file {rules}\n")
        self._log = folder / "log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            command = (PROGRAM, "-c", str(self._settings))
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + WAIT_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                assert time.monotonic() < deadline, self._log.read_text()
                time.sleep(0.02)
            else:
                return

    def stop(self) -> None:
        """End it in order: it saves its sessions."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(WAIT_S)
            self._process = None

    def context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.authority))
