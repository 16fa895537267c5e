"""What a session is, while nothing happens: values only."""

from collections import deque
from dataclasses import dataclass, field

from gateway.broker.changes import Delivery, SessionKey
from gateway.broker.message import Message, Subscription

MESSAGE_OVERHEAD_BYTES = 64  # so that empty messages are not free


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """What one session may hold."""

    queue_messages_max: int
    queue_bytes_max: int
    replay_bytes_max: int  # of retained messages, beyond the above
    received_max: int  # packet ids of QoS 2 messages between PUBREC and PUBREL


@dataclass(slots=True)
class SessionState:
    """One session. `is_kept`: its changes are recorded, because it outlives the process.

    A delivery is in `queue` until it is sent, in `inflight` until it is acknowledged, and of a
    QoS 2 one PUBREC leaves only packet id and number, in `released`, until PUBCOMP.
    """

    key: SessionKey
    limits: SessionLimits
    is_kept: bool = False
    is_over: bool = False
    is_connected: bool = False
    queues_offline: bool = False  # messages of QoS 1 and 2 wait for the client while it is away
    window: int = 0
    last_number: int = 0
    sent_number: int = 0
    committed_number: int = 0
    last_packet_id: int = 0
    held_bytes: int = 0  # of messages in `queue` and `inflight`
    queue: deque[Delivery] = field(default_factory=deque)
    inflight: dict[int, Delivery] = field(default_factory=dict)
    released: dict[int, int] = field(default_factory=dict)
    packet_ids: set[int] = field(default_factory=set)  # of all three
    releasing: set[int] = field(default_factory=set)  # PUBREL waits for the disk
    received: dict[int, bool] = field(default_factory=dict)  # True once stored or routed
    noted: set[int] = field(default_factory=set)  # of those, in the readings store with a reading
    recorded: set[int] = field(default_factory=set)  # of those, in the journal
    forgetting: set[int] = field(default_factory=set)  # PUBCOMP waits for the readings store
    subscriptions: dict[str, Subscription] = field(default_factory=dict)


def get_size(message: Message) -> int:
    """Return what a message takes of the limits."""
    return (
        len(message.topic) + len(message.payload) + len(message.properties) + MESSAGE_OVERHEAD_BYTES
    )


def get_inflight_count(state: SessionState) -> int:
    """Return how many messages count against the window."""
    return len(state.inflight) + len(state.released)


def get_undelivered(state: SessionState) -> list[Delivery]:
    """Return what another client may get instead: QoS 1, and QoS 2 that was never sent [MQTT-4.8.2-5]."""
    held = (*state.inflight.values(), *state.queue)
    return [one for one in held if one.qos == 1 or (one.qos and one.number > state.sent_number)]
