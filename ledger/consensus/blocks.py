"""Blocks as the machine sees them: opened once, placed on a parent, sealed at an epoch's end.

Rule 1: a hash names a header and the header names its transactions; a block is taken in only when
both hold, so whoever sends it cannot change it.
Rule 2: what is checked here is the same on every node and needs no state; the rest is execution.
"""

from dataclasses import dataclass

from ledger.codec.canonical import Decoder, encode
from ledger.codec.merkle import merkle_root
from ledger.consensus.epoch import Epoch, Tip
from ledger.crypto.domains import NO_HASH, header_hash
from ledger.errors import CodecError, Reason, Rejected
from ledger.params import (
    BLOCK_BYTES_MAX,
    BLOCK_TRANSACTIONS_MAX,
    HEADER_BYTES_MAX,
    PROTOCOL_VERSION,
    SIGNER_BITMAP_BYTES,
)
from ledger.types.block import Block, Header

NO_SIGNERS = bytes(SIGNER_BITMAP_BYTES)

_headers = Decoder(Header)


@dataclass(frozen=True, slots=True)
class Proposal:
    """A block with its decoded header and its hash."""

    header: Header
    hash: bytes
    block: Block


def open_block(block: Block, chain_id: bytes) -> Proposal | Rejected:
    """Return a received block with its header, if the two belong together and to this chain."""
    if len(block.header) > HEADER_BYTES_MAX or len(block.transactions) > BLOCK_TRANSACTIONS_MAX:
        return Rejected(Reason.TOO_LARGE, "block: more header or transactions than allowed")
    if sum(map(len, block.transactions)) > BLOCK_BYTES_MAX:
        return Rejected(Reason.TOO_LARGE, f"block: exceeds {BLOCK_BYTES_MAX} bytes")
    try:
        header = _headers.decode(block.header)
    except CodecError as error:
        return Rejected(Reason.MALFORMED, f"block header: {error}")
    if header.version != PROTOCOL_VERSION or header.chain_id != chain_id:
        return Rejected(Reason.WRONG_CHAIN, "block: of another chain or protocol version")
    if merkle_root(block.transactions) != header.transactions_root:
        return Rejected(Reason.BAD_BLOCK, "block: its transactions are not the header's")
    return Proposal(header, header_hash(block.header), block)


def is_epoch_end(header: Header) -> bool:
    """Tell whether a block is its epoch's last: it alone names the next set (1.6)."""
    return header.next_set_hash != NO_HASH


def must_seal(parent: Proposal | None) -> bool:
    """Tell whether only a SEAL may stand on this parent (None: the epoch's root or a final block)."""
    return parent is not None and (parent.header.seal or is_epoch_end(parent.header))


def build_seal(parent: Proposal, epoch: Epoch, slot: int, time_ms: int, signers: bytes) -> Proposal:
    """Return the SEAL of `slot` on `parent`: a header that changes nothing (1.6)."""
    above = parent.header
    header = Header(
        version=PROTOCOL_VERSION,
        chain_id=above.chain_id,
        epoch=epoch.number,
        slot=slot,
        height=above.height + 1,
        parent_slot=above.slot,
        parent_hash=parent.hash,
        time_ms=time_ms,
        proposer=epoch.nodes[epoch.leader(slot)],
        seal=True,
        transactions_root=merkle_root(()),
        state_root=above.state_root,
        outcomes_root=merkle_root(()),
        reveal=NO_HASH,
        parent_signers=signers,
        next_set_hash=NO_HASH,
    )
    block = Block(encode(header), ())
    return Proposal(header, header_hash(block.header), block)


def find_misplacement(
    proposal: Proposal, parent: Proposal | None, tip: Tip, epoch: Epoch, slot_ms: int
) -> str | None:
    """Say what is wrong with a block's place on its parent (None: on the tip), or None."""
    header = proposal.header
    above = tip if parent is None else parent.header
    if header.epoch != epoch.number or header.height != above.height + 1:
        return "epoch or height is not its parent's successor"
    if header.proposer != epoch.nodes[epoch.leader(header.slot)]:
        return "it is not by the slot's leader"
    if header.time_ms < above.time_ms + slot_ms:
        return "it comes too soon after its parent"
    if header.seal != must_seal(parent):
        return "a block after the epoch's end, or a seal before it"
    if not header.seal:
        return None
    assert parent is not None, "only a block above the final one asks for a seal"
    expected = build_seal(parent, epoch, header.slot, header.time_ms, header.parent_signers)
    return None if expected.hash == proposal.hash else "a seal that carries something"
