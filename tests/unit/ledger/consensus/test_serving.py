"""Pieces of the final chain: linked, bounded, and never without a proof at their end."""

from ledger.consensus.serving import PIECE_BYTES_MAX, FinalEntry, cut_piece
from ledger.crypto.domains import VoteKind
from ledger.types.block import Block, FinalityProof
from tests.support.consensus_script import certificate

PROOF = FinalityProof((), certificate(VoteKind.FINALIZE, 1, b"h" * 32, 0, 1, 2))


def chain(*proven: bool, epoch: int = 0, size: int = 10) -> list[FinalEntry]:
    return [
        FinalEntry(epoch, Block(b"%d" % number, (bytes(size),)), PROOF if is_proven else None)
        for number, is_proven in enumerate(proven)
    ]


def cut(entries: list[FinalEntry], height: int, blocks_max: int = 64) -> list[bytes] | None:
    def read(wanted: int) -> FinalEntry | None:
        return entries[wanted - 1] if 0 < wanted <= len(entries) else None

    piece = cut_piece(read, height, blocks_max)
    return None if piece is None else [block.header for block in piece.blocks]


def test_a_piece_begins_above_the_height_and_ends_with_a_proof():
    entries = chain(True, True, False, True, False)
    assert cut(entries, 0) == [b"0", b"1", b"2", b"3"]
    assert cut(entries, 2) == [b"2", b"3"]
    assert cut(entries, 4) is None
    assert cut(entries, 5) is None


def test_a_piece_is_of_one_epoch():
    assert cut([*chain(True, True), *chain(True, epoch=1)], 0) == [b"0", b"1"]


def test_a_piece_is_bounded_in_blocks_and_bytes():
    assert cut(chain(*[True] * 10), 0, 3) == [b"0", b"1", b"2"]
    large = chain(*[True] * 5, size=PIECE_BYTES_MAX // 2 - 10)
    assert cut(large, 0) == [b"0", b"1"]
    huge = chain(True, True, size=2 * PIECE_BYTES_MAX)
    assert cut(huge, 0) == [b"0"]
