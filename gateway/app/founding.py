"""Founding a network of several nodes: each makes a card, one person makes the genesis from all of them.

A card holds public keys only. Whoever collects the cards must know whose they are, as with any list of members.
"""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from gateway.clock import Clock
from gateway.errors import AgentError, SettingsError
from gateway.settings import Home, explain, write_atomic
from gateway.smart_agent.agent import Agent
from gateway.smart_agent.messages import OnionCommitment, OnionValue
from gateway.smart_agent.provision import take_up_agent
from gateway.smart_agent.unlock import find_unlock
from ledger.codec.text import format_address, parse_address
from ledger.errors import CodecError
from ledger.params import (
    AGENTS_MAX,
    HASH_BYTES,
    HEARTBEAT_MS,
    PROTOCOL_VERSION,
    SLOT_MS,
    SSP_BASE_UNITS,
)
from ledger.types.genesis import Allocation, Genesis, GenesisAgent
from ledger.types.genesis_file import check_genesis

FOUNDERS_GENESIS_AMOUNT = 1_000_000 * SSP_BASE_UNITS  # what the founders start with, in equal parts
BOND_GENESIS_AMOUNT = 10_000 * SSP_BASE_UNITS  # a founder's stake as an agent: ten times the least
REWARD_POOL_GENESIS_AMOUNT = (
    10_000_000 * SSP_BASE_UNITS
)  # what agents earn in ten years of 3 s blocks
METERING_GENESIS_AMOUNT = 10_000 * SSP_BASE_UNITS  # pays the anchors' fees for years
CARD_BYTES_MAX = 4 * 1024
_FIRST_ONION = 1


class NetworkOptions(msgspec.Struct, frozen=True):
    """What a new network starts with besides its founders' own allocations."""

    slot_ms: int = SLOT_MS
    heartbeat_ms: int = HEARTBEAT_MS
    allocations: tuple[Allocation, ...] = ()
    foundation: bytes | None = None


class NodeCard(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a node tells about itself to whoever makes the genesis: addresses, and its first order commitment."""

    node: str
    consensus: str
    metering: str
    wallet: str
    onion: str


def card_of(agent: Agent) -> NodeCard:
    """Return the card of an open SmartAgent; making its first order commitment takes a second or more."""
    keys = agent.description
    onion = agent.handle(OnionCommitment(_FIRST_ONION))
    if not isinstance(onion, OnionValue):
        raise AgentError(f"the SmartAgent makes no order commitment: {onion}")
    return NodeCard(
        node=format_address(keys.node),
        consensus=format_address(keys.consensus),
        metering=format_address(keys.metering),
        wallet=format_address(keys.wallet),
        onion=onion.value.hex(),
    )


def make_card(home: Home, key_uri: str) -> NodeCard:
    """Make the home's identity, if it has none, and write its card to `card.json`."""
    if home.settings.exists():
        raise SettingsError(f"{home.path} is a Smartshare home already; choose another folder")
    try:
        home.create()
        with take_up_agent(home.agent, find_unlock(home.agent), key_uri) as agent:
            card = card_of(agent)
        write_atomic(home.card, msgspec.json.format(msgspec.json.encode(card), indent=2) + b"\n")
    except OSError as error:
        raise SettingsError(f"{home.path}: cannot be created: {error.strerror}") from None
    return card


def read_card(path: Path) -> NodeCard:
    """Return a card; raises `SettingsError` with one line."""
    try:
        with path.open("rb") as file:
            data = file.read(CARD_BYTES_MAX + 1)
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from None
    try:
        return msgspec.json.decode(data, type=NodeCard)
    except msgspec.ValidationError as error:
        raise SettingsError(f"{path}: {explain(error)}; is it a card.json?") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise SettingsError(f"{path}: not JSON; is it a card.json?") from None


def found_network(
    cards: Sequence[NodeCard], name: str, clock: Clock, options: NetworkOptions
) -> Genesis:
    """Return the genesis of a network whose first agents are the cards' nodes.

    Raises `SettingsError` or `GenesisError` with one line.
    """
    if not 1 <= len(cards) <= AGENTS_MAX:
        raise SettingsError(f"{len(cards)} cards; a network starts with 1 to {AGENTS_MAX} agents")
    agents, allocations = [], []
    share = FOUNDERS_GENESIS_AMOUNT // len(cards)
    for number, card in enumerate(cards, start=1):
        agent, wallet = _read_keys(number, card)
        agents.append(agent)
        allocations += [
            Allocation(wallet, share),
            Allocation(agent.metering, METERING_GENESIS_AMOUNT),
        ]
    genesis = Genesis(
        version=PROTOCOL_VERSION,
        name=name,
        time_ms=clock.now_ms(),
        slot_ms=options.slot_ms,
        heartbeat_ms=options.heartbeat_ms,
        agents=tuple(agents),
        allocations=(*allocations, *options.allocations),
        reward_pool=REWARD_POOL_GENESIS_AMOUNT,
        foundation=options.foundation,
    )
    check_genesis(genesis)
    return genesis


def _read_keys(number: int, card: NodeCard) -> tuple[GenesisAgent, bytes]:
    keys = []
    for field in ("node", "consensus", "metering", "wallet"):
        try:
            keys.append(parse_address(getattr(card, field)))
        except CodecError as error:
            raise SettingsError(f"card {number}: {field}: {error}") from None
    try:
        onion = bytes.fromhex(card.onion)
    except ValueError:
        onion = b""
    if len(onion) != HASH_BYTES:
        raise SettingsError(f"card {number}: onion: not {HASH_BYTES} bytes in hexadecimal")
    node, consensus, metering, wallet = keys
    return GenesisAgent(node, consensus, metering, BOND_GENESIS_AMOUNT, onion), wallet
