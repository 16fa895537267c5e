"""Finality: the newest finalization whose way down to the tip is here and valid (1.4, 1.6).

Rule 1: what is below a final block on its chain is final too, so blocks are handed over in order, as
soon as each is valid; only the last one has a proof of its own.
Rule 2: a finalization that does not extend the tip, or an invalid block under one, means that this
node or a third of the set is broken: it halts loudly.
Rule 3: an epoch ends with its end block; SEALs above it prove it and are dropped (1.6).
"""

from ledger.consensus.blocks import Proposal, is_epoch_end
from ledger.consensus.effects import CommitBlock, Halt, OpenEpoch, PersistCertificate
from ledger.consensus.epoch import Tip
from ledger.consensus.executing import settle
from ledger.consensus.fetching import get_signer_peers, want_block
from ledger.consensus.state import FETCH_DEPTH_MAX, State
from ledger.consensus.syncing import ask_chain
from ledger.types.block import Certificate, FinalityProof


def try_commit(state: State) -> None:
    """Commit as far as the newest finalization reaches whose blocks are here."""
    for slot in sorted(state.certificates.final, reverse=True):
        if slot <= state.tip.slot or state.is_halted:
            return
        certificate = state.certificates.final[slot]
        path = _find_path(state, certificate)
        if path:
            _commit_path(state, path, certificate)
            return


def _find_path(state: State, certificate: Certificate) -> list[Proposal]:
    """Return the blocks from above the tip to the certified one; none while one is missing."""
    path: list[Proposal] = []
    block_hash = certificate.block_hash
    while block_hash != state.tip.hash:
        proposal = state.blocks.get(block_hash)
        if proposal is None:
            _fetch(state, path, block_hash, certificate)
            return []
        if proposal.header.height <= state.tip.height:
            _halt(
                state,
                f"slot {certificate.slot}: its finalization does not extend block {state.tip.height}",
            )
            return []
        path.append(proposal)
        block_hash = proposal.header.parent_hash
    path.reverse()
    return path


def _fetch(state: State, path: list[Proposal], block_hash: bytes, certificate: Certificate) -> None:
    """Ask for the block that is missing, or for the chain if there are many to come."""
    lowest = path[-1].header.height if path else state.tip.height + 1
    if lowest > state.tip.height + FETCH_DEPTH_MAX:
        peers = get_signer_peers(state, certificate)
        if peers:
            ask_chain(state, peers[state.slot % len(peers)], lowest)
        return
    want_block(state, block_hash, certificate)


def _commit_path(state: State, path: list[Proposal], certificate: Certificate) -> None:
    for place, proposal in enumerate(path):
        if not settle(state, proposal):
            if proposal.hash in state.invalid:
                reason = state.invalid[proposal.hash]
                _halt(
                    state, f"block {proposal.header.height} is final but not valid here: {reason}"
                )
            else:
                _keep(state, certificate)
            return
        rest = path[place + 1 :]
        if is_epoch_end(proposal.header):
            _end_epoch(state, proposal, rest, certificate)
            return
        proof = None if rest else FinalityProof((), certificate)
        state.emit(CommitBlock(proposal, proof))
        _advance_tip(state, proposal)


def _keep(state: State, certificate: Certificate) -> None:
    """Write a finalization ahead whose blocks are not all committed yet."""
    if certificate.block_hash not in state.persisted_proofs:
        state.persisted_proofs.add(certificate.block_hash)
        state.emit(PersistCertificate(certificate))


def keep_open_finalizations(state: State) -> None:
    """Write every finalization ahead that no commit took with it."""
    for slot, certificate in state.certificates.final.items():
        if slot > state.tip.slot:
            _keep(state, certificate)


def _advance_tip(state: State, proposal: Proposal) -> None:
    """Make a block the tip and forget what lies below it."""
    header = proposal.header
    state.tip = Tip(header.height, header.slot, proposal.hash, header.time_ms)
    state.tip_seen_ms = state.now.monotonic_ms
    state.certificates.forget_below(header.slot)
    state.book.forget_below(header.slot)
    for slot in [slot for slot in state.candidates if slot <= header.slot]:
        del state.candidates[slot]
    for old in [h for h, block in state.blocks.items() if block.header.slot <= header.slot]:
        _forget_block(state, old)
    state.wants.clear()


def _forget_block(state: State, block_hash: bytes) -> None:
    del state.blocks[block_hash]
    state.valid.discard(block_hash)
    state.invalid.pop(block_hash, None)
    state.persisted.discard(block_hash)
    state.persisted_proofs.discard(block_hash)


def _end_epoch(
    state: State, end: Proposal, seals: list[Proposal], certificate: Certificate
) -> None:
    """Commit the end block with the SEALs that lead to its proof, and ask for the next set."""
    headers = tuple(seal.block.header for seal in seals)
    state.emit(CommitBlock(end, FinalityProof(headers, certificate)))
    root = Tip(end.header.height, 0, end.hash, end.header.time_ms)
    state.is_opening = True
    state.emit(OpenEpoch(state.epoch.number + 1, root))


def _halt(state: State, detail: str) -> None:
    state.is_halted = True
    state.emit(Halt(detail))
