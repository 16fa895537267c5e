"""Verifying a receipt offline: each link of the chain from one reading to a genesis, in turn.

    file format         the bytes are a receipt's one text
    genesis             it is of the chain that this genesis starts
    reading             the reading is canonical
    leaf path           the reading is the stated leaf of the anchor's root
    summary             the words in the file say what the reading says
    anchor transaction  the anchor is signed, and of this device, sequence and profile
    transaction path    the transaction stands in the block
    outcome             the block applied it: a refused anchor proves nothing
    header              the block is of this chain
    agent sets          each change of agents from the genesis on was certified by those before
    certificate         a quorum of the agents of the block's epoch made it final

Rule: nothing is believed because it stands in the file; every value is signed, hashed or compared. That
the anchor's sender is a registered node's metering key is what the chain checked before it applied it.
"""

import enum
from dataclasses import dataclass

from ledger.codec.canonical import Decoder
from ledger.codec.merkle import verify_inclusion
from ledger.errors import CodecError, Rejected
from ledger.light.finality import NotFinalError, TrustedAgents
from ledger.light.receipt import Receipt, parse_receipt, summarise
from ledger.light.sided_path import is_included
from ledger.params import PROTOCOL_VERSION
from ledger.state.admission import check_transaction
from ledger.state.context import CheckedTransaction
from ledger.types.block import Header
from ledger.types.genesis import Genesis
from ledger.types.genesis_file import genesis_chain_id
from ledger.types.outcome import Outcome, OutcomeStatus
from ledger.types.reading import Reading
from ledger.types.transaction import Anchor

_readings = Decoder(Reading)
_outcomes = Decoder(Outcome)
_headers = Decoder(Header)


class Link(enum.Enum):
    """The links, named as users see them."""

    FILE_FORMAT = "file format"
    GENESIS = "genesis"
    READING = "reading"
    LEAF_PATH = "leaf path"
    SUMMARY = "summary"
    ANCHOR_TRANSACTION = "anchor transaction"
    TRANSACTION_PATH = "transaction path"
    OUTCOME = "outcome"
    HEADER = "header"
    AGENT_SETS = "agent sets"
    RECORD = "record"
    CERTIFICATE = "certificate"


@dataclass(frozen=True, slots=True)
class BrokenLink:
    """Why a receipt proves nothing: the first link that does not hold, and one line about it."""

    link: Link
    detail: str

    def __str__(self) -> str:
        return f"{self.link.value}: {self.detail}"


@dataclass(frozen=True, slots=True)
class VerifiedReading:
    """A proven reading: the block (height, Unix ms) and transaction that anchor it, and by whom.

    `signers` are the node ids of the agents whose votes made the block final.
    """

    reading: Reading
    block_height: int
    block_time_ms: int
    anchor_id: bytes
    metering_key: bytes
    signers: tuple[bytes, ...]


def verify_receipt(data: bytes, genesis: Genesis) -> VerifiedReading | BrokenLink:
    """Return what the receipt's bytes prove on the chain of `genesis`, or the link that is broken."""
    try:
        receipt = parse_receipt(data)
    except CodecError as error:
        return BrokenLink(Link.FILE_FORMAT, str(error))
    try:
        return _Verification(receipt, genesis).run()
    except _BrokenError as broken:
        return broken.link


class _BrokenError(Exception):
    """Carries a broken link out of the walk."""

    def __init__(self, link: Link, detail: str) -> None:
        self.link = BrokenLink(link, detail)
        super().__init__(str(self.link))


