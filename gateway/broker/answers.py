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
    """The answers of one connection. `plain_refusal` makes the answer to a refused plain one."""

    def __init__(
        self, send: Callable[[bytes], None], plain_refusal: Callable[[bytes, Rejected], bytes]
    ) -> None:
        self._send = send
        self._plain_refusal = plain_refusal
        self._places: list[bytes | Answer] = []
        self._answer_count = 0  # places that are no plain bytes

    def __len__(self) -> int:
        return len(self._places)

    def owed(self) -> int:
        """Count the places that are messages of QoS 1 or 2."""
        return sum(1 for place in self._places if place)

    def expect_plain(self, packet: bytes) -> None:
        """Take a place for a reading: `packet` leaves once it is settled, b"" for QoS 0."""
        self._places.append(packet)

    def expect(self, answer: Answer) -> None:
        """Take a place for an answer that is not plain."""
        self._places.append(answer)
        self._answer_count += 1

    def send_in_turn(self, packet: bytes) -> None:
        """Send a packet that waits for nothing but its turn."""
        if self._places:
            self.expect(Answer(packet, is_ready=True))
        else:
            self._send(packet)

    def fulfil(self, answer: Answer) -> None:
        """Mark an answer as ready and send what is ready at the head of the queue."""
        answer.is_ready = True
        self._send_ready()

    def settle(self, count: int) -> None:
        """Note that the oldest `count` readings are settled."""
        places = self._places
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
        for position, place in enumerate(self._places):
            if isinstance(place, bytes):
                self._replace(position, self._plain_refusal(place, refusal) if place else b"")
                break
            if place.is_unsettled:
                place.is_unsettled = False
                place.on_refused(refusal)
                break
        self._send_ready()

    def _replace(self, position: int, packet: bytes) -> None:
        self._places[position] = Answer(packet, is_ready=True)
        self._answer_count += 1

    def _send_ready(self) -> None:
        places = self._places
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
