"""The brokers under test: ours and mosquitto as processes of their own, or any one by its address."""

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tests.spec.mqtt import wire
from tests.spec.mqtt.peer import Peer, TcpStream

ADDRESS_VARIABLE = "SMARTSHARE_MQTT_TARGET"  # HOST:PORT[,WSHOST:WSPORT] of another broker
OURS, DURABLE, MOSQUITTO, OTHER = "smartshare", "smartshare-durable", "mosquitto", "other"
START_S = 30.0
_STARTS_MAX = 5  # a free port may be taken between finding and using it

Address = tuple[str, int]
_LISTENER = re.compile(r"(\w+)://127\.0\.0\.1:(\d+)")


@dataclass(slots=True)
class Target:
    """A broker that listens. `process` is None for one that was running before."""

    name: str
    tcp: Address
    websocket: Address | None
    tls: Address | None = None
    websocket_tls: Address | None = None
    process: "subprocess.Popen[bytes] | None" = None
    log: IO[bytes] | None = None
    folder: "tempfile.TemporaryDirectory[str] | None" = None
    home: "tempfile.TemporaryDirectory[str] | None" = None
    version: str = ""  # of the software, where it tells
    speaks: frozenset[int] = frozenset((wire.V311, wire.V5))

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(START_S)
            if self.process.stdout is not None:
                self.process.stdout.close()
        if self.log is not None:
            self.log.close()
        for folder in (self.folder, self.home):
            if folder is not None:
                folder.cleanup()

    def traceback(self) -> str:
        """What the log says of our own errors; empty when there were none."""
        if self.log is None:
            return ""
        _, mark, rest = self.log_text().partition("Traceback")
        return mark + rest

    def log_text(self) -> str:
        assert self.log is not None
        return Path(self.log.name).read_text(errors="replace")


def names() -> list[str]:
    """The brokers to test; another one only where the environment names it."""
    return [OURS, DURABLE, MOSQUITTO, *([OTHER] if ADDRESS_VARIABLE in os.environ else [])]


def why_missing(name: str) -> str | None:
    """Say why this target cannot be tested here."""
    return "mosquitto is missing" if name == MOSQUITTO and mosquitto_command() is None else None


def start(name: str) -> Target:
    if name == OURS:
        return start_ours()
    if name == DURABLE:
        home = tempfile.TemporaryDirectory()
        target = start_ours("--home", home.name)
        target.name, target.home = DURABLE, home
        return target
    return _startmosquitto_command() if name == MOSQUITTO else _named_target()


def _named_target() -> Target:
    addresses = [_address(part) for part in os.environ[ADDRESS_VARIABLE].split(",")]
    target = Target(OTHER, addresses[0], addresses[1] if len(addresses) > 1 else None)
    target.speaks = frozenset(version for version in target.speaks if _speaks(target.tcp, version))
    return target


def _speaks(address: Address, version: int) -> bool:
    peer = Peer(TcpStream(address), version).send(wire.connect(version, "probe"))
    try:
        return peer.raw()[3:4] == b"\0"
    finally:
        peer.close()


def _address(text: str) -> Address:
    host, _, port = text.rpartition(":")
    return host, int(port)


def start_ours(*arguments: str) -> Target:
    """Start `smartshare broker` on free ports and read from its first lines where it listens."""
    folder = tempfile.TemporaryDirectory()
    log = (Path(folder.name) / "broker.log").open("wb")
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "gateway.cli.main", "broker"),
            *("--listen", "127.0.0.1:0", "--ws", "127.0.0.1:0", "--anonymous", *arguments),
        ],
        stdout=subprocess.PIPE,
        stderr=log,
    )
    target = Target(OURS, ("", 0), None, process=process, log=log, folder=folder)
    assert process.stdout is not None
    line = process.stdout.readline().decode()
    found = {scheme: ("127.0.0.1", int(port)) for scheme, port in _LISTENER.findall(line)}
    if not {"mqtt", "ws"} <= set(found):
        target.stop()
        raise RuntimeError(f"smartshare broker said {line!r}")
    target.tcp, target.websocket = found["mqtt"], found["ws"]
    target.tls, target.websocket_tls = found.get("mqtts"), found.get("wss")
    return target


def mosquitto_command() -> str | None:
    return shutil.which("mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin")


def _startmosquitto_command() -> Target:
    for _ in range(_STARTS_MAX):
        tcp, websocket = free_port(), free_port()
        folder = tempfile.TemporaryDirectory()
        config = Path(folder.name) / "mosquitto.conf"
        config.write_text(
            f"listener {tcp} 127.0.0.1\nlistener {websocket} 127.0.0.1\nprotocol websockets\n"
            "allow_anonymous true\npersistence false\nset_tcp_nodelay true\n"
            "max_inflight_messages 20\nmax_topic_alias 10\n"
        )
        log = (Path(folder.name) / "mosquitto.log").open("wb")
        command = mosquitto_command()
        assert command is not None
        process = subprocess.Popen([command, "-v", "-c", config], stdout=log, stderr=log)
        target = Target(
            MOSQUITTO,
            ("127.0.0.1", tcp),
            ("127.0.0.1", websocket),
            process=process,
            log=log,
            folder=folder,
        )
        if accepts(("127.0.0.1", tcp), process) and accepts(("127.0.0.1", websocket), process):
            target.version = _mosquitto_version(target.log_text())
            return target
        target.stop()
    raise RuntimeError("mosquitto does not start")


def _mosquitto_version(log: str) -> str:
    found = re.search(r"mosquitto version (\S+) starting", log)
    return found.group(1) if found else ""


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def accepts(address: Address, process: "subprocess.Popen[bytes]") -> bool:
    """Wait until a process listens; False when it ended instead."""
    deadline = time.monotonic() + START_S
    while process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection(address, 1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return True
    return False
