"""A follower's knowledge as it stands on disk."""

from ledger.codec.canonical import Decoder, encode
from ledger.errors import CodecError, CorruptStorageError
from ledger.light import SetChange
from ledger.light.answers import FinalHeader
from ledger.light.follower import SETS_KEPT, HeaderFollower, Trail
from ledger.light.snapshot import Checkpoint
from ledger.storage.trail import StoredEnd, TrailStore
from ledger.types.block import Certificate, FinalityProof, Header
from ledger.types.genesis import Genesis

_EPOCH_ABOVE_ALL = 2**62

_headers = Decoder(Header)
_certificates = Decoder(Certificate)
_proofs = Decoder(FinalityProof)
_finals = Decoder(FinalHeader)


def open_follower(
    genesis: Genesis, checkpoint: Checkpoint | None, store: TrailStore
) -> HeaderFollower:
    """Return the follower as it was saved. Raises `CorruptStorageError`."""
    try:
        newest = store.newest()
        ends = store.ends(before_epoch=_EPOCH_ABOVE_ALL, newest=SETS_KEPT)
        trail = Trail(
            tuple(decode_end(end) for end in ends),
            None if newest is None else _finals.decode(newest),
            store.met(),
        )
        return HeaderFollower(genesis, checkpoint, trail)
    except CodecError as error:
        raise CorruptStorageError(
            f"{store.path}: the headers in it are damaged ({error}): move it away, and set"
            " ledger.checkpoint to what `smartshare chain checkpoint` prints on a node that you trust"
        ) from None


def encode_end(end: SetChange) -> StoredEnd:
    """Return an end block as it is stored."""
    proof = FinalityProof(end.descendants, _certificates.decode(end.certificate))
    return StoredEnd(_headers.decode(end.header).epoch, end.header, encode(proof), end.next_set)


def decode_end(stored: StoredEnd) -> SetChange:
    """Return a stored end block. Raises `CodecError` where it is damaged."""
    proof = _proofs.decode(stored.proof)
    return SetChange(stored.header, encode(proof.certificate), proof.headers, stored.next_set)
