"""What the SmartAgent does with a request: one at a time, policy and guard before the key.

Rule 1: this is the only caller of `KeyProvider.sign`, and what it signs begins with a domain prefix.
Rule 2: a signature leaves only after its entry is in the audit log.
"""

import logging

from gateway.clock import Clock
from gateway.errors import AgentError
from gateway.smart_agent.alarm import AlarmFile
from gateway.smart_agent.audit.entry import EntryKind, Result, VotePlace
from gateway.smart_agent.audit.log import AuditLog, Event
from gateway.smart_agent.binding import Binding
from gateway.smart_agent.guard import SignGuard
from gateway.smart_agent.identity_messages import AskInstance, AskProofs, Proofs, ReportLease
from gateway.smart_agent.judge import VoteRequest
from gateway.smart_agent.keys import AgentKeys, KeyProvider, Purpose, describe_keys
from gateway.smart_agent.lease_desk import LeaseDesk
from gateway.smart_agent.messages import (
    AskAuditHead,
    AuditHead,
    Bind,
    Describe,
    Noted,
    OnionCommitment,
    OnionReveal,
    OnionValue,
    Refused,
    RefusedReason,
    ReportOwnVote,
    ReportTip,
    Request,
    Response,
    Signed,
    SignedMany,
    SignMany,
    SignTransaction,
    SignVote,
    TypedRequest,
)
from gateway.smart_agent.metering_desk import MeteringDesk
from gateway.smart_agent.metering_messages import (
    AskOcmfKey,
    AskPage,
    MeteringRequest,
    NotePage,
    OcmfSigned,
    SignMeasurement,
    SignOcmf,
)
from gateway.smart_agent.onion_desk import OnionDesk
from gateway.smart_agent.rate_limit import RateLimit
from gateway.smart_agent.signing import Prepared, prepare
from gateway.smart_agent.spending_desk import SpendingDesk
from gateway.smart_agent.spending_messages import (
    ApprovePayment,
    AskSpending,
    ChangeSpending,
    SpendingRequest,
)
from gateway.smart_agent.vote_desk import VoteDesk
from gateway.smart_agent.vote_watch import TipReport
from ledger.crypto.domains import possession_message, vote_message
from ledger.crypto.ed25519 import verify_strict

_log = logging.getLogger(__name__)

_NOT_BOUND = Refused(RefusedReason.NOT_BOUND, "this SmartAgent is not bound to a chain yet")
_TOO_MANY_TOKENS = Refused(RefusedReason.RATE_LIMIT, "more session tokens than peers can need")
# Strangers ask for tokens through the peer listener, and each is an entry in the audit log: two a second are
# fifteen megabytes of it a day. All peers of a node may come at once.
TOKEN_INTERVAL_NS = 500_000_000
TOKEN_BURST = 256


