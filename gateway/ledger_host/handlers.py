"""The ledger's answers: from the JSON of a request to a reply struct of `gateway.model.ledger_api`.

The node's methods belong to the event loop's thread, requests arrive on others; `query` alone runs
where it is called, since a contract may take its time.
"""

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

import msgspec

from gateway.errors import MessagingError
from gateway.ledger_host.coin_answers import build_coin_reply
from gateway.ledger_host.identity_answers import IdentityAnswers
from gateway.ledger_host.neighbourhood import Neighbourhood, NoNeighbours
from gateway.ledger_host.requests import (
    Request,
    build_device_reply,
    build_transaction_reply,
    make_handler,
    parse_bytes,
    parse_hex,
)
from gateway.ledger_host.stake_answers import StakeAnswers
from gateway.messaging.server import Handler
from gateway.model.ledger_api import (
    AccountReply,
    BlockReply,
    CulpritsReply,
    DeviceReply,
    EvidenceReply,
    QueryReply,
    StatusReply,
    SubmitReply,
    TransactionReply,
)
from ledger.codec import canonical
from ledger.errors import Rejected
from ledger.node.node import LedgerNode
from ledger.node.views import Progress
from ledger.ports import ExecutionStatus

NODE_TIMEOUT_S = 30.0  # a node's answer takes microseconds; longer means that its loop is gone
QUERY_TURN_TIMEOUT_S = 2.0  # less than the gateway waits for an answer
T = TypeVar("T")


class LedgerHandlers:
    """Answers requests from a node. `finality_ms` and `find_problem` are filled in by the service."""

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
        self.find_problem: Callable[[], str] = str

    def table(self) -> dict[str, Handler]:
        """Return the handler of each verb."""
        verbs: dict[str, Callable[[Request], msgspec.Struct]] = {
            "status": self._status,
            "account": self._account,
            "submit": self._submit,
            "transaction": self._transaction,
            "evidence": self._evidence,
            "block": self._block,
            "device": self._device,
            "query": self._query,
            "identity": lambda request: self._identities.identity(
                parse_bytes(request.address, "address")
            ),
            "revocation": lambda request: self._identities.revocation(
                parse_bytes(request.id, "id")
            ),
            "software": lambda request: self._identities.software(parse_bytes(request.id, "id")),
            "coin": lambda request: self._on_loop(
                lambda: build_coin_reply(
                    self._node.state(),
                    parse_bytes(request.id, "id"),
                    parse_bytes(request.address, "address"),
                )
            ),
            "peers": lambda _request: self._on_loop(self._desk.peers),
            "culprits": lambda _request: CulpritsReply(
                tuple(canonical.encode(one).hex() for one in self._on_loop(self._desk.reports))
            ),
            "agents": lambda _request: self._stakes.agents(),
            "parameters": lambda _request: self._stakes.parameters(),
            "proposals": lambda _request: self._stakes.proposals(),
            "stake": lambda request: self._stakes.stake(parse_bytes(request.address, "address")),
            "proof": lambda request: self._stakes.proof(parse_hex(request.id, "id")),
        }
        return {verb: make_handler(answer) for verb, answer in verbs.items()}

    def _on_loop(self, ask: Callable[[], T]) -> T:
        async def run() -> T:
            return ask()

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(NODE_TIMEOUT_S)

    def _status(self, _request: Request) -> StatusReply:
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
            problem=self._on_loop(self.find_problem),
            pruned_height=self._on_loop(self._node.pruned_height),
        )

    def _account(self, request: Request) -> AccountReply:
        address = parse_bytes(request.address, "address")
        account = self._on_loop(lambda: self._node.account(address))
        return AccountReply(account.balance, account.nonce, account.pending_nonce)

    def _submit(self, request: Request) -> SubmitReply:
        raw = parse_hex(request.raw, "raw")
        result = self._on_loop(lambda: self._node.submit(raw))
        if isinstance(result, Rejected):
            raise MessagingError(str(result))
        return SubmitReply(result.hex())

    def _transaction(self, request: Request) -> TransactionReply:
        transaction_id = parse_bytes(request.id, "id")
        view = self._on_loop(lambda: self._node.transaction(transaction_id))
        if view.progress is not Progress.FINAL or view.outcome is None:
            return TransactionReply("pending" if view.progress is Progress.PENDING else "unknown")
        return build_transaction_reply(view.height, view.outcome)

    def _evidence(self, request: Request) -> EvidenceReply:
        transaction_id = parse_bytes(request.id, "id")
        view = self._on_loop(lambda: self._node.transaction(transaction_id))
        evidence = self._on_loop(lambda: self._node.anchor_evidence(transaction_id))
        if evidence is None:
            pruned = self._on_loop(self._node.pruned_height)
            older = f", or older than block {pruned + 1}, the first that is kept here"
            raise MessagingError(
                f"transaction {request.id[:16]} is not final{older if pruned else ''}"
            )
        return EvidenceReply(view.height, canonical.encode(evidence).hex())

    def _block(self, request: Request) -> BlockReply:
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
            skipped=tuple(one.hex() for one in block.skipped),
            parent_slot=header.parent_slot,
        )

    def _device(self, request: Request) -> DeviceReply:
        device_id = parse_bytes(request.device_id, "device_id")
        device = self._on_loop(lambda: self._node.device(device_id))
        return build_device_reply(device)

    def _query(self, request: Request) -> QueryReply:
        contract = parse_bytes(request.contract, "contract")
        args = parse_hex(request.args, "args")
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
