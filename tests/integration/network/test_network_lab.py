"""The lab itself: hosts reach each other, and each fault does what its name says."""

import subprocess

import pytest

from tests.support.network_lab import Link, NetworkLab, network_lab

pytestmark = pytest.mark.integration

# Sends one line over TCP from host to host; prints how it came back.
_SERVER = "import socket;s=socket.create_server(('',0));print(s.getsockname()[1],flush=True)\nwhile 1:\n c,_=s.accept();c.sendall(c.recv(9));c.close()"
_CLIENT = "import socket,sys;c=socket.create_connection((sys.argv[1],int(sys.argv[2])),float(sys.argv[3]));c.sendall(b'hello');print(c.recv(9).decode())"


class _Echo:
    def __init__(self, lab: NetworkLab, host: str) -> None:
        self._lab, self._address = lab, lab.addresses[host]
        self._process = subprocess.Popen(
            lab.command(host, "python3", "-c", _SERVER), stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self._port = self._process.stdout.readline().strip()

    def is_reached_from(self, host: str, timeout_s: float) -> bool:
        client = self._lab.command(
            host, "python3", "-c", _CLIENT, self._address, self._port, str(timeout_s)
        )
        return subprocess.run(client, capture_output=True, text=True).stdout.strip() == "hello"

    def stop(self) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.fixture
def lab():
    with network_lab("a", "b", "c") as made:
        yield made


@pytest.fixture
def echo(lab):
    server = _Echo(lab, "a")
    yield server
    server.stop()


def test_hosts_reach_each_other_unless_they_are_parted(lab, echo):
    assert echo.is_reached_from("b", 10)

    lab.partition(["a", "b"], ["c"])
    assert echo.is_reached_from("b", 10)
    assert not echo.is_reached_from("c", 1)

    lab.heal()
    assert echo.is_reached_from("c", 10)


def test_a_one_way_cut_ends_the_conversation(lab, echo):
    lab.set_link("a", Link(is_cut=True))
    assert not echo.is_reached_from("b", 1)

    lab.heal()
    assert echo.is_reached_from("b", 10)


def test_a_slow_and_lossy_link_still_carries_a_connection(lab, echo):
    for host in ("a", "b"):
        lab.set_link(host, Link(loss=0.1, delay_s=(0.05, 0.35)))
    assert echo.is_reached_from("b", 30)
