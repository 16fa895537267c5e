"""What peers send: sorted, bounded and sent to verification; then believed and acted on.

Rule 1: whatever is known, out of the window or of another epoch is dropped before any signature is
verified; a certificate whose signatures are all known needs no verification.
Rule 2: who is behind is helped, who is ahead is asked; both at most once in `retry_ms`.
"""

from typing import assert_never

from ledger.consensus.blocks import open_block
from ledger.consensus.certifying import add_certificate, count_vote, is_countable, is_needed
from ledger.consensus.effects import Send, ServeBlock, ServeChain, VerifySignatures
from ledger.consensus.fetching import take_block
from ledger.consensus.gossiping import get_status, help_laggard, may_answer
from ledger.consensus.inputs import MessageReceived, SignaturesVerified
from ledger.consensus.parents import get_signers
from ledger.consensus.state import WINDOW, Candidate, State
from ledger.consensus.syncing import ask_chain, is_awaited, take_chain
from ledger.crypto.domains import VoteKind
from ledger.errors import Rejected
from ledger.types.block import Block, Certificate, Header, Vote
from ledger.types.messages import (
    BlockMessage,
    CertificateMessage,
    ChainMessage,
    EvidenceMessage,
    GetBlock,
    GetChain,
    GetProposal,
    Propose,
    Status,
    VoteMessage,
    VoteSet,
)

PEER_CLOCKS_MAX = 256  # enough for a median that a few liars cannot move


def receive(state: State, received: MessageReceived) -> bool:
    """Take a message; tell whether anything may go on because of it."""
    peer, message = received.peer, received.message
    match message:
        case VoteMessage() | VoteSet() | EvidenceMessage():
            _receive_votes(state, peer, _get_votes(message))
        case CertificateMessage(certificate):
            return _receive_certificate(state, peer, certificate)
        case Propose():
            return _receive_proposal(state, peer, message)
        case Status():
            _receive_status(state, peer, message)
        case BlockMessage(block):
            return _receive_block(state, block)
        case ChainMessage():
            _receive_chain(state, peer, message)
        case GetBlock() | GetProposal() | GetChain():
            _answer(state, peer, message)
        case _:
            assert_never(message)
    return False


def take_verified(state: State, verified: SignaturesVerified) -> bool:
    """Believe what is genuine; tell whether anything may go on because of it."""
    changed = False
    message = verified.message
    if isinstance(message, ChainMessage):
        proof = message.proof.certificate
        return proof in verified.certificates and take_chain(state, message, proof)
    for certificate in verified.certificates:
        changed |= add_certificate(state, certificate)
    for vote in verified.votes:
        changed |= count_vote(state, vote)
    if message is not None:
        changed |= _take_proposal(state, message, verified.certificates)
    return changed


def _get_votes(message: VoteMessage | VoteSet | EvidenceMessage) -> tuple[Vote, ...]:
    match message:
        case VoteMessage(vote):
            return (vote,)
        case VoteSet(votes):
            return votes
        case EvidenceMessage(first, second):
            return (first, second)


def _receive_votes(state: State, peer: bytes, votes: tuple[Vote, ...]) -> None:
    if not votes or not _is_our_epoch(state, peer, votes[0].epoch):
        return
    wanted = tuple(vote for vote in votes if is_countable(state, vote))
    if wanted:
        state.emit(VerifySignatures(peer, state.epoch, wanted, ()))
    for vote in votes:
        if vote.kind is VoteKind.NULLIFY and vote.slot < state.slot:
            help_laggard(state, peer, vote.slot)
        elif vote.slot > state.slot + WINDOW:
            _tell_status(state, peer)
    if len(votes) > 1:
        _ask_proposal(state, peer, votes)


def _ask_proposal(state: State, peer: bytes, votes: tuple[Vote, ...]) -> None:
    """Ask for the running slot's proposal where others vote for one that we do not have."""
    is_missing = state.slot not in state.candidates and any(
        vote.kind is VoteKind.NOTARIZE and vote.slot == state.slot for vote in votes
    )
    if is_missing and may_answer(state, peer):
        state.emit(Send(peer, GetProposal(state.epoch.number, state.slot)))


def _receive_certificate(state: State, peer: bytes, certificate: Certificate) -> bool:
    if not _is_our_epoch(state, peer, certificate.epoch) or not is_needed(state, certificate):
        return False
    if _is_proven(state, certificate):
        return add_certificate(state, certificate)
    state.emit(VerifySignatures(peer, state.epoch, (), (certificate,)))
    return False


def _is_proven(state: State, certificate: Certificate) -> bool:
    """Tell whether a certificate holds nothing but signatures that were verified before."""
    if state.certificates.of_kind(certificate.kind).get(certificate.slot) == certificate:
        return True
    return len(certificate.signatures) >= state.epoch.quorum and state.book.covers(certificate)


