"""What this node says of itself in a handshake, and by what it judges others."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass

from ledger.identity.facts import IdentityFacts, Moment
from ledger.identity.grant import Role
from ledger.identity.handshake import OwnSide
from ledger.identity.messages import NO_CHANNEL, NO_INSTANCE, NO_MEASUREMENT, Claims
from ledger.types.reading import ClockStatus


@dataclass(frozen=True, slots=True)
class NodeIdentity:
    """The node's own side. `sign` and `instance` ask the SmartAgent, block and raise `AgentError`.

    `sign` takes a canonical session token and returns 64 bytes; `facts` and `now` answer at once.
    """

    node_id: bytes
    chain_id: bytes
    role: Role
    sign: Callable[[bytes], bytes]
    facts: Callable[[], IdentityFacts]
    now: Callable[[], Moment]
    instance: Callable[[], bytes] = lambda: NO_INSTANCE
    measurement: bytes = NO_MEASUREMENT
    grants: tuple[bytes, ...] = ()

    def own_side(self, channel: bytes | None, instance: bytes) -> OwnSide:
        """Return what to say in one connection, with a fresh nonce."""
        clock = ClockStatus.SYNCHRONISED if self.now().is_trusted else ClockStatus.UNSYNCHRONISED
        claims = Claims(
            chain_id=self.chain_id,
            node_id=self.node_id,
            role=self.role,
            channel=NO_CHANNEL if channel is None else channel,
            instance=instance,
            measurement=self.measurement,
            clock=clock,
            grants=self.grants,
        )
        # A gateway without the time yet must be able to reach the network that has it: such peers are flagged.
        return OwnSide(claims, secrets.token_bytes(32), allows_untrusted_clock=True)
