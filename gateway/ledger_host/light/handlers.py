"""A light node's answers to the gateway's other processes: those of a full one, each made from proofs.

Requests arrive on threads; the chain is asked on the event loop. What takes the whole chain is refused.
"""

from collections.abc import Callable
from typing import TypeVar

import msgspec

from gateway.errors import MessagingError
from gateway.ledger_host.coin_answers import build_coin_reply
from gateway.ledger_host.identity_replies import (
    build_identity_reply,
    build_revocation_reply,
    build_software_reply,
)
from gateway.ledger_host.light.chain import LightChain
from gateway.ledger_host.light.state import FetchedState, LoopCaller
from gateway.ledger_host.requests import (
    Request,
    build_device_reply,
    build_transaction_reply,
    make_handler,
    parse_bytes,
    parse_hex,
)
from gateway.ledger_host.stake_replies import (
    build_agents_reply,
    build_parameters_reply,
    build_proposals_reply,
    build_stake_reply,
)
from gateway.messaging.server import Handler
from gateway.model.ledger_api import (
    LIGHT_REFUSAL,
    AccountReply,
    BlockReply,
    CoinReply,
    CulpritsReply,
    DeviceReply,
    EvidenceReply,
    IdentityReply,
    PeersReply,
    QueryReply,
    RevocationReply,
    SoftwareReply,
    StatusReply,
    SubmitReply,
    TransactionReply,
)
from gateway.model.stake_api import (
    AgentsReply,
    ParametersReply,
    ProofReply,
    ProposalsReply,
    StakeReply,
)
from ledger.codec.canonical import Decoder, encode
from ledger.errors import Rejected
from ledger.light import StateEvidence
from ledger.light.follower import VerifiedHeader
from ledger.node.views import IdentityView
from ledger.state import keys
from ledger.state.accounts import REWARD_POOL, get_account
from ledger.state.agents import get_agent_nodes
from ledger.state.governance import get_unsettled_proposals
from ledger.state.identities import (
    get_lease,
    get_node,
    get_owner,
    get_retirement,
    get_revocation,
    get_software,
)
from ledger.types.block import Certificate
from ledger.types.records import Device

# Whoever holds a lease holds it for 15 minutes and renews it after five: to be asked sooner teaches nothing.
IDENTITY_AGE_MS_MAX = 300_000

T = TypeVar("T")

_devices = Decoder(Device)
_certificates = Decoder(Certificate)


