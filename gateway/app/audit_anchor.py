"""Anchors the head of the SmartAgent's audit log now and then, so that nobody can rewrite it afterwards."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from gateway.app.ledger_link import LedgerLink
from gateway.app.transactions import TransactionAuthor, decode_transaction
from gateway.clock import Clock
from gateway.model.ledger_api import DeviceReply, EvidenceReply
from gateway.smart_agent.audit.anchored import AUDIT_PROFILE, AnchoredHead, audit_device, head_root
from gateway.smart_agent.audit.entry import Head
from gateway.smart_agent.client import AgentClient
from ledger.codec.canonical import Decoder
from ledger.light import AnchorEvidence
from ledger.params import HASH_BYTES
from ledger.types.transaction import Anchor, RegisterDevice

INTERVAL_NS = (
    3_600_000_000_000  # one small fee an hour; what is younger can still be rewritten unseen
)
FIRST_IN_NS = 60_000_000_000  # a gateway that starts has more urgent things to anchor
REGISTERED_IN_NS = 1_000_000_000  # it is asked again once the registration is out of the outbox

PURPOSE_AUDIT = "audit-head"

ANCHORED_MAX = 1_000  # six weeks of them

_NO_ANCHOR = bytes(HASH_BYTES)
_evidence = Decoder(AnchorEvidence)
_log = logging.getLogger(__name__)


class AuditAnchor:
    """One anchor an hour. One that fails is followed by the next: each stands for the whole log."""

    def __init__(
        self,
        author: TransactionAuthor,
        ledger: LedgerLink,
        agent: AgentClient,
        node_id: bytes,
        clock: Clock,
    ) -> None:
        self._author = author
        self._ledger = ledger
        self._agent = agent
        self._node_id = node_id
        self._clock = clock
        self._due_ns = clock.monotonic_ns() + FIRST_IN_NS

    async def round(self) -> None:
        """Do what is due; raises `MessagingError` or `AgentError` when somebody is away."""
        now_ns = self._clock.monotonic_ns()
        if now_ns < self._due_ns or self._author.is_waiting(PURPOSE_AUDIT):
            return
        device_id = audit_device(self._node_id)
        known = await self._ledger.call("device", {"device_id": device_id.hex()}, DeviceReply)
        if not known.registered:
            await self._author.issue(RegisterDevice(device_id, AUDIT_PROFILE), PURPOSE_AUDIT)
            self._due_ns = now_ns + REGISTERED_IN_NS
            return
        answer = await asyncio.to_thread(self._agent.audit_head)
        head = Head(answer.sequence, answer.hash)
        time_ms = self._clock.now_ms()
        body = Anchor(
            device_id=device_id,
            profile_hash=AUDIT_PROFILE,
            first=known.next_sequence,
            count=1,
            time_first_ms=time_ms,
            time_last_ms=time_ms,
            root=head_root(self._node_id, head),
            previous=bytes.fromhex(known.last_anchor) or _NO_ANCHOR,
        )
        await self._author.issue(body, PURPOSE_AUDIT)
        self._due_ns = now_ns + INTERVAL_NS
        _log.info("audit log: entry %d goes into the chain", head.sequence)


def load_anchored(ask: Callable[..., Any], node_id: bytes) -> list[AnchoredHead]:
    """Return the newest anchored heads of a node's audit log, oldest first.

    `ask(verb, body, reply)` asks the ledger, as `Operator.ask` does.
    """
    device = ask("device", {"device_id": audit_device(node_id).hex()}, DeviceReply)
    transaction_id = device.last_anchor
    found: list[AnchoredHead] = []
    while transaction_id.strip("0") and len(found) < ANCHORED_MAX:
        reply = ask("evidence", {"id": transaction_id}, EvidenceReply)
        evidence = _evidence.decode(bytes.fromhex(reply.evidence))
        body = decode_transaction(evidence.transaction).body
        assert isinstance(body, Anchor), "a device's last anchor is one"
        found.append(AnchoredHead(reply.height, body.root))
        transaction_id = body.previous.hex()
    return found[::-1]
