"""Blocks that a certificate names and that are not here: asked for, one peer after the other."""

from ledger.consensus.blocks import Proposal
from ledger.consensus.certificate import decode_signers
from ledger.consensus.effects import PersistProposal, Send
from ledger.consensus.state import State, Want
from ledger.types.block import Certificate
from ledger.types.messages import GetBlock


def want_block(state: State, block_hash: bytes, certificate: Certificate | None) -> None:
    """Ask for a block that is missing, of those who signed for it or for a descendant of it."""
    if block_hash in state.wants or block_hash in state.blocks:
        return
    peers = get_signer_peers(state, certificate)
    if peers:
        state.wants[block_hash] = Want(peers, 0, state.now.monotonic_ms)
        _ask(state, block_hash, state.wants[block_hash])


def get_signer_peers(state: State, certificate: Certificate | None) -> tuple[bytes, ...]:
    """Return the node ids of a certificate's signers but us, first those after our own seat.

    So not every node asks the same one. Without a certificate: everyone in the set.
    """
    epoch = state.epoch
    seats = range(epoch.size) if certificate is None else decode_signers(certificate.signers)
    ours = epoch.our_seat if epoch.our_seat is not None else -1
    others = [seat for seat in seats if seat != epoch.our_seat]
    ordered = [s for s in others if s > ours] + [s for s in others if s < ours]
    return tuple(epoch.nodes[seat] for seat in ordered)


def ask_again(state: State) -> None:
    """Ask the next peer for each block that did not come in time."""
    for block_hash, want in state.wants.items():
        if state.now.monotonic_ms >= want.asked_ms + state.rules.retry_ms:
            want.attempts += 1
            want.asked_ms = state.now.monotonic_ms
            _ask(state, block_hash, want)


def take_block(state: State, proposal: Proposal) -> bool:
    """Keep a block if it was wanted; tell whether it was. It is certified, so it goes to the log."""
    if state.wants.pop(proposal.hash, None) is None:
        return False
    state.blocks[proposal.hash] = proposal
    persist(state, proposal)
    return True


def persist(state: State, proposal: Proposal) -> None:
    """Write a block ahead once."""
    if proposal.hash not in state.persisted:
        state.persisted.add(proposal.hash)
        state.emit(PersistProposal(proposal))


def _ask(state: State, block_hash: bytes, want: Want) -> None:
    peer = want.peers[want.attempts % len(want.peers)]
    state.emit(Send(peer, GetBlock(state.epoch.number, block_hash)))
