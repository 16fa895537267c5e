"""Receipts from what is on disk: no process needs to run for one."""

from gateway.errors import SettingsError
from gateway.ledger_host.genesis import load_genesis
from gateway.pipeline.batch import build_batch, proof_for
from gateway.readings.queries import ReadingsReader
from gateway.readings.records import BatchRecord, SettlementStatus
from gateway.settings import Home
from ledger.codec import canonical
from ledger.codec.canonical import Decoder
from ledger.light import AnchorEvidence, build_receipt
from ledger.types.reading import ReadingProof

_decode_evidence = Decoder(AnchorEvidence).decode


def make_receipt(home: Home, device: str, sequence: int) -> str:
    """Return the receipt of an anchored reading; raises `GatewayError` with the reason if none."""
    genesis = load_genesis(home)
    record, proof = _find_proof(home, device, sequence)
    if not record.evidence:
        raise SettingsError(
            f"no receipt for reading {sequence} of {device}: its anchor is final, in a block from while this"
            " node was away, which it does not keep"
        )
    evidence = _decode_evidence(record.evidence)
    return build_receipt(genesis, proof.reading, proof.index, record.count, proof.path, evidence)


def make_proof(home: Home, device: str, sequence: int | None = None) -> bytes:
    """Return what a contract accepts as a reading: canonical `ReadingProof` bytes.

    Without a sequence, of the newest reading whose anchor is final; raises `GatewayError`.
    """
    return canonical.encode(_find_proof(home, device, sequence)[1])


def _find_proof(home: Home, device: str, sequence: int | None) -> tuple[BatchRecord, ReadingProof]:
    reader = ReadingsReader.open(home.readings)
    try:
        record = _find_batch(reader, device, sequence)
        stored = reader.range(device, record.first, record.count)
    finally:
        reader.close()
    if len(stored) != record.count:
        raise SettingsError(
            f"no receipt for reading {sequence or record.last} of {device}: "
            "its batch was pruned after a week"
        )
    batch = build_batch(record.device_id, record.profile_hash, stored)
    return record, proof_for(batch, record.last if sequence is None else sequence)


def _find_batch(reader: ReadingsReader, device: str, sequence: int | None) -> BatchRecord:
    if sequence is None:
        return _find_newest_final(reader, device)
    stands = _newest_sequence(reader, device)
    if not 1 <= sequence <= stands:
        raise SettingsError(
            f"no receipt for reading {sequence} of {device}: the newest one is {stands}"
        )
    record = reader.batch_containing(device, sequence)
    newest = reader.newest_batch(device)
    if record is None and newest is not None and sequence < newest.first:
        raise SettingsError(
            f"no receipt for reading {sequence} of {device}: it was pruned; receipts are made within "
            "a week"
        )
    if record is None or record.status is not SettlementStatus.FINAL:
        raise SettingsError(
            f"no receipt for reading {sequence} of {device}: it is not final on the chain yet; "
            "try again in some seconds"
        )
    return record


def _newest_sequence(reader: ReadingsReader, device: str) -> int:
    stored, batch = reader.last(device, 1), reader.newest_batch(device)  # either may be pruned away
    return max(stored[0].reading.sequence if stored else 0, batch.last if batch is not None else 0)


def _find_newest_final(reader: ReadingsReader, device: str) -> BatchRecord:
    record = reader.newest_batch(device)
    while record is not None and record.status is not SettlementStatus.FINAL:
        record = reader.batch_containing(device, record.first - 1)
    if record is None:
        raise SettingsError(f"no reading of {device} is final on the chain yet")
    return record
