"""A piece of the final chain for whoever is behind: linked blocks and one proof (1.8)."""

from collections.abc import Callable
from dataclasses import dataclass

from ledger.types.block import Block, FinalityProof
from ledger.types.messages import CHAIN_BLOCKS_MAX, ChainMessage

PIECE_BYTES_MAX = 600 * 1024  # two of the largest blocks and their proof fit one packet of 1 MiB


@dataclass(frozen=True, slots=True)
class FinalEntry:
    """A final block as stored; `proof` is None where a later block's covers it."""

    epoch: int
    block: Block
    proof: FinalityProof | None


def cut_piece(
    read: Callable[[int], FinalEntry | None], height: int, blocks_max: int = CHAIN_BLOCKS_MAX
) -> ChainMessage | None:
    """Return the piece above `height`: blocks of one epoch up to the last that has a proof.

    None where there is nothing above it, or nothing that a piece of this size could prove.
    """
    blocks: list[Block] = []
    piece: ChainMessage | None = None
    size = 0
    epoch: int | None = None
    while len(blocks) < blocks_max:
        entry = read(height + 1 + len(blocks))
        if entry is None or epoch not in (None, entry.epoch):
            break
        epoch = entry.epoch
        size += len(entry.block.header) + sum(map(len, entry.block.transactions))
        if blocks and size > PIECE_BYTES_MAX:
            break
        blocks.append(entry.block)
        if entry.proof is not None:
            piece = ChainMessage(epoch, tuple(blocks), entry.proof)
    return piece
