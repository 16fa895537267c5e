"""amqtt's broker, of which only configuration and listeners are used.

Its sessions, routing and retained messages are not safe (an unauthenticated CONNECT takes over a
session, PUBACK leaves before anything is stored, wills pass no check, nothing is bounded), so every
connection goes to our own protocol before amqtt sees a byte of it.
"""

import asyncio
import ssl
from collections.abc import Callable, Sequence

from amqtt.broker import Broker
from amqtt.contexts import ListenerType
from amqtt.errors import BrokerError as AmqttBrokerError

from gateway.broker.endpoints import Endpoint
from gateway.broker.tls import TlsProtocol
from gateway.broker.websocket import WebSocketProtocol, WebSocketRules
from gateway.errors import BrokerError

_DEFAULT = "default"  # amqtt lets all others inherit from it, so it is the plain one


class AmqttListeners(Broker):  # type: ignore[misc]  # amqtt is not marked as typed
    """Opens what amqtt's configuration lists; `make_protocol` serves each connection."""

    def __init__(
        self, endpoints: Sequence[Endpoint], make_protocol: Callable[[], asyncio.Protocol]
    ) -> None:
        """The first of `endpoints` is no WebSocket: amqtt lets the others inherit from it."""
        assert not endpoints[0].is_websocket
        names = [_DEFAULT, *(f"listener-{number}" for number in range(1, len(endpoints)))]
        self._endpoints = dict(zip(names, endpoints, strict=True))
        self._make_protocol = make_protocol
        listeners = {
            name: {"type": "ws" if one.is_websocket else "tcp", "bind": one.bind}
            for name, one in self._endpoints.items()
        }
        super().__init__({"listeners": listeners, "plugins": {}})

    async def open(self) -> tuple[int, ...]:
        """Listen; return the ports, in order. Raises `BrokerError`."""
        try:
            await self._start_listeners()
        except (OSError, AmqttBrokerError) as error:
            self.stop_accepting()
            where = ", ".join(one.bind for one in self._endpoints.values())
            raise BrokerError(
                f"the MQTT broker cannot listen on {where}: {error}; "
                "is another broker running? choose another address or port"
            ) from error
        servers = [self._servers[name].instance for name in self._endpoints]
        return tuple(int(server.sockets[0].getsockname()[1]) for server in servers)

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
        assert ssl_context is None, "our own layer does TLS"
        endpoint = self._endpoints[listener_name]
        assert (listener_type is ListenerType.WS) == endpoint.is_websocket
        loop = asyncio.get_running_loop()
        return await loop.create_server(
            _layers(endpoint, self._make_protocol), address, port, reuse_address=True
        )


def _layers(
    endpoint: Endpoint, make_protocol: Callable[[], asyncio.Protocol]
) -> Callable[[], asyncio.Protocol]:
    """Return what makes the protocol of one socket: from MQTT down to TLS."""
    rules = WebSocketRules(endpoint.origins)
    context = endpoint.tls

    def make() -> asyncio.Protocol:
        protocol = make_protocol()
        if endpoint.is_websocket:
            protocol = WebSocketProtocol(protocol, rules)
        return protocol if context is None else TlsProtocol(protocol, context)

    return make
