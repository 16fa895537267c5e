"""amqtt's broker, of which only configuration and listeners are used.

Its sessions, routing and retained messages are not safe (an unauthenticated CONNECT takes over a
session, PUBACK leaves before anything is stored, wills pass no check, nothing is bounded), so every
connection goes to our own protocol before amqtt sees a byte of it.
"""

import asyncio
import ssl
from collections.abc import Callable

from amqtt.broker import Broker
from amqtt.contexts import ListenerType
from amqtt.errors import BrokerError as AmqttBrokerError

from gateway.errors import BrokerError

_LISTENER = "default"


class AmqttListeners(Broker):  # type: ignore[misc]  # amqtt is not marked as typed
    """Opens what amqtt's configuration lists; `make_protocol` serves each connection."""

    def __init__(self, host: str, port: int, make_protocol: Callable[[], asyncio.Protocol]) -> None:
        bind = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        listeners = {_LISTENER: {"type": "tcp", "bind": bind}}
        super().__init__({"listeners": listeners, "plugins": {}})
        self._bind = bind
        self._make_protocol = make_protocol

    async def open(self) -> int:
        """Listen; return the port. Raises `BrokerError`."""
        try:
            await self._start_listeners()
        except (OSError, AmqttBrokerError) as error:
            raise BrokerError(
                f"the MQTT broker cannot listen on {self._bind}: {error}; "
                "is another broker running? choose another address or port in smartshare.toml"
            ) from error
        server = self._servers[_LISTENER].instance
        return int(server.sockets[0].getsockname()[1])

    def stop_accepting(self) -> None:
        """Close the listening sockets; connections that stand are not touched."""
        for server in self._servers.values():
            server.instance.close()

    async def wait_closed(self) -> None:
        """Wait until the listeners, and from Python 3.12 on their connections, are gone."""
        for server in self._servers.values():
            await server.instance.wait_closed()

    async def _create_server_instance(
        self,
        listener_name: str,
        listener_type: ListenerType,
        address: str | None,
        port: int,
        ssl_context: ssl.SSLContext | None,
    ) -> asyncio.Server:
        """Override: amqtt would hand connections to its own session logic."""
        assert listener_type == ListenerType.TCP, listener_name
        loop = asyncio.get_running_loop()
        return await loop.create_server(
            self._make_protocol, address, port, reuse_address=True, ssl=ssl_context
        )
