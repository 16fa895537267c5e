"""What a full node tells light ones: each answer proves itself, and none is larger than a message may be.

Signatures are not checked here again, but by whoever asks: strangers' questions must cost little.
For any thread but the event loop's: each answer opens the database for itself.
"""

from pathlib import Path

from ledger.codec.canonical import encode
from ledger.errors import PrunedError, Rejected, UnprovenError
from ledger.light import AnchorEvidence, SetChange
from ledger.light.answers import (
    ENDS_IN_ANSWER_MAX,
    BlockAnswer,
    FinalHeader,
    HeadersAnswer,
    InclusionAnswer,
    ProvenValue,
    StateAnswer,
)
from ledger.light.known_chain import Members, members_of, members_of_genesis
from ledger.network.light_messages import (
    LIGHT_ANSWER_BYTES_MAX,
    GetFinalBlock,
    GetHeaders,
    GetInclusion,
    GetState,
)
from ledger.node.evidence import load_inclusion, load_linked_proof
from ledger.node.proofs import StateProver
from ledger.storage.reader import ChainReader, StoredAgentSet, StoredBlock
from ledger.types.genesis import Genesis

EPOCHS_LOOKED_AT_MAX = 512  # of which few bring other agents; the asker goes on from there
_ENDS_BYTES_MAX = LIGHT_ANSWER_BYTES_MAX - 64 * 1024  # the rest is for the newest header


class LightAnswers:
    """Answers from one chain database."""

    def __init__(self, path: Path, prover: StateProver, genesis: Genesis) -> None:
        self._path = path
        self._prover = prover
        self._genesis = genesis

    def answer(
        self, question: GetHeaders | GetState | GetInclusion | GetFinalBlock
    ) -> bytes | None:
        """Return the canonical answer; None where there is none, or none now. Raises `StorageError`."""
        reader = ChainReader.open(self._path)
        try:
            content = self._answer(question, reader)
        except (PrunedError, UnprovenError):
            return None
        finally:
            reader.close()
        return None if content is None or len(content) > LIGHT_ANSWER_BYTES_MAX else content

    def _answer(
        self, question: GetHeaders | GetState | GetInclusion | GetFinalBlock, reader: ChainReader
    ) -> bytes | None:
        match question:
            case GetState(keys):
                return self._state(keys, reader)
            case GetHeaders(since_epoch, through_epoch):
                with reader.snapshot():
                    return self._headers(since_epoch, through_epoch, reader)
            case GetInclusion(transactions):
                with reader.snapshot():
                    return self._inclusion(transactions, reader)
            case GetFinalBlock(height):
                with reader.snapshot():
                    return self._block(height, reader)

    def _headers(
        self, since_epoch: int, through_epoch: int | None, reader: ChainReader
    ) -> bytes | None:
        looked_at = reader.agent_sets(since_epoch + EPOCHS_LOOKED_AT_MAX, epoch_min=since_epoch + 1)
        members = self._members_at(since_epoch, reader)
        ends: list[SetChange] = []
        size, is_all = 0, len(looked_at) < EPOCHS_LOOKED_AT_MAX
        for place, stored in enumerate(looked_at):
            own = members_of(stored.agents)
            is_last_looked_at = not is_all and place == len(looked_at) - 1
            is_wanted = stored.agents.epoch - 1 == through_epoch
            if own == members and not is_wanted and not is_last_looked_at:
                continue
            members = own
            end = self._end(stored, reader)
            size += len(encode(end))
            if len(ends) == ENDS_IN_ANSWER_MAX or size > _ENDS_BYTES_MAX:
                is_all = False
                break
            ends.append(end)
        newest = None
        if is_all:
            tip = reader.tip()
            if tip is None or not tip.proof:
                return None  # no block yet, or its certificate is on its way
            newest = _load_final(tip, reader)
        return encode(HeadersAnswer(tuple(ends), newest))

    def _members_at(self, epoch: int, reader: ChainReader) -> Members:
        stored = reader.newest_agent_set(epoch)
        if stored is not None:
            return members_of(stored.agents)
        return members_of_genesis(self._genesis)

    def _end(self, stored: StoredAgentSet, reader: ChainReader) -> SetChange:
        block = reader.block(stored.height)
        assert block is not None, "end blocks are kept"
        proof = load_linked_proof(reader, block)
        certificate = encode(proof.certificate)
        return SetChange(block.header_bytes, certificate, proof.headers, stored.payload)

    def _state(self, keys: tuple[bytes, ...], reader: ChainReader) -> bytes | None:
        proven = self._prover.prove_all(keys, reader)
        if isinstance(proven, Rejected):
            return None
        values = tuple(ProvenValue(value, proof) for value, proof in proven.values)
        return encode(StateAnswer(_load_final(proven.block, reader), values))

    def _inclusion(self, transactions: tuple[bytes, ...], reader: ChainReader) -> bytes:
        asked = (load_inclusion(reader, one) for one in transactions)
        found: list[AnchorEvidence] = []
        size = 0
        for one in asked:
            size += 0 if one is None else len(encode(one))
            if size > _ENDS_BYTES_MAX:
                return encode(InclusionAnswer(0, tuple(found)))  # of the others nothing is said
            if one is not None:
                found.append(one)
        tip = reader.tip()
        return encode(InclusionAnswer(0 if tip is None else tip.header.height, tuple(found)))

    def _block(self, height: int, reader: ChainReader) -> bytes | None:
        reader.check_kept(height)
        block = reader.block(height)
        if block is None:
            return None
        raws = tuple(one.raw for one in reader.transactions(block))
        return encode(BlockAnswer(_load_final(block, reader), raws))


def _load_final(block: StoredBlock, reader: ChainReader) -> FinalHeader:
    proof = load_linked_proof(reader, block)
    return FinalHeader(block.header_bytes, encode(proof.certificate), proof.headers)
