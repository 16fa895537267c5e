"""The gateway's own transactions: signed once, kept in the outbox, seen into a block.

Rule 1: a transaction is in the outbox before it is submitted, and is submitted again verbatim
until it is final, so neither a crash here nor in the ledger loses or doubles it.
Rule 2: the metering account has one author, this class, so its nonces never fork.
Rule 3: one that can never be final any more, expired or its nonce used, counts as failed; the next
one signed takes a nonce that is left free, so that those behind it can go on. An anchor that the chain has
is final, also where the ledger went on from a snapshot behind its block.
Rule 4: an account that holds next to nothing offers no fee for metering as long as stake gives it free
transactions; one that comes too late in an epoch waits in the outbox for the next.
Rule 5: a report of evidence that the ledger does not take counts as failed at once: others accuse as well,
and its nonce must not hold up what comes after it.
Rule 6: what the account cannot pay is not signed: it would hold up, by its nonce, what will be free.
"""

import asyncio

import msgspec

from gateway.app.ledger_link import LedgerLink
from gateway.errors import MessagingError, StoreError, UnfundedError
from gateway.model.ledger_api import (
    AccountReply,
    DeviceReply,
    StatusReply,
    SubmitReply,
    TransactionReply,
)
from gateway.model.stake_api import StakeReply
from gateway.readings.records import OutboxEntry
from gateway.readings.store import ReadingsStore
from gateway.smart_agent.client import AgentClient
from gateway.smart_agent.keys import Purpose
from ledger.codec import canonical
from ledger.codec.canonical import Decoder
from ledger.codec.text import format_address
from ledger.crypto import domains
from ledger.errors import CodecError
from ledger.params import EXPIRY_HEIGHTS_MAX, SIGNATURE_BYTES, TRANSACTION_FEE_PER_BYTE
from ledger.state.fees import METERING_BODIES, compute_fee_min, compute_gas_price, get_gas_limit
from ledger.types.transaction import (
    Anchor,
    Body,
    CallContract,
    ReportEvidence,
    SignedTransaction,
    Transaction,
)

UNSEEN = "its block is not kept here"
FREE_BELOW = 1_000_000  # base units: what a few hundred transactions cost
ENVELOPE_BYTES = SIGNATURE_BYTES + 16  # the envelope's own length beside the payload
FEE_FIELD_BYTES = 9  # how much a larger fee can lengthen the payload that it pays for

_decode_signed = Decoder(SignedTransaction).decode
_decode_transaction = Decoder(Transaction).decode


def offer_fee(draft: Transaction) -> int:
    """Return a fee that surely covers the transaction; what is not used is given back."""
    size = len(canonical.encode(draft)) + ENVELOPE_BYTES + FEE_FIELD_BYTES
    return compute_fee_min(size) + compute_gas_price(get_gas_limit(draft))


def build_payload(  # noqa: PLR0917 - the fields of a transaction
    chain_id: bytes, sender: bytes, nonce: int, expiry_height: int, body: Body, fee_min: int = 0
) -> bytes:
    """Return the canonical payload of a transaction that pays for itself, at least `fee_min`."""
    draft = Transaction(chain_id, sender, nonce, sender, 0, expiry_height, body)
    return canonical.encode(msgspec.structs.replace(draft, fee=max(fee_min, offer_fee(draft))))


def build_payload_paid_by(  # noqa: PLR0917 - the fields of a transaction
    payer: bytes, chain_id: bytes, sender: bytes, nonce: int, expiry_height: int, body: Body
) -> bytes:
    """Return the canonical payload of a transaction whose fee another account pays and signs for."""
    draft = Transaction(chain_id, sender, nonce, payer, 0, expiry_height, body)
    fee = offer_fee(draft) + SIGNATURE_BYTES * TRANSACTION_FEE_PER_BYTE
    return canonical.encode(msgspec.structs.replace(draft, fee=fee))


def wrap(payload: bytes, signature: bytes) -> bytes:
    """Return the canonical envelope of a payload and its sender's signature."""
    return canonical.encode(SignedTransaction(payload, signature, None))


def decode_transaction(raw: bytes) -> Transaction:
    """Return what an envelope of our own carries; raises `StoreError` if it cannot be read."""
    try:
        return _decode_transaction(_decode_signed(raw).payload)
    except CodecError as error:
        raise StoreError(f"a signed transaction in the outbox is damaged: {error}") from None


