"""The gateway's own transactions: signed once, kept in the outbox, seen into a block.

Rule 1: a transaction is in the outbox before it is submitted, and is submitted again verbatim
until it is final, so neither a crash here nor in the ledger loses or doubles it.
Rule 2: the metering account has one author, this class, so its nonces never fork.
"""

import asyncio
import logging

from gateway.app.ledger_link import LedgerLink
from gateway.errors import MessagingError, StoreError
from gateway.model.ledger_api import AccountReply, StatusReply, SubmitReply, TransactionReply
from gateway.readings.records import OutboxEntry
from gateway.readings.store import ReadingsStore
from gateway.smart_agent.client import AgentClient
from gateway.smart_agent.keys import Purpose
from ledger.codec import canonical
from ledger.codec.canonical import Decoder
from ledger.crypto import domains
from ledger.errors import CodecError
from ledger.params import (
    EXPIRY_HEIGHTS_MAX,
    GAS_PER_FEE_UNIT,
    SIGNATURE_BYTES,
    TRANSACTION_FEE_MIN,
    TRANSACTION_FEE_PER_BYTE,
)
from ledger.types.transaction import (
    Body,
    CallContract,
    DeployContract,
    SignedTransaction,
    Transaction,
)

logger = logging.getLogger(__name__)

ENVELOPE_BYTES = SIGNATURE_BYTES + 16  # the envelope's own length beside the payload
FEE_FIELD_BYTES = 9  # how much a larger fee can lengthen the payload that it pays for

_decode_signed = Decoder(SignedTransaction).decode
_decode_transaction = Decoder(Transaction).decode


def offer_fee(body: Body, draft: Transaction) -> int:
    """Return a fee that surely covers the transaction; what is not used is given back."""
    size = len(canonical.encode(draft)) + ENVELOPE_BYTES + FEE_FIELD_BYTES
    gas = body.gas_limit if isinstance(body, CallContract | DeployContract) else 0
    return TRANSACTION_FEE_MIN + size * TRANSACTION_FEE_PER_BYTE + -(-gas // GAS_PER_FEE_UNIT)


def build_payload(
    chain_id: bytes, sender: bytes, nonce: int, expiry_height: int, body: Body
) -> bytes:
    """Return the canonical payload of a transaction that pays for itself."""
    draft = Transaction(chain_id, sender, nonce, sender, 0, expiry_height, body)
    fee = offer_fee(body, draft)
    return canonical.encode(Transaction(chain_id, sender, nonce, sender, fee, expiry_height, body))


def wrap(payload: bytes, signature: bytes) -> bytes:
    """Return the canonical envelope of a payload and its sender's signature."""
    return canonical.encode(SignedTransaction(payload, signature, None))


def decode_transaction(raw: bytes) -> Transaction:
    """Return what an envelope of our own carries; raises `StoreError` if it cannot be read."""
    try:
        return _decode_transaction(_decode_signed(raw).payload)
    except CodecError as error:
        raise StoreError(f"a signed transaction in the outbox is damaged: {error}") from None


class TransactionAuthor:
    """Writes, signs, keeps and submits the metering account's transactions."""

    def __init__(
        self,
        store: ReadingsStore,
        agent: AgentClient,
        ledger: LedgerLink,
        chain_id: bytes,
        sender: bytes,
    ) -> None:
        self._store = store
        self._agent = agent
        self._ledger = ledger
        self._chain_id = chain_id
        self._sender = sender
        self._next_nonce = 0
        self._height = 0

    async def synchronise(self) -> None:
        """Learn nonce and height from the chain and the outbox, and submit what is waiting."""
        account = await self._ledger.call("account", {"address": self._sender.hex()}, AccountReply)
        self._height = (await self._ledger.call("status", {}, StatusReply)).height
        pending = self._store.pending_transactions()
        nonces = [decode_transaction(entry.raw).nonce + 1 for entry in pending]
        self._next_nonce = max([account.nonce, *nonces])
        for entry in pending:
            await self._send(entry.transaction_id, entry.raw)

    async def sign(self, body: Body, purpose: str) -> OutboxEntry:
        """Return a signed transaction with the next nonce; the caller keeps it, then submits it."""
        expiry_height = self._height + EXPIRY_HEIGHTS_MAX // 2
        payload = build_payload(self._chain_id, self._sender, self._next_nonce, expiry_height, body)
        signature = await asyncio.to_thread(self._agent.sign_transaction, Purpose.METERING, payload)
        self._next_nonce += 1
        raw = wrap(payload, signature)
        return OutboxEntry(domains.transaction_id(payload), raw, expiry_height, purpose)

    async def issue(self, body: Body, purpose: str) -> OutboxEntry:
        """Sign, keep and submit a transaction."""
        entry = await self.sign(body, purpose)
        await self._store.save_transaction(entry)
        await self.submit(entry)
        return entry

    async def submit(self, entry: OutboxEntry) -> None:
        """Hand a kept transaction to the ledger; if it is away, `settle_outbox` tries again."""
        await self._send(entry.transaction_id, entry.raw)

    async def settle_outbox(self) -> list[tuple[OutboxEntry, TransactionReply]]:
        """Return what became final since the last call, having marked it; submit the rest again."""
        settled = []
        for entry in self._store.pending_transactions():
            reply = await self._ledger.call(
                "transaction", {"id": entry.transaction_id.hex()}, TransactionReply
            )
            if reply.status == "final":
                settled.append((entry, reply))
                self._height = max(self._height, reply.height)
            elif reply.status == "unknown":
                await self._send(entry.transaction_id, entry.raw)
        return settled

    async def _send(self, transaction_id: bytes, raw: bytes) -> None:
        try:
            await self._ledger.call("submit", {"raw": raw.hex()}, SubmitReply)
        except MessagingError as error:
            logger.warning("transaction %s waits: %s", transaction_id.hex()[:16], error)
