"""`smartshare init`: a home folder with an identity, a chain of its own or a known one, and commented settings."""

import json
from typing import Literal

import msgspec

from gateway.app.credentials import CredentialFile
from gateway.app.founding import NetworkOptions, card_of, found_network
from gateway.app.listeners import own_names
from gateway.broker.certificates import CertificateFolder
from gateway.clock import Clock
from gateway.errors import AgentError, SettingsError
from gateway.ledger_host.genesis import load_genesis
from gateway.messaging.service_login import LEDGER, OPERATOR, service_password_file
from gateway.model import topics
from gateway.settings import Home, write_atomic, write_private
from gateway.smart_agent.keys import AgentKeys
from gateway.smart_agent.messages import Bind, Refused
from gateway.smart_agent.providers.registry import DEFAULT_URI
from gateway.smart_agent.provision import take_up_agent
from gateway.smart_agent.unlock import find_unlock
from ledger.light import Snapshot
from ledger.node.snapshots import install_snapshot
from ledger.types.genesis import Genesis
from ledger.types.genesis_file import format_genesis, genesis_chain_id

_SETTINGS_TEMPLATE = """\
# Smartshare gateway settings. Delete a line to return to its default.

name = "{name}"              # in topics, discovery and logs

[broker]
listen = "{listen}"   # plain MQTT: "0.0.0.0:1883" to serve devices on a trusted network
# tls = "0.0.0.0:8883"           # MQTT with TLS; clients trust secrets/tls/authority.pem
# websocket = "127.0.0.1:9001"   # for web pages; websocket_tls = "0.0.0.0:9443" with TLS
# origins = []                   # web sites whose pages may connect, beside this machine's own
# certificate_names = []         # names of this gateway that it does not know by itself
# client_certificates = "off"    # "required": see `smartshare device certificate`
# url = "mqtts://cluster:8883"   # use an external broker instead; see docs/BROKER.md
# login_file = "secrets/cluster.login"       # user name and password, one a line, mode 0600
# authority_file = "secrets/cluster-ca.pem"  # whom to trust; without it the system's

[anchoring]                # a batch of readings is anchored at whichever comes first
readings_max = 1000
age_max_ms = 10000         # 60000 writes a third less to the card: see docs/BENCHMARKS.md

[ledger]
role = "{role}"             # "light": follows headers and certificates only, executes and keeps no chain
listen = {ledger_listen}               # "0.0.0.0:8884": where other nodes reach this one; "": outbound only
peers = {peers}                # "ssp1...@192.168.1.20:8884": nodes to stay connected to
# tls = true               # between nodes
checkpoint = {checkpoint}            # EPOCH:HASH: a node without a chain starts there; "": at the genesis

[metrics]
# listen = "127.0.0.1:9477"  # Prometheus asks here: http://127.0.0.1:9477/metrics

[discovery]
enabled = true             # announce this gateway by mDNS as _smartshare._tcp
interfaces = []            # addresses to announce on; empty: all but loopback
"""

_DEVICES_TEMPLATE = """\
# The devices of this gateway. Add one with `smartshare device add`, or by hand:
#
# [devices.main-meter]
# profile = "eastron-sdm630"
# address = "modbus-tcp://192.168.1.50:502?unit=1"
# interval_ms = 1000
#
# The running gateway notices a change of this file by itself.
"""


class Membership(msgspec.Struct, frozen=True):
    """The network that a node founds, or joins where `genesis` is given; and how it reaches others.

    With a verified `snapshot` of that network it starts from there instead of the first block; with a
    `checkpoint` alone it asks its peers for one. With the role `light` it follows headers only.
    """

    options: NetworkOptions = NetworkOptions()
    genesis: Genesis | None = None
    snapshot: Snapshot | None = None
    checkpoint: str = ""
    listen: str = ""
    peers: tuple[str, ...] = ()
    role: Literal["full", "light"] = "full"


def initialise(
    home: Home,
    name: str,
    clock: Clock,
    *,
    listen: str = "127.0.0.1:1883",
    membership: Membership | None = None,
    key_uri: str = DEFAULT_URI,
) -> AgentKeys:
    """Create a home folder in a network. Raises `SettingsError` if one is there.

    The settings are written last, so an interrupted start shows and can be repeated: it takes up
    the identity and the genesis that are there.
    """
    if not topics.is_name(name):
        raise SettingsError(f"name {name!r} cannot name a gateway: use {topics.NAME_RULE}")
    if home.settings.exists():
        raise SettingsError(f"{home.path} is a Smartshare home already; choose another folder")
    membership = membership or Membership()
    try:
        home.create()
        keys = _create_identity(home, name, clock, membership, key_uri)
        if membership.snapshot is not None:
            install_snapshot(home.chain, load_genesis(home), membership.snapshot)
        credentials = CredentialFile(home)
        for service in (LEDGER, OPERATOR):
            password = credentials.set_new_password(service)
            write_private(service_password_file(home, service), password.encode())
        CertificateFolder(home.certificates).ensure(name, own_names(), clock.now_ms())
        write_atomic(home.devices, _DEVICES_TEMPLATE.encode())
        settings = _SETTINGS_TEMPLATE.format(
            name=name,
            role=membership.role,
            listen=listen,
            ledger_listen=json.dumps(membership.listen),
            peers=json.dumps(membership.peers),
            checkpoint=json.dumps(membership.checkpoint),
        )
        write_atomic(home.settings, settings.encode())
    except OSError as error:
        raise SettingsError(f"{home.path}: cannot be created: {error.strerror}") from None
    return keys


def _create_identity(
    home: Home, name: str, clock: Clock, membership: Membership, key_uri: str
) -> AgentKeys:
    """Make or take up the SmartAgent, write its genesis, and bind it to that chain, in this order."""
    with take_up_agent(home.agent, find_unlock(home.agent), key_uri) as agent:
        keys = agent.description
        if home.genesis.exists():
            genesis = load_genesis(home)
        else:
            # Who founds alone commits to an order too: who joins later finds one that nobody could choose.
            genesis = membership.genesis or found_network(
                (card_of(agent),), name, clock, membership.options
            )
            write_atomic(home.genesis, format_genesis(genesis).encode())
        answer = agent.handle(Bind(genesis_chain_id(genesis), genesis.slot_ms))
    if isinstance(answer, Refused):
        raise AgentError(f"the SmartAgent cannot be bound to the chain of {home.genesis}: {answer}")
    return keys
