"""Which QoS 1 messages of an external broker were stored already. Pure.

A broker sends a message again, marked DUP and under the same packet id, when it did not get its
PUBACK: because the connection or this process ended between the reading's commit and the PUBACK, or
on the PUBACK's way. So for each packet id the digest (topic and payload) of its last message is kept,
on disk in the commit of that message's reading, until the broker is known to have the PUBACK.

    STORE        a new message
    WAIT         it came before and is on its way to disk; its PUBACK follows
    ACKNOWLEDGE  it is on disk already; only the PUBACK is missing

Rule 1: only a message marked DUP can be one that came before [MQTT-3.3.1-1]; without DUP a packet id
begins anew.
Rule 2: a PUBACK is known to have arrived when the broker answered something that we sent after it on
the same connection: it handles packets in order. Then the digest is forgotten.
Rule 3: on a resumed session the broker repeats what it lacks in the old order, before anything new
[MQTT-4.4.0-1, 4.6.0-1]: the first message without DUP ends the repeats, and what was not repeated
had arrived.
Rule 4: a new session knows no old packet id.

What remains: the broker got PUBACK, used the packet id at once for a message of the same topic and
payload, and that one was lost with the connection before our next answer from the broker (a second).
It would be taken for the first. Both say the same.
"""

import enum
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

_DIGEST_BYTES = 16


class Verdict(enum.Enum):
    """What to do with a message that came."""

    STORE = enum.auto()
    WAIT = enum.auto()
    ACKNOWLEDGE = enum.auto()


@dataclass(slots=True, eq=False)
class Arrival:
    """The last message of a packet id. Compared by identity."""

    packet_id: int
    digest: bytes
    is_committed: bool = False
    is_stale: bool = False  # acknowledged, if at all, on a connection that is over


def compute_digest(topic: str, payload: bytes) -> bytes:
    """Return what tells a message from others that had its packet id."""
    name = topic.encode()
    data = len(name).to_bytes(2, "big") + name + payload
    return hashlib.blake2b(data, digest_size=_DIGEST_BYTES).digest()


class DeliveryBook:
    """Packet ids of one session with their last messages."""

    def __init__(self, kept: Mapping[int, bytes]) -> None:
        """`kept` are the packet ids and digests that are on disk."""
        self._arrivals = {
            packet_id: Arrival(packet_id, digest, is_committed=True, is_stale=True)
            for packet_id, digest in kept.items()
        }
        self._acknowledged: list[Arrival] = []  # on this connection, not known to have arrived
        self._forgettable: dict[int, None] = {}  # in order, each once

    def connected(self, *, is_resumed: bool) -> None:
        """Begin a connection; what the last one acknowledged may not have arrived."""
        self._acknowledged.clear()
        if is_resumed:
            for arrival in self._arrivals.values():
                arrival.is_stale = arrival.is_committed
        else:
            self._forgettable.update(dict.fromkeys(self._arrivals))
            self._arrivals.clear()

    def arrive(self, packet_id: int, digest: bytes, *, is_dup: bool) -> tuple[Verdict, Arrival]:
        """Judge a message; call `committed` with the arrival when its reading is on disk."""
        if not is_dup:
            self._end_repeats()
        earlier = self._arrivals.get(packet_id)
        if is_dup and earlier is not None and earlier.digest == digest:
            earlier.is_stale = False
            return (Verdict.ACKNOWLEDGE if earlier.is_committed else Verdict.WAIT), earlier
        arrival = self._arrivals[packet_id] = Arrival(packet_id, digest)
        return Verdict.STORE, arrival

    def committed(self, arrival: Arrival) -> bool:
        """Note that a message is on disk; tell whether PUBACK is due: its packet id is still its own."""
        arrival.is_committed = True
        return self._arrivals.get(arrival.packet_id) is arrival

    def given_up(self, arrival: Arrival) -> None:
        """Note that a message was not stored after all: a repeat of it is new."""
        if self._arrivals.get(arrival.packet_id) is arrival:
            del self._arrivals[arrival.packet_id]

    def acknowledged(self, arrival: Arrival) -> None:
        """Note that PUBACK was sent on this connection."""
        self._acknowledged.append(arrival)

    def take_acknowledged(self) -> list[Arrival]:
        """Return those whose PUBACKs have arrived once what is sent next is answered."""
        taken, self._acknowledged = self._acknowledged, []
        return taken

    def confirmed(self, arrivals: list[Arrival]) -> None:
        """Forget those whose PUBACKs have arrived."""
        for arrival in arrivals:
            self._forget(arrival)

    def take_forgettable(self) -> list[int]:
        """Return the packet ids that are to be removed from disk, in the next commit."""
        taken = [one for one in self._forgettable if one not in self._arrivals]
        self._forgettable.clear()
        return taken

    def _end_repeats(self) -> None:
        for arrival in [one for one in self._arrivals.values() if one.is_stale]:
            self._forget(arrival)

    def _forget(self, arrival: Arrival) -> None:
        if self._arrivals.get(arrival.packet_id) is arrival:
            del self._arrivals[arrival.packet_id]
            self._forgettable[arrival.packet_id] = None
