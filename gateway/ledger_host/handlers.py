"""The ledger's answers: from the JSON of a request to a reply struct of `gateway.model.ledger_api`.

The node's methods belong to the event loop's thread, requests arrive on others; `query` alone runs
where it is called, since a contract may take its time.
"""

import asyncio
import threading
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from gateway.errors import MessagingError
from gateway.ledger_host.coin_answers import build_coin_reply
from gateway.ledger_host.identity_answers import IdentityAnswers
from gateway.ledger_host.neighbourhood import Neighbourhood, NoNeighbours
from gateway.ledger_host.stake_answers import StakeAnswers
from gateway.messaging.server import Handler
from gateway.model.ledger_api import (
    AccountReply,
    BlockReply,
    CulpritsReply,
    DeviceReply,
    EventReply,
    EvidenceReply,
    QueryReply,
    StatusReply,
    SubmitReply,
    TransactionReply,
)
from gateway.settings import explain
from ledger.codec import canonical
from ledger.errors import Rejected
from ledger.node.node import LedgerNode
from ledger.node.views import Progress
from ledger.params import HASH_BYTES
from ledger.ports import ExecutionStatus
from ledger.types.outcome import OutcomeStatus

HEIGHT_MAX = 2**63 - 1  # what a database can count to
NODE_TIMEOUT_S = 30.0  # a node's answer takes microseconds; longer means that its loop is gone
QUERY_TURN_TIMEOUT_S = 2.0  # less than the gateway waits for an answer
T = TypeVar("T")


class _Named(msgspec.Struct, forbid_unknown_fields=True):
    """A request about one thing; each verb uses one of the fields."""

    id: str = ""
    address: str = ""
    device_id: str = ""
    raw: str = ""
    height: Annotated[int, Meta(ge=0, le=HEIGHT_MAX)] = 0
    contract: str = ""
    method: str = ""
    args: str = ""


