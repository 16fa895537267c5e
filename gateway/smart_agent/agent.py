"""What the SmartAgent does with a request: one at a time, policy and guard before the key.

Rule: this is the only caller of `KeyProvider.sign`, and what it signs begins with a domain prefix.
"""

import logging
from typing import assert_never

from gateway.errors import AgentError
from gateway.smart_agent.binding import Binding
from gateway.smart_agent.guard import SignGuard
from gateway.smart_agent.judge import VoteRequest
from gateway.smart_agent.keys import AgentKeys, KeyProvider, Purpose, describe_keys
from gateway.smart_agent.messages import (
    Bind,
    Describe,
    Refused,
    RefusedReason,
    Request,
    Response,
    Signed,
    SignTransaction,
    SignVote,
)
from gateway.smart_agent.policy import check_transaction
from ledger.crypto.domains import transaction_message, vote_message

_log = logging.getLogger(__name__)


class Agent:
    """Keys, chain and guard of one node. Synchronous: a signature and its record are one step."""

    def __init__(self, keys: KeyProvider, binding: Binding, guard: SignGuard) -> None:
        self._keys = keys
        self._binding = binding
        self._guard = guard
        self._description = describe_keys(keys, binding.chain_id)

    @property
    def description(self) -> AgentKeys:
        """The public keys and the chain."""
        return self._description

    def handle(self, request: Request) -> Response:
        """Answer one request; a failure of the disk is a refusal too."""
        try:
            response = self._answer(request)
        except AgentError as error:
            response = Refused(RefusedReason.FAILED, str(error))
        if isinstance(response, Refused):
            _log.warning("refused %s: %s", _summary(request), response)
        return response

    def _answer(self, request: Request) -> Response:
        match request:
            case Describe():
                return self._description
            case Bind():
                return self._bind(request.chain_id)
            case SignTransaction():
                return self._sign_transaction(request)
            case SignVote():
                return self._sign_vote(request)
        assert_never(request)

    def _bind(self, chain_id: bytes) -> Response:
        bound = self._binding.chain_id
        if bound is None:
            self._binding.bind(chain_id)
            self._description = describe_keys(self._keys, chain_id)
            _log.info("bound to chain %s", chain_id.hex()[:16])
        elif bound != chain_id:
            detail = f"this SmartAgent serves chain {bound.hex()[:16]} and cannot change it"
            return Refused(RefusedReason.WRONG_CHAIN, detail)
        return self._description

    def _sign_transaction(self, request: SignTransaction) -> Response:
        refused = check_transaction(request, self._description)
        if refused is not None:
            return refused
        return Signed(self._keys.sign(request.purpose, transaction_message(request.payload)))

    def _sign_vote(self, request: SignVote) -> Response:
        chain_id = self._binding.chain_id
        if chain_id is None:
            return Refused(RefusedReason.NOT_BOUND, "this SmartAgent is not bound to a chain yet")
        vote = VoteRequest(request.kind, request.epoch, request.slot, request.block_hash)
        refusal = self._guard.admit(vote)
        if refusal is not None:
            return Refused(RefusedReason.SIGN_GUARD, refusal.value)
        message = vote_message(chain_id, vote.kind, vote.epoch, vote.slot, vote.block_hash)
        return Signed(self._keys.sign(Purpose.CONSENSUS, message))


def _summary(request: Request) -> str:
    """Return what a log line says of a request: its kind, never its content."""
    match request:
        case SignTransaction():
            return f"transaction by the {request.purpose.value} key"
        case SignVote():
            return f"{request.kind.name} vote in epoch {request.epoch} slot {request.slot}"
        case _:
            return type(request).__name__
