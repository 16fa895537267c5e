"""Transactions of the node key, which owns nothing: the wallet pays their fee and signs for it."""

from contextlib import closing

from gateway.app.operator import EXPIRY_HEIGHTS, Operator
from gateway.app.transactions import build_payload_paid_by
from gateway.model.ledger_api import AccountReply, StatusReply
from gateway.settings import Home
from gateway.smart_agent.client import AgentClient
from gateway.smart_agent.keys import AgentKeys, Purpose
from ledger.codec.canonical import encode
from ledger.types.transaction import Body, RegisterNode, SignedTransaction


class NodeAccount:
    """The node key's account; everything that it signs leaves through a running node."""

    def __init__(self, home: Home, operator: Operator) -> None:
        self._agent = AgentClient(home.agent_socket)
        self._operator = operator
        with closing(self._agent):
            self.keys: AgentKeys = self._agent.describe()

    def commit_onion(self, generation: int) -> bytes:
        """Return the commitment of this node's onion of that number; the first takes a second."""
        with closing(self._agent):
            return self._agent.onion_commitment(generation)

    def register(self) -> str:
        """Register this node with its keys at the wallet's cost; return the transaction's id."""
        keys = self.keys
        with closing(self._agent):
            proofs = self._agent.prove_possession()
        body = RegisterNode(keys.consensus, keys.metering, proofs.consensus, proofs.metering)
        return self.send(body)

    def send(self, body: Body) -> str:
        """Sign and submit; return the transaction's id."""
        keys = self.keys
        account = self._operator.ask("account", {"address": keys.node.hex()}, AccountReply)
        status = self._operator.ask("status", {}, StatusReply)
        payload = build_payload_paid_by(
            keys.wallet,
            bytes.fromhex(status.chain_id),
            keys.node,
            account.pending_nonce,
            status.height + EXPIRY_HEIGHTS,
            body,
        )
        with closing(self._agent):
            signature, fee_signature = [
                self._agent.sign_transaction(purpose, payload)
                for purpose in (Purpose.NODE, Purpose.WALLET)
            ]
        return self._operator.submit(encode(SignedTransaction(payload, signature, fee_signature)))
