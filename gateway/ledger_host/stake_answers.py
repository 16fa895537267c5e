"""The ledger's answers about agents, parameters, proposals and stake."""

from gateway.errors import MessagingError
from gateway.ledger_host.identity_answers import OnLoop
from gateway.ledger_host.stake_replies import (
    build_agents_reply,
    build_parameters_reply,
    build_proposals_reply,
    build_stake_reply,
)
from gateway.model.stake_api import (
    AgentsReply,
    ParametersReply,
    ProofReply,
    ProposalsReply,
    StakeReply,
)
from ledger.codec.canonical import Decoder, encode
from ledger.errors import Rejected
from ledger.node.node import LedgerNode
from ledger.types.block import Header

_headers = Decoder(Header)


class StakeAnswers:
    """Answers requests from a node's newest final state."""

    def __init__(self, node: LedgerNode, on_loop: OnLoop) -> None:
        self._node = node
        self._on_loop = on_loop

    def agents(self) -> AgentsReply:
        """Return all agents with reasons, and how spread power is."""
        return self._on_loop(
            lambda: build_agents_reply(self._node.state(), self._node.status().time_ms)
        )

    def parameters(self) -> ParametersReply:
        """Return the parameters in force."""
        return self._on_loop(lambda: build_parameters_reply(self._node.state()))

    def proposals(self) -> ProposalsReply:
        """Return the proposals that have something ahead of them."""
        return self._on_loop(lambda: build_proposals_reply(self._node.state()))

    def proof(self, key: bytes) -> ProofReply:
        """Return a proof of what stands under a key; not asked on the loop: it reads the disk."""
        evidence = self._node.prove(key)
        if isinstance(evidence, Rejected):
            raise MessagingError(str(evidence))
        header = _headers.decode(evidence.header)
        return ProofReply(header.height, encode(evidence).hex())

    def stake(self, address: bytes) -> StakeReply:
        """Return an account's stake and vote."""
        return self._on_loop(lambda: build_stake_reply(self._node.state(), address))