class Agent:
    """Keys, chain, guard and audit log of one node. Synchronous: a signature and its record are one step."""

    def __init__(  # noqa: PLR0913 - the parts that are composed here
        self,
        keys: KeyProvider,
        binding: Binding,
        *,
        guard: SignGuard,
        alarm: AlarmFile,
        audit: AuditLog,
        onions: OnionDesk,
        clock: Clock,
        lease: LeaseDesk,
        spending: SpendingDesk,
        metering: MeteringDesk,
    ) -> None:
        self._keys = keys
        self._binding = binding
        self._guard = guard
        self._alarm = alarm
        self._audit = audit
        self._onions = onions
        self._clock = clock
        self._lease = lease
        self._spending = spending
        self._metering = metering
        self._token_rate = RateLimit(interval_ns=TOKEN_INTERVAL_NS, burst=TOKEN_BURST)
        self._desk = VoteDesk(guard, alarm, binding.slot_ms, clock)
        self._description = describe_keys(keys, binding.chain_id)
        self._audit.append(EntryKind.STARTED, "", self._description.consensus)
        if alarm.line is not None:
            _log.critical("%s", alarm.line)

    @property
    def description(self) -> AgentKeys:
        """The public keys and the chain."""
        return self._description

    def handle(self, request: Request) -> Response:
        """Answer one request; a failure of the disk or of a token is a refusal too."""
        try:
            response = self._answer(request)
        except AgentError as error:
            response = Refused(RefusedReason.FAILED, str(error))
        # The vote desk counts votes that come while it listens: a line for each would fill the log.
        if isinstance(response, Refused) and response.reason is not RefusedReason.LISTENING:
            _log.warning("refused %s: %s", _summary(request), response)
        return response

    def sync(self) -> None:
        """Make audit entries durable that have waited long enough. Call it about once a second."""
        try:
            self._audit.sync_if_due()
        except AgentError as error:
            _log.error("%s", error)

    def work_ahead(self) -> bool:
        """Do a little of what a later request will need; return whether there is more to do."""
        return self._onions.make_some()

    def _answer(self, request: Request) -> Response:
        match request:
            case Describe() | Bind():
                return self._bind(request) if isinstance(request, Bind) else self._description
            case SignVote():
                return self._sign_vote(request)
            case SignMany():
                return self._sign_many(request)
            case ReportTip() | ReportOwnVote():
                return self._take_report(request)
            case (AskProofs() | AskInstance() | ReportLease()) | (
                (AskSpending() | ChangeSpending() | ApprovePayment())
                | (AskPage() | NotePage() | SignOcmf() | AskOcmfKey())
            ):
                return self._answer_owner(request)
            case AskAuditHead():
                self._audit.sync()
                return AuditHead(self._audit.head.sequence, self._audit.head.hash)
            case OnionCommitment() | OnionReveal():
                return self._answer_onion(request)
            case _:
                return self._sign(request)

    def _answer_owner(
        self, request: AskProofs | AskInstance | ReportLease | SpendingRequest | MeteringRequest
    ) -> Response:
        """Answer about the identity, the wallet's policy and measurement records."""
        match request:
            case AskProofs():
                return self._prove_possession()
            case AskInstance():
                return self._lease.running
            case ReportLease():
                self._lease.report(request)
                self._desk.report_lease(request.standing)
                return self._lease.running
            case AskPage() | NotePage() | SignOcmf() | AskOcmfKey():
                return self._answer_metering(request)
            case _:
                return self._spending.answer(request)

    def _answer_metering(self, request: MeteringRequest) -> Response:
        if isinstance(request, SignOcmf):
            refused = self._lease.admit(Purpose.METERING, None)
            if refused is not None:
                return refused
        answer = self._metering.answer(request, self._description.metering)
        if isinstance(answer, OcmfSigned):
            self._audit.append(EntryKind.OCMF, Purpose.METERING.value, answer.text.encode())
        return answer

    def _bind(self, request: Bind) -> Response:
        bound = self._binding.chain_id
        if bound is None:
            self._binding.bind(request.chain_id, request.slot_ms)
            self._description = describe_keys(self._keys, request.chain_id)
            self._desk = VoteDesk(self._guard, self._alarm, request.slot_ms, self._clock)
            _log.info("bound to chain %s", request.chain_id.hex()[:16])
        elif bound != request.chain_id:
            detail = f"this SmartAgent serves chain {bound.hex()[:16]} and cannot change it"
            return Refused(RefusedReason.WRONG_CHAIN, detail)
        return self._description

    def _sign(self, request: TypedRequest) -> Response:
        prepared = self._prepare(request)
        if isinstance(prepared, Refused):
            return prepared
        signature = self._keys.sign(prepared.purpose, prepared.message)
        self._audit.append(prepared.kind, prepared.purpose.value, prepared.message)
        return Signed(signature)

    def _prepare(self, request: TypedRequest) -> Prepared | Refused:
        """Return what to sign now: allowed by its form and policy, and by who holds the identity."""
        prepared = prepare(request, self._description)
        if isinstance(prepared, Refused):
            return prepared
        if prepared.kind is EntryKind.SESSION_TOKEN:
            is_in_time = self._token_rate.admit(self._clock.monotonic_ns())
            return prepared if is_in_time else _TOO_MANY_TOKENS
        refused = self._lease.admit(prepared.purpose, prepared.transaction)
        if refused is None and prepared.payment is not None:
            refused = self._spending.admit(prepared.payment)
        if refused is None and isinstance(request, SignMeasurement) and prepared.record is not None:
            refused = self._metering.admit(prepared.record, request.payload)
        return refused or prepared

    def _prove_possession(self) -> Response:
        chain_id = self._binding.chain_id
        if chain_id is None:
            return _NOT_BOUND
        message = possession_message(chain_id, self._description.node)
        proofs = []
        for purpose in (Purpose.CONSENSUS, Purpose.METERING):
            proofs.append(self._keys.sign(purpose, message))
            self._audit.append(EntryKind.POSSESSION, purpose.value, message)
        return Proofs(*proofs)

    def _sign_many(self, request: SignMany) -> Response:
        ready: list[Prepared] = []
        for number, one in enumerate(request.requests):
            prepared = self._prepare(one)
            if isinstance(prepared, Refused):
                return Refused(prepared.reason, f"request {number} of the batch: {prepared.detail}")
            ready.append(prepared)
        signatures = tuple(self._keys.sign(one.purpose, one.message) for one in ready)
        self._audit.append_many([Event(one.kind, one.purpose.value, one.message) for one in ready])
        return SignedMany(signatures)

    def _sign_vote(self, request: SignVote) -> Response:
        chain_id = self._binding.chain_id
        if chain_id is None:
            return _NOT_BOUND
        vote = VoteRequest(request.kind, request.epoch, request.slot, request.block_hash)
        message = _message_of(chain_id, vote)
        refused = self._desk.admit(vote)
        if refused is None:
            signature = self._keys.sign(Purpose.CONSENSUS, message)
            self._log_vote(vote, message, Result.DONE)
            return Signed(signature)
        if refused.reason is RefusedReason.SIGN_GUARD:
            self._log_vote(vote, message, Result.REFUSED)
        return refused

    def _log_vote(self, vote: VoteRequest, message: bytes, result: Result) -> None:
        place = VotePlace(vote.kind, vote.epoch, vote.slot)
        self._audit.append_vote(place, Purpose.CONSENSUS.value, message, result)

    def _answer_onion(self, request: OnionCommitment | OnionReveal) -> Response:
        if isinstance(request, OnionCommitment):
            value = self._onions.commit(request.generation)
        else:
            value = self._onions.reveal(request.around)
        if isinstance(value, Refused):
            return value
        if isinstance(request, OnionReveal):
            self._audit.append(EntryKind.ONION_REVEAL, "", value)
        return OnionValue(value)

    def _take_report(self, request: ReportTip | ReportOwnVote) -> Response:
        if isinstance(request, ReportOwnVote):
            return self._report_own_vote(request)
        self._desk.report_tip(TipReport(request.is_at_tip, request.agents))
        return Noted(self._desk.standing)

    def _report_own_vote(self, request: ReportOwnVote) -> Response:
        chain_id = self._binding.chain_id
        if chain_id is None:
            return _NOT_BOUND
        vote = VoteRequest(request.kind, request.epoch, request.slot, request.block_hash)
        message = _message_of(chain_id, vote)
        if not verify_strict(self._description.consensus, message, request.signature):
            return Refused(RefusedReason.MALFORMED, "the vote does not bear this key's signature")
        if self._desk.is_strange(vote):
            self._desk.raise_alarm(vote)
            self._audit.append(EntryKind.ALARM, "", message, is_durable=True)
        return Noted(self._desk.standing)


def _message_of(chain_id: bytes, vote: VoteRequest) -> bytes:
    return vote_message(chain_id, vote.kind, vote.epoch, vote.slot, vote.block_hash)


def _summary(request: Request) -> str:
    """Return what a log line says of a request: its kind, never its content."""
    match request:
        case SignTransaction():
            return f"transaction by the {request.purpose.value} key"
        case SignVote() | ReportOwnVote():
            return f"{request.kind.name} vote in epoch {request.epoch} slot {request.slot}"
        case _:
            return type(request).__name__
