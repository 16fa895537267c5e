"""Acknowledgements leave in the order in which their messages came [MQTT-4.6.0-2, 4.6.0-3].

Messages of one connection may be finished in any order; a place in the queue is taken when a
message arrives, and an acknowledgement waits for all the places before its own.
"""

from collections import deque
from collections.abc import Callable


class Place:
    """One awaited acknowledgement; made when its message arrives."""

    __slots__ = ("is_ready", "packet")

    def __init__(self, packet: bytes) -> None:
        self.packet = packet
        self.is_ready = False


class AcknowledgementQueue:
    """The places of one connection."""

    def __init__(self, send: Callable[[bytes], None]) -> None:
        self._send = send
        self._places: deque[Place] = deque()

    def __len__(self) -> int:
        return len(self._places)

    def expect(self, place: Place) -> None:
        """Put a place at the end of the queue."""
        self._places.append(place)

    def fulfil(self, place: Place) -> None:
        """Mark a place as ready and send what is ready at the head of the queue."""
        place.is_ready = True
        places = self._places
        while places and places[0].is_ready:
            self._send(places.popleft().packet)

    def send_in_turn(self, packet: bytes) -> None:
        """Send a packet that waits for nothing but its turn."""
        if self._places:
            place = Place(packet)
            place.is_ready = True
            self._places.append(place)
        else:
            self._send(packet)
