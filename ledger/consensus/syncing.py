"""Catching up: final blocks of our epoch with one proof for a whole piece (1.8).

Rule 1: a piece is asked for, one peer at a time; an unasked one is dropped.
Rule 2: its proof is verified against our epoch's set; the end of the epoch brings the next set, so a
node follows epoch by epoch whatever the churn.
"""

from ledger.consensus.blocks import Proposal, open_block
from ledger.consensus.certifying import add_certificate
from ledger.consensus.effects import Send
from ledger.consensus.state import State, Syncing
from ledger.crypto.domains import VoteKind
from ledger.errors import Rejected
from ledger.types.block import Block, Certificate
from ledger.types.messages import ChainMessage, GetChain


def ask_chain(state: State, peer: bytes, height: int) -> None:
    """Ask a peer that has this height for what follows our tip.

    Not if we asked somebody just now, nor while what follows is here and is being executed.
    """
    if _is_catching_up(state):
        return
    last = state.syncing
    if last.asked_ms is not None:
        patience = 2 if peer == last.peer else 1  # who did not answer lets the others go first
        if state.now.monotonic_ms < last.asked_ms + patience * state.rules.retry_ms:
            return
    state.syncing = Syncing(peer, state.now.monotonic_ms, height)
    state.emit(Send(peer, GetChain(state.tip.height)))


def _is_catching_up(state: State) -> bool:
    """Tell whether final blocks from above our tip are here, and only wait to be executed."""
    tip = state.tip
    return any(
        slot > tip.slot and _leads_to_tip(state, certificate.block_hash)
        for slot, certificate in state.certificates.final.items()
    )


def _leads_to_tip(state: State, block_hash: bytes) -> bool:
    while block_hash != state.tip.hash:
        proposal = state.blocks.get(block_hash)
        if proposal is None or proposal.header.height <= state.tip.height:
            return False
        block_hash = proposal.header.parent_hash
    return True


def is_awaited(state: State, peer: bytes, message: ChainMessage) -> bool:
    """Tell whether a piece of chain was asked of this peer and fits our epoch."""
    proof = message.proof.certificate
    return (
        state.syncing.asked_ms is not None
        and state.syncing.peer == peer
        and message.epoch == state.epoch.number == proof.epoch
        and proof.kind is VoteKind.FINALIZE
    )


def take_chain(state: State, message: ChainMessage, certificate: Certificate) -> bool:
    """Take in a piece of chain whose certificate is genuine; tell whether it leads from our tip."""
    state.syncing.asked_ms = None
    sealed = [Block(header, ()) for header in message.proof.headers]
    opened: list[Proposal] = []
    above = state.tip.hash
    for block in (*message.blocks, *sealed):
        proposal = open_block(block, state.rules.chain_id)
        if isinstance(proposal, Rejected) or proposal.header.epoch != state.epoch.number:
            return False
        if not opened and proposal.header.height <= state.tip.height:
            continue  # we went on while the answer was on its way
        if proposal.header.parent_hash != above:
            return False
        opened.append(proposal)
        above = proposal.hash
    if not opened or above != certificate.block_hash:
        return False
    newest = opened[-1].header.height
    state.syncing.target_height = max(state.syncing.target_height, newest + 1)  # ask once more
    for proposal in opened:
        state.blocks.setdefault(proposal.hash, proposal)
    add_certificate(state, certificate)
    return True


def go_on(state: State) -> None:
    """Ask for the next piece as soon as the last one is committed."""
    last = state.syncing
    is_committing = max(state.certificates.final, default=0) > state.tip.slot
    if last.asked_ms is not None or is_committing:
        return
    if last.peer and last.target_height > state.tip.height:
        ask_chain(state, last.peer, last.target_height)
