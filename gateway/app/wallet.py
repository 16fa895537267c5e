"""The node's wallet as its owner uses it: signed by the SmartAgent, queued, sent when there is a ledger."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass

import msgspec

from gateway.app.operator import Operator
from gateway.app.transactions import build_payload, wrap
from gateway.app.wallet_file import WalletFile
from gateway.app.wallet_queue import (
    LIVE,
    VALID_MS_DEFAULT,
    Entry,
    Queue,
    Standing,
    add,
    can_drop,
    compute_expiry,
    next_nonce,
    see,
    update,
)
from gateway.clock import Clock, SystemClock
from gateway.errors import MessagingError, SettingsError
from gateway.model.ledger_api import AccountReply, StatusReply
from gateway.settings import Home
from gateway.smart_agent.client import AgentClient
from gateway.smart_agent.keys import AgentKeys, Purpose
from ledger.codec.canonical import Decoder
from ledger.crypto import domains
from ledger.crypto.hashing import sha256
from ledger.types.transaction import Body, Transaction, Transfer

_payloads = Decoder(Transaction)


@dataclass(frozen=True, slots=True)
class SendOptions:
    """How long a transaction is valid, and the owner's passphrase where its payment needs approval."""

    valid_ms: int = VALID_MS_DEFAULT
    passphrase: bytes | None = None


_USUAL = SendOptions()


class WalletAccount:
    """Signs, keeps and sends. Without an operator (no ledger answers) it signs and keeps."""

    def __init__(self, home: Home, operator: Operator | None, clock: Clock | None = None) -> None:
        self._agent = AgentClient(home.agent_socket)
        self._operator = operator
        self._file = WalletFile(home)
        self._clock = clock or SystemClock()
        with closing(self._agent):
            self.keys: AgentKeys = self._agent.describe()

    def send(
        self, body: Body, what: str = "", options: SendOptions = _USUAL
    ) -> tuple[str, bytes, int]:
        """Sign, keep and submit; return the transaction's id, the sender and the nonce it used."""
        self._learn()
        entry = self._keep(lambda queue: self._sign_next(queue, body, what, options))
        self._submit(entry)
        return entry.id, self.keys.wallet, entry.nonce

    def replace(self, entry: Entry, body: Body, what: str, options: SendOptions) -> Entry:
        """Sign another transaction with an entry's nonce, for enough of a fee to displace it."""
        if entry.standing not in LIVE:
            raise SettingsError(f"transaction {entry.id[:16]} is {entry.standing.value} already")
        self._learn()
        fee_min = entry.fee * 11 // 10 + 1
        newer = self._keep(
            lambda queue: self._sign(queue, body, what, options, entry.nonce, fee_min)
        )
        self._submit(newer)
        return newer

    def cancel(self, entry: Entry, options: SendOptions) -> Entry | None:
        """Drop what nobody else has seen and return None, or use its nonce for a payment of nothing."""
        if entry.standing not in LIVE:
            raise SettingsError(f"transaction {entry.id[:16]} is {entry.standing.value} already")
        dropped = False

        def drop(queue: Queue) -> Queue:
            nonlocal dropped
            current = queue.find(entry.id)
            dropped = can_drop(queue, current)
            gone = msgspec.structs.replace(current, standing=Standing.DROPPED, reason="cancelled")
            return update(queue, gone) if dropped else queue

        self._file.edit(drop)
        if dropped:
            return None
        nothing = Transfer(self.keys.wallet, 0)
        return self.replace(entry, nothing, f"cancel {entry.id[:16]}", options)

    def _learn(self) -> None:
        """Ask the ledger where account and chain stand; without one, what was heard last counts."""
        if self._operator is None:
            return
        account = self._operator.ask("account", {"address": self.keys.wallet.hex()}, AccountReply)
        status = self._operator.ask("status", {}, StatusReply)
        now_ms = self._clock.now_ms()
        self._file.edit(lambda queue: see(queue, account, status, now_ms))

    def _keep(self, sign: Callable[[Queue], Entry]) -> Entry:
        signed: list[Entry] = []

        def change(queue: Queue) -> Queue:
            if queue.seen is None:
                raise SettingsError(
                    "the chain was never seen from here: start the node once before signing offline"
                )
            signed.append(sign(queue))
            return add(queue, signed[0])

        self._file.edit(change)
        return signed[0]

    def _sign_next(self, queue: Queue, body: Body, what: str, options: SendOptions) -> Entry:
        return self._sign(queue, body, what, options, next_nonce(queue), 0)

    def _sign(  # noqa: PLR0917 - what makes up a transaction
        self,
        queue: Queue,
        body: Body,
        what: str,
        options: SendOptions,
        nonce: int,
        fee_min: int,
    ) -> Entry:
        assert queue.seen is not None
        now_ms = self._clock.now_ms()
        payload = build_payload(
            bytes.fromhex(queue.seen.chain_id),
            self.keys.wallet,
            nonce,
            compute_expiry(queue, now_ms, options.valid_ms),
            body,
            fee_min,
        )
        transaction = _payloads.decode(payload)
        with closing(self._agent):
            if options.passphrase is not None:
                self._agent.approve_payment(options.passphrase, sha256(payload))
            signature = self._agent.sign_transaction(Purpose.WALLET, payload)
        return Entry(
            id=domains.transaction_id(payload).hex(),
            raw=wrap(payload, signature).hex(),
            nonce=nonce,
            fee=transaction.fee,
            expiry_height=transaction.expiry_height,
            what=what or type(body).__name__,
            created_ms=now_ms,
            signed_height=queue.seen.height,
        )

    def _submit(self, entry: Entry) -> None:
        if self._operator is None:
            return
        left = msgspec.structs.replace(entry, has_left=True)
        self._file.edit(lambda queue: update(queue, left))
        try:
            self._operator.submit(bytes.fromhex(entry.raw))
        except MessagingError as error:
            if isinstance(error.__cause__, TimeoutError):
                # Sent, and no answer: it stays in the queue, so it is neither lost nor paid twice.
                raise MessagingError(
                    f"{error} The transaction is kept and will be sent again: look with "
                    f"`smartshare chain tx {entry.id}` before you pay anew"
                ) from None
            refused = msgspec.structs.replace(left, standing=Standing.DROPPED, reason=str(error))
            self._file.edit(lambda queue: update(queue, refused))
            raise
        sent = msgspec.structs.replace(left, standing=Standing.SENT)
        self._file.edit(lambda queue: update(queue, sent))
