"""The broker of the peer listener: its limits, and that it takes no readings."""

from collections.abc import Sequence

from gateway.broker.broker import EmbeddedBroker
from gateway.broker.settings import BrokerSettings
from gateway.clock import Clock
from gateway.ledger_host.peers.admission import PeerAdmission
from gateway.ledger_host.peers.seams import ListenerCertificate
from gateway.ports import DeviceMessages
from ledger.network.wire import PEER_MESSAGE_BYTES_MAX


def make_broker(
    host: str,
    port: int,
    certificate: ListenerCertificate | None,
    admission: PeerAdmission,
    clock: Clock,
) -> EmbeddedBroker:
    """Return a broker for other nodes; it listens once it is started."""
    return EmbeddedBroker(_settings(host, port, certificate), admission, NoTelemetry(), clock)


class NoTelemetry:
    """The listener's sink of readings: no peer may publish any."""

    def accept(self, messages: Sequence[DeviceMessages]) -> None:
        """No principal of this listener has telemetry topics."""
        raise AssertionError(messages[0].topic)


def _settings(host: str, port: int, certificate: ListenerCertificate | None) -> BrokerSettings:
    return BrokerSettings(
        gateway="peers",
        host=host,
        port=port,
        tls=None if certificate is None else certificate.context,
        connections_max=256,  # twice as many as a full mesh of agents
        connections_loopback_reserved=0,
        connections_per_address_max=64,  # a laboratory runs many nodes behind one address
        unauthenticated_max=64,
        connect_bytes_max=4 * 1024,
        packet_bytes_max=PEER_MESSAGE_BYTES_MAX + 1024,  # and its topic
        queue_bytes_max=8 * 1024 * 1024,  # some of the largest answers
        inflight_max=200,  # beyond the round trips of a slow line
        live_sessions_per_service_max=1,
        retained_bytes_per_principal_max=8 * 1024,  # a status and a vote
        offline_sessions_max=1,  # a peer's session ends with its connection
    )
