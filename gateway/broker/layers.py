"""A transport over another: what a protocol layer (TLS, WebSocket) shows to the layer above."""

import asyncio
from typing import Any


class LayerTransport(asyncio.Transport):
    """Passes everything through but `write` and `close`, which each layer does its own way."""

    def __init__(self, below: asyncio.Transport) -> None:
        super().__init__()
        self.below = below

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Tell about the connection underneath."""
        return self.below.get_extra_info(name, default)

    def abort(self) -> None:
        """Close at once."""
        self.below.abort()

    def is_closing(self) -> bool:
        """Tell whether the connection is closed or about to be."""
        return self.below.is_closing()

    def pause_reading(self) -> None:
        """Read no more from the peer."""
        self.below.pause_reading()

    def resume_reading(self) -> None:
        """Read on."""
        self.below.resume_reading()

    def is_reading(self) -> bool:
        """Tell whether the peer is read from."""
        return self.below.is_reading()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Say how much may wait before `pause_writing`."""
        self.below.set_write_buffer_limits(high, low)

    def get_write_buffer_size(self) -> int:
        """Return how many bytes wait for the peer."""
        return self.below.get_write_buffer_size()