class LedgerHandlers:
    """Answers requests from a node. `finality_ms` is filled in by the service."""

    def __init__(
        self,
        node: LedgerNode,
        loop: asyncio.AbstractEventLoop,
        desk: Neighbourhood | None = None,
    ) -> None:
        """Without a `desk` there are no other nodes."""
        self._node = node
        self._loop = loop
        self._querying = threading.Lock()
        self._identities = IdentityAnswers(node, self._on_loop)
        self._stakes = StakeAnswers(node, self._on_loop)
        self._desk = desk or NoNeighbours()
        self.finality_ms = 0

    def table(self) -> dict[str, Handler]:
        """Return the handler of each verb."""
        verbs: dict[str, Callable[[_Named], msgspec.Struct]] = {
            "status": self._status,
            "account": self._account,
            "submit": self._submit,
            "transaction": self._transaction,
            "evidence": self._evidence,
            "block": self._block,
            "device": self._device,
            "query": self._query,
            "identity": lambda request: self._identities.identity(
                _bytes(request.address, "address")
            ),
            "revocation": lambda request: self._identities.revocation(_bytes(request.id, "id")),
            "software": lambda request: self._identities.software(_bytes(request.id, "id")),
            "coin": lambda request: self._on_loop(
                lambda: build_coin_reply(
                    self._node.state(),
                    _bytes(request.id, "id"),
                    _bytes(request.address, "address"),
                )
            ),
            "peers": lambda _request: self._on_loop(self._desk.peers),
            "culprits": lambda _request: CulpritsReply(
                tuple(canonical.encode(one).hex() for one in self._on_loop(self._desk.reports))
            ),
            "agents": lambda _request: self._stakes.agents(),
            "parameters": lambda _request: self._stakes.parameters(),
            "proposals": lambda _request: self._stakes.proposals(),
            "stake": lambda request: self._stakes.stake(_bytes(request.address, "address")),
            "proof": lambda request: self._stakes.proof(_hex(request.id, "id")),
        }
        return {verb: _handler(answer) for verb, answer in verbs.items()}

    def _on_loop(self, ask: Callable[[], T]) -> T:
        async def run() -> T:
            return ask()

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(NODE_TIMEOUT_S)

    def _status(self, _request: _Named) -> StatusReply:
        status = self._on_loop(self._node.status)
        return StatusReply(
            chain_id=status.chain_id.hex(),
            height=status.height,
            hash=status.hash.hex(),
            time_ms=status.time_ms,
            slot_ms=status.slot_ms,
            epoch=status.epoch,
            slot=status.slot,
            agents=status.agents,
            pending=status.pending,
            state=status.state,
            clock=status.clock,
            finality_ms=self.finality_ms,
        )

    def _account(self, request: _Named) -> AccountReply:
        address = _bytes(request.address, "address")
        account = self._on_loop(lambda: self._node.account(address))
        return AccountReply(account.balance, account.nonce, account.pending_nonce)

    def _submit(self, request: _Named) -> SubmitReply:
        raw = _hex(request.raw, "raw")
        result = self._on_loop(lambda: self._node.submit(raw))
        if isinstance(result, Rejected):
            raise MessagingError(str(result))
        return SubmitReply(result.hex())

    def _transaction(self, request: _Named) -> TransactionReply:
        transaction_id = _bytes(request.id, "id")
        view = self._on_loop(lambda: self._node.transaction(transaction_id))
        if view.progress is not Progress.FINAL or view.outcome is None:
            return TransactionReply("pending" if view.progress is Progress.PENDING else "unknown")
        outcome = view.outcome
        return TransactionReply(
            status="final",
            height=view.height,
            applied=outcome.status is OutcomeStatus.APPLIED,
            reason=outcome.reason,
            gas_used=outcome.gas_used,
            fee_paid=outcome.fee_paid,
            result=outcome.result.hex(),
            events=tuple(
                EventReply(event.contract.hex(), event.name, event.data.hex())
                for event in outcome.events
            ),
        )

    def _evidence(self, request: _Named) -> EvidenceReply:
        transaction_id = _bytes(request.id, "id")
        view = self._on_loop(lambda: self._node.transaction(transaction_id))
        evidence = self._on_loop(lambda: self._node.anchor_evidence(transaction_id))
        if evidence is None:
            pruned = self._on_loop(self._node.pruned_height)
            older = f", or older than block {pruned + 1}, the first that is kept here"
            raise MessagingError(
                f"transaction {request.id[:16]} is not final{older if pruned else ''}"
            )
        return EvidenceReply(view.height, canonical.encode(evidence).hex())

    def _block(self, request: _Named) -> BlockReply:
        block = self._on_loop(lambda: self._node.block(request.height))
        if block is None:
            raise MessagingError(f"there is no block {request.height}")
        header = block.header
        return BlockReply(
            height=header.height,
            hash=block.hash.hex(),
            parent_hash=header.parent_hash.hex(),
            time_ms=header.time_ms,
            epoch=header.epoch,
            slot=header.slot,
            proposer=header.proposer.hex(),
            state_root=header.state_root.hex(),
            signers=len(block.certificate.signatures),
            transactions=tuple(one.hex() for one in block.transaction_ids),
            skipped=self._stakes.skipped(header),
        )

    def _device(self, request: _Named) -> DeviceReply:
        device_id = _bytes(request.device_id, "device_id")
        device = self._on_loop(lambda: self._node.device(device_id))
        if device is None:
            return DeviceReply(registered=False)
        return DeviceReply(
            registered=True,
            next_sequence=device.next_sequence,
            last_anchor=device.last_anchor.hex(),
            profile_hash=device.profile_hash.hex(),
        )

    def _query(self, request: _Named) -> QueryReply:
        contract = _bytes(request.contract, "contract")
        args = _hex(request.args, "args")
        # The node answers one question at a time and refuses others; ours take turns.
        if not self._querying.acquire(timeout=QUERY_TURN_TIMEOUT_S):
            raise MessagingError("other questions to contracts are being answered: ask again")
        try:
            result = self._node.query(contract, request.method, args)
        finally:
            self._querying.release()
        if isinstance(result, Rejected):
            return QueryReply(ok=False, refusal=str(result))
        if result.status is not ExecutionStatus.OK:
            return QueryReply(
                ok=False, refusal=f"{result.status.value}: {result.error}".rstrip(": ")
            )
        return QueryReply(ok=True, result=result.result.hex())


def _handler(answer: Callable[[_Named], msgspec.Struct]) -> Handler:
    def handle(body: dict[str, Any]) -> dict[str, Any]:
        try:
            request = msgspec.convert(body, _Named)
        except msgspec.ValidationError as error:
            raise MessagingError(f"malformed request: {explain(error)}") from None
        reply: dict[str, Any] = msgspec.to_builtins(answer(request))
        return reply

    return handle


def _hex(text: str, field: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise MessagingError(f"{field}: not hexadecimal text") from None


def _bytes(text: str, field: str) -> bytes:
    value = _hex(text, field)
    if len(value) != HASH_BYTES:
        raise MessagingError(f"{field}: {len(value)} bytes instead of {HASH_BYTES}")
    return value