class _Verification:
    """One walk along the links."""

    def __init__(self, receipt: Receipt, genesis: Genesis) -> None:
        self._receipt = receipt
        self._genesis = genesis
        self._chain_id = genesis_chain_id(genesis)

    def run(self) -> VerifiedReading:
        """Check every link; raises `_BrokenError` at the first that does not hold."""
        self._check_genesis()
        reading = self._decode_reading()
        checked, anchor = self._decode_anchor()
        self._check_leaf(reading, anchor)
        _require(
            self._receipt.summary == summarise(reading),
            Link.SUMMARY,
            "it does not say what the reading says",
        )
        _check_anchor_covers(anchor, reading)
        header = self._decode_header()
        self._check_block_holds(checked, header)
        self._check_header(header)
        signers = self._check_certificate()
        return VerifiedReading(
            reading=reading,
            block_height=header.height,
            block_time_ms=header.time_ms,
            anchor_id=checked.id,
            metering_key=checked.transaction.sender,
            signers=signers,
        )

    def _check_genesis(self) -> None:
        theirs, ours = self._receipt.chain_id, self._chain_id
        detail = f"the receipt is of chain {theirs.hex()[:16]}, this genesis of {ours.hex()[:16]}"
        _require(theirs == ours, Link.GENESIS, detail)

    def _decode_reading(self) -> Reading:
        try:
            return _readings.decode(self._receipt.reading)
        except CodecError as error:
            raise _BrokenError(Link.READING, str(error)) from None

    def _decode_anchor(self) -> tuple[CheckedTransaction, Anchor]:
        checked = check_transaction(self._receipt.anchor_transaction, self._chain_id)
        if isinstance(checked, Rejected):
            raise _BrokenError(Link.ANCHOR_TRANSACTION, str(checked))
        body = checked.transaction.body
        if not isinstance(body, Anchor):
            raise _BrokenError(Link.ANCHOR_TRANSACTION, "it is a transaction of another kind")
        return checked, body

    def _check_leaf(self, reading: Reading, anchor: Anchor) -> None:
        receipt = self._receipt
        is_leaf = verify_inclusion(
            receipt.reading, receipt.leaf_index, receipt.leaf_count, receipt.leaf_path, anchor.root
        )
        _require(is_leaf, Link.LEAF_PATH, "the reading is not the one that was anchored")
        is_placed = (
            receipt.leaf_count == anchor.count
            and reading.sequence == anchor.first + receipt.leaf_index
        )
        _require(is_placed, Link.LEAF_PATH, "the reading stands at another place of the anchor")

    def _decode_header(self) -> Header:
        try:
            return _headers.decode(self._receipt.header)
        except CodecError as error:
            raise _BrokenError(Link.HEADER, str(error)) from None

    def _check_block_holds(self, checked: CheckedTransaction, header: Header) -> None:
        receipt = self._receipt
        _require(
            is_included(checked.raw, receipt.transaction_path, header.transactions_root),
            Link.TRANSACTION_PATH,
            "the anchor does not stand in the block",
        )
        _require(
            is_included(receipt.outcome, receipt.outcome_path, header.outcomes_root),
            Link.OUTCOME,
            "the outcome does not stand in the block",
        )
        try:
            outcome = _outcomes.decode(receipt.outcome)
        except CodecError as error:
            raise _BrokenError(Link.OUTCOME, str(error)) from None
        _require(outcome.transaction_id == checked.id, Link.OUTCOME, "it is of another transaction")
        is_applied = outcome.status is OutcomeStatus.APPLIED
        _require(is_applied, Link.OUTCOME, "the chain refused the anchor")

    def _check_header(self, header: Header) -> None:
        _require(header.chain_id == self._chain_id, Link.HEADER, "the block is of another chain")
        is_known = header.version == PROTOCOL_VERSION
        _require(is_known, Link.HEADER, f"version {header.version} of the rules is not known here")

    def _check_certificate(self) -> tuple[bytes, ...]:
        """Return the nodes whose votes made the block final."""
        receipt = self._receipt
        trusted = TrustedAgents(self._genesis)
        try:
            trusted.follow(receipt.set_changes)
        except NotFinalError as error:
            raise _BrokenError(Link.AGENT_SETS, str(error)) from None
        try:
            return trusted.check_final(receipt.header, receipt.certificate, receipt.descendants)
        except NotFinalError as error:
            raise _BrokenError(Link.CERTIFICATE, str(error)) from None


def _check_anchor_covers(anchor: Anchor, reading: Reading) -> None:
    is_same_device = anchor.device_id == reading.device_id
    _require(is_same_device, Link.ANCHOR_TRANSACTION, "it anchors another device")
    is_same_profile = anchor.profile_hash == reading.profile_hash
    _require(is_same_profile, Link.ANCHOR_TRANSACTION, "it anchors readings of another profile")


def _require(condition: bool, link: Link, detail: str) -> None:
    if not condition:
        raise _BrokenError(link, detail)
