"""Keeps the node registered and its identity's lease held by this running instance.

It works in the rounds of anchoring, on their task, since its transactions are the metering account's too.
"""

import asyncio
import logging

from gateway.app.lease_rules import Step, Verdict, decide, twin_detail
from gateway.app.ledger_link import LedgerLink
from gateway.app.transactions import FREE_BELOW, TransactionAuthor, build_payload_paid_by
from gateway.clock import Clock
from gateway.errors import MessagingError
from gateway.model.ledger_api import AccountReply, IdentityReply, StatusReply, SubmitReply
from gateway.readings.store import ReadingsStore
from gateway.smart_agent.client import AgentClient
from gateway.smart_agent.identity_messages import LeaseStanding
from gateway.smart_agent.keys import AgentKeys, Purpose
from ledger.codec.canonical import encode
from ledger.codec.text import format_address
from ledger.errors import Reason
from ledger.params import EXPIRY_HEIGHTS_MAX
from ledger.types.identity_bodies import NameOwner, RenewLease
from ledger.types.transaction import RegisterNode, SignedTransaction

logger = logging.getLogger(__name__)

PURPOSE_LEASE = "lease"
PURPOSE_OWNER = "owner"
CHECK_AGAIN_NS = 500_000_000  # while something is under way: about the shortest block interval
HELD_CHECK_NS = 20_000_000_000  # a lease is renewed every five minutes
REGISTER_AGAIN_NS = 10_000_000_000  # a registration that waits for funds is not hurried

_STANDINGS = {
    Step.HOLD: LeaseStanding.HELD,
    Step.RENEW: LeaseStanding.HELD,
    Step.WAIT: LeaseStanding.TAKEN,
    Step.STOP_TWIN: LeaseStanding.TWIN,
    Step.STOP_RETIRED: LeaseStanding.RETIRED,
}


class IdentityKeeper:
    """Opens the way for anchoring once the chain confirms the lease, and shuts it when that ends."""

    def __init__(  # noqa: PLR0917 - the parts that it works with
        self,
        store: ReadingsStore,
        author: TransactionAuthor,
        ledger: LedgerLink,
        agent: AgentClient,
        keys: AgentKeys,
        clock: Clock,
    ) -> None:
        self._store = store
        self._author = author
        self._ledger = ledger
        self._agent = agent
        self._keys = keys
        self._clock = clock
        self._due_ns = clock.monotonic_ns()
        self._register_again_ns = self._due_ns
        self._is_held = False
        self._is_twin = False
        self._is_owner_named = False
        self._registration_problem = ""
        self.problem = ""

    async def is_open(self) -> bool:
        """Tell whether this instance holds the identity; raises `MessagingError`, `AgentError`."""
        if self._clock.monotonic_ns() >= self._due_ns:
            await self._check()
        return self._is_held

    def failed(self, purpose: str, reason: str) -> None:
        """Hear why a transaction of the metering account failed."""
        if purpose == PURPOSE_LEASE:
            self._due_ns = self._clock.monotonic_ns()
            # The chain refuses a renewal of the holder itself only when its number was used.
            self._is_twin = self._is_held and reason.startswith(Reason.LEASE_HELD.value)

    async def _check(self) -> None:
        known = await self._ledger.call(
            "identity", {"address": self._keys.node.hex()}, IdentityReply
        )
        running = await asyncio.to_thread(self._agent.running_instance)
        verdict = decide(known, running.instance, running.renewal)
        if self._is_twin:
            verdict = Verdict(Step.STOP_TWIN, twin_detail(running.instance))
        self._due_ns = self._clock.monotonic_ns() + CHECK_AGAIN_NS
        standing = _STANDINGS.get(verdict.step)
        if standing is not None and standing.value != running.standing:
            await asyncio.to_thread(self._agent.report_lease, standing, verdict.detail)
        self._note(verdict)
        await self._act(verdict, known, running.instance, running.renewal)

    def _note(self, verdict: Verdict) -> None:
        self._is_held = verdict.step in (Step.HOLD, Step.RENEW)
        if verdict.detail and verdict.detail != self.problem:
            logger.error("%s", verdict.detail)
        if verdict.step is not Step.REGISTER:
            self._registration_problem = ""
        self.problem = verdict.detail or self._registration_problem

    async def _act(
        self, verdict: Verdict, known: IdentityReply, instance: bytes, renewal: int
    ) -> None:
        match verdict.step:
            case Step.TAKE | Step.RENEW:
                if not self._is_pending(PURPOSE_LEASE):
                    await self._author.issue(RenewLease(instance, renewal + 1), PURPOSE_LEASE)
            case Step.HOLD:
                self._due_ns = self._clock.monotonic_ns() + HELD_CHECK_NS
                await self._name_owner(known)
            case Step.REGISTER:
                await self._register_if_due()
            case Step.WAIT | Step.STOP_TWIN | Step.STOP_RETIRED:
                pass

    async def _name_owner(self, known: IdentityReply) -> None:
        """Let the wallet own the node, once: its words bring it back when the card is gone."""
        if known.owner or self._is_owner_named or self._is_pending(PURPOSE_OWNER):
            return
        # Naming is never free: unpaid it would hold up, by its nonce, what is.
        if await self._get_balance() < FREE_BELOW:
            return
        await self._author.issue(NameOwner(self._keys.node, self._keys.wallet), PURPOSE_OWNER)
        self._is_owner_named = True

    async def _register_if_due(self) -> None:
        """Register the node with its keys; the metering account pays, so it must hold something."""
        now_ns = self._clock.monotonic_ns()
        if now_ns < self._register_again_ns:
            return
        self._register_again_ns = now_ns + REGISTER_AGAIN_NS
        raw = await self._build_registration()
        try:
            await self._ledger.call("submit", {"raw": raw.hex()}, SubmitReply)
        except MessagingError as error:
            self._registration_problem = self._explain_registration(str(error))
            self.problem = self._registration_problem

    def _explain_registration(self, refusal: str) -> str:
        if not refusal.startswith(Reason.INSUFFICIENT_FUNDS.value):
            return f"this node is not registered yet: {refusal}"
        metering = format_address(self._keys.metering)
        return (
            "this node is not registered yet: its metering account cannot pay for that. Send it something, as"
            f" with `smartshare wallet send {metering} 1`, or let the wallet pay: `smartshare chain stand`"
        )

    async def _get_balance(self) -> int:
        asked = {"address": self._keys.metering.hex()}
        return (await self._ledger.call("account", asked, AccountReply)).balance

    async def _build_registration(self) -> bytes:
        keys = self._keys
        account = await self._ledger.call("account", {"address": keys.node.hex()}, AccountReply)
        status = await self._ledger.call("status", {}, StatusReply)
        proofs = await asyncio.to_thread(self._agent.prove_possession)
        payload = build_payload_paid_by(
            keys.metering,
            bytes.fromhex(status.chain_id),
            keys.node,
            account.nonce,
            status.height + EXPIRY_HEIGHTS_MAX // 2,
            RegisterNode(keys.consensus, keys.metering, proofs.consensus, proofs.metering),
        )
        signature, fee_signature = [
            await asyncio.to_thread(self._agent.sign_transaction, purpose, payload)
            for purpose in (Purpose.NODE, Purpose.METERING)
        ]
        return encode(SignedTransaction(payload, signature, fee_signature))

    def _is_pending(self, purpose: str) -> bool:
        return any(entry.purpose == purpose for entry in self._store.pending_transactions())
