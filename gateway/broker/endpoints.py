"""Where the broker listens, and how: plain TCP, TLS, WebSocket."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One listening address. Port 0 takes any free port.

    `origins` are the web sites, beside this machine's own, whose pages may connect by WebSocket.
    """

    host: str
    port: int
    is_websocket: bool = False
    origins: tuple[str, ...] = ()

    @property
    def bind(self) -> str:
        """Return `HOST:PORT` as amqtt's configuration writes it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
