"""Where the broker listens, and how: plain TCP, TLS, WebSocket."""

import ssl
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One listening address. Port 0 takes any free port.

    `tls` makes it an encrypted one, with the certificate and the demands of that context. `origins` are the web sites, beside this machine's own, whose pages may connect by WebSocket.
    """

    host: str
    port: int
    is_websocket: bool = False
    origins: tuple[str, ...] = ()
    tls: ssl.SSLContext | None = None

    @property
    def scheme(self) -> str:
        """Return how a client's address begins."""
        plain = "ws" if self.is_websocket else "mqtt"
        return plain + "s" if self.tls is not None else plain

    @property
    def bind(self) -> str:
        """Return `HOST:PORT` as amqtt's configuration writes it."""
        return self._at(self.port)

    def address(self, port: int) -> str:
        """Return a client's address, for example `mqtts://127.0.0.1:8883`, with the real port."""
        return f"{self.scheme}://{self._at(port)}"

    def _at(self, port: int) -> str:
        return f"[{self.host}]:{port}" if ":" in self.host else f"{self.host}:{port}"
