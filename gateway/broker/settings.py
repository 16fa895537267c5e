"""The broker's limits: every queue, packet, wait and count has one, with its reason."""

import ssl
from dataclasses import dataclass

from gateway.broker.endpoints import Endpoint

CLIENT_ID_BYTES_MAX = 256
# Packet ids of a client between PUBREC and PUBREL, 1 MB of them: some clients send all at once.
RECEIVE_QOS2_MAX = 10_000
# Messages of an MQTT 5 client that are not acknowledged. CONNACK tells it; MQTT.js does not heed it.
RECEIVE_MAX = 10_000
TOPIC_ALIAS_MAX = 32  # topics that one MQTT 5 client may abbreviate: devices have a handful


@dataclass(frozen=True, slots=True)
class BrokerSettings:
    """Where the broker listens and what it grants. Port 0 takes any free port.

    `gateway` is the gateway's name, under which devices are told why a message was refused.
    """

    gateway: str
    host: str = "127.0.0.1"
    port: int = 1883
    more_endpoints: tuple[Endpoint, ...] = ()  # beside the one above
    tls: ssl.SSLContext | None = None  # of the one above; None: plain
    connections_max: int = 1024  # about 20 MB of sessions and sockets
    connections_loopback_reserved: int = 16  # of those, for the gateway's own services
    connections_per_address_max: int = 256  # one hostile host cannot take all the slots
    unauthenticated_max: int = 128  # a wave of reconnecting devices is verified in seconds
    unauthenticated_per_address_max: int = 32
    connects_per_s_per_address: float = (
        20.0  # loopback is free; houses of devices come back at once:
    )
    connects_burst_per_address: int = 512
    connects_per_s_per_device: float = 2.0  # one in a loop, or two that share an id and a login
    connects_burst_per_device: int = 60
    messages_per_s_per_device: float = 5_000.0  # then it is read from more slowly: nothing is lost
    messages_burst_per_device: int = 10_000
    bytes_per_s_per_device: float = 4 * 1024 * 1024.0
    bytes_burst_per_device: int = 8 * 1024 * 1024
    connect_timeout_s: float = 10.0  # for CONNECT to arrive, and again for its verification
    connect_bytes_max: int = 64 * 1024  # nobody is known yet
    keep_alive_max_s: int = 3_600  # MQTT 5 clients that ask for more are told so
    packet_bytes_max: int = 256 * 1024  # one ledger block fits one packet
    write_timeout_s: float = 20.0  # a peer that takes nothing for so long is gone
    queue_messages_max: int = 1_000  # per session
    queue_bytes_max: int = 1024 * 1024  # per session
    outbound_bytes_max: int = 64 * 1024 * 1024  # of all sessions: a small board has 512 MiB
    inflight_max: int = 20  # unacknowledged deliveries: keeps redelivery short
    pending_messages_max: int = 2_000  # per connection, handed to the store and not on disk yet
    pending_bytes_max: int = 4 * 1024 * 1024
    pending_total_messages_max: int = 16_000  # of all: the readings store queues 20,000
    pending_total_bytes_max: int = 16 * 1024 * 1024
    pending_messages_min: int = 16  # per connection, however many there are
    pending_bytes_min: int = 16 * 1024
    subscriptions_max: int = 50  # per session of a device or another node
    subscriptions_per_service_max: int = 500  # per session: home automation names each entity
    filters_per_packet_max: int = 1_000  # each is answered; clients send 500 in one packet
    live_sessions_per_device_max: int = 8  # a device is one client; some keep a few
    live_sessions_per_service_max: int = 64  # programs of services and operators
    retained_max: int = 1_000  # not counting the gateway's own, nor in the bytes below
    retained_per_principal_max: int = 100
    retained_bytes_per_principal_max: int = 256 * 1024  # one full packet, or many small ones
    retained_bytes_max: int = 4 * 1024 * 1024
    offline_sessions_max: int = 1_024
    offline_sessions_per_principal_max: int = 16
    offline_session_expiry_s: int = 7 * 24 * 3600  # readings are kept as long