def _is_report(entry: OutboxEntry) -> bool:
    return isinstance(decode_transaction(entry.raw).body, ReportEvidence)


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
        self._nonces_taken: set[int] = set()  # by what waits in the outbox
        self._nonce_on_chain = 0
        self._balance = 0  # as far as known: the chain's, less what was signed since
        self._meters_for_free = False  # it can hardly pay, and stake gives it free transactions
        self._height = 0
        self.refusal = ""  # why the ledger last took no transaction; empty since it took one
        self.has_resubmitted = False  # the ledger forgot something: nonces may have become free

    async def synchronise(self) -> None:
        """Learn nonce and height from the chain and the outbox."""
        account = await self._ledger.call("account", {"address": self._sender.hex()}, AccountReply)
        self._height = (await self._ledger.call("status", {}, StatusReply)).height
        pending = self._store.pending_transactions()
        self._nonces_taken = {decode_transaction(entry.raw).nonce for entry in pending}
        self._nonce_on_chain = account.nonce
        self._balance = account.balance
        self._meters_for_free = False
        if account.balance < FREE_BELOW:
            asked = {"address": self._sender.hex()}
            stake = await self._ledger.call("stake", asked, StakeReply)
            self._meters_for_free = stake.free_an_epoch > 0
        self._next_nonce = account.pending_nonce
        self.refusal = ""
        self.has_resubmitted = False

    async def sign(self, body: Body, purpose: str) -> OutboxEntry:
        """Return a signed transaction with the next nonce; the caller keeps it, then submits it.

        Raises `UnfundedError` where the account cannot pay for it.
        """
        while self._next_nonce in self._nonces_taken:
            self._next_nonce += 1
        expiry_height = self._height + EXPIRY_HEIGHTS_MAX // 2
        place = (self._chain_id, self._sender, self._next_nonce)
        if self._meters_for_free and isinstance(body, METERING_BODIES):
            draft = Transaction(*place, self._sender, 0, expiry_height, body)
            payload = canonical.encode(draft)
        else:
            payload = build_payload(*place, expiry_height, body)
            self._spend(_decode_transaction(payload).fee)
        signature = await asyncio.to_thread(self._agent.sign_transaction, Purpose.METERING, payload)
        self._next_nonce += 1
        raw = wrap(payload, signature)
        return OutboxEntry(domains.transaction_id(payload), raw, expiry_height, purpose)

    def _spend(self, fee: int) -> None:
        if fee > self._balance:
            metering = format_address(self._sender)
            raise UnfundedError(
                f"this node's metering account holds {self._balance} base units and needs {fee} for a fee:"
                f" pay it with `smartshare wallet send {metering} 1`, or let stake meter for free"
            )
        self._balance -= fee

    async def issue(self, body: Body, purpose: str) -> OutboxEntry:
        """Sign, keep and submit a transaction."""
        entry = await self.sign(body, purpose)
        await self._store.save_transaction(entry)
        await self.submit(entry)
        return entry

    async def submit(self, entry: OutboxEntry) -> None:
        """Hand a kept transaction to the ledger; if it is not taken, `settle_outbox` tries again."""
        refusal = await self._try_submit(entry)
        self.refusal = (
            f"{entry.purpose} {entry.transaction_id.hex()[:16]}: {refusal}" if refusal else ""
        )

    async def _try_submit(self, entry: OutboxEntry) -> str:
        try:
            await self._ledger.call("submit", {"raw": entry.raw.hex()}, SubmitReply)
        except MessagingError as error:
            return str(error)
        return ""

    async def settle_outbox(self) -> list[tuple[OutboxEntry, TransactionReply]]:
        """Return what is decided: final, or void. What the ledger does not know is submitted again.

        The caller marks them; one that is not marked is returned again. The reason `UNSEEN` is of an anchor
        that is applied in a block which the ledger does not keep; the height is then one above it.
        """
        settled = []
        for entry in self._store.pending_transactions():
            reply = await self._ledger.call(
                "transaction", {"id": entry.transaction_id.hex()}, TransactionReply
            )
            if reply.status == "final":
                settled.append((entry, reply))
                self._height = max(self._height, reply.height)
            elif reply.status == "unknown" and (reason := self._find_void(entry)):
                if await self._is_anchored(entry):
                    reply = TransactionReply("final", self._height, applied=True, reason=UNSEEN)
                else:
                    reply = TransactionReply("final", reason=reason)
                settled.append((entry, reply))
            elif reply.status == "unknown" and _is_report(entry):
                if reason := await self._try_submit(entry):
                    settled.append(
                        (entry, TransactionReply("final", reason=f"not taken: {reason}"))
                    )
            elif reply.status == "unknown":
                self.has_resubmitted = True
                await self.submit(entry)
        return settled

    def is_waiting(self, purpose: str) -> bool:
        """Tell whether a transaction of this purpose waits in the outbox."""
        return any(one.purpose == purpose for one in self._store.pending_transactions())

    def is_recording(self, contract: bytes) -> bool:
        """Tell whether a call of this contract's `record` waits in the outbox."""
        bodies = [decode_transaction(one.raw).body for one in self._store.pending_transactions()]
        return any(isinstance(body, CallContract) and body.contract == contract for body in bodies)

    async def _is_anchored(self, entry: OutboxEntry) -> bool:
        """Tell whether an anchor is the device's newest one on the chain, or leads to that one."""
        body = decode_transaction(entry.raw).body
        if not isinstance(body, Anchor):
            return False
        asked = {"device_id": body.device_id.hex()}
        newest = bytes.fromhex((await self._ledger.call("device", asked, DeviceReply)).last_anchor)
        previous = {
            one.transaction_id: anchor.previous
            for one in self._store.pending_transactions()
            if isinstance(anchor := decode_transaction(one.raw).body, Anchor)
        }
        while newest != entry.transaction_id:
            if newest not in previous:
                return False
            newest = previous[newest]
        return True

    def _find_void(self, entry: OutboxEntry) -> str:
        """Tell why a transaction that the chain does not know can never come into a block.

        Nonce and height were asked before the ledger was asked for the transaction.
        """
        if self._height > entry.expiry_height:
            return f"expired after block {entry.expiry_height}"
        nonce = decode_transaction(entry.raw).nonce
        if nonce < self._nonce_on_chain:
            return f"another transaction used its nonce {nonce}"
        return ""
