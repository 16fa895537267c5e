"""Who may make a block final, followed from the genesis without a node.

Rule 1: the agents of the genesis are trusted; a change names others and is certified by those trusted
until then. An epoch whose agents are the same needs no change: its certificates verify under their keys.
Rule 2: a final block's ancestors are final, so a certificate may be about a descendant of the block.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self, TypeVar

from ledger.codec.canonical import Decoder
from ledger.consensus.certificate import decode_signers, verify_certificate
from ledger.crypto.domains import VoteKind, header_hash
from ledger.errors import CodecError
from ledger.light.evidence import SetChange
from ledger.types.agent_set import AgentSet, hash_agent_set
from ledger.types.block import Certificate, Header
from ledger.types.genesis import Genesis
from ledger.types.genesis_file import genesis_chain_id

_T = TypeVar("_T")

_headers = Decoder(Header)
_certificates = Decoder(Certificate)
_sets = Decoder(AgentSet)


class NotFinalError(Exception):
    """Why a block is not proven to be final, in one line."""


@dataclass(frozen=True, slots=True)
class TrustedSet:
    """The agents of a chain that are trusted from `since_epoch` on, in the order of their seats."""

    chain_id: bytes
    since_epoch: int
    nodes: tuple[bytes, ...]
    keys: tuple[bytes, ...]

    @classmethod
    def of_genesis(cls, genesis: Genesis) -> Self:
        """Return the agents that a genesis names."""
        by_seat = sorted(genesis.agents, key=lambda agent: agent.node)
        nodes = tuple(agent.node for agent in by_seat)
        return cls(genesis_chain_id(genesis), 0, nodes, tuple(agent.consensus for agent in by_seat))

    def after(self, change: SetChange) -> "TrustedSet":
        """Return the agents that a change hands over to; raises `NotFinalError` where it is not certified."""
        header, agents = _decode(_headers, change.header), _decode(_sets, change.next_set)
        if header.chain_id != self.chain_id:
            raise NotFinalError("a change of agents is another chain's")
        names_set = header.next_set_hash == hash_agent_set(agents)
        if not names_set or agents.epoch != header.epoch + 1:
            raise NotFinalError("an end block names other agents than the change does")
        self.check_final(change.header, change.certificate, change.descendants)
        return self.named_by(agents)

    def named_by(self, agents: AgentSet) -> "TrustedSet":
        """Return the agents of a set of the same chain whose certificate was checked before."""
        nodes = tuple(seat.node for seat in agents.seats)
        keys = tuple(seat.consensus for seat in agents.seats)
        return TrustedSet(self.chain_id, agents.epoch, nodes, keys)

    def check_final(
        self, encoded: bytes, certificate: bytes, descendants: Sequence[bytes]
    ) -> tuple[bytes, ...]:
        """Return the nodes whose votes made this header's block final; raises `NotFinalError`."""
        header = _decode(_headers, encoded)
        if header.epoch < self.since_epoch:
            raise NotFinalError("a change of agents comes after the block")
        certified_hash, certified = header_hash(encoded), header
        for descendant in descendants:
            below = _decode(_headers, descendant)
            if below.parent_hash != certified_hash or below.epoch != header.epoch:
                raise NotFinalError("a descendant does not stand on the block")
            certified_hash, certified = header_hash(descendant), below
        votes = _decode(_certificates, certificate)
        is_of_block = (
            votes.kind is VoteKind.FINALIZE
            and votes.block_hash == certified_hash
            and (votes.epoch, votes.slot) == (certified.epoch, certified.slot)
        )
        if not is_of_block:
            raise NotFinalError("it does not make this block final")
        refusal = verify_certificate(votes, self.chain_id, self.keys)
        if refusal is not None:
            raise NotFinalError(str(refusal))
        return tuple(self.nodes[seat] for seat in decode_signers(votes.signers))


class TrustedAgents:
    """The agents that are trusted, from an epoch on: those of the genesis, then of each change."""

    def __init__(self, genesis: Genesis) -> None:
        self._newest = TrustedSet.of_genesis(genesis)

    def follow(self, changes: Sequence[SetChange]) -> None:
        """Take over the agents of each change in turn; raises `NotFinalError` at one that fails."""
        for change in changes:
            self._newest = self._newest.after(change)

    def check_final(
        self, encoded: bytes, certificate: bytes, descendants: Sequence[bytes]
    ) -> tuple[bytes, ...]:
        """Return the nodes whose votes made this header's block final; raises `NotFinalError`."""
        return self._newest.check_final(encoded, certificate, descendants)


def _decode(decoder: Decoder[_T], data: bytes) -> _T:
    try:
        return decoder.decode(data)
    except CodecError as error:
        raise NotFinalError(str(error)) from None
