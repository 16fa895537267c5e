"""`smartshare broker` as a process, and clients of it."""

import queue
import re
import signal
import ssl
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

SMARTSHARE = (sys.executable, "-m", "gateway.cli.main")
WAIT_S = 30.0


class BrokerProcess:
    """A broker that is ready; `ports` are by scheme."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [*SMARTSHARE, "broker", "--listen", "127.0.0.1:0", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.ready = self.process.stdout.readline()
        self.ports = {
            scheme: int(port) for scheme, port in re.findall(r"(\w+)://\S+:(\d+)", self.ready)
        }

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        self.process.send_signal(number)
        _, errors = self.process.communicate(timeout=WAIT_S)
        return self.process.returncode, errors


StartBroker = Callable[..., BrokerProcess]


class Subscriber:
    """A paho client, subscribed to everything if it was let in; `answer` tells."""

    def __init__(
        self,
        port: int,
        transport: Any = "tcp",
        login: tuple[str, str] | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.messages: queue.Queue[tuple[str, bytes]] = queue.Queue()
        self.events: queue.Queue[str] = queue.Queue()
        self.client = Client(CallbackAPIVersion.VERSION2, transport=transport)
        if login is not None:
            self.client.username_pw_set(*login)
        if tls is not None:
            self.client.tls_set_context(tls)
        self.client.on_connect = lambda *a: self.events.put(str(a[3]))
        self.client.on_disconnect = lambda *_: self.events.put("disconnected")
        self.client.on_subscribe = lambda *_: self.events.put("subscribed")
        self.client.on_message = self._on_message
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        self.answer = self.events.get(timeout=WAIT_S)
        if self.answer == "Success":
            self.client.subscribe("#", qos=2)
            assert self.events.get(timeout=WAIT_S) == "subscribed"

    def _on_message(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        self.messages.put((message.topic, bytes(message.payload)))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.disconnect()
        self.client.loop_stop()


def smartshare(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*SMARTSHARE, *arguments], capture_output=True, text=True, timeout=WAIT_S)