class LightHandlers:
    """Answers requests from proofs; the same verbs as `LedgerHandlers`."""

    def __init__(
        self,
        chain: LightChain,
        caller: LoopCaller,
        peers: Callable[[], PeersReply],
        status: Callable[[], StatusReply],
    ) -> None:
        """`peers` and `status` are called on the event loop."""
        self._chain = chain
        self._caller = caller
        self._peers = peers
        self._status_of = status

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
            "identity": self._identity,
            "revocation": self._revocation,
            "software": self._software,
            "coin": self._coin,
            "peers": lambda _request: self._on_loop(self._peers),
            "culprits": lambda _request: CulpritsReply(()),  # it sees no votes
            "agents": lambda _request: self._agents(),
            "parameters": lambda _request: self._parameters(),
            "proposals": lambda _request: self._proposals(),
            "stake": self._stake,
            "proof": self._proof,
            # A contract that gives no answer: whoever asks for sessions goes on with the rest.
            "query": lambda _request: QueryReply(ok=False, refusal=LIGHT_REFUSAL),
        }
        return {verb: make_handler(answer) for verb, answer in verbs.items()}

    def _on_loop(self, ask: Callable[[], T]) -> T:
        async def run() -> T:
            return ask()

        return self._caller.wait(run())

    def _fetched(self) -> FetchedState:
        return FetchedState(self._chain, self._caller)

    def _status(self, request: Request) -> StatusReply:
        if request.fresh:
            self._caller.wait(self._chain.look())
        return self._on_loop(self._status_of)

    def _account(self, request: Request) -> AccountReply:
        address = parse_bytes(request.address, "address")
        account = get_account(self._fetched(), address)
        pending = self._on_loop(lambda: self._chain.pool.next_nonce(address, account.nonce))
        return AccountReply(account.balance, account.nonce, pending)

    def _submit(self, request: Request) -> SubmitReply:
        taken = self._caller.wait(self._chain.submit(parse_hex(request.raw, "raw")))
        if isinstance(taken, Rejected):
            raise MessagingError(str(taken))
        return SubmitReply(taken.hex())

    def _transaction(self, request: Request) -> TransactionReply:
        transaction_id = parse_bytes(request.id, "id")
        found = self._caller.wait(self._chain.transaction(transaction_id))
        if found is not None:
            return build_transaction_reply(found.at.header.height, found.outcome)
        is_waiting = self._on_loop(lambda: transaction_id in self._chain.pool)
        return TransactionReply("pending" if is_waiting else "unknown")

    def _evidence(self, request: Request) -> EvidenceReply:
        found = self._caller.wait(self._chain.transaction(parse_bytes(request.id, "id")))
        if found is None:
            raise MessagingError(
                f"transaction {request.id[:16]} is not final, or no full node keeps it any more"
            )
        header = found.at.header
        changes = self._on_loop(lambda: self._chain.set_changes(header.epoch))
        evidence = msgspec.structs.replace(found.evidence, set_changes=changes)
        return EvidenceReply(header.height, encode(evidence).hex())

    def _block(self, request: Request) -> BlockReply:
        block = self._caller.wait(self._chain.block(request.height))
        header = block.at.header
        certificate = _certificates.decode(block.at.final.certificate)
        return BlockReply(
            height=header.height,
            hash=block.at.hash.hex(),
            parent_hash=header.parent_hash.hex(),
            time_ms=header.time_ms,
            epoch=header.epoch,
            slot=header.slot,
            parent_slot=header.parent_slot,
            proposer=header.proposer.hex(),
            state_root=header.state_root.hex(),
            signers=len(certificate.signatures),
            transactions=tuple(one.hex() for one in block.transaction_ids),
        )

    def _device(self, request: Request) -> DeviceReply:
        data = self._fetched().get(keys.device_key(parse_bytes(request.device_id, "device_id")))
        return build_device_reply(None if data is None else _devices.decode(data))

    def _identity(self, request: Request) -> IdentityReply:
        node, state = parse_bytes(request.address, "address"), self._fetched()
        wanted = (keys.node_key, keys.owner_key, keys.retirement_key, keys.lease_key)
        proven = state.fetch((key(node) for key in wanted), age_ms_max=IDENTITY_AGE_MS_MAX)
        view = IdentityView(
            time_ms=proven.at.header.time_ms,
            node=get_node(state, node),
            owner=get_owner(state, node),
            retirement=get_retirement(state, node),
            lease=get_lease(state, node),
        )
        return build_identity_reply(view)

    def _revocation(self, request: Request) -> RevocationReply:
        return build_revocation_reply(
            get_revocation(self._fetched(), parse_bytes(request.id, "id"))
        )

    def _software(self, request: Request) -> SoftwareReply:
        return build_software_reply(get_software(self._fetched(), parse_bytes(request.id, "id")))

    def _coin(self, request: Request) -> CoinReply:
        coin, address = parse_bytes(request.id, "id"), parse_bytes(request.address, "address")
        state = self._fetched()
        state.fetch((keys.coin_key(coin), keys.coin_balance_key(coin, address)))
        return build_coin_reply(state, coin, address)

    def _agents(self) -> AgentsReply:
        state = self._fetched()
        proven = state.fetch(
            (
                keys.AGENT_INDEX_KEY,
                keys.EPOCH_KEY,
                keys.RUNNING_KEY,
                keys.PARAMETERS_KEY,
                keys.account_key(REWARD_POOL),
            )
        )
        nodes = get_agent_nodes(state)
        records = (keys.agent_key, keys.tally_key, keys.retirement_key)
        state.fetch(key(node) for node in nodes for key in records)
        return build_agents_reply(state, proven.at.header.time_ms)

    def _parameters(self) -> ParametersReply:
        return build_parameters_reply(self._fetched())

    def _proposals(self) -> ProposalsReply:
        state = self._fetched()
        state.fetch((keys.PROPOSAL_INDEX_KEY, keys.PARAMETERS_KEY, keys.STAKE_TOTAL_KEY))
        unsettled = get_unsettled_proposals(state)
        if unsettled:
            state.fetch(keys.proposal_key(one) for one in unsettled)
        return build_proposals_reply(state)

    def _stake(self, request: Request) -> StakeReply:
        address, state = parse_bytes(request.address, "address"), self._fetched()
        records = (keys.stake_key, keys.unbonding_key, keys.vote_key, keys.allowance_key)
        state.fetch((keys.PARAMETERS_KEY, keys.EPOCH_KEY, *(key(address) for key in records)))
        return build_stake_reply(state, address)

    def _proof(self, request: Request) -> ProofReply:
        key = parse_hex(request.id, "id")
        proven = self._caller.wait(self._chain.read((key,)))
        at: VerifiedHeader = proven.at
        evidence = StateEvidence(
            key=key,
            value=proven.values[key],
            proof=proven.proofs[key],
            header=at.final.header,
            certificate=at.final.certificate,
            descendants=at.final.descendants,
            set_changes=self._on_loop(lambda: self._chain.set_changes(at.header.epoch)),
        )
        return ProofReply(at.header.height, encode(evidence).hex())
