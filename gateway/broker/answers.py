"""Acknowledgements leave in the order in which their messages came [MQTT-4.6.0-2, 4.6.0-3].

A place in the queue is taken when a message arrives, and what is ready waits for all the places
before its own. A reading's acknowledgement is plain bytes until the store has settled it: nearly all
are, so a commit settles many of them with one slice and one write.
"""

from collections.abc import Callable

from gateway.errors import Rejected


class Answer:
    """An acknowledgement that waits for more than its turn, or is ready and waits only for that."""

    __slots__ = ("is_ready", "is_unsettled", "packet")

    def __init__(
        self, packet: bytes = b"", *, is_ready: bool = False, is_unsettled: bool = False
    ) -> None:
        """`is_unsettled`: it belongs to a reading that the store has not settled yet."""
        self.packet = packet
        self.is_ready = is_ready
        self.is_unsettled = is_unsettled

    def on_settled(self) -> None:
        """The reading is on disk."""
        raise NotImplementedError

    def on_refused(self, refusal: Rejected) -> None:
        """The reading is not stored."""
        raise NotImplementedError


class AnswerQueue:
    """The answers of one connection. `plain_refusal` makes the answer to a refused plain one.

    A plain answer takes its place by joining `places`: b"" for a reading of QoS 0, which has none.
    """

    def __init__(
        self, send: Callable[[bytes], None], plain_refusal: Callable[[bytes, Rejected], bytes]
    ) -> None:
        self._send = send
        self._plain_refusal = plain_refusal
        self.places: list[bytes | Answer] = []
        self._answer_count = 0  # places that are no plain bytes

    def owed(self) -> int:
        """Count the places that are messages of QoS 1 or 2."""
        return sum(1 for place in self.places if place)

    def expect(self, answer: Answer) -> None:
        """Take a place for an answer that is not plain."""
        self.places.append(answer)
        self._answer_count += 1

    def send_in_turn(self, packet: bytes) -> None:
        """Send a packet that waits for nothing but its turn."""
        if self.places:
            self.expect(Answer(packet, is_ready=True))
        else:
            self._send(packet)

    def fulfil(self, answer: Answer) -> None:
        """Mark an answer as ready and send what is ready at the head of the queue."""
        answer.is_ready = True
        self._send_ready()

    def settle(self, count: int) -> None:
        """Note that the oldest `count` readings are settled."""
        places = self.places
        if not self._answer_count:
            packets = b"".join(places[:count])  # type: ignore[arg-type]  # all are bytes
            del places[:count]
            if packets:
                self._send(packets)
            return
        settled: list[Answer] = []
        for position, place in enumerate(places):
            if not count:
                break
            if isinstance(place, bytes):
                self._replace(position, place)
                count -= 1
            elif place.is_unsettled:
                place.is_unsettled = False
                settled.append(place)
                count -= 1
        for answer in settled:
            answer.on_settled()
        self._send_ready()

    def refuse(self, refusal: Rejected) -> None:
        """Note that the oldest reading that is not settled never will be."""
        for position, place in enumerate(self.places):
            if isinstance(place, bytes):
                self._replace(position, self._plain_refusal(place, refusal) if place else b"")
                break
            if place.is_unsettled:
                place.is_unsettled = False
                place.on_refused(refusal)
                break
        self._send_ready()

    def _replace(self, position: int, packet: bytes) -> None:
        self.places[position] = Answer(packet, is_ready=True)
        self._answer_count += 1

    def _send_ready(self) -> None:
        places = self.places
        count = 0
        packets: list[bytes] = []
        for place in places:
            if isinstance(place, bytes) or not place.is_ready:
                break
            packets.append(place.packet)
            count += 1
        if count:
            del places[:count]
            self._answer_count -= count
            joined = b"".join(packets)
            if joined:
                self._send(joined)
