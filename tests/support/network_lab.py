"""Hosts on a network of our own: a namespace each, joined by a switch in this process that names its faults.

Every host has one TAP interface, 10.77.0.N/24. The switch reads each frame and decides by the faults in force
whether and when it reaches the other side, so loss, latency, partitions and one-way cuts need no kernel module.
Needs root, iproute2 and /dev/net/tun; nothing leaves the namespaces.
"""

import fcntl
import heapq
import os
import random
import selectors
import shutil
import struct
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

_TUNSETIFF = 0x400454CA  # linux/if_tun.h
_IFF_TAP, _IFF_NO_PI = 0x0002, 0x1000
_FRAME_BYTES_MAX = 2_048  # an Ethernet frame of MTU 1500
_MAC_BYTES = 6
_HELD_FRAMES_MAX = 10_000  # what waits in the switch; beyond it frames are lost, as in a real one
_TICK_S = 0.2  # how long the switch waits when nothing is due


@dataclass(frozen=True, slots=True)
class Link:
    """What happens to frames that one host sends."""

    loss: float = 0.0  # probability
    delay_s: tuple[float, float] = (0.0, 0.0)  # uniform between the two
    is_cut: bool = False


@dataclass(slots=True)
class _Port:
    name: str
    address: str
    mac: bytes
    tap: int
    link: Link = field(default_factory=Link)
    group: int = 0  # hosts of different groups do not reach each other


class NetworkLab:
    """Hosts by name, and the switch between them. Use `network_lab`."""

    def __init__(self, ports: Sequence[_Port], prefix: str, seed: int) -> None:
        self._ports = {port.name: port for port in ports}
        self._prefix = prefix
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        self._held: list[tuple[float, int, int, bytes]] = []  # due, number, tap, frame
        self._frames = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="switch", daemon=True)

    @property
    def addresses(self) -> Mapping[str, str]:
        """The IPv4 address of every host."""
        return {name: port.address for name, port in self._ports.items()}

    def command(self, host: str, *command: str | Path) -> list[str]:
        """Return `command` as it runs inside a host."""
        return ["ip", "netns", "exec", f"{self._prefix}{host}", *map(str, command)]

    def set_link(self, host: str, link: Link) -> None:
        """Change what happens to the frames that a host sends."""
        with self._lock:
            self._ports[host].link = link

    def partition(self, *groups: Iterable[str]) -> None:
        """Let only hosts of the same group reach each other; no groups: everybody."""
        with self._lock:
            for port in self._ports.values():
                port.group = 0
            for number, group in enumerate(groups, start=1):
                for host in group:
                    self._ports[host].group = number

    def heal(self) -> None:
        """Take every fault away."""
        with self._lock:
            for port in self._ports.values():
                port.link, port.group = Link(), 0

    def start(self) -> None:
        """Begin to carry frames."""
        self._thread.start()

    def stop(self) -> None:
        """Stop carrying frames and close the interfaces."""
        self._stop.set()
        self._thread.join()
        for port in self._ports.values():
            os.close(port.tap)

    def _run(self) -> None:
        with selectors.DefaultSelector() as selector:
            for port in self._ports.values():
                selector.register(port.tap, selectors.EVENT_READ, port)
            while not self._stop.is_set():
                for key, _ in selector.select(self._until_next_due_s()):
                    self._read(key.data)
                self._send_what_is_due()

    def _until_next_due_s(self) -> float:
        if not self._held:
            return _TICK_S
        return min(_TICK_S, max(0.0, self._held[0][0] - time.monotonic()))

    def _read(self, source: _Port) -> None:
        try:
            frame = os.read(source.tap, _FRAME_BYTES_MAX)
        except BlockingIOError:
            return
        target_mac = frame[:_MAC_BYTES]
        with self._lock:
            link = source.link
            if link.is_cut or self._random.random() < link.loss:
                return
            due = time.monotonic() + self._random.uniform(*link.delay_s)
            for port in self._ports.values():
                is_meant = target_mac == port.mac or target_mac[0] & 1  # or to a group of hosts
                if port is not source and port.group == source.group and is_meant:
                    self._hold(due, port.tap, frame)

    def _hold(self, due: float, tap: int, frame: bytes) -> None:
        if len(self._held) < _HELD_FRAMES_MAX:
            self._frames += 1
            heapq.heappush(self._held, (due, self._frames, tap, frame))

    def _send_what_is_due(self) -> None:
        while self._held and self._held[0][0] <= time.monotonic():
            _, _, tap, frame = heapq.heappop(self._held)
            try:
                os.write(tap, frame)
            except OSError:
                continue  # the interface's queue is full or it is down: the frame is lost


@contextmanager
def network_lab(*hosts: str, seed: int = 0) -> Iterator[NetworkLab]:
    """Yield a lab with these hosts; namespaces and interfaces are gone when the block ends."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    if shutil.which("ip") is None or not Path("/dev/net/tun").exists():
        pytest.skip("needs iproute2 and /dev/net/tun")
    prefix = f"ss{os.getpid()}-"
    ports: list[_Port] = []
    try:
        for number, host in enumerate(hosts, start=1):
            ports.append(_make_host(f"{prefix}{host}", host, number))
        lab = NetworkLab(ports, prefix, seed)
        lab.start()
        try:
            yield lab
        finally:
            lab.stop()
    finally:
        for host in hosts:
            subprocess.run(
                ["ip", "netns", "delete", f"{prefix}{host}"], check=False, capture_output=True
            )


def _make_host(namespace: str, name: str, number: int) -> _Port:
    _ip("netns", "add", namespace)
    interface = f"sst{os.getpid() % 100_000}n{number}"  # 15 characters at most
    tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    request = struct.pack("16sH22x", interface.encode(), _IFF_TAP | _IFF_NO_PI)
    fcntl.ioctl(tap, _TUNSETIFF, request)
    mac = bytes([0x02, 0, 0, 0, 0, number])
    address = f"10.77.0.{number}"
    _ip("link", "set", interface, "netns", namespace)
    for step in (
        ("link", "set", "lo", "up"),
        ("link", "set", interface, "address", mac.hex(":")),
        ("addr", "add", f"{address}/24", "dev", interface),
        ("link", "set", interface, "up"),
    ):
        _ip("-n", namespace, *step)
    return _Port(name, address, mac, tap)


def _ip(*arguments: str) -> None:
    result = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    assert result.returncode == 0, f"ip {' '.join(arguments)}: {result.stderr}"
