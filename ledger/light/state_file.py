"""A proof of the state as a file: what stood under a key behind a final block, checked offline.

The file is JSON with one exact text for each content. Links, in turn: file format, genesis, agent sets,
certificate (the header is final), record (the header's state root holds this value under this key).
"""

from dataclasses import dataclass
from typing import Final, Literal

import msgspec

from ledger.codec.canonical import Decoder, encode
from ledger.errors import CodecError
from ledger.light.evidence import StateEvidence
from ledger.light.finality import NotFinalError, TrustedAgents
from ledger.light.receipt import RECEIPT_BYTES_MAX
from ledger.light.verification import BrokenLink, Link
from ledger.state.commitment import verify_state_proof
from ledger.types.block import Header
from ledger.types.genesis import Genesis
from ledger.types.genesis_file import genesis_chain_id

FORMAT: Final = "smartshare-state/1"
_ERROR_CHARS_MAX = 160

_evidence = Decoder(StateEvidence)
_headers = Decoder(Header)


class _StateText(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: Literal["smartshare-state/1"]
    chain_id: str
    key: str
    value: str | None
    evidence: str


@dataclass(frozen=True, slots=True)
class VerifiedRecord:
    """What is proven to have stood under `key` behind a block (None: nothing), and by whose votes."""

    key: bytes
    value: bytes | None
    block_height: int
    block_time_ms: int
    signers: tuple[bytes, ...]


def build_state_file(genesis: Genesis, evidence: StateEvidence) -> str:
    """Return the one text of a proof."""
    text = _StateText(
        format=FORMAT,
        chain_id=genesis_chain_id(genesis).hex(),
        key=evidence.key.hex(),
        value=None if evidence.value is None else evidence.value.hex(),
        evidence=encode(evidence).hex(),
    )
    return msgspec.json.format(msgspec.json.encode(text), indent=2).decode() + "\n"


def verify_state_file(data: bytes, genesis: Genesis) -> VerifiedRecord | BrokenLink:
    """Return what the file's bytes prove on the chain of `genesis`, or the link that is broken."""
    try:
        evidence = _parse(data, genesis)
    except CodecError as error:
        return BrokenLink(Link.FILE_FORMAT, str(error))
    if isinstance(evidence, BrokenLink):
        return evidence
    trusted = TrustedAgents(genesis)
    try:
        trusted.follow(evidence.set_changes)
    except NotFinalError as error:
        return BrokenLink(Link.AGENT_SETS, str(error))
    try:
        signers = trusted.check_final(evidence.header, evidence.certificate, evidence.descendants)
    except NotFinalError as error:
        return BrokenLink(Link.CERTIFICATE, str(error))
    header = _headers.decode(evidence.header)
    if not verify_state_proof(header.state_root, evidence.key, evidence.value, evidence.proof):
        return BrokenLink(Link.RECORD, "the block's state does not hold this value under this key")
    return VerifiedRecord(evidence.key, evidence.value, header.height, header.time_ms, signers)


def _parse(data: bytes, genesis: Genesis) -> StateEvidence | BrokenLink:
    if len(data) > RECEIPT_BYTES_MAX:
        raise CodecError(f"longer than {RECEIPT_BYTES_MAX} bytes")
    try:
        text = msgspec.json.decode(data, type=_StateText)
        evidence = _evidence.decode(bytes.fromhex(text.evidence))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise CodecError(f"not a proof of the state: {str(error)[:_ERROR_CHARS_MAX]!a}") from None
    if text.chain_id != genesis_chain_id(genesis).hex():
        return BrokenLink(Link.GENESIS, f"the proof is of chain {text.chain_id[:16]!a}")
    if build_state_file(genesis, evidence).encode() != data:
        raise CodecError("not byte for byte what the program writes: the file was edited")
    return evidence
