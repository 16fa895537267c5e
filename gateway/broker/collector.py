"""What all connections receive in one turn of the event loop goes to the sink in one call.

So what is done for each message in turn - decoding, sealing, queueing - runs over many in one go.
"""

import asyncio
from collections.abc import Sequence

from gateway.ports import DeviceMessages, TelemetrySink


class Collector:
    """The `TelemetrySink` of the broker's connections, before the gateway's own."""

    def __init__(self, sink: TelemetrySink) -> None:
        self._sink = sink
        self._messages: list[DeviceMessages] = []

    def accept(self, messages: Sequence[DeviceMessages]) -> None:
        """Keep messages until the next turn, in which they are handed over.

        A message with a note goes at once, behind what was kept: its session may end in this turn.
        """
        waiting = self._messages
        if not waiting:
            asyncio.get_running_loop().call_soon(self.hand_over)
        waiting += messages
        if messages[-1].note is not None:
            self.hand_over()

    def hand_over(self) -> None:
        """Give the sink what was kept."""
        messages, self._messages = self._messages, []
        if messages:
            self._sink.accept(messages)
