"""A withdrawn right ends the connection that had it."""

import threading

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from gateway.app.credentials import CredentialFile
from gateway.app.registry import add_device, remove_device
from tests.support.node import Node

pytestmark = [pytest.mark.slow, pytest.mark.integration]
WAIT_S = 15.0


class Device:
    """A connected device that tells when its connection ended."""

    def __init__(self, node: Node, name: str, password: str) -> None:
        self.connected, self.ended = threading.Event(), threading.Event()
        self._client = Client(CallbackAPIVersion.VERSION2, name, reconnect_on_failure=False)
        self._client.username_pw_set(name, password)
        self._client.on_connect = lambda *_: self.connected.set()
        self._client.on_disconnect = lambda *_: self.ended.set()
        self._client.connect("127.0.0.1", node.port)
        self._client.loop_start()

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.mark.parametrize("withdraw", ["a new password", "removal"])
def test_a_connection_ends_with_its_right(tmp_path, withdraw):
    with Node(tmp_path / "home") as node:
        add_device(node.home, "plug", "json-energy", None, 1000)
        add_device(node.home, "other", "json-energy", None, 1000)
        credentials = CredentialFile(node.home)
        passwords = {name: credentials.set_new_password(name) for name in ("plug", "other")}
        node.start("agent", "gateway")
        plug, other = (Device(node, name, password) for name, password in passwords.items())
        try:
            assert plug.connected.wait(WAIT_S)
            assert other.connected.wait(WAIT_S)
            if withdraw == "removal":
                remove_device(node.home, "plug")
            else:
                credentials.set_new_password("plug")
            assert plug.ended.wait(WAIT_S)
            assert not other.ended.is_set()
        finally:
            plug.close()
            other.close()
