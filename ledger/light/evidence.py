"""What a node hands out to prove that a transaction is final and what it did."""

from typing import Annotated

import msgspec
from msgspec import Meta

from ledger.params import HEADER_BYTES_MAX, PROOF_HEADERS_MAX
from ledger.types.primitives import Counter, Hash

# RFC 9162 paths: a block holds at most 2,000 transactions, which is a tree of 11 levels.
AuditPath = Annotated[tuple[Hash, ...], Meta(max_length=11)]

Descendants = Annotated[
    tuple[Annotated[bytes, Meta(max_length=HEADER_BYTES_MAX)], ...],
    Meta(max_length=PROOF_HEADERS_MAX),
]


class AnchorEvidence(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """A final transaction, its outcome, and their audit paths into the header of their block.

    Bytes are canonical: transaction (`SignedTransaction`), outcome, header, finalization certificate
    and the headers from the block's child to the one that the certificate is about; there are none
    when it is about the block itself. Transaction and outcome stand at the same `position` of `count`.
    """

    transaction: bytes
    outcome: bytes
    position: Counter
    count: Counter
    transaction_path: AuditPath
    outcome_path: AuditPath
    header: bytes
    certificate: bytes
    descendants: Descendants
