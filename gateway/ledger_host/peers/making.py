"""What a node is among the others, and its way to them, as home and settings say."""

from collections.abc import Callable

from gateway.clock import Clock
from gateway.errors import SettingsError
from gateway.ledger_host.grant_files import load_own_grants
from gateway.ledger_host.measurement import measure_software
from gateway.ledger_host.peers.addresses import parse_peer
from gateway.ledger_host.peers.cluster import ClusterNetwork
from gateway.ledger_host.peers.identity import NodeIdentity
from gateway.ledger_host.peers.network import MqttPeerNetwork
from gateway.ledger_host.peers.seams import PeerNetwork, PeerSettings
from gateway.messaging.cluster_login import cluster_login
from gateway.settings import BrokerSection, Home, Settings, parse_listen
from gateway.smart_agent.client import AgentClient
from gateway.smart_agent.keys import AgentKeys
from ledger.identity.facts import IdentityFacts, Moment
from ledger.identity.grant import Role
from ledger.types.genesis import Genesis
from ledger.types.genesis_file import genesis_chain_id


def peer_settings(home: Home, settings: Settings, clock: Clock) -> PeerSettings:
    """Return what `[ledger]` says; raises `SettingsError` or `BrokerError` with one line."""
    section = settings.ledger
    listen = parse_listen(section.listen) if section.listen else None
    certificate = None
    if listen is not None and section.tls:
        # A node that only dials shows no certificate.
        from gateway.ledger_host.peers.certificate import load_certificate  # noqa: PLC0415 - see above

        certificate = load_certificate(home, settings.name, listen[0], clock)
    peers = tuple(parse_peer(one) for one in section.peers)
    return PeerSettings(listen, peers, section.tls, certificate)


def build_identity(
    home: Home,
    genesis: Genesis,
    keys: AgentKeys,
    agent: AgentClient,
    *,
    facts: Callable[[], IdentityFacts],
    now: Callable[[], Moment],
) -> NodeIdentity:
    """Return what this node says of itself. Raises `SettingsError` for grants that cannot be read."""
    is_agent = any(one.node == keys.node for one in genesis.agents)
    return NodeIdentity(
        node_id=keys.node,
        chain_id=genesis_chain_id(genesis),
        role=Role.AGENT if is_agent else Role.FULL,
        sign=agent.sign_session,
        facts=facts,
        now=now,
        instance=lambda: agent.running_instance().instance,
        measurement=measure_software(),
        grants=load_own_grants(home),
    )


def build_network(
    home: Home, settings: Settings, identity: NodeIdentity, clock: Clock
) -> PeerNetwork:
    """Return the shared cluster that the settings name, or links of our own."""
    section = settings.ledger
    if section.cluster_url is None:
        return MqttPeerNetwork(identity, peer_settings(home, settings, clock), clock)
    if section.listen or section.peers:
        raise SettingsError("ledger.cluster_url and ledger.listen or peers exclude each other")
    cluster = BrokerSection(
        url=section.cluster_url,
        login_file=section.cluster_login_file,
        authority_file=section.cluster_authority_file,
    )
    login = cluster_login(home, cluster, f"ssp-{identity.node_id.hex()[:16]}")
    return ClusterNetwork(identity.node_id, identity.chain_id, login, clock)
