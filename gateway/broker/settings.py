"""The broker's limits: every queue, packet, wait and count has one, with its reason."""

from dataclasses import dataclass

TOPIC_BYTES_MAX = 256  # the longest of ours is 90; foreign devices stay far below
TOPIC_LEVELS_MAX = 16  # bounds the work of one match
CLIENT_ID_BYTES_MAX = 256
RECEIVE_QOS2_MAX = 100  # packet ids of one client between PUBREC and PUBREL


@dataclass(frozen=True, slots=True)
class BrokerSettings:
    """Where the broker listens and what it grants. Port 0 takes any free port.

    `gateway` is the gateway's name, under which devices are told why a message was refused.
    """

    gateway: str
    host: str = "127.0.0.1"
    port: int = 1883
    connections_max: int = 1024  # about 20 MB of sessions and sockets
    connections_per_address_max: int = 256  # one hostile host cannot take all the slots
    connect_timeout_s: float = 10.0  # for CONNECT to arrive, and again for its verification
    connect_bytes_max: int = 64 * 1024  # nobody is known yet
    packet_bytes_max: int = 256 * 1024  # one ledger block fits one packet
    write_timeout_s: float = 20.0  # a peer that takes nothing for so long is gone
    queue_messages_max: int = 1_000  # per session
    queue_bytes_max: int = 1024 * 1024  # per session
    inflight_max: int = 20  # unacknowledged deliveries: keeps redelivery short
    pending_messages_max: int = 2_000  # per connection, handed to the store and not on disk yet
    pending_bytes_max: int = 4 * 1024 * 1024
    subscriptions_max: int = 50  # per session
    retained_max: int = 1_000  # what one wildcard SUBSCRIBE may ask for
    retained_per_principal_max: int = 100
    retained_bytes_max: int = 4 * 1024 * 1024
    offline_sessions_max: int = 1_024
    offline_sessions_per_principal_max: int = 16
    offline_session_expiry_s: int = 7 * 24 * 3600  # readings are kept as long
