"""A broker in a process of its own, for tests that hold for any broker: ours, or stock amqtt.

Usage: python -m tests.support.broker_target ours|stock OPTIONS. Options are a JSON object:
`tls` (folder with certificates, adds a listener), `client_certificates` (it requires them),
`websocket` (adds a listener), `connections_max`, `connect_timeout_s`.

Prints one JSON object with the ports, then one line for each reading that was stored. While `shut` is
the last word on its standard input, a reading is not stored; `open` lets it go on.
"""

import asyncio
import json
import logging
import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from amqtt.broker import Broker
from amqtt.contexts import Action
from amqtt.plugins.base import BaseAuthPlugin, BasePlugin, BaseTopicPlugin

from gateway.broker import access
from gateway.broker.broker import EmbeddedBroker
from gateway.broker.endpoints import Endpoint
from gateway.broker.settings import BrokerSettings
from gateway.broker.tls import server_context
from gateway.clock import SystemClock
from gateway.model.principal import Principal, PrincipalKind
from gateway.ports import DeviceMessages, TelemetrySource


def _device(name: str) -> Principal:
    own = f"dev/{name}/#"
    return Principal(name, PrincipalKind.DEVICE, (own,), (own, "shared/#"), (f"dev/{name}/up",))


PRINCIPALS = {
    "meter": _device("meter"),
    "service": Principal("service", PrincipalKind.SERVICE, ("#",), ("#",)),
    "": Principal("anonymous", PrincipalKind.SERVICE, ("open/#",), ("open/#",)),
}


def find(username: str | None, password: str | bytes | None) -> Principal | None:
    """Everyone's password is their name, spelled with `-pw`; without a name there is none."""
    principal = PRINCIPALS.get(username or "")
    expected = f"{username}-pw" if username else ""
    given = password.decode() if isinstance(password, bytes) else password or ""
    return principal if given == expected else None


class Store:
    """Where readings go: shut until it is opened."""

    def __init__(self) -> None:
        self.is_open = asyncio.Event()
        self.is_open.set()

    async def put(self, payload: bytes) -> None:
        await self.is_open.wait()
        print(payload.decode(), flush=True)

    async def obey(self) -> None:
        reader = asyncio.StreamReader()
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while word := (await reader.readline()).strip():
            if word == b"open":
                self.is_open.set()
            else:
                self.is_open.clear()
            print(word.decode(), flush=True)


class OurDoor:
    """Our broker's `Authenticator` and `TelemetrySink`."""

    def __init__(self, store: Store, group: asyncio.TaskGroup) -> None:
        self._store = store
        self._group = group

    async def authenticate(
        self, client_id: str, username: str, password: bytes, address: str
    ) -> Principal | None:
        return find(username, password)

    def accept(self, messages: Sequence[DeviceMessages]) -> None:
        for one in messages:
            for payload in one.payloads:
                self._group.create_task(self._put(one.source, payload))

    async def _put(self, source: TelemetrySource, payload: bytes) -> None:
        await self._store.put(payload)
        source.settled(1)


async def serve_ours(store: Store, options: dict[str, Any]) -> None:
    async with asyncio.TaskGroup() as group:
        door = OurDoor(store, group)
        endpoints = []
        if "tls" in options:
            folder = Path(options["tls"])
            authority = folder / "authority.pem" if options.get("client_certificates") else None
            context = server_context(folder / "server.pem", authority)
            endpoints.append(Endpoint("127.0.0.1", 0, tls=context))
        if options.get("websocket"):
            endpoints.append(Endpoint("127.0.0.1", 0, is_websocket=True))
        limits = {
            name: options[name]
            for name in ("connections_max", "connect_timeout_s")
            if name in options
        }
        settings = BrokerSettings(
            "gw",
            port=0,
            more_endpoints=tuple(endpoints),
            connections_loopback_reserved=0,
            connections_per_address_max=10_000,
            live_sessions_per_service_max=10_000,
            **limits,
        )
        broker = EmbeddedBroker(settings, door, door, SystemClock())
        await broker.start()
        names = ["mqtt", *(endpoint.scheme for endpoint in endpoints)]
        print(json.dumps(dict(zip(names, broker.ports, strict=True))), flush=True)
        await store.obey()
        await broker.stop()


class StockDoor(BaseAuthPlugin):  # type: ignore[misc]  # amqtt is not marked as typed
    """Stock amqtt's authentication."""

    async def authenticate(self, *, session: Any) -> bool:
        session.is_anonymous = not session.username
        return find(session.username, session.password) is not None


class StockRights(BaseTopicPlugin):  # type: ignore[misc]  # amqtt is not marked as typed
    """Stock amqtt's access rules: those of ours."""

    async def topic_filtering(
        self, *, session: Any = None, topic: Any = None, action: Any = None
    ) -> bool:
        await asyncio.sleep(0)  # as any rule does that looks something up
        principal = PRINCIPALS.get(session.username or "")
        if principal is None or topic is None:
            return False
        rules: dict[Any, Callable[[Principal, str], bool]] = {
            Action.PUBLISH: access.may_publish,
            Action.SUBSCRIBE: access.may_subscribe,
            Action.RECEIVE: access.may_receive,
        }
        return rules[action](principal, topic)


class StockSink(BasePlugin):  # type: ignore[misc]  # amqtt is not marked as typed
    """Stock amqtt's only place to store a message."""

    store: Store

    async def on_broker_message_received(self, *, client_id: str, message: Any) -> None:
        if message.topic.endswith("/up"):
            await self.store.put(bytes(message.data))


async def serve_stock(store: Store, options: dict[str, Any]) -> None:
    StockSink.store = store
    here = "tests.support.broker_target"
    ports: dict[str, int] = {}

    def listener(scheme: str, kind: str, **more: Any) -> dict[str, Any]:
        with socket.create_server(("127.0.0.1", 0)) as free:
            ports[scheme] = free.getsockname()[1]
        return {"type": kind, "bind": f"127.0.0.1:{ports[scheme]}", **more}

    listeners: dict[str, Any] = {}
    if "tls" in options:
        folder = Path(options["tls"])
        files = {"certfile": str(folder / "server.pem"), "keyfile": str(folder / "server.pem")}
        authority = {"cafile": str(folder / "authority.pem")}
        listeners["default"] = listener("mqtts", "tcp", ssl=True, **files, **authority)
    listeners["plain" if listeners else "default"] = listener(
        "mqtt", "tcp", max_connections=options.get("connections_max", 0)
    )
    if options.get("websocket"):
        listeners["web"] = listener("ws", "ws")
    plugins: dict[str, Any] = {
        f"{here}.{name}": {} for name in ("StockDoor", "StockRights", "StockSink")
    }
    broker = Broker({"listeners": listeners, "plugins": plugins})
    await broker.start()
    print(json.dumps(ports), flush=True)
    await store.obey()


async def main(kind: str, options: dict[str, Any]) -> None:
    serve = {"ours": serve_ours, "stock": serve_stock}[kind]
    await serve(Store(), options)


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    asyncio.run(main(sys.argv[1], json.loads(sys.argv[2])))
