"""What is handed out about final blocks: checked again first, so damage never leaves the house."""

from collections.abc import Sequence

from ledger.codec.canonical import Decoder
from ledger.codec.merkle import audit_path
from ledger.consensus.certificate import verify_certificate
from ledger.crypto.domains import VoteKind
from ledger.errors import CodecError, CorruptStorageError
from ledger.light import AnchorEvidence
from ledger.storage.faults import describe_corruption
from ledger.storage.reader import ChainReader, StoredBlock
from ledger.types.block import Certificate

_certificates = Decoder(Certificate)


def load_certificate(
    reader: ChainReader, block: StoredBlock, agent_keys: Sequence[bytes]
) -> Certificate:
    """Return the certificate that makes the block final; raises `CorruptStorageError`."""
    try:
        certificate = _certificates.decode(block.certificate)
    except CodecError as error:
        raise _damaged(reader, block, str(error)) from None
    if certificate.kind is not VoteKind.FINALIZE or certificate.block_hash != block.hash:
        raise _damaged(reader, block, "of another block")
    refusal = verify_certificate(certificate, block.header.chain_id, agent_keys)
    if refusal is not None:
        raise _damaged(reader, block, str(refusal))
    return certificate


def load_evidence(
    reader: ChainReader, transaction_id: bytes, agent_keys: Sequence[bytes]
) -> AnchorEvidence | None:
    """Return what proves a final transaction and its outcome; None while it is not final.

    Raises `CorruptStorageError` where the database does not prove it.
    """
    found = reader.transaction(transaction_id)
    if found is None:
        return None
    block = reader.block(found.height)
    if block is None:
        detail = f"block {found.height} is missing, its transactions are not"
        raise CorruptStorageError(describe_corruption(reader.path, detail))
    load_certificate(reader, block, agent_keys)
    transactions = reader.transactions(block)
    return AnchorEvidence(
        transaction=found.raw,
        outcome=found.outcome,
        position=found.position,
        count=len(transactions),
        transaction_path=audit_path([item.raw for item in transactions], found.position),
        outcome_path=audit_path([item.outcome for item in transactions], found.position),
        header=block.header_bytes,
        certificate=block.certificate,
    )


def _damaged(reader: ChainReader, block: StoredBlock, detail: str) -> CorruptStorageError:
    line = f"certificate of block {block.header.height}: {detail}"
    return CorruptStorageError(describe_corruption(reader.path, line))
