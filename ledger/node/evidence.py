"""What is handed out about final blocks: checked again first, so damage never leaves the house.

Blocks that one certificate makes final are written one after the other, the one that bears it last: until
then, and after a crash in between, those below it are here without their proof (`UnprovenError`).
"""

import msgspec

from ledger.codec.canonical import Decoder, encode
from ledger.codec.merkle import audit_path
from ledger.consensus.certificate import verify_certificate
from ledger.crypto.domains import VoteKind, header_hash
from ledger.errors import CodecError, CorruptStorageError, StorageError, UnprovenError
from ledger.light import AnchorEvidence, SetChange
from ledger.params import PROOF_HEADERS_MAX
from ledger.storage.faults import describe_corruption
from ledger.storage.reader import ChainReader, StoredBlock
from ledger.types.block import FinalityProof, Header
from ledger.types.genesis import Genesis

_proofs = Decoder(FinalityProof)
_headers = Decoder(Header)


def load_agent_keys(reader: ChainReader, epoch: int, genesis: Genesis) -> tuple[bytes, ...]:
    """Return the consensus keys of an epoch's set, in the order of its seats."""
    stored = reader.newest_agent_set(epoch)
    if stored is not None:
        return tuple(seat.consensus for seat in stored.agents.seats)
    by_seat = sorted(genesis.agents, key=lambda agent: agent.node)
    return tuple(agent.consensus for agent in by_seat)


def load_set_changes(reader: ChainReader, epoch: int, genesis: Genesis) -> tuple[SetChange, ...]:
    """Return the changes of agents from the genesis up to the set of an epoch.

    An epoch whose agents are those of the one before is left out: nothing changed.
    """
    known = {(agent.node, agent.consensus) for agent in genesis.agents}
    changes: list[SetChange] = []
    for stored in reader.agent_sets(epoch):
        members = {(seat.node, seat.consensus) for seat in stored.agents.seats}
        if members == known:
            continue
        block = reader.block(stored.height)
        if block is None:
            detail = f"block {stored.height} is missing, the agents that it names are not"
            raise CorruptStorageError(describe_corruption(reader.path, detail))
        proof = load_proof(reader, block, genesis)
        certificate = encode(proof.certificate)
        changes.append(SetChange(block.header_bytes, certificate, proof.headers, stored.payload))
        known = members
    return tuple(changes)


def load_proof(reader: ChainReader, block: StoredBlock, genesis: Genesis) -> FinalityProof:
    """Return what makes the block final; raises `CorruptStorageError` and `UnprovenError`.

    Where the block has no proof of its own, that is the next one above and the headers up to it.
    """
    proof = load_linked_proof(reader, block)
    keys = load_agent_keys(reader, block.header.epoch, genesis)
    refusal = verify_certificate(proof.certificate, block.header.chain_id, keys)
    if refusal is not None:
        raise _damaged(reader, block, str(refusal))
    return proof


def load_linked_proof(reader: ChainReader, block: StoredBlock) -> FinalityProof:
    """Return the same without its signatures being checked, for whoever checks them himself.

    Checking takes ten times as long as all the rest: strangers shall not make a node do it.
    """
    headers: list[bytes] = []
    bearer = block
    while not bearer.proof and len(headers) < PROOF_HEADERS_MAX:
        above = reader.block(bearer.header.height + 1)
        if above is None:
            raise _unproven(reader, block, bearer)
        headers.append(above.header_bytes)
        bearer = above
    try:
        own = _proofs.decode(bearer.proof)
        proof = FinalityProof((*headers, *own.headers), own.certificate)
        fault = _find_fault(proof, block)
    except CodecError as error:
        raise _damaged(reader, block, str(error)) from None
    if fault is not None:
        raise _damaged(reader, block, fault)
    return proof


def _find_fault(proof: FinalityProof, block: StoredBlock) -> str | None:
    """Say why a proof is not of this block, or None. Raises `CodecError`."""
    certified = block.hash
    for encoded in proof.headers:
        if _headers.decode(encoded).parent_hash != certified:
            return "a header of its proof is not linked"
        certified = header_hash(encoded)
    certificate = proof.certificate
    if certificate.kind is not VoteKind.FINALIZE or certificate.block_hash != certified:
        return "of another block"
    return None


def load_evidence(
    reader: ChainReader, transaction_id: bytes, genesis: Genesis
) -> AnchorEvidence | None:
    """Return what proves a final transaction and its outcome; None while it is not final.

    Raises `CorruptStorageError` where the database does not prove it, `UnprovenError` where not yet.
    """
    with reader.snapshot():  # blocks may be dropped meanwhile
        found = load_inclusion(reader, transaction_id)
        if found is None:
            return None
        header = _headers.decode(found.header)
        block = reader.block(header.height)
        assert block is not None, "its transaction was found in it"
        load_proof(reader, block, genesis)
        changes = load_set_changes(reader, header.epoch, genesis)
        return msgspec.structs.replace(found, set_changes=changes)


def load_inclusion(reader: ChainReader, transaction_id: bytes) -> AnchorEvidence | None:
    """Return the evidence without set changes, for somebody who knows the agents and checks it himself.

    The caller holds a snapshot of the database. Raises `CorruptStorageError` and `UnprovenError`.
    """
    found = reader.transaction(transaction_id)
    if found is None:
        return None
    block = reader.block(found.height)
    if block is None:
        detail = f"block {found.height} is missing, its transactions are not"
        raise CorruptStorageError(describe_corruption(reader.path, detail))
    proof = load_linked_proof(reader, block)
    transactions = reader.transactions(block)
    return AnchorEvidence(
        transaction=found.raw,
        outcome=found.outcome,
        position=found.position,
        count=len(transactions),
        transaction_path=audit_path([item.raw for item in transactions], found.position),
        outcome_path=audit_path([item.outcome for item in transactions], found.position),
        header=block.header_bytes,
        certificate=encode(proof.certificate),
        descendants=proof.headers,
    )


def _unproven(reader: ChainReader, block: StoredBlock, last: StoredBlock) -> StorageError:
    """Return why nothing proves a block: `last` has no proof, and no block was found on it."""
    above, newest = last.header.height + 1, reader.tip()
    if newest is not None and newest.header.height >= above and reader.block(above) is None:
        return _damaged(reader, block, f"block {above} is missing")
    return UnprovenError(
        f"the certificate of block {block.header.height} is still to be written: ask again"
    )


def _damaged(reader: ChainReader, block: StoredBlock, detail: str) -> CorruptStorageError:
    line = f"certificate of block {block.header.height}: {detail}"
    return CorruptStorageError(describe_corruption(reader.path, line))