def _receive_proposal(state: State, peer: bytes, message: Propose) -> bool:
    """Have a proposal's unknown signatures verified, if it could still matter."""
    vote = message.vote
    if not _is_our_epoch(state, peer, vote.epoch):
        return False
    unproven = tuple(
        certificate
        for certificate in message.certificates
        if certificate.epoch == state.epoch.number
        and certificate.slot >= state.tip.slot
        and not _is_proven(state, certificate)
    )
    votes = (vote,) if is_countable(state, vote) else ()
    is_open = state.slot <= vote.slot <= state.slot + WINDOW
    if not is_open and not any(is_needed(state, certificate) for certificate in unproven):
        return False
    if not votes and not unproven:
        return _take_proposal(state, message, ())
    state.emit(VerifySignatures(peer, state.epoch, votes, unproven, message))
    return False


def _take_proposal(state: State, message: Propose, genuine: tuple[Certificate, ...]) -> bool:
    """Keep the first proposal of an open slot by its leader, with the certificates that are proven."""
    proven = tuple(c for c in message.certificates if c in genuine or _is_proven(state, c))
    changed = False
    for certificate in proven:
        changed |= add_certificate(state, certificate)
    vote = message.vote
    is_candidate = (
        vote.epoch == state.epoch.number
        and state.slot <= vote.slot <= state.slot + WINDOW
        and vote.slot not in state.candidates
        and vote.voter == state.epoch.leader(vote.slot)
        and state.book.has(vote.slot, VoteKind.NOTARIZE, vote.block_hash, vote.voter)
    )
    if not is_candidate:
        return changed
    proposal = open_block(message.block, state.rules.chain_id)
    if isinstance(proposal, Rejected) or proposal.hash != vote.block_hash:
        return changed
    header = proposal.header
    if (header.epoch, header.slot) != (vote.epoch, vote.slot) or not _has_proof(header, proven):
        return changed
    state.candidates[vote.slot] = Candidate(proposal, proven, vote)
    state.blocks.setdefault(proposal.hash, proposal)
    state.wants.pop(proposal.hash, None)
    return True


def _has_proof(header: Header, proven: tuple[Certificate, ...]) -> bool:
    """Tell whether a header's `parent_signers` are those of a proven certificate of its parent."""
    if header.parent_slot == 0:
        return header.parent_signers == get_signers(None)
    return any(
        certificate.slot == header.parent_slot
        and certificate.block_hash == header.parent_hash
        and certificate.signers == header.parent_signers
        for certificate in proven
    )


def _receive_status(state: State, peer: bytes, status: Status) -> None:
    clocks = state.peer_clocks
    if status.is_synchronised and (peer in clocks or len(clocks) < PEER_CLOCKS_MAX):
        clocks[peer] = status.time_ms - state.now.monotonic_ms
    if not _is_our_epoch(state, peer, status.epoch):
        return
    help_laggard(state, peer, status.slot)
    if status.height > state.tip.height + 1:
        ask_chain(state, peer, status.height)
    elif status.height + 1 < state.tip.height:
        _tell_status(state, peer)


def _receive_chain(state: State, peer: bytes, message: ChainMessage) -> None:
    if is_awaited(state, peer, message):
        proof = message.proof.certificate
        state.emit(VerifySignatures(peer, state.epoch, (), (proof,), message))


def _receive_block(state: State, block: Block) -> bool:
    proposal = open_block(block, state.rules.chain_id)
    return not isinstance(proposal, Rejected) and take_block(state, proposal)


def _answer(state: State, peer: bytes, question: GetBlock | GetProposal | GetChain) -> None:
    match question:
        case GetBlock(_, block_hash):
            proposal = state.blocks.get(block_hash)
            if proposal is None:
                state.emit(ServeBlock(peer, block_hash))
            else:
                state.emit(Send(peer, BlockMessage(proposal.block)))
        case GetProposal(epoch, slot):
            candidate = state.candidates.get(slot) if epoch == state.epoch.number else None
            if candidate is not None and candidate.vote is not None:
                block, certificates = candidate.proposal.block, candidate.certificates
                state.emit(Send(peer, Propose(block, candidate.vote, certificates)))
        case GetChain(height):
            if height < state.tip.height:
                state.emit(ServeChain(peer, height))
        case _:
            assert_never(question)


def _is_our_epoch(state: State, peer: bytes, epoch: int) -> bool:
    """Tell whether a message is of the running epoch; if not, get whoever is behind to catch up."""
    if epoch == state.epoch.number:
        return True
    if epoch < state.epoch.number:
        _tell_status(state, peer)
    else:
        ask_chain(state, peer, state.tip.height + 1)
    return False


def _tell_status(state: State, peer: bytes) -> None:
    if may_answer(state, peer):
        state.emit(Send(peer, get_status(state)))
