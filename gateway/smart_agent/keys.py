"""The four keys of a node and the seam behind which they lie.

A key is named by a URI: `file:` is the sealed file, `pkcs11:` a hardware token (`providers/`).
"""

import enum
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, assert_never

import msgspec

from gateway.smart_agent.sealed_key import MODERATE, KdfLimits
from gateway.smart_agent.unlock import UnlockSource
from ledger.types.primitives import Address, Hash


class Purpose(enum.StrEnum):
    """What a key is for; each purpose has a key of its own."""

    NODE = "node"  # the node's identity: its public key is the node id
    CONSENSUS = "consensus"  # votes, and nothing else
    METERING = "metering"  # devices, anchors, recording calls
    WALLET = "wallet"  # moves value


class AgentKeys(msgspec.Struct, frozen=True, array_like=True, tag="keys"):
    """The public keys of an agent, and the chain it is bound to, or None before `bind`."""

    node: Address
    consensus: Address
    metering: Address
    wallet: Address
    chain_id: Hash | None = None

    def key_of(self, purpose: Purpose) -> bytes:
        """Return the 32-byte public key of a purpose."""
        match purpose:
            case Purpose.NODE:
                return self.node
            case Purpose.CONSENSUS:
                return self.consensus
            case Purpose.METERING:
                return self.metering
            case Purpose.WALLET:
                return self.wallet
        assert_never(purpose)


class KeyProvider(Protocol):
    """Private keys, wherever they lie. Only `agent.Agent` calls `sign`, with typed messages."""

    def public_key(self, purpose: Purpose) -> bytes:
        """Return a public key, 32 bytes."""
        ...

    def sign(self, purpose: Purpose, message: bytes) -> bytes:
        """Return a 64-byte Ed25519 signature; raises `AgentError` when a token does not answer."""
        ...

    def onion_secret(self) -> bytes:
        """Return the 32-byte secret from which the order commitments are hashed."""
        ...

    def close(self) -> None:
        """Let go of what is held open."""
        ...


@dataclass(frozen=True, slots=True)
class KeyPlace:
    """Where a provider keeps its files, what unseals them, and the work of sealing new ones.

    `MODERATE` unless the caller has just made the secret itself: what was found, a person may have chosen.
    """

    folder: Path
    unlock: UnlockSource
    limits: KdfLimits = MODERATE


def describe_keys(provider: KeyProvider, chain_id: bytes | None) -> AgentKeys:
    """Return all public keys of a provider."""
    return AgentKeys(
        node=provider.public_key(Purpose.NODE),
        consensus=provider.public_key(Purpose.CONSENSUS),
        metering=provider.public_key(Purpose.METERING),
        wallet=provider.public_key(Purpose.WALLET),
        chain_id=chain_id,
    )
